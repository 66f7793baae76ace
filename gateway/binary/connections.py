"""The one record of the binary gateway: its connections, its sessions, and what it has to tell.

Compiled code works on this record alone and without Python, as long as messages are ordinary. What
is not (a session message, a broken frame, a closed socket, a control event of the core) it writes
down as a *row* and leaves to Python.

     socket ──▶ receive buffer ──scan──▶ ring commands.binary ──▶ core
                                  │ rows
                                  ▼
                             gateway.py (Python): handshakes, keep-alives, retransmissions
                                  ▲ rows
     socket ◀── send buffer  ◀──walk── event log ◀── core

A receive buffer holds [parsed, received); a send buffer holds [sent, filled). Both are moved to
their beginning when it pays, so that a frame always lies in one piece:

     0        parsed         received               RECEIVE_SIZE
     +----------+--------------+----------------------+
     |  done    | to be parsed |  room for recv       |
     +----------+--------------+----------------------+

Sessions have large numbers; the few this gateway serves have a *place*, a small index: `places`
maps one to the other. What is known of a session's outbound stream is in `sessions[place]`, and in
its *marks*: where in the event stream every 256th of its messages stands, so that a retransmission
starts to read close to what it looks for.
"""

from enum import IntEnum
from typing import Any

import numpy as np

CONNECTIONS_MAX = 1024
SESSIONS_MAX = 1024
SESSION_NUMBER_MAX = 1 << 14
DESCRIPTORS_MAX = 1 << 14
ROWS_MAX = 4096
READY_MAX = 256
RECEIVE_SIZE = 1 << 18
SCRATCH_SIZE = 1 << 18
MARK_STRIDE = 256
MARKS_MAX = 1 << 16


class ConnectionState(IntEnum):
    """What compiled code may do with a connection."""

    FREE = 0
    HANDSHAKE = 1  # only session messages are understood
    ESTABLISHED = 2  # orders go to the ring, events to the socket
    ENDING = 3  # nothing more is read; what is in the send buffer still leaves


class Kind(IntEnum):
    """What a row tells Python."""

    MESSAGE = 1  # a session message: slot, offset in the receive buffer, length
    BROKEN = 2  # a violation: slot, offset = TerminationCode
    CLOSED = 3  # the peer is gone: slot
    OVERFLOW = 4  # the send buffer has no room: slot
    BLOCKED = 5  # the socket takes no more for now: slot
    WRITABLE = 6  # it takes more again and everything has left: slot
    CONTROL = 7  # an event of schema control: where in the stream piece it stands, and its length
    LAPPED = 8  # the event log has overwritten the position; go to the archive
    ACCEPT = 9  # the listening socket is ready


CONNECTION = np.dtype(
    [
        (name, "i8")
        for name in (
            "state",
            "descriptor",
            "session",
            "place",
            "held",  # 1 while Python must act before more is parsed
            "receive_address",
            "parsed",
            "received",
            "send_address",
            "send_capacity",
            "sent",
            "filled",
            "dirty",  # 1 when listed for flushing
            "blocked",  # 1 when the socket took less than it was given
            "overflow",  # 1 when something did not fit
            "expected",  # next inbound number
            "last_received_ns",  # monotonic clock
            "last_sent_ns",
            "token_ns",  # time a message costs; 0: no throttle
            "burst_ns",  # how far ahead of the clock a burst may run
            "bucket_ns",  # time up to which tokens are spent
            "throttled",  # refused in a row
            "applied",
            "duplicates",
            "reports",
        )
    ]
)

SESSION = np.dtype(
    [
        (name, "i8")
        for name in (
            "number",
            "slot",  # of its established connection, or −1
            "next_outbound",  # after the last released event
            "last_applied",
            "first_mark",  # oldest mark that belongs to this version
            "reset_position",  # where in the event stream this version began
            "version",
            "next_inbound",  # as the core said last
            "connection",  # the one the core believes to be open, 0 none
        )
    ]
)

ROW = np.dtype([("kind", "i8"), ("slot", "i8"), ("offset", "i8"), ("length", "i8")])

GATEWAY = np.dtype(
    [
        ("ring", "i8"),
        ("log", "i8"),
        ("position", "i8"),  # of the next event
        ("waiting_for", "i8"),  # sequence of the event at which the gate stopped the walk
        ("gate_address", "i8"),
        ("ready_address", "i8"),
        ("core_bell", "i8"),
        ("core_asleep", "i8"),
        ("epoll", "i8"),
        ("ready_events", "i8"),  # address of the buffer for epoll_wait
        ("scratch", "i8"),  # address
        ("marks", "i8"),  # address; MARKS_MAX words for each place
        ("producer", "i8"),
        ("rows_used", "i8"),
        ("dirty_used", "i8"),
        ("busy", "i8"),  # messages refused because the ring was full or the core away
        ("throttled", "i8"),
        ("rows", ROW, (ROWS_MAX,)),
        ("dirty", "i8", (CONNECTIONS_MAX,)),
        ("places", "i4", (SESSION_NUMBER_MAX,)),
        ("slots", "i4", (DESCRIPTORS_MAX,)),  # of a descriptor; −1 none, −2 the listening socket
        ("sessions", SESSION, (SESSIONS_MAX,)),
        ("connections", CONNECTION, (CONNECTIONS_MAX,)),
    ],
    align=True,
)


def new_gateway() -> Any:
    """One record, everything free: an array of one element, as compiled entry points take it."""
    gateway = np.zeros(1, GATEWAY)
    gateway["places"] = -1
    gateway["slots"] = -1
    gateway["sessions"]["first_mark"] = -1
    gateway["sessions"]["slot"] = -1
    gateway["connections"]["descriptor"] = -1
    return gateway
