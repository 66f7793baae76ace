"""Instruments as clients see them: fields of SecurityList, SecurityDefinition, SecurityStatus."""

from core.config import decimal_text
from core.reference import Instrument, ReferenceData
from gateway.fix.times import date_text, time_text
from sbe.generated import order_entry as oe

Field = tuple[int, object]

SECURITY_TYPES = {
    oe.INSTRUMENT_KIND_SPOT: "FXSPOT",
    oe.INSTRUMENT_KIND_PERPETUAL: "PERP",
}
EVENT_CONTRACT = "EVENT"

# TradingState to SecurityTradingStatus (326).
TRADING_STATUS = {
    oe.TRADING_STATE_PRE_OPEN: 21,
    oe.TRADING_STATE_OPEN: 17,
    oe.TRADING_STATE_CANCEL_ONLY: 18,
    oe.TRADING_STATE_HALTED: 2,
    oe.TRADING_STATE_CLOSED: 18,
    oe.TRADING_STATE_RESOLVING: 18,
    oe.TRADING_STATE_RESOLVED: 18,
    oe.TRADING_STATE_DELISTED: 18,
}


def security_type(instrument: Instrument) -> str:
    """SecurityType (167)."""
    return SECURITY_TYPES.get(instrument.kind, EVENT_CONTRACT)


def listing(instrument: Instrument, reference: ReferenceData) -> list[Field]:
    """All there is to say of an instrument, in the order of the dictionary."""
    quote = reference.assets.get(instrument.quote_asset)
    base = reference.assets.get(instrument.base_asset)
    event = reference.event_of(instrument)
    fields: list[Field] = [
        (55, instrument.symbol),
        (48, instrument.number),
        (22, 8),
        (167, security_type(instrument)),
        (15, quote.name if quote else None),
        (969, decimal_text(instrument.tick_size)),
        (21021, decimal_text(instrument.lot_size)),
        (562, decimal_text(instrument.minimum_quantity)),
        (1140, decimal_text(instrument.maximum_quantity)),
    ]
    if instrument.expiry is not None:
        fields.append((541, date_text(instrument.expiry)))
    if instrument.lower_strike is not None:
        fields.append((21018, decimal_text(instrument.lower_strike)))
    if instrument.upper_strike is not None:
        fields.append((21019, decimal_text(instrument.upper_strike)))
    if instrument.expiry is not None:
        fields.append((126, time_text(instrument.expiry)))
    fields += [(21013, instrument.kind), (21014, instrument.state)]
    if event is not None:
        fields += [(21015, event.number), (21016, event.kind)]
    if any(instrument.rules_hash):
        fields.append((21017, instrument.rules_hash.hex()))
    if instrument.title:
        fields.append((21028, instrument.title.replace("\x01", " ")))
    if base is not None and not event:
        fields.append((311, base.name))
    return fields


def status(instrument: Instrument, request: bytes | None) -> list[Field]:
    """A SecurityStatus (f); `request` is the id it answers, None for an update."""
    fields: list[Field] = [
        (324, request),
        (55, instrument.symbol),
        (326, TRADING_STATUS.get(instrument.state, 20)),
        (21014, instrument.state),
    ]
    if instrument.payout is not None:
        fields.append((730, decimal_text(instrument.payout)))
    return [*fields, (60, time_text(instrument.state_time, 9))]
