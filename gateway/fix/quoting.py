"""Mass quotes: i and Z into commands, and the acknowledgement back with the client's own names.

The core takes one quote set a command and knows quotes by number; the client's QuoteID, set and
entry names are kept here until the acknowledgement comes. After a restart of the gateway an
acknowledgement bears the numbers instead.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.reference import Instrument, ReferenceData
from gateway.fix.actions import Command
from gateway.fix.dictionary.messages import INBOUND, Member
from gateway.fix.message import Message
from gateway.fix.session import Session
from gateway.fix.tables import hash_of, unsigned
from gateway.fix.texts import CANCELS, REJECTS, reject_of, rule_name
from gateway.fix.times import time_of
from gateway.fix.values import decimal_of
from sbe.generated import order_entry as oe

if TYPE_CHECKING:
    from gateway.fix.dialect import Venue

REMEMBERED_MAX = 1024
ENTRIES_MAX = 128
QUOTE_SET_MAX = (1 << 30) - 1  # the core takes no higher number of a set
Field = tuple[int, object]


@dataclass(slots=True)
class Asked:
    """What a client called a quote set that waits for its acknowledgement."""

    quote: bytes
    set_name: bytes
    level: int  # QuoteResponseLevel: 0 none, 1 only refusals, 2 every quote
    entries: dict[int, tuple[bytes, bytes]]  # instrument: entry id, symbol
    quotes: dict[int, dict[str, Any]]  # instrument: the quote, as the core was told


class Quoting:
    """Both directions of quoting, for all sessions."""

    def __init__(self, venue: "Venue") -> None:
        self._venue = venue
        self._asked: OrderedDict[tuple[int, int, int], Asked] = OrderedDict()

    def mass_quote(self, session: Session, message: Message, number: int) -> bool:
        """A MassQuote (i): one command a set; the last of them carries the message's number."""
        account = self._account(session, message)
        sets = quote_sets(message)
        text, commands = "", []
        if account is None:
            text = f"the session has no account {message.text(1)} (tag 1)"
        elif sum(len(entries) for _, entries in sets) > ENTRIES_MAX:
            text = f"more than {ENTRIES_MAX} quotes in one message"
        for place, (set_name, entries) in enumerate(sets):
            if text:
                break
            quotes, names = [], {}
            for entry in entries:
                symbol = entry.get(55, b"").decode("latin-1")
                instrument = self._venue.reference.instruments_by_symbol.get(symbol)
                if instrument is None:
                    text = f"there is no instrument {symbol} (tag 55)"
                    break
                names[instrument.number] = entry.get(299, b""), entry.get(55, b"")
                quotes.append({
                    "instrument": instrument.number,
                    "bidPx": decimal_of(entry.get(132)), "bidSize": decimal_of(entry.get(134)),
                    "offerPx": decimal_of(entry.get(133)), "offerSize": decimal_of(entry.get(135)),
                })
            last = place == len(sets) - 1
            commands.append((set_name, names, {
                "header": {
                    "sendingTime": time_of(message.get(52)) or 0,
                    "msgSeqNum": number if last else 0,
                },
                "account": account,
                "quoteId": unsigned(hash_of(message.get(117) or b"")),
                "quoteSetId": unsigned(hash_of(set_name)) & QUOTE_SET_MAX,
                "resetProtection": int(message.get(21027) == b"Y"),
                "quotes": quotes,
            }))
        if text:
            session.emit("b", [(117, message.get(117)), (297, 5), (300, 99), (58, text)])
            return False
        sent = False
        for set_name, names, fields in commands:
            if not self._venue.send(Command("MassQuote", fields), session.id):
                session.business_reject(
                    message, number, 4, "the exchange is busy, try again", oe.REASON_BUSY)
                return sent
            sent = True
            self._remember(session, message, set_name, names, fields)
        return sent

    def _remember(
        self, session: Session, message: Message, set_name: bytes,
        names: dict[int, tuple[bytes, bytes]], fields: dict[str, Any],
    ) -> None:
        key = session.id, fields["quoteId"], fields["quoteSetId"]
        level = message.number(301)
        self._asked[key] = Asked(
            message.get(117) or b"", set_name, 2 if level is None else level, names,
            {quote["instrument"]: quote for quote in fields["quotes"]})
        if len(self._asked) > REMEMBERED_MAX:
            self._asked.popitem(last=False)

    def quote_cancel(self, session: Session, message: Message, number: int) -> bool:
        """A QuoteCancel (Z): all quotes of the account, or those of the symbols named."""
        account = self._account(session, message)
        symbols = [entry.get(55, b"").decode("latin-1") for entry in message.group(295, (55,))]
        instruments = [self._venue.reference.instruments_by_symbol.get(s) for s in symbols]
        everything = message.text(298) == "4"
        if account is None or (not everything and (not symbols or None in instruments)):
            text = "unknown account" if account is None else "no known symbol is named (tag 55)"
            session.business_reject(message, number, 2, text, oe.REASON_UNKNOWN_INSTRUMENT)
            return False
        targets = [None] if everything else [i.number for i in instruments if i is not None]
        for place, instrument in enumerate(targets):
            last = place == len(targets) - 1
            fields = {
                "header": {"sendingTime": 0, "msgSeqNum": number if last else 0},
                "account": account, "instrument": instrument,
                "quoteId": unsigned(hash_of(message.get(117) or b"")),
            }
            if not self._venue.send(Command("QuoteCancel", fields), session.id):
                session.business_reject(
                    message, number, 4, "the exchange is busy, try again", oe.REASON_BUSY)
                return place > 0
        return True

    def acknowledgement(self, session: int, fields: dict[str, Any]) -> list[Field] | None:
        """A MassQuoteAck event as the fields of b; None if the client wants none."""
        asked = self._asked.pop((session, fields["quoteId"], fields["quoteSetId"]), None)
        refused = [q for q in fields["quotes"] if q["bidReason"] or q["offerReason"]]
        whole = fields["reason"]
        level = asked.level if asked else 2
        if level == 0 or (level == 1 and not refused and not whole):
            return None
        name = asked.quote if asked else str(fields["quoteId"]).encode()
        out: list[Field] = [(117, name), (297, 5 if whole else 0)]
        if whole:
            return [*out, (300, 99), (21020, whole), (58, refusal_text(whole))]
        quotes = refused if level == 1 else fields["quotes"]
        out += [(296, 1), (302, asked.set_name if asked else fields["quoteSetId"])]
        out.append((295, len(quotes)))
        for quote in quotes:
            out += self._entry(asked, quote)
        return out

    def _entry(self, asked: Asked | None, quote: dict[str, Any]) -> list[Field]:
        number = quote["instrument"]
        entry, symbol = (asked.entries if asked else {}).get(number, (b"", b""))
        if not symbol:
            known = self._venue.reference.instruments.get(number)
            symbol = known.symbol.encode() if known else b"?"
        out: list[Field] = [(299, entry or str(number)), (55, symbol)]
        reason = quote["bidReason"] or quote["offerReason"]
        if reason:
            side = "bid" if quote["bidReason"] else "offer"
            told = (asked.quotes if asked else {}).get(number, {})
            text = refusal_text(
                reason, self._venue.reference, self._venue.reference.instruments.get(number),
                told.get(f"{side}Px"), told.get(f"{side}Size"))
            tags = {"44": "132", "38": "134"} if side == "bid" else {"44": "133", "38": "135"}
            for order, own in tags.items():
                text = text.replace(f"(tag {order})", f"(tag {own})")
            out += [(300, 99), (21020, reason), (58, f"{side}: {text}")]
        return out

    def _account(self, session: Session, message: Message) -> int | None:
        name = message.get(1)
        if name is None:
            return int(session.connection.fields["account"])
        return self._venue.accounts_of(session.id).get(name.decode("latin-1"))


def refusal_text(
    reason: int, reference: ReferenceData | None = None, instrument: Instrument | None = None,
    price: int | None = None, size: int | None = None,
) -> str:
    """Why a quote wasn't taken: rule, value and limit as far as its event and terms tell them."""
    reject = REJECTS.get(reason)
    if reject is None or "{" not in reject.text:
        return (reject.text if reject else CANCELS.get(reason)) or rule_name(reason)
    if instrument is None or reference is None:
        return rule_name(reason)
    value, limit = {
        oe.REASON_PRICE_NOT_ON_TICK: (price, instrument.tick_size),
        oe.REASON_QUANTITY_NOT_POSITIVE: (size or 0, 0),
        oe.REASON_QUANTITY_NOT_ON_LOT: (size, instrument.lot_size),
        oe.REASON_QUANTITY_BELOW_MINIMUM: (size, instrument.minimum_quantity),
        oe.REASON_QUANTITY_ABOVE_MAXIMUM: (size, instrument.maximum_quantity),
    }.get(reason, (None, 0))
    if value is None:
        return rule_name(reason)
    return reject_of(reason, value, limit, instrument, reference).text


def quote_sets(message: Message) -> list[tuple[bytes, list[dict[int, bytes]]]]:
    """The sets of a MassQuote: name and entries."""
    sets_member = next(m for m in INBOUND["i"].members if m.tag == 296)
    entries_member: Member = next(m for m in sets_member.group if m.tag == 295)
    entry_tags = {m.tag for m in entries_member.group}
    sets: list[tuple[bytes, list[dict[int, bytes]]]] = []
    for tag, value in message:
        if tag == 302:
            sets.append((value, []))
        elif sets and tag in entry_tags:
            entries = sets[-1][1]
            if tag == 299 or not entries:
                entries.append({})
            entries[-1][tag] = value
    return sets
