"""Replay a recorded crash over thousands of leveraged accounts; a table, and a picture.

    python -m tests.campaigns.crash_day --accounts 3000 --bars FILE --minutes 75 --picture day.png

Without --bars it takes the fall of 2025-10-10 from the recordings. Exit code 0 only if everything
that must hold (see tests.campaigns.crash) held at every step.
"""

import argparse
import sys
import time
from pathlib import Path

from tests.campaigns.crash import STAGES, CrashDay, bars, roomy, worst_stretch
from tests.recordings import RECORDINGS

FALL = RECORDINGS / "crypto_stress" / "BTCUSDT-perp-1m-20251010T2050-2204.csv"
COLOURS = {3: "#4477aa", 4: "#228833", 5: "#ccbb44", 6: "#ee6677"}


def main() -> int:
    """Run the day; 1 if something did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accounts", type=int, default=3000)
    parser.add_argument("--bars", type=Path, default=FALL)
    parser.add_argument("--minutes", type=int, default=75)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    stretch = worst_stretch(bars(options.bars), options.minutes)
    started = time.monotonic()
    day = CrashDay(options.accounts, options.seed, roomy(options.accounts))
    try:
        day.run(stretch)
    except AssertionError as error:
        print(f"FAILED in minute {len(day.minutes)}: {error}")
        return 1
    for name, value in day.summary().items():
        if isinstance(value, dict):
            print(name)
            for part, amount in value.items():
                print(f"    {part:<18}{amount:>16,}")
        else:
            print(f"{name:<22}{value:>16,}")
    print(f"{day.house.sequence:,} commands in {time.monotonic() - started:.0f} s; all held")
    if options.picture:
        draw(day, options.picture)
        print(options.picture)
    return 0


def draw(day: CrashDay, path: Path) -> None:
    """Price, what was closed how, and what insurance had left, minute by minute."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, middle, bottom) = pyplot.subplots(3, 1, figsize=(9, 8), sharex=True)
    time = range(len(day.minutes))
    top.plot(time, [minute.price for minute in day.minutes], color="black", linewidth=1)
    for place, minute in enumerate(day.minutes):
        if minute.state:
            shade = "#dddddd" if minute.state == 1 else "#bbbbbb"
            for axis in (top, middle, bottom):
                axis.axvspan(place - 0.5, place + 0.5, color=shade, linewidth=0)
    top.set_ylabel("price")
    top.set_title(f"{len(day.accounts):,} accounts, {len(day.house.certificates):,} liquidations; "
                  "grey: sources missing", fontsize=10)
    under = [0.0] * len(day.minutes)
    for stage, colour in COLOURS.items():
        heights = [minute.closed.get(stage, 0.0) / 1e6 for minute in day.minutes]
        middle.bar(time, heights, bottom=under, color=colour, width=1, label=STAGES[stage])
        under = [below + height for below, height in zip(under, heights, strict=True)]
    middle.set_ylabel("closed, million USDC")
    middle.legend(frameon=False)
    bottom.plot(time, [minute.insurance / 1e9 for minute in day.minutes], color="#aa3377",
                label="insurance, thousand USDC")
    bottom.plot(time, [minute.liquidations for minute in day.minutes], color="#66ccee",
                label="liquidations under way")
    bottom.set_xlabel("minute")
    bottom.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
