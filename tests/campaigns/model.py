"""Hold the engine to the model for as long as one likes.

    python -m tests.campaigns.model --seeds 1000 --commands 3000 --first 0

Each seed is a venue and a random stream of commands; after every command events, balances,
positions, books and the invariants of core.engine.check must hold on both sides. Prints a line a
seed; a difference is shrunk and printed with all that is needed to repeat it. Exit code 0 only if
there was none.
"""

import argparse
import sys
import time

from tests.model.twins import Difference, run


def main() -> int:
    """Run the campaign; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--commands", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0)
    chosen = parser.parse_args()
    failed = 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        started = time.monotonic()
        try:
            count = run(seed, chosen.commands)
        except Difference as difference:
            failed += 1
            sys.stdout.write(f"{difference}\n")
            continue
        rate = count / (time.monotonic() - started)
        sys.stdout.write(f"seed {seed}: {count} commands agree, {rate:,.0f} a second\n")
    sys.stdout.write(f"{chosen.seeds - failed} of {chosen.seeds} seeds agree\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
