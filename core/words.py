"""The control words in a segment's header: where they are, and how plain Python reads them.

Drawn and explained in core/ring.py and core/events.py, which share most of them. This module is
for all who must not import numba for it. `load_word` and `store_word` are plain eight-byte loads
and stores: atomic, and on x86 acquire and release by themselves; `full_fence` borrows the locked
instruction in every acquisition of a lock. On other machines all three are compiled ones.
"""

import ctypes
import platform
import threading

# Offsets in bytes from the segment's header; those of one line lie on the same pair of cache lines.
CAPACITY = 24
PENDING, FREE_UNTIL = 1152, 1160
PUBLISHED = 1280
CONSUMED = 1408
SEEN = 1536

ARCHIVED_SEEN = FREE_UNTIL
ARCHIVED = CONSUMED
CLAIMED = SEEN

FRAME_ALIGNMENT = 32
CLAIM_STEP_MAX = 65536

if platform.machine() in ("x86_64", "AMD64"):

    def load_word(address: int) -> int:
        """The shared word at an address; what its writer wrote before it is visible after it."""
        return ctypes.c_int64.from_address(address).value

    def store_word(address: int, value: int) -> None:
        """Write a shared word; all written before it is visible to who reads it after."""
        ctypes.c_int64.from_address(address).value = value

    def acquire_fence() -> None:
        """Loads before it are done before anything after it: always so on x86."""

    def full_fence() -> None:
        """No load or store moves across, in either direction."""
        # A new lock each time: free, and safe in a signal handler that interrupts this very line.
        threading.Lock().acquire()

else:
    from core.atomics import fence as full_fence
    from core.atomics import fence_acquire as acquire_fence
    from core.atomics import load_acquire as load_word
    from core.atomics import store_release as store_word

__all__ = [
    "ARCHIVED",
    "ARCHIVED_SEEN",
    "CAPACITY",
    "CLAIMED",
    "CLAIM_STEP_MAX",
    "CONSUMED",
    "FRAME_ALIGNMENT",
    "FREE_UNTIL",
    "PENDING",
    "PUBLISHED",
    "SEEN",
    "acquire_fence",
    "full_fence",
    "load_word",
    "store_word",
]
