"""What an outbound number was taken for: the two top bits of a SessionNumbers reference.

    63 62 61                                                        0
    kind  │ PLAIN: our own, connection and count │ else: position of an event in the stream
"""

from core.jit import jit
from gateway.fix.records import EVENT_BODY_AT
from sbe.generated import control
from sbe.raw import load_i64

KIND_SHIFT = 62
# Our own message; a copy of the event at a position; the same with 97=Y; its trade as AE.
PLAIN, COPY, AGAIN, CAPTURE = 0, 1, 2, 3


@jit
def numbers_kind(frame: int) -> int:
    """What a SessionNumbersAssigned was asked for."""
    at = frame + EVENT_BODY_AT + control.SESSION_NUMBERS_ASSIGNED_REFERENCE_OFFSET
    return (load_i64(at) >> KIND_SHIFT) & 3


def copy_reference(kind: int, position: int) -> int:
    """The reference under which a number is taken for a copy of the event at a position."""
    assert kind != PLAIN
    return kind << KIND_SHIFT | position


def reference_kind(reference: int) -> tuple[int, int]:
    """What a number was taken for, and the position or own reference with it."""
    return reference >> KIND_SHIFT & 3, reference & ((1 << KIND_SHIFT) - 1)
