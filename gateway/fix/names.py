"""Hash tables from text to numbers, and the 64-bit form of a ClOrdID, compiled.

The core knows orders by a 64-bit client order id; a FIX client names them by text. `id_hash` is
the bridge: it must never change, because hashes stand in the journal.
"""

from core.jit import jit
from gateway.fix.records import S_LENGTH, S_NAME, S_NUMBER, S_OWNER, SYMBOL_SIZE
from sbe.raw import equal, load_i64, load_u8

_MULTIPLIER = -7046029254386353131  # 0x9E3779B97F4A7C15, the golden ratio
_SECOND = -4658895280553007687  # 0xBF58476D1CE4E5B9
_LOW_32 = 0xFFFFFFFF


@jit
def id_hash(a: int, length: int) -> int:
    """A 64-bit hash of the text, never 0, as a signed integer of the same bits."""
    h = length * _MULTIPLIER
    i = 0
    while i + 8 <= length:
        h = (h ^ load_i64(a + i)) * _MULTIPLIER
        h ^= (h >> 29) & _LOW_32
        i += 8
    word = 0
    shift = 0
    while i < length:
        word |= load_u8(a + i) << shift
        shift += 8
        i += 1
    h = (h ^ word) * _SECOND
    h ^= (h >> 32) & _LOW_32
    h *= _MULTIPLIER
    h ^= (h >> 29) & _LOW_32
    return h if h != 0 else 1


@jit
def find(table: int, mask: int, a: int, length: int) -> int:
    """The address of the row with this name, or 0."""
    slot = id_hash(a, length) & mask
    while True:
        row = table + slot * SYMBOL_SIZE
        known = load_i64(row + S_LENGTH)
        if known == 0:
            return 0
        if known == length and equal(row + S_NAME, a, length):
            return row
        slot = (slot + 1) & mask


@jit
def find_number(table: int, mask: int, a: int, length: int) -> int:
    """The number behind a name, or −1."""
    row = find(table, mask, a, length)
    return load_i64(row + S_NUMBER) if row else -1


@jit
def find_owned(table: int, mask: int, a: int, length: int, owner: int) -> int:
    """The number behind a name that stands there for `owner`, or −1."""
    slot = id_hash(a, length) & mask
    while True:
        row = table + slot * SYMBOL_SIZE
        known = load_i64(row + S_LENGTH)
        if known == 0:
            return -1
        if known == length and load_i64(row + S_OWNER) == owner and equal(row + S_NAME, a, length):
            return load_i64(row + S_NUMBER)
        slot = (slot + 1) & mask
