"""A process that does nothing but live: ready, beating, stopping, or failing when told to.

It writes its life into `<data>/life`: lines `start NAME` and `stop NAME`. A file `<data>/NAME.do`
tells it to misbehave: `refuse`, `crash` or `never-ready` before it is ready, `deaf` to SIGTERM.
"""

import signal
import time
from pathlib import Path

from core.process import Process, Refused


def main(process: Process) -> None:
    """Live until asked to stop."""
    data = process.options.data
    order = _order(data / f"{process.name}.do")
    if order == "refuse":
        raise Refused("there is no room for me")
    if order == "crash":
        raise RuntimeError("told to crash")
    if order == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    row = process.attach_status()
    with (data / "life").open("a") as life:
        life.write(f"start {process.name}\n")
    if order != "never-ready":
        process.ready()
    while not process.stopping:
        row.beat()
        time.sleep(0.01)
    with (data / "life").open("a") as life:
        life.write(f"stop {process.name}\n")


def _order(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""
