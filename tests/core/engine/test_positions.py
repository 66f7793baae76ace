"""The index of positions against a dictionary, through growth and removal."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.positions import find_position, free_first_holder, position_of
from core.jit import jit
from tests.core.engine.exchange import LIMITS, Exchange

CROWDED = SimpleNamespace(**{**vars(LIMITS), "positions_max": 24})


@jit
def _find(state: Any, account: int, instrument: int) -> int:
    return find_position(state[0], account, instrument)


@jit
def _make(state: Any, account: int, instrument: int) -> int:
    return position_of(state[0], account, instrument)


@jit
def _free(state: Any, instrument: int) -> None:
    free_first_holder(state[0], instrument)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(100, 103), st.integers(1, 7)), max_size=80))
def test_positions_are_found_until_they_are_freed(steps: list[tuple[bool, int, int]]) -> None:
    house = Exchange(CROWDED).populate()
    known: dict[tuple[int, int], int] = {}
    for make, account, instrument in steps:
        if make:
            number = _make(house.state, account, instrument)
            if number == 0:
                assert len(known) == 23
                continue
            assert known.setdefault((account, instrument), number) == number
        elif house.s["instruments"][instrument]["first_holder"] != 0:
            first = int(house.s["instruments"][instrument]["first_holder"])
            owner = int(house.s["positions"][first]["account"])
            _free(house.state, instrument)
            del known[owner, instrument]
        for account_, instrument_ in [(a, i) for a in range(100, 104) for i in range(1, 8)]:
            found = _find(house.state, account_, instrument_)
            assert found == known.get((account_, instrument_), 0)
        house.tick()  # And the invariants hold.
    assert len(set(known.values())) == len(known)
