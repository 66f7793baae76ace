"""Layout to source text: the walk that validates a whole message without reading past its end.

    check ── measure ── one branch a template ── walk of each group ── walk of its groups, data …

A walk takes (position, end, version) and gives the position behind what it walked, or a negative
error. Positions are addresses and so positive. Work is bounded by the bytes there are: an entry
that takes no bytes is counted against them.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from sbe.emit import Source, data_header_size
from sbe.layout import Block, Data, Element, Group, Message, Scalar, count_max, count_min
from sbe.naming import snake

_INDENT = "    "


def emit_walks(source: Source) -> None:
    """Append the walks of all groups and data, `measure` and `check`."""
    source.heading("The walk: a whole message is validated once, then nothing needs a check.")
    for message in source.schema.messages:
        for group in message.groups:
            _group(source, group, (message.name, group.name))
        for data in message.data:
            _data(source, data, (message.name, data.name))
    _measure(source)
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


def _walk_name(path: tuple[str, ...]) -> str:
    return f"_walk_{snake(*path)}"


def _walk_signature(path: tuple[str, ...]) -> str:
    return f"{_walk_name(path)}(position: int, end: int, version: int) -> int"


def _least_block(block: Block, length: str) -> list[str]:
    """Refuse a block shorter than the fields its sender's version has."""
    body = []
    for version, least in block.extensions():
        if least == 0:
            continue
        condition = (
            f"{length} < {least}"
            if version <= block.since
            else (f"version >= {version} and {length} < {least}")
        )
        body += [f"if {condition}:", f"{_INDENT}return -ERROR_BLOCK_LENGTH"]
    return body


def _group(source: Source, group: Group, path: tuple[str, ...]) -> None:
    for child in group.groups:
        _group(source, child, (*path, child.name))
    for data in group.data:
        _data(source, data, (*path, data.name))
    name, size = snake(*path), group.dimension.size
    body = [
        f"if end - position < {size}:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        f"stride = {name}_stride(position)",
        f"count = {name}_count(position)",
        f"position += {size}",
        *_least_block(group, "stride"),
        *_count_limits(group),
    ]
    if group.length_at(group.since) == 0:
        body += [
            "if stride == 0 and count > end - position:",
            f"{_INDENT}return -ERROR_GROUP_COUNT",
        ]
    if group.groups or group.data:
        body += ["for _ in range(count):", *(_INDENT + text for text in _entry(group, path))]
        body += ["return position"]
    else:
        body += [_too_many(group), f"{_INDENT}return -ERROR_TRUNCATED"]
        body += ["return position + count * stride"]
    source.function(_walk_signature(path), *body)


def _entry(group: Group, path: tuple[str, ...]) -> list[str]:
    return [
        "if stride > end - position:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        "position += stride",
        *_children(group, path),
    ]


def _children(block: Block, path: tuple[str, ...]) -> list[str]:
    """Walk the groups and data of a block, leaving out what the sender did not know."""
    body = []
    children: tuple[Group | Data, ...] = (*block.groups, *block.data)
    for child in children:
        call = [
            f"position = {_walk_name((*path, child.name))}(position, end, version)",
            "if position < 0:",
            f"{_INDENT}return position",
        ]
        if child.since > block.since:
            call = [f"if version >= {child.since}:", *(_INDENT + text for text in call)]
        body += call
    return body


def _count_limits(group: Group) -> list[str]:
    """Limits that the schema sets; the default upper one binds the sender only."""
    scalar = group.count.type
    assert isinstance(scalar, Scalar)
    least, most = count_min(group.count), count_max(group.count)
    conditions = []
    if least > 0 or _can_be_negative(group.count):
        conditions.append(f"count < {least}")
    if scalar.maximum_given:
        conditions.append(f"count > {most}")
    if _can_be_negative(group.stride):
        conditions.append("stride < 0")
    if not conditions:
        return []
    return [f"if {' or '.join(conditions)}:", f"{_INDENT}return -ERROR_GROUP_COUNT"]


def _can_be_negative(element: Element) -> bool:
    """Signed, or so wide that it is loaded as if it were."""
    scalar = element.type
    assert isinstance(scalar, Scalar)
    return scalar.primitive.kind == "int" or scalar.primitive.size == 8


def _too_many(group: Group) -> str:
    """Whether the entries overrun the end; by division where a product could overflow."""
    bits = 0
    for element in (group.count, group.stride):
        scalar = element.type
        assert isinstance(scalar, Scalar)
        bits += 8 * scalar.primitive.size
    if bits <= 62:
        return "if count * stride > end - position:"
    return "if stride > 0 and count > (end - position) // stride:"


def _data(source: Source, data: Data, path: tuple[str, ...]) -> None:
    name, size = snake(*path), data_header_size(data)
    scalar = data.length.type
    assert isinstance(scalar, Scalar)
    least, most = count_min(data.length), count_max(data.length)
    conditions = []
    if least > 0 or _can_be_negative(data.length):
        conditions.append(f"length < {least}")
    if most < scalar.primitive.highest and scalar.primitive.size != 8:
        conditions.append(f"length > {most}")
    limits = [f"if {' or '.join(conditions)}:", f"{_INDENT}return -ERROR_DATA_LENGTH"]
    source.function(
        _walk_signature(path),
        f"if end - position < {size}:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        f"length = {name}_length(position)",
        f"position += {size}",
        *(limits if conditions else []),
        "if length > end - position:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        "return position + length",
    )


def _measure(source: Source) -> None:
    body = [
        '"""Bytes of the message at `address`, or minus an ERROR_ code; reads `length` at most."""',
        "if length < HEADER_SIZE:",
        f"{_INDENT}return -ERROR_TRUNCATED",
        "if header_schema(address) != SCHEMA_ID:",
        f"{_INDENT}return -ERROR_SCHEMA",
        "template = header_template(address)",
        "version = header_version(address)",
        "block = header_block_length(address)",
        "end = address + length",
        "position = address + HEADER_SIZE + block",
        "if block < 0 or position > end:",
        f"{_INDENT}return -ERROR_TRUNCATED",
    ]
    word = "if"
    branches = [(message, _branch(message)) for message in source.schema.messages]
    for _, same in groupby(branches, key=itemgetter(1)):
        alike = list(same)
        condition = " or ".join(f"template == {message.id}" for message, _ in alike)
        body.append(f"{word} {condition}:  # {', '.join(message.name for message, _ in alike)}")
        body += [_INDENT + text for text in alike[0][1]]
        word = "elif"
    if source.schema.messages:
        body += ["else:", f"{_INDENT}return -ERROR_TEMPLATE", "return position - address"]
    else:
        body += ["return -ERROR_TEMPLATE"]
    source.function("measure(address: int, length: int) -> int", *body)


def _branch(message: Message) -> list[str]:
    return [
        *_least_block(message, "block"),
        *_children(message, (message.name,)),
    ] or ["pass"]
