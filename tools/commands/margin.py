"""Compute equity and margin of accounts, from a case file or live, with every component.

A file holds any number of accounts; what comes out is the same file with `expected` filled in. A
live account comes out as such a file, or with `--what-if` as a table of what orders would do.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from core.margin_reference.case import CaseError
from tools.case_files import load
from tools.stores import EXIT_USAGE, fail

Compute = Callable[[dict[str, Any]], dict[str, Any]]
Live = Callable[[str, str, list[str], Compute], int]


def margin(
    file: Path | None = None, *, account: str | None = None,
    what_if: Annotated[list[str] | None, Parameter(negative="")] = None,
    instance: str = "onebook", reference: bool = False,
) -> int:
    """Compute the margin of the accounts in a case file, or of a live account.

    Parameters
    ----------
    file
        JSON: `global`, `underlying_params`, and `cases` with `usdc`, `underlyings`, `groups` and
        `orders`; numbers are decimals in quotes. `expected` may be absent, or is ignored.
    account
        A live account instead of a file, by name or number.
    what_if
        An order such as `buy 2 BTC-PERP @ 101000`, once for each: what it would do to the account
        while it rests and when it has filled, and what hedges would free.
    instance
        The name of the exchange of a live account.
    reference
        By the second implementation: plain Python in exact fractions, which shares no code with
        the core.
    """
    compute = _compute(reference)
    if file is None and account is not None:
        live: Live = importlib.import_module("tools.margin_live").show
        return live(instance, account, what_if or [], compute)
    if file is None or account is not None or what_if:
        fail("expected either a FILE or --account; --what-if goes with an account")
        return EXIT_USAGE
    try:
        filled = compute(load(file))
    except OSError as error:
        return fail(f"{file}: {error.strerror or error}")
    except CaseError as error:
        return fail(f"{file}: {error}")
    print(json.dumps(filled, indent=1, ensure_ascii=False))
    return 0


def _compute(reference: bool) -> Compute:
    """What fills in a file; the core is not even imported for the reference."""
    module = "core.margin_reference.account" if reference else "tools.margin_cases"
    compute: Compute = importlib.import_module(module).compute
    return compute
