"""Schema 2 for everyone who is in no hurry: the rare messages of the feed as dicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sbe
from core.reference import Instrument
from sbe.codec import Codec

CODEC = Codec.load(Path(sbe.__file__).parent / "schema" / "market_data.xml", raw=True)
_FIELDS = {
    message.name: (
        *(field.name for field in message.fields),
        *(group.name for group in message.groups),
        *(data.name for data in message.data),
    )
    for message in CODEC.schema.messages
}


def fields_of(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that the message has."""
    return {field: fields[field] for field in _FIELDS[name]}


def definition(instrument: Instrument, channel: int, instruments: int) -> dict[str, Any]:
    """The fields of InstrumentDefinition, but for the header."""
    return {
        "symbol": instrument.symbol,
        "kind": instrument.kind,
        "state": instrument.state,
        "channel": channel,
        "baseAsset": instrument.base_asset,
        "quoteAsset": instrument.quote_asset,
        "event": instrument.event,
        "outcome": instrument.outcome,
        "tickSize": instrument.tick_size,
        "lotSize": instrument.lot_size,
        "minimumQty": instrument.minimum_quantity,
        "maximumQty": instrument.maximum_quantity,
        "maximumPrice": instrument.maximum_price,
        "lowerStrike": instrument.lower_strike,
        "upperStrike": instrument.upper_strike,
        "expiry": instrument.expiry,
        "instruments": instruments,
        "rulesHash": instrument.rules_hash,
        "title": instrument.title[:256],
    }
