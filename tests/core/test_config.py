"""The configuration: defaults, exact decimals, and one clear line for everything wrong."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import records
from core.config import (
    Configuration,
    ConfigurationError,
    decimal_text,
    decode,
    encode,
    fixed,
    load,
    merge,
    read,
)
from core.venue import FIRST_ACCOUNT, FIRST_OWNER
from tests.core.test_market_rules import RULES

DEFAULTS = Path(__file__).parents[2] / "tools" / "defaults.toml"

USDC = {"name": "USDC", "decimals": 6}
BTC = {"name": "BTC", "decimals": 8}
SPOT = {"symbol": "BTC-USDC", "kind": "spot", "base": "BTC", "tick": "0.01", "lot": "0.0001"}
PEOPLE: dict[str, Any] = {
    "asset": [USDC, BTC],
    "owner": [{"name": "a"}, {"name": "b"}],
    "account": [{"name": "a1", "owner": "a"}, {"name": "b1", "owner": "b"}],
}
FIX = {"session": 1, "sender_comp_id": "A", "owner": "a", "account": "a1", "secret": "s"}
BINARY = {"session": 2, "key_id": "k", "secret": "s" * 16, "owner": "b", "accounts": ["b1"]}


def venue(**tables: Any) -> dict[str, Any]:
    return PEOPLE | tables


def test_every_default_works_without_a_file() -> None:
    configuration = decode({})
    assert configuration == Configuration()
    assert configuration.exchange.policy == "fsync"


def test_the_shipped_venue_has_one_of_everything() -> None:
    configuration = load(DEFAULTS)
    kinds = {instrument.kind for instrument in configuration.instrument}
    assert kinds == {"spot", "perpetual", "prediction", "price_linked"}
    assert {i.condition for i in configuration.instrument} == {"", "above", "below", "range"}
    structures = {event.structure for event in configuration.event}
    assert structures == {"exclusive", "exhaustive", "nested"}
    assert len(configuration.fix.session) == len(configuration.binary.session) == 2
    numbers = configuration.numbers()
    assert numbers.assets["USDC"] == 0
    assert numbers.instruments["BTC-USDC"] == 1


def test_numbers_leave_room_for_the_house() -> None:
    assert FIRST_OWNER == records.HOUSE_OWNER + 1
    assert FIRST_ACCOUNT == records.FIRST_CLIENT


WRONG = [
    # key path                                rule                                     file
    ("file", "there is an unknown field bar", {"bar": 1}),
    ("exchange", "there is an unknown field polcy", {"exchange": {"polcy": "async"}}),
    (
        "exchange.policy",
        "invalid enum value 'fast', expected one of async, fsync, none",
        {"exchange": {"policy": "fast"}},
    ),
    ("limits.orders_max", "expected int, was str", {"limits": {"orders_max": "many"}}),
    ("limits.orders_max", "expected int >= 1", {"limits": {"orders_max": 0}}),
    (
        "rings.events_bytes",
        "expected a power of two, was 65537",
        {"rings": {"events_bytes": 65537}},
    ),
    ("fix.port", "expected int <= 65535", {"fix": {"port": 70000}}),
    ("asset[0]", "expected USDC with 6 decimals, was BTC with 8", {"asset": [BTC]}),
    ("asset[1].name", "USDC is already the name of asset[0]", {"asset": [USDC, USDC]}),
    ("account[0].owner", "no owner a", {"account": [{"name": "x", "owner": "a"}]}),
    ("instrument[0]", "has no required field lot", {"instrument": [{**SPOT, "lot": None}]}),
    (
        "oracle.source[0].url",
        "a websocket source needs a url with ws:// or wss://, was http://here",
        venue(oracle={"source": [
            {"name": "s", "asset": "BTC", "kind": "websocket", "url": "http://here"}
        ]}),
    ),
    (
        "instrument[0].tick",
        'expected a decimal in quotes, like "0.01", was 0.01',
        venue(instrument=[SPOT | {"tick": 0.01}]),
    ),
    (
        "instrument[0].tick",
        "expected at most 8 decimals, was 0.000000001",
        venue(instrument=[SPOT | {"tick": "0.000000001"}]),
    ),
    (
        "instrument[0].tick",
        "tick 0.0001 x lot 0.0001 isn't a whole number of the smallest unit of USDC",
        venue(instrument=[SPOT | {"tick": "0.0001"}]),
    ),
    ("instrument[0].base", "no asset ETH", venue(instrument=[SPOT | {"base": "ETH"}])),
    (
        "instrument[0].condition",
        "expected above, below or range",
        venue(instrument=[SPOT | {"kind": "price_linked"}]),
    ),
    (
        "instrument[0].high",
        "expected more than low",
        venue(instrument=[SPOT | {
            "kind": "price_linked", "condition": "range", "low": "2", "high": "1", "lot": "1",
            "expires_in_seconds": 1,
        }]),
    ),
    (
        "instrument[0].event",
        "no event E",
        venue(instrument=[{
            "symbol": "E-1", "kind": "prediction", "event": "E", "tick": "0.01", "lot": "1",
        }]),
    ),
    (
        "event[0]",
        "expected 2 to 32 instruments with event = E, was 0",
        venue(event=[{"symbol": "E", "structure": "nested", "rules": RULES}]),
    ),
    (
        "account[0].deposits.USDC",
        "expected a positive multiple of 0.000001",
        venue(account=[{"name": "x", "owner": "a", "deposits": {"USDC": "0.0000001"}}]),
    ),
    (
        "limits.accounts_max",
        "102 needed for account, was 101",
        venue(limits={"accounts_max": 101}),
    ),
    ("fix.session[0].account", "no account zz", venue(fix={"session": [FIX | {"account": "zz"}]})),
    (
        "fix.session[0].account",
        "b1 belongs to b, not to a",
        venue(fix={"session": [FIX | {"accounts": ["b1"]}]}),
    ),
    (
        "fix.session[0].public_key",
        "needed for authentication ed25519",
        venue(fix={"session": [FIX | {"authentication": "ed25519"}]}),
    ),
    (
        "fix.session[0].ip_allow",
        "expected networks like 10.0.0.0/8, was here",
        venue(fix={"session": [FIX | {"ip_allow": ["here"]}]}),
    ),
    (
        "fix.session and binary.session[1].session",
        "1 is already the session of fix.session and binary.session[0]",
        venue(fix={"session": [FIX]}, binary={"session": [BINARY | {"session": 1}]}),
    ),
    (
        "oracle.source[0].start",
        "a simulated source needs a positive start",
        venue(oracle={"source": [{"name": "x", "asset": "BTC"}]}),
    ),
]


@pytest.mark.parametrize(("path", "rule", "tables"), WRONG, ids=[f"{p}: {r}" for p, r, _ in WRONG])
def test_a_wrong_file_is_one_line(path: str, rule: str, tables: dict[str, Any]) -> None:
    tables = {
        name: [{k: v for k, v in row.items() if v is not None} for row in value]
        if isinstance(value, list) else value
        for name, value in tables.items()
    }
    with pytest.raises(ConfigurationError) as caught:
        decode(tables)
    assert str(caught.value) == f"{path}: {rule}"


def test_what_is_wrong_in_one_way_is_right_without_it() -> None:
    decode(venue(instrument=[SPOT], fix={"session": [FIX]}, binary={"session": [BINARY]}))


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("[fix\n")
    with pytest.raises(ConfigurationError, match=r"x\.toml: .*line 1"):
        load(file)
    with pytest.raises(ConfigurationError, match=r"y\.toml: No such file or directory$"):
        load(tmp_path / "y.toml")


def test_merging_takes_tables_by_key_and_lists_whole() -> None:
    base = {"fix": {"port": 1, "host": "h"}, "list": [1, 2]}
    assert merge(base, {"fix": {"port": 2}, "list": [3]}) == {
        "fix": {"port": 2, "host": "h"}, "list": [3],
    }


def test_a_venue_of_ones_own_takes_nothing_from_ours() -> None:
    merged = merge(read(DEFAULTS), {"asset": [USDC]})
    assert decode(merged).asset == decode({"asset": [USDC]}).asset
    assert not decode(merged).instrument
    assert not decode(merged).fix.session
    assert decode(merged).fix.port == 7001


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_decimals_are_exact(value: int) -> None:
    assert fixed(decimal_text(value)) == value


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "x", "", "1e11", "0.123456789", None, 0.5])
def test_what_is_no_decimal(text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        fixed(text)


def test_what_was_encoded_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "configuration.json"
    path.write_bytes(encode(load(DEFAULTS)))
    assert load(path) == load(DEFAULTS)
