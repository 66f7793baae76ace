"""The oracle as an agent: prices each second, expiries by the recorded index, signed outcomes."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from core.agent import run_until_quiet
from core.link import Event, EventFollower
from core.producers import Producer
from core.sidecars.keys import SigningKey
from core.sidecars.oracle.agent import Oracle
from core.sidecars.oracle.index import Weighed
from core.sidecars.oracle.outcomes import (
    DISPUTED,
    FINAL,
    OPEN,
    PROPOSED,
    RESOLVED,
)
from core.sidecars.oracle.record import verify_records
from core.sidecars.oracle.reports import ARBITRATION, DISPUTE, REPORT, Statement
from core.sidecars.oracle.risk_arrays import Ranges
from core.sidecars.oracle.rules import Rules
from core.sidecars.oracle.series import Series
from core.sidecars.oracle.sources import ONE, SECOND, Quote
from tests.core.sidecars.stage import ABOVE, Stage

KEYS = [SigningKey(bytes([n]) * 32) for n in range(1, 6)]
ARBITER = KEYS[3]
HOUR = 3600 * SECOND
FIRED = {"a-wins": (ONE, 0), "b-wins": (0, ONE), "abandoned": (0, 0), "void": (ONE // 4, ONE // 4)}
RULES = Rules(
    "CUP", b"r" * 32, FIRED, tuple(key.public for key in KEYS[:3]), quorum=2, dispute_ns=HOUR,
    arbiter=ARBITER.public,
)


class Scene:
    """An oracle on a stage whose core publishes what it is told."""

    def __init__(
        self, stage: Stage, rules: Rules = RULES, series: tuple[Series, ...] = (),
        interval_ns: int = SECOND,
    ) -> None:
        self.stage = stage
        self.series = series
        self.interval_ns = interval_ns
        self.price = 100_000 * ONE
        self.rules = rules
        stage.on_command = self._core
        self.oracle = self.start()

    def _core(self, name: str, fields: dict[str, Any]) -> None:
        fields = {key: value for key, value in fields.items() if key != "key"}
        if name == "SetIndexPrice":
            self.stage.emit("IndexPriceChanged", **fields)
        elif name == "SetMarkPrice":
            self.stage.emit("MarkPriceChanged", **fields)
        elif name == "ResolveEvent":
            for outcome, entry in enumerate(fields["payouts"]):
                self.stage.emit("InstrumentResolved", instrument=3 + outcome, event=1,
                                payout=entry["payout"], settlementPrice=None,
                                evidenceHash=fields["evidenceHash"])
        elif name == "ListInstrument":
            self.stage.instrument(
                fields["instrument"], fields["symbol"], ABOVE, base=fields["baseAsset"],
                tick=fields["tickSize"], lot=fields["lotSize"],
                lowerStrike=fields["lowerStrike"], expiry=fields["expiry"],
            )
        elif name == "DelistInstrument":
            self.stage.emit("TradingStateChanged", instrument=fields["instrument"], state=8,
                            auctionPrice=None, auctionQty=None)
        elif name == "ResolveInstrument":
            self.stage.emit("InstrumentResolved", event=0, **fields)
            self.stage.emit("TradingStateChanged", instrument=fields["instrument"], state=7,
                            auctionPrice=None, auctionQty=None)

    def latest(self, now: int) -> Quote | None:
        """A source of prices."""
        return Quote(self.price, now)

    def start(self) -> Oracle:
        stage = self.stage

        def since(position: int) -> Iterable[Event]:
            return EventFollower(stage.instance, stage.directory, position, gate=stage.gate)

        sources = [Weighed(f"s{n}", self, 1, 5 * SECOND, 20_000) for n in range(3)]
        return Oracle(
            stage.store("oracle", Oracle.migrations), stage.follower(),
            stage.link(Producer.ORACLE), clock=stage.clock, sources={"BTC": sources},
            since=since, averaging_ns={"BTC-UP": 10 * SECOND}, rules={1: self.rules},
            series=self.series, ranges={"BTC": Ranges(100_000, 60_000)},
            interval_ns=self.interval_ns,
        )

    def restart(self) -> None:
        self.oracle.store.close()
        self.oracle = self.start()

    def run(self, seconds: float = 1.0) -> list[tuple[str, dict[str, Any]]]:
        """Let time pass; the commands the core took."""
        self.stage.now += int(seconds * SECOND)
        taken = []
        for _ in range(3):
            run_until_quiet([self.oracle])
            taken += [(n, f) for _, n, f in self.stage.take(self.oracle.link)]
        return taken

    def hand_in(self, kind: str, key: SigningKey, *payouts: int, **changes: Any) -> None:
        """A signed statement arrives; it cites the rule that pays so, else the first."""
        names = [name for name, vector in FIRED.items() if vector == payouts] or ["a-wins"]
        values: dict[str, Any] = {
            "kind": kind, "event": 1, "symbol": "CUP", "rules": self.rules.hash, "rule": names[0],
            "payouts": payouts, "evidence": b"e" * 32, "time": self.stage.now,
        }
        signed = Statement(**(values | changes)).sign(key)
        self.put(json.dumps(signed.to_json()))

    def put(self, body: str) -> None:
        self.oracle.store.connection.execute("INSERT INTO inbox (body) VALUES (?)", (body,))

    def refusals(self) -> list[str]:
        rows = self.oracle.store.connection.execute(
            "SELECT body FROM record WHERE kind = 'refused' ORDER BY ordinal"
        )
        return [json.loads(row[0])["reason"] for row in rows]

    def resolutions(self) -> list[dict[str, Any]]:
        return [f for _, n, f in self.stage.commands if n in ("ResolveEvent", "ResolveInstrument")]


@pytest.fixture
def scene(stage: Stage) -> Scene:
    stage.venue()
    return Scene(stage)


def of(taken: list[tuple[str, dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    return [fields for found, fields in taken if found == name]


def test_each_second_an_index_and_marks(scene: Scene) -> None:
    taken = scene.run()
    assert [(f["asset"], f["price"], f["state"], f["sources"])
            for f in of(taken, "SetIndexPrice")] == [(1, scene.price, 0, 3)]
    marks = {f["instrument"]: f["price"] for f in of(taken, "SetMarkPrice")}
    assert marks == {2: scene.price}
    assert scene.run(0.4) == []
    assert len(of(scene.run(0.6), "SetIndexPrice")) == 1


def test_price_links_come_with_arrays_of_what_they_would_be_worth(scene: Scene) -> None:
    taken = scene.run()
    assert of(taken, "SetRiskArray") == []  # Nothing links to the price yet.
    expiry = scene.stage.now + 48 * HOUR
    scene.stage.next()
    scene.stage.instrument(9, "BTC-101", ABOVE, base=1, tick=10**6, lot=ONE,
                           lowerStrike=101_000 * ONE, expiry=expiry)
    taken = scene.run(2)
    assert [name for name, _ in taken].index("SetMarkPrice") < [
        name for name, _ in taken].index("SetRiskArray")
    sent = of(taken, "SetRiskArray")[0]
    assert (sent["asset"], sent["columns"], sent["index"]) == (1, 2, scene.price)
    assert sent["arrays"] == [{"instrument": 9, "netted": 900}]
    assert len(sent["values"]) == 2 * len(sent["nodes"])
    scene.restart()
    again = of(scene.run(2), "SetRiskArray")[0]
    assert again["version"] > sent["version"]


def test_the_premium_of_the_book_is_in_the_mark(scene: Scene) -> None:
    stage = scene.stage
    stage.next()
    for order, side, price in ((1, 1, 100_400), (2, 2, 100_600)):
        stage.report(account=100, instrument=2, side=side, orderId=order, price=price * ONE,
                     visibleQty=ONE, flags=4, execType="New", ordStatus="New")
    for _ in range(300):
        scene.run()
    mark = of(scene.run(), "SetMarkPrice")[0]
    premium = 0.005 * (1 - 2.718281828 ** -1)
    assert mark["premium"] == pytest.approx(premium * 1e9, rel=0.01)
    assert mark["price"] == scene.price * (10**9 + mark["premium"]) // 10**9
    assert mark["book"] == pytest.approx(100_500 * ONE, rel=1e-6)
    assert (mark["sources"], mark["indexState"]) == (3, 0)
    scene.restart()
    again = of(scene.run(), "SetMarkPrice")[0]
    assert again["premium"] == pytest.approx(mark["premium"], rel=0.01)
    assert scene.oracle.depth.mid(2) == 100_500 * ONE


def test_books_are_rebuilt_after_a_restart_from_the_last_dump(scene: Scene) -> None:
    stage = scene.stage
    stage.next()
    for order in range(50):
        stage.report(account=100, instrument=3, side=1, orderId=order, price=order * 10**6 + 10**6,
                     visibleQty=ONE, flags=4, execType="New", ordStatus="New")
    scene.run()  # Dumped here.
    stage.next()
    for order in range(40, 50):
        stage.report(account=100, instrument=3, side=1, orderId=order, price=order * 10**6 + 10**6,
                     visibleQty=0, flags=0, execType="Canceled", ordStatus="Canceled")
    scene.run()
    scene.restart()
    scene.run()
    assert scene.oracle.depth.best(3) == (40 * 10**6, None)
    assert len(scene.oracle.depth.sides[3][0]) == 40


def _list_up(scene: Scene, strike: int, seconds: int) -> None:
    scene.stage.next()
    scene.stage.instrument(5, "BTC-UP", ABOVE, base=1, tick=10**6, lot=ONE,
                           lowerStrike=strike * ONE, expiry=scene.stage.now + seconds * SECOND)


@pytest.mark.parametrize(("strike", "payout"), [(100_013, ONE), (100_014, 0)])
def test_a_price_link_resolves_by_itself_from_the_recorded_average(
    scene: Scene, strike: int, payout: int
) -> None:
    scene.run()
    _list_up(scene, strike, 20)
    for _ in range(19):
        scene.run()
        scene.price += ONE
    assert scene.resolutions() == []
    scene.restart()
    scene.price = 1_000_000 * ONE  # What comes behind the window means nothing.
    taken = scene.run()
    (resolved,) = of(taken, "ResolveInstrument")
    assert resolved["instrument"] == 5
    assert resolved["settlementPrice"] == 100_013 * ONE + ONE // 2
    assert resolved["payout"] == payout
    for _ in range(5):
        scene.restart()
        scene.run()
    assert len(scene.resolutions()) == 1
    assert verify_records(scene.oracle.store.connection) == 1


def test_the_average_is_that_of_the_window(scene: Scene) -> None:
    scene.run()
    _list_up(scene, 1, 20)
    for _ in range(19):
        scene.run()
        scene.price += ONE
    (resolved,) = of(scene.run(), "ResolveInstrument")
    # Published at second n of 19 was 100,000 + n − 1; ten of them hold in [10, 20).
    assert resolved["settlementPrice"] == 100_000 * ONE + sum(range(9, 19)) * ONE // 10


def test_a_refusal_for_being_busy_is_tried_again(scene: Scene) -> None:
    scene.run()
    _list_up(scene, 1, 5)
    scene.stage.refuse["ResolveInstrument"] = 54
    for _ in range(8):
        scene.run()
    del scene.stage.refuse["ResolveInstrument"]
    scene.run()
    scene.run()
    assert len(scene.resolutions()) == 1
    assert scene.oracle.alarms == 0


# ---- outcomes ------------------------------------------------------------------------------------


def test_quorum_delay_final_and_paid_once(scene: Scene) -> None:
    scene.run()
    scene.hand_in(REPORT, KEYS[0], ONE, 0)
    scene.hand_in(REPORT, KEYS[1], 0, ONE)
    scene.run()
    assert scene.oracle.outcomes.state(1) == OPEN
    scene.hand_in(REPORT, KEYS[2], ONE, 0)
    scene.run()
    assert scene.oracle.outcomes.state(1) == PROPOSED
    scene.run(3000)
    assert scene.resolutions() == []
    scene.restart()
    scene.run(601)
    scene.restart()
    scene.run()
    scene.run(HOUR / SECOND)
    assert scene.oracle.outcomes.state(1) == RESOLVED
    (resolved,) = scene.resolutions()
    assert [entry["payout"] for entry in resolved["payouts"]] == [ONE, 0]
    assert scene.refusals() == []
    assert verify_records(scene.oracle.store.connection) == 5


def test_what_is_refused_is_recorded_with_its_reason(scene: Scene) -> None:
    scene.run()
    scene.hand_in(REPORT, KEYS[4], ONE, 0)
    scene.hand_in(REPORT, KEYS[0], ONE, ONE)
    scene.hand_in(REPORT, KEYS[0], ONE)
    scene.hand_in(REPORT, KEYS[0], ONE, 0, rules=b"x" * 32)
    scene.hand_in(REPORT, KEYS[0], ONE, 0, event=9)
    scene.hand_in(DISPUTE, KEYS[0], ONE, 0)
    scene.hand_in(ARBITRATION, ARBITER, ONE, 0)
    scene.hand_in(REPORT, ARBITER, ONE, 0)
    scene.put("{}")
    scene.hand_in(REPORT, KEYS[0], ONE, 0, rule="b-wins")
    scene.hand_in(REPORT, KEYS[0], ONE, 0, rule="c-wins")
    scene.hand_in(REPORT, KEYS[0], *FIRED["void"])
    forged = Statement(REPORT, 1, "CUP", RULES.hash, "a-wins", (ONE, 0), b"e" * 32, 0).sign(KEYS[0])
    body = forged.to_json() | {"payouts": [0, ONE]}
    scene.put(json.dumps(body))
    scene.run()
    assert scene.refusals() == [
        "report: not one of those who may",
        "no possible outcome pays this",
        "no possible outcome pays this",
        "other rules than this market's",
        "no event 9 with rules",
        "dispute: the market is open, not proposed",
        "arbitration: the market is open, not disputed",
        "report: not one of those who may",
        "not a signed statement: 'payouts'",
        "report: b-wins pays something else",
        "report: the rules have no c-wins",
        "report: void is for the deadline and the arbiter",
        "the signature is wrong",
    ]
    assert scene.oracle.outcomes.state(1) == OPEN


def test_a_dispute_goes_to_the_arbiter_and_then_it_is_over(scene: Scene) -> None:
    scene.run()
    scene.hand_in(REPORT, KEYS[0], ONE, 0)
    scene.hand_in(REPORT, KEYS[1], ONE, 0)
    scene.run()
    scene.hand_in(DISPUTE, KEYS[2], 0, ONE)
    scene.run()
    assert scene.oracle.outcomes.state(1) == DISPUTED
    scene.run(100_000)
    assert scene.resolutions() == []
    scene.hand_in(ARBITRATION, KEYS[0], ONE, 0)
    scene.hand_in(ARBITRATION, ARBITER, 0, ONE)
    scene.run()
    scene.run()
    assert scene.oracle.outcomes.state(1) in (FINAL, RESOLVED)
    (resolved,) = scene.resolutions()
    assert [entry["payout"] for entry in resolved["payouts"]] == [0, ONE]
    scene.hand_in(REPORT, KEYS[0], ONE, 0)
    scene.run()
    assert scene.refusals() == [
        "arbitration: not one of those who may", "report: the market is resolved, not open"
    ]


def test_a_lost_store_does_not_open_a_market_again(scene: Scene) -> None:
    scene.run()
    for key in KEYS[:2]:
        scene.hand_in(REPORT, key, ONE, 0)
    scene.run()
    scene.run(HOUR / SECOND)
    assert scene.oracle.outcomes.state(1) == RESOLVED
    scene.oracle.store.close()
    scene.oracle.store.path.unlink()
    scene.oracle = scene.start()
    scene.run()
    assert scene.oracle.outcomes.state(1) == RESOLVED
    scene.hand_in(REPORT, KEYS[0], 0, ONE)
    scene.run()
    assert scene.refusals() == ["report: the market is resolved, not open"]
    assert len(scene.resolutions()) == 1


def test_an_old_store_catches_up_and_does_nothing_twice(scene: Scene) -> None:
    """A copy from before the proposal became final is put back."""
    scene.run()
    for key in KEYS[:2]:
        scene.hand_in(REPORT, key, ONE, 0)
    scene.run()
    scene.oracle.store.sync()
    old = scene.oracle.store.path.read_bytes()
    scene.run(HOUR / SECOND)
    assert len(scene.resolutions()) == 1
    scene.oracle.store.close()
    scene.oracle.store.path.write_bytes(old)
    scene.oracle = scene.start()
    for _ in range(3):
        scene.run()
    assert scene.oracle.outcomes.state(1) == RESOLVED
    assert len(scene.resolutions()) == 1
    assert scene.oracle.alarms == 0


@pytest.mark.parametrize("late", [
    lambda now: {"deadline": now + 60 * SECOND}, lambda now: {"deadline_after": 60 * SECOND},
])
def test_nobody_reported_by_the_deadline(
    stage: Stage, late: Callable[[int], dict[str, int]]
) -> None:
    stage.venue()
    scene = Scene(stage, replace(RULES, **late(stage.now)))
    scene.run()
    scene.run(60)
    assert scene.oracle.outcomes.state(1) == PROPOSED
    scene.run(3600)
    (resolved,) = scene.resolutions()
    assert [entry["payout"] for entry in resolved["payouts"]] == [ONE // 4, ONE // 4]


def test_a_record_that_was_touched_is_noticed(scene: Scene) -> None:
    scene.run()
    for key in KEYS[:2]:
        scene.hand_in(REPORT, key, ONE, 0)
    scene.run()
    connection = scene.oracle.store.connection
    assert verify_records(connection) == 3
    connection.execute("UPDATE record SET body = replace(body, '100000000', '0') WHERE ordinal = 2")
    with pytest.raises(ValueError, match="broken at 2"):
        verify_records(connection)


def test_a_resolution_cites_the_rule_that_fired(scene: Scene) -> None:
    scene.run()
    for key in KEYS[:2]:
        scene.hand_in(REPORT, key, 0, 0)
    scene.run()
    scene.run(3601)
    rows = scene.oracle.store.connection.execute(
        "SELECT kind, body, hash FROM record WHERE kind IN ('proposed', 'final') ORDER BY ordinal"
    ).fetchall()
    assert [json.loads(body)["rule"] for _, body, _ in rows] == ["abandoned", "abandoned"]
    (resolved,) = scene.resolutions()
    assert resolved["evidenceHash"] == rows[-1][2]  # What the core was told leads to the citation.


def test_what_was_seen_before_the_sources_window_does_not_count(stage: Stage) -> None:
    stage.venue()
    scene = Scene(stage, replace(RULES, opens=stage.now + 30 * SECOND))
    scene.run()
    scene.hand_in(REPORT, KEYS[0], ONE, 0)
    scene.run(30)
    scene.hand_in(REPORT, KEYS[0], ONE, 0)
    scene.run()
    assert scene.refusals() == ["report: from before the source's window"]
