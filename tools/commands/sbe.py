"""Look into an SBE schema and speak it: layout, encode, decode, lint, generate.

Lines in, lines out: JSON on one side, messages in hex (their header included) on the other.
"""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sbe.codec import Codec
from sbe.compatibility import ERROR, compare
from sbe.describe import describe
from sbe.errors import SbeError
from sbe.jsonlines import decode_line, encode_line
from sbe.parser import load

app = App(name="sbe", help=__doc__)

#: What `onebook` mounts.
sbe = app

EXIT_FAILED = 1
Schema = Annotated[Path, Parameter(help="The schema's XML.")]


@app.command
def layout(schema: Schema) -> int:
    """Print the layout of a schema, a JSON line each for the schema, its types and messages."""
    try:
        for line in describe(load(schema)):
            print(json.dumps(line, ensure_ascii=False))
    except SbeError as error:
        return _refuse(error)
    return 0


@app.command
def encode(schema: Schema, *, loose: bool = False) -> int:
    """Turn JSON lines into hex lines; a line that can't be encoded gives {"error": …}.

    Parameters
    ----------
    loose
        Write what fits the bytes, though it breaks its type.
    """
    return _each_line(schema, encode_line, strict=not loose)


@app.command
def decode(schema: Schema) -> int:
    """Turn hex lines into JSON lines; a bad message gives {"error": …} and the rest goes on."""
    return _each_line(schema, decode_line)


@app.command
def lint(old: Path, new: Path) -> int:
    """Print what changed between two versions that one side or the other can't bear.

    One JSON line a finding. Exit code 1 if any is an error.

    Parameters
    ----------
    old
        XML of the earlier version.
    new
        XML of the later version.
    """
    try:
        findings = compare(load(old), load(new))
    except SbeError as error:
        return _refuse(error)
    for finding in findings:
        told = {name: getattr(finding, name) for name in ("level", "path", "rule", "what")}
        print(json.dumps(told, ensure_ascii=False))
    return EXIT_FAILED if any(finding.level == ERROR for finding in findings) else 0


@app.command
def generate(schema: Schema | None = None) -> int:
    """Print the module of accessors for a schema; without one, renew those of Onebook itself."""
    from sbe.generate import generate as module_for
    from sbe.generate import main

    if schema is None:
        main()
        return 0
    try:
        print(module_for(load(schema)), end="")
    except SbeError as error:
        return _refuse(error)
    return 0


def _each_line(schema: Path, turn: Callable[[Codec, str], str], strict: bool = True) -> int:
    try:
        codec = Codec.load(schema, strict=strict)
    except SbeError as error:
        return _refuse(error)
    # Whoever reads only the first lines ends us quietly, as it ends any filter.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    # JSON may hold half a surrogate pair; its escape is the same in Python and in JSON.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    empty = 0
    for line in sys.stdin:
        if not line.strip():
            empty += 1
            continue
        if turn is decode_line:  # a message of no bytes, unless it only ends the input
            for _ in range(empty):
                print(turn(codec, ""), flush=True)
        empty = 0
        print(turn(codec, line), flush=True)
    return 0


def _refuse(error: SbeError) -> int:
    print(f"onebook sbe: {error}", file=sys.stderr)
    return EXIT_FAILED
