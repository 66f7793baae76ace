"""Compile the core ahead of its first command: `python -m core.warm` and a line for each step.

Everything the loop runs hangs on two functions, and what they call stands behind symbols
(`core.linked`). So the parts can be compiled before, each by itself and by several processes, which
leave what they made in the cache; the two functions then find it there. The types are those of the
configured limits, because the state's shape is part of its type.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import suppress
from inspect import signature
from multiprocessing import get_context
from typing import Any

import numba
import numpy as np

from core.config import Limits
from core.linked import LINKED
from core.process import Process, die_with_parent, run
from core.sequencer import replay_commands, sequence_commands
from core.state import Limits as AnyLimits
from core.state import new_state, state_dtype

PROCESSES_MAX = 4  # More would compile the same small functions at the same time.


def compile_core(limits: AnyLimits, say: Callable[[str], None]) -> float:
    """Compile (or load from the cache) the core for these limits; seconds it took."""
    started = time.monotonic()
    state = numba.typeof(new_state(limits))
    rings = numba.typeof(np.zeros(1, np.int64))
    bells = numba.typeof(np.zeros((1, 3), np.int64))
    word = numba.int64
    sequencing = (state, rings, word, word, bells, word, word, rings, word)
    replaying = (state, word, word, word)
    steps: tuple[tuple[str, Any, Any], ...] = (  # A compiled function is more than a callable.
        ("the sequencer", sequence_commands, sequencing),
        ("the replay of a journal", replay_commands, replaying),
    )
    for title, function, arguments in steps:
        if arguments not in function.signatures:
            say(title)
            function.compile(arguments)
    return time.monotonic() - started


def engine_parts() -> list[str]:
    """The engine's linked functions that take the state's record and words, callees first."""
    return [
        name
        for name, function in LINKED.items()
        if name.startswith("core.engine.") and next(iter(_parameters(function)), "") == "s"
    ]


def _parameters(function: Any) -> list[str]:
    return list(signature(function.py_func).parameters)


def compile_part(name: str, limits: Limits) -> str:
    """Compile one linked function of the engine; returns its name."""
    function = LINKED[name]
    record = numba.from_dtype(state_dtype(limits))
    others = len(_parameters(function)) - 1
    with suppress(numba.errors.TypingError):  # Takes a record more; its caller will compile it.
        function.compile((record, *(numba.int64,) * others))
    return name


def compile_parts(limits: Limits, say: Callable[[str], None]) -> None:
    """Fill the cache with the engine's parts, in as many processes as there are processors."""
    names = engine_parts()
    processes = min(PROCESSES_MAX, os.cpu_count() or 1)
    pool = ProcessPoolExecutor(processes, get_context("spawn"), die_with_parent)
    with pool:
        waiting: list[Future[str]] = [pool.submit(compile_part, name, limits) for name in names]
        for done, future in enumerate(as_completed(waiting), 1):
            future.result()
            if done % 10 == 0 or done == len(names):
                say(f"the engine: {done} of {len(names)} parts")


def main(process: Process) -> None:
    """Compile for the configuration, with progress on standard output."""

    def say(step: str) -> None:
        sys.stdout.write(f"compiling {step}\n")
        sys.stdout.flush()

    started = time.monotonic()
    limits = process.configuration.limits
    compile_parts(limits, say)
    compile_core(limits, say)
    process.log.info("compiled", seconds=round(time.monotonic() - started, 1))


if __name__ == "__main__":
    sys.exit(run("core.warm", main))
