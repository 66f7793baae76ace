"""Atomic words, fences, bits and libc calls for compiled code, on raw int64 addresses.

Compiled Python may keep a plain load of shared memory in a register for ever: `while word == 0`
then never ends. Words shared between processes are therefore read and written through these
functions only. Each is one or a few machine instructions and can be cached with its caller.
Addresses must be multiples of 8. All values are int64; `multiply_high` alone looks at the bits
as unsigned.
"""

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_CLOCK_REALTIME = 0
_CLOCK_MONOTONIC = 1
_X86 = platform.machine() in ("x86_64", "AMD64")


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


def _function(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


@intrinsic
def load_acquire(typing: Any, address: Any) -> Any:
    """The word at the address; what its writer wrote before it is visible after it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(builder, arguments[0]), "acquire", 8, typ=_I64)

    return types.int64(types.int64), generate


@intrinsic
def store_release(typing: Any, address: Any, value: Any) -> Any:
    """Write the word; all that was written before it is visible to who reads it by acquire."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], _pointer(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def fetch_add(typing: Any, address: Any, value: Any) -> Any:
    """Add to the word as one step (sequentially consistent); the word as it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, arguments[0]), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def exchange(typing: Any, address: Any, value: Any) -> Any:
    """Replace the word as one step (sequentially consistent); the word as it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("xchg", _pointer(builder, arguments[0]), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


def _fence(order: str) -> Any:
    def typed(typing: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.fence(order)
            return context.get_dummy_value()

        return types.void(), generate

    return typed


@intrinsic
def fence(typing: Any) -> Any:
    """No load or store moves across, in either direction (sequentially consistent)."""
    return _fence("seq_cst")(typing)


@intrinsic
def fence_acquire(typing: Any) -> Any:
    """Loads before it are done before anything after it; free on x86."""
    return _fence("acquire")(typing)


@intrinsic
def fence_release(typing: Any) -> Any:
    """Everything before it is done before any store after it; free on x86."""
    return _fence("release")(typing)


@intrinsic
def pause(typing: Any) -> Any:
    """Tell the processor that this is a spin loop."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _X86:
            builder.call(_function(builder, "llvm.x86.sse2.pause", ir.VoidType(), []), [])
        else:
            hint = _function(builder, "llvm.aarch64.hint", ir.VoidType(), [_I32])
            builder.call(hint, [ir.Constant(_I32, 1)])  # YIELD
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def prefetch(typing: Any, address: Any) -> Any:
    """Start bringing the cache line of the address; any address is allowed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        form = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], form)
        read, keep, data = (ir.Constant(_I32, number) for number in (0, 3, 1))
        builder.call(function, [builder.inttoptr(arguments[0], byte), read, keep, data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def sched_yield(typing: Any) -> Any:
    """Give the processor to another runnable thread."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.call(_function(builder, "sched_yield", _I32, []), [])
        return context.get_dummy_value()

    return types.void(), generate


def _clock(number: int) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # struct timespec: i64 seconds, i64 nanoseconds.
        seconds = cgutils.alloca_once(builder, _I64, size=2)
        nanoseconds = builder.gep(seconds, [ir.Constant(_I64, 1)], source_etype=_I64)
        function = _function(builder, "clock_gettime", _I32, [_I32, _I64.as_pointer()])
        builder.call(function, [ir.Constant(_I32, number), seconds])
        whole = builder.mul(builder.load(seconds, typ=_I64), ir.Constant(_I64, 1_000_000_000))
        return builder.add(whole, builder.load(nanoseconds, typ=_I64))

    return types.int64(), generate


@intrinsic
def clock_realtime_ns(typing: Any) -> Any:
    """Nanoseconds since 1970-01-01 UTC."""
    return _clock(_CLOCK_REALTIME)


@intrinsic
def clock_monotonic_ns(typing: Any) -> Any:
    """Nanoseconds of a clock that never steps; the same in every process of the machine."""
    return _clock(_CLOCK_MONOTONIC)


@intrinsic
def write_byte(typing: Any, descriptor: Any) -> Any:
    """write(2) one byte to an open file; the number of bytes written, or −1."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(8), 1))
        kinds = [_I32, ir.IntType(8).as_pointer(), _I64]
        function = _function(builder, "write", _I64, kinds)
        number = builder.trunc(arguments[0], _I32)
        return builder.call(function, [number, byte, ir.Constant(_I64, 1)])

    return types.int64(types.int64), generate


@intrinsic
def count_trailing_zeros(typing: Any, value: Any) -> Any:
    """How many low bits are 0; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@intrinsic
def count_leading_zeros(typing: Any, value: Any) -> Any:
    """How many high bits are 0; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@intrinsic
def multiply_high(typing: Any, a: Any, b: Any) -> Any:
    """The high 64 bits of the 128-bit product of two unsigned words held in int64s."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), _I64)

    return types.int64(types.int64, types.int64), generate
