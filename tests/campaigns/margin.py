"""Hold the core's compiled margin functions to the plain-Python reference, on random accounts.

    python -m tests.campaigns.margin --accounts 100000 --first 0

Each account is written down as a case file would have it and computed by both; every amount, every
component on 1e-6, the worst nodes and the risk arrays must be the same text. Prints progress, and a
difference with the whole account. Exit code 0 only if there was none.
"""

import argparse
import json
import sys
import time
from typing import Any

from core.margin_reference import account
from tests.core.margin_reference.accounts import case_file
from tools import margin_cases

BATCH = 100


def differences(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The accounts of a case file on which core and reference disagree, with both answers."""
    ours = margin_cases.compute(content)["cases"]
    theirs = account.compute(content)["cases"]
    return [
        {"case": case, "core": one["expected"], "reference": other["expected"]}
        for case, one, other in zip(content["cases"], ours, theirs, strict=True)
        if one["expected"] != other["expected"]
    ]


def main() -> int:
    """Run the campaign; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first hundred")
    chosen = parser.parse_args()
    started = time.monotonic()
    done = different = 0
    for seed in range(chosen.first, chosen.first + -(-chosen.accounts // BATCH)):
        count = min(BATCH, chosen.accounts - done)
        for found in differences(case_file(seed, count)):
            different += 1
            sys.stdout.write(f"{json.dumps(found)}\n")
        done += count
        if seed % 10 == 9:
            rate = done / (time.monotonic() - started)
            sys.stdout.write(f"{done} accounts, {different} differences, {rate:.0f} a second\n")
            sys.stdout.flush()
    sys.stdout.write(f"{done - different} of {done} accounts agree\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
