"""Messages as lines of JSON, the form of `onebook sbe encode` and `decode`.

    {"name": "Sequence", "nextSeqNo": 7, "lastAppliedSeqNo": 3, "lapsed": 0}

The fields stand beside `name`, or under `fields` where one of them has a name that is taken here
(see TAKEN). Both forms are read. Beside them may stand `messageHeader`, members of the header that
the standard does not name (left out where all are null or zero, as encoding makes them), and,
decoded, `problems`: values that break their type.

Bytes are hex; text that is no text in its encoding is {"hex": …}; NaN and infinities are words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sbe.codec import Codec
from sbe.decode import Decoded
from sbe.errors import EncodeError, SbeError
from sbe.layout import CONSTANT, Element, Schema
from sbe.read_values import NotText

#: Names that mean something in a line.
TAKEN = frozenset(("name", "fields", "messageHeader", "problems", "error"))


def plain(value: Any) -> Any:
    """A decoded value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, NotText):
        return {"hex": value.hex()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value - value != 0.0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def to_line(decoded: Decoded, schema: Schema) -> str:
    """One line for a decoded message."""
    message = schema.message(decoded.name)
    assert message is not None
    line: dict[str, Any] = {"name": decoded.name}
    fields = plain(decoded.fields)
    if message.names & TAKEN:
        line["fields"] = fields
    else:
        line.update(fields)
    extra = decoded.extra_header
    members = {member.name: member for member in schema.header.members}
    if not all(_is_unset(members[name], value) for name, value in extra.items()):
        line["messageHeader"] = plain(extra)
    if decoded.problems:
        line["problems"] = decoded.problems
    return json.dumps(line, ensure_ascii=False)


def _is_unset(element: Element, value: Any) -> bool:
    """Whether a header member is what it is where nobody gives it."""
    if element.is_optional or element.presence == CONSTANT:
        return value is None or element.presence == CONSTANT
    return not (any(value) if isinstance(value, (bytes, list)) else value)


def encode_line(codec: Codec, line: str) -> str:
    """The hex of the message a line describes, or a line with the error."""
    try:
        return _encode(codec, json.loads(line)).hex()
    except SbeError as error:
        return json.dumps({"error": str(error)}, ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        return json.dumps({"error": f"not JSON: {error}"}, ensure_ascii=False)


def _encode(codec: Codec, given: Any) -> bytes:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise EncodeError("line", 'expected an object with a "name"')
    message = codec.schema.message(given["name"])
    names = message.names if message is not None else frozenset[str]()
    if isinstance(given.get("fields"), dict) and not ("fields" in names and "name" not in names):
        fields = given["fields"]
    else:
        fields = {k: v for k, v in given.items() if k not in TAKEN}
    return codec.encode(given["name"], fields, given.get("messageHeader"))


def decode_line(codec: Codec, line: str) -> str:
    """The line of JSON for a message in hex, or a line with the error."""
    try:
        data = bytes.fromhex(line.strip().lower().removeprefix("0x"))
    except ValueError as error:
        return json.dumps({"error": f"not hex: {error}"}, ensure_ascii=False)
    try:
        return to_line(codec.inspect(data, lenient=True), codec.schema)
    except SbeError as error:
        return json.dumps({"error": str(error)}, ensure_ascii=False)
