"""The engine against the model: the same events, balances, positions and books after every command.

Seeds decide the instruments and how rich the accounts are; `python -m tests.campaigns.model` runs
as many as one likes. A difference is shrunk and printed with its seed.
"""

import pytest

from tests.model.twins import run

SEEDS = 32
COMMANDS = 500

pytestmark = pytest.mark.timeout(900)  # The first one compiles the engine.


@pytest.mark.parametrize("seed", range(SEEDS))
def test_engine_and_model_say_the_same(seed: int) -> None:
    assert run(seed, COMMANDS) > COMMANDS
