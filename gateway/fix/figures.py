"""Figures of an instrument beside its book, as entries of market data.

    2 the last trade   3 index   4 open   6 mark   7 high   8 low   B volume   C open interest
    z funding: the rate last paid, as a fraction, and when   y the next one's estimate, and when

Open, high, low and volume are since the listing, as in the snapshots of the binary feed. Index and
mark are prices; open interest is counted in the instrument's unit, one side of it.
"""

from typing import Any

from core.config import decimal_text
from core.reference import Instrument, ReferenceData
from gateway.fix.times import clock_text, date_text
from sbe.generated import order_entry as oe

TRADE, INDEX, OPENING, MARK, HIGH, LOW = "2", "3", "4", "6", "7", "8"
VOLUME, INTEREST, FUNDING, NEXT_FUNDING = "B", "C", "z", "y"
FIGURES = frozenset(
    (TRADE, INDEX, OPENING, MARK, HIGH, LOW, VOLUME, INTEREST, FUNDING, NEXT_FUNDING))
Figure = tuple[tuple[int, object], ...]


def figures(
    kinds: frozenset[str], instrument: Instrument, reference: ReferenceData, row: Any, interest: int
) -> dict[str, Figure]:
    """The figures wanted of those there are, by entry type.

    row: the instrument's in the books (gateway/feed/book_layout.py). interest: 10^-8 of its unit.
    """
    found: dict[str, Figure] = {}
    base = reference.assets.get(instrument.base_asset)
    if base is not None and base.index is not None:
        found[INDEX] = (270, decimal_text(base.index)), (21029, "I")
    if instrument.mark is not None:
        found[MARK] = (270, decimal_text(instrument.mark)), (21029, "M")
    if row["trades"]:
        time = int(row["last_time"])
        found[TRADE] = (
            (270, decimal_text(int(row["last_price"]))),
            (271, decimal_text(int(row["last_quantity"]))),
            (272, date_text(time)), (273, clock_text(time)))
        for kind, name in ((OPENING, "open"), (HIGH, "high"), (LOW, "low")):
            found[kind] = ((270, decimal_text(int(row[f"{name}_price"]))),)
    found[VOLUME] = ((271, decimal_text(int(row["volume"]))),)
    if instrument.kind != oe.INSTRUMENT_KIND_SPOT:
        held = 0 if instrument.payout is not None else interest
        found[INTEREST] = ((271, decimal_text(held)),)
    for kind, time, rate in (
        (FUNDING, instrument.funding_time, instrument.funding_rate),
        (NEXT_FUNDING, instrument.next_funding_time, instrument.next_funding_rate),
    ):
        if time:
            found[kind] = (
                (270, f"{rate / 1e9:.9f}"), (272, date_text(time)), (273, clock_text(time)))
    return {kind: figure for kind, figure in found.items() if kind in kinds}
