"""Case files as text: decoded with nothing guessed, whatever somebody has written there."""

import json
from pathlib import Path
from typing import Any

from core.margin_reference.case import CaseError


def load(file: Path) -> Any:
    """A decoded case file. Raises CaseError, OSError if there is none to read."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise CaseError("expected a case file, was nested without end") from None
    except CaseError:
        raise
    except ValueError as error:  # Not JSON, not UTF-8, or a number of thousands of digits.
        raise CaseError(str(error)) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which every field is there once: of two, one would be lost in silence."""
    for name, value in pairs:
        if not all(map(_is_text, (name, value))):
            raise CaseError(f"{name!r}: expected whole characters, was {value!r}")
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CaseError(f"{twice}: is there twice in {_named(made)}")
    return made


def _is_text(value: Any) -> bool:
    """Whether it can be written down again: no half of a surrogate pair, if it is a text."""
    return not isinstance(value, str) or not any("\ud800" <= sign <= "\udfff" for sign in value)


def _named(made: dict[str, Any]) -> str:
    """What an object calls itself."""
    for key in ("id", "name"):
        if key in made:
            return f"{key} {made[key]!r}"
    return "one object"
