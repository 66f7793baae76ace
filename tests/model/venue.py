"""What operators, oracles and gateways tell the model: who and what there is, states and prices."""

from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.auction import auction_tick
from tests.model.caps import follow_collateral
from tests.model.entry import run_triggers
from tests.model.jobs import closing
from tests.model.records import Account, Asset, Event, Instrument, Owner, Session

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

MILLISECOND = 1_000_000
SIGNED_MAX = 8


def register_asset(x: "Exchange", c: dict[str, Any]) -> int:
    """RegisterAsset."""
    x.assets[c["asset"]] = Asset(
        c["asset"], c["decimals"], c["borrowable"], c["haircutInitial"],
        c["haircutMaintenance"], c["borrowMarginInitial"], c["borrowMarginMaintenance"],
        c["borrowLimit"], c["utilisationCeiling"], registered=x.time,
    )
    return 0


def register_owner(x: "Exchange", c: dict[str, Any]) -> int:
    """RegisterOwner."""
    x.owners[c["owner"]] = Owner(c["owner"], c["feeTier"], c["selfTradePrevention"])
    return 0


def register_account(x: "Exchange", c: dict[str, Any]) -> int:
    """RegisterAccount."""
    x.accounts[c["account"]] = Account(
        c["account"], c["owner"], c["autoLend"], c["autoBorrow"])
    return 0


def register_session(x: "Exchange", c: dict[str, Any]) -> int:
    """RegisterSession."""
    x.sessions[c["session"]] = Session(c["session"], c["owner"], c["account"])
    return 0


def register_event(x: "Exchange", c: dict[str, Any]) -> int:
    """RegisterEvent."""
    x.events_known[c["event"]] = Event(c["event"], c["kind"], c["outcomes"])
    return 0


def list_instrument(x: "Exchange", c: dict[str, Any]) -> int:
    """ListInstrument with sound terms."""
    base = None if c["kind"] == oe.INSTRUMENT_KIND_OUTCOME else x.assets[c["baseAsset"]]
    x.instruments[c["instrument"]] = Instrument(c, base, x.assets[c["quoteAsset"]])
    if c["event"]:
        x.events_known[c["event"]].instruments[c["outcome"]] = c["instrument"]
    return 0


def set_fees(x: "Exchange", c: dict[str, Any]) -> int:
    """SetFees."""
    x.fees[c["tier"], c["kind"]] = c["makerFee"], c["takerFee"]
    return 0


def set_account_state(x: "Exchange", c: dict[str, Any]) -> int:
    """SetAccountState."""
    x.accounts[c["account"]].state = c["state"]
    return 0


def set_trading_state(x: "Exchange", c: dict[str, Any]) -> int:
    """SetTradingState; opening a crossed book begins the auction."""
    book, state = x.instruments[c["instrument"]], c["state"]
    known = oe.TRADING_STATE_PRE_OPEN <= state <= oe.TRADING_STATE_CLOSED
    if book.state > oe.TRADING_STATE_CLOSED or book.state == state or not known:
        return x.refuse(oe.REASON_INVALID_TRANSITION, book.state, state)
    closes = any((job.kind, job.subject) == ("close", book.number) for job in x.jobs)
    if x.auction_pending == book.number or closes:
        return x.refuse(oe.REASON_IN_PROGRESS, book.state, state)
    if state == oe.TRADING_STATE_OPEN and auction_tick(book):
        if x.auction_pending:
            return x.refuse(oe.REASON_IN_PROGRESS, x.auction_pending, 0)
        book.auction_tick = auction_tick(book)
        book.auction_lots = 0
        x.auction_pending = book.number
        return 0
    if state == oe.TRADING_STATE_CLOSED:
        x.start("close", book.number, closing(x, book, list(book.holders)))
    if state == oe.TRADING_STATE_OPEN:
        x.triggered = book.number  # Prices moved while stops could not follow.
    x.change_state(book, state)
    return 0


def set_index_price(x: "Exchange", c: dict[str, Any]) -> int:
    """SetIndexPrice: stops on it follow at once, the newest instrument first."""
    asset = x.assets[c["asset"]]
    asset.index, asset.index_state = c["price"], c["state"]
    follow_collateral(x, asset)
    for number in reversed(list(x.instruments)):
        book = x.instruments[number]
        if book.base == asset.number and book.kind != oe.INSTRUMENT_KIND_OUTCOME:
            book.index = c["price"]
            if book.stops[3, 1] or book.stops[3, 2]:
                run_triggers(x, number)
    return 0


def set_mark_price(x: "Exchange", c: dict[str, Any]) -> int:
    """SetMarkPrice, kept on the instrument's grain."""
    book, price = x.instruments[c["instrument"]], c["price"]
    highest, lowest = book.ticks_maximum * book.tick_size, 0 if book.is_prediction else 1
    if not lowest <= price <= highest:
        return x.refuse(oe.REASON_PRICE_OUT_OF_RANGE, price, highest)
    if book.state > oe.TRADING_STATE_CLOSED:
        return x.refuse(oe.REASON_INVALID_TRANSITION, book.state, 0)
    book.mark = max(lowest, (price + book.grain // 2) // book.grain) * book.grain
    x.triggered = book.number
    return 0


def session_open(x: "Exchange", c: dict[str, Any]) -> None:
    """SessionOpen of a FIX session."""
    session = x.sessions[x.session]
    taken = _is_new(session, (c["signedTime"], c["signedMark"]))
    if taken:
        _open(x, session, c)
    x.emit(0, "SessionOpened", session=x.session, versionId=0, nextInbound=session.next_inbound,
           reason=0 if taken else oe.REASON_DUPLICATE_KEY, nextOutbound=session.next_outbound,
           connection=c["connection"])


def session_signed(x: "Exchange", c: dict[str, Any]) -> None:
    """SessionSigned: it opens nothing any more."""
    _is_new(x.sessions[x.session], (c["signedTime"], c["signedMark"]))


def _is_new(session: Session, signed: tuple[int, int]) -> bool:
    """Whether what was signed wasn't taken before; from now on it was."""
    if signed[0] == 0:
        return True
    if signed[0] <= session.signed_floor or signed in session.signed:
        return False
    session.signed = sorted([*session.signed, signed])
    if len(session.signed) > SIGNED_MAX:
        session.signed_floor = max(session.signed_floor, session.signed.pop(0)[0])
    return True


def _open(x: "Exchange", session: Session, c: dict[str, Any]) -> None:
    if c["reset"]:
        session.next_inbound = session.next_outbound = 1
        for account in x.accounts.values():
            account.follower *= account.follower != session.number
    session.next_inbound = c["nextInbound"] or session.next_inbound
    session.connection = c["connection"]
    session.cancel_on_disconnect = c["cancelOnDisconnect"]
    session.cancel_window = c["cancelWindow"] * MILLISECOND
    session.cancel_at = 0


def session_close(x: "Exchange", c: dict[str, Any]) -> None:
    """SessionClose: cancel-on-disconnect is armed."""
    session = x.sessions[x.session]
    if c["connection"] == session.connection != 0:
        session.connection = 0
        if session.cancel_on_disconnect:
            session.cancel_at = x.time + session.cancel_window
