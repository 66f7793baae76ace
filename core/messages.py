"""Both schemas of the exchange as one vocabulary, for everyone who is in no hurry.

`sbe.codec` speaks one schema; commands and events come from two, `order_entry` and `control`, which
share one range of template ids, so that the id (or the name) alone says which message it is.

    template("CommandResult")                 510
    encode("Deposit", {"key": 1, …})          bytes, SBE header included
    decode_body(510, event.body)              {"header": {…}, "key": 1, …}

Enums and sets come out as numbers, prices and quantities as their int64 with exponent −8, arrays of
char as text, nulls as None; the same goes in. Parsed once a process, at first use; no numba.
"""

import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import sbe
from sbe.codec import Codec
from sbe.layout import Message

SCHEMA_DIRECTORY = Path(sbe.__file__).parent / "schema"
SCHEMAS = ("order_entry", "control")
HEADER = struct.Struct("<HHHH")


@cache
def codecs() -> tuple[Codec, ...]:
    """The codecs of the schemas, in the order of `SCHEMAS`."""
    return tuple(Codec.load(SCHEMA_DIRECTORY / f"{name}.xml", raw=True) for name in SCHEMAS)


@cache
def _by_name() -> dict[str, tuple[Codec, Message]]:
    return {
        message.name: (codec, message) for codec in codecs() for message in codec.schema.messages
    }


@cache
def _by_template() -> dict[int, tuple[Codec, Message]]:
    return {message.id: (codec, message) for codec, message in _by_name().values()}


def layout(name: str) -> Message:
    """Where the fields of a message are. Raises KeyError."""
    return _by_name()[name][1]


def template(name: str) -> int:
    """The template id of a message. Raises KeyError."""
    return _by_name()[name][1].id


def message_name(template_id: int) -> str:
    """The name of the message with a template id. Raises KeyError."""
    return _by_template()[template_id][1].name


def encode(name: str, fields: Mapping[str, Any]) -> bytes:
    """A whole message. Raises KeyError, or EncodeError that names the field."""
    return _by_name()[name][0].encode(name, dict(fields))


def decode_body(template_id: int, body: memoryview | bytes) -> dict[str, Any]:
    """The fields of a message given from its root block on; padding behind it is left alone."""
    codec, message = _by_template()[template_id]
    header = HEADER.pack(message.block_length, template_id, codec.schema.id, codec.schema.version)
    return _flat(codec.inspect(header + bytes(body), exact=False).fields)


def decode(data: memoryview | bytes) -> tuple[str, dict[str, Any]]:
    """Name and fields of a whole message, header included; padding behind it is left alone."""
    codec, message = _by_template()[HEADER.unpack_from(data)[1]]
    return message.name, _flat(codec.inspect(bytes(data), exact=False).fields)


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Decimals as their mantissa, in groups too: the exponent is always −8."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and "mantissa" in value:
            flat[name] = value["mantissa"]
        elif isinstance(value, list):
            flat[name] = [_flat(v) if isinstance(v, dict) else v for v in value]
        else:
            flat[name] = value
    return flat
