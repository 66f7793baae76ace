"""What a dispute costs, and who may not report: bonds, and reporters with an interest."""

import json
from dataclasses import replace

import pytest

from core.sidecars.books import FEES
from core.sidecars.oracle.outcomes import DISPUTED, PROPOSED
from core.sidecars.oracle.reports import ARBITRATION, DISPUTE, REPORT
from core.sidecars.oracle.sources import ONE
from tests.core.sidecars.stage import Stage
from tests.core.sidecars.test_oracle import ARBITER, KEYS, RULES, Scene

BONDED = replace(
    RULES, disputers=(KEYS[4].public,), bond_minimum=750 * 10**6, bond_share=5000,
    accounts={KEYS[4].public: 103, KEYS[0].public: 100},
)


@pytest.fixture
def bonded(stage: Stage) -> Scene:
    stage.venue()
    scene = Scene(stage, BONDED)
    scene.run()
    return scene


def _propose(scene: Scene) -> None:
    for key in KEYS[1:3]:
        scene.hand_in(REPORT, key, ONE, 0)
    scene.run()


def _stops(scene: Scene) -> list[tuple[int, int]]:
    return [(f["event"], f["active"])
            for _, name, f in scene.stage.commands if name == "SetEventDispute"]


def _bonds(scene: Scene) -> list[tuple[int, int, int]]:
    return [(f["fromAccount"], f["toAccount"], f["amount"])
            for _, name, f in scene.stage.commands if name == "Transfer"]


@pytest.mark.parametrize(("right", "said"), [(True, (0, ONE)), (False, (ONE, 0))])
def test_who_disputes_pays_a_bond_and_has_it_back_if_he_was_right(
    bonded: Scene, right: bool, said: tuple[int, ...]
) -> None:
    bonded.stage.trade(3, buyer=101, seller=102, price=ONE // 2, quantity=400_000 * ONE)
    _propose(bonded)
    bonded.hand_in(DISPUTE, KEYS[4], 0, ONE)
    bonded.run()
    bonded.restart()
    bonded.run()
    assert bonded.oracle.outcomes.state(1) == DISPUTED
    # Half a percent of the open interest of 400,000 USDC.
    assert _bonds(bonded) == [(103, FEES, 2_000 * 10**6)]
    assert _stops(bonded) == [(1, 1)]  # Only closing, once and not again by the restart.
    bonded.hand_in(ARBITRATION, ARBITER, *said)
    bonded.run()
    bonded.run()
    back = [(FEES, 103, 2_000 * 10**6)] if right else []
    assert _bonds(bonded)[1:] == back
    (resolved,) = bonded.resolutions()
    assert tuple(entry["payout"] for entry in resolved["payouts"]) == said
    rows = bonded.oracle.store.connection.execute("SELECT body FROM record WHERE kind = 'bond'")
    assert [json.loads(row[0])["became"] for row in rows] == [
        "held", "returned" if right else "forfeited"
    ]


def test_without_the_bond_there_was_no_dispute(bonded: Scene) -> None:
    _propose(bonded)
    bonded.stage.refuse["Transfer"] = 34  # InsufficientBalance
    bonded.hand_in(DISPUTE, KEYS[4], 0, ONE)
    bonded.run()
    bonded.run()
    assert bonded.oracle.outcomes.state(1) == PROPOSED
    assert bonded.refusals() == ["dispute: its bond was not paid"]
    assert _stops(bonded) == []
    bonded.run(3600)
    bonded.run()
    assert [e["payout"] for e in bonded.resolutions()[0]["payouts"]] == [ONE, 0]


def test_reporters_named_by_the_rules_answer_with_their_names(bonded: Scene) -> None:
    _propose(bonded)
    bonded.hand_in(DISPUTE, KEYS[0], 0, ONE)
    bonded.run()
    assert bonded.oracle.outcomes.state(1) == DISPUTED
    assert _bonds(bonded) == []
    assert _stops(bonded) == [(1, 1)]


def test_a_busy_core_is_told_again_that_only_closing_is_left(bonded: Scene) -> None:
    _propose(bonded)
    bonded.stage.refuse["SetEventDispute"] = 44  # Busy
    bonded.hand_in(DISPUTE, KEYS[0], 0, ONE)
    for _ in range(4):
        bonded.run()
    assert _stops(bonded) == []
    del bonded.stage.refuse["SetEventDispute"]
    bonded.run()
    bonded.run()
    assert _stops(bonded) == [(1, 1)]


def test_who_holds_a_position_does_not_report(bonded: Scene) -> None:
    """Also with the NO of it, also after a restart; and again when it is sold."""
    bonded.stage.trade(4, buyer=100, seller=101, price=ONE // 4, quantity=7 * ONE, no=(True, False))
    bonded.run()
    bonded.restart()
    bonded.hand_in(REPORT, KEYS[0], ONE, 0)
    bonded.run()
    assert bonded.refusals() == ["report: its signer holds a position in the market"]
    bonded.stage.trade(4, buyer=101, seller=100, price=ONE // 4, quantity=7 * ONE, no=(False, True))
    bonded.run()
    bonded.hand_in(REPORT, KEYS[0], ONE, 0)
    bonded.hand_in(REPORT, KEYS[1], ONE, 0)
    bonded.run()
    assert bonded.oracle.outcomes.state(1) == PROPOSED
