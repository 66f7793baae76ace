"""Compile the gateways ahead of their first client: `python -m gateway.warm`, a line a step.

Each gateway with compiled code has a module `warm`, whose `steps()` tells what there is to compile:
title, function and argument types.
"""

import importlib
import importlib.util
import sys
import time

from core.process import Process, run

GATEWAYS = ("gateway.binary", "gateway.fix", "gateway.feed")


def main(process: Process) -> None:
    """Compile everything, with progress on standard output."""
    started = time.monotonic()
    for gateway in GATEWAYS:
        name = f"{gateway}.warm"
        if importlib.util.find_spec(gateway) is None or importlib.util.find_spec(name) is None:
            continue
        for title, function, signature in importlib.import_module(name).steps():
            if signature not in function.signatures:
                sys.stdout.write(f"compiling {title}\n")
                sys.stdout.flush()
                function.compile(signature)
    process.log.info("compiled", seconds=round(time.monotonic() - started, 1))


if __name__ == "__main__":
    sys.exit(run("gateway.warm", main))
