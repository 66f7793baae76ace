"""XML to layout: reads a schema, and refuses an invalid one naming file, line and rule.

Types are in `parse_types`, messages in `parse_messages`; this module puts the two together.
"""

from __future__ import annotations

from pathlib import Path

from sbe.document import Element as Node
from sbe.document import read_file, read_text
from sbe.layout import CONSTANT, Composite, Element, Scalar, Schema
from sbe.parse_messages import parse_message
from sbe.parse_types import Types, number

#: Header members every schema must have; more are allowed, in any order and width.
_HEADER_MEMBERS = ("blockLength", "templateId", "schemaId", "version")
_ORDERS = {"littleEndian": "<", "bigEndian": ">"}


def load(path: str | Path, *, tolerate: frozenset[str] = frozenset()) -> Schema:
    """The schema in a file.

    A breach of a rule named in `tolerate` (one of `parse_types.TOLERABLE`) becomes a warning:
    published schemas have errata. Raises SchemaError.
    """
    return _schema(read_file(Path(path)), tolerate)


def loads(
    text: str | bytes,
    *,
    folder: Path | None = None,
    tolerate: frozenset[str] = frozenset(),
) -> Schema:
    """The schema in XML text; includes are looked up in `folder`. Raises SchemaError."""
    return _schema(read_text(text, folder=folder), tolerate)


def _schema(root: Node, tolerate: frozenset[str]) -> Schema:
    if root.tag != "messageSchema":
        raise root.error("root", f"a schema begins with messageSchema, was {root.tag}")
    version = number(root, "version", 0)
    assert version is not None
    identifier = number(root, "id")
    if identifier is None:
        raise root.error("missing-attribute", "messageSchema has no id")
    byte_order = root.get("byteOrder") or "littleEndian"
    if byte_order not in _ORDERS:
        raise root.error("byte-order", f"littleEndian or bigEndian, was {byte_order}")
    types = Types([c for c in root.children if c.tag == "types"], version, tolerate)
    every_type = types.all()
    nodes = _message_nodes(root)
    messages = [parse_message(node, types) for node in nodes]
    _check_unique(nodes)
    header = _header(root, types)
    _check_width(root, header, "schemaId", identifier)
    _check_width(root, header, "version", version)
    for node, message in zip(nodes, messages, strict=True):
        _check_width(node, header, "templateId", message.id)
        _check_width(node, header, "blockLength", message.block_length)
    return Schema(
        package=root.get("package") or "",
        id=identifier,
        version=version,
        semantic_version=root.get("semanticVersion") or "",
        description=root.get("description") or "",
        order=_ORDERS[byte_order],
        header=header,
        types=every_type,
        messages=tuple(messages),
        warnings=tuple(types.warnings),
    )


def _message_nodes(root: Node) -> list[Node]:
    """All messages, those too that an included file wraps in an element of its own."""
    nodes: list[Node] = []
    for child in root.children:
        if child.tag == "message":
            nodes.append(child)
        elif child.tag == "messages":
            nodes += [inner for inner in child.children if inner.tag == "message"]
    return nodes


def _check_width(node: Node, header: Composite, name: str, value: int) -> None:
    """A number must fit the header member that carries it; a constant carries nothing."""
    member = header.member(name)
    assert member is not None
    assert isinstance(member.type, Scalar)
    if member.presence != CONSTANT and value > member.type.primitive.highest:
        what = f"{name} {value} does not fit {member.type.primitive.name}"
        raise node.error("header", what)


def _check_unique(nodes: list[Node]) -> None:
    names: dict[str, Node] = {}
    numbers: dict[str, Node] = {}
    for node in nodes:
        for seen, key, rule in (
            (names, "name", "duplicate-message-name"),
            (numbers, "id", "duplicate-message-id"),
        ):
            value = node.attributes[key]
            if value in seen:
                what = f"message {key} {value} is taken since line {seen[value].line}"
                raise node.error(rule, what)
            seen[value] = node


def _header(root: Node, types: Types) -> Composite:
    name = root.get("headerType") or "messageHeader"
    header = types.find(name)
    if not isinstance(header, Composite):
        raise root.error("header", f"no composite {name}")
    for member in _HEADER_MEMBERS:
        element = header.member(member)
        if element is None:
            raise root.error("header", f"composite {name} has no member {member}")
        if not _is_whole(element):
            raise root.error("header", f"member {member} of {name} is not one whole number")
    return header


def _is_whole(element: Element) -> bool:
    scalar = element.type
    return isinstance(scalar, Scalar) and scalar.length == 1 and scalar.primitive.kind != "float"
