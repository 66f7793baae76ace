"""Stands for a module that compiles: two lines of progress, then a failure or no end if told so."""

import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # A compiler doesn't listen either.
    data = Path(sys.argv[sys.argv.index("--data") + 1])
    with (data / "compiled").open("a") as file:
        file.write("x")
    sys.stdout.write("step one\nstep two\n")
    sys.stdout.flush()
    while (data / "endless").exists():
        time.sleep(0.05)
    sys.exit((data / "fail").exists())
