"""The index of positions against a dictionary, through growth and removal."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.positions import find_position, free_first_holder, position_of
from core.jit import jit
from tests.core.engine.exchange import LIMITS, Exchange


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
    house = Exchange().populate()
    known: dict[tuple[int, int], int] = {}
    for make, account, instrument in steps:
        if make:
            number = _make(house.state, account, instrument)
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


def test_the_last_position_is_taken_and_no_other_given_away() -> None:
    house = Exchange(checked=False).populate()
    pairs = [(a, i) for a in range(100, LIMITS.accounts_max) for i in range(1, 8)]
    numbers = [_make(house.state, account, instrument) for account, instrument in pairs]
    room = LIMITS.positions_max - 1
    assert sorted(numbers[:room]) == list(range(1, room + 1))
    assert not any(numbers[room:])
    assert [_find(house.state, *pair) for pair in pairs] == numbers
