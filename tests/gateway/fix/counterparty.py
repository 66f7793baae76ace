"""A FIX client we did not write: QuickFIX (C++) through its Python package, with our dictionary."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.fix.dictionary.xml import dictionary_xml

quickfix = pytest.importorskip("quickfix")

_SETTINGS = """
[DEFAULT]
ConnectionType=initiator
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
StartTime=00:00:00
EndTime=00:00:00
HeartBtInt=5
ReconnectInterval=1
FileStorePath={folder}/store
FileLogPath={folder}/log
UseDataDictionary=Y
ValidateUserDefinedFields=Y
AllowUnknownMsgFields=N
TimeStampPrecision=6
{dictionaries}
[SESSION]
BeginString={begin}
SenderCompID={sender}
TargetCompID=EXEC
{more}
"""


class Counterparty(quickfix.Application):  # type: ignore[misc]
    """What came in, and whether the session is up; messages are text with `|`."""

    def __init__(self) -> None:
        super().__init__()
        self.up = threading.Event()
        self.received: list[str] = []
        self.admin: list[str] = []
        self.session: object = None
        self._changed = threading.Condition()

    def onCreate(self, session: object) -> None:
        self.session = session

    def onLogon(self, _session: object) -> None:
        self.up.set()

    def onLogout(self, _session: object) -> None:
        self.up.clear()

    def toAdmin(self, message: object, _session: object) -> None:
        self.admin.append("> " + text(message))

    def fromAdmin(self, message: object, _session: object) -> None:
        self.admin.append("< " + text(message))

    def toApp(self, message: object, _session: object) -> None:
        pass

    def fromApp(self, message: object, _session: object) -> None:
        with self._changed:
            self.received.append(text(message))
            self._changed.notify_all()

    def send(self, kind: str, fields: str) -> None:
        """Send a message of `tag=value|…`; the session numbers it."""
        message = quickfix.Message()
        message.getHeader().setField(35, kind)
        for field in fields.split("|"):
            tag, _, value = field.partition("=")
            message.setField(int(tag), value)
        quickfix.Session.sendToTarget(message, self.session)

    def wait_for(self, count: int, seconds: float = 15) -> list[str]:
        """So many application messages, or an AssertionError that shows the session's talk."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.received) >= count, seconds)
        assert enough, "\n".join([f"{len(self.received)} of {count}", *self.admin[-12:]])
        return self.received[:count]

    def wait_until(self, up: bool, seconds: float = 15) -> None:
        """The session is up, or down."""
        end = time.monotonic() + seconds
        while self.up.is_set() != up:
            assert time.monotonic() < end, "\n".join(self.admin[-12:])
            time.sleep(0.01)


def text(message: object) -> str:
    """A message as text."""
    return str(message.toString()).replace("\x01", "|")  # type: ignore[attr-defined]


def field(message: str, tag: int) -> str:
    """A field of a message as text; empty if it isn't there."""
    return f"|{message}".partition(f"|{tag}=")[2].partition("|")[0]


@contextlib.contextmanager
def connected(
    port: int, folder: Path, sender: str = "CLIENT", begin: str = "FIX.4.4", more: str = ""
) -> Iterator[Counterparty]:
    """A counterparty that logs on by itself and again whenever it lost the connection."""
    names = ["FIX.4.4"] if begin == "FIX.4.4" else ["FIXT.1.1", "FIX.5.0SP2"]
    for name in names:
        (folder / f"{name}.xml").write_text(dictionary_xml(name))
    if begin == "FIX.4.4":
        dictionaries = f"DataDictionary={folder}/FIX.4.4.xml"
    else:
        dictionaries = (f"TransportDataDictionary={folder}/FIXT.1.1.xml\n"
                        f"AppDataDictionary={folder}/FIX.5.0SP2.xml\nDefaultApplVerID=FIX.5.0SP2")
    file = folder / "settings.cfg"
    file.write_text(_SETTINGS.format(
        port=port, folder=folder, dictionaries=dictionaries, begin=begin, sender=sender,
        more=more))
    application = Counterparty()
    settings = quickfix.SessionSettings(str(file))
    store, log = quickfix.FileStoreFactory(settings), quickfix.FileLogFactory(settings)
    initiator = quickfix.SocketInitiator(application, store, settings, log)
    initiator.start()
    try:
        yield application
    finally:
        initiator.stop(True)
