"""Judges one inbound message by the tables and says what a session Reject must say.

The first rule that fails is the one reported, in this order: for each field as it comes, header
after body (14), tag number (0), empty value (4), field not of this type (2), format (6), value (5),
repeated (13); then required fields of header and body, by tag (1); then the groups (16, 15).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.fix.dictionary.fields import FIELDS, is_known
from gateway.fix.dictionary.messages import (
    HEADER_MEMBERS,
    HEADER_TAGS,
    INBOUND,
    TRAILER_TAGS,
    Layout,
    Member,
)
from gateway.fix.message import Message

INVALID_TAG, MISSING, NOT_FOR_TYPE, NO_VALUE, BAD_VALUE, BAD_FORMAT = 0, 1, 2, 4, 5, 6
COMP_ID, SENDING_TIME, MSG_TYPE, REPEATED, OUT_OF_ORDER = 9, 10, 11, 13, 14
GROUP_ORDER, GROUP_COUNT = 15, 16

TEXTS = {
    INVALID_TAG: "Invalid tag number",
    MISSING: "Required tag missing",
    NOT_FOR_TYPE: "Tag not defined for this message type",
    NO_VALUE: "Tag specified without a value",
    BAD_VALUE: "Value is incorrect (out of range) for this tag",
    BAD_FORMAT: "Incorrect data format for value",
    COMP_ID: "CompID problem",
    SENDING_TIME: "SendingTime accuracy problem",
    MSG_TYPE: "Invalid MsgType",
    REPEATED: "Tag appears more than once",
    OUT_OF_ORDER: "Tag specified out of required order",
    GROUP_ORDER: "Repeating group fields out of order",
    GROUP_COUNT: "Incorrect NumInGroup count for repeating group",
}

_DATE = r"(?:1[6-9]|[2-9]\d)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.(?:\d{3}|\d{6}|\d{9}|\d{12}))?"
_DECIMAL = r"-?(?:\d+\.?\d*|\.\d+)"
_FORMATS = {
    "INT": r"-?\d+",
    "LENGTH": r"\d+",
    "SEQNUM": r"\d+",
    "NUMINGROUP": r"\d+",
    "PRICE": _DECIMAL,
    "QTY": _DECIMAL,
    "AMT": _DECIMAL,
    "FLOAT": _DECIMAL,
    "CHAR": r"[\x21-\x7e]",
    "BOOLEAN": r"[YN]",
    "UTCTIMESTAMP": f"{_DATE}-{_CLOCK}",
    "UTCDATEONLY": _DATE,
    "UTCTIMEONLY": _CLOCK,
    "LOCALMKTDATE": _DATE,
    "MONTHYEAR": r"\d{6}(?:\d\d|w\d)?",
    "CURRENCY": r"[A-Za-z0-9]{3,8}",
}
_MATCHES = {kind: re.compile(pattern.encode()).fullmatch for kind, pattern in _FORMATS.items()}


class Fault(NamedTuple):
    """What is wrong: SessionRejectReason (373), the tag (371) and a text (58)."""

    reason: int
    tag: int | None

    @property
    def text(self) -> str:
        """What stands in Text."""
        return TEXTS[self.reason]


def check_value(tag: int, value: bytes) -> Fault | None:
    """A field's format, then its value."""
    field = FIELDS.get(tag)
    if field is None:
        return None
    matches = _MATCHES.get(field.type)
    if matches is not None and not matches(value):
        return Fault(BAD_FORMAT, tag)
    if field.values:
        given = value.decode("latin-1")
        listed = given.split(" ") if field.type == "MULTIPLEVALUESTRING" else [given]
        if any(one not in field.values for one in listed):
            return Fault(BAD_VALUE, tag)
    return None


def check(message: Message) -> Fault | None:
    """What is wrong with a message of a type we take; None if nothing is."""
    layout = INBOUND[message.kind]
    return _check_fields(message, layout) or _check_required(message, layout) or _check_groups(
        message, layout)


def _check_fields(message: Message, layout: Layout) -> Fault | None:
    allowed = layout.tags()
    repeating = _group_tags(layout.members)
    seen: set[int] = set()
    in_body = False
    for tag, value in message:
        header = tag in HEADER_TAGS
        if header and in_body:
            return Fault(OUT_OF_ORDER, tag)
        if not header and tag not in TRAILER_TAGS:
            in_body = True
        if not is_known(tag):
            return Fault(INVALID_TAG, tag)
        if not value:
            return Fault(NO_VALUE, tag)
        if not header and tag not in TRAILER_TAGS and tag not in allowed:
            return Fault(NOT_FOR_TYPE, tag)
        fault = check_value(tag, value)
        if fault is not None:
            return fault
        if tag in seen and tag not in repeating:
            return Fault(REPEATED, tag)
        seen.add(tag)
    return None


def _check_required(message: Message, layout: Layout) -> Fault | None:
    for members in (HEADER_MEMBERS, layout.members):
        for tag in sorted(member.tag for member in members if member.required):
            if tag not in message:
                return Fault(MISSING, tag)
    return None


def _group_tags(members: tuple[Member, ...]) -> frozenset[int]:
    found: set[int] = set()
    for member in members:
        for inner in member.group:
            found.add(inner.tag)
            found |= _group_tags((inner,))
    return frozenset(found)


def _check_groups(message: Message, layout: Layout) -> Fault | None:
    fields = message.fields
    for member in layout.members:
        if member.group and member.tag in message:
            at = next(i for i, (tag, _) in enumerate(fields) if tag == member.tag)
            fault, _ = _check_group(fields, at, member)
            if fault is not None:
                return fault
    return None


def _check_group(
    fields: list[tuple[int, bytes]], at: int, member: Member
) -> tuple[Fault | None, int]:
    """The group whose count field stands at index `at`; also the index after it."""
    wanted = int(fields[at][1])
    places = {inner.tag: place for place, inner in enumerate(member.group)}
    needed = {inner.tag for inner in member.group if inner.required}
    entries = 0
    at += 1
    last = -1  # place of the entry's newest field
    seen: set[int] = set()
    while at < len(fields) and fields[at][0] in places:
        tag = fields[at][0]
        place = places[tag]
        if place == 0:
            if entries and needed - seen:
                return Fault(MISSING, min(needed - seen)), at
            entries, seen, last = entries + 1, set(), -1
        elif not entries:
            return Fault(GROUP_ORDER, tag), at
        elif tag in seen:
            return Fault(REPEATED, tag), at
        elif place < last:
            return Fault(GROUP_ORDER, tag), at
        seen.add(tag)
        last = place
        if member.group[place].group:
            fault, at = _check_group(fields, at, member.group[place])
            if fault is not None:
                return fault, at
        else:
            at += 1
    if entries != wanted:
        return Fault(GROUP_COUNT, member.tag), at
    missing = needed - seen if entries else set()
    return (Fault(MISSING, min(missing)), at) if missing else (None, at)


def routing(message: Message) -> Iterator[tuple[int, bytes]]:
    """On-behalf-of and deliver-to fields the other way round, for an answer."""
    for given, answer in ((115, 128), (116, 129), (144, 145), (128, 115), (129, 116), (145, 144)):
        value = message.get(given)
        if value:
            yield answer, value
