"""A QuickFIX (C++) acceptor as a process of its own: reports each order as new, says what is said.

    python -m tests.tools.clients.quickfix_acceptor FOLDER PORT

A line `report ID` on standard input sends an execution report; when nobody is logged on it waits in
the store. Its own process because the package's acceptor can't be stopped without a crash.
"""

import sys
from pathlib import Path

import quickfix

from gateway.fix.dictionary.xml import dictionary_xml

_SETTINGS = """
[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort={port}
SocketReuseAddress=Y
StartTime=00:00:00
EndTime=00:00:00
FileStorePath={folder}/store
UseDataDictionary=Y
DataDictionary={folder}/FIX.4.4.xml
ValidateUserDefinedFields=Y
AllowUnknownMsgFields=N
[SESSION]
BeginString=FIX.4.4
SenderCompID=ONEBOOK
TargetCompID=DESK
"""


class Acceptor(quickfix.Application):  # type: ignore[misc]
    """Says every message, `>` out and `<` in, and `up` or `down`."""

    def __init__(self) -> None:
        super().__init__()
        self._session: object = None
        self._reports = 0

    def onCreate(self, session: object) -> None:
        self._session = session

    def onLogon(self, _session: object) -> None:
        say("up")

    def onLogout(self, _session: object) -> None:
        say("down")

    def toAdmin(self, message: object, _session: object) -> None:
        say("> " + _text(message))

    def fromAdmin(self, message: object, _session: object) -> None:
        say("< " + _text(message))

    def toApp(self, message: object, _session: object) -> None:
        say("> " + _text(message))

    def fromApp(self, message: object, _session: object) -> None:
        say("< " + _text(message))
        self.report(_text(message).partition("|11=")[2].partition("|")[0])

    def report(self, identity: str) -> None:
        """Send an execution report."""
        self._reports += 1
        message = quickfix.Message()
        message.getHeader().setField(35, "8")
        for tag, value in ((37, f"O{identity}"), (17, str(self._reports)), (11, identity),
                           (150, "0"), (39, "0"), (55, "BTC-USDC"), (54, "1"), (151, "0.001"),
                           (14, "0"), (6, "0")):
            message.setField(tag, value)
        quickfix.Session.sendToTarget(message, self._session)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _text(message: object) -> str:
    return str(message.toString()).replace("\x01", "|")  # type: ignore[attr-defined]


def main() -> None:
    """Serve until it is killed."""
    folder, port = Path(sys.argv[1]), sys.argv[2]
    (folder / "FIX.4.4.xml").write_text(dictionary_xml("FIX.4.4"))
    file = folder / "settings.cfg"
    file.write_text(_SETTINGS.format(port=port, folder=folder))
    application, settings = Acceptor(), quickfix.SessionSettings(str(file))
    # The engine holds on to none of these: they must outlive it.
    store, log = quickfix.FileStoreFactory(settings), quickfix.FileLogFactory(str(folder / "log"))
    engine = quickfix.SocketAcceptor(application, store, settings, log)
    engine.start()
    say("ready")
    for line in sys.stdin:
        application.report(line.split()[1])


if __name__ == "__main__":
    main()
