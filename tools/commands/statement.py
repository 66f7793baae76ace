"""Print an account's statement of one day, from the settlement sidecar's ledger."""

from datetime import UTC, date, datetime
from typing import Literal

from core.errors import CoreError
from core.sidecars.settlement.statements import statement as lines_of
from core.sidecars.settlement.statements import to_csv, to_html
from tools.stores import Data, Instance, fail, read_store, reference_of


def statement(
    account: str, day: date | None = None, *, format: Literal["csv", "html"] = "csv",
    instance: Instance = "onebook", data: Data = None,
) -> int:
    """Print an account's statement of one day.

    Parameters
    ----------
    account
        Its name or number.
    day
        A day of UTC, like 2026-01-31; today if not given.
    format
        CSV, or a page of HTML that prints well.
    """
    day = day or datetime.now(UTC).date()
    try:
        with read_store(instance, data, "settlement") as connection:
            reference = reference_of(connection)
            known = reference.accounts_by_name.get(account)
            number = known.number if known is not None else int(account)
            lines = lines_of(connection, reference, number, day)
            text = to_csv(lines) if format == "csv" else to_html(lines, f"{account}, {day}")
    except CoreError as error:
        return fail(error)
    except ValueError:
        return fail(f"no account of the name {account}")
    print(text, end="")
    return 0
