"""Holds what clients were told to the event archive, and the archive to the journal and the ledger.

    client ──told──► = archive, message by message, nothing missing, nothing twice
    archive ──books──► balances = state of the core = deposits − withdrawals
    journal ──replay──► state behind command N = the memory of the recovered core there

Each check gives sentences about what does not hold; none means that all did.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from core.config import Limits
from core.journal.archive import EventArchive
from core.journal.disk import RealDisk
from core.journal.frame import skip
from core.journal.reader import read_from
from core.link import EVENT_HEADER, EVENT_HEADER_SIZE, MESSAGE_AT, Event
from core.messages import decode_body, template
from core.recovery import Replica, digest_of
from core.reference import ReferenceData
from core.sidecars.books import OUTSIDE, Books, Stated
from core.sidecars.store import open_read_only
from sbe.generated import order_entry as oe
from tests.campaigns.parties import BinaryParty, FixParty, Party
from tools.clients.fix import text

REPORT, CANCEL_REJECT = oe.EXECUTION_REPORT_TEMPLATE, oe.ORDER_CANCEL_REJECT_TEMPLATE
NUMBERS_ASSIGNED, SESSION_RESET = template("SessionNumbersAssigned"), template("SessionWasReset")
SESSION_CLOSED = template("SessionClosed")
FLAGS_AT = oe.HEADER_SIZE + oe.EXECUTION_REPORT_FLAGS_OFFSET
NUMBER_AT = oe.HEADER_SIZE + 8
NEW, TRADE, REJECTED = oe.EXEC_TYPE_NEW, oe.EXEC_TYPE_TRADE, oe.EXEC_TYPE_REJECTED
SHOWN = 5


class Said(NamedTuple):
    """An event to a session: its place in the stream and the bytes of its frame's message."""

    position: int
    template: int
    message: bytes

    def fields(self) -> dict[str, Any]:
        """It, decoded."""
        return decode_body(self.template, memoryview(self.message)[oe.HEADER_SIZE :])


class Archive:
    """The whole event archive of a stopped exchange, read once."""

    def __init__(self, data: Path) -> None:
        self.sessions: dict[int, dict[int, Said]] = defaultdict(dict)
        self.reports: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.reference = ReferenceData()
        self.misstated: list[Stated] = []
        self.books = Books(self.reference, stated=self._stated)
        self.events = 0
        self.beginnings: Counter[int] = Counter()  # how often a session's numbers began again
        self.next_numbers: dict[int, tuple[int, int]] = {}  # in and out, by session, when last left
        self._last_sequence = 0
        for event in _events(data):
            self._take(event)

    def _take(self, event: Event) -> None:
        self.events += 1
        if event.sequence < self._last_sequence:
            self.faults.append(f"sequence {event.sequence} behind {self._last_sequence}")
        self._last_sequence = event.sequence
        self.reference.apply(event.template, event.body)
        self.books.apply(event)
        if event.template == SESSION_CLOSED:
            closed = decode_body(event.template, event.body)
            self.next_numbers[closed["session"]] = closed["nextInbound"], closed["nextOutbound"]
        said = Said(event.position, event.template, bytes(event.message))
        number = int.from_bytes(said.message[NUMBER_AT : NUMBER_AT + 4], "little")
        if event.template == REPORT:
            self.reports.append({"session": event.session} | said.fields())
        if event.session and number:
            self._number(self.sessions[event.session], event.session, number, said)

    def _number(self, known: dict[int, Said], session: int, number: int, said: Said) -> None:
        count = said.fields()["count"] if said.template == NUMBERS_ASSIGNED else 1
        if number == 1 and known:
            self.beginnings[session] += 1
            known.clear()  # A new version of the session; its numbers begin again.
        if number != len(known) + 1:
            self.faults.append(f"session {session}: number {number} follows {len(known)}")
        for one in range(number, number + count):
            known[one] = said

    def _stated(self, stated: Stated) -> None:
        if self.books.balances.get((stated.account, stated.asset), 0) != stated.balance:
            self.misstated.append(stated)


def _events(data: Path) -> Iterator[Event]:
    archive = EventArchive(data)
    position = archive.begin()
    for frame in archive.frames(position):
        length, session, sequence, _, template_id, _, _ = EVENT_HEADER.unpack_from(frame)
        yield Event(position, session, sequence, template_id, frame[EVENT_HEADER_SIZE:length],
                    frame[MESSAGE_AT:length])
        position += length


# ---- what clients were told ----------------------------------------------------------------------


def told(archive: Archive, party: Party, until: int) -> list[str]:
    """Whether a party was told everything up to a position, and nothing that isn't there."""
    said = archive.sessions[party.session]
    due = max((n for n, one in said.items() if one.position < until), default=0)
    faults = [f"{party.name}: {fault}" for fault in party.faults]
    if party.last_number < due:
        faults.append(f"{party.name}: told up to {party.last_number}, archived up to {due}")
    if party.last_number > len(said):
        faults.append(f"{party.name}: told up to {party.last_number}, archived {len(said)}")
    if isinstance(party, BinaryParty):
        faults += _told_binary(said, party)
    elif isinstance(party, FixParty):
        faults += _told_fix(said, party)
    return [*faults, *_answered(archive, party)]


def _told_binary(said: dict[int, Said], party: BinaryParty) -> Iterator[str]:
    for number, message in enumerate(party.events, 1):
        kept = said.get(number)
        if kept is None or _without_resend(message) != _without_resend(
            kept.message[: len(message)]
        ):
            yield f"{party.name}: number {number} is another in the archive"


def _without_resend(message: bytes) -> bytes:
    if int.from_bytes(message[2:4], "little") != REPORT:
        return message
    flags = message[FLAGS_AT] & ~oe.REPORT_FLAGS_POSS_RESEND
    return message[:FLAGS_AT] + bytes((flags,)) + message[FLAGS_AT + 1 :]


def _told_fix(said: dict[int, Said], party: FixParty) -> Iterator[str]:
    for number, message in party.messages.items():
        kept = said.get(number)
        if kept is None or kept.template not in (REPORT, CANCEL_REJECT):
            yield f"{party.name}: number {number} is no report in the archive: {message}"
            continue
        fields = kept.fields()
        pairs: list[tuple[object, object]] = [(f"11={text(message, 11)}", _own_id(fields))]
        if kept.template == REPORT:
            pairs += [
                (text(message, 37), str(fields["orderId"])),
                (text(message, 17), str(fields["execId"])),
                (text(message, 150), chr(fields["execType"])),
                (Decimal(text(message, 14)), Decimal(fields["cumQty"]).scaleb(-8)),
                (Decimal(text(message, 151)), Decimal(fields["leavesQty"]).scaleb(-8)),
            ]
            if fields["execType"] == TRADE:
                pairs += [
                    (Decimal(text(message, 32)), Decimal(fields["lastQty"]).scaleb(-8)),
                    (Decimal(text(message, 31)), Decimal(fields["lastPx"]).scaleb(-8)),
                    (text(message, 880), str(fields["tradeId"])),
                ]
        if any(a != b for a, b in pairs):
            yield f"{party.name}: number {number} differs: {pairs}"
    for first, behind in party.filled:
        for number in range(first, behind):
            kept = said.get(number)
            if kept is None or kept.template in (REPORT, CANCEL_REJECT):
                yield f"{party.name}: number {number} was left out by a resend"


def _own_id(fields: dict[str, Any]) -> str:
    """The client's own identity in the echo of a FIX order, as `11=…`."""
    echo = bytes(fields["echo"]).decode("latin-1")
    return next((part for part in echo.split("\x01") if part.startswith("11=")), "")


def _answered(archive: Archive, party: Party) -> Iterator[str]:
    """Each order was taken once or not at all, as the party was told."""
    fix = isinstance(party, FixParty)
    first: Counter[Any] = Counter()
    for report in archive.reports:
        if report["session"] == party.session and report["execType"] in (NEW, REJECTED):
            first[_own_id(report)[3:] if fix else report["clOrdId"]] += 1
    for identity, connection in party.sent.items():
        if first[identity] > 1:
            yield f"{party.name}: order {identity} was taken {first[identity]} times"
        if first[identity] and identity in party.refused:
            yield f"{party.name}: order {identity} was taken although it was refused"
        # What was under way when a connection broke may never have arrived.
        last = connection == party.connections
        if last and not first[identity] and identity not in party.refused:
            yield f"{party.name}: order {identity} was never answered"


# ---- what the archive says of itself -------------------------------------------------------------


def consistent(archive: Archive) -> Iterator[str]:
    """Executions are unique, trades have two sides, an order's quantities add up."""
    yield from archive.faults
    executions = Counter(report["execId"] for report in archive.reports)
    yield from (f"execution {one} is there {n} times" for one, n in executions.items() if n > 1)
    sides: dict[int, list[dict[str, Any]]] = defaultdict(list)
    filled: Counter[int] = Counter()
    news = Counter(r["orderId"] for r in archive.reports if r["execType"] == NEW)
    yield from (f"order {one} began {n} times" for one, n in news.items() if n > 1)
    for report in archive.reports:
        if report["execType"] != TRADE:
            continue
        order = report["orderId"]
        sides[report["tradeId"]].append(report)
        filled[order] += report["lastQty"]
        if filled[order] != report["cumQty"] or report["leavesQty"] < 0:
            yield f"order {order}: {filled[order]} filled, the report says {report['cumQty']}"
    for trade, reports in sides.items():
        if len(reports) != 2 or len({r["side"] for r in reports}) != 2:
            yield f"trade {trade} has {len(reports)} sides"
        elif reports[0]["lastQty"] != reports[1]["lastQty"]:
            yield f"trade {trade} has two quantities"


def balanced(archive: Archive, record: Any) -> Iterator[str]:
    """The books from the archive are the core's own, and nothing was made or lost."""
    yield from (f"the core stated otherwise: {one}" for one in archive.misstated[:SHOWN])
    assets = record["accounts"]["assets"]["balance"][0]
    for asset in archive.reference.assets:
        held = int(assets[:, asset].sum())
        if held != archive.books.total(asset):
            yield f"asset {asset}: {held} held, deposits − withdrawals {archive.books.total(asset)}"
    for (account, asset), amount in archive.books.balances.items():
        if account > OUTSIDE and int(assets[account, asset]) != amount:
            yield f"account {account}, asset {asset}: {assets[account, asset]}, books {amount}"


def reconciled(data: Path, log: Path) -> Iterator[str]:
    """The settlement process kept its ledger equal to the core, and nobody raised an alarm."""
    with open_read_only(data / "sidecars", "settlement") as connection:
        cycles, differences = connection.execute(
            "SELECT count(*), total(differences) FROM cycle"
        ).fetchone()
        single = connection.execute("SELECT count(*) FROM difference").fetchone()[0]
    if not cycles or differences or single:
        yield f"settlement: {cycles} cycles, {differences} differences, {single} of balances"
    for line in log.read_text().splitlines():
        if '"alarm":true' in line:
            yield f"alarm: {line}"


# ---- the journal ---------------------------------------------------------------------------------


def replayed(data: Path, limits: Limits, sequence: int, digest: str) -> tuple[Replica, list[str]]:
    """A replica at the journal's end; at `sequence` it must have had `digest`."""
    replica = Replica(limits, None)
    faults = []
    for batch in read_from(RealDisk(), data, 1):
        behind = skip(batch, sequence + 1)
        replica.apply(batch[: len(batch) - len(behind)])
        if replica.sequence == sequence and digest_of(replica.record) != digest:
            faults.append(f"the core's state at {sequence} was {digest}, "
                          f"a replay makes {digest_of(replica.record)}")
            digest = digest_of(replica.record)
        replica.apply(behind)
    if replica.sequence < sequence:
        faults.append(f"the journal ends at {replica.sequence}, the core was at {sequence}")
    return replica, faults


def first_few(sentences: Iterable[str]) -> list[str]:
    """The first sentences, and how many more there are."""
    found = list(sentences)
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return found[:SHOWN] + more
