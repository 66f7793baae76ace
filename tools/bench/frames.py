"""Command frames of one length, by the million: one is encoded, the rest are its copies.

    stream.add("Deposit", account=0, …)
    frames = copies(padded(stream), 1_000_000)      uint8[1_000_000, FRAME]
    fields = body(frames, ct.DEPOSIT)               their root blocks, to be written to
    fields["account"] = numbers
"""

from typing import Any

import numpy as np

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


def keyed(frames: Frames, fields: Any, stream: CommandStream) -> Frames:
    """The frames, whose root blocks are given, with the stream's next keys."""
    fields["key"] = stream.key + np.arange(1, len(frames) + 1)
    stream.key += len(frames)
    return frames
