"""Large pages for memory that is used all day: mapped before it is used, in units of 2 MB.

The loop goes to random places of a hundred megabytes. In pages of 4 kB each of these is a walk
through the page tables as well (on a virtual machine, through two of them), and the first visit a
page fault. So whoever makes a segment that the loop lives in has it settled:

    collapse    2 MB of pages become one, where the machine has it  Linux 6.1, MADV_COLLAPSE
    populate    every page is in the tables of this process         Linux 5.14, MADV_POPULATE_WRITE

Collapsing needs no right and no setting of the machine, as huge pages for shared memory otherwise
do (`shmem_enabled`); addresses must only be a multiple of 2 MB apart from the place in the file.
Both are favours: where the kernel doesn't do them, all is as before and slower.
"""

import ctypes
import mmap

LARGE = 2 << 20
_POPULATE_WRITE = 23
_COLLAPSE = 25
_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.restype = ctypes.c_int
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def settle(address: int, size: int) -> bool:
    """Map so much memory now, and in large pages; whether the kernel did.

    address: where a mapping of whole pages begins. What is there stays. Ends smaller than a large
    page keep their small ones.
    """
    first = -(-address // LARGE) * LARGE
    whole = (address + size - first) // LARGE * LARGE
    # In this order: pages that nobody has mapped yet are collapsed sooner.
    collapsed = whole > 0 and _libc.madvise(first, whole, _COLLAPSE) == 0
    return _libc.madvise(address, size, _POPULATE_WRITE) == 0 and collapsed


def private_memory(size: int) -> memoryview:
    """Zeroed memory of this process alone, in large pages where there are such."""
    memory = mmap.mmap(-1, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)[:size]
