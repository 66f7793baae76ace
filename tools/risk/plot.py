"""The picture of an account's risk: how likely a loss is exceeded, and which positions make it."""

from pathlib import Path

import numpy as np

from tools.risk.distribution import Distribution
from tools.risk.measure import Figures

_SHOWN = 12


def draw(figures: Figures, distribution: Distribution, path: Path) -> None:
    """Write it as PNG, SVG or PDF, by the file's ending."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 5), width_ratios=(3, 2))
    losses = distribution.lattice.losses()
    exceeded = np.cumsum(distribution.probabilities[::-1])[::-1]
    shown = exceeded > 1e-7
    left.step(losses[shown], exceeded[shown], where="post", color="#1f4e79")
    left.set_yscale("log")
    left.set_ylim(1e-4, 1.2)
    marked = [
        ("VaR 99 %", figures.value_at_risk, "#7f7f7f", "--"),
        ("ES 97.5 %", figures.expected_shortfall, "#c00000", "-"),
    ]
    if figures.maximum_loss is not None:
        marked.append(("most there is to lose", figures.maximum_loss, "#000000", ":"))
    for name, amount, colour, style in marked:
        left.axvline(amount, color=colour, linestyle=style, label=f"{name}: {amount:,.2f}")
    low, high = figures.band["independent"], figures.band["worst"]
    left.axvspan(low, high, color="#c00000", alpha=0.1,
                 label=f"ES by dependence: {low:,.0f} to {high:,.0f}")  # fmt: skip
    reach = max(figures.band["worst"], float(losses[shown][-1]))
    if figures.now.equity < 2 * reach:
        left.axvline(figures.now.equity, color="#2e7d32", linestyle="-.",
                     label=f"equity: {figures.now.equity:,.2f}")  # fmt: skip
    left.set_xlabel("loss over the horizon, USD")
    left.set_ylabel("probability of losing at least that")
    left.legend(loc="lower left", fontsize=8)
    parts = list(figures.contributions.items())
    parts = sorted(parts, key=lambda part: -abs(part[1]))[:_SHOWN][::-1]
    colours = ["#c00000" if amount > 0 else "#2e7d32" for _, amount in parts]
    right.barh([name for name, _ in parts], [amount for _, amount in parts], color=colours)
    right.axvline(0, color="black", linewidth=0.8)
    right.set_xlabel("contribution to ES 97.5 %, USD")
    figure.suptitle(f"{figures.id}: what can be lost")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
