"""What the tests of shared memory need: a name of their own and processes to kill."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from core.memory import unlink_all

_numbers = itertools.count(1)


@pytest.fixture
def instance() -> Iterator[str]:
    """The name of an instance that nobody else uses; its segments are removed afterwards."""
    name = f"test{os.getpid()}-{next(_numbers)}"
    yield name
    unlink_all(name)


@pytest.fixture
def spawn() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start `python -c code arguments…`, lines in and out; killed afterwards if still there."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", code, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
