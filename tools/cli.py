"""The command `onebook`: every module of tools/commands is a sub-command, a function of its name.

The help line of a sub-command is the first sentence of its module, and nothing is imported before
it is asked for. Exit codes: 0 done, 1 failed, 2 a wrong command line or configuration, 3 refused
(somebody else is in the way; nothing was harmed).
"""

import ast
import os
import select
import signal
import sys
from pathlib import Path

from cyclopts import App

COMMANDS = Path(__file__).parent / "commands"


def summary(module: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(module.read_text())) or ""
    return text.partition("\n")[0]


def make_app() -> App:
    """The command with all its sub-commands, none of them imported yet."""
    app = App(
        name="onebook", help="An exchange on one machine: one account, one ring, one loop.",
        version_flags=[],
    )
    for module in sorted(COMMANDS.glob("*.py")):
        name = module.stem
        if not name.startswith("_"):
            target = f"tools.commands.{name}:{name}"
            app.command(target, name=name.replace("_", "-"), help=summary(module))
    return app


def main() -> None:
    """Run the command line; quietly end where whoever reads its output has seen enough."""
    try:
        code = make_app()()
        sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise  # It was a connection's.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # For the flush at exit.
        code = 128 + signal.SIGPIPE  # As a shell reports who was ended by it.
    sys.exit(code)


def _nobody_reads() -> bool:
    output = select.poll()
    output.register(sys.stdout, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in output.poll(0))


if __name__ == "__main__":
    main()
