"""Compute equity and margin of accounts written down in a case file, with every component.

The file holds any number of accounts; what comes out is the same file with `expected` filled in.
"""

import json
from pathlib import Path
from typing import Any

from core.margin_reference.account import compute
from core.margin_reference.case import CaseError
from tools.stores import fail

USAGE = 2


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
    if not reference:
        fail("only the reference computes a file so far: add --reference")
        return USAGE
    try:
        content: Any = json.loads(file.read_text())
        filled = compute(content)
    except OSError as error:
        return fail(f"{file}: {error.strerror or error}")
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        return fail(f"{file}: {error}")
    except CaseError as error:
        return fail(f"{file}: {error}")
    print(json.dumps(filled, indent=1, ensure_ascii=False))
    return 0
