"""What a schema means once every name is resolved and every offset is known.

    Schema ─┬─ types: Scalar | Enum | Set | Composite ── members: Element …
            ├─ header: Composite
            └─ messages: Message (a Block)

    Block  ── fields: Element …, groups: Group (a Block) …, data: Data …

    one message on the wire

    ┌────────┬───────────────────┬─ group ───────────────────────┬─ data ──────────┐
    │ header │ root block        │ dimension │ entry │ entry │ … │ length │ bytes  │ …
    └────────┴───────────────────┴───────────────────────────────┴─────────────────┘
              fields at offsets,              │
              gaps between are zero           └ a block, its groups, its data, then the next

All is immutable. Offsets and sizes are bytes; an offset counts from the block (or composite) that
holds the element. Source: SBE 1.0 standard, chapters 2 to 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from sbe.primitives import Primitive

REQUIRED, OPTIONAL, CONSTANT = "required", "optional", "constant"

Value: TypeAlias = int | float | str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A simple type: one primitive, or `length` of them; `length` 0 is variable.

    `null` is what stands for "no value" when the presence is optional. `encoding` is a name of a
    Python codec or None; `constant` is set when the presence is constant.
    """

    name: str
    primitive: Primitive
    length: int
    presence: str
    null: int | float
    minimum: int | float
    maximum: int | float
    constant: Value | None = None
    encoding: str | None = None
    since: int = 0
    deprecated: int | None = None
    semantic_type: str | None = None
    description: str = ""
    maximum_given: bool = False

    @property
    def size(self) -> int:
        return 0 if self.presence == CONSTANT else self.primitive.size * self.length

    @property
    def is_text(self) -> bool:
        """Whether it is characters, or an array with a character encoding."""
        return self.primitive.kind == "char" or self.encoding is not None


@dataclass(frozen=True, slots=True)
class Choice:
    """A valid value of an enum, or a choice of a set (then `value` is the bit number)."""

    name: str
    value: int
    since: int = 0
    deprecated: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Enum:
    """Named values of one primitive; a char is its code."""

    name: str
    primitive: Primitive
    null: int | float
    choices: tuple[Choice, ...]
    presence: str = REQUIRED
    since: int = 0
    deprecated: int | None = None
    description: str = ""

    @property
    def size(self) -> int:
        return self.primitive.size


@dataclass(frozen=True, slots=True)
class Set:
    """Named bits of one unsigned integer."""

    name: str
    primitive: Primitive
    choices: tuple[Choice, ...]
    since: int = 0
    deprecated: int | None = None
    description: str = ""

    @property
    def size(self) -> int:
        return self.primitive.size

    @property
    def mask(self) -> int:
        """All bits that have a name."""
        return sum(1 << choice.value for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Composite:
    """Elements in a row, some perhaps with padding before."""

    name: str
    members: tuple[Element, ...]
    size: int
    since: int = 0
    deprecated: int | None = None
    description: str = ""

    def member(self, name: str) -> Element | None:
        return next((member for member in self.members if member.name == name), None)


Type: TypeAlias = Scalar | Enum | Set | Composite


@dataclass(frozen=True, slots=True)
class Element:
    """A field of a block, or a member of a composite: a type at an offset.

    `presence` is the effective one; `null` the effective null value of a scalar or enum. A constant
    has a `constant` (of an enum: the encoded value) and takes no bytes.
    """

    name: str
    type: Type
    offset: int
    presence: str
    constant: Value | None = None
    id: int | None = None
    since: int = 0
    deprecated: int | None = None
    semantic_type: str | None = None
    time_unit: str | None = None
    epoch: str | None = None
    description: str = ""

    @property
    def size(self) -> int:
        return 0 if self.presence == CONSTANT else self.type.size

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def is_optional(self) -> bool:
        return self.presence == OPTIONAL


@dataclass(frozen=True, slots=True)
class Data:
    """A variable-length element: `type` is a composite of a length and the bytes."""

    name: str
    id: int
    type: Composite
    since: int = 0
    deprecated: int | None = None
    semantic_type: str | None = None
    description: str = ""

    @property
    def length(self) -> Element:
        return _must(self.type.member("length"))

    @property
    def bytes(self) -> Scalar:
        scalar = _must(self.type.member("varData")).type
        assert isinstance(scalar, Scalar)
        return scalar

    @property
    def length_max(self) -> int:
        return count_max(self.length)


@dataclass(frozen=True, slots=True)
class Block:
    """Fields at offsets, then groups, then data: the shape of a message and of a group entry.

    `own_length` is where the last field ends, `block_length` at least that.
    """

    name: str
    id: int
    block_length: int
    own_length: int
    fields: tuple[Element, ...] = ()
    groups: tuple[Group, ...] = ()
    data: tuple[Data, ...] = ()
    since: int = 0
    deprecated: int | None = None
    semantic_type: str | None = None
    description: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Names of all its fields, groups and data."""
        groups, data = (g.name for g in self.groups), (d.name for d in self.data)
        return frozenset((*(f.name for f in self.fields), *groups, *data))

    def length_at(self, version: int) -> int:
        """Where the last field ends that a sender of `version` knew."""
        return max((f.end for f in self.fields if f.since <= version), default=0)

    def extensions(self) -> list[tuple[int, int]]:
        """(version, least block length) for version 0 and each version that made it longer."""
        steps = [(0, self.length_at(0))]
        for version in sorted({f.since for f in self.fields if f.since > 0}):
            length = self.length_at(version)
            if length > steps[-1][1]:
                steps.append((version, length))
        return steps


@dataclass(frozen=True, slots=True)
class Group(Block):
    """A repeating block; `dimension` is the composite in front of its entries."""

    dimension: Composite = field(kw_only=True)

    @property
    def count(self) -> Element:
        return _must(self.dimension.member("numInGroup"))

    @property
    def stride(self) -> Element:
        return _must(self.dimension.member("blockLength"))


@dataclass(frozen=True, slots=True)
class Message(Block):
    """One message; `id` is its template id."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A whole schema; `order` is `<` or `>` as `struct` writes it."""

    package: str
    id: int
    version: int
    semantic_version: str
    description: str
    order: str
    header: Composite
    types: tuple[Type, ...]
    messages: tuple[Message, ...]
    warnings: tuple[str, ...] = ()

    def message(self, name: str) -> Message | None:
        return next((message for message in self.messages if message.name == name), None)

    def template(self, number: int) -> Message | None:
        return next((message for message in self.messages if message.id == number), None)


def is_character(kind: Type) -> bool:
    """Whether a type is simple, and made of characters."""
    return isinstance(kind, Scalar) and kind.primitive.kind == "char"


def wire_members(composite: Composite) -> list[Element]:
    """The members that take bytes."""
    return [member for member in composite.members if member.presence != CONSTANT]


def single_member(kind: Type) -> Element | None:
    """The only wire member of a composite that has just one."""
    if not isinstance(kind, Composite):
        return None
    members = wire_members(kind)
    return members[0] if len(members) == 1 else None


def count_max(element: Element) -> int:
    """The greatest count or length that `element` may carry; its null is none."""
    scalar = element.type
    assert isinstance(scalar, Scalar)
    return int(scalar.maximum)


def count_min(element: Element) -> int:
    """The least count or length that `element` may carry."""
    scalar = element.type
    assert isinstance(scalar, Scalar)
    return max(0, int(scalar.minimum))


def blocks(block: Block, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Block]]:
    """The block and all groups below it, outer first, each with the names that lead to it."""
    here = (*path, block.name)
    yield here, block
    for group in block.groups:
        yield from blocks(group, here)


def _must(element: Element | None) -> Element:
    assert element is not None, "the parser lets no composite without this member through"
    return element
