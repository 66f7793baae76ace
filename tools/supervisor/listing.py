"""The configuration as commands: what an empty core is told, in an order in which names resolve.

Each command has a subject, `instrument BTC-PERP`, by which genesis knows what it has sent already,
the name of its message in sbe/schema/control.xml, and its fields (without the key).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from core.config import Configuration
from core.market_rules import document_hash, event_document
from core.sidecars.oracle.rules import outcomes, price_document
from core.venue import Fixed, Instrument

NANOSECONDS = 1_000_000_000
SELF_TRADE = {
    "taker": "CancelTaker", "maker": "CancelMaker", "both": "CancelBoth", "decrement": "Decrement",
}
PRICE_LINKED = {"above": "PriceAbove", "below": "PriceBelow", "range": "PriceRange"}
KINDS = {
    "spot": ("Spot",),
    "perpetual": ("Perpetual",),
    "prediction": ("Outcome",),
    "price_linked": tuple(PRICE_LINKED.values()),
}


class Command(NamedTuple):
    """One command of genesis."""

    subject: str
    message: str
    fields: dict[str, Any]


def commands(configuration: Configuration, now_ns: int) -> Iterator[Command]:
    """All of them; `now_ns` (UTC) is when what expires after a while begins to."""
    yield from _assets(configuration)
    yield from _fees(configuration)
    yield from _people(configuration)
    yield from _sessions(configuration)
    yield from _events(configuration)
    numbers = configuration.numbers()
    for listed in configuration.instrument:
        number = numbers.instruments[listed.symbol]
        fields = _instrument(configuration, listed, now_ns) | {"instrument": number}
        yield Command(f"instrument {listed.symbol}", "ListInstrument", fields)
    yield from _conflicts(configuration)
    yield from _deposits(configuration)
    yield from _risk(configuration)


def _assets(configuration: Configuration) -> Iterator[Command]:
    for number, asset in enumerate(configuration.asset):
        yield Command(f"asset {asset.name}", "RegisterAsset", {
            "name": asset.name,
            "asset": number,
            "decimals": asset.decimals,
            "lendable": int(asset.lendable),
            "borrowable": int(asset.borrowable),
            "haircutInitial": asset.haircut_initial_millionths,
            "haircutMaintenance": asset.haircut_maintenance_millionths,
            "borrowMarginInitial": asset.borrow_margin_initial_millionths,
            "borrowMarginMaintenance": asset.borrow_margin_maintenance_millionths,
            "borrowLimit": units(asset.borrow_max, asset.decimals),
            "utilisationCeiling": asset.utilisation_ceiling_millionths,
            "reserveShare": asset.reserve_share_millionths,
        })
        if asset.weight_millionths:
            yield Command(f"unit {asset.name}", "SetUnitRates", {
                "asset": number,
                "weight": asset.weight_millionths,
                "weightBase": asset.weight_base_millionths,
                "weightPenalty": asset.weight_penalty_billionths,
                "hedgeInitial": asset.hedge_initial_millionths,
                "hedgeMaintenance": asset.hedge_maintenance_millionths,
            })


def _fees(configuration: Configuration) -> Iterator[Command]:
    for fee in configuration.fee:
        for kind in KINDS[fee.kind]:
            yield Command(f"fee {fee.tier} {kind}", "SetFees", {
                "tier": fee.tier, "kind": kind,
                "makerFee": fee.maker_millionths, "takerFee": fee.taker_millionths,
            })


def _people(configuration: Configuration) -> Iterator[Command]:
    numbers = configuration.numbers()
    for owner in configuration.owner:
        yield Command(f"owner {owner.name}", "RegisterOwner", {
            "owner": numbers.owners[owner.name],
            "name": owner.name,
            "feeTier": owner.fee_tier,
            "selfTradePrevention": SELF_TRADE[owner.self_trade_prevention],
        })
    for account in configuration.account:
        yield Command(f"account {account.name}", "RegisterAccount", {
            "account": numbers.accounts[account.name],
            "owner": numbers.owners[account.owner],
            "name": account.name,
            "autoLend": int(account.auto_lend),
            "autoBorrow": int(account.auto_borrow),
        })


def _sessions(configuration: Configuration) -> Iterator[Command]:
    numbers = configuration.numbers()
    for fix in configuration.fix.session:
        yield Command(f"session {fix.session}", "RegisterSession", {
            "session": fix.session,
            "owner": numbers.owners[fix.owner],
            "account": numbers.accounts[fix.account],
            "kind": "Fix",
            "name": fix.sender_comp_id,
        })
    for binary in configuration.binary.session:
        yield Command(f"session {binary.session}", "RegisterSession", {
            "session": binary.session,
            "owner": numbers.owners[binary.owner],
            "account": numbers.accounts[binary.accounts[0]],
            "kind": "Binary",
            "name": binary.key_id,
        })


def _events(configuration: Configuration) -> Iterator[Command]:
    numbers = configuration.numbers()
    for event in configuration.event:
        yield Command(f"event {event.symbol}", "RegisterEvent", {
            "event": numbers.events[event.symbol],
            "kind": event.structure.capitalize(),
            "outcomes": len(outcomes(configuration, event)),
            "rulesHash": document_hash(event_document(event, outcomes(configuration, event))),
            "title": event.title,
        })


def _conflicts(configuration: Configuration) -> Iterator[Command]:
    """Whose keys may decide an event may not trade it; a dispute is open to who holds it."""
    numbers = configuration.numbers()
    owners = {account.name: account.owner for account in configuration.account}
    for event in configuration.event:
        deciding = (*event.rules.reporters, event.rules.arbiter)
        for owner in sorted({owners[name] for key, name in event.key_accounts.items()
                             if key in deciding}):
            yield Command(f"conflict {owner} {event.symbol}", "SetMarketConflict", {
                "owner": numbers.owners[owner], "event": numbers.events[event.symbol], "active": 1,
            })


def rules_hash(configuration: Configuration, listed: Instrument) -> bytes:
    """What an instrument's rules are listed under: its event's, its price link's, or its text's."""
    for event in configuration.event:
        if event.symbol == listed.event:
            return document_hash(event_document(event, outcomes(configuration, event)))
    if listed.condition:
        return document_hash(price_document(listed))
    return document_hash(listed.rules.encode()) if listed.rules else bytes(32)


def _instrument(configuration: Configuration, listed: Instrument, now_ns: int) -> dict[str, Any]:
    numbers = configuration.numbers()
    events = {e.symbol: e for e in configuration.event}
    event = events.get(listed.event)
    place = outcomes(configuration, event).index(listed.symbol) if event else 0
    return {
        "symbol": listed.symbol,
        "kind": PRICE_LINKED.get(listed.condition, KINDS[listed.kind][0]),
        "state": "PreOpen" if listed.auction else "Open",
        "baseAsset": numbers.assets.get(listed.base, 0),
        "quoteAsset": numbers.assets[listed.quote],
        "event": numbers.events.get(listed.event, 0),
        "outcome": place,
        "tickSize": listed.tick,
        "lotSize": listed.lot,
        "minimumQty": listed.quantity_min,
        "maximumQty": listed.quantity_max,  # 0 for these two: the core's own limit.
        "maximumPrice": listed.price_max,
        "lowerStrike": listed.low or None,
        "upperStrike": listed.high or None,
        "expiry": _expiry(listed, now_ns),
        "marginBaseInitial": listed.margin_base_initial_millionths,
        "marginBaseMaintenance": listed.margin_base_maintenance_millionths,
        "marginFactorInitial": listed.margin_factor_initial_billionths,
        "marginFactorMaintenance": listed.margin_factor_maintenance_billionths,
        "positionLimit": listed.position_max,
        "priceBand": listed.price_band_millionths,
        "rulesHash": rules_hash(configuration, listed),
        "title": listed.title,
    }


def _expiry(listed: Instrument, now_ns: int) -> int | None:
    if listed.expires:
        return round(datetime.fromisoformat(listed.expires).timestamp()) * NANOSECONDS
    if listed.expires_in_seconds:
        return now_ns + listed.expires_in_seconds * NANOSECONDS
    return None


def _deposits(configuration: Configuration) -> Iterator[Command]:
    numbers = configuration.numbers()
    decimals = {a.name: a.decimals for a in configuration.asset}
    for account in configuration.account:
        for asset, amount in account.deposits.items():
            yield Command(f"deposit {account.name} {asset}", "Deposit", {
                "account": numbers.accounts[account.name],
                "asset": numbers.assets[asset],
                "amount": units(amount, decimals[asset]),
            })


def units(amount: Fixed, decimals: int) -> int:
    """An amount with exponent -8 in whole units of its asset."""
    return int(amount) // int(10 ** (8 - decimals))


def _risk(configuration: Configuration) -> Iterator[Command]:
    """Risk parameters; liquidation is enabled last, and with it the venue is founded."""
    risk = configuration.risk
    numbers = configuration.numbers()
    for name, value in (
        ("LiquidationInterval", nanoseconds(risk.interval_seconds)),
        ("LiquidationSlice", risk.slice_millionths),
        ("LiquidationWhole", units(risk.whole, 6)),
        ("FillableSpread", risk.fillable_spread_millionths),
        ("FillableMinimum", risk.fillable_minimum_millionths),
        ("DegradedWait", nanoseconds(risk.degraded_seconds)),
        ("BackstopNotice", nanoseconds(risk.backstop_notice_seconds)),
        ("LooseningDelay", nanoseconds(risk.loosening_delay_seconds)),
        ("ProposalLife", nanoseconds(risk.proposal_seconds)),
        ("ListingRamp", units(risk.listing_ramp, 6)),
    ):
        yield _parameter(name, 0, value)
    for asset in configuration.asset:
        for name, value in (
            ("CollateralCap", units(asset.collateral_cap, 6)),
            ("CollateralRamp", units(asset.collateral_ramp, 6)),
            ("WithdrawalShare", asset.withdrawal_share_millionths),
        ):
            if value:
                yield _parameter(name, numbers.assets[asset.name], value, f" {asset.name}")
    for listed in configuration.instrument:
        number = numbers.instruments[listed.symbol]
        for name, value in (
            ("PremiumBand", listed.premium_band_millionths),
            ("InsuranceCap", units(listed.insurance_cap, 6)),
            ("OpenInterestLimit", listed.open_interest_max // listed.lot),
            ("OwnerPositionLimit", listed.owner_position_max // listed.lot),
            ("InterestScaleEnd", units(listed.interest_scale_end, 6)),
            ("InterestScaleMost", listed.interest_scale_most_millionths),
            ("InterestScaleStart", units(listed.interest_scale_start, 6)),
            ("FundingRateCap", listed.funding_rate_cap_millionths * 1000),
            ("OwnerInterestFree", listed.owner_interest_free // listed.lot),
            ("OwnerInterestShare", listed.owner_interest_share_millionths),
        ):
            if value:
                yield _parameter(name, number, value, f" {listed.symbol}")
    if risk.liquidation:
        yield _parameter("LiquidationEnabled", 0, 1)


def _parameter(name: str, scope: int, value: int, of: str = "") -> Command:
    unsigned = {"signer": 0, "validUntil": 0, "signature": bytes(64)}
    fields = {"parameter": name, "role": 1, "scope": scope, "value": value, **unsigned}
    return Command(f"risk {name}{of}", "SetRiskParameter", fields)


def nanoseconds(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * NANOSECONDS)
