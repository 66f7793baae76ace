"""Where the messages are in a stretch of frames, and their bytes in columns, compiled.

Commands and events are frames one behind the other, each with an SBE message in it (core/link.py
has both headers). A stretch is walked once; what stands where comes back as an array of `PLACE`.
The rows of one message are then gathered into one array of its root block, whose fields are
columns already.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.jit import jit
from sbe.raw import copy, load_i16, load_i32, load_i64, load_u8, load_u16

PLACE = np.dtype(
    [
        ("at", "i8"),  # offset of the root block in the stretch
        ("end", "i8"),  # offset behind the frame
        ("sequence", "i8"),
        ("time", "i8"),  # ns UTC; of an event that of the command that caused it
        ("session", "i4"),  # a command's sender, an event's addressee
        ("producer", "i4"),  # of a command
        ("template", "i4"),
        ("block", "i4"),  # bytes of the root block, as the message says
    ]
)
_LEAST = 32  # Bytes of a frame.
_GROUP_HEADER = 4


class Stretch(NamedTuple):
    """Whole frames and where they are; `data` keeps the bytes alive."""

    data: NDArray[np.uint8]
    places: NDArray[np.void]
    used: int  # bytes, up to the end of the last whole frame


@jit
def _walk(address: int, length: int, events: bool, places: Any) -> tuple[int, int]:
    count = offset = 0
    head = 16 if events else 32
    while offset + _LEAST <= length:
        size = load_i32(address + offset)
        if size < _LEAST or size % _LEAST != 0 or offset + size > length:
            break
        if count < len(places):
            place = places[count]
            frame = address + offset
            place.at = offset + head + 8
            place.end = offset + size
            place.block = load_u16(frame + head)
            place.template = load_u16(frame + head + 2)
            if events:
                place.session = load_i32(frame + 4)
                place.sequence = load_i64(frame + 8)
                place.time = load_i64(frame + head + 8)
                place.producer = 0
            else:
                place.session = load_i32(frame + 8)
                place.sequence = load_i64(frame + 16)
                place.time = load_i64(frame + 24)
                place.producer = load_i16(frame + 4)
        count += 1
        offset += size
    return count, offset


@jit
def _gather(address: int, places: Any, destination: int, size: int) -> None:
    for i in range(len(places)):
        copy(destination + i * size, address + places[i].at, min(size, places[i].block))


@jit
def _behind(address: int, place: Any, group: int) -> int:
    """Offset behind the root block and the first `group` groups of a message."""
    offset: int = place.at + place.block
    for _ in range(group):
        stride, count = load_u16(address + offset), load_u16(address + offset + 2)
        offset += _GROUP_HEADER + stride * count
    return offset


@jit
def _entries(
    address: int, places: Any, group: int, destination: int, size: int, rows: Any
) -> int:
    """Copy the entries of a group, and the row each belongs to; how many there are."""
    count = 0
    for i in range(len(places)):
        offset = _behind(address, places[i], group)
        stride, entries = load_u16(address + offset), load_u16(address + offset + 2)
        for entry in range(entries):
            if count < len(rows):
                source = address + offset + _GROUP_HEADER + entry * stride
                copy(destination + count * size, source, min(size, stride))
                rows[count] = i
            count += 1
    return count


@jit
def _texts(
    address: int, places: Any, groups: int, wide: bool, ends: Any, destination: int, room: int
) -> int:
    """Copy each message's variable bytes one behind the other; how many there are in all."""
    total = 0
    for i in range(len(places)):
        offset = _behind(address, places[i], groups)
        head = 2 if wide else 1
        size = 0
        if offset + head <= places[i].end:
            size = load_u16(address + offset) if wide else load_u8(address + offset)
            size = min(size, places[i].end - offset - head)
        if total + size <= room:
            copy(destination + total, address + offset + head, size)
        total += size
        ends[i + 1] = total
    return total


def walk(data: memoryview | bytes, events: bool) -> Stretch:
    """All whole frames of a stretch that begins with one."""
    content = np.frombuffer(data, np.uint8)
    places = np.zeros(max(1, len(content) // 192), PLACE)
    count, used = _walk(content.ctypes.data, len(content), events, places)
    if count > len(places):  # Smaller frames than guessed.
        places = np.zeros(count, PLACE)
        _walk(content.ctypes.data, len(content), events, places)
    return Stretch(content, places[:count], used)


def gather(
    stretch: Stretch, places: NDArray[np.void], block: np.dtype[np.void]
) -> NDArray[np.void]:
    """The root blocks of these messages; fields that an older writer didn't know are zero."""
    rows = np.zeros(len(places), block)
    _gather(stretch.data.ctypes.data, places, rows.ctypes.data, block.itemsize)
    return rows


def entries(
    stretch: Stretch, places: NDArray[np.void], group: int, block: np.dtype[np.void]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """The entries of the messages' group at place `group`, and to which message each belongs."""
    address = stretch.data.ctypes.data
    none = np.zeros(0, np.int64)
    count = _entries(address, places, group, 0, 0, none)
    rows, owners = np.zeros(count, block), np.zeros(count, np.int64)
    _entries(address, places, group, rows.ctypes.data, block.itemsize, owners)
    return rows, owners


def texts(
    stretch: Stretch, places: NDArray[np.void], groups: int, wide: bool
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The variable bytes behind `groups` groups: where each ends, and all of them.

    wide: their length is a uint16, not a uint8.
    """
    address = stretch.data.ctypes.data
    ends = np.zeros(len(places) + 1, np.int32)
    total = _texts(address, places, groups, wide, ends, 0, -1)
    content = np.zeros(total, np.uint8)
    _texts(address, places, groups, wide, ends, content.ctypes.data, total)
    return ends, content
