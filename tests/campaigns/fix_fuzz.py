"""Let atheris look for bytes that the FIX gateway can't stand, guided by what they reach.

    pip install -e '.[fuzz]'
    python -m tests.campaigns.fix_fuzz -max_total_time=600 [CORPUS_FOLDER] [libFuzzer's options]

Bytes go the whole way: scanner (in front of a page that may not be touched), parser, validation,
session and dialect, as from a client that is logged on. The first byte says how they are meant: as
a stream, as the body of a framed message, or as fields behind a sound header. Anything but actions
is a finding: an exception, a read past the end, a hang, a session that counts wrong. It starts from
a message of every type; the corpus it finds is kept in the folder.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

from gateway.fix import records
from gateway.fix.actions import Close, Command, Replay, Send
from gateway.fix.dictionary.messages import INBOUND
from gateway.fix.frame import MESSAGE_BYTES_MAX
from gateway.fix.message import frame
from gateway.fix.scan import scan
from gateway.fix.session import State
from tests.campaigns.sbe_mutations import GuardedPages
from tests.gateway.fix.kit import NOW, Scanner, command, header
from tests.gateway.fix.recorder import logged_on
from tests.gateway.fix.samples import sample

STREAM, BODY, FIELDS = 0, 1, 2
STREAM_BYTES_MAX = 4 * MESSAGE_BYTES_MAX


class Target:
    """Everything between the socket and the ring."""

    def __init__(self) -> None:
        self._pages, self._scanner = GuardedPages(), Scanner()
        self.commands = self.messages = 0

    def one(self, data: bytes) -> None:
        """Deal with one input. Raises whatever is a finding."""
        stream = shaped(data)[:STREAM_BYTES_MAX]
        scanner = self._scanner
        scanner.fields["consumed"], scanner.fields["expected"] = 0, 2
        scanner.fields["flags"] = records.FLAG_READY | records.FLAG_LIVE
        session, recorder = logged_on(scanner)
        address, end = self._pages.hold(stream), 0
        while session.state == State.ACTIVE:
            expected = session.expected
            answer = scan(scanner.connection.address, scanner.context.address, address,
                          len(stream), NOW)
            taken = [command(raw) for raw in scanner.memory.frames()]
            self.commands += len(taken)
            assert session.expected == expected + len(taken), "one number an order"
            if answer in (records.NEED_MORE, records.TOO_LONG):
                break
            start, size = int(scanner.fields["row_offset"]), int(scanner.fields["row_length"])
            assert 0 < size <= MESSAGE_BYTES_MAX
            assert end <= start, "each step gets on in the stream"
            end = start + size
            assert end <= len(stream)
            expected = session.expected
            session.receive(stream[start : start + size], NOW)
            self.messages += 1
            assert session.expected >= expected, "a number is never taken back"
            for action in session.take_actions():
                assert isinstance(action, Command | Send | Replay | Close)
        self.commands += len(recorder.sent)


def shaped(data: bytes) -> bytes:
    """The bytes as their first one says."""
    kind, rest = (data[0] % 3, data[1:]) if data else (STREAM, b"")
    if kind == BODY:
        return frame(b"FIX.4.4", rest)
    if kind == FIELDS:
        name, _, fields = rest.partition(b"\x01")
        head = header("?", 2).replace("|", "\x01").encode().replace(b"35=?", b"35=" + name)
        return frame(b"FIX.4.4", head + b"\x01" + fields)
    return rest


def seeds() -> list[bytes]:
    """An input for every type of message: as a stream, and as its fields."""
    found = []
    for kind, layout in INBOUND.items():
        whole = sample(layout)
        fields = whole.partition(b"52=")[2].partition(b"\x01")[2].rpartition(b"10=")[0]
        found += [bytes([STREAM]) + whole, bytes([FIELDS]) + kind.encode() + b"\x01" + fields]
    return found


def python_functions() -> Iterator[FunctionType]:
    """Every function of the gateway's Python half; the compiled one shows no coverage."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith("gateway.fix."):
            for value in list(vars(module).values()):
                members = vars(value).values() if isinstance(value, type) else (value,)
                yield from (m for m in members
                            if isinstance(m, FunctionType) and m.__module__ == name)


def main() -> None:
    """The command line: libFuzzer's."""
    import atheris

    target = Target()
    for function in python_functions():
        atheris.instrument_func(function)
    with tempfile.TemporaryDirectory() as path:
        for number, seed in enumerate(seeds()):
            (Path(path) / f"{number}").write_bytes(seed)
        arguments = sys.argv
        folders = [a for a in arguments[1:] if not a.startswith("-")]
        if not folders:
            corpus = Path(tempfile.mkdtemp(prefix="fix-fuzz-"))
            arguments = [*arguments, str(corpus)]
        atheris.Setup([*arguments, path], target.one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
