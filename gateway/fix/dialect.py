"""Application messages of clients into commands: everything the scanner leaves to Python.

For an order in the clean shape this writes the very frame the scanner would (a test holds the two
together); it takes what else the dictionary allows, and says why where it can't.
"""

from collections.abc import Callable
from typing import Any, Protocol

from core.reference import Instrument, ReferenceData
from gateway.fix.actions import Command
from gateway.fix.copies import Copies
from gateway.fix.lists import Lists
from gateway.fix.message import Message
from gateway.fix.orders import ECHO_BYTES_MAX, ID_BYTES_MAX
from gateway.fix.queries import Queries
from gateway.fix.quoting import Quoting
from gateway.fix.requests import Requests
from gateway.fix.session import Session
from gateway.fix.tables import hash_of, unsigned
from gateway.fix.times import time_of
from gateway.fix.values import decimal_of, instruction_bits
from sbe.generated import order_entry as oe

NOT_AVAILABLE, THROTTLED = 4, 8
ORDERS = ("D", "F", "G", "i", "q", "Z", "E", "K", "U1", "U3", "U5", "U7", "AY", "DH")
Fields = dict[str, Any]


class Venue(Protocol):
    """What the dialect asks of the gateway around it."""

    reference: ReferenceData
    copies: Copies

    def core_ready(self) -> bool:
        """Whether the core takes commands."""

    def send(self, command: Command, session: int) -> bool:
        """Put a command into the ring; False if there is no room."""

    def accounts_of(self, session: int) -> dict[str, int]:
        """The accounts a session may name."""

    def now(self) -> int:
        """ns UTC."""

    @property
    def position(self) -> int:
        """How far the event stream was walked."""

    def watch_balances(self, session: Session, account: int, how: str) -> None:
        """Begin (1) or cease (2) to tell the session of money that comes and goes."""


class Dialect:
    """Judges and translates; one for all sessions."""

    def __init__(self, venue: Venue, queries: Queries) -> None:
        self._venue = venue
        self._queries = queries
        self.quoting = Quoting(venue)
        self.lists = Lists(venue, self)
        self._requests = Requests(venue, self)
        self._handlers: dict[str, Callable[[Session, Message, int], bool]] = {
            "D": self._new, "F": self._cancel, "G": self._replace, "H": self._status,
            "AF": self._mass_status, "q": self._mass_cancel, "i": self.quoting.mass_quote,
            "Z": self.quoting.quote_cancel, "AN": self._positions, "BB": self._collateral,
            "E": self.lists.enter, "M": self.lists.status, "K": self.lists.cancel,
            "U1": self._requests.preview, "AY": self._requests.assignment,
            "DH": self._requests.halt, "U3": self._requests.timer,
            "U5": self._requests.withdrawal_rule, "U7": self._requests.protection,
        }

    def handle(self, session: Session, message: Message, number: int) -> bool:
        """Act on a sound application message; True if a command carries its number."""
        kind = message.kind
        if kind in self._queries.kinds:
            self._queries.handle(session, message, number)
            return False
        if kind == "BE":
            self._requests.limits(session, message, number)
            return False
        if kind not in self._handlers:
            session.business_reject(message, number, 3, "Unsupported Message Type")
            return False
        entry = session.entry
        if kind in ORDERS and entry is not None and entry.drop_copy:
            session.business_reject(message, number, 6, "a drop-copy session takes no orders")
            return False
        if not self._venue.core_ready():
            session.business_reject(
                message, number, NOT_AVAILABLE,
                "the exchange is recovering: this message was not taken, send it again",
                oe.REASON_BUSY)
            return False
        return self._handlers[kind](session, message, number)

    # ---- orders --------------------------------------------------------------------------------

    def _new(self, session: Session, message: Message, number: int) -> bool:
        return not self.too_many(session, message, number) and self.enter(
            session, message, number)

    def enter(self, session: Session, message: Message, number: int) -> bool:
        """An order that the throttle has let through; number 0: of a list, not its last."""
        if session.known and self._known_already(session, message):
            return False
        fields = self.order_fields(session, message, number)
        return fields is not None and self.send(
            session, message, number, "NewOrderSingle", fields)

    def order_fields(
        self, session: Session, message: Message, number: int
    ) -> Fields | None:
        """An order as the core wants it; None if it was refused already."""
        common = self._common(session, message, number)
        if common is None:
            return None
        instrument, account, fields = common
        for tag, name in UNSUPPORTED_TERMS.items():
            if message.get(tag) is not None:
                self._refuse(session, message, 11, oe.REASON_INVALID_FIELD,
                             f"{name} (tag {tag}) is not offered")
                return None
        prevention = message.number(2964) or 0
        stop = decimal_of(message.get(99))
        trigger = message.number(21012) or (
            oe.TRIGGER_TYPE_LAST if stop is not None else oe.TRIGGER_TYPE_NONE)
        return fields | {
            "account": account,
            "price": decimal_of(message.get(44)),
            "orderQty": decimal_of(message.get(38)) or 0,
            "instrument": instrument.number,
            "side": message.number(54),
            "ordType": message.number(40),
            "timeInForce": message.number(59) or 0,
            "execInst": instruction_bits(message.get(18)),
            "stopPx": stop,
            "displayQty": decimal_of(message.get(1138) or message.get(111)),
            "expireTime": time_of(message.get(126)),
            "tag": 0,
            "selfTradePrevention": prevention,
            "triggerType": trigger,
            "outcomeSide": int(message.get(21011) == b"N"),
            "echo": self.echo(message),
        }

    def too_many(
        self, session: Session, message: Message, number: int, count: int = 1
    ) -> bool:
        """Count orders that the scanner left; True (and a reject) if they are too many."""
        fields = session.connection.fields
        limit, now = int(fields["throttle"]), self._venue.now()
        if limit == 0:
            return False
        passed = now - int(fields["throttle_start"])
        if passed >= 1_000_000_000:
            passed = 0
            fields["throttle_start"], fields["throttle_count"] = now, 0
        if int(fields["throttle_count"]) + count <= limit:
            fields["throttle_count"] += count
            return False
        wait = (1_000_000_000 - passed) // 1_000_000 + 1
        session.throttled += 1
        session.business_reject(
            message, number, THROTTLED,
            f"throttle: more than {limit} orders in a second; try again in {wait} ms",
            oe.REASON_THROTTLED)
        return True

    def _known_already(self, session: Session, message: Message) -> bool:
        """PossResend: an order seen before is answered with its report, never entered again."""
        identity = unsigned(hash_of(message.get(11) or b""))
        position = session.known.pop(identity, 0)  # What is entered now isn't there yet.
        if not position or message.get(97) != b"Y":
            return False
        session.known[identity] = position
        if session.entry is None or session.entry.possible_resend == "report":
            self._venue.copies.again(session.id, position)
        return True

    def _cancel(self, session: Session, message: Message, number: int) -> bool:
        common = self._common(session, message, number, order=True)
        if common is None:
            return False
        instrument, account, fields = common
        return self.send(session, message, number, "OrderCancelRequest", fields | {
            "account": account,
            "origClOrdId": self._identity(message, 41),
            "orderId": message.number(37),
            "instrument": instrument.number,
            "echo": self.echo(message),
        })

    def _replace(self, session: Session, message: Message, number: int) -> bool:
        common = self._common(session, message, number, order=True)
        if common is None:
            return False
        instrument, account, fields = common
        return self.send(session, message, number, "OrderCancelReplaceRequest", fields | {
            "account": account,
            "origClOrdId": self._identity(message, 41),
            "orderId": message.number(37),
            "price": decimal_of(message.get(44)),
            "orderQty": decimal_of(message.get(38)),
            "stopPx": decimal_of(message.get(99)),
            "displayQty": decimal_of(message.get(1138) or message.get(111)),
            "instrument": instrument.number,
            "echo": self.echo(message),
        })

    def _common(
        self, session: Session, message: Message, number: int, order: bool = False
    ) -> tuple[Instrument, int, Fields] | None:
        """Instrument, account and header of an order message; None if it was answered already."""
        for tag in (11, 41, 526):
            if len(message.get(tag) or b"") > ID_BYTES_MAX:
                text = f"tag {tag} is longer than {ID_BYTES_MAX} characters"
                session.business_reject(message, number, 0, text, oe.REASON_INVALID_FIELD)
                return None
        for tag in (44, 38, 99, 111, 1138):
            if message.get(tag) is not None and decimal_of(message.get(tag)) is None:
                text = f"tag {tag} has more than 8 decimals or is too large: {message.text(tag)}"
                session.business_reject(message, number, 0, text, oe.REASON_INVALID_FIELD)
                return None
        if len(self.echo(message)) > ECHO_BYTES_MAX:
            text = f"tags 1, 11, 41, 66 and 526 are longer than {ECHO_BYTES_MAX} bytes together"
            session.business_reject(message, number, 0, text, oe.REASON_INVALID_FIELD)
            return None
        if order and message.get(41) is None and message.get(37) is None:
            session.business_reject(
                message, number, 5, "OrigClOrdID (tag 41) or OrderID (tag 37) is needed")
            return None
        instrument = self._venue.reference.instruments_by_symbol.get(message.text(55))
        if instrument is None:
            text = f"there is no instrument {message.text(55)} (tag 55)"
            self._refuse(session, message, 1, oe.REASON_UNKNOWN_INSTRUMENT, text)
            return None
        account = self.account(session, message)
        if account is None:
            text = f"the session has no account {message.text(1)} (tag 1)"
            self._refuse(session, message, 15, oe.REASON_UNKNOWN_ACCOUNT, text)
            return None
        fields = self.header(message, number) | {"clOrdId": self._identity(message, 11)}
        return instrument, account, fields

    def _refuse(
        self, session: Session, message: Message, code: int, reason: int, text: str
    ) -> None:
        """Refuse an order message the core can't be asked about."""
        own = [(11, message.get(11)), (1, message.get(1)), (526, message.get(526)),
               (66, message.get(66))]
        if message.kind == "U1":
            session.emit("U2", [
                (21037, message.get(21037)), (1, message.get(1)), (55, message.get(55)),
                (60, message.get(60)), (21020, reason), (103, code), (58, text)])
        elif message.kind == "D":
            place = "-".join(filter(None, (message.text(34), message.text(67))))
            session.emit("8", [
                (37, "NONE"), *own, (17, f"R{session.number}-{place}"), (150, 8), (39, 8),
                (55, message.get(55)), (54, message.get(54)), (38, message.get(38)),
                (40, message.get(40)), (44, message.get(44)), (151, 0), (14, 0), (6, 0),
                (60, message.get(60)), (21020, reason), (103, code), (58, text),
            ])
        else:
            session.emit("9", [
                (37, message.text(37, "NONE")), *own, (41, message.get(41)), (39, 8),
                (434, 1 if message.kind == "F" else 2), (102, 99), (60, message.get(60)),
                (21020, reason), (58, text),
            ])

    # ---- requests ------------------------------------------------------------------------------

    def _status(self, session: Session, message: Message, number: int) -> bool:
        account = self.account(session, message)
        echo = b"".join(
            b"%d=%b\x01" % (tag, value)
            for tag in (11, 55, 54, 790) if (value := message.get(tag))
        )
        return self.send(session, message, number, "OrderStatusRequest",
                          self.header(message, number) | {
            "account": account if account is not None else 0,
            "clOrdId": self._identity(message, 11),
            "orderId": message.number(37),
            "requestId": 0,
            "echo": echo[:ECHO_BYTES_MAX],
        })

    def _mass_status(self, session: Session, message: Message, number: int) -> bool:
        return self._account_query(session, message, number, "OpenOrdersRequest", 584)

    def _positions(self, session: Session, message: Message, number: int) -> bool:
        how = message.text(263)  # The numbers of SubscriptionRequestType are those of FIX.
        return self._account_query(
            session, message, number, "AccountRequest", 710,
            subscriptionRequestType=int(how) if how else None)

    def _collateral(self, session: Session, message: Message, number: int) -> bool:
        account = self.account(session, message)
        if account is not None:
            self._venue.watch_balances(session, account, message.text(263))
        return self._account_query(session, message, number, "AccountRequest", 909)

    def _account_query(
        self, session: Session, message: Message, number: int, name: str, tag: int, **more: object
    ) -> bool:
        account = self.account(session, message)
        if account is None:
            session.business_reject(
                message, number, 6, f"the session has no account {message.text(1)} (tag 1)",
                oe.REASON_UNKNOWN_ACCOUNT)
            return False
        reference = message.get(tag) or b""
        echo = b"%d=%b\x01" % (tag, reference[:64])
        return self.send(session, message, number, name, self.header(message, number) | {
            "account": account, "requestId": unsigned(hash_of(reference)), "echo": echo} | more)

    def _mass_cancel(self, session: Session, message: Message, number: int) -> bool:
        scope = MASS_CANCEL_SCOPES[message.text(530)]
        account = self.account(session, message)
        symbol, underlying = message.text(55), message.text(311)
        reference = self._venue.reference
        instrument = reference.instruments_by_symbol.get(symbol)
        asset = reference.assets_by_name.get(underlying)
        wrong = (
            f"the session has no account {message.text(1)} (tag 1)" if account is None
            else (f"there is no instrument {symbol} (tag 55)" if symbol
                  else "Symbol (tag 55) is missing")
            if scope == oe.MASS_CANCEL_SCOPE_INSTRUMENT and instrument is None
            else f"there is no asset {underlying} (tag 311)"
            if scope == oe.MASS_CANCEL_SCOPE_UNDERLYING and asset is None
            else ""
        )
        if wrong:
            session.emit("r", [
                (11, message.get(11)), (37, "NONE"), (530, message.get(530)), (531, 0),
                (532, 99), (58, wrong)])
            return False
        echo = b"".join(
            b"%d=%b\x01" % (tag, value) for tag in (11, 1, 55, 530) if (value := message.get(tag)))
        return self.send(session, message, number, "OrderMassCancelRequest",
                          self.header(message, number) | {
            "account": account,
            "clOrdId": self._identity(message, 11),
            "instrument": instrument.number if instrument else None,
            "underlying": asset.number if asset else 0,
            "scope": scope,
            "kind": message.number(21013) or 0,
            "side": message.number(54) or 0,
            "echo": echo[:ECHO_BYTES_MAX],
        })

    # ---- shared --------------------------------------------------------------------------------

    def account(self, session: Session, message: Message) -> int | None:
        """The account a message means, or None if the session may not act for it."""
        name = message.get(1)
        if name is None:
            return int(session.connection.fields["account"])
        return self._venue.accounts_of(session.id).get(name.decode("latin-1"))

    def header(self, message: Message, number: int) -> Fields:
        """The header of a command."""
        time = time_of(message.get(52)) or 0
        return {"header": {"sendingTime": time, "msgSeqNum": number}}

    def _identity(self, message: Message, tag: int) -> int:
        value = message.get(tag)
        return unsigned(hash_of(value)) if value else 0

    @staticmethod
    def echo(message: Message) -> bytes:
        """What reports of an order give back."""
        return b"".join(
            b"%d=%b\x01" % (tag, value)
            for tag in (11, 1, 526, 66, 41) if (value := message.get(tag)))

    def send(
        self, session: Session, message: Message, number: int, name: str, fields: Fields
    ) -> bool:
        """Put a command into the ring; where there is no room the client is told."""
        if self._venue.send(Command(name, fields), session.id):
            return True
        session.business_reject(
            message, number, NOT_AVAILABLE, "the exchange is busy, try again", oe.REASON_BUSY)
        return False


# Terms of the standard that no order here can have: it is refused, never entered without them.
UNSUPPORTED_TERMS = {110: "MinQty", 78: "NoAllocs"}

MASS_CANCEL_SCOPES = {
    "1": oe.MASS_CANCEL_SCOPE_INSTRUMENT,
    "2": oe.MASS_CANCEL_SCOPE_UNDERLYING,
    "4": oe.MASS_CANCEL_SCOPE_KIND,
    "6": oe.MASS_CANCEL_SCOPE_SESSION,
    "7": oe.MASS_CANCEL_SCOPE_ALL,
}
