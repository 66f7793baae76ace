"""The feed's sockets: one for datagrams, one that listens, and those of the TCP receivers.

A receiver that connects gets every packet from then on, and may ask for earlier ones. It is cut off
when it falls a whole stream behind, breaks a frame, or sends what is not a request.
"""

import select
import socket
import struct
import time
from typing import Any

import numpy as np

from gateway.binary.frames import ENCODING, SOFH, SOFH_SIZE, framed
from gateway.feed import layout
from gateway.feed.messages import CODEC
from gateway.feed.packets import find_packet, packet_size, stream_address
from gateway.listener import Listener
from sbe.errors import DecodeError
from sbe.generated import market_data as md
from sbe.raw import copy

PACKET = struct.Struct("<HHIQ")
REQUEST_MAX = 4096  # bytes that may wait to be understood
PACKETS_AGAIN_MAX = 2048  # of one request
SEND_BUFFER = 1 << 22


class Receivers(Listener):
    """All sockets; `port` is where TCP receivers connect. Raises OSError."""

    def __init__(
        self, feed: Any, host: str, port: int, datagrams: tuple[str, int, str] | None
    ) -> None:
        self._feed, self._f = feed, feed[0]
        self._sockets: dict[int, socket.socket] = {}
        self._numbers: dict[int, int] = {}  # descriptor → receiver
        self._received: dict[int, bytearray] = {}
        self._again: dict[int, Any] = {}
        self._datagrams = _datagram_socket(*datagrams) if datagrams else None
        if self._datagrams is not None:
            self._f["datagrams"] = self._datagrams.fileno()
        super().__init__(host, port)

    @property
    def count(self) -> int:
        """How many are connected."""
        return len(self._sockets)

    def poll(self) -> int:
        """Accept who waits and read what was asked; how much there was."""
        ready = self._epoll.poll(0)
        for descriptor, what in ready:
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor in self._numbers:
                number = self._numbers[descriptor]
                if what & select.EPOLLOUT:
                    self._f["receivers"][number]["blocked"] = 0
                    self._epoll.modify(descriptor, select.EPOLLIN)
                if what & ~select.EPOLLOUT:
                    self._read(number)
        return len(ready)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            number = next((n for n in range(layout.RECEIVERS_MAX) if n not in self._sockets), -1)
            if number < 0:
                connection.close()
                continue
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self._sockets[number] = connection
            self._numbers[connection.fileno()] = number
            self._received[number] = bytearray()
            r = self._f["receivers"][number]
            r["position"], r["blocked"], r["again_length"] = self._f["end"], 0, 0
            r["descriptor"] = connection.fileno()
            self._f["receivers_used"] = max(int(self._f["receivers_used"]), number + 1)
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, number: int) -> None:
        try:
            data = self._sockets[number].recv(REQUEST_MAX)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        waiting = self._received[number]
        waiting += data
        if not data or not self._understand(number, waiting):
            self._free(number)

    def _understand(self, number: int, waiting: bytearray) -> bool:
        """Answer whole requests; False if the receiver is to be cut off."""
        while len(waiting) >= SOFH_SIZE:
            length, encoding = SOFH.unpack_from(waiting)
            if encoding != ENCODING or not SOFH_SIZE <= length <= REQUEST_MAX:
                return False
            if len(waiting) < length:
                break
            message = bytes(waiting[SOFH_SIZE:length])
            del waiting[:length]
            try:
                name, fields = CODEC.decode(message)
            except DecodeError:
                return False
            if name != "RetransmitRequest" or self._f["receivers"][number]["again_length"]:
                return False
            self._request(number, fields)
        return True

    def _request(self, number: int, fields: dict[str, Any]) -> None:
        """Have packets sent once more, as they were, between two packets of the stream."""
        packets = self._find(fields["channel"], fields["fromSeqNum"], fields["count"])
        if isinstance(packets, int):
            packets = self._answer(CODEC.encode("RetransmitReject", fields | {"code": packets}))
        self._again[number] = again = np.frombuffer(packets, np.uint8)
        r = self._f["receivers"][number]
        r["again"], r["again_length"], r["again_at"] = again.ctypes.data, len(again), self._f["end"]

    def _answer(self, message: bytes) -> bytes:
        """A packet for one receiver alone: channel 0, number 0."""
        header = PACKET.pack(layout.ANSWERS, int(self._f["version"]), 0, time.time_ns())
        return framed(header + len(message).to_bytes(2, "little") + message)

    def _find(self, channel: int, first: int, count: int) -> bytes | int:
        """The packets, framed, or a RequestCode."""
        if channel not in layout.CHANNELS:
            return md.REQUEST_CODE_UNKNOWN_CHANNEL
        after = int(self._f["channels"][channel]["next"])
        if not 0 < count <= PACKETS_AGAIN_MAX:
            return md.REQUEST_CODE_TOO_MANY
        if first < 1 or first + count > after:
            return md.REQUEST_CODE_NOT_YET_SENT
        if after - first >= layout.PACKETS_MAX:
            return md.REQUEST_CODE_TOO_OLD
        found: list[bytes] = []
        for number in range(first, first + count):
            position = int(find_packet(self._feed, channel, number))
            if position < 0:
                return md.REQUEST_CODE_TOO_OLD
            packet = np.zeros(int(packet_size(self._feed, position)), np.uint8)
            copy(packet.ctypes.data, stream_address(self._f, position), len(packet))
            found.append(packet.tobytes())
        return b"".join(found)

    def row(self, kind: int, number: int) -> None:
        """Compiled code says something of a receiver."""
        if number not in self._sockets:
            return
        if kind in (layout.CUT_OFF, layout.GONE):
            self._free(number)
        else:
            wanted = select.EPOLLIN | select.EPOLLOUT
            self._epoll.modify(self._sockets[number].fileno(), wanted)

    def _free(self, number: int) -> None:
        connection = self._sockets.pop(number)
        self._f["receivers"][number]["descriptor"] = -1
        del self._numbers[connection.fileno()], self._received[number]
        self._again.pop(number, None)
        self._epoll.unregister(connection.fileno())
        connection.close()

    def close(self) -> None:
        """Close everything."""
        for number in list(self._sockets):
            self._free(number)
        self._listener.close()
        self._epoll.close()
        if self._datagrams is not None:
            self._f["datagrams"] = -1
            self._datagrams.close()


def _datagram_socket(host: str, port: int, interface: str) -> socket.socket:
    """Datagrams to an address: of one receiver, or of a multicast group by an interface."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    if interface and family == socket.AF_INET:
        outward = socket.inet_aton(interface)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, outward)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    made.setblocking(False)
    made.connect((host, port))
    return made
