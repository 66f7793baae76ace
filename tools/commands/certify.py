"""Certify a FIX session against a live gateway: scenarios, steps, a report.

Each scenario begins with a fresh logon and ends by itself; a wrong answer fails it at the step
where it came. The orders rest in the book at the price given and are cancelled again. Exit code 1
if a scenario failed.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

from core.config import decimal_text, fixed
from tools.clients.certification import Case, markdown
from tools.clients.certification import certify as run
from tools.clients.fix_desk import FixDesk
from tools.clients.scenarios import SCENARIOS


def certify(
    *scenario: str,
    host: str = "127.0.0.1",
    port: int = 7001,
    sender: str = "DESK-NORTH",
    target: str = "ONEBOOK",
    secret: str = "",
    password: str = "",
    version: Literal["FIX.4.4", "FIXT.1.1"] = "FIX.4.4",
    symbol: str = "BTC-USDC",
    quantity: str = "0.002",
    price: str = "100",
    report: Path | None = None,
    json: Path | None = None,
) -> int:
    """Certify a FIX session.

    Parameters
    ----------
    scenario
        Names of scenarios; all of them if there are none.
    host
        Address of the gateway.
    port
        Port of the gateway.
    sender
        SenderCompID (49), who certifies.
    target
        TargetCompID (56), the exchange.
    secret
        Of an `hmac` session.
    password
        Of a `password` session.
    version
        BeginString (8).
    symbol
        What the orders are for.
    quantity
        Of each order; it is halved once.
    price
        Of each order; it must rest in the book.
    report
        Write the report here, in Markdown.
    json
        Write the report here, as JSON.
    """
    unknown = [name for name in scenario if name not in SCENARIOS]
    if unknown:
        print(f"onebook: no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}",
              file=sys.stderr)
        return 2
    desk = FixDesk(host, port, sender=sender, target=target, secret=secret, password=password,
                   version=version)
    choices = {"symbol": symbol, "quantity": quantity, "price": price,
               "less": decimal_text(fixed(quantity) // 2)}
    cases = [run(desk, name, choices) for name in scenario or SCENARIOS]
    show(cases, Console())
    if report is not None:
        report.write_text(markdown(cases))
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode([asdict(c) for c in cases])))
    return 0 if all(case.passed for case in cases) else 1


def show(cases: list[Case], console: Console) -> None:
    """Print the outcome."""
    table = Table(box=None, pad_edge=False)
    for title in ("scenario", "", ""):
        table.add_column(title)
    for case in cases:
        failed = next((step for step in case.steps if step.status == "failed"), None)
        why = case.title if failed is None else f"{failed.text}: {failed.reason}"
        table.add_row(case.name, "passed" if case.passed else "[bold red]failed[/]", why)
    console.print(table)
    console.print(f"{sum(case.passed for case in cases)} of {len(cases)} scenarios passed")
