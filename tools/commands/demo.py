"""A day of trading in a minute: the whole exchange, real clients, real trouble, and a verdict.

Binary market makers quote every market, FIX desks trade; one desk sells a price prediction and
hedges it with the perpetual, profit settles into USDC and is spent, a balance borrows, the core is
killed with SIGKILL and comes back, a market resolves and pays, and at the end the reserves are
proved and the books balance. Exit code 0 only if every promise held.
"""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

SECONDS_MIN = 40


def demo(
    *,
    seconds: Annotated[float, Parameter(help="How long to trade, at least 40.")] = 60,
    seed: Annotated[int, Parameter(help="Of what the desks do on their own.")] = 1,
    policy: Annotated[
        Literal["fsync", "async"], Parameter(help="What an acknowledgement survives.")
    ] = "fsync",
    prices: Annotated[
        Path | None, Parameter(help="Replay recorded prices: CSV of seconds,asset,price.")
    ] = None,
) -> int:
    """Run the demo."""
    from tools.demo.prices import PricesError
    from tools.demo.run import Demo, interruptible
    from tools.supervisor.exchange import ExchangeError

    console = Console()
    if seconds < SECONDS_MIN:
        console.print(f"--seconds: expected at least {SECONDS_MIN}, was {seconds:g}", style="red")
        return 2
    interruptible()
    try:
        return Demo(seconds, seed, policy, prices, console).play()
    except PricesError as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 2
    except ExchangeError as error:
        console.print(str(error), style="red", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; the exchange was stopped")
        return 130
