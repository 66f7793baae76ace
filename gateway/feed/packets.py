"""Packets: opened, filled with messages, closed into the stream, sent on; compiled."""

from typing import Any

from core.atomics import clock_realtime_ns
from core.jit import jit
from gateway.binary.frames import ENCODING, SOFH_SIZE
from gateway.binary.system import EAGAIN, send
from gateway.feed.layout import (
    BLOCKED,
    CUT_OFF,
    GONE,
    PACKET_HEADER,
    PACKET_MAX,
    PACKETS_MAX,
    ROWS_MAX,
)
from sbe.raw import (
    copy,
    load_i64,
    load_u32_be,
    store_i64,
    store_u16,
    store_u16_be,
    store_u32,
    store_u32_be,
)

_FIRST_MESSAGE = SOFH_SIZE + PACKET_HEADER


@jit
def stream_address(f: Any, position: int) -> int:
    """The address of a position in the stream."""
    address: int = f.stream + (position & (f.stream_size - 1))
    return address


@jit
def message_begin(f: Any, channel: int, size: int) -> int:
    """Room for a message of `size` bytes in the channel's open packet; its address."""
    needed = 2 + size
    if f.open and (f.open_channel != channel or f.open + needed > SOFH_SIZE + PACKET_MAX):
        close_packet(f)
    if not f.open:
        f.open = _FIRST_MESSAGE
        f.open_channel = channel
    address = stream_address(f, f.end + f.open)
    store_u16(address, size)
    f.open += needed
    f.messages += 1
    return address + 2


@jit
def close_packet(f: Any) -> None:
    """Number the open packet, append it to the stream and send it as a datagram."""
    f.last_flags = 0
    if not f.open:
        return
    channel = f.channels[f.open_channel]
    address = stream_address(f, f.end)
    now = clock_realtime_ns()
    store_u32_be(address, f.open)
    store_u16_be(address + 4, ENCODING)
    packet = address + SOFH_SIZE
    store_u16(packet, f.open_channel)
    store_u16(packet + 2, f.version)
    store_u32(packet + 4, channel.next)
    store_i64(packet + 8, now)
    store_i64(channel.packets + 8 * (channel.next % PACKETS_MAX), f.end)
    channel.next += 1
    channel.last_ns = now
    if f.datagrams >= 0:
        send(f.datagrams, packet, f.open - SOFH_SIZE)  # Lost if nobody has room for it.
    f.end += f.open
    f.open = 0
    f.packets += 1


@jit
def close_packets(feed: Any) -> None:
    """Close the open packet, if there is one."""
    close_packet(feed[0])


@jit
def put_message(feed: Any, channel: int, address: int, size: int) -> None:
    """Append a message that is there already."""
    f = feed[0]
    copy(message_begin(f, channel, size), address, size)


@jit
def find_packet(feed: Any, channel: int, number: int) -> int:
    """Where in the stream a packet begins, its framing included; −1 if it is gone."""
    f = feed[0]
    position = load_i64(f.channels[channel].packets + 8 * (number % PACKETS_MAX))
    # The half ahead of the oldest byte is about to be overwritten.
    if f.end - position > f.stream_size // 2:
        return -1
    return position


@jit
def _row(f: Any, kind: int, receiver: int) -> None:
    if f.rows_used < ROWS_MAX:
        f.rows[f.rows_used].kind = kind
        f.rows[f.rows_used].receiver = receiver
        f.rows_used += 1


@jit
def _send_again(f: Any, number: int) -> bool:
    """Send what was asked for again; False if the socket takes no more for now."""
    r = f.receivers[number]
    while r.again_length > 0:
        count = send(r.descriptor, r.again, r.again_length)
        if count < 0:
            _refused(f, number, count)
            return False
        r.again += count
        r.again_length -= count
    return True


@jit
def _refused(f: Any, number: int, error: int) -> None:
    r = f.receivers[number]
    if error != -EAGAIN:
        _row(f, GONE, number)
        r.descriptor = -2
    elif not r.blocked:
        r.blocked = 1
        _row(f, BLOCKED, number)


@jit
def send_stream(f: Any) -> int:
    """Give every receiver what its socket takes of the stream; bytes given."""
    given = 0
    for number in range(f.receivers_used):
        r = f.receivers[number]
        if r.descriptor < 0:
            continue
        # One whose socket is full is left alone until epoll says that it takes more.
        if f.end - r.position > f.stream_size:
            _row(f, CUT_OFF, number)
            r.descriptor = -2
            continue
        while r.descriptor >= 0 and not r.blocked:
            stop = r.again_at if r.again_length > 0 else f.end
            if r.position == stop:
                if r.again_length == 0 or not _send_again(f, number):
                    break
                continue
            count = send(r.descriptor, stream_address(f, r.position), stop - r.position)
            if count < 0:
                _refused(f, number, count)
                break
            r.position += count
            given += count
    return given


@jit
def packet_size(feed: Any, position: int) -> int:
    """Bytes of the packet at a position of the stream, its framing included."""
    return load_u32_be(stream_address(feed[0], position))
