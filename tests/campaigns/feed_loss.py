"""Lose, repeat and reorder the feed's packets, day after day; every book must be the engine's.

    python -m tests.campaigns.feed_loss --days 200 --seed 1

Each day is an engine, a feed and two receivers of their own: one from the beginning, one that joins
at a random time. The rate of loss, repetition and delay is drawn from 0 to 20 %. Prints a line a
day with its seed, so that a failure can be repeated. Exit code 0 only if all held.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from core.memory import unlink_all
from tests.gateway.feed.conftest import Venue
from tests.gateway.feed.network import lossy_day


def day(seed: int) -> str:
    """One day; what happened."""
    chance = random.Random(seed)
    rate, turns = chance.uniform(0, 0.2), chance.randint(20, 120)
    instance = f"feedloss-{seed}"
    with tempfile.TemporaryDirectory() as directory:
        venue = Venue(instance, Path(directory))
        try:
            for account in (100, 101, 102, 103):
                venue.engine.deposit(account, 5_000_000)
                venue.engine.deposit(account, 100, 1)
            venue.random.seed(seed)
            first, second = lossy_day(venue, rate, seed, turns)
        finally:
            venue.close()
            unlink_all(instance)
    verified = first.verified + second.verified
    return (
        f"seed={seed} rate={rate:.3f} packets={first.packets}+{second.packets} "
        f"repeated={first.repeated} snapshots verified={verified}"
    )


def main() -> int:
    """Run the days; 1 if a book was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for seed in range(options.seed, options.seed + options.days):
        try:
            print(day(seed), flush=True)
        except AssertionError as error:
            print(f"seed={seed} FAILED: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
