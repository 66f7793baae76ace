"""Values of fields for the Python half, by the same rules as the compiled one."""

import ctypes

from gateway.fix.numbers import BAD, parse_decimal
from gateway.fix.orders import instructions


def decimal_of(text: bytes | None) -> int | None:
    """A decimal with exponent −8, or None if there is none or it isn't one."""
    if text is None:
        return None
    buffer = ctypes.create_string_buffer(text, len(text) + 1)
    value = int(parse_decimal(ctypes.addressof(buffer), len(text)))
    return None if value == BAD else value


def instruction_bits(text: bytes | None) -> int:
    """ExecInst as bits; 0 if there is none."""
    if not text:
        return 0
    buffer = ctypes.create_string_buffer(text, len(text) + 1)
    value = int(instructions(ctypes.addressof(buffer), len(text)))
    return 0 if value == BAD else value


def amount_text(amount: int, decimals: int) -> str:
    """Whole units of an asset as a decimal."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, rest = divmod(amount, 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}{'.' if fraction else ''}{fraction}"
