"""What a session asks of the world around it; it does nothing itself.

    Command    into the ring, for the core
    Send       bytes for the client, now
    Look       find the newest reports of orders in the archive, then tell the session
    Replay     send again what the client missed, from the event archive
    Close      end the connection once everything is sent
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Command:
    """A command of this session."""

    name: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Send:
    """Whole messages."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Replay:
    """The messages from `begin` to `end`, both included."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Look:
    """Orders that may have been entered before, by their 64-bit ids."""

    orders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """The end of the connection, and why."""

    reason: str


Action = Command | Send | Look | Replay | Close
