"""Atomic words, fences, bits and libc calls on raw int64 addresses.

Compiled Python may keep a plain load of shared memory in a register for ever: `while word == 0`
then never ends. Words shared between processes are therefore read and written through these
functions only. In compiled code each is lowered in place to one or a few machine instructions;
called from the interpreter they do the same through a small compiled function. Addresses must be
multiples of 8. All values are int64; `multiply_high` alone takes their bits as unsigned.
"""

import os
import platform
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numba.core.cgutils as cgutils
from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, type_callable

from core.jit import jit

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_VOID = ir.VoidType()
_CLOCK_REALTIME = 0
_CLOCK_MONOTONIC = 1
_BITS = 0xFFFF_FFFF_FFFF_FFFF
_X86 = platform.machine() in ("x86_64", "AMD64")

Generate = TypeVar("Generate", bound=Callable[..., Any])


def _lower(
    function: Callable[..., Any], arguments: int, result: Any = types.int64
) -> Callable[[Generate], Generate]:
    """Decorate what emits a function's instructions, given a builder and its int64 arguments."""

    def typed(*given: types.Type) -> Any:
        whole = all(isinstance(kind, types.Integer) for kind in given)
        return result(*[types.int64] * arguments) if whole else None

    # numba reads the number of arguments off the typer.
    typer = (lambda: typed(), lambda a: typed(a), lambda a, b: typed(a, b))[arguments]

    def decorate(generate: Generate) -> Generate:
        def lowered(context: Any, builder: Any, signature: Any, words: Any) -> Any:
            emitted = generate(builder, *words)
            return context.get_dummy_value() if result is types.void else emitted

        type_callable(function)(lambda context: typer)
        lower_builtin(function, *[types.Any] * arguments)(lowered)
        return generate

    return decorate


def _pointer(builder: Any, address: Any, pointee: Any = _I64) -> Any:
    return builder.inttoptr(address, pointee.as_pointer())


def _call(builder: Any, name: str, result: Any, kinds: list[Any], values: list[Any]) -> Any:
    """Call a function of libc or an LLVM intrinsic."""
    form = ir.FunctionType(result, kinds)
    return builder.call(cgutils.get_or_insert_function(builder.module, form, name), values)


# ---- words ------------------------------------------------------------------------------------


def load_acquire(address: int) -> int:
    """The word at the address; what its writer wrote before it is visible after it."""
    return _load_acquire(address)


def store_release(address: int, value: int) -> None:
    """Write the word; all that was written before it is visible to who reads it by acquire."""
    _store_release(address, value)


def fetch_add(address: int, value: int) -> int:
    """Add to the word as one step (sequentially consistent); the word as it was before."""
    return _fetch_add(address, value)


def exchange(address: int, value: int) -> int:
    """Replace the word as one step (sequentially consistent); the word as it was before."""
    return _exchange(address, value)


def fence() -> None:
    """No load or store moves across, in either direction (sequentially consistent)."""
    _fence()


def fence_acquire() -> None:
    """Loads before it are done before anything after it; free on x86."""
    _fence()


def fence_release() -> None:
    """Everything before it is done before any store after it; free on x86."""
    _fence()


@_lower(load_acquire, 1)
def _(builder: Any, address: Any) -> Any:
    return builder.load_atomic(_pointer(builder, address), "acquire", 8, typ=_I64)


@_lower(store_release, 2, types.void)
def _(builder: Any, address: Any, value: Any) -> None:
    builder.store_atomic(value, _pointer(builder, address), "release", 8)


@_lower(fetch_add, 2)
def _(builder: Any, address: Any, value: Any) -> Any:
    return builder.atomic_rmw("add", _pointer(builder, address), value, "seq_cst")


@_lower(exchange, 2)
def _(builder: Any, address: Any, value: Any) -> Any:
    return builder.atomic_rmw("xchg", _pointer(builder, address), value, "seq_cst")


@_lower(fence, 0, types.void)
def _(builder: Any) -> None:
    builder.fence("seq_cst")


@_lower(fence_acquire, 0, types.void)
def _(builder: Any) -> None:
    builder.fence("acquire")


@_lower(fence_release, 0, types.void)
def _(builder: Any) -> None:
    builder.fence("release")


@jit
def _load_acquire(address: int) -> int:
    return load_acquire(address)


@jit
def _store_release(address: int, value: int) -> None:
    store_release(address, value)


@jit
def _fetch_add(address: int, value: int) -> int:
    return fetch_add(address, value)


@jit
def _exchange(address: int, value: int) -> int:
    return exchange(address, value)


@jit
def _fence() -> None:
    fence()


# ---- waiting and time -------------------------------------------------------------------------


def pause() -> None:
    """Tell the processor that this is a spin loop."""


def prefetch(address: int) -> None:
    """Start bringing the cache line of the address; any address is allowed."""


def sched_yield() -> None:
    """Give the processor to another runnable thread."""
    os.sched_yield()


def sleep_microseconds(microseconds: int) -> None:
    """Leave the processor to anybody, ordinary threads too; at most a second."""
    time.sleep(microseconds / 1e6)


def clock_realtime_ns() -> int:
    """Nanoseconds since 1970-01-01 UTC."""
    return time.time_ns()


def clock_monotonic_ns() -> int:
    """Nanoseconds of a clock that never steps; the same in every process of the machine."""
    return time.monotonic_ns()


def write_byte(descriptor: int) -> int:
    """write(2) one byte to a file that does not block; 1, or −1 if it failed or would block."""
    try:
        return os.write(descriptor, b"\1")
    except OSError:
        return -1


@_lower(pause, 0, types.void)
def _(builder: Any) -> None:
    if _X86:
        _call(builder, "llvm.x86.sse2.pause", _VOID, [], [])
    else:
        _call(builder, "llvm.aarch64.hint", _VOID, [_I32], [ir.Constant(_I32, 1)])  # YIELD


@_lower(prefetch, 1, types.void)
def _(builder: Any, address: Any) -> None:
    byte = _I8.as_pointer()
    form = ir.FunctionType(_VOID, [byte, _I32, _I32, _I32])
    function = builder.module.declare_intrinsic("llvm.prefetch", [byte], form)
    read, keep, data = (ir.Constant(_I32, number) for number in (0, 3, 1))
    builder.call(function, [_pointer(builder, address, _I8), read, keep, data])


@_lower(sched_yield, 0, types.void)
def _(builder: Any) -> None:
    _call(builder, "sched_yield", _I32, [], [])


@_lower(sleep_microseconds, 1, types.void)
def _(builder: Any, microseconds: Any) -> None:
    _call(builder, "usleep", _I32, [_I32], [builder.trunc(microseconds, _I32)])


def _clock(builder: Any, number: int) -> Any:
    # struct timespec: i64 seconds, i64 nanoseconds.
    seconds = cgutils.alloca_once(builder, _I64, size=2)
    nanoseconds = builder.gep(seconds, [ir.Constant(_I64, 1)], source_etype=_I64)
    values = [ir.Constant(_I32, number), seconds]
    _call(builder, "clock_gettime", _I32, [_I32, _I64.as_pointer()], values)
    whole = builder.mul(builder.load(seconds, typ=_I64), ir.Constant(_I64, 1_000_000_000))
    return builder.add(whole, builder.load(nanoseconds, typ=_I64))


@_lower(clock_realtime_ns, 0)
def _(builder: Any) -> Any:
    return _clock(builder, _CLOCK_REALTIME)


@_lower(clock_monotonic_ns, 0)
def _(builder: Any) -> Any:
    return _clock(builder, _CLOCK_MONOTONIC)


@_lower(write_byte, 1)
def _(builder: Any, descriptor: Any) -> Any:
    byte = cgutils.alloca_once_value(builder, ir.Constant(_I8, 1))
    values = [builder.trunc(descriptor, _I32), byte, ir.Constant(_I64, 1)]
    return _call(builder, "write", _I64, [_I32, _I8.as_pointer(), _I64], values)


# ---- bits -------------------------------------------------------------------------------------


def count_trailing_zeros(value: int) -> int:
    """How many low bits are 0; 64 for 0."""
    return (value & -value).bit_length() - 1 if value & _BITS else 64


def count_leading_zeros(value: int) -> int:
    """How many high bits are 0; 64 for 0."""
    return 64 - (value & _BITS).bit_length()


def multiply_high(a: int, b: int) -> int:
    """The high 64 bits of the 128-bit product of two unsigned words held in int64s."""
    high = (a & _BITS) * (b & _BITS) >> 64
    return high - (1 << 64) if high >> 63 else high


@_lower(count_trailing_zeros, 1)
def _(builder: Any, value: Any) -> Any:
    return builder.cttz(value, ir.Constant(ir.IntType(1), 0))


@_lower(count_leading_zeros, 1)
def _(builder: Any, value: Any) -> Any:
    return builder.ctlz(value, ir.Constant(ir.IntType(1), 0))


@_lower(multiply_high, 2)
def _(builder: Any, a: Any, b: Any) -> Any:
    wide = ir.IntType(128)
    product = builder.mul(builder.zext(a, wide), builder.zext(b, wide))
    return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), _I64)
