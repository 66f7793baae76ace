"""FIX messages off the hot path: bytes to fields and fields to bytes.

`parse` trusts that the bytes were framed (gateway/fix/frame.py). A raw data field is as long as the
length field before it says, so it may hold separators. What can't be read as `tag=value` fields is
`Garbled`; tags that are numbers but no tags (0, −1) are left for the validation to reject.
"""

from collections.abc import Iterable, Iterator

SOH = b"\x01"

# A length field and the data field that must follow it.
DATA_FIELDS = {
    90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357, 358: 359,
    360: 361, 362: 363, 364: 365, 445: 446, 618: 619, 621: 622,
}


class Garbled(Exception):
    """The bytes are no sequence of fields; they are skipped, their number isn't counted."""


class Message:
    """The fields of one message in the order they came, with look-up by tag (first wins)."""

    __slots__ = ("_first", "fields", "raw")

    def __init__(self, raw: bytes, fields: list[tuple[int, bytes]]) -> None:
        self.raw = raw
        self.fields = fields
        self._first: dict[int, bytes] = {}
        for tag, value in fields:
            self._first.setdefault(tag, value)

    @property
    def kind(self) -> str:
        """MsgType (35)."""
        return self._first.get(35, b"").decode("latin-1")

    def get(self, tag: int) -> bytes | None:
        """The first value of a tag, or None."""
        return self._first.get(tag)

    def text(self, tag: int, default: str = "") -> str:
        """The first value of a tag as text."""
        value = self._first.get(tag)
        return default if value is None else value.decode("latin-1")

    def number(self, tag: int) -> int | None:
        """The first value of a tag as a whole number ≥ 0, or None if it has none."""
        value = self._first.get(tag)
        return int(value) if value is not None and value.isdigit() and len(value) < 19 else None

    def __contains__(self, tag: int) -> bool:
        return tag in self._first

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return iter(self.fields)

    def group(self, count_tag: int, members: Iterable[int]) -> list[dict[int, bytes]]:
        """The entries of a repeating group; each begins with the tag that comes first."""
        known = set(members)
        entries: list[dict[int, bytes]] = []
        inside = False
        first = 0
        for tag, value in self.fields:
            if tag == count_tag:
                inside, first = True, 0
            elif inside and tag in known:
                if not first:
                    first = tag
                if tag == first or not entries:
                    entries.append({})
                entries[-1].setdefault(tag, value)
            elif inside:
                break
        return entries

    def __str__(self) -> str:
        return self.raw.decode("latin-1").replace("\x01", "|")


def _tag(text: bytes) -> int:
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or len(text) > 9:
        raise Garbled(f"tag {text[:20]!r}")
    return int(text)


def parse(raw: bytes) -> Message:
    """The fields of a framed message. Raises Garbled."""
    fields: list[tuple[int, bytes]] = []
    at, end = 0, len(raw)
    data_tag: int | None = None
    data_length = 0
    while at < end:
        equals = raw.find(b"=", at)
        stop = raw.find(SOH, at)
        if equals < 0 or stop < 0 or stop < equals:
            raise Garbled(f"field at byte {at} has no value sign")
        tag = _tag(raw[at:equals])
        if tag == data_tag:
            stop = equals + 1 + data_length
            if stop >= end or raw[stop : stop + 1] != SOH:
                raise Garbled(f"tag {tag} isn't {data_length} bytes long")
        value = raw[equals + 1 : stop]
        fields.append((tag, value))
        data_tag = DATA_FIELDS.get(tag)
        if data_tag is not None:
            if not value.isdigit() or len(value) > 6:
                data_tag = None
            else:
                data_length = int(value)
        at = stop + 1
    return Message(raw, fields)


def body(fields: Iterable[tuple[int, object]]) -> bytes:
    """Fields as bytes, each with its separator; None is left out."""
    return b"".join(
        b"%d=%b\x01" % (tag, value if isinstance(value, bytes) else str(value).encode("utf-8"))
        for tag, value in fields
        if value is not None
    )


def frame(begin: bytes, rest: bytes) -> bytes:
    """A whole message: begin string, length, `rest` from MsgType on, sum."""
    head = b"8=%b\x019=%d\x01" % (begin, len(rest))
    return b"%b%b10=%03d\x01" % (head, rest, (sum(head) + sum(rest)) & 255)

