"""Python names for schema names: `NewOrderSingle` + `orderQty` -> new_order_single_order_qty."""

from __future__ import annotations

import keyword
import re

_ACRONYM = re.compile(r"([A-Z]+)([A-Z][a-z])")
_HUMP = re.compile(r"([a-z0-9])([A-Z])")


def snake(*names: str) -> str:
    """Names joined in lower case with underscores at their humps."""
    parts = [_HUMP.sub(r"\1_\2", _ACRONYM.sub(r"\1_\2", name)) for name in names]
    return "_".join(parts).lower()


def upper(*names: str) -> str:
    """The same in capitals, for a constant."""
    return snake(*names).upper()


class Names:
    """Hands out each Python name once.

    Two schema names may meet in one (`Final` and `final`, or message `A` with field `bC` and
    message `AB` with field `c`): the later one gets a number. A keyword gets an underscore.
    """

    def __init__(self, reserved: frozenset[str]) -> None:
        self._taken = set(reserved)

    def take(self, name: str) -> str:
        free = f"{name}_" if keyword.iskeyword(name) else name
        count = 2
        while free in self._taken:
            free = f"{name}_{count}"
            count += 1
        self._taken.add(free)
        return free
