"""Stands for a module that compiles: two lines of progress, or a failure if told so."""

import sys
from pathlib import Path

if __name__ == "__main__":
    data = Path(sys.argv[sys.argv.index("--data") + 1])
    with (data / "compiled").open("a") as file:
        file.write("x")
    sys.stdout.write("step one\nstep two\n")
    sys.exit((data / "fail").exists())
