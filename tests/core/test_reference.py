"""Reference data: what the defining events teach, in any order and twice."""

from pathlib import Path
from typing import Any

import pytest

import sbe
from core.reference import ReferenceData
from sbe.codec import Codec

CODEC = Codec.load(Path(sbe.__file__).parent / "schema" / "control.xml", raw=True)
TIME = 1_790_000_000_000_000_000


def body(name: str, /, **fields: Any) -> tuple[int, bytes]:
    """Template and body of an event as a follower yields it: header off, padding on."""
    message = CODEC.schema.message(name)
    assert message is not None
    header = {"transactTime": TIME, "msgSeqNum": 0, "lastAppliedSeqNo": 0}
    data = CODEC.encode(name, {"header": header} | fields)[8:]
    return message.id, data + bytes(-len(data) % 32)


USDC = {
    "asset": 0, "decimals": 6, "lendable": 1, "borrowable": 1, "name": "USDC", "haircutInitial": 0,
    "haircutMaintenance": 0, "utilisationCeiling": 950_000, "reserveShare": 100_000,
}
OUTCOME = {
    "kind": 3, "state": 2, "baseAsset": 0, "quoteAsset": 0, "event": 4, "tickSize": 10**6,
    "lotSize": 10**8, "minimumQty": 10**8, "maximumQty": 10**14, "maximumPrice": 10**8,
    "lowerStrike": None, "upperStrike": None, "expiry": None, "valuePerTickLot": 10_000,
    "rulesHash": bytes(range(32)),
}


@pytest.fixture
def reference() -> ReferenceData:
    """An asset, an owner with an account and a session, an event with two outcomes."""
    data = ReferenceData()
    for name, fields in (
        ("AssetRegistered", USDC),
        ("OwnerRegistered", {"owner": 100, "name": "acme"}),
        ("AccountRegistered", {"account": 100, "owner": 100, "name": "acme.main", "autoLend": 1}),
        ("AccountRegistered", {"account": 101, "owner": 101, "name": "other", "autoLend": 1}),
        ("SessionRegistered",
         {"session": 7, "owner": 100, "account": 100, "kind": 1, "name": "CLIENT"}),
        ("EventRegistered",
         {"event": 4, "kind": 2, "outcomes": 2, "rulesHash": bytes(32), "title": "Who wins?"}),
        ("InstrumentListed", OUTCOME | {
            "instrument": 12, "symbol": "WIN-B", "outcome": 1, "title": "B wins"}),
        ("InstrumentListed", OUTCOME | {
            "instrument": 11, "symbol": "WIN-A", "outcome": 0, "title": "A wins"}),
    ):
        assert data.apply(*body(name, **fields))
    return data


def test_definitions_are_found_by_number_and_by_name(reference: ReferenceData) -> None:
    instrument = reference.instruments_by_symbol["WIN-B"]
    assert instrument is reference.instruments[12]
    assert (instrument.tick_size, instrument.lower_strike, instrument.title) == (
        10**6, None, "B wins")
    assert reference.assets_by_name["USDC"].decimals == 6
    assert reference.events[4].instruments == [11, 12], "in the order of outcomes"
    assert reference.event_of(instrument) is reference.events[4]


def test_a_session_reaches_only_accounts_of_its_owner(reference: ReferenceData) -> None:
    account = reference.account_of(7, "acme.main")
    assert account is not None
    assert account.number == 100
    assert reference.account_of(7, "other") is None
    assert reference.account_of(8, "acme.main") is None


def test_states_raise_the_version_and_prices_do_not(reference: ReferenceData) -> None:
    before = reference.version
    reference.apply(*body(
        "MarkPriceChanged", instrument=11, rule=0, price=55 * 10**6, index=0, premium=0))
    assert (reference.instruments[11].mark, reference.version) == (55 * 10**6, before)
    reference.apply(*body(
        "TradingStateChanged", instrument=11, state=4, auctionPrice=None, auctionQty=None))
    assert reference.instruments[11].state == 4
    assert reference.version == before + 1


def test_a_definition_repeated_keeps_what_was_learned(reference: ReferenceData) -> None:
    reference.apply(*body("AccountStateChanged", account=100, state=3))
    reference.apply(*body("AccountRegistered", account=100, owner=100,
                          name="acme.main", autoLend=1))
    reference.apply(*body(
        "EventRegistered", event=4, kind=2, outcomes=2, rulesHash=bytes(32), title="Who wins?"))
    assert reference.accounts[100].state == 3
    assert reference.events[4].instruments == [11, 12]


def test_events_of_no_concern_are_left_alone(reference: ReferenceData) -> None:
    assert not reference.apply(200, bytes(256))
