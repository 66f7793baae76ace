"""A message of every type with every field of its table: what both dictionaries must agree on."""

from collections.abc import Iterator, Sequence

from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.dictionary.messages import Layout, Member
from gateway.fix.message import DATA_FIELDS, frame

_TIME = "20260101-00:00:00.123"
_VALUES = {
    "UTCTIMESTAMP": _TIME, "UTCDATEONLY": "20260101", "LOCALMKTDATE": "20260101",
    "UTCTIMEONLY": "00:00:00.123", "MONTHYEAR": "202601", "CURRENCY": "USD", "BOOLEAN": "Y",
    "STRING": "text", "EXCHANGE": "XONE", "DATA": "x", "CHAR": "1", "LENGTH": "1",
}
HEADER = f"49=CLIENT\x0156=EXEC\x0134=2\x0152={_TIME}\x01"


def value(tag: int) -> str:
    """A value the field may have."""
    field = FIELDS[tag]
    return next(iter(field.values), _VALUES.get(field.type, "1"))


def fields(members: Sequence[Member], leave: int = 0) -> Iterator[tuple[int, str]]:
    """Every field, each group with one entry, but for the tag to leave out."""
    data = set(DATA_FIELDS.values())
    for member in members:
        if member.tag == leave or member.tag in data:
            continue
        if member.group:
            inner = list(fields(member.group, leave))
            yield member.tag, "1" if inner else "0"
            yield from inner
        else:
            yield member.tag, value(member.tag)
            if member.tag in DATA_FIELDS:
                yield DATA_FIELDS[member.tag], "x"


def sample(layout: Layout, leave: int = 0, more: str = "") -> bytes:
    """The message, whole; `leave` a tag out, `more` fields at the end."""
    text = "".join(f"{tag}={text}\x01" for tag, text in fields(layout.members, leave))
    return frame(b"FIX.4.4", f"35={layout.kind}\x01{HEADER}{text}{more}".encode())

