"""Compute equity and margin of accounts written down in a case file, with every component.

The file holds any number of accounts; what comes out is the same file with `expected` filled in.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.margin_reference.case import CaseError
from tools.stores import fail


def margin(file: Path, *, reference: bool = False) -> int:
    """Compute the margin of the accounts in a case file; `expected` may be absent, or is ignored.

    Parameters
    ----------
    file
        JSON: `global`, `underlying_params`, and `cases` with `usdc`, `underlyings`, `groups` and
        `orders`; numbers are decimals in quotes.
    reference
        By the second implementation: plain Python in exact fractions, which shares no code with
        the core.
    """
    try:
        content: Any = json.loads(file.read_text())
        filled = _compute(reference)(content)
    except OSError as error:
        return fail(f"{file}: {error.strerror or error}")
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        return fail(f"{file}: {error}")
    except CaseError as error:
        return fail(f"{file}: {error}")
    print(json.dumps(filled, indent=1, ensure_ascii=False))
    return 0


def _compute(reference: bool) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What fills in a file; the core is not even imported for the reference."""
    module = "core.margin_reference.account" if reference else "tools.margin_cases"
    compute: Callable[[dict[str, Any]], dict[str, Any]] = importlib.import_module(module).compute
    return compute
