"""How far this machine's clock may be from UTC, as its kernel and its time daemon know.

The sequencer stamps commands by it; regulators want to know how good it was (RTS 25), so the
settlement sidecar has it written into the journal once an hour. Source: adjtimex(2).
"""

import ctypes
import os
from typing import NamedTuple

MICROSECOND_NS = 1000
_UNSYNCHRONISED, _NANOSECONDS = 0x0040, 0x2000  # bits of `status`


class ClockReading(NamedTuple):
    """All in ns; `offset` is what the kernel is still correcting the clock by.

    error_max: bound on the distance from UTC, error_estimated: what the daemon believes it is.
    Without a daemon (`synchronised` false) the bound grows by itself up to 16 s.
    """

    offset: int
    error_max: int
    error_estimated: int
    synchronised: bool


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("frequency", ctypes.c_long),
        ("error_max", ctypes.c_long), ("error_estimated", ctypes.c_long),
        ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
    )  # fmt: skip


def read_clock() -> ClockReading:
    """Ask the kernel; changes nothing. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()  # modes 0: only read
    if library.adjtimex(ctypes.byref(timex)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    unit = 1 if timex.status & _NANOSECONDS else MICROSECOND_NS
    return ClockReading(
        timex.offset * unit, timex.error_max * MICROSECOND_NS,
        timex.error_estimated * MICROSECOND_NS, not timex.status & _UNSYNCHRONISED,
    )
