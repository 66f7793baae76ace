"""Show the lending pools: what is lent and borrowed, what it costs, and what is stopped, and why.

With `--plot FILE` the curve of rates is drawn, with each pool where it stands.
"""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Column, Table

from core.config import ConfigurationError
from core.errors import CoreError
from core.reference import Asset
from core.sidecars.lending.__main__ import curve_of
from core.sidecars.lending.agent import latest_accruals
from core.sidecars.lending.curve import Knot, rate_at
from tools.inspection import configuration_of
from tools.stores import (
    Data,
    Instance,
    amount_text,
    data_directory,
    fail,
    moment,
    percent,
    read_store,
    reference_of,
)

NUMBERS = ("lent", "borrowed", "used", "ceiling", "borrow", "lend")


def lending(
    *, plot: Path | None = None, instance: Instance = "onebook", data: Data = None
) -> int:
    """Show the lending pools.

    Parameters
    ----------
    plot
        Draw the curve into this file (PNG, SVG or PDF).
    """
    try:
        with read_store(instance, data, "lending") as connection:
            reference, accruals = reference_of(connection), latest_accruals(connection)
    except CoreError as error:
        return fail(error)
    table = Table("asset", *(Column(name, justify="right", no_wrap=True) for name in NUMBERS),
                  box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    places, said = {}, []
    for number, (at, utilisation, borrow, lend, borrowed, lent, *_) in accruals.items():
        asset = reference.assets[number]
        places[asset.name] = utilisation
        table.add_row(
            asset.name, amount_text(lent, asset.decimals), amount_text(borrowed, asset.decimals),
            percent(utilisation), percent(asset.utilisation_ceiling), percent(borrow),
            percent(lend),
        )
        said.append(f"{asset.name}: {state_text(asset, utilisation)}, as of {moment(at)}")
    Console().print(table)
    print("Rates are a year's. Borrowing and redeeming:", *said, sep="\n  ")
    if plot is not None:
        try:
            configuration = configuration_of(data_directory(instance, data))
        except ConfigurationError as error:
            return fail(error)
        draw(curve_of(configuration.lending), places, plot)
        print(plot)
    return 0


def state_text(asset: Asset, utilisation: int) -> str:
    """Whether an asset may be borrowed and taken out, and if not, why."""
    if utilisation >= asset.utilisation_ceiling > 0:
        return f"stopped: {percent(utilisation)} is lent out, the ceiling is " + percent(
            asset.utilisation_ceiling
        )
    return "open"


def draw(curve: tuple[Knot, ...], places: dict[str, int], path: Path) -> None:
    """The curve, and each pool on it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.plot([k.utilisation / 1e4 for k in curve], [k.rate / 1e4 for k in curve], color="black")
    for name, utilisation in places.items():
        rate = rate_at(curve, utilisation)
        axes.plot(utilisation / 1e4, rate / 1e4, "o")
        axes.annotate(name, (utilisation / 1e4, rate / 1e4), xytext=(6, 6),
                      textcoords="offset points")
    axes.set(xlabel="utilisation, %", ylabel="borrow rate, % a year", title="Cost of borrowing")
    axes.grid(alpha=0.3)
    figure.savefig(path, bbox_inches="tight")
    pyplot.close(figure)
