"""What the tests of sbe share: schemas, their compiled modules, and places to put bytes.

A schema's generated source is executed as a module here, so that it is exactly what
`python -m sbe.generate` would have written.
"""

import ctypes
import math
import struct
import sys
import types
from functools import cache
from pathlib import Path

from sbe.codec import Codec
from sbe.generate import generate
from sbe.layout import Schema
from sbe.parser import load, loads

SCHEMAS = Path(__file__).parent / "schemas"
FEATURES = (SCHEMAS / "features.xml").read_text()

#: The least a schema needs; a test puts its own types and messages between.
HEADER = """
    <composite name="messageHeader">
        <type name="blockLength" primitiveType="uint16"/>
        <type name="templateId" primitiveType="uint16"/>
        <type name="schemaId" primitiveType="uint16"/>
        <type name="version" primitiveType="uint16"/>
    </composite>
    <composite name="groupSizeEncoding">
        <type name="blockLength" primitiveType="uint16"/>
        <type name="numInGroup" primitiveType="uint16"/>
    </composite>
    <composite name="varData">
        <type name="length" primitiveType="uint8"/>
        <type name="varData" primitiveType="uint8" length="0"/>
    </composite>
"""


def schema_text(messages: str, types: str = "", version: int = 0, order: str = "little") -> str:
    """A whole schema around some types and messages."""
    return (
        f'<messageSchema package="tests.own" id="5" version="{version}"'
        f' byteOrder="{order}Endian"><types>{HEADER}{types}</types>{messages}</messageSchema>'
    )


def field_bytes(kind: str, value: object, types: str = "", presence: str = "") -> str:
    """Hex of one value as the only field of a message."""
    extra = f' presence="{presence}"' if presence else ""
    field = f'<field name="x" id="1" type="{kind}"{extra}/>'
    schema = own(f'<message name="M" id="1">{field}</message>', types)
    return Codec(schema).encode("M", {"x": value})[8:].hex()


def own(messages: str, types: str = "", version: int = 0, order: str = "little") -> Schema:
    """The layout of such a schema."""
    return loads(schema_text(messages, types, version, order))


@cache
def features(order: str = "little") -> Schema:
    """The schema with one of everything, in either byte order."""
    text = FEATURES.replace("littleEndian", f"{order}Endian")
    return loads(text, folder=SCHEMAS)


@cache
def wide_header() -> Schema:
    return load(SCHEMAS / "wide_header.xml")


@cache
def codec(order: str = "little") -> Codec:
    return Codec(features(order))


_modules: dict[int, types.ModuleType] = {}
_kept: list[Schema] = []


def compiled(schema: Schema) -> types.ModuleType:
    """The generated module of a schema, made once for each schema object."""
    if id(schema) not in _modules:
        _kept.append(schema)
        name = f"generated_for_tests_{len(_kept)}"
        module = types.ModuleType(name)
        sys.modules[name] = module
        exec(compile(generate(schema), f"<{name}>", "exec"), module.__dict__)
        _modules[id(schema)] = module
    return _modules[id(schema)]


class Bytes:
    """A copy of some bytes at a fixed address, with nothing of ours behind them."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._buffer = ctypes.create_string_buffer(data, max(1, len(data)))
        self.address = ctypes.addressof(self._buffer)

    def __bytes__(self) -> bytes:
        return self._buffer.raw[: self.length]


def same(left: object, right: object) -> bool:
    """Equality to the bit: -0.0 is not 0.0, and a NaN is a NaN."""
    if isinstance(left, float) and isinstance(right, float):
        both_nan = math.isnan(left) and math.isnan(right)
        return both_nan or struct.pack("<d", left) == struct.pack("<d", right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def check(schema: Schema, data: bytes) -> int:
    """What the compiled walk says of some bytes."""
    held = Bytes(data)
    code: int = compiled(schema).check(held.address, held.length)
    return code
