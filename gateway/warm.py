"""Compile the gateways ahead of their first client: `python -m gateway.warm`, a line a step.

Each gateway with compiled code has a module `warm`, whose `steps` tells what there is to compile:
title, function and argument types.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

from core.config import Configuration
from core.process import Process, run
from gateway.binary import warm as binary
from gateway.feed import warm as feed
from gateway.fix import warm as fix


def everything(configuration: Configuration) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """What the configured gateways compile; the feed's records depend on the limits."""
    yield from binary.steps()
    yield from fix.steps()
    if configuration.feed.enabled:
        yield from feed.steps(configuration.limits)


def main(process: Process) -> None:
    """Compile everything, with progress on standard output."""
    started = time.monotonic()
    for title, function, signature in everything(process.configuration):
        if signature not in function.signatures:
            sys.stdout.write(f"compiling {title}\n")
            sys.stdout.flush()
            function.compile(signature)
    process.log.info("compiled", seconds=round(time.monotonic() - started, 1))


if __name__ == "__main__":
    sys.exit(run("gateway.warm", main))
