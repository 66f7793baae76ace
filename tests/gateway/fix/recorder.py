"""A FIX session without socket, core or clock: the dialect is real, what it orders is kept."""

from typing import Any

from core.messages import decode, encode
from core.reference import ReferenceData
from core.venue import FixSession
from gateway.fix.actions import Command
from gateway.fix.dialect import Dialect
from gateway.fix.logon import Admission
from gateway.fix.message import Message
from gateway.fix.profile import Profiles
from gateway.fix.queries import Queries
from gateway.fix.session import Session, State
from tests.gateway.fix.kit import NOW, Scanner, flat, venue

PROFILE = FixSession(
    session=7, sender_comp_id="CLIENT", target_comp_id="EXEC", authentication="open",
    owner="acme", account="acme.main", accounts=("acme.sub",))


class Recorder:
    """What the dialect asks of the gateway, written down."""

    def __init__(self) -> None:
        self.reference: ReferenceData = venue()
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[Message] = []  # of market data, phases and trades
        self.watched: tuple[int, str] | None = None

    def core_ready(self) -> bool:
        return True

    def send(self, command: Command, session: int) -> bool:
        assert session == 7
        name, fields = decode(encode(command.name, command.fields))
        self.sent.append((name, flat(fields)))
        return True

    def accounts_of(self, session: int) -> dict[str, int]:
        return {"acme.main": 100, "acme.sub": 101}

    @property
    def copies(self) -> Any:
        return self

    @property
    def position(self) -> int:
        return 0

    def watch_balances(self, session: Session, account: int, how: str) -> None:
        self.watched = account, how

    def now(self) -> int:
        return NOW

    def request(self, session: Session, message: Message, number: int) -> None:
        self.asked.append(message)

def logged_on(scanner: Scanner) -> tuple[Session, Recorder]:
    """A session that is up and waits for number 2, with the scanner's connection."""
    recorder = Recorder()
    admission = Admission(
        Profiles((PROFILE,)), 10, lambda _: False, lambda _: 1, lambda _: 0, lambda *_: None)
    session = Session(admission, scanner.connection, 1, "", NOW)
    session.entry = PROFILE
    session.version = "FIX.4.4"
    session.heartbeat = 30 * 10**9
    session.state = State.ACTIVE
    queries = Queries(recorder.reference, recorder, {
        "g": recorder.request, "AD": recorder.request})
    session.application = Dialect(recorder, queries).handle
    return session, recorder
