"""`onebook admin` on a real exchange: what an operator says is in the core, and in its journal."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tools.clients.binary import BUY, BinaryClient, Event
from tools.commands.audit import Narrow, Place, controls, query
from tools.operator import command_line as admin
from tools.supervisor.exchange import Exchange

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    directory = tmp_path_factory.mktemp("admin")
    config = directory / "venue.toml"
    config.write_text("[fix]\nport = 0\n[binary]\nport = 0\n[feed]\nenabled = false\n")
    name = f"admin-{directory.name.replace('_', '-')}"[-31:].lstrip("-")
    data = directory / "data"
    found = Exchange(["--config", str(config), "--instance", name, "--data", str(data),
                      "--policy", "async"], log=directory / "log.jsonl")
    found.start()
    yield found
    found.close()


@pytest.fixture
def place(exchange: Exchange) -> admin.Place:
    return admin.Place(exchange.ready["instance"], Path(exchange.ready["data"]))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.strip()


def test_every_level_stops_and_goes_on(
    place: admin.Place, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = (("owner", "maker-one"), ("session", "DESK-NORTH"), ("market", "BTC-PERP"),
              ("product", "outcome"), ("venue", ""))
    for level, subject in levels:
        assert admin.kill(level, subject, place=place) == 0  # type: ignore[arg-type]
        assert said(capsys) == f"{level} {subject}".strip() + " is stopped, 0 orders cancelled"
        assert admin.kill(level, subject, lift=True, place=place) == 0  # type: ignore[arg-type]
        assert said(capsys).endswith("may go on")
    assert admin.kill("owner", "nobody", place=place) == 1
    assert admin.kill("owner", "77", place=place) == 1
    assert "refused: UnknownOwner (value 77" in capsys.readouterr().err


def test_gates_and_the_beta(place: admin.Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.gate(1, "deny", country="us", product="perpetual", place=place) == 0
    assert admin.gate(2, "allow", place=place) == 0
    capsys.readouterr()
    assert admin.owner("maker-one", country="US", invited=True, place=place) == 0
    told = said(capsys)
    assert "spot allowed, perpetual denied, outcome allowed" in told
    assert admin.owner("maker-one", country="USA", place=place) == 1
    assert admin.enforce(gates=True, beta=True, notional="1000.5", ramp="100", place=place) == 0
    assert said(capsys) == "enforced: gates, beta"
    assert admin.enforce(place=place) == 0
    assert said(capsys) == "enforced: nothing"
    assert admin.enforce(loss="-1", place=place) == 1


def test_a_withdrawal_by_an_operator(
    place: admin.Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admin.withdraw("desk-north", "USDC", "1.5", to="bc1q-cold", place=place) == 0
    assert said(capsys).startswith("withdrawal 1 is held until ")
    assert admin.withdraw("desk-north", "USDC", "9999999999", place=place) == 1
    assert "refused: InsufficientBalance" in capsys.readouterr().err
    for amount in ("0", "1.2345678"):
        assert admin.withdraw("desk-north", "USDC", amount, place=place) == 1
    assert admin.withdraw("desk-north", "DOGE", "1", place=place) == 1


def test_limits_and_the_record(place: admin.Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.limits("desk-north", value="50000", per_second=10, burst=5, place=place) == 0
    assert admin.limits("desk-north", open_orders=10_000, place=place) == 1
    assert "refused: InvalidField (value 10000, limit 4096)" in capsys.readouterr().err
    assert admin.limits("desk-north", order_to_trade=50, free_orders=1000, place=place) == 0
    assert admin.limits("desk-north", volume_percent="7.5", volume_free="1000", place=place) == 0
    assert admin.limits("desk-north", volume_percent="0.00001", place=place) == 1
    assert "at most 4 decimals" in capsys.readouterr().err
    until = datetime(2100, 1, 1, tzinfo=UTC)
    assert admin.protect("desk-south", excluded_until=until, loss="250.5", place=place) == 0
    told = said(capsys).splitlines()[-1]
    assert told == "desk-south: excluded until 2100-01-01 00:00 UTC, may lose 250.5 USDC a day"
    assert admin.protect("desk-north", deposits="1000", place=place) == 0
    assert said(capsys) == "desk-north: may deposit 1000 USDC a day"
    assert admin.conflict("desk-south", "CUP", place=place) == 0
    assert said(capsys) == "desk-south may not trade CUP"
    assert admin.conflict("desk-south", "CUP", lift=True, place=place) == 0
    assert admin.protect("desk-south", place=place) == 1
    assert "refused: SelfExcluded" in capsys.readouterr().err
    where = Place(place.instance, place.data, format="csv")
    assert controls(place=where, only=Narrow()) == 0
    journal = capsys.readouterr().out
    assert "SetOrderLimits" in journal
    assert query("SELECT volume_share, volume_free FROM set_order_limits", place=where) == 0
    assert "75000" in capsys.readouterr().out
    assert journal.count("InvalidField") == 1


async def asked(exchange: Exchange, account: int, asks: list[dict[str, Any]]) -> list[Event]:
    """What maker-two hears over the binary door's socket, a request after the other.

    That an exclusion cancels what stands comes when it does: it is the last of the list.
    """
    heard: asyncio.Queue[Event] = asyncio.Queue()
    client = BinaryClient(*exchange.address("binary"), session=102, key_id="maker-two",
                          secret="maker-two: for trying out only")
    client.on_event = heard.put_nowait
    answers, cancelled = [], []
    await client.connect()
    for ask in asks:
        if "action" in ask:
            client.send("ClientProtectionRequest",
                        **{"account": account, "until": None, "amount": 0, "echo": b"e"} | ask)
        else:
            client.new_order(account=account, **ask)
        answer = await asyncio.wait_for(heard.get(), 10)
        if answer.decode().get("execType") == oe.EXEC_TYPE_CANCELED:
            cancelled.append(answer)
            answer = await asyncio.wait_for(heard.get(), 10)
        answers.append(answer)
    await client.close()
    return answers + cancelled


def test_the_binary_door_keeps_a_client_from_what_he_asks_to_be_kept_from(
    exchange: Exchange, place: admin.Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests 119, reports 310: tighter at once, looser a day later, an exclusion for all."""
    with admin.Desk(place.instance, Path(exchange.ready["data"])) as desk:
        account = desk.configuration.numbers().accounts["maker-two"]
    assert admin.limits("maker-two", volume_percent="10", volume_free="1000", place=place) == 0
    order = {"instrument": 4, "side": BUY, "price": 95_000 * 10**8, "quantity": 10**8 // 10}
    loss, deposits, exclude = (
        oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_LOSS,
        oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_DEPOSITS,
        oe.CLIENT_PROTECTION_ACTION_SELF_EXCLUDE,
    )
    now = time.time_ns()
    until = now + 3600 * 10**9
    events = asyncio.run(asked(exchange, account, [
        order,
        order | {"quantity": 10**8 // 100},
        {"requestId": 1, "action": loss, "amount": 500 * 10**6},
        {"requestId": 2, "action": loss, "amount": 900 * 10**6},
        {"requestId": 3, "action": deposits, "amount": 70 * 10**6},
        {"requestId": 4, "action": exclude, "until": until},
        {"requestId": 5, "action": exclude, "until": until - 1},
        {"requestId": 6, "action": deposits, "amount": -1},
        order | {"quantity": 10**8 // 100},
    ]))
    capsys.readouterr()
    refused, entered, *reports, excluded, cancelled = [event.decode() for event in events]
    assert (refused["reason"], refused["detail"], refused["limit"]) == (
        oe.REASON_FAT_FINGER, 10**7, 0)  # Nothing has traded: only what is worth little.
    assert (entered["reason"], entered["execType"]) == (0, oe.EXEC_TYPE_NEW)
    assert [event.template for event in events[2:-2]] == [
        oe.CLIENT_PROTECTION_REPORT_TEMPLATE] * len(reports)
    assert [report["requestId"] for report in reports] == [1, 2, 3, 4, 5, 6]
    assert {(report["account"], report["echo"]) for report in reports} == {(account, b"e")}
    names = ("reason", "dailyLoss", "dailyDeposits", "excludedUntil")
    assert [tuple(report[name] for name in names) for report in reports] == [
        (0, 500 * 10**6, 0, None),
        (0, 500 * 10**6, 0, None),
        (0, 500 * 10**6, 70 * 10**6, None),
        (0, 500 * 10**6, 70 * 10**6, until),
        (oe.REASON_SELF_EXCLUDED, 500 * 10**6, 70 * 10**6, until),
        (oe.REASON_INVALID_FIELD, 500 * 10**6, 70 * 10**6, until),
    ]
    begins = [report["effectiveTime"] for report in reports]
    assert begins[0] > now
    assert begins[1] >= begins[0] + 86_400 * 10**9  # Looser only a day later.
    assert excluded["reason"] == cancelled["reason"] == oe.REASON_SELF_EXCLUDED
    assert cancelled["orderId"] == entered["orderId"]
