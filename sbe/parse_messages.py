"""The messages of a schema: fields, groups and data, in that order, at their offsets."""

from __future__ import annotations

from dataclasses import replace

from sbe.document import Element as Node
from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Data,
    Element,
    Group,
    Message,
    Scalar,
    Type,
    count_max,
)
from sbe.parse_types import Types, check_end, description_of, name_of, number, refuse_stranger

_ORDER = ("field", "group", "data")


def parse_message(node: Node, types: Types) -> Message:
    """One `message` element. Raises SchemaError."""
    block = _block(node, types, 0)
    return Message(**{name: getattr(block, name) for name in Block.__slots__})


def _block(node: Node, types: Types, floor: int) -> Block:
    name = name_of(node)
    since = types.since(node, floor)
    fields: list[Element] = []
    groups: list[Group] = []
    data: list[Data] = []
    position, stage = 0, 0
    seen: dict[str, Node] = {}
    for child in node.children:
        if child.tag not in _ORDER:
            refuse_stranger(child, node)
            continue
        if _ORDER.index(child.tag) < stage:
            raise child.error("order", f"a {child.tag} after a {_ORDER[stage]}")
        stage = _ORDER.index(child.tag)
        _check_unique(child, seen)
        if child.tag == "field":
            fields.append(_field(child, types, position, since))
            position = fields[-1].end
        elif child.tag == "group":
            groups.append(_group(child, types, since))
        else:
            data.append(_data(child, types, since))
    return Block(
        name=name,
        id=_id(node),
        block_length=_block_length(node, position),
        own_length=position,
        fields=tuple(fields),
        groups=tuple(groups),
        data=tuple(data),
        since=since,
        deprecated=number(node, "deprecated"),
        semantic_type=node.get("semanticType"),
        description=description_of(node),
    )


def _id(node: Node) -> int:
    value = number(node, "id")
    if value is None:
        raise node.error("missing-attribute", f"{node.tag} {name_of(node)} has no id")
    return value


def _check_unique(node: Node, seen: dict[str, Node]) -> None:
    # Groups number for themselves: a venue gives a group the tag of a field beside it.
    kind = "group id" if node.tag == "group" else "id"
    for key, rule in ((f"name {name_of(node)}", "name"), (f"{kind} {_id(node)}", "field-id")):
        if key in seen:
            raise node.error(f"duplicate-{rule}", f"{key} is taken since line {seen[key].line}")
        seen[key] = node


def _block_length(node: Node, used: int) -> int:
    length = number(node, "blockLength", used)
    assert length is not None
    if length < used:
        what = f"blockLength {length} of {name_of(node)}, but its fields take {used}"
        raise node.error("block-length", what)
    check_end(node, length)
    return length


def _field(node: Node, types: Types, position: int, floor: int) -> Element:
    name = name_of(node)
    target = node.get("type")
    if target is None:
        raise node.error("missing-attribute", f"field {name} has no type")
    kind = types.resolve(target, node)
    if _is_variable(kind):
        raise node.error("length", f"field {name} has a variable length")
    element = types.element(node, name, kind, position)
    return replace(
        element,
        id=_id(node),
        since=max(element.since, floor),
        time_unit=node.get("timeUnit"),
        epoch=node.get("epoch"),
    )


def _is_variable(kind: Type) -> bool:
    if isinstance(kind, Composite):
        return any(_is_variable(m.type) for m in kind.members if m.presence != CONSTANT)
    return isinstance(kind, Scalar) and kind.length == 0


def _group(node: Node, types: Types, floor: int) -> Group:
    name = node.get("dimensionType") or "groupSizeEncoding"
    dimension = types.resolve(name, node)
    if not isinstance(dimension, Composite):
        raise node.error("dimension", f"{name} is not a composite")
    for member in ("blockLength", "numInGroup"):
        _count(node, dimension, member, "dimension")
    block = _block(node, types, floor)
    group = Group(
        **{name: getattr(block, name) for name in Block.__slots__},
        dimension=dimension,
    )
    if group.stride.presence != CONSTANT and group.block_length > _width_max(group.stride):
        raise node.error("dimension", f"blockLength {group.block_length} is too much for {name}")
    return group


def _data(node: Node, types: Types, floor: int) -> Data:
    name = name_of(node)
    target = node.get("type")
    if target is None:
        raise node.error("missing-attribute", f"data {name} has no type")
    kind = types.resolve(target, node)
    if not isinstance(kind, Composite):
        raise node.error("var-data", f"{target} is not a composite")
    _var_data(node, kind, types)
    return Data(
        name=name,
        id=_id(node),
        type=kind,
        since=max(types.since(node, floor), kind.since),
        deprecated=number(node, "deprecated"),
        semantic_type=node.get("semanticType"),
        description=description_of(node),
    )


def _var_data(node: Node, kind: Composite, types: Types) -> None:
    length = _count(node, kind, "length", "var-data")
    scalar = length.type
    assert isinstance(scalar, Scalar)
    if scalar.primitive.size >= 4 and not scalar.maximum_given:
        what = f"length of {kind.name} is {scalar.primitive.name} and has no maxValue"
        types.breach(node, "var-data-length", what)
    content = kind.member("varData")
    if content is None or not isinstance(content.type, Scalar):
        raise node.error("var-data", f"composite {kind.name} has no member varData")
    if content.type.primitive.size != 1 or content.presence == CONSTANT:
        raise node.error("var-data", f"varData of {kind.name} must be bytes or characters")
    if content is not kind.members[-1]:
        raise node.error("var-data", f"varData of {kind.name} must come last")
    if content.type.length > 1:
        raise node.error("var-data", f"varData of {kind.name} has a fixed length")


def _count(node: Node, kind: Composite, name: str, rule: str) -> Element:
    """The member that carries a count or a length: one whole number."""
    member = kind.member(name)
    if member is None:
        raise node.error(rule, f"composite {kind.name} has no member {name}")
    scalar = member.type
    if not isinstance(scalar, Scalar) or scalar.length != 1 or scalar.primitive.kind == "float":
        raise node.error(rule, f"member {name} of {kind.name} is not one whole number")
    if count_max(member) < 0:
        raise node.error(rule, f"member {name} of {kind.name} can't be positive")
    return member


def _width_max(element: Element) -> int:
    scalar = element.type
    assert isinstance(scalar, Scalar)
    return int(scalar.primitive.highest)
