"""The four sidecars beside the real core: a day of trading, each of them killed in the middle."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.link import CommandLink, CoreBell, EventFollower, released
from core.messages import decode_body, message_name
from core.producers import Producer
from core.reference import ReferenceData
from core.sidecars.custody import EmbeddedCustody, custody_path
from core.sidecars.keys import SigningKey
from core.sidecars.store import open_read_only
from core.status import StatusTable
from tools import verify_reserves
from tools.commands import oracle as oracle_command
from tools.commands import reserves as reserves_command
from tools.commands.up import DEFAULTS
from tools.supervisor.exchange import Exchange

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ONE, M = 10**8, 10**6
SIDECARS = ("settlement", "lending", "oracle", "reserves")
BUY, SELL = 1, 2


class Day:
    """A running exchange, told what to do through a ring of its own."""

    def __init__(self, exchange: Exchange, instance: str, keys: list[Path]) -> None:
        self.exchange = exchange
        self.instance = instance
        self.keys = keys
        self.data = Path(exchange.ready["data"])
        self.status = StatusTable.open(instance)
        self.link = CommandLink(
            instance, Producer.TOOLS, bell=CoreBell(self.data / "run", self.status)
        )
        self.follower = EventFollower(
            instance, self.data, gate=released(self.status, "async")
        )
        self.reference = ReferenceData()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._orders = time.time_ns()

    def read(self) -> None:
        for event in self.follower:
            self.reference.apply(event.template, event.body)
            name = message_name(event.template)
            self.events.append((name, decode_body(event.template, event.body)))

    def of(self, name: str) -> list[dict[str, Any]]:
        return [fields for found, fields in self.events if found == name]

    def wait(self, what: str, reached: Callable[[], object], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while True:
            self.read()
            if reached():
                return
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def account(self, name: str) -> int:
        return self.reference.accounts_by_name[name].number

    def order(self, account: str, symbol: str, side: int, price: str, quantity: str) -> None:
        self._orders += 1
        instrument = self.reference.instruments_by_symbol[symbol]
        assert self.link.send("NewOrderSingle", {
            "header": {"sendingTime": 0, "msgSeqNum": 0}, "account": self.account(account),
            "clOrdId": self._orders, "price": round(float(price) * ONE),
            "orderQty": round(float(quantity) * ONE), "instrument": instrument.number,
            "side": side, "ordType": 2, "timeInForce": 1, "execInst": 0, "stopPx": None,
            "displayQty": None, "expireTime": None, "tag": 0, "selfTradePrevention": 0,
            "triggerType": 0, "outcomeSide": 0, "echo": b"",
        })

    def trade(self, symbol: str, buyer: str, seller: str, price: str, quantity: str) -> None:
        trades = len(self._trades())
        self.order(seller, symbol, SELL, price, quantity)
        self.order(buyer, symbol, BUY, price, quantity)
        self.wait(f"no trade in {symbol}", lambda: len(self._trades()) > trades + 1)

    def _trades(self) -> list[dict[str, Any]]:
        return [f for f in self.of("ExecutionReport") if f["execType"] == ord("F")]

    def mark(self, symbol: str) -> int | None:
        return self.reference.instruments_by_symbol[symbol].mark

    def balance(self, account: str, asset: int = 0) -> int:
        with open_read_only(self.data / "sidecars", "settlement") as connection:
            row = connection.execute(
                "SELECT amount FROM balance WHERE account = ? AND asset = ?",
                (self.account(account), asset),
            ).fetchone()
        return int(row[0]) if row else 0


@pytest.fixture
def day(tmp_path: Path, instance: str) -> Iterator[Day]:
    keys = [tmp_path / f"{name}.key" for name in ("one", "two", "arbiter")]
    public = [SigningKey.load_or_make(key).public.hex() for key in keys]
    reporters = f'reporters = ["{public[0]}", "{public[1]}"]\nquorum = 2\ndispute_seconds = 2\n'
    venue = DEFAULTS.read_text().replace("port = 7001", "port = 0").replace(
        "port = 7002", "port = 0"
    ).replace(
        "question = \"Does", f'{reporters}arbiter = "{public[2]}"\nquestion = "Does'
    ).replace(
        "expires_in_seconds = 86400", "expires_in_seconds = 40\naveraging_seconds = 5"
    ).replace("[feed]\nenabled = true", "[feed]\nenabled = false")
    config = tmp_path / "venue.toml"
    config.write_text(
        venue + "\n[settlement]\nperiod_seconds = 1.0\nfunding_seconds = 5.0\n"
        "[lending]\nperiod_seconds = 1.0\n"
    )
    exchange = Exchange(
        ["--config", str(config), "--instance", instance, "--data", str(tmp_path / "data"),
         "--policy", "async"],
        log=tmp_path / "log.jsonl",
    )
    exchange.start()
    yield Day(exchange, instance, keys)
    exchange.close()


def test_a_day(day: Day, tmp_path: Path) -> None:
    day.wait("no prices", lambda: day.reference.instruments and all(
        day.mark(f"{name}-PERP") for name in ("BTC", "ETH", "SOL")
    ))
    # Profit on a perpetual becomes money; a purchase beyond the balance is borrowed.
    mark = day.mark("BTC-PERP")
    assert mark is not None
    away = f"{mark // ONE * 99 // 100}"
    day.trade("BTC-PERP", "desk-north", "maker-one", away, "1")
    day.trade("BTC-USDC", "desk-north", "maker-one", away, "4")
    day.trade("VOTE-PASSES", "desk-south", "maker-two", "0.60", "100")
    day.trade("BTC-95000-105000", "desk-south", "maker-one", "0.90", "50")
    day.wait("nothing settled", lambda: [
        f for f in day.of("PositionSettled") if f["account"] == day.account("desk-north")
    ])
    settled = [f for f in day.of("PositionSettled") if f["account"] == day.account("desk-north")]
    assert settled[0]["amount"] > 500 * M  # A percent of one bitcoin.
    day.wait("no interest", lambda: day.of("IndicesAccrued"))

    # A withdrawal goes out, a deposit comes in, while all four die.
    assert day.link.send("WithdrawalRequest", {
        "header": {"sendingTime": 0, "msgSeqNum": 0}, "account": day.account("desk-south"),
        "asset": 0, "amount": 1000 * M, "requestId": 5, "echo": b"",
        "destination": "bc1q-desk-south",
    })
    custody = EmbeddedCustody(custody_path(day.data))
    custody.receive("chain-1", day.account("desk-south"), 0, 77 * M)
    for name in SIDECARS:
        killed = day.exchange.kill(name)
        day.exchange.wait_running(name, other_than=killed)
    for key in day.keys[:2]:
        assert oracle_command.report("VOTE", "passes", key=key, data=day.data) == 0
    day.wait("the withdrawal is not confirmed", lambda: [
        f for f in day.of("WithdrawalChanged") if f["state"] == 3
    ])
    day.wait("the event did not resolve", lambda: len(day.of("ResolutionCompleted")) >= 2)
    day.wait("the price links did not resolve", lambda: len(day.of("ResolutionCompleted")) >= 5)
    deposits = [f for f in day.of("BalanceUpdate") if f["reason"] == 1 and f["change"] == 77 * M]
    assert len(deposits) == 1

    # The books are right to the unit after all that, and the reserves prove it.
    reported = len(day.of("BalancesReported"))
    day.wait("not reconciled", lambda: len(day.of("BalancesReported")) > reported + 1)
    with open_read_only(day.data / "sidecars", "settlement") as connection:
        (cycles, differences) = connection.execute(
            "SELECT count(*), sum(differences) FROM cycle"
        ).fetchone()
        assert connection.execute("SELECT count(*) FROM difference").fetchone() == (0,)
    assert cycles > 5
    assert differences == 0
    assert day.balance("desk-north") < 0
    payouts = {f["instrument"]: f["payout"] for f in day.of("InstrumentResolved")}
    numbers = {i.symbol: i.number for i in day.reference.instruments.values()}
    assert payouts[numbers["VOTE-PASSES"]] == ONE
    assert payouts[numbers["BTC-95000-105000"]] in (0, ONE)
    attested = reserves_command.attest(instance=day.instance, data=day.data)
    assert attested == 0
    proof = tmp_path / "proof.json"
    assert reserves_command.prove("desk-north", out=proof, data=day.data) == 0
    public = day.data / "reserves" / "attestations"
    assert verify_reserves.verify_proof(proof, public, set())
    log = (tmp_path / "log.jsonl").read_text()
    assert '"alarm":true' not in log
    assert day.exchange.stop() == 0
