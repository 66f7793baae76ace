"""Lists of orders: E into one command an order, and ListStatus (N) of what became of them.

Each order of a list is judged, entered and reported by itself; they enter the ring one behind the
other with one publication. ListStatus is made when its number is known, so it stands behind the
reports it sums up and is made of them. The recipe for it stands in the journal with its number: any
gateway writes the same message again, and knows the lists that were entered through another.

    E   the orders, then N                          M   N
    K   what is still open is cancelled, then N

For M and K the newest report of each order is looked for in the archive, a slice at a time.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.config import decimal_text
from gateway.fix.actions import Command
from gateway.fix.dictionary.messages import INBOUND
from gateway.fix.message import Message, body, parse
from gateway.fix.orders import ID_BYTES_MAX
from gateway.fix.outbox import Pending
from gateway.fix.session import Session
from gateway.fix.tables import hash_of, unsigned
from gateway.fix.times import time_text
from gateway.fix.values import decimal_of

if TYPE_CHECKING:
    from gateway.fix.dialect import Dialect, Venue

ORDERS_MAX = 100
LISTS_MAX = 1024  # remembered, for M and K
ACKNOWLEDGED, RESPONSE = 1, 2
EXECUTING, ALL_DONE, REJECTED = 3, 6, 7
DONE = frozenset(("2", "4", "8", "C"))
_ORDER_TAGS = tuple(m.tag for m in next(m for m in INBOUND["E"].members if m.tag == 73).group)
Field = tuple[int, object]


@dataclass(slots=True)
class Part:
    """An order of a list."""

    identity: bytes  # as the client wrote it
    account: bytes | None = None
    report: int = 0  # position of a report of it, 0: look behind the recipe's begin
    code: bytes | None = None  # why the gateway refused it: OrdRejReason (103), Text (58)
    text: bytes | None = None


@dataclass(slots=True)
class Recipe:
    """What a ListStatus is made of: reports of the orders, from a position of the stream on."""

    name: bytes
    kind: int
    told: int  # which ListStatus of the list this is
    begin: int
    parts: list[Part] = field(default_factory=list)

    @property
    def kept(self) -> str:
        """What the journal keeps of the message."""
        fields: list[Field] = [
            (66, self.name), (429, self.kind), (83, self.told), (7, self.begin)]
        for part in self.parts:
            fields += [(11, part.identity), (1, part.account), (37, part.report or None),
                       (103, part.code), (58, part.text)]
        return f"N\x01{body(fields).decode('latin-1')}"


def recipe_of(text: bytes) -> Recipe:
    """The recipe that fields of `Recipe.kept` stand for."""
    recipe = Recipe(b"", 0, 0, 0)
    for tag, value in parse(text):
        match tag:
            case 66:
                recipe.name = value
            case 429:
                recipe.kind = int(value)
            case 83:
                recipe.told = int(value)
            case 7:
                recipe.begin = int(value)
            case 11:
                recipe.parts.append(Part(value))
            case 1:
                recipe.parts[-1].account = value
            case 37:
                recipe.parts[-1].report = int(value)
            case 103:
                recipe.parts[-1].code = value
            case 58:
                recipe.parts[-1].text = value
    return recipe


def is_recipe(kept: Pending) -> bool:
    """Whether a message that was kept still has to be made."""
    return kept.kind == "N" and b"\x01431=" not in kept.body


class Lists:
    """All three messages, for all sessions."""

    def __init__(self, venue: "Venue", dialect: "Dialect") -> None:
        self._venue, self._dialect = venue, dialect
        self._known: OrderedDict[tuple[int, bytes], Recipe] = OrderedDict()

    def learn(self, fields: dict[str, Any], _position: int) -> None:
        """A ListStatus got its number, whoever made it: remember the list.

        fields: of the SessionNumbersAssigned.
        """
        session, text = fields["session"], fields["text"]
        recipe = recipe_of(text.partition("\x01")[2].encode("latin-1"))
        if not recipe.parts:
            return  # of a list that was refused as a whole
        known = self._known.get((session, recipe.name))
        if known is None:
            self._known[session, recipe.name] = recipe
            if len(self._known) > LISTS_MAX:
                self._known.popitem(last=False)
        else:
            known.told = max(known.told, recipe.told)

    # ---- in ------------------------------------------------------------------------------------

    def enter(self, session: Session, message: Message, number: int) -> bool:
        """NewOrderList (E); True if a command carries the message's number."""
        name = message.get(66) or b""
        if message.get(97) == b"Y" and (session.id, name) in self._known:
            return self.status(session, message, number)
        entries = message.group(73, _ORDER_TAGS)
        wrong = self._wrong(session, message, name, entries)
        if wrong:
            self._refuse(session, name, message.number(68) or 0, wrong)
            return False
        if self._dialect.too_many(session, message, number, len(entries)):
            return False
        recipe, carried = Recipe(name, ACKNOWLEDGED, 0, self._venue.position), False
        for place, entry in enumerate(entries):
            last = place == len(entries) - 1
            single = Message(message.raw, [
                *((tag, message.get(tag) or b"") for tag in (34, 49, 52, 56, 97)), (35, b"D"),
                (66, name), (60, entry.get(60) or message.get(60) or message.get(52) or b""),
                *((tag, value) for tag, value in entry.items() if tag != 60)])
            part, before = Part(entry[11], entry.get(1)), session.newest
            entered = self._dialect.enter(session, single, number if last else 0)
            if session.known:
                part.report = session.known.get(unsigned(hash_of(part.identity)), 0)
            if not entered and session.newest is not before and session.newest is not None:
                said = parse(session.newest.body)
                part.code, part.text = said.get(103), said.get(58)
            recipe.parts.append(part)
            carried = entered and last
        self._known[session.id, name] = recipe
        self._tell(session, recipe, recipe)
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

    def status(self, session: Session, message: Message, _number: int) -> bool:
        """ListStatusRequest (M): one ListStatus of all its orders."""
        return self._look(session, message, self._tell)

    def cancel(self, session: Session, message: Message, _number: int) -> bool:
        """ListCancelRequest (K): cancel what is open of it, then its ListStatus."""

        def go_on(reader: Session, known: Recipe, recipe: Recipe) -> None:
            for part in recipe.parts:
                report = self._venue.copies.report_at(reader, part.report)
                if report is not None and report.text(39) not in DONE:
                    self._cancel(reader, message, part)
            self._tell(reader, known, recipe)

        return self._look(session, message, go_on)

    def _cancel(self, session: Session, message: Message, part: Part) -> None:
        own = Message(message.raw, [] if part.account is None else [(1, part.account)])
        identity = unsigned(hash_of(part.identity))
        report = self._venue.copies.report_at(session, part.report)
        symbol = report.text(55) if report else ""
        instrument = self._venue.reference.instruments_by_symbol.get(symbol)
        self._venue.send(Command("OrderCancelRequest", self._dialect.header(message, 0) | {
            "account": self._dialect.account(session, own) or 0, "clOrdId": identity,
            "origClOrdId": 0, "orderId": report.number(37) if report else None,
            "instrument": instrument.number if instrument else 0,
            "echo": b"11=%b\x0166=%b\x01" % (part.identity, message.get(66) or b"")}), session.id)

    def _look(
        self, session: Session, message: Message,
        found: Callable[[Session, Recipe, Recipe], None],
    ) -> bool:
        """Look for the newest report of each order of the list, then go on with that."""
        name = message.get(66) or b""
        known = self._known.get((session.id, name))
        if known is None:
            self._refuse(session, name, 0, "there is no such list (tag 66); ask by H or AF")
            return False

        def at(positions: list[int]) -> None:
            if session.live:
                parts = [
                    Part(part.identity, part.account, position, part.code, part.text)
                    for part, position in zip(known.parts, positions, strict=True)]
                found(session, known, Recipe(name, RESPONSE, 0, self._venue.position, parts))

        self._venue.copies.look_for(
            session, known.begin, [unsigned(hash_of(p.identity)) for p in known.parts], at)
        return False

    # ---- out -----------------------------------------------------------------------------------

    def _refuse(self, session: Session, name: bytes, total: int, text: str) -> None:
        session.emit("N", [
            (66, name), (429, RESPONSE), (82, 1), (431, REJECTED), (83, 1), (444, text),
            (60, time_text(self._venue.now(), 9)), (68, total)])

    def _tell(self, session: Session, known: Recipe, recipe: Recipe) -> None:
        known.told += 1
        recipe.told = known.told
        session.emit(
            "N", [], keep=recipe.kept,
            late=lambda position, time: self.words(session, recipe, position, time))

    def words(
        self, session: Session, recipe: Recipe, position: int, time: int
    ) -> Iterable[Field]:
        """The fields of a ListStatus that was numbered at a position of the stream."""
        copies = self._venue.copies
        newest: dict[bytes, Message] = {}
        for part in recipe.parts:
            report = copies.report_at(session, part.report)
            if report is not None:
                newest[part.identity] = report
        names = {part.identity for part in recipe.parts}
        for report in copies.reports(session, recipe.begin, position):
            own, original = report.get(11) or b"", report.get(41) or b""
            newest[own if own in names else original] = report
        states = [newest[p.identity].text(39) if p.identity in newest else "8"
                  for p in recipe.parts]
        fields: list[Field] = [
            (66, recipe.name), (429, recipe.kind), (82, 1),
            (431, ALL_DONE if DONE.issuperset(states) else EXECUTING), (83, recipe.told),
            (60, time_text(time, 9)), (68, len(recipe.parts)), (73, len(recipe.parts))]
        for part in recipe.parts:
            fields += _order_state(part, newest.get(part.identity))
        return fields


def _order_state(part: Part, report: Message | None) -> list[Field]:
    """An order's entry of a ListStatus; without a report it never was one."""
    if report is None:
        return [(11, part.identity), (14, 0), (39, 8), (151, 0), (84, 0), (6, 0),
                (103, part.code or 99),
                (58, part.text or "not taken: the exchange was busy")]
    cancelled: object = 0
    if report.text(39) in ("4", "C"):
        whole, done = report.text(38, "0"), report.text(14, "0")
        cancelled = whole if done == "0" else _difference(whole, done)
    return [
        (11, part.identity), (14, report.get(14)), (39, report.get(39)), (151, report.get(151)),
        (84, cancelled), (6, report.get(6)), (103, report.get(103)), (58, report.get(58))]


def _difference(whole: str, part: str) -> str:
    return decimal_text((decimal_of(whole.encode()) or 0) - (decimal_of(part.encode()) or 0))
