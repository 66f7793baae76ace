"""The listening socket, the accepted ones, and the buffers that compiled code reads and fills.

A slot is a place in the gateway's record; its buffers are made when it is first used and kept.
"""

import contextlib
import select
import socket
from typing import Any

import numpy as np

from gateway.binary.connections import (
    CONNECTION,
    CONNECTIONS_MAX,
    DESCRIPTORS_MAX,
    RECEIVE_SIZE,
    SCRATCH_SIZE,
    ConnectionState,
)
from gateway.binary.turn import READY_BYTES
from gateway.listener import Listener

LISTENER = -2
SPARE = 256  # room behind a full send buffer for the Terminate that says so


class Sockets(Listener):
    """All sockets of the gateway; `port` is where it listens.

    Raises OSError if the address cannot be bound.
    """

    def __init__(
        self, memory: Any, host: str, port: int, connections_max: int, send_bytes: int
    ) -> None:
        super().__init__(host, port)
        self._g = memory[0]
        self._connections_max = min(connections_max, CONNECTIONS_MAX)
        self._send_bytes = send_bytes
        self._sockets: dict[int, socket.socket] = {}
        self._buffers: dict[int, tuple[Any, Any]] = {}
        self.scratch = np.zeros(SCRATCH_SIZE, np.uint8)
        self._ready = np.zeros(READY_BYTES, np.uint8)
        self._g["scratch"] = self.scratch.ctypes.data
        self._g["ready_events"] = self._ready.ctypes.data
        self._g["epoll"] = self._epoll.fileno()
        self._g["slots"][self._listener.fileno()] = LISTENER

    def _register(self, descriptor: int, slot: int) -> None:
        self._g["slots"][descriptor] = slot
        self._epoll.register(descriptor, select.EPOLLIN)

    def accept(self) -> list[tuple[int, str]]:
        """Accept whoever waits; (slot, address of the peer) of each who found room."""
        accepted: list[tuple[int, str]] = []
        while True:
            try:
                connection, peer = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return accepted
            slot = self._free_slot()
            if slot is None or connection.fileno() >= DESCRIPTORS_MAX:
                connection.close()
                continue
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._prepare(slot, connection)
            accepted.append((slot, peer[0]))

    def _free_slot(self) -> int | None:
        free = (slot for slot in range(self._connections_max) if slot not in self._sockets)
        return next(free, None)

    def _prepare(self, slot: int, connection: socket.socket) -> None:
        if slot not in self._buffers:
            receive = np.zeros(RECEIVE_SIZE, np.uint8)
            self._buffers[slot] = receive, np.zeros(self._send_bytes + SPARE, np.uint8)
        self._g["connections"][slot] = np.zeros((), CONNECTION)
        c = self._g["connections"][slot]
        receive, send = self._buffers[slot]
        c["state"] = ConnectionState.HANDSHAKE
        c["descriptor"] = connection.fileno()
        c["receive_address"] = receive.ctypes.data
        c["send_address"] = send.ctypes.data
        c["send_capacity"] = self._send_bytes
        self._sockets[slot] = connection
        self._register(connection.fileno(), slot)

    def received(self, slot: int, offset: int, length: int) -> bytes:
        """A message in the receive buffer."""
        receive: Any = self._buffers[slot][0]
        data: bytes = receive[offset : offset + length].tobytes()
        return data

    def put(self, slot: int, frames: bytes) -> bool:
        """Append to the send buffer; the spare room behind its end is for us alone."""
        c = self._g["connections"][slot]
        send: Any = self._buffers[slot][1]
        sent, filled = int(c["sent"]), int(c["filled"])
        if filled + len(frames) > len(send):
            waiting = filled - sent
            if waiting + len(frames) > len(send):
                return False
            send[:waiting] = send[sent:filled].copy()
            c["sent"], filled = 0, waiting
        send[filled : filled + len(frames)] = np.frombuffer(frames, np.uint8)
        c["filled"] = filled + len(frames)
        if not c["dirty"]:
            c["dirty"] = 1
            self._g["dirty"][self._g["dirty_used"]] = slot
            self._g["dirty_used"] += 1
        return True

    def watch(self, slot: int, *, writable: bool) -> None:
        """Be told when the socket takes more bytes, or not any longer."""
        wanted = select.EPOLLIN | (select.EPOLLOUT if writable else 0)
        self._epoll.modify(self._sockets[slot].fileno(), wanted)

    def finish(self, slot: int) -> None:
        """Everything has been sent: say so to the peer, who closes then."""
        with contextlib.suppress(OSError):
            self._sockets[slot].shutdown(socket.SHUT_WR)

    def free(self, slot: int) -> None:
        """Close the socket and give the slot back."""
        connection = self._sockets.pop(slot, None)
        if connection is None:
            return
        self._g["slots"][connection.fileno()] = -1
        c = self._g["connections"][slot]
        c["state"], c["descriptor"] = ConnectionState.FREE, -1
        self._epoll.unregister(connection.fileno())
        connection.close()

    def close(self) -> None:
        """Close everything."""
        for slot in list(self._sockets):
            self.free(slot)
        self._listener.close()
        self._epoll.close()
