"""A C++ QuickFIX acceptor beside ours, where QuickFIX is installed: what desks compare a door with.

It is built from `quickfix_acceptor.cpp` by g++ against the machine's own headers and library, once,
and kept beside the compiled code. It validates with the dictionary of our dialect and stores what
it sends in files, as QuickFIX does unless it is told otherwise; it has no risk and no matching.
"""

import hashlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.jit import ROOT
from gateway.fix.dictionary.xml import dictionary_xml

SOURCE = Path(__file__).with_suffix(".cpp").with_stem("quickfix_acceptor")
# Release 1.15 needs a standard that still has exception specifications, later ones a newer.
STANDARDS = ("c++14", "c++17")
START_SECONDS = 10.0

_SETTINGS = """[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort={port}
SocketNodelay=Y
StartTime=00:00:00
EndTime=00:00:00
FileStorePath={directory}/store
UseDataDictionary=Y
DataDictionary={directory}/dictionary.xml
[SESSION]
BeginString=FIX.4.4
SenderCompID={target}
TargetCompID={sender}
"""


class NotInstalled(Exception):
    """There is no QuickFIX for C++ on this machine, or no compiler."""


def build() -> Path:
    """The acceptor's program, compiled unless it was before. Raises NotInstalled."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise NotInstalled("g++ isn't installed")
    program = ROOT / "quickfix" / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    if program.exists():
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as directory:
        made = Path(directory, "made")
        for standard in STANDARDS:
            done = subprocess.run(
                [compiler, "-O3", f"-std={standard}", str(SOURCE), "-o", str(made),
                 "-lquickfix", "-lpthread"], capture_output=True, check=False)
            if done.returncode == 0:
                made.rename(program)
                return program
    raise NotInstalled("the headers and the library of QuickFIX (libquickfix-dev) aren't installed")


@contextmanager
def acceptor(sender: str, target: str) -> Iterator[int]:
    """The port of a running acceptor with one FIX.4.4 session. Raises NotInstalled, RuntimeError.

    sender, target: the CompIDs of the client's messages.
    """
    program = build()
    # On a disk, as the exchange's files are, which /tmp need not be.
    with tempfile.TemporaryDirectory(prefix="onebook-bench-", dir="/var/tmp") as directory:
        Path(directory, "store").mkdir()
        Path(directory, "dictionary.xml").write_text(dictionary_xml("FIX.4.4"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        settings = Path(directory, "settings")
        settings.write_text(
            _SETTINGS.format(port=port, directory=directory, sender=sender, target=target))
        process = subprocess.Popen(
            [program, settings], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with process:
            try:
                _await_port(process, port)
                yield port
            finally:
                process.kill()


def _await_port(process: subprocess.Popen[str], port: int) -> None:
    """Return when somebody listens. Raises RuntimeError if the process ends or takes too long."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(process.stderr.read().strip())
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"QuickFIX's acceptor doesn't listen within {START_SECONDS:.0f} s")
