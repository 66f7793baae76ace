"""Trade capture: what an account traded, from any moment or after any execution, and from now on.

AD asks; AQ says how many there are, AE follow one a side of a trade. They are found by reading the
event stream, in slices, so nobody waits for a long search. Those asked for are answers: a resend
fills the gap over them, and asking again is always possible, after the last ExecID (17) received.
Those subscribed to (263=1) are copies of events with numbers that any gateway can tell again.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import decimal_text
from core.errors import EventsLost
from core.jit import jit
from core.messages import decode_body
from core.reference import ReferenceData
from gateway.fix.message import Message, parse
from gateway.fix.records import EVENT_BODY_AT
from gateway.fix.session import Session
from gateway.fix.times import date_text, time_of, time_text
from gateway.fix.values import amount_text
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, load_u32, store_i64

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway

READ_BYTES = 1 << 20
SLICES = 4  # of so many bytes searched at a time
FOUND_MAX = 1 << 20
SEARCHES_MAX = 4  # of one session at a time
AT_A_TIME = 200  # reports told before others get their turn
PAUSE_SECONDS = 0.001
WAITING_MAX = 1 << 18  # bytes a client has not taken before more follow
ALL, MATCHED = "0", "1"
SNAPSHOT, SUBSCRIBE, UNSUBSCRIBE = "0", "1", "2"
Field = tuple[int, object]

_TRADE = oe.EXEC_TYPE_TRADE
_EXEC_ID = oe.EXECUTION_REPORT_EXEC_ID_OFFSET
_ORDER_ID = oe.EXECUTION_REPORT_ORDER_ID_OFFSET
_ACCOUNT = oe.EXECUTION_REPORT_ACCOUNT_OFFSET
FAR = (1 << 63) - 1


@jit
def find_trades(a: int, length: int, position: int, wanted: int, out: int, room: int) -> int:
    """Positions of the trades wanted in `length` bytes at `a`; bytes that were dealt with.

    wanted: seven words: account, instrument (−1: any), order (0: any), last ExecID already known,
    earliest and latest time, how many were found. out: room for that many positions, and stops
    when it is full.
    """
    at = 0
    while at + 32 <= length and load_i64(wanted + 48) < room:
        size = load_i32(a + at)
        if size < 32 or at + size > length:
            break
        e = a + at + EVENT_BODY_AT
        if oe.header_template(e - 8) == oe.EXECUTION_REPORT_TEMPLATE:
            time = load_i64(e)
            fits = oe.execution_report_exec_type(e) == _TRADE
            fits &= load_u32(e + _ACCOUNT) == load_i64(wanted)
            instrument = load_i64(wanted + 8)
            fits &= instrument < 0 or oe.execution_report_instrument(e) == instrument
            order = load_i64(wanted + 16)
            fits &= order == 0 or load_i64(e + _ORDER_ID) == order
            fits &= load_i64(e + _EXEC_ID) > load_i64(wanted + 24)
            fits &= load_i64(wanted + 32) <= time <= load_i64(wanted + 40)
            if fits:
                count = load_i64(wanted + 48)
                store_i64(out + 8 * count, position + at)
                store_i64(wanted + 48, count + 1)
        at += size
    return at


@dataclass(slots=True)
class Search:
    """One request being answered: first looked for, then told."""

    session: Session
    request: bytes
    kind: str
    live: str
    symbol: str
    wanted: list[np.ndarray[Any, Any]]  # one an account
    position: int
    end: int
    found: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(FOUND_MAX, np.int64))
    positions: deque[int] | None = None  # None while looking
    total: int = 0


class Trades:
    """See the module; one for the gateway."""

    def __init__(self, gateway: "FixGateway") -> None:
        self._gateway = gateway
        self._searches: deque[Search] = deque()
        self._listeners: dict[int, dict[Session, bytes]] = {}  # account: who is told
        self._running = False

    @property
    def listening(self) -> bool:
        """Whether anybody wants trades as they happen."""
        return any(self._listeners.values())

    def forget(self, session: Session) -> None:
        """The session is gone."""
        for listeners in self._listeners.values():
            listeners.pop(session, None)
        self._searches = deque(s for s in self._searches if s.session is not session)

    def report(self, frame: bytes) -> list[Session]:
        """Who is told of this report."""
        if frame[EVENT_BODY_AT + oe.EXECUTION_REPORT_EXEC_TYPE_OFFSET] != _TRADE:
            return []
        at = EVENT_BODY_AT + _ACCOUNT
        return list(self._listeners.get(int.from_bytes(frame[at : at + 4], "little"), ()))

    # ---- requests ------------------------------------------------------------------------------

    def request(self, session: Session, message: Message, _number: int) -> None:
        """TradeCaptureReportRequest (AD)."""
        accounts = self._accounts(session, message)
        instrument = self._gateway.reference.instruments_by_symbol.get(message.text(55))
        dates = [entry.get(60) for entry in message.group(580, (75, 60))]
        times = [time_of(text) for text in dates]
        after, order = message.number(17), message.number(37)
        result, text = 0, ""
        if not accounts:
            result, text = 9, f"the session has no account {message.text(1)} (tag 1)"
        elif message.get(55) is not None and instrument is None:
            result, text = 1, f"there is no instrument {message.text(55)} (tag 55)"
        elif any(tag in message and message.number(tag) is None for tag in (17, 37)):
            result, text = 99, "ExecID (tag 17) and OrderID (tag 37) are numbers here"
        elif sum(s.session is session for s in self._searches) >= SEARCHES_MAX:
            result, text = 99, f"{SEARCHES_MAX} requests are under way: wait for one to end"
        elif len(dates) > 2 or None in times:
            result, text = 99, "NoDates (tag 580): one or two times (tag 60), from and to"
        live = message.text(263, SNAPSHOT)
        if text:
            self._acknowledge(session, message.get(568) or b"", message.text(569), live,
                              message.text(55), None, result, text)
            return
        for account in accounts:
            if live == SUBSCRIBE:
                self._listeners.setdefault(account, {})[session] = message.get(568) or b""
            elif live == UNSUBSCRIBE:
                self._listeners.get(account, {}).pop(session, None)
        self._gateway.watch()
        if live == UNSUBSCRIBE:
            return
        begin = times[0] if times else 0
        finish = times[1] if len(times) == 2 else FAR
        wanted = [np.array([account, instrument.number if instrument else -1, order or 0,
                            after or 0, begin, finish, 0], np.int64) for account in accounts]
        self._searches.append(Search(
            session, message.get(568) or b"", message.text(569), live, message.text(55), wanted,
            self._gateway.begin, self._gateway.position))
        if not self._running:
            self._go_on()

    def _accounts(self, session: Session, message: Message) -> list[int]:
        entry, reference = session.entry, self._gateway.reference
        mine = self._gateway.accounts_of(session.id)
        if entry is not None and entry.drop_copy:
            known = reference.sessions.get(session.id)
            owner = known.owner if known else 0
            mine = {a.name: a.number for a in reference.accounts.values() if a.owner == owner}
        name = message.text(1)
        return [mine[name]] if name in mine else [] if name else list(mine.values())

    def _acknowledge(
        self, session: Session, request: bytes, kind: str, live: str, symbol: str,
        total: int | None, result: int, text: str,
    ) -> None:
        session.emit("AQ", [
            (568, request), (569, kind), (263, live), (748, total), (749, result),
            (750, 2 if result else 0), (55, symbol or "[N/A]"), (58, text or None)])

    # ---- searching and telling -----------------------------------------------------------------

    def _go_on(self) -> None:
        """A slice of the oldest request; then the next one's turn."""
        self._running = False
        if not self._searches:
            return
        search = self._searches.popleft()
        client = self._gateway.client_of(search.session.id)
        if client is not None and client.session is search.session:
            if search.positions is None:
                self._look(search)
                unfinished = True
            elif client.waiting < WAITING_MAX:
                unfinished = self._tell(search)
            else:
                unfinished = True
            self._gateway.carry_out(client)
            if unfinished:
                self._searches.append(search)
        if self._searches:
            self._running = True
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._go_on)

    def _look(self, search: Search) -> None:
        for _ in range(SLICES):
            data = self._read(search.position, search.end)
            if not data:
                self._found(search, 0, "")
                return
            array, used = np.frombuffer(data, np.uint8), 0
            for wanted in search.wanted:
                wanted[6] = search.total
                used = int(find_trades(
                    int(array.ctypes.data), len(data), search.position,
                    int(wanted.ctypes.data), int(search.found.ctypes.data), FOUND_MAX))
                search.total = int(wanted[6])
            if search.total >= FOUND_MAX:
                self._found(search, 99, f"more than {FOUND_MAX} trades: narrow it by tag 17 or 580")
                return
            if used == 0:
                self._found(search, 0, "")
                return
            search.position += used

    def _read(self, position: int, end: int) -> bytes:
        if position >= end:
            return b""
        try:
            return self._gateway.read(position, min(READ_BYTES, end - position))
        except EventsLost:
            return b""

    def _found(self, search: Search, result: int, text: str) -> None:
        total = 0 if result else search.total
        search.positions = deque(np.sort(search.found[:total]).tolist())
        search.total, search.found = total, search.found[:0]
        self._acknowledge(search.session, search.request, search.kind, search.live, search.symbol,
                          total, result, text)

    def _tell(self, search: Search) -> bool:
        """The next reports; False when all were told."""
        assert search.positions is not None
        for _ in range(min(AT_A_TIME, len(search.positions))):
            position = search.positions.popleft()
            frame = self._frame(position)
            if frame is None:
                continue
            more: list[Field] = [
                (568, search.request), (748, search.total),
                (912, "N" if search.positions else "Y")]
            search.session.emit("AE", self.fields(frame, more))
        return bool(search.positions)

    def _frame(self, position: int) -> bytes | None:
        try:
            size = int.from_bytes(self._gateway.read(position, 32)[:4], "little")
            frame = self._gateway.read(position, size)
        except EventsLost:
            return None
        return frame if len(frame) >= size >= 32 else None

    def fields(self, frame: bytes, more: list[Field]) -> list[Field]:
        """The trade of a report as a TradeCaptureReport; `more` stands behind its id."""
        return trade_fields(frame, self._gateway.reference, more)


def trade_fields(frame: bytes, reference: ReferenceData, more: list[Field]) -> list[Field]:
    """An ExecutionReport event of a trade as fields of AE."""
    fields = decode_body(oe.EXECUTION_REPORT_TEMPLATE, frame[EVENT_BODY_AT:])
    instrument = reference.instruments.get(fields["instrument"])
    quote = reference.assets.get(instrument.quote_asset if instrument else 0)
    account = reference.accounts.get(fields["account"])
    time, own = fields["header"]["transactTime"], dict(parse(fields["echo"]).fields)
    liquidity = {1: 1, 3: 4}.get(fields["lastLiquidity"], 2)
    return [
        (571, fields["execId"]), *more, (150, "F"), (570, "N"), (17, fields["execId"]),
        (55, instrument.symbol if instrument else fields["instrument"]),
        (32, decimal_text(fields["lastQty"])), (31, decimal_text(fields["lastPx"])),
        (75, date_text(time)), (60, time_text(time, 9)), (880, fields["tradeId"]),
        (21011, "N" if fields["outcomeSide"] else None),
        (552, 1), (54, fields["side"]), (37, fields["orderId"]), (11, own.get(11)),
        (526, own.get(526)), (1, account.name if account else fields["account"]), (13, 3),
        (12, amount_text(fields["fee"], quote.decimals if quote else 6)),
        (479, quote.name if quote else "USDC"), (851, liquidity),
    ]

