"""Layout to source text: the walk that validates a whole message without reading past its end.

    check ── measure ── one branch a template ── walk of each group ── walk of its groups, data …

A walk takes (position, end, version) and gives the position behind what it walked, or a negative
error. Positions are addresses and so positive. Work is bounded by the bytes there are: an entry
that takes no bytes is counted against them.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from sbe.emit import Source, counter_load, data_header_size
from sbe.layout import CONSTANT, Block, Data, Element, Group, Message, Scalar, count_max, count_min
from sbe.naming import snake

_INDENT = "    "
_PRODUCT_BITS_MAX = 62


def emit_walks(source: Source) -> None:
    """Append the walks of all groups and data, `measure` and `check`."""
    source.heading("The walk: a whole message is validated once, then nothing needs a check.")
    walks = _Walks(source)
    branches = [(message, walks.branch(message)) for message in source.schema.messages]
    _measure(source, branches)
    source.function(
        "check(address: int, length: int) -> int",
        '"""0 where `length` bytes hold one whole message and nothing else, or an ERROR_ code."""',
        "size = measure(address, length)",
        "if size < 0:",
        "    return -size",
        "if size < length and header_version(address) <= SCHEMA_VERSION:",
        "    return ERROR_TRAILING_BYTES",
        "return 0",
    )


def _measure(source: Source, branches: list[tuple[Message, list[str]]]) -> None:
    body = [
        '"""Bytes of the message at `address`, or minus an ERROR_ code; reads `length` at most."""',
        "if length < HEADER_SIZE:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        *_identity(source),
        "block = header_block_length(address)",
        "if block < 0 or block > length - HEADER_SIZE:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        "template = header_template(address)",
        "version = header_version(address)",
        "position = address + HEADER_SIZE + block",
        "end = address + length",
    ]
    word = "if"
    for _, same in groupby(branches, key=itemgetter(1)):
        alike = [message for message, _ in same]
        condition = " or ".join(f"template == {message.id}" for message in alike)
        body.append(f"{word} {condition}:  # {', '.join(message.name for message in alike)}")
        lines = next(lines for message, lines in branches if message is alike[0])
        body += [_INDENT + text for text in lines]
        word = "elif"
    if branches:
        body += ["else:", f"{_INDENT}return -ERROR_TEMPLATE", "return position - address"]
    else:
        body += ["return -ERROR_TEMPLATE"]
    source.function("measure(address: int, length: int) -> int", *body)


def _identity(source: Source) -> list[str]:
    """Refuse another schema's message; a header in which the id is constant can't tell."""
    member = source.schema.header.member("schemaId")
    if member is None or member.presence == CONSTANT:
        return []
    return ["if header_schema(address) != SCHEMA_ID:", f"{_INDENT}return -ERROR_SCHEMA"]


class _Walks:
    """Emits each walk once: equal bodies, such as every data of one type, share a function."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._names: dict[tuple[str, ...], str] = {}

    def branch(self, message: Message) -> list[str]:
        """What `measure` does for one template."""
        body = [*_least_block(message, "block"), *self._children(message, (message.name,))]
        return body or ["pass"]

    def _name(self, child: Group | Data, path: tuple[str, ...]) -> str:
        """The function that walks a group or data, emitted when first asked for."""
        order = self.source.order
        if isinstance(child, Group):
            body, wanted = self._group(child, path), snake(*path)
        else:
            body, wanted = _data(child, order), snake(child.type.name)
        name = self._names.get(tuple(body))
        if name is None:
            name = self.source.names.take(f"_walk_{wanted}")
            self._names[tuple(body)] = name
            signature = f"{name}(position: int, end: int, version: int) -> int"
            self.source.function(signature, *body)
        return name

    def _children(self, block: Block, path: tuple[str, ...]) -> list[str]:
        """Walk the groups and data of a block, leaving out what the sender did not know."""
        body = []
        children: tuple[Group | Data, ...] = (*block.groups, *block.data)
        for child in children:
            call = [
                f"position = {self._name(child, (*path, child.name))}(position, end, version)",
                "if position < 0:",
                f"{_INDENT}return position",
            ]
            if child.since > block.since:
                call = [f"if version >= {child.since}:", *(_INDENT + text for text in call)]
            body += call
        return body

    def _group(self, group: Group, path: tuple[str, ...]) -> list[str]:
        size, order = group.dimension.size, self.source.order
        body = [
            f"if end - position < {size}:",
            f"{_INDENT}return -ERROR_TRUNCATED",
            f"stride = {counter_load(group.stride, 'position', order)}",
            f"count = {counter_load(group.count, 'position', order)}",
            f"position += {size}",
            *_least_block(group, "count > 0 and stride"),
            *_count_limits(group),
        ]
        if group.length_at(group.since) == 0:
            body += [
                "if stride == 0 and count > end - position:",
                f"{_INDENT}return -ERROR_GROUP_COUNT",
            ]
        if not group.groups and not group.data:
            body += [_too_many(group), f"{_INDENT}return -ERROR_TRUNCATED"]
            return [*body, "return position + count * stride"]
        entry = [
            "if stride > end - position:",
            f"{_INDENT}return -ERROR_TRUNCATED",
            "position += stride",
            *self._children(group, path),
        ]
        return [*body, "for _ in range(count):", *(_INDENT + t for t in entry), "return position"]


def _data(data: Data, order: str) -> list[str]:
    size, width = data_header_size(data), _scalar(data.length).primitive
    least, most = count_min(data.length), count_max(data.length)
    conditions = []
    if least > 0 or _can_be_negative(data.length):
        conditions.append(f"length < {least}")
    if most < width.highest and most < 1 << 63:
        conditions.append(f"length > {most}")
    limits = [f"if {' or '.join(conditions)}:", f"{_INDENT}return -ERROR_DATA_LENGTH"]
    return [
        f"if end - position < {size}:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        f"length = {counter_load(data.length, 'position', order)}",
        f"position += {size}",
        *(limits if conditions else []),
        "if length > end - position:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        "return position + length",
    ]


def _least_block(block: Block, length: str) -> list[str]:
    """Refuse a block shorter than the fields its sender's version has."""
    body = []
    for version, least in block.extensions():
        if least == 0:
            continue
        condition = f"{length} < {least}"
        if version > block.since:
            condition = f"version >= {version} and {condition}"
        body += [f"if {condition}:", f"{_INDENT}return -ERROR_BLOCK_LENGTH"]
    return body


def _count_limits(group: Group) -> list[str]:
    """Limits that the schema sets; the default upper one binds the sender only."""
    least, most = count_min(group.count), count_max(group.count)
    conditions = []
    if least > 0 or _can_be_negative(group.count):
        conditions.append(f"count < {least}")
    if _scalar(group.count).maximum_given:
        conditions.append(f"count > {most}")
    if _can_be_negative(group.stride):
        conditions.append("stride < 0")
    if not conditions:
        return []
    return [f"if {' or '.join(conditions)}:", f"{_INDENT}return -ERROR_GROUP_COUNT"]


def _too_many(group: Group) -> str:
    """Whether the entries overrun the end; by division where a product could overflow."""
    bits = 8 * (_scalar(group.count).primitive.size + _scalar(group.stride).primitive.size)
    if bits <= _PRODUCT_BITS_MAX:
        return "if count * stride > end - position:"
    return "if stride > 0 and count > (end - position) // stride:"


def _can_be_negative(element: Element) -> bool:
    """Signed, or so wide that it is loaded as if it were."""
    primitive = _scalar(element).primitive
    return primitive.kind == "int" or primitive.size == 8


def _scalar(element: Element) -> Scalar:
    assert isinstance(element.type, Scalar)
    return element.type
