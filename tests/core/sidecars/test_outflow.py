"""Withdrawals wait for their owner's delay and for room under the caps, whatever is restarted."""

import pytest

from core.sidecars.custody import CONFIRMED, FAILED, SENT, CustodyError
from core.sidecars.settlement.agent import SECOND, Settlement
from core.sidecars.settlement.outflow import Cap
from tests.core.sidecars.stage import USDC, Stage
from tests.core.sidecars.test_settlement import HELD, M, Scene, _steps

HOUR = 3600
DAY = 24 * HOUR


class Guarded(Scene):
    """A scene with limits on what may leave, whose core answers what it is told."""

    caps: dict[int, Cap]
    delays: dict[int, int]

    def start(self) -> Settlement:
        return Settlement(
            self.stage.store("settlement", Settlement.migrations), self.stage.follower(),
            self.stage.link(self.settlement_producer), clock=self.stage.clock,
            custody=self.custody, caps=self.caps, delays=self.delays,
        )

    settlement_producer = Settlement.producer

    def ask(
        self, number: int, account: int, amount: int, release: int = 0, destination: str = ""
    ) -> None:
        """The core holds a withdrawal, and from now on does the steps it is told."""
        self.rules = getattr(self, "rules", {}) | {number: (release, destination)}
        self.amounts = getattr(self, "amounts", {}) | {number: (account, amount)}
        self.stage.next()
        self._say(number, HELD)
        self.stage.on_command = self._core

    def _core(self, name: str, fields: dict[str, int]) -> None:
        if name == "WithdrawalStep":
            self._say(fields["withdrawalId"], fields["state"])

    def _say(self, number: int, state: int) -> None:
        account, amount = self.amounts[number]
        release, destination = self.rules[number]
        self.stage.emit("WithdrawalChanged", withdrawalId=number, account=account, asset=USDC,
                        state=state, amount=amount, releaseTime=release, destination=destination)

    def sent(self) -> list[int]:
        """The numbers of those that custody was asked for, in order."""
        return [number for number, state in _steps(self) if state == SENT]

    def waits(self) -> dict[int, str]:
        rows = self.settlement.store.connection.execute(
            "SELECT id, waits FROM withdrawal WHERE waits <> '' ORDER BY id"
        )
        return dict(rows.fetchall())

    def forget(self) -> None:
        self.settlement.store.close()
        self.settlement.store.path.unlink()
        self.settlement = self.start()
        self.run(1)


def guarded(stage: Stage, caps: dict[int, Cap], delays: dict[int, int]) -> Guarded:
    stage.venue()
    Guarded.caps, Guarded.delays = caps, delays
    scene = Guarded(stage)
    scene.run()
    scene.deposit(100, USDC, 1000 * M)
    scene.run(1)
    return scene


def test_the_owners_delay(stage: Stage) -> None:
    scene = guarded(stage, {}, {100: HOUR * SECOND})
    scene.ask(1, 100, 5 * M)
    scene.ask(2, 101, 5 * M)
    scene.run(1)
    assert scene.sent() == [2]
    assert scene.waits() == {1: "delay"}
    scene.run(HOUR - 10)
    scene.forget()  # The time of asking is in the events.
    assert scene.sent() == [2]
    scene.run(20)
    scene.run(1)
    assert scene.sent() == [2, 1]
    assert scene.waits() == {}


def test_the_delay_that_the_owner_set_in_the_core(stage: Stage) -> None:
    scene = guarded(stage, {}, {101: 2 * HOUR * SECOND})
    for number, account in ((1, 100), (2, 101)):
        scene.ask(number, account, 5 * M, release=stage.now + HOUR * SECOND)
    scene.run(HOUR - 10)
    assert scene.waits() == {1: "delay", 2: "delay"}
    scene.forget()
    scene.run(20)
    assert scene.sent() == [1]
    scene.run(HOUR)
    assert scene.sent() == [1, 2], "the longer one of the two"


def test_it_goes_where_the_owner_said(stage: Stage) -> None:
    scene = guarded(stage, {}, {})
    scene.ask(1, 100, 5 * M, destination="bc1q-cold")
    scene.run(1)
    sending = scene.custody.sending(1)
    assert sending is not None
    assert sending.destination == "bc1q-cold"
    with pytest.raises(CustodyError, match="other terms"):
        scene.custody.send(1, 100, USDC, 5 * M, "bc1q-thief")


def test_the_breaker_of_an_asset_and_its_window(stage: Stage) -> None:
    """What waits goes in order, as soon as what went before leaves the window."""
    scene = guarded(stage, {USDC: Cap(10 * M, 0, DAY * SECOND)}, {})
    for number, amount in ((1, 6 * M), (2, 5 * M), (3, 1 * M)):
        scene.ask(number, 100 + number, amount)
    scene.run(1)
    assert scene.sent() == [1]
    assert scene.waits() == {2: "asset cap", 3: "asset cap"}  # Nobody overtakes.
    for happens in (scene.restart, scene.forget):
        happens()
        scene.run(HOUR)
        assert scene.sent() == [1]
    scene.run(DAY - HOUR)
    scene.run(1)
    assert scene.sent() == [1, 2, 3]
    assert scene.settlement.alarms == 0


def test_the_cap_of_one_account_holds_up_no_other(stage: Stage) -> None:
    scene = guarded(stage, {USDC: Cap(0, 4 * M, DAY * SECOND)}, {})
    for number, account, amount in ((1, 100, 3 * M), (2, 100, 2 * M), (3, 101, 4 * M)):
        scene.ask(number, account, amount)
    scene.run(1)
    assert scene.sent() == [1, 3]
    assert scene.waits() == {2: "account cap"}


def test_an_account_takes_a_share_of_what_there_was(stage: Stage) -> None:
    """1,000 are there for a day; what was paid in a moment ago hardly counts."""
    scene = guarded(stage, {USDC: Cap(0, 0, DAY * SECOND, 10_000)}, {})
    scene.run(DAY)
    scene.deposit(101, USDC, 100_000 * M)
    for number, account, amount in ((1, 100, 8 * M), (2, 100, 6 * M), (3, 101, 10 * M)):
        scene.ask(number, account, amount)
    scene.run(1)
    for happens in (lambda: None, scene.restart, scene.forget):
        happens()
        assert scene.sent() == [1, 3]
        assert scene.waits() == {2: "account cap"}
    scene.run(HOUR)  # A twenty-fourth of the difference more.
    scene.run(1)
    assert scene.sent() == [1, 3, 2]


def test_one_that_can_never_go_is_an_alarm_and_holds_up_nobody(stage: Stage) -> None:
    scene = guarded(stage, {USDC: Cap(10 * M, 0, DAY * SECOND)}, {})
    scene.ask(1, 100, 10 * M + 1)
    scene.ask(2, 101, 10 * M)
    scene.run(1)
    scene.run(1)
    assert scene.sent() == [2]
    assert scene.waits() == {1: "above the cap"}
    assert scene.settlement.alarms == 1


@pytest.mark.parametrize("end", [CONFIRMED, FAILED])
def test_what_came_back_makes_room(stage: Stage, end: int) -> None:
    scene = guarded(stage, {USDC: Cap(10 * M, 0, DAY * SECOND)}, {})
    scene.ask(1, 100, 10 * M)
    scene.run(0.2)
    if end == FAILED:
        scene.custody.fail(1)
    scene.run(2)
    assert _steps(scene) == [(1, SENT), (1, end)]
    scene.ask(2, 101, M)
    scene.run(1)
    assert scene.sent() == ([1, 2] if end == FAILED else [1])
