"""Who sent a message, and when: whether that is as the session's Logon said."""

from typing import Any

from gateway.fix.dictionary.validate import COMP_ID, SENDING_TIME, Fault
from gateway.fix.message import Message
from gateway.fix.times import time_of


def identity_fault(fields: Any, message: Message, now: int) -> Fault | None:
    """What is wrong with sender, target and times, as far as they are there; None if nothing.

    fields: of the connection's record. now: ns UTC.
    """
    for tag, own in ((49, "sender"), (56, "target")):
        value = message.get(tag)
        length = int(fields[f"{own}_length"])
        if value and value != bytes(fields[own][:length]):
            return Fault(COMP_ID, None)
    time = time_of(message.get(52))
    if time is not None and abs(now - time) > int(fields["window_ns"]):
        return Fault(SENDING_TIME, None)
    original = time_of(message.get(122))
    again = message.get(43) == b"Y"
    if again and original is not None and time is not None and original > time:
        return Fault(SENDING_TIME, None)
    return None
