"""Words for the core's reasons: what a desk reads in Text (58), and the standard codes beside them.

A reject names the rule, the value that broke it and the limit; a cancel says who asked for it. The
number of the reason itself stands in ReasonCode (21020) and never changes its meaning.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

from core.config import decimal_text
from core.reference import Instrument, ReferenceData
from gateway.fix.records import (
    NUMBER_COUNT,
    NUMBER_FREE,
    NUMBER_LIMIT,
    NUMBER_MOST,
    NUMBER_NEEDED,
    NUMBER_VALUE,
)
from sbe.generated import order_entry as oe


class Reject(NamedTuple):
    """How a reason is told: the text, and OrdRejReason (103) and CxlRejReason (102) codes."""

    text: str
    order: int = 99
    cancel: int = 99


_CENT = 10_000  # USDC units
_OTHER, _SYMBOL, _CLOSED, _LIMIT, _UNKNOWN, _DUPLICATE = 99, 1, 2, 3, 5, 6
_UNSUPPORTED, _QUANTITY, _ACCOUNT, _BAND = 11, 13, 15, 16

# {value} and {limit} are the two numbers of the event in the reason's own unit, {worst} says where
# the account would lose most.
REJECTS: dict[int, Reject] = {
    oe.REASON_UNKNOWN_SESSION: Reject("the session isn't registered"),
    oe.REASON_NOT_AUTHORIZED: Reject("the session may not act for this account", _ACCOUNT),
    oe.REASON_UNKNOWN_ACCOUNT: Reject("there is no such account (tag 1)", _ACCOUNT),
    oe.REASON_ACCOUNT_STATE: Reject("the account's state does not allow this order", _OTHER),
    oe.REASON_UNKNOWN_INSTRUMENT: Reject("there is no such instrument (tag 55)", _SYMBOL),
    oe.REASON_INSTRUMENT_STATE: Reject("the instrument's state does not allow this", _CLOSED),
    oe.REASON_DUPLICATE_CL_ORD_ID: Reject(
        "an open order of this session has the same ClOrdID (tag 11)", _DUPLICATE, 6),
    oe.REASON_INVALID_SIDE: Reject("Side (tag 54) is not 1 or 2", _UNSUPPORTED),
    oe.REASON_INVALID_ORD_TYPE: Reject("OrdType (tag 40) is not taken now", _UNSUPPORTED),
    oe.REASON_INVALID_TIME_IN_FORCE: Reject(
        "TimeInForce (tag 59) does not go with this order", _UNSUPPORTED),
    oe.REASON_INVALID_EXEC_INST: Reject(
        "ExecInst (tag 18) does not go with this order", _UNSUPPORTED),
    oe.REASON_INVALID_SELF_TRADE_PREVENTION: Reject("tag 2964 is not 1 to 4", _UNSUPPORTED),
    oe.REASON_INVALID_TRIGGER: Reject("the trigger (tag 1107) does not go with this", _UNSUPPORTED),
    oe.REASON_PRICE_REQUIRED: Reject("this order needs a Price (tag 44)", _UNSUPPORTED),
    oe.REASON_PRICE_NOT_ALLOWED: Reject("this order takes no Price (tag 44)", _UNSUPPORTED),
    oe.REASON_PRICE_NOT_ON_TICK: Reject(
        "price {value} isn't a multiple of tick {limit} (tag 44)", _OTHER),
    oe.REASON_PRICE_OUT_OF_RANGE: Reject(
        "price {value} is out of range, limit {limit} (tag 44)", _BAND),
    oe.REASON_STOP_PRICE_REQUIRED: Reject("this order needs a StopPx (tag 99)", _UNSUPPORTED),
    oe.REASON_STOP_PRICE_NOT_ON_TICK: Reject(
        "stop price {value} isn't a multiple of tick {limit} (tag 99)", _OTHER),
    oe.REASON_STOP_PRICE_OUT_OF_RANGE: Reject(
        "stop price {value} is out of range, limit {limit} (tag 99)", _BAND),
    oe.REASON_QUANTITY_NOT_POSITIVE: Reject(
        "quantity {value} isn't above 0 (tag 38)", _QUANTITY),
    oe.REASON_QUANTITY_NOT_ON_LOT: Reject(
        "quantity {value} isn't a multiple of lot {limit} (tag 38)", _QUANTITY),
    oe.REASON_QUANTITY_BELOW_MINIMUM: Reject(
        "quantity {value} is below the minimum {limit} (tag 38)", _QUANTITY),
    oe.REASON_QUANTITY_ABOVE_MAXIMUM: Reject(
        "quantity {value} is above the maximum {limit} (tag 38)", _QUANTITY),
    oe.REASON_INVALID_DISPLAY_QUANTITY: Reject(
        "display quantity {value} isn't a lot multiple up to the quantity (tag 1138)", _QUANTITY),
    oe.REASON_EXPIRE_TIME_REQUIRED: Reject("59=6 needs an ExpireTime (tag 126)", _UNSUPPORTED),
    oe.REASON_EXPIRE_TIME_PASSED: Reject("ExpireTime (tag 126) is over", 4),
    oe.REASON_PRICE_BAND: Reject(
        "price {value} is beyond the band around the mark, limit {limit} (tag 44)", _BAND),
    oe.REASON_POST_ONLY_WOULD_TRADE: Reject("post-only order would trade at once"),
    oe.REASON_REDUCE_ONLY_WOULD_INCREASE: Reject("reduce-only order would increase the position"),
    oe.REASON_OPEN_ORDERS_LIMIT: Reject(
        "open orders {count} at their limit {most} of the account", _LIMIT),
    oe.REASON_POSITION_LIMIT: Reject("position {value} would exceed the limit {limit}", _LIMIT),
    oe.REASON_INSUFFICIENT_MARGIN: Reject(
        "initial margin: needs {cents_up}, free {cents_down}{worst}", _LIMIT),
    oe.REASON_INSUFFICIENT_BALANCE: Reject("balance: {needed} needed, {free} free", _LIMIT),
    oe.REASON_BORROW_LIMIT: Reject("borrowing {needed} would exceed the limit {free}", _LIMIT),
    oe.REASON_POOL_CEILING: Reject("the lending pool has only {free} left", _LIMIT),
    oe.REASON_FILL_OR_KILL_NOT_FILLABLE: Reject("fill-or-kill order can't be filled now"),
    oe.REASON_NO_LIQUIDITY: Reject("nothing to trade against"),
    oe.REASON_CAPACITY_REACHED: Reject("the exchange has no room for this now", _OTHER),
    oe.REASON_UNKNOWN_ORDER: Reject("there is no such order", _UNKNOWN, 1),
    oe.REASON_ORDER_DONE: Reject("the order is done", 4, 0),
    oe.REASON_REPLACE_BELOW_FILLED: Reject(
        "new quantity {value} isn't above the filled {limit} (tag 38)", _QUANTITY),
    oe.REASON_INDEX_STALE: Reject("the index price is stale", _CLOSED),
    oe.REASON_BUSY: Reject("the exchange is busy, try again"),
    oe.REASON_THROTTLED: Reject("too many orders"),
    oe.REASON_KILL_SWITCH: Reject("trading is stopped by the kill switch", _CLOSED),
    oe.REASON_PRODUCT_GATE: Reject("this product isn't open to this client", _OTHER),
    oe.REASON_NOT_INVITED: Reject("only invited clients may trade", _OTHER),
    oe.REASON_BETA_LIMIT: Reject("{needed} USDC would exceed the beta's cap {free}", _LIMIT),
    oe.REASON_ORDER_VALUE_LIMIT: Reject("order value {needed} exceeds the limit {free}", _LIMIT),
    oe.REASON_VOLUME_LIMIT: Reject("the day's orders {needed} exceed the limit {free}", _LIMIT),
    oe.REASON_FAT_FINGER: Reject(
        "quantity {value} is too large beside the market's day: {limit} (tag 38)", _QUANTITY),
    oe.REASON_SELF_EXCLUDED: Reject("excluded at the client's own wish: only closing", _CLOSED),
    oe.REASON_LOSS_LIMIT: Reject(
        "{needed} USDC lost today, the client's own limit is {free}: only closing", _LIMIT),
    oe.REASON_REPEATED_EXECUTIONS: Reject(
        "{count} trades at the limit {most} of a window: only cancels until it is looked at",
        _LIMIT),
    oe.REASON_EVENT_DISPUTED: Reject("what the event pays is disputed: only closing", _CLOSED),
    oe.REASON_MARKET_CONFLICT: Reject("who may decide what the market pays may not trade", _OTHER),
    oe.REASON_ORDER_TO_TRADE_LIMIT: Reject(
        "orders of the day {count} for {most} that its trades allow: only cancels", _LIMIT),
    oe.REASON_INVALID_FIELD: Reject("a field has a value that isn't allowed", _UNSUPPORTED),
    oe.REASON_PRICE_DEGRADED: Reject("the index has lost sources: no new risk now", _CLOSED),
    oe.REASON_OPEN_INTEREST_LIMIT: Reject(
        "open interest {value} would exceed the limit {limit}", _LIMIT),
    oe.REASON_OWNER_LIMIT: Reject(
        "position {value} over all accounts would exceed the limit {limit}", _LIMIT),
    oe.REASON_INTEREST_SHARE: Reject(
        "position {value} would be too large a share of the open interest: {limit}", _LIMIT),
    oe.REASON_EVENT_LIMIT: Reject(
        "{needed} could be lost in the event, the limit is {free}", _LIMIT),
    oe.REASON_EXPOSURE_LIMIT: Reject("exposure {needed} would exceed the limit {free}", _LIMIT),
    oe.REASON_DESTINATION_NOT_ALLOWED: Reject(
        "withdrawals go to destinations of the owner's list only", _OTHER),
    oe.REASON_WITHDRAWAL_BREAKER: Reject(
        "too much of the asset has left within a day, try again later", _OTHER),
    oe.REASON_LEVERAGE_LIMIT: Reject("exposure {needed}: leverage allows {free}", _LIMIT),
}

# Why an order changed without the client's order message.
CANCELS: dict[int, str] = {
    oe.REASON_USER_REQUEST: "",
    oe.REASON_MASS_CANCEL: "mass cancel",
    oe.REASON_IMMEDIATE_OR_CANCEL: "rest of an immediate order",
    oe.REASON_SELF_TRADE: "self-trade prevention",
    oe.REASON_EXPIRY: "expired",
    oe.REASON_CANCEL_ON_DISCONNECT: "cancel on disconnect",
    oe.REASON_MARKET_MAKER_PROTECTION: "market-maker protection",
    oe.REASON_MARKET_CLOSED: "market closed",
    oe.REASON_RESOLUTION: "done for resolution",
    oe.REASON_DELISTING: "instrument delisted",
    oe.REASON_LIQUIDATION: "liquidation",
    oe.REASON_QUOTE_REPLACED: "quote replaced",
    oe.REASON_REDUCE_ONLY_EXCEEDED: "reduce-only limit",
    oe.REASON_DISPLAY_REFILL: "display quantity refilled",
    oe.REASON_CANCEL_TIMER: "cancel timer ran out",
    oe.REASON_KILL_SWITCH: "kill switch",
    oe.REASON_SELF_EXCLUDED: "excluded at the client's own wish",
    oe.REASON_EVENT_DISPUTED: "what the event pays is disputed",
    oe.REASON_MARKET_CONFLICT: "the owner may decide what the market pays",
    oe.REASON_MARGIN_AT_TRIGGER: "margin not sufficient when triggered",
}

_UNKNOWN_REASON = Reject("refused")


_RULES = {
    value: name.removeprefix("REASON_").replace("_", " ").lower()
    for name, value in vars(oe).items() if name.startswith("REASON_")
}


def rule_name(reason: int) -> str:
    """The rule alone, where its numbers aren't known: "price band"."""
    return _RULES.get(reason, "refused")


def cancel_texts() -> dict[int, bytes]:
    """The texts that go with a report of a change, by reason; also those of a refusal late."""
    texts = {code: text.encode() for code, text in CANCELS.items()}
    for code, reject in REJECTS.items():
        if "{" not in reject.text:
            texts.setdefault(code, reject.text.encode()[:56])
    return texts


# What stands in a template of REJECTS, and the byte that stands for it in compiled code.
_NUMBERS = {
    "{value}": NUMBER_VALUE, "{limit}": NUMBER_LIMIT, "{count}": NUMBER_COUNT,
    "{most}": NUMBER_MOST, "{needed}": NUMBER_NEEDED, "{free}": NUMBER_FREE,
}


def refusals() -> dict[int, tuple[int, bytes]]:
    """By reason: OrdRejReason (103) and the template of its text, for compiled code."""
    templates = {}
    for reason, reject in REJECTS.items():
        text = reject.text
        for name, number in _NUMBERS.items():
            text = text.replace(name, chr(number))
        if "{" not in text:
            templates[reason] = reject.order, text.encode()
    return templates


def reject_of(
    reason: int, value: int, limit: int, instrument: Instrument | None, reference: ReferenceData,
    worst: str = "",
) -> Reject:
    """What to tell the client of a refusal; numbers in the unit the rule has."""
    found = REJECTS.get(reason, _UNKNOWN_REASON)
    if "{" not in found.text:
        return found
    quote = reference.assets.get(instrument.quote_asset if instrument else 0)
    money = _money(quote.decimals if quote else 6)
    text = found.text.format(
        value=decimal_text(value), limit=decimal_text(limit), count=value, most=limit,
        needed=money(value), free=money(limit), worst=worst,
        cents_up=f"{Decimal(-(-value // _CENT)) / 100:,.2f}",
        cents_down=f"{Decimal(limit // _CENT) / 100:,.2f}",
    )
    return found._replace(text=text)


def worst_of(f: Mapping[str, Any], reference: ReferenceData) -> str:
    """Where a refused order would lose most, from the fields of its report; empty if not said."""
    asset = reference.assets.get(f["worstAsset"] or -1)
    if asset is not None:
        move = f"{Decimal(f['worstMove'] or 0).scaleb(-4).normalize():+f}"
        text = f", worst node {asset.name} {move} %"
        if f["worstExpiry"]:
            moment = datetime.fromtimestamp(f["worstExpiry"] // 10**9, UTC)
            form = "%Y-%m-%d" if moment.time() == time(0) else "%Y-%m-%d %H:%M:%S"
            text += f" at expiry {moment:{form}}"
        return text
    outcome = reference.instruments.get(f["worstOutcome"] or 0)
    return f", worst outcome {outcome.symbol}" if outcome is not None else ""


def _money(decimals: int) -> Callable[[int], str]:
    scale = 10 ** (8 - decimals)
    return lambda amount: decimal_text(amount * scale)
