"""What may change between two versions of a schema, and what may not.

The standard lets a sender and a receiver differ in version because every block says its length: a
receiver skips what it does not know and takes what is absent as null. So a new version may add

    fields at the end of a block, enum values, set choices, whole messages,
    data at the end of a message, groups at the end of a message that has no data,

each with a `sinceVersion`. All else breaks one side or the other. The trap: a group added in front
of data shifts the data, and the eight-byte header has no count of groups by which an old receiver
could tell. Source: SBE 1.0 standard, chapter 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Data,
    Element,
    Enum,
    Group,
    Message,
    Scalar,
    Schema,
    Set,
    Type,
    wire_members,
)

ERROR, WARNING = "error", "warning"

_COUNTERS = frozenset(("numGroups", "numVarDataFields"))
_Numbered = TypeVar("_Numbered", Element, Group, Data, Message)


@dataclass(frozen=True, slots=True)
class Finding:
    """One change: `level` is error or warning, `rule` a stable short name, `path` where."""

    level: str
    path: str
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.level}: {self.path}: {self.rule}: {self.what}"


def compare(old: Schema, new: Schema) -> list[Finding]:
    """Every change from `old` to `new` that somebody must know of, in schema order."""
    return _Comparison(old, new).run()


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self.old = old
        self.new = new
        self.findings: list[Finding] = []

    def error(self, path: str, rule: str, what: str) -> None:
        self.findings.append(Finding(ERROR, path, rule, what))

    def warning(self, path: str, rule: str, what: str) -> None:
        self.findings.append(Finding(WARNING, path, rule, what))

    def run(self) -> list[Finding]:
        self._schema()
        olds = {message.id: message for message in self.old.messages}
        for message in self.new.messages:
            if message.id not in olds:
                self._new_message(message)
        for message in self.old.messages:
            after = self.new.template(message.id)
            if after is None:
                self.error(message.name, "message-removed", f"template {message.id} is gone")
                continue
            self._name(message, after, message.name)
            counted = self._is_counted(self.new.header)
            self._block(message, after, message.name, counted, nested=False)
        self._version()
        return self.findings

    # The schema as a whole

    def _schema(self) -> None:
        old, new = self.old, self.new
        if old.id != new.id:
            self.error("schema", "schema-id", f"{old.id} became {new.id}")
        if old.order != new.order:
            self.error("schema", "byte-order", "bytes are the other way round")
        if old.package != new.package:
            self.warning("schema", "package", f"{old.package} became {new.package}")
        if new.version < old.version:
            self.error("schema", "version", f"{old.version} became {new.version}")
        self._type(old.header, new.header, "header", CONSTANT)

    def _version(self) -> None:
        same = self.old.version == self.new.version
        if same and (self.findings or _shape(self.old) != _shape(self.new)):
            self.error("schema", "version", f"changed, but the version is still {self.new.version}")

    def _new_message(self, message: Message) -> None:
        twin = self.old.message(message.name)
        if twin is not None:
            what = f"template {twin.id} became {message.id}"
            self.error(message.name, "template-id", what)
        elif message.since <= self.old.version:
            what = "a new message without a sinceVersion of this version"
            self.warning(message.name, "since-version", what)

    def _is_counted(self, composite: Composite) -> bool:
        """Whether a header or dimension tells how many groups and data follow."""
        return all(composite.member(name) is not None for name in _COUNTERS)

    def _name(self, old: _Numbered, new: _Numbered, path: str) -> None:
        if old.name != new.name:
            self.warning(path, "renamed", f"now {new.name}: the wire is the same, programs not")

    # Blocks

    def _block(self, old: Block, new: Block, path: str, counted: bool, nested: bool) -> None:
        if new.block_length < old.block_length:
            what = f"{old.block_length} became {new.block_length}"
            self.error(path, "block-length", what)
        if new.since != old.since:
            self.error(path, "since-version", f"{old.since} became {new.since}")
        self._fields(old, new, path)
        self._sequence(old.groups, new.groups, path, "group")
        self._sequence(old.data, new.data, path, "data")
        self._appended(old, new, path, counted, nested)
        for before in old.groups:
            after = _same(before, new.groups)
            if after is not None:
                here = f"{path}.{before.name}"
                self._type(before.dimension, after.dimension, here, CONSTANT)
                inner = self._is_counted(after.dimension)
                self._block(before, after, here, inner, nested=True)
        for data in old.data:
            twin = _same(data, new.data)
            if twin is not None:
                self._type(data.type, twin.type, f"{path}.{data.name}", CONSTANT)
                if data.bytes.encoding != twin.bytes.encoding:
                    what = f"{data.bytes.encoding} became {twin.bytes.encoding}"
                    self.error(f"{path}.{data.name}", "character-encoding", what)

    def _fields(self, old: Block, new: Block, path: str) -> None:
        for before in old.fields:
            after, here = _same(before, new.fields), f"{path}.{before.name}"
            if after is None:
                self.error(here, "field-removed", "deprecate it, and leave it in its place")
                continue
            self._name(before, after, here)
            on_wire = CONSTANT not in (before.presence, after.presence)
            if on_wire and before.offset != after.offset:
                self.error(here, "field-moved", f"from {before.offset} to {after.offset}")
            self._element(before, after, here)
        for field in new.fields:
            if _same(field, old.fields) is None:
                self._new_field(field, old, f"{path}.{field.name}")

    def _new_field(self, field: Element, old: Block, path: str) -> None:
        if field.presence == CONSTANT:
            return
        if field.offset < old.own_length:
            self.error(path, "field-inserted", f"at {field.offset}, inside the old block")
        self._needs_since(field.since, path, ERROR)
        if field.presence == "required":
            what = "required, but absent from messages of older senders"
            self.warning(path, "new-required", what)

    def _needs_since(self, since: int, path: str, level: str) -> None:
        if since <= self.old.version:
            what = f"new, so its sinceVersion must be above {self.old.version}, was {since}"
            self.findings.append(Finding(level, path, "since-version", what))

    def _sequence(
        self,
        old: Sequence[Group | Data],
        new: Sequence[Group | Data],
        path: str,
        kind: str,
    ) -> None:
        """Old groups (data) must come first and in their order."""
        kept = [item.id for item in new]
        for index, before in enumerate(old):
            if before.id not in kept:
                self.error(f"{path}.{before.name}", f"{kind}-removed", f"the {kind} is gone")
            elif kept.index(before.id) != index:
                what = f"was number {index + 1}, is number {kept.index(before.id) + 1}"
                self.error(f"{path}.{before.name}", f"{kind}-moved", what)

    def _appended(self, old: Block, new: Block, path: str, counted: bool, nested: bool) -> None:
        for group in new.groups:
            if _same(group, old.groups) is not None:
                continue
            here = f"{path}.{group.name}"
            self._needs_since(group.since, here, ERROR)
            if old.data and not counted:
                what = "a group in front of data: an old receiver reads it as the data"
                self.error(here, "group-before-data", what)
            elif nested and not counted:
                self.error(here, "group-in-entry", "an old receiver reads it as the next entry")
        for data in new.data:
            if _same(data, old.data) is not None:
                continue
            here = f"{path}.{data.name}"
            self._needs_since(data.since, here, ERROR)
            if nested and not counted:
                self.error(here, "data-in-entry", "an old receiver reads it as the next entry")
        if not nested and not counted and self._grew(old, new):
            what = "an old receiver finds the end of the message only by the frame around it"
            self.warning(path, "needs-framing", what)

    def _grew(self, old: Block, new: Block) -> bool:
        return len(new.groups) > len(old.groups) or len(new.data) > len(old.data)

    # Elements and types

    def _element(self, old: Element, new: Element, path: str) -> None:
        if old.presence != new.presence:
            self.error(path, "presence", f"{old.presence} became {new.presence}")
        elif old.constant != new.constant:
            self.error(path, "constant", f"{old.constant!r} became {new.constant!r}")
        if old.since != new.since:
            self.error(path, "since-version", f"{old.since} became {new.since}")
        if old.time_unit != new.time_unit or old.epoch != new.epoch:
            self.error(path, "time-unit", f"{old.time_unit} became {new.time_unit}")
        if old.semantic_type != new.semantic_type:
            what = f"{old.semantic_type} became {new.semantic_type}"
            self.warning(path, "semantic-type", what)
        self._type(old.type, new.type, path, old.presence)

    def _type(self, old: Type, new: Type, path: str, presence: str) -> None:
        if type(old) is not type(new):
            was, now = type(old).__name__.lower(), type(new).__name__.lower()
            self.error(path, "type", f"{was} became {now}")
        elif isinstance(old, Composite) and isinstance(new, Composite):
            self._composite(old, new, path)
        elif isinstance(old, Enum) and isinstance(new, Enum):
            self._choices(old, new, path, "value")
            if presence == "optional" and old.null != new.null:
                self.error(path, "null-value", f"{old.null} became {new.null}")
        elif isinstance(old, Set) and isinstance(new, Set):
            self._choices(old, new, path, "choice")
        elif isinstance(old, Scalar) and isinstance(new, Scalar):
            self._scalar(old, new, path, presence)

    def _scalar(self, old: Scalar, new: Scalar, path: str, presence: str) -> None:
        was, now = (f"{s.primitive.name}[{s.length}]" for s in (old, new))
        if was != now and old.presence != CONSTANT:
            self.error(path, "type", f"{was} became {now}")
        if presence == "optional" and not _equal(old.null, new.null):
            self.error(path, "null-value", f"{old.null} became {new.null}")
        if old.encoding != new.encoding:
            self.error(path, "character-encoding", f"{old.encoding} became {new.encoding}")
        if (old.minimum, old.maximum) != (new.minimum, new.maximum):
            what = f"{old.minimum} to {old.maximum} became {new.minimum} to {new.maximum}"
            self.warning(path, "range", what)

    def _composite(self, old: Composite, new: Composite, path: str) -> None:
        olds, news = ([(m.name, m.offset) for m in wire_members(c)] for c in (old, new))
        if olds != news or old.size != new.size:
            what = "members were added, removed, renamed or moved; a composite can't grow"
            self.error(path, "composite", what)
            return
        for before in old.members:
            after = new.member(before.name)
            if after is None:
                self.error(f"{path}.{before.name}", "composite", "a constant member is gone")
            else:
                self._element(before, after, f"{path}.{before.name}")

    def _choices(self, old: Enum | Set, new: Enum | Set, path: str, kind: str) -> None:
        if old.primitive != new.primitive:
            what = f"{old.primitive.name} became {new.primitive.name}"
            self.error(path, "type", what)
        by_value = {choice.value: choice for choice in new.choices}
        for choice in old.choices:
            after = by_value.get(choice.value)
            if after is None:
                what = f"{choice.name} = {choice.value} is gone"
                self.error(path, f"{kind}-removed", what)
            elif after.name != choice.name:
                what = f"{choice.value} was {choice.name}, is {after.name}"
                self.warning(path, "renamed", what)
        known = {choice.value for choice in old.choices}
        for choice in new.choices:
            if choice.value not in known:
                self._needs_since(choice.since, f"{path}.{choice.name}", WARNING)


def _same(wanted: _Numbered, among: Iterable[_Numbered]) -> _Numbered | None:
    """The element with the same id."""
    return next((item for item in among if item.id == wanted.id), None)


def _equal(left: int | float, right: int | float) -> bool:
    return left == right or (left != left and right != right)


def _shape(schema: Schema) -> object:
    """What a change of which needs a new version: messages and their element names."""
    return [
        (m.id, m.block_length, len(m.fields), len(m.groups), len(m.data)) for m in schema.messages
    ]
