"""Command frames of one length, by the million: one is encoded, the rest are its copies.

    many(stream, "Deposit", ct.DEPOSIT, {"account": numbers}, asset=0, amount=10**9)

    frames = copies(padded(stream), 1_000_000)      uint8[1_000_000, FRAME]
    fields = body(frames, oe.NEW_ORDER_SINGLE)      their root blocks, to be written to
    fields["account"] = numbers
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.bench.engine import BODY_AT, FRAME, Frames
from tools.bench.venue import CommandStream


def padded(stream: CommandStream) -> Frames:
    """The commands of a stream as frames of one length."""
    data, frames, at = stream.take(), [], 0
    while at < len(data):
        length = int(data[at : at + 4].view("<i4")[0])
        frame = np.zeros(FRAME, np.uint8)
        frame[:length] = data[at : at + length]
        frame[:4].view("<i4")[0] = FRAME
        frames.append(frame)
        at += length
    return np.stack(frames)


def copies(frames: Frames, count: int) -> Frames:
    """The last of some frames, so many times."""
    return np.repeat(frames[-1:], count, axis=0)


def body(frames: Frames, dtype: Any) -> Any:
    """The root blocks of frames, to be written to."""
    fields = dtype.fields
    wide: Any = {
        "names": list(fields), "formats": [fields[name][0] for name in fields],
        "offsets": [BODY_AT + fields[name][1] for name in fields], "itemsize": FRAME,
    }
    return frames.view(np.dtype(wide))[:, 0]


def many(
    stream: CommandStream, message: str, dtype: Any, columns: Mapping[str, NDArray[np.int64]],
    **fields: Any,
) -> Frames:
    """A keyed command once for each row of the columns; its other fields are always the same."""
    key = stream.key
    stream.add(message, **{name: int(column[0]) for name, column in columns.items()}, **fields)
    count = len(next(iter(columns.values())))
    frames = copies(padded(stream), count)
    rows = body(frames, dtype)
    for name, column in columns.items():
        rows[name] = column
    rows["key"] = key + np.arange(1, count + 1)
    stream.key = key + count
    return frames
