"""Compile the core ahead of its first command: `python -m core.warm` and a line for each step.

Everything the loop runs hangs on two functions; compiling them compiles the rest. The types are
those of the configured limits, because the state's shape is part of its type.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from core.process import Process, run
from core.sequencer import replay_commands, sequence_commands
from core.state import Limits, new_state


def compile_core(limits: Limits, say: Callable[[str], None]) -> float:
    """Compile (or load from the cache) the core for these limits; seconds it took."""
    started = time.monotonic()
    state = numba.typeof(new_state(limits))
    rings = numba.typeof(np.zeros(1, np.int64))
    bells = numba.typeof(np.zeros((1, 2), np.int64))
    word = numba.int64
    sequencing = (state, rings, word, word, bells, word)
    replaying = (state, word, word, word)
    steps: tuple[tuple[str, Any, Any], ...] = (  # A compiled function is more than a callable.
        ("the engine and its sequencer", sequence_commands, sequencing),
        ("the replay of a journal", replay_commands, replaying),
    )
    for title, function, signature in steps:
        if signature not in function.signatures:
            say(title)
            function.compile(signature)
    return time.monotonic() - started


def main(process: Process) -> None:
    """Compile for the configuration, with progress on standard output."""

    def say(step: str) -> None:
        sys.stdout.write(f"compiling {step}\n")
        sys.stdout.flush()

    seconds = compile_core(process.configuration.limits, say)
    process.log.info("compiled", seconds=round(seconds, 1))


if __name__ == "__main__":
    sys.exit(run("core.warm", main))
