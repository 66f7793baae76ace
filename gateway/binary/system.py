"""Three system calls for compiled code: receive, send, and wait for many sockets at once.

Each gives what the call gives, or −errno. Descriptors, lengths and addresses are int64; sockets are
non-blocking, so that none of them ever waits (`epoll_wait` does, up to its timeout).

One `struct epoll_event`, packed on x86 only:

      x86      0  u32 events    4  u64 data     12 bytes
      others   0  u32 events    8  u64 data     16 bytes
"""

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

EAGAIN = 11
EPOLLIN = 1
EPOLLOUT = 4
EPOLLERR = 8
EPOLLHUP = 16
EPOLL_DATA = 4 if platform.machine() in ("x86_64", "AMD64") else 8
EPOLL_EVENT_SIZE = EPOLL_DATA + 8

_MSG_DONTWAIT = 0x40
_MSG_NOSIGNAL = 0x4000
_I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_BYTES = ir.IntType(8).as_pointer()


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """The result of a libc call as an int64, −errno when it is −1."""
    kinds = [argument.type for argument in arguments]
    form = ir.FunctionType(result, kinds)
    function = cgutils.get_or_insert_function(builder.module, form, name)
    value = builder.call(function, arguments)
    value = builder.sext(value, _I64) if result == _I32 else value
    answer = cgutils.alloca_once_value(builder, value)
    with builder.if_then(builder.icmp_signed("<", value, ir.Constant(_I64, 0)), likely=False):
        where = ir.FunctionType(_I32.as_pointer(), [])
        errno = cgutils.get_or_insert_function(builder.module, where, "__errno_location")
        number = builder.load(builder.call(errno, []), typ=_I32)
        builder.store(builder.neg(builder.sext(number, _I64)), answer)
    return builder.load(answer, typ=_I64)


def _transfer(name: str, flags: int) -> Any:
    def typed(typing: Any, descriptor: Any, address: Any, length: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            number = builder.trunc(arguments[0], _I32)
            place = builder.inttoptr(arguments[1], _BYTES)
            given = [number, place, arguments[2], ir.Constant(_I32, flags)]
            return _call(builder, name, _I64, given)

        return types.int64(types.int64, types.int64, types.int64), generate

    return typed


def _epoll_wait(
    typing: Any, descriptor: Any, address: Any, count: Any, milliseconds: Any
) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[1], _BYTES)
        number, most, wait = (builder.trunc(arguments[n], _I32) for n in (0, 2, 3))
        return _call(builder, "epoll_wait", _I32, [number, place, most, wait])

    return types.int64(types.int64, types.int64, types.int64, types.int64), generate


#: (descriptor, address, length): recv(2) without waiting: bytes written, 0 at the end, or −errno.
receive: Any = intrinsic(_transfer("recv", _MSG_DONTWAIT))

#: (descriptor, address, length): send(2) without waiting or SIGPIPE: bytes taken, or −errno.
send: Any = intrinsic(_transfer("send", _MSG_DONTWAIT | _MSG_NOSIGNAL))

#: (descriptor, address, count, milliseconds): epoll_wait(2): events written, or −errno.
epoll_wait: Any = intrinsic(_epoll_wait)
