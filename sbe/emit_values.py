"""Layout to source text: functions about a block that `check` has let through.

`<message>_fault(a)` gives the id of the first field whose value breaks its type: a required field
that is null, a number out of range, an enum or a set with a value that has no name. `<group>_end`
and `<data>_end` give where an element ends, which is where the next begins. The text inside
characters is not looked at.
"""

from __future__ import annotations

from itertools import pairwise

from sbe.emit import Source, counter_load, data_header_size, kind_of, literal
from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Data,
    Element,
    Enum,
    Group,
    Scalar,
    Set,
    wire_members,
)
from sbe.naming import snake

_INDENT = "    "
_CONDITION_MAX = 88


def emit_values(source: Source) -> None:
    """Append the `fault` and `end` functions of all messages, groups and data."""
    for message in source.schema.messages:
        source.heading(f"{message.name}: values and ends")
        _Values(source, message.name).block(message, (message.name,), "a")


class _Values:
    """Emits for one message."""

    def __init__(self, source: Source, message: str) -> None:
        self.source = source
        self.message = message

    def block(self, block: Block, path: tuple[str, ...], base: str) -> None:
        """The fault function of a block, then what belongs to its groups and data."""
        body = [text for field in block.fields for text in self._field(field, block, base)]
        versioned = base == "e" and any(f.since > block.since for f in block.fields)
        arguments = f"{base}: int, version: int" if versioned else f"{base}: int"
        name = self.source.names.take(f"{snake(*path)}_fault")
        self.source.function(
            f"{name}({arguments}) -> int",
            '"""Id of the first field whose value breaks its type, or 0."""',
            *body,
            "return 0",
        )
        for group in block.groups:
            here = (*path, group.name)
            self.block(group, here, "e")
            self._end(group, here)
        for data in block.data:
            name = self.source.names.take(f"{snake(*path, data.name)}_end")
            length = counter_load(data.length, "d", self.source.order)
            end = f"return d + {data_header_size(data)} + {length}"
            self.source.function(f"{name}(d: int) -> int", end)

    # Ends

    def _end(self, group: Group, path: tuple[str, ...]) -> None:
        name = self.source.names.take(f"{snake(*path)}_end")
        lines = self._past_group(group, "position", 0)
        arguments = "g: int, version: int" if _has_younger(group) else "g: int"
        signature = f"{name}({arguments}) -> int"
        self.source.function(signature, "position = g", *lines, "return position")

    def _past_group(self, group: Group, at: str, depth: int) -> list[str]:
        """Move the variable `at` from a group's dimension to behind the group."""
        order, size = self.source.order, group.dimension.size
        count, stride = f"count_{depth}", f"stride_{depth}"
        lines = [
            f"{count} = {counter_load(group.count, at, order)}",
            f"{stride} = {counter_load(group.stride, at, order)}",
        ]
        if not group.groups and not group.data:
            return [*lines, f"{at} += {size} + {count} * {stride}"]
        inner = [f"{at} += {stride}"]
        children: tuple[Group | Data, ...] = (*group.groups, *group.data)
        for child in children:
            if isinstance(child, Group):
                past = self._past_group(child, at, depth + 1)
            else:
                length = counter_load(child.length, at, order)
                past = [f"{at} += {data_header_size(child)} + {length}"]
            if child.since > group.since:
                past = [f"if version >= {child.since}:", *(_INDENT + text for text in past)]
            inner += past
        loop = [f"for _ in range({count}):", *(_INDENT + text for text in inner)]
        return [*lines, f"{at} += {size}", *loop]

    # Faults

    def _field(self, field: Element, block: Block, base: str) -> list[str]:
        if field.presence == CONSTANT:
            return []
        body = self._element(field, field.id or 0, base, 0)
        if field.since > block.since and body:
            version = "version" if base == "e" else "header_version(a - HEADER_SIZE)"
            return [f"if {version} >= {field.since}:", *(_INDENT + text for text in body)]
        return body

    def _element(self, element: Element, number: int, base: str, offset: int) -> list[str]:
        kind, offset = element.type, offset + element.offset
        if isinstance(kind, Composite):
            return self._composite(element, kind, number, base, offset)
        if isinstance(kind, Scalar) and kind.length != 1:
            return self._array(element, kind, number, base, offset)
        condition = self._condition(element)
        if not condition:
            return []
        value = _variable(kind)
        return [
            f"{value} = {self._load(kind, base, offset)}  # {element.name}",
            *_test(condition.replace("value", value)),
            f"{_INDENT}return {number}",
        ]

    def _composite(
        self, element: Element, kind: Composite, number: int, base: str, offset: int
    ) -> list[str]:
        body = []
        members = wire_members(kind)
        for member in members:
            body += self._element(member, number, base, offset)
        first = members[0] if members else None
        if not element.is_optional or not body or first is None:
            return body
        inner = first.type
        if not isinstance(inner, (Scalar, Enum)) or (first.is_optional and len(members) == 1):
            return body
        place = self._load(inner, base, offset + first.offset)
        null, value = literal(self._signed(inner, inner.null)), _variable(inner)
        is_nan = inner.primitive.is_float and inner.null != inner.null
        test = f"{value} == {value}" if is_nan else f"{value} != {null}"
        return [f"{value} = {place}", f"if {test}:", *(_INDENT + text for text in body)]

    def _array(
        self, element: Element, kind: Scalar, number: int, base: str, offset: int
    ) -> list[str]:
        value = _variable(kind)
        condition = self._condition(element).replace("value", value)
        if kind.primitive.size == 1 or not condition:
            return []
        raw = kind_of(kind.primitive, self.source.order)
        size = kind.primitive.size
        return [
            f"for i in range({kind.length}):  # {element.name}",
            f"{_INDENT}{value} = load_{raw}({base} + {offset} + i * {size})",
            *(_INDENT + text for text in _test(condition)),
            f"{_INDENT * 2}return {number}",
        ]

    def _load(self, kind: Scalar | Enum | Set, base: str, offset: int) -> str:
        raw = kind_of(kind.primitive, self.source.order)
        if not isinstance(kind, Scalar):
            raw = raw.replace("u64", "i64")
        return f"load_{raw}({base} + {offset})" if offset else f"load_{raw}({base})"

    def _condition(self, element: Element) -> str:
        """What is true of a `value` that breaks the type; empty where none can."""
        kind = element.type
        if isinstance(kind, Set):
            width = 8 * kind.primitive.size
            unknown = ~kind.mask & ((1 << width) - 1)
            unknown -= (1 << 64) if unknown >> 63 else 0
            sign = "-" if unknown < 0 else ""
            return f"value & {sign}0x{abs(unknown):X}" if unknown else ""
        if isinstance(kind, Enum):
            return self._enum_condition(kind, element.is_optional)
        assert isinstance(kind, Scalar)
        return _scalar_condition(kind, element.is_optional)

    def _signed(self, kind: Scalar | Enum, value: int | float) -> int | float:
        """A value as the load gives it: enums are read as int64 even where they are uint64."""
        wide = isinstance(kind, Enum) and kind.primitive.name == "uint64"
        return value - (1 << 64) if wide and value >= 1 << 63 else value

    def _enum_condition(self, kind: Enum, optional: bool) -> str:
        values = {int(self._signed(kind, choice.value)) for choice in kind.choices}
        if optional:
            values.add(int(self._signed(kind, kind.null)))
        ordered = sorted(values)
        starts = [ordered[0]] if ordered else []
        ends = []
        for left, right in pairwise(ordered):
            if right != left + 1:
                ends.append(left)
                starts.append(right)
        ends += ordered[-1:]
        runs = [
            f"value == {low}" if low == high else f"{low} <= value <= {high}"
            for low, high in zip(starts, ends, strict=True)
        ]
        return f"not ({' or '.join(runs)})" if runs else "True"


def _scalar_condition(kind: Scalar, optional: bool) -> str:
    """Out of range, or null though required; a null outside the range needs no test of its own."""
    primitive, tests = kind.primitive, []
    if primitive.is_float:
        if kind.minimum > primitive.minimum:
            tests.append(f"value < {literal(float(kind.minimum))}")
        if kind.maximum < primitive.maximum:
            tests.append(f"value > {literal(float(kind.maximum))}")
        if not optional:
            tests.append("value != value" if kind.null != kind.null else f"value == {kind.null}")
        elif kind.null == kind.null and tests:
            return f"value != {kind.null} and ({' or '.join(tests)})"
        return " or ".join(tests)
    floor, ceiling = primitive.lowest, primitive.highest
    if kind.null == floor:
        floor += 1
    elif kind.null == ceiling:
        ceiling -= 1
    if kind.minimum > floor:
        tests.append(f"value < {kind.minimum}")
    if kind.maximum < ceiling:
        tests.append(f"value > {kind.maximum}")
    caught = kind.null < kind.minimum > floor or kind.null > kind.maximum < ceiling
    if not optional:
        tests += [] if caught else [f"value == {kind.null}"]
        return " or ".join(tests)
    return f"value != {kind.null} and ({' or '.join(tests)})" if tests else ""


def _variable(kind: Scalar | Enum | Set) -> str:
    """A name for each type: a variable that is int64 here and uint64 there becomes a float."""
    if isinstance(kind, Scalar) and kind.primitive.is_float:
        return "real"
    return "wide" if isinstance(kind, Scalar) and kind.primitive.name == "uint64" else "value"


def _test(condition: str) -> list[str]:
    """An `if`, broken into lines where it is long."""
    if len(condition) <= _CONDITION_MAX:
        return [f"if {condition}:"]
    opening, _, inner = condition.rstrip(")").partition("(")
    parts = inner.split(" or ")
    middle = [f"{_INDENT}{'or ' if index else ''}{part}" for index, part in enumerate(parts)]
    return [f"if {opening}(", *middle, "):"]


def _has_younger(group: Group) -> bool:
    """Whether anything below the group came with a later version than what holds it."""
    children: tuple[Group | Data, ...] = (*group.groups, *group.data)
    return any(
        child.since > group.since or (isinstance(child, Group) and _has_younger(child))
        for child in children
    )
