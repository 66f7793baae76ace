"""The engine against the model: the same events, balances, positions and books after every command.

Seeds decide the instruments and how rich the accounts are; `python -m tests.campaigns.model` runs
as many as one likes. A difference is shrunk and printed with its seed.
"""

from typing import Any

import pytest

import tests.model.matching
from tests.model.books import fee
from tests.model.twins import Difference, run

SEEDS = 32
COMMANDS = 500

pytestmark = pytest.mark.timeout(900)  # The first one compiles the engine.


@pytest.mark.parametrize("seed", range(SEEDS))
def test_engine_and_model_say_the_same(seed: int) -> None:
    assert run(seed, COMMANDS) > COMMANDS


def test_a_difference_of_one_unit_is_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def generous(*arguments: Any) -> int:
        return fee(*arguments) - 1

    monkeypatch.setattr(tests.model.matching, "fee", generous)
    with pytest.raises(Difference, match=r"seed 1, command \d+") as caught:
        run(1, COMMANDS)
    text = str(caught.value)
    assert "'fee'" in text
    shortest = int(text.partition("shortest stream found (")[2].partition(" ")[0])
    assert 2 <= shortest <= 6  # Two orders trade; little else is needed.
