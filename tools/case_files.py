"""Case files as text: decoded with nothing guessed, whatever somebody has written there."""

import json
from pathlib import Path
from typing import Any

from core.margin_reference.case import CaseError


def load(file: Path) -> Any:
    """A decoded case file. Raises CaseError, OSError if there is none to read."""
    try:
        return json.loads(file.read_bytes().decode("utf-8-sig"), object_pairs_hook=_once)
    except RecursionError:
        raise CaseError("expected a case file, was nested without end") from None
    except CaseError:
        raise
    except ValueError as error:  # Not JSON, not UTF-8, or a number of thousands of digits.
        raise CaseError(str(error)) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which every field is there once: of two, one would be lost in silence."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CaseError(f"{twice}: is there twice in {_named(made)}")
    return made


def _named(made: dict[str, Any]) -> str:
    """What an object calls itself."""
    for key in ("id", "name"):
        if key in made:
            return f"{key} {made[key]!r}"
    return "one object"
