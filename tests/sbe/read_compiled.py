"""Reads a whole message with generated accessors, as `{path: number or bytes}`.

The navigation is that of a user: `check` first, then blocks from the root on, entries by stride,
the next group or data where the last one ended. Works with any generated module, from the
interpreter; `all_numbers` builds a compiled reader of one block for the compiled path.
"""

import ctypes
from types import ModuleType
from typing import Any

from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Element,
    Message,
    Scalar,
    Schema,
    single_member,
)
from sbe.naming import snake, upper


class CompiledReader:
    def __init__(self, schema: Schema, module: ModuleType) -> None:
        self.schema = schema
        self.module = module
        self.leaves: dict[str, Any] = {}
        self.version = 0

    def call(self, name: str, *arguments: int) -> Any:
        return getattr(self.module, name)(*arguments)

    def read(self, address: int) -> dict[str, Any]:
        message = self.schema.template(self.call("header_template", address))
        assert message is not None
        self.leaves = {}
        self.version = self.call("header_version", address)
        root = address + self.module.HEADER_SIZE
        self.block(message, root, self.call("after_block", root), (message.name,), message.name)
        return self.leaves

    def block(
        self, block: Block, address: int, behind: int, names: tuple[str, ...], path: str
    ) -> int:
        """Read a block at `address`; gives where its groups and data end, beginning at `behind`."""
        for field in block.fields:
            if field.presence != CONSTANT and field.since <= max(block.since, self.version):
                here, where = (*names, field.name), f"{path}.{field.name}"
                self.element(field, block, address, here, where, field.since)
        for group in block.groups:
            if group.since > max(block.since, self.version):
                continue
            here, where, name = (*names, group.name), f"{path}.{group.name}", snake(*names)
            name = snake(*here)
            count = self.leaves[f"{where}#"] = self.call(f"{name}_count", behind)
            stride = self.call(f"{name}_stride", behind)
            position = behind + getattr(self.module, f"{upper(*here)}_HEADER_SIZE")
            for index in range(count):
                entry = f"{where}[{index}]"
                position = self.block(group, position, position + stride, here, entry)
            behind = position
        for data in block.data:
            if data.since > max(block.since, self.version):
                continue
            name = snake(*names, data.name)
            length = self.call(f"{name}_length", behind)
            start = self.call(f"{name}_address", behind)
            self.leaves[f"{path}.{data.name}"] = ctypes.string_at(start, length)
            assert self.call(f"{name}_end", behind) == start + length
            behind = start + length
        return behind

    def element(
        self,
        element: Element,
        block: Block,
        address: int,
        names: tuple[str, ...],
        path: str,
        since: int,
    ) -> None:
        kind = element.type
        if isinstance(kind, Composite):
            only = single_member(kind)
            for member in kind.members:
                if member.presence != CONSTANT:
                    deeper = names if member is only else (*names, member.name)
                    self.element(member, block, address, deeper, f"{path}.{member.name}", since)
            return
        arguments = [address]
        if since > block.since and not isinstance(block, Message):
            arguments.append(self.version)
        if not isinstance(kind, Scalar) or kind.length == 1:
            self.leaves[path] = self.call(snake(*names), *arguments)
            return
        start = self.call(f"{snake(*names)}_address", *arguments)
        assert getattr(self.module, f"{upper(*names)}_LENGTH") == kind.length
        if kind.primitive.size == 1:
            self.leaves[path] = ctypes.string_at(start, kind.length)
        else:
            name = snake(*names)
            self.leaves[path] = [self.call(name, address, i) for i in range(kind.length)]
