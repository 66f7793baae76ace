"""The friendly slow way in and out of a schema, for tools and tests: dicts and bytes.

    codec = Codec.load("sbe/schema/order_entry.xml")
    data = codec.encode("Sequence", {"nextSeqNo": 7, "lastAppliedSeqNo": 3, "lapsed": 0})
    name, fields = codec.decode(data)

Numbers are numbers, enums names, sets lists of names, composites and group entries dicts, groups
lists, text `str`, other bytes `bytes`, null None. A constant may be left out. Needs no numba.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sbe.decode import Decoded, Decoder
from sbe.encode import Encoder, Fields
from sbe.errors import EncodeError
from sbe.layout import Schema
from sbe.parser import load


class Codec:
    """Encodes and decodes whole messages of one schema, header included.

    `strict` (the default) refuses to encode a value outside its type's range; `raw` decodes enums
    and sets to numbers.
    """

    def __init__(self, schema: Schema, *, strict: bool = True, raw: bool = False) -> None:
        self.schema = schema
        self._encoder = Encoder(schema, strict)
        self._decoder = Decoder(schema, raw)

    @classmethod
    def load(cls, path: str | Path, **options: bool) -> Codec:
        """A codec for the schema in a file. Raises SchemaError."""
        return cls(load(path), **options)

    def encode(
        self, name: str, fields: Fields | None = None, header: Fields | None = None
    ) -> bytes:
        """The bytes of one message; `header` gives header members the standard does not name.

        Raises EncodeError, which names the field.
        """
        message = self.schema.message(name)
        if message is None:
            raise EncodeError(name, f"schema {self.schema.package} has no such message")
        return self._encoder.message(message, fields or {}, header or {})

    def decode(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """The name and fields of the one message in `data`. Raises DecodeError."""
        decoded = self.inspect(data)
        return decoded.name, decoded.fields

    def inspect(self, data: bytes, *, exact: bool = True, lenient: bool = False) -> Decoded:
        """The message with its header, its problems, and where it ends.

        With `exact` false, bytes behind the message are left alone. With `lenient`, optional fields
        that a block is too short for are null; the compiled `check` refuses it. Raises DecodeError.
        """
        return self._decoder.decode(bytes(data), exact, lenient)

    def validate(self, data: bytes) -> list[str]:
        """What is wrong with the values of a whole message; empty where nothing is."""
        return self.inspect(data).problems
