"""The `types` of a schema: simple types, composites, enums and sets, resolved on demand.

Types may be used before they stand; a name is resolved when first asked for, and one that leads
back to itself is refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import replace
from math import isnan

from sbe.document import Element as Node
from sbe.layout import (
    CONSTANT,
    OPTIONAL,
    REQUIRED,
    Choice,
    Composite,
    Element,
    Enum,
    Scalar,
    Set,
    Type,
    Value,
)
from sbe.primitives import PRIMITIVES, Primitive

#: Rules whose breach is found in published schemas and can be read past.
TOLERABLE = frozenset({"null-value", "range", "var-data-length", "duplicate-value", "presence"})

_PRESENCES = (REQUIRED, OPTIONAL, CONSTANT)
_TAGS = ("type", "composite", "enum", "set")
_LENGTH_LIMIT = 1 << 31
#: Where a composite or block may end: far beyond any message, and still quick to make zeroes of.
_END_LIMIT = 1 << 24
_NAME = re.compile(r"[^\W\d]\w*\Z")


def number(node: Node, attribute: str, default: int | None = None) -> int | None:
    """An attribute that is a natural number."""
    text = node.get(attribute)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise node.error("number", f"{attribute} must be a natural number, was {text!r}")
    return int(text)


def name_of(node: Node) -> str:
    """The `name` of an element: a letter or underscore, then letters, digits, underscores."""
    name = node.get("name")
    if not name:
        raise node.error("missing-attribute", f"{node.tag} has no name")
    if not _NAME.match(name):
        raise node.error("name", f"{name!r} is no symbolic name")
    return name


def refuse_stranger(node: Node, parent: Node) -> None:
    """Refuse an element that has no place in `parent`; one of another prefix is passed over."""
    if not node.foreign:
        raise node.error("element", f"{node.tag} is no part of a {parent.tag}")


def presence_of(node: Node) -> str | None:
    """The `presence` of an element, None where it says nothing."""
    presence = node.get("presence")
    if presence is not None and presence not in _PRESENCES:
        raise node.error("presence", f"one of {', '.join(_PRESENCES)}, was {presence}")
    return presence


def check_end(node: Node, end: int) -> None:
    """Refuse what ends further from the start of its block than any message is long."""
    if end > _END_LIMIT:
        raise node.error("too-long", f"{name_of(node)} ends at {end}, beyond {_END_LIMIT}")


def description_of(node: Node) -> str:
    """The `description` of an element, empty where it has none."""
    return node.get("description") or ""


class Types:
    """All named types of one schema."""

    def __init__(self, sections: Sequence[Node], version: int, tolerate: frozenset[str]) -> None:
        self.version = version
        self.warnings: list[str] = []
        self._tolerate = tolerate & TOLERABLE
        self._nodes: dict[str, Node] = {}
        self._done: dict[str, Type] = {}
        self._open: list[str] = []
        for section in sections:
            self._section(section)

    def _section(self, section: Node) -> None:
        for node in section.children:
            if node.tag in _TAGS:
                self._add(node)
            elif node.tag == "types":  # an included file that wraps its types for itself
                self._section(node)

    def _add(self, node: Node) -> None:
        name = name_of(node)
        if name in self._nodes:
            what = f"type {name} is taken since line {self._nodes[name].line}"
            raise node.error("duplicate-type", what)
        self._nodes[name] = node

    def all(self) -> tuple[Type, ...]:
        """Every type, in the order of the document."""
        return tuple(self.resolve(name, node) for name, node in self._nodes.items())

    def breach(self, node: Node, rule: str, what: str) -> None:
        """Refuse, or warn where this rule is tolerated."""
        error = node.error(rule, what)
        if rule not in self._tolerate:
            raise error
        self.warnings.append(str(error))

    def find(self, name: str) -> Type | None:
        """A type or primitive by name; None where there is none."""
        if name in self._nodes:
            return self.resolve(name, self._nodes[name])
        primitive = PRIMITIVES.get(name)
        return None if primitive is None else _plain(primitive)

    def resolve(self, name: str, user: Node) -> Type:
        """A type or primitive by name, asked for at `user`. Raises SchemaError."""
        if name in self._done:
            return self._done[name]
        node = self._nodes.get(name)
        if node is None:
            primitive = PRIMITIVES.get(name)
            if primitive is None:
                raise user.error("undefined-type", f"there is no type {name}")
            return _plain(primitive)
        if name in self._open:
            trail = " -> ".join([*self._open, name])
            raise user.error("cyclic-reference", trail)
        self._open.append(name)
        self._done[name] = self.build(node)
        self._open.pop()
        return self._done[name]

    def build(self, node: Node) -> Type:
        """The type that a `type`, `composite`, `enum` or `set` element describes."""
        if node.tag == "type":
            return self._scalar(node)
        if node.tag == "composite":
            return self._composite(node)
        if node.tag == "enum":
            return self._enum(node)
        return self._set(node)

    def since(self, node: Node, floor: int = 0) -> int:
        """The version that brought an element; never before its parent's."""
        since = number(node, "sinceVersion", 0)
        assert since is not None
        if since > self.version:
            what = f"sinceVersion {since} is beyond the schema's version {self.version}"
            raise node.error("since-version", what)
        return max(since, floor)

    # Simple types

    def _scalar(self, node: Node) -> Scalar:
        name = name_of(node)
        primitive = self._primitive(node, node.get("primitiveType"), "primitiveType")
        presence = presence_of(node) or REQUIRED
        length = number(node, "length", 1)
        assert length is not None
        if length >= _LENGTH_LIMIT:
            raise node.error("length", f"length {length} is beyond {_LENGTH_LIMIT - 1}")
        null, minimum, maximum = self._range(node, primitive, presence)
        constant: Value | None = None
        if presence == CONSTANT:
            constant, length = self._constant(node, primitive, length)
        return Scalar(
            name=name,
            primitive=primitive,
            length=length,
            presence=presence,
            null=null,
            minimum=minimum,
            maximum=maximum,
            constant=constant,
            encoding=_encoding(node),
            since=self.since(node),
            deprecated=number(node, "deprecated"),
            semantic_type=node.get("semanticType"),
            description=description_of(node),
            maximum_given=node.get("maxValue") is not None,
        )

    def _primitive(self, node: Node, name: str | None, attribute: str) -> Primitive:
        if name is None:
            raise node.error("missing-attribute", f"{node.tag} has no {attribute}")
        if name not in PRIMITIVES:
            raise node.error("undefined-type", f"there is no primitive type {name}")
        return PRIMITIVES[name]

    def _range(
        self, node: Node, primitive: Primitive, presence: str
    ) -> tuple[int | float, int | float, int | float]:
        null, minimum, maximum = primitive.null, primitive.minimum, primitive.maximum
        for attribute in ("nullValue", "minValue", "maxValue"):
            text = node.get(attribute)
            if text is None:
                continue
            rule = "null-value" if attribute == "nullValue" else "range"
            value = parse_value(node, primitive, text)
            # Venues restate the default null on required types; that changes nothing.
            if attribute == "nullValue" and presence != OPTIONAL and value != primitive.null:
                self.breach(node, rule, f"nullValue on a {presence} type")
            if not _holds(primitive, value):
                self.breach(node, rule, f"{attribute} {text} does not fit {primitive.name}")
                continue
            if attribute == "nullValue":
                null = value
            elif attribute == "minValue":
                minimum = value
            else:
                maximum = value
        if minimum > maximum:
            self.breach(node, "range", f"minValue {minimum} is above maxValue {maximum}")
        return null, minimum, maximum

    def _constant(self, node: Node, primitive: Primitive, length: int) -> tuple[Value, int]:
        reference = node.get("valueRef")
        if reference is not None:
            encoded = self.reference(node, reference)[1]
            if not _holds(primitive, encoded):
                raise node.error("constant", f"{reference} does not fit {primitive.name}")
            return encoded, 1
        text = node.text.strip()
        if not text:
            raise node.error("constant", f"constant {name_of(node)} has no value")
        if primitive.kind != "char":
            value = parse_value(node, primitive, text)
            if not _holds(primitive, value):
                raise node.error("constant", f"{text} does not fit {primitive.name}")
            return value, 1
        if node.get("length") is None:
            return text, len(text.encode())
        if len(text.encode()) > length:
            raise node.error("constant", f"{text!r} is longer than {length}")
        return text, length

    def reference(self, node: Node, text: str) -> tuple[Enum, int]:
        """The enum and encoded value that a valueRef such as `Side.Sell` names."""
        name, dot, choice = text.partition(".")
        target = self.find(name) if dot else None
        if not isinstance(target, Enum):
            raise node.error("value-ref", f"{text} does not name a value of an enum")
        for candidate in target.choices:
            if candidate.name == choice:
                return target, candidate.value
        raise node.error("value-ref", f"enum {name} has no value {choice}")

    # Composites

    def _composite(self, node: Node) -> Composite:
        members: list[Element] = []
        position = 0
        for child in node.children:
            if child.tag != "ref" and child.tag not in _TAGS:
                refuse_stranger(child, node)
                continue
            member = self._member(child, position)
            if any(member.name == other.name for other in members):
                raise child.error("duplicate-name", f"member {member.name} is there twice")
            members.append(member)
            position = member.end
        if not members:
            raise node.error("composite", f"composite {name_of(node)} has no members")
        return Composite(
            name=name_of(node),
            members=tuple(members),
            size=position,
            since=self.since(node),
            deprecated=number(node, "deprecated"),
            description=description_of(node),
        )

    def _member(self, node: Node, position: int) -> Element:
        name = name_of(node)
        if node.tag == "ref":
            target = node.get("type")
            if target is None:
                raise node.error("missing-attribute", f"ref {name} has no type")
            kind = self.resolve(target, node)
        else:
            kind = self.build(node)
        element = self.element(node, name, kind, position)
        time_unit, epoch = node.get("timeUnit"), node.get("epoch")
        return replace(element, time_unit=time_unit, epoch=epoch)

    def element(self, node: Node, name: str, kind: Type, position: int) -> Element:
        """A type placed at its explicit offset, or at `position`, the end of what stands before."""
        presence, constant, kind = self._presence(node, kind)
        offset = number(node, "offset", position)
        assert offset is not None
        if presence == CONSTANT:
            offset = position
        elif offset < position:
            what = f"{name} at {offset} overlaps what ends at {position}"
            raise node.error("overlap", what)
        check_end(node, offset + (0 if presence == CONSTANT else kind.size))
        return Element(
            name=name,
            type=kind,
            offset=offset,
            presence=presence,
            constant=constant,
            since=self.since(node, kind.since),
            deprecated=number(node, "deprecated"),
            semantic_type=node.get("semanticType"),
            description=description_of(node),
        )

    def _presence(self, node: Node, kind: Type) -> tuple[str, Value | None, Type]:
        """The effective presence of a use of `kind`, and its constant.

        A use may tighten or loosen `required` and `optional`; `constant` on one side and
        `optional` on the other contradict each other.
        """
        given = presence_of(node)
        own = kind.presence if isinstance(kind, (Scalar, Enum)) else REQUIRED
        # An enum has no presence of its own, only that of its encoding type: it may be fixed.
        fixed = isinstance(kind, Enum) and given == CONSTANT
        if CONSTANT in (given, own) and OPTIONAL in (given, own) and not fixed:
            self.breach(node, "presence", f"{given} here, but {own} by type {kind.name}")
            given = own = CONSTANT if own == CONSTANT else OPTIONAL
        reference = node.get("valueRef")
        if isinstance(kind, Scalar) and own == CONSTANT:
            return CONSTANT, kind.constant, kind
        if given == CONSTANT:
            if reference is None:
                raise node.error("constant", f"constant {name_of(node)} has no valueRef")
            target, value = self.reference(node, reference)
            if isinstance(kind, (Composite, Set)):
                raise node.error("constant", f"{kind.name} is neither an enum nor a simple type")
            if isinstance(kind, Enum) and kind.name != target.name:
                raise node.error("value-ref", f"{reference} is not a value of {kind.name}")
            if not _holds(kind.primitive, value):
                raise node.error("constant", f"{reference} does not fit {kind.primitive.name}")
            return CONSTANT, value, kind
        return given or own, None, kind

    # Enums and sets

    def _encoding_type(self, node: Node) -> Scalar:
        name = node.get("encodingType")
        if name is None:
            raise node.error("missing-attribute", f"{node.tag} has no encodingType")
        kind = self.resolve(name, node)
        if not isinstance(kind, Scalar) or kind.length != 1 or kind.presence == CONSTANT:
            raise node.error("encoding-type", f"{name} is not one plain value")
        return kind

    def _enum(self, node: Node) -> Enum:
        scalar = self._encoding_type(node)
        if scalar.primitive.is_float:
            raise node.error("encoding-type", f"an enum of {scalar.primitive.name}")
        choices = self._choices(node, "validValue", scalar)
        null: int | float = scalar.null
        own_null = node.get("nullValue")
        if own_null is not None:
            null = parse_value(node, scalar.primitive, own_null)
        return Enum(
            name=name_of(node),
            primitive=scalar.primitive,
            null=null,
            choices=choices,
            presence=presence_of(node) or scalar.presence,
            since=self.since(node),
            deprecated=number(node, "deprecated"),
            description=description_of(node),
        )

    def _set(self, node: Node) -> Set:
        scalar = self._encoding_type(node)
        if scalar.primitive.kind != "uint":
            raise node.error("encoding-type", f"a set of {scalar.primitive.name}")
        return Set(
            name=name_of(node),
            primitive=scalar.primitive,
            choices=self._choices(node, "choice", scalar),
            since=self.since(node),
            deprecated=number(node, "deprecated"),
            description=description_of(node),
        )

    def _choices(self, node: Node, tag: str, scalar: Scalar) -> tuple[Choice, ...]:
        choices: list[Choice] = []
        for child in node.children:
            if child.tag != tag:
                continue
            choice = self._choice(child, scalar)
            if any(choice.name == other.name for other in choices):
                raise child.error("duplicate-name", f"{choice.name} is there twice")
            if any(choice.value == other.value for other in choices):
                self.breach(child, "duplicate-value", f"{child.text.strip()} is there twice")
            choices.append(choice)
        return tuple(choices)

    def _choice(self, node: Node, scalar: Scalar) -> Choice:
        primitive = scalar.primitive
        text = node.text.strip() or (node.text[:1] if primitive.kind == "char" else "")
        if node.tag == "choice":
            if not text.isascii() or not text.isdigit() or int(text) >= 8 * primitive.size:
                raise node.error("choice", f"bit {text!r} is not in {primitive.name}")
            value = int(text)
        else:
            value = int(parse_value(node, primitive, text))
            if not _holds(primitive, value):
                raise node.error("valid-value", f"{text} does not fit {primitive.name}")
            given = scalar.minimum > primitive.minimum or scalar.maximum_given
            if given and not scalar.minimum <= value <= scalar.maximum:
                raise node.error("valid-value", f"{text} is outside the range of {scalar.name}")
        return Choice(
            name=name_of(node),
            value=value,
            since=self.since(node),
            deprecated=number(node, "deprecated"),
            description=description_of(node),
        )


def parse_value(node: Node, primitive: Primitive, text: str) -> int | float:
    """A value as schemas write it: a char as itself, numbers decimal or with 0x."""
    if primitive.kind == "char":
        if len(text) == 1 and ord(text) < 256:
            return ord(text)
        raise node.error("value", f"{text!r} is not one character")
    try:
        if primitive.is_float:
            return float(text)
        return int(text, 16 if text.lower().lstrip("+-").startswith("0x") else 10)
    except ValueError:
        raise node.error("value", f"{text!r} is not a number") from None


def _holds(primitive: Primitive, value: int | float) -> bool:
    return isnan(value) or primitive.lowest <= value <= primitive.highest


def _plain(primitive: Primitive) -> Scalar:
    return Scalar(
        name=primitive.name,
        primitive=primitive,
        length=1,
        presence=REQUIRED,
        null=primitive.null,
        minimum=primitive.minimum,
        maximum=primitive.maximum,
    )


def _encoding(node: Node) -> str | None:
    name = node.get("characterEncoding")
    if not name:
        return None
    try:
        "".encode(name)  # also refuses codecs that are none of text, such as hex
        return codecs.lookup(name).name
    except LookupError:
        raise node.error("character-encoding", f"{name} is not known") from None
