"""What the core is told at genesis, and that it is told once whatever crashes in between."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from core import logs
from core.config import Configuration, decode, merge, read
from core.process import Options
from sbe.codec import Codec
from tools.commands.up import DEFAULTS
from tools.supervisor.genesis import CONTROL, Genesis
from tools.supervisor.listing import NANOSECONDS, Command, commands

NOW = 1_800_000_000 * NANOSECONDS


def venue(**changed: object) -> Configuration:
    return decode(merge(read(DEFAULTS), changed))


def told(configuration: Configuration) -> dict[str, Command]:
    found = {command.subject: command for command in commands(configuration, NOW)}
    assert len(found) == len(list(commands(configuration, NOW))), "a subject is there twice"
    return found


@pytest.fixture
def genesis(tmp_path: Path) -> Callable[[Configuration], Genesis]:
    def make(configuration: Configuration) -> Genesis:
        options = Options("test", tmp_path, tmp_path, tmp_path / "config.json")
        made = Genesis(configuration, options, logs.configure("test"))
        made.plan()
        return made

    return make


def test_every_command_can_be_encoded() -> None:
    codec = Codec.load(CONTROL)
    for number, command in enumerate(commands(venue(), NOW), 1):
        data = codec.encode(command.message, command.fields | {"key": number})
        name, fields = codec.decode(data)
        assert name == command.message
        assert fields["key"] == number
        assert not codec.validate(data)


def test_the_venue_in_commands() -> None:
    counts = Counter(command.message for command in commands(venue(), NOW))
    assert counts["RegisterAsset"] == 4
    assert counts["ListInstrument"] == 17
    assert counts["RegisterEvent"] == 3
    assert counts["RegisterOwner"] == counts["RegisterAccount"] == counts["RegisterSession"] == 4
    assert counts["SetFees"] == 2 * (1 + 1 + 1 + 3)


def test_names_are_known_before_they_are_used() -> None:
    order = [command.message for command in commands(venue(), NOW)]
    last = {message: place for place, message in enumerate(order)}
    for earlier, later in (
        ("RegisterAsset", "ListInstrument"), ("RegisterEvent", "ListInstrument"),
        ("RegisterOwner", "RegisterAccount"), ("RegisterAccount", "RegisterSession"),
        ("RegisterAccount", "Deposit"), ("RegisterAsset", "Deposit"),
    ):
        assert last[earlier] < order.index(later), f"{earlier} after {later}"


def test_numbers_and_units() -> None:
    found = told(venue())
    perpetual = found["instrument BTC-PERP"].fields
    assert (perpetual["instrument"], perpetual["baseAsset"], perpetual["quoteAsset"]) == (4, 1, 0)
    assert perpetual["tickSize"] == 10_000_000  # 0.1
    third = found["instrument CUP-GAMMA"].fields
    assert (third["kind"], third["event"], third["outcome"]) == ("Outcome", 1, 2)
    linked = found["instrument BTC-95000-105000"].fields
    assert linked["kind"] == "PriceRange"
    assert (linked["lowerStrike"], linked["upperStrike"]) == (95_000 * 10**8, 105_000 * 10**8)
    assert linked["expiry"] == NOW + 86_400 * NANOSECONDS
    deposit = found["deposit desk-north USDC"].fields
    assert deposit["amount"] == 250_000 * 10**6
    assert found["deposit desk-north BTC"].fields["amount"] == 2 * 10**7


def test_who_decides_an_event_may_not_trade_it() -> None:
    event = read(DEFAULTS)["event"][0]
    reporter, arbiter, disputer = ("11" * 32, "22" * 32, "33" * 32)
    accounts = [account["name"] for account in read(DEFAULTS)["account"]][:3]
    rules = event["rules"] | {
        "reporters": [reporter], "arbiter": arbiter, "disputers": [disputer]}
    changed = event | {"rules": rules, "key_accounts": dict(
        zip((reporter, arbiter, disputer), accounts, strict=True))}
    configuration = decode(read(DEFAULTS) | {"event": [changed, *read(DEFAULTS)["event"][1:]]})
    numbers = configuration.numbers()
    owners = {account.name: account.owner for account in configuration.account}
    barred = {(c.fields["owner"], c.fields["event"]) for c in told(configuration).values()
              if c.message == "SetMarketConflict"}
    assert barred == {
        (numbers.owners[owners[name]], numbers.events[event["symbol"]]) for name in accounts[:2]}


def test_a_later_start_sends_only_what_is_new(
    genesis: Callable[[Configuration], Genesis]
) -> None:
    first = genesis(venue())
    for sent in first.sent.values():
        sent.done = True
    first.store()
    assert not genesis(venue()).waiting()

    grown = read(DEFAULTS)
    grown["account"] = [*grown["account"], {
        "name": "desk-north-2", "owner": "desk-north", "deposits": {"USDC": "1"},
    }]
    assert set(genesis(decode(grown)).waiting().values()) == {
        "account desk-north-2", "deposit desk-north-2 USDC",
    }


def test_other_fees_are_sent_again_and_other_listings_are_not(
    genesis: Callable[[Configuration], Genesis], capfd: pytest.CaptureFixture[str]
) -> None:
    first = genesis(venue())
    for sent in first.sent.values():
        sent.done = True
    first.store()
    changed = read(DEFAULTS)
    changed["fee"][0]["taker_millionths"] += 1
    changed["instrument"][0]["lot"] = "0.001"
    again = genesis(decode(changed))
    assert list(again.waiting().values()) == ["fee 0 Spot"]
    assert min(again.waiting()) > max(sent.key for sent in first.sent.values())
    assert '"subject":"instrument BTC-USDC"' in capfd.readouterr().err


def test_after_a_crash_the_same_goes_out_under_the_same_keys(
    genesis: Callable[[Configuration], Genesis]
) -> None:
    first, second = genesis(venue()), genesis(venue())
    assert first.waiting() == second.waiting()
    assert first.sent == second.sent  # bytes too: times from now on are those of the first start
    keys = list(first.waiting())
    assert keys == sorted(set(keys))
