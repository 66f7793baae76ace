"""What everybody should know: the exchange's phase (h), and news (B) of halts and what is coming.

Told to the sessions that subscribed by TradingSessionStatusRequest (g, 263=1). Trading never ends
here, so phases are few: open, halted while the core recovers, closed when the exchange stops. News
says in words which instrument changed its state, and counts down to expiries and day ends.
"""

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from core.reference import Instrument
from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.message import Message
from gateway.fix.schedule import next_boundary
from gateway.fix.session import Session
from gateway.fix.times import time_text
from sbe.generated import order_entry as oe

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway

SECOND = 1_000_000_000
COUNTDOWN = (3600, 600, 60, 10)  # seconds before something, each told once
SUBSCRIBE, UNSUBSCRIBE = "1", "2"
HALTED, OPEN, CLOSED = 1, 2, 3  # TradSesStatus (340)
NORMAL, FLASH = 0, 1  # Urgency (61)
_STATES = {
    int(value): name.replace("_", " ").lower() for value, name in FIELDS[21014].values.items()}
_URGENT = frozenset((oe.TRADING_STATE_HALTED, oe.TRADING_STATE_CANCEL_ONLY))
Field = tuple[int, object]


class Bulletin:
    """See the module; one for the gateway."""

    def __init__(self, gateway: "FixGateway") -> None:
        self._gateway = gateway
        self._readers: dict[Session, bytes] = {}
        self._told: dict[Hashable, int] = {}  # of a countdown: the seconds told last
        self._second = 0
        self._phase = OPEN

    def request(self, session: Session, message: Message, _number: int) -> None:
        """TradingSessionStatusRequest (g)."""
        if message.text(263) == UNSUBSCRIBE:
            self._readers.pop(session, None)
            return
        if message.text(263) == SUBSCRIBE:
            self._readers[session] = message.get(335) or b""
        session.emit("h", self._status(message.get(335) or b"", ""))

    def forget(self, session: Session) -> None:
        """The session is gone."""
        self._readers.pop(session, None)

    def _status(self, request: bytes, text: str) -> list[Field]:
        return [(335, request), (336, "CONTINUOUS"), (340, self._phase), (58, text or None)]

    def _enter_phase(self, phase: int, text: str) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        for session, request in self._readers.items():
            session.emit("h", self._status(request, text))
        self.news(text, NORMAL if phase == OPEN else FLASH)

    def core_changed(self, ready: bool) -> None:
        """The core went away or came back."""
        if ready:
            self._enter_phase(OPEN, "trading goes on")
        else:
            self._enter_phase(HALTED, "trading is halted: the exchange is recovering")

    def closing(self, text: str) -> None:
        """The exchange stops."""
        self._enter_phase(CLOSED, text)

    def state_changed(self, instrument: Instrument) -> None:
        """An instrument's TradingState changed."""
        urgency = FLASH if instrument.state in _URGENT else NORMAL
        state = _STATES.get(instrument.state, str(instrument.state))
        self.news(f"{instrument.symbol} is {state}", urgency, instrument.symbol)

    def news(
        self, headline: str, urgency: int = NORMAL, symbol: str = "",
        to: Iterable[Session] | None = None,
    ) -> None:
        """Tell a headline, perhaps about an instrument."""
        now = time_text(self._gateway.now())
        fields: list[Field] = [(42, now), (61, urgency), (148, headline)]
        if symbol:
            fields += [(146, 1), (55, symbol)]
        for session in self._readers if to is None else to:
            session.emit("B", [*fields, (33, 1), (58, headline)])

    # ---- what is coming ------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Once a second: is anything near?"""
        if now // SECOND == self._second or not self._readers:
            return
        self._second = now // SECOND
        for instrument in self._gateway.reference.instruments.values():
            if instrument.expiry is not None and instrument.state == oe.TRADING_STATE_OPEN:
                left = self._due(instrument.number, instrument.expiry - now)
                if left:
                    self.news(f"{instrument.symbol} expires in {_words(left)}", NORMAL,
                              instrument.symbol)
        for session in list(self._readers):
            entry = session.entry
            if entry is not None and entry.reset_time:
                left = self._due(session, next_boundary(now, entry.reset_time) - now)
                if left:
                    text = f"the session's day ends in {_words(left)}; numbers start again then"
                    self.news(text, NORMAL, to=(session,))

    def _due(self, key: Hashable, remaining: int) -> int:
        """The seconds to tell now, 0 for none: each step once, only the nearest if some passed."""
        step = min((s for s in COUNTDOWN if remaining <= s * SECOND), default=0)
        if remaining <= 0 or step == 0:
            self._told.pop(key, None)
            return 0
        if self._told.get(key) == step:
            return 0
        self._told[key] = step
        return max(1, round(remaining / SECOND))


def _words(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds} s"
