"""What the binary gateway compiles, for `python -m gateway.warm` and for its own start."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from core.jit import compile_lock
from gateway.binary.connections import new_gateway
from gateway.binary.turn import flush_all, replay, resume, turn
from gateway.binary.walk import collect

Step = tuple[str, Callable[..., Any], tuple[Any, ...]]


def steps() -> list[Step]:
    """Title, function and argument types of everything the gateway calls."""
    memory = numba.typeof(new_gateway())
    word = numba.int64
    wanted, out = numba.typeof(np.zeros(3, np.int64)), numba.typeof(np.zeros(1, np.uint8))
    return [
        ("the binary gateway", turn, (memory,)),
        ("its other doors", resume, (memory, word)),
        ("its send buffers", flush_all, (memory,)),
        ("its reading of the archive", replay, (memory, word, word, word)),
        ("its retransmissions", collect, (word, word, word, wanted, out)),
    ]


def compile_all() -> None:
    """Compile, or load from the cache, so that no client waits for it."""
    with compile_lock():
        for _, function, signature in steps():
            compiled: Any = function
            if signature not in compiled.signatures:
                compiled.compile(signature)
