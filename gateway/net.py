"""One TCP connection on the event loop: a fixed receive buffer, a bounded send side.

A peer that reads slower than it is sent to is cut off at the bound; nothing it did not read is
lost to it, because sessions can be asked to send again. What is written goes to the socket at once
when nothing waits before it, and through the transport otherwise.
"""

import asyncio
import fcntl
import os
import sys
import termios
from abc import ABC, abstractmethod
from typing import Any, cast

import numpy as np

RECEIVE_BYTES = 65_536
LINGER_SECONDS = 1.0


class Connection(asyncio.BufferedProtocol, ABC):
    """Subclasses say what `received`, `ended` and `too_slow` mean; `address` is of the buffer."""

    def __init__(self, send_bytes_max: int) -> None:
        self._receive: Any = np.zeros(RECEIVE_BYTES + 64, np.uint8)
        self._view = self._receive.data[:RECEIVE_BYTES]
        self.address = int(self._receive.ctypes.data)
        self.filled = 0
        self.peer = ""
        self._send_bytes_max = send_bytes_max
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        self._finishing = False
        self.paused = False  # nothing is read for now

    # ---- for subclasses ------------------------------------------------------------------------

    def connected(self) -> None:
        """The connection stands; `peer` is the address of the other side."""

    @abstractmethod
    def received(self) -> None:
        """There are `filled` bytes in the buffer; `consume` gives back those dealt with."""

    def ended(self) -> None:
        """The connection is gone; called once."""

    def too_slow(self) -> None:
        """The peer does not read what it is sent; the connection is about to be cut."""

    # ---- what they use -------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether bytes may still be written."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not self._finishing

    @property
    def waiting(self) -> int:
        """Bytes written that the socket has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def unacknowledged(self) -> int:
        """Bytes written that the peer's machine has not acknowledged yet."""
        transport = self._transport
        if transport is None:
            return 0
        count = bytearray(4)
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
        return self.waiting + int.from_bytes(count, sys.byteorder)

    def bytes_at(self, offset: int, length: int) -> bytes:
        """A copy of received bytes."""
        return bytes(self._view[offset : offset + length])

    def consume(self, count: int) -> None:
        """Forget the first `count` bytes received."""
        rest = self.filled - count
        if rest and count:
            self._receive[:rest] = self._receive[count : self.filled].copy()
        self.filled = rest

    def write(self, data: bytes | memoryview) -> bool:
        """Send; False (and the connection is cut) if too much waits already."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._finishing:
            return False
        waiting = transport.get_write_buffer_size()
        if waiting == 0 and self._descriptor >= 0:
            try:
                sent = os.write(self._descriptor, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                transport.abort()
                return False
            if sent == len(data):
                return True
            data = data[sent:]
        elif waiting + len(data) > self._send_bytes_max:
            self.too_slow()
            transport.abort()
            return False
        transport.write(bytes(data))
        return True

    def pause(self) -> None:
        """Read nothing more for now; the peer's machine keeps what it sends."""
        if self._transport is not None and not self.paused:
            self.paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.paused and self._transport is not None and not self._transport.is_closing():
            self.paused = False
            self._transport.resume_reading()

    def finish(self) -> None:
        """Close once everything written is sent; what the peer still says is dropped.

        The end is announced first and the socket closed a little later: closing one with bytes
        unread would make the kernel take back what was written last.
        """
        transport = self._transport
        if transport is None or self._finishing:
            return
        self._finishing = True
        if transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.close)

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        if transport.get_extra_info("ssl_object") is None:
            self._descriptor = transport.get_extra_info("socket").fileno()
        self.connected()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by the event loop: where the next bytes go."""
        return self._view[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the event loop: bytes came."""
        if self._finishing:
            return
        self.filled += nbytes
        self.received()
        # No message is that long: `received` must have consumed, unless it waits for something.
        if self.filled == RECEIVE_BYTES and not self.paused:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._descriptor = -1
        self._transport = None
        self.ended()
