"""Questions the gateway answers by itself: what is listed, and in which state it is.

x → y, c → d, e → f, each with updates if subscribed: what is listed later, or resolved, comes as a
further y or d, a new state as an f. Market data (V), phases (g) and trades (AD) have their own
modules. The answers take numbers of the session like any message of ours; a resend
fills the gap over them.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from core.reference import Instrument, ReferenceData
from gateway.fix.listings import EVENT_CONTRACT, listing, security_type, status
from gateway.fix.message import Message
from gateway.fix.session import Session

LIST_PAGE = 50
LISTINGS_MAX = 4096  # subscriptions of all sessions to what is listed
SNAPSHOT, SUBSCRIBE, UNSUBSCRIBE = "0", "1", "2"
Field = tuple[int, object]


class MarketData(Protocol):
    """Who answers V."""

    def request(self, session: Session, message: Message, number: int) -> None:
        """A MarketDataRequest."""


class Queries:
    """See the module; one for all sessions."""

    def __init__(
        self, reference: ReferenceData, market_data: MarketData,
        others: Mapping[str, Callable[[Session, Message, int], None]],
    ) -> None:
        self._reference = reference
        self._watched: dict[int, dict[Session, bytes]] = {}
        self._listings: dict[tuple[Session, bytes], Message] = {}  # subscribed x and c
        self._handlers = {
            "x": self._list, "c": self._definition, "e": self._status,
            "V": market_data.request,
            **others,
        }

    @property
    def kinds(self) -> frozenset[str]:
        """The types answered here."""
        return frozenset(self._handlers)

    def handle(self, session: Session, message: Message, number: int) -> None:
        """Answer."""
        self._handlers[message.kind](session, message, number)

    def forget(self, session: Session) -> None:
        """The session is gone."""
        for watchers in self._watched.values():
            watchers.pop(session, None)
        for key in [key for key in self._listings if key[0] is session]:
            del self._listings[key]

    def listed(self, instrument: Instrument) -> None:
        """An instrument is new, or its definition changed: tell those who asked to be told."""
        for (session, request), message in self._listings.items():
            if instrument in self._wanted(message):
                answer = f"{session.number}-{instrument.number}-{self._reference.version}"
                head: list[Field] = [(320, request), (322, answer)]
                head += [(560, 0), (393, 1), (893, "Y"), (146, 1)] if message.kind == "x" else [
                    (323, 1)]
                kind = "y" if message.kind == "x" else "d"
                session.emit(kind, [*head, *listing(instrument, self._reference)])

    def changed(self, instrument: Instrument) -> None:
        """An instrument's state changed: tell those who asked to be told."""
        for session, request in self._watched.get(instrument.number, {}).items():
            session.emit("f", status(instrument, request))

    # ---- lists ---------------------------------------------------------------------------------

    def _wanted(self, message: Message) -> list[Instrument]:
        symbol, kind = message.text(55), message.text(167)
        found = sorted(self._reference.instruments.values(), key=lambda i: i.number)
        if symbol:
            found = [i for i in found if i.symbol == symbol]
        if kind:
            wanted = EVENT_CONTRACT if kind == "EVENT" else kind
            found = [i for i in found if security_type(i) == wanted]
        return found

    def _is_over(self, session: Session, message: Message) -> bool:
        """Begin to tell of listings if the request subscribes; True if it ends that."""
        key = session, message.get(320) or b""
        if message.text(263) == UNSUBSCRIBE:
            self._listings.pop(key, None)
            return True
        if message.text(263) == SUBSCRIBE and len(self._listings) < LISTINGS_MAX:
            self._listings[key] = message
        return False

    def _list(self, session: Session, message: Message, number: int) -> None:
        """SecurityListRequest (x): pages of a SecurityList (y)."""
        if self._is_over(session, message):
            return
        found = self._wanted(message)
        head: list[Field] = [(320, message.get(320)), (322, f"{session.number}-{number}")]
        if not found:
            session.emit("y", [*head, (560, 2)])
            return
        for start in range(0, len(found), LIST_PAGE):
            page = found[start : start + LIST_PAGE]
            last = start + LIST_PAGE >= len(found)
            fields: list[Field] = [
                *head, (560, 0), (393, len(found)), (893, "Y" if last else "N"), (146, len(page))]
            for instrument in page:
                fields += listing(instrument, self._reference)
            session.emit("y", fields)

    def _definition(self, session: Session, message: Message, number: int) -> None:
        """SecurityDefinitionRequest (c): a SecurityDefinition (d)."""
        if self._is_over(session, message):
            return
        found = self._wanted(message)
        head: list[Field] = [(320, message.get(320)), (322, f"{session.number}-{number}")]
        if len(found) != 1:
            text = "there is no such instrument" if not found else "more than one fits, name it"
            symbol = message.text(55) or "[N/A]"
            session.emit("d", [*head, (323, 5), (55, symbol), (58, text)])
        else:
            session.emit("d", [*head, (323, 1), *listing(found[0], self._reference)])

    # ---- states --------------------------------------------------------------------------------

    def _status(self, session: Session, message: Message, number: int) -> None:
        """SecurityStatusRequest (e): a SecurityStatus (f), and further ones if subscribed."""
        instrument = self._reference.instruments_by_symbol.get(message.text(55))
        if instrument is None:
            session.business_reject(
                message, number, 2, f"there is no instrument {message.text(55)} (tag 55)")
            return
        request = message.get(324) or b""
        watchers = self._watched.setdefault(instrument.number, {})
        if message.text(263) == UNSUBSCRIBE:
            watchers.pop(session, None)
            return
        if message.text(263) == SUBSCRIBE:
            watchers[session] = request
        session.emit("f", status(instrument, request))
