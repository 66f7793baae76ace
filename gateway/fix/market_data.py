"""Market data over FIX: V in, W and X out, from the book that gateway/feed/book.py keeps."""

from typing import TYPE_CHECKING

from gateway.fix.message import Message
from gateway.fix.session import Session

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway


class MarketData:
    """Subscriptions of all sessions."""

    def __init__(self, gateway: "FixGateway") -> None:
        self._gateway = gateway

    def request(self, session: Session, message: Message, number: int) -> None:
        """A MarketDataRequest (V)."""
        session.emit("Y", [(262, message.get(262)), (281, 4), (58, "not offered here")])

    def forget(self, session: Session) -> None:
        """The session is gone."""

    def tick(self, now: int) -> None:
        """Time has passed."""
