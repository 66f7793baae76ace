"""Show what an account can lose: expected shortfall, value at risk, and the most there is to lose.

Of a live account, or of the accounts in a case file. Binary outcomes and prices are taken together:
events hang together through one factor, price predictions follow the same path as the perpetual.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from core.config import ConfigurationError
from core.errors import CoreError
from core.margin_reference.case import CaseError, read_file
from tools.case_files import load
from tools.risk.assumptions import AssumptionError, read
from tools.risk.measure import Figures, measure
from tools.stores import EXIT_USAGE, Data, Instance, data_directory, fail

PICTURES = (".png", ".svg", ".pdf")


def risk(
    file: Path | None = None, *, account: str | None = None, case: str | None = None,
    assumptions: Path | None = None, rho: float | None = None,
    horizon_seconds: float | None = None, misresolution: float | None = None,
    probability_min: float | None = None, model_error: float | None = None,
    plot: Path | None = None, json: bool = False, instance: Instance = "onebook",
    data: Data = None,
) -> int:
    """Show what an account can lose.

    Parameters
    ----------
    file
        A case file, as `onebook margin` takes it.
    account
        Instead of a file: a live account, by name or number.
    case
        Only this case of the file.
    assumptions
        TOML or JSON with any of the assumptions (tools/risk/assumptions.py lists them).
    rho
        Dependence between events, 0 to below 1.
    horizon_seconds
        Over which prices move; a day if not given.
    misresolution
        Probability that an event is resolved to the marks.
    probability_min
        The least probability of an outcome.
    model_error
        Probability moved from an event's best outcome to its worst.
    plot
        Draw the losses and the contributions into this file (PNG, SVG, PDF); one account only.
    json
        Print one JSON object an account.
    """
    if (file is None) == (account is None):
        fail("expected a file, or --account")
        return EXIT_USAGE
    if plot is not None and plot.suffix.lower() not in PICTURES:
        fail(f"--plot: expected a name that ends in {', '.join(PICTURES)}, was {plot}")
        return EXIT_USAGE
    try:
        assumed = read(
            assumptions, rho=rho, horizon_seconds=horizon_seconds, misresolution=misresolution,
            probability_min=probability_min, model_error=model_error,
        )
        model, cases = read_file(content(file, account, instance, data))
        chosen = [entry for entry in cases if case in (None, entry.id)]
        if not chosen or (plot is not None and len(chosen) > 1):
            return fail(f"{len(chosen)} cases chosen; --case chooses one of the file")
        for entry in chosen:
            figures, distribution = measure(entry, model, assumed)
            if plot is not None:
                from tools.risk.plot import draw

                draw(figures, distribution, plot)
            if json:
                print(msgspec.json.encode(figures).decode())
            else:
                show(figures, Console(width=None if sys.stdout.isatty() else 150))
    except (AssumptionError, CaseError, ConfigurationError, CoreError, OSError) as error:
        return fail(error)
    return 0


def content(file: Path | None, account: str | None, instance: str, data: Path | None) -> Any:
    """The decoded case file, or one made of the live account."""
    if file is None:
        from tools.risk.live import case_of

        assert account is not None
        return case_of(instance, data_directory(instance, data), account)
    try:
        return load(file)
    except CaseError as error:
        raise CaseError(f"{file}: {error}") from None


def show(figures: Figures, console: Console) -> None:
    """The figures as tables; amounts in USD, losses above zero."""
    now = figures.now
    console.print(f"[bold]{figures.id}[/]: equity {money(now.equity)}, initial margin "
                  f"{money(now.initial)}, maintenance {money(now.maintenance)}")
    most = "without bound" if figures.maximum_loss is None else money(figures.maximum_loss)
    band = figures.band
    table = Table(box=None, show_header=False)
    table.add_row("expected shortfall 97.5 %", money(figures.expected_shortfall),
                  f"{money(band['independent'])} if all is independent, "
                  f"{money(band['worst'])} at the worst dependence")
    table.add_row("value at risk 99 %", money(figures.value_at_risk),
                  "a gain" if figures.value_at_risk < 0 else "")
    table.add_row("the most there is to lose", most, "")
    console.print(table)
    if figures.contributions:
        table = Table("position", "contributes", "share", box=None)
        for name, amount in figures.contributions.items():
            share = amount / figures.expected_shortfall if figures.expected_shortfall else 0.0
            table.add_row(name, money(amount), f"{share:.1%}")
        console.print(table)
    for title, scenarios in (("the worst", figures.worst), ("resolved alone", figures.outcomes)):
        if not scenarios:
            continue
        table = Table(title, "prices", "loss", "equity", "initial", "maintenance", "", box=None)
        for one in scenarios:
            table.add_row(
                ", ".join(f"{event}: {outcome}" for event, outcome in one.outcomes.items()),
                ", ".join(f"{name} {move:+.2%}" for name, move in one.moves.items()),
                money(one.loss), money(one.after.equity), money(one.after.initial),
                money(one.after.maintenance), "liquidated" if one.liquidated else "",
            )
        console.print(table)


def money(amount: float) -> str:
    """USD with two places."""
    return f"{amount:,.2f}"
