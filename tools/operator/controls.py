"""The commands of the controls, in people's words: who, what, how much."""

from decimal import Decimal, InvalidOperation
from typing import Any

from tools.operator.desk import Desk, OperatorError, number_of

LEVELS = {"owner": 1, "session": 2, "market": 3, "product": 4, "venue": 5}
PRODUCTS = {"spot": 1, "perpetual": 2, "outcome": 3, "above": 4, "below": 5, "range": 6}
DECISIONS = {"empty": 0, "deny": 1, "close-only": 2, "allow": 3}


def country_number(letters: str) -> int:
    """ISO 3166's two letters as a number; 0 for none given. Raises OperatorError."""
    if not letters:
        return 0
    if len(letters) != 2 or not letters.isascii() or not letters.isalpha():
        raise OperatorError(f"a country is two letters: {letters}")
    return ord(letters[0].upper()) << 8 | ord(letters[1].upper())


def usdc(amount: str) -> int:
    """A decimal in USDC as units. Raises OperatorError."""
    try:
        units = Decimal(amount).scaleb(6)
    except InvalidOperation:
        raise OperatorError(f"expected an amount of USDC, was {amount}") from None
    if units != int(units) or units < 0:
        raise OperatorError(f"expected an amount of USDC with at most 6 decimals, was {amount}")
    return int(units)


def parts_per_million(percent: str) -> int:
    """A decimal in percent as parts per million. Raises OperatorError."""
    try:
        parts = Decimal(percent).scaleb(4)
    except InvalidOperation:
        raise OperatorError(f"expected a percentage, was {percent}") from None
    if parts != int(parts) or not 0 <= parts < 1 << 32:
        raise OperatorError(f"expected a percentage with at most 4 decimals, was {percent}")
    return int(parts)


def subject_number(desk: Desk, level: str, subject: str) -> int:
    """What a kill switch is about. Raises OperatorError."""
    configuration = desk.configuration
    numbers = configuration.numbers()
    if level == "venue":
        return 0
    if level == "product":
        return number_of(PRODUCTS, subject, "product")
    if level == "owner":
        return number_of(numbers.owners, subject, "owner")
    if level == "market":
        return number_of(numbers.instruments, subject, "instrument")
    fix = {session.sender_comp_id: session.session for session in configuration.fix.session}
    binary = {session.key_id: session.session for session in configuration.binary.session}
    return number_of(fix | binary, subject, "session")


def kill(desk: Desk, level: str, subject: str, on: bool) -> dict[str, Any]:
    """Put a kill switch on or off; the KillSwitchChanged that says it is done."""
    number = subject_number(desk, level, subject)
    desk.send("SetKillSwitch", level=LEVELS[level], subject=number, active=int(on))
    return desk.wait(
        "KillSwitchChanged",
        lambda e: (e["level"], e["subject"], e["active"]) == (LEVELS[level], number, int(on)),
    )
