"""Lists of orders: E into one command an order, and ListStatus (N) behind what became of them.

Each order of a list is judged, entered and reported by itself; they enter the ring one behind the
other with one publication. ListStatus is made when its number is known, so it stands behind the
reports it sums up and is made of them. M asks for the status of each order, and for another sum.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.config import decimal_text
from gateway.fix.actions import Command
from gateway.fix.dictionary.messages import INBOUND
from gateway.fix.message import Message
from gateway.fix.orders import ID_BYTES_MAX
from gateway.fix.session import Session
from gateway.fix.tables import hash_of, unsigned
from gateway.fix.times import time_text
from gateway.fix.values import decimal_of

if TYPE_CHECKING:
    from gateway.fix.dialect import Dialect, Venue

ORDERS_MAX = 100
LISTS_MAX = 1024  # remembered, for M
ACKNOWLEDGED, RESPONSE = 1, 2
EXECUTING, ALL_DONE, REJECTED = 3, 6, 7
DONE = frozenset(("2", "4", "8", "C"))
_ORDER_TAGS = tuple(m.tag for m in next(m for m in INBOUND["E"].members if m.tag == 73).group)
Field = tuple[int, object]


@dataclass(slots=True)
class Known:
    """A list that was entered: its orders' ids as the client wrote them."""

    name: bytes
    orders: list[bytes]
    account: dict[bytes, bytes | None]
    told: int = 0  # how many ListStatus there were


class Lists:
    """Both messages, for all sessions."""

    def __init__(self, venue: "Venue", dialect: "Dialect") -> None:
        self._venue, self._dialect = venue, dialect
        self._known: OrderedDict[tuple[int, bytes], Known] = OrderedDict()

    def enter(self, session: Session, message: Message, number: int) -> bool:
        """NewOrderList (E); True if a command carries the message's number."""
        name = message.get(66) or b""
        entries = message.group(73, _ORDER_TAGS)
        wrong = self._wrong(session, message, name, entries)
        if wrong:
            self._refuse(session, name, message.number(68) or 0, wrong)
            return False
        if self._dialect.too_many(session, message, number, len(entries)):
            return False
        known = Known(name, [e[11] for e in entries], {e[11]: e.get(1) for e in entries})
        begin, carried = self._venue.position, False
        for place, entry in enumerate(entries):
            last = place == len(entries) - 1
            single = Message(message.raw, [
                *((tag, message.get(tag) or b"") for tag in (34, 49, 52, 56)), (35, b"D"),
                (66, name), (60, entry.get(60) or message.get(60) or message.get(52) or b""),
                *((tag, value) for tag, value in entry.items() if tag != 60)])
            carried = self._dialect.enter(session, single, number if last else 0) and last
        self._known[session.id, name] = known
        if len(self._known) > LISTS_MAX:
            self._known.popitem(last=False)
        self._tell(session, known, ACKNOWLEDGED, begin)
        return carried

    def _wrong(
        self, session: Session, message: Message, name: bytes, entries: list[dict[int, bytes]]
    ) -> str:
        """What is wrong with the list as a whole; empty if nothing is."""
        ids = [entry[11] for entry in entries]
        if message.number(68) != len(entries):
            return f"TotNoOrders (tag 68) {message.text(68)} isn't the {len(entries)} of this list"
        if not 0 < len(entries) <= ORDERS_MAX:
            return f"a list has 1 to {ORDERS_MAX} orders"
        if len(name) > ID_BYTES_MAX:
            return f"ListID (tag 66) is longer than {ID_BYTES_MAX} characters"
        if len(set(ids)) != len(ids):
            return "two orders have the same ClOrdID (tag 11)"
        if (session.id, name) in self._known:
            return "ListID (tag 66) was used before"
        return ""

    def status(self, session: Session, message: Message, number: int) -> bool:
        """ListStatusRequest (M): the status of every order, then of the list."""
        name = message.get(66) or b""
        known = self._known.get((session.id, name))
        if known is None:
            self._refuse(session, name, 0, "there is no such list (tag 66); ask by H or AF")
            return False
        begin, carried = self._venue.position, False
        for place, identity in enumerate(known.orders):
            last = place == len(known.orders) - 1
            account = known.account[identity]
            single = Message(message.raw, [
                (52, message.get(52) or b""), *([(1, account)] if account else [])])
            fields = self._dialect.header(single, number if last else 0) | {
                "account": self._dialect.account(session, single) or 0,
                "clOrdId": unsigned(hash_of(identity)), "orderId": None, "requestId": 0,
                "echo": b"11=%b\x01" % identity}
            carried = self._venue.send(Command("OrderStatusRequest", fields), session.id) and last
        self._tell(session, known, RESPONSE, begin)
        return carried

    def _refuse(self, session: Session, name: bytes, total: int, text: str) -> None:
        session.emit("N", [
            (66, name), (429, RESPONSE), (82, 1), (431, REJECTED), (83, 1), (444, text),
            (60, time_text(self._venue.now(), 9)), (68, total)])

    def _tell(self, session: Session, known: Known, kind: int, begin: int) -> None:
        known.told += 1
        head: list[Field] = [(66, known.name), (429, kind), (82, 1)]
        count = known.told

        def late() -> Iterable[Field]:
            newest: dict[bytes, Message] = {}
            for report in self._venue.reports_since(session, begin):
                newest[report.get(11) or b""] = report
            states = {i: newest[i].text(39) if i in newest else "8" for i in known.orders}
            done = all(state in DONE for state in states.values())
            fields: list[Field] = [
                (431, ALL_DONE if done else EXECUTING), (83, count),
                (60, time_text(self._venue.now(), 9)), (68, len(known.orders)),
                (73, len(known.orders))]
            for identity in known.orders:
                fields += _order_state(identity, newest.get(identity))
            return fields

        session.emit("N", head, late=late)


def _order_state(identity: bytes, report: Message | None) -> list[Field]:
    """An order's entry of a ListStatus; without a report it never was one."""
    if report is None:
        return [(11, identity), (14, 0), (39, 8), (151, 0), (84, 0), (6, 0), (103, 99),
                (58, "not taken: the exchange was busy")]
    cancelled: object = 0
    if report.text(39) in ("4", "C"):
        whole, done = report.text(38, "0"), report.text(14, "0")
        cancelled = whole if done == "0" else _difference(whole, done)
    return [
        (11, identity), (14, report.get(14)), (39, report.get(39)), (151, report.get(151)),
        (84, cancelled), (6, report.get(6)), (103, report.get(103)), (58, report.get(58))]


def _difference(whole: str, part: str) -> str:
    return decimal_text((decimal_of(whole.encode()) or 0) - (decimal_of(part.encode()) or 0))
