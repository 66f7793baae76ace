"""Random valid messages of any schema, as the dicts that `Codec.encode` takes.

Values sit on their limits half of the time, where mistakes live.
"""

import string
import struct
from random import Random
from typing import Any

from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Data,
    Element,
    Enum,
    Scalar,
    Set,
    Type,
    count_max,
    count_min,
)


def random_fields(block: Block, random: Random, depth: int = 0) -> dict[str, Any]:
    """Values for every field, group and data of a block."""
    fields = {f.name: random_value(f, random) for f in block.fields if f.presence != CONSTANT}
    for group in block.groups:
        most = min(count_max(group.count), max(count_min(group.count), 4 - depth))
        if group.block_length == 0 and not group.groups and not group.data:
            most = 0  # entries of no bytes at all are refused
        count = random.randint(count_min(group.count), most)
        fields[group.name] = [random_fields(group, random, depth + 1) for _ in range(count)]
    for data in block.data:
        fields[data.name] = random_data(data, random)
    return fields


def random_value(element: Element, random: Random) -> Any:
    """A value that fits, or None now and then where that is allowed."""
    nullable = element.is_optional and not isinstance(element.type, Set)
    if nullable and random.random() < 0.25:
        return None
    return random_of(element.type, random)


def random_of(kind: Type, random: Random) -> Any:
    if isinstance(kind, Composite):
        values = {
            member.name: random_value(member, random)
            for member in kind.members
            if member.presence != CONSTANT
        }
        # A composite whose first member is null is null as a whole: don't make one by chance.
        first = next((m for m in kind.members if m.presence != CONSTANT), None)
        if first is not None and values[first.name] is None:
            values[first.name] = random_of(first.type, random)
        return values
    if isinstance(kind, Enum):
        return random.choice(kind.choices).name
    if isinstance(kind, Set):
        return [choice.name for choice in kind.choices if random.random() < 0.5]
    if kind.length == 1:
        return random_number(kind, random)
    if kind.is_text:
        return random_text(kind, random, kind.length)
    if kind.primitive.name == "uint8":
        return random.randbytes(kind.length - 1) + b"\x01"
    return [random_number(kind, random) for _ in range(kind.length)]


def random_number(kind: Scalar, random: Random) -> Any:
    if kind.primitive.kind == "char":
        return random.choice(string.ascii_letters + string.digits)
    if kind.primitive.is_float:
        return random_float(kind.primitive.letter, random)
    low, high = int(kind.minimum), int(kind.maximum)
    while True:
        edge = random.choice((low, high, 0, 1, -1))
        value = edge if random.random() < 0.5 else random.randint(low, high)
        if low <= value <= high and value != kind.null:
            return value


def random_float(letter: str, random: Random) -> float:
    special = [0.0, -0.0, float("inf"), float("-inf"), 1.5]
    if random.random() < 0.5:
        return random.choice(special)
    while True:
        size = struct.calcsize(letter)
        value: float = struct.unpack("<" + letter, random.randbytes(size))[0]
        if value == value:
            return value


def random_text(kind: Scalar, random: Random, most: int) -> str:
    alphabet = string.ascii_letters + string.digits
    if kind.encoding in ("utf-8", "iso8859-1"):
        alphabet += "éüß"
    text = "".join(random.choice(alphabet) for _ in range(random.randint(1, most)))
    while len(text.encode(kind.encoding or "ascii")) > most:
        text = text[:-1]
    return text


def random_data(data: Data, random: Random) -> Any:
    most = min(data.length_max, random.choice((0, 1, 20, 254)))
    least = count_min(data.length)
    if data.bytes.is_text:
        return random_text(data.bytes, random, most) if most > 0 else ""
    return random.randbytes(random.randint(least, max(least, most)))
