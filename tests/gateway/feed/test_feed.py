"""The whole way of market data: engine, log, feed, socket, receiver; the network at its worst."""

import asyncio
import socket
import time

import pytest

from core.messages import encode
from gateway.binary.frames import framed
from gateway.feed import layout
from gateway.feed.messages import CODEC
from sbe.generated import market_data as md
from tests.gateway.feed.network import Reader, all_live, books_of, converge, lossy_day
from tools.clients.feed import FeedReceiver, listen_udp


def test_a_receiver_from_the_beginning_has_the_engines_books(venue):
    reader, receiver = Reader(venue), FeedReceiver()

    def deliver():
        for packet in reader.packets():
            receiver.packet(packet)

    converge(venue, receiver, deliver)
    for _ in range(60):
        venue.trade_on(10)
        venue.settle()
        deliver()
        assert receiver.mismatches == []
        assert books_of(receiver) == venue.truth()
    assert receiver.verified > 0
    assert sum(book.trades for book in receiver.instruments.values()) > 50


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loss_reorder_duplication_and_late_joins(venue, rate, seed):
    lossy_day(venue, rate, seed, turns=40)


def test_missing_packets_are_had_again_without_waiting_for_a_snapshot(make):
    venue = make(snapshot_seconds=3600.0)
    venue.settle()
    for account in (100, 101, 102, 103):
        venue.engine.deposit(account, 5_000_000)
        venue.engine.deposit(account, 100, 1)
    reader, receiver = Reader(venue), FeedReceiver()
    lost = 0
    for _ in range(20):
        venue.trade_on(20)
        venue.settle()
        for packet in reader.packets():
            if lost < 5 and receiver.packets > 4 and packet[:2] == b"\2\0":
                lost += 1
                continue
            receiver.packet(packet)
    assert receiver.missing()
    for hole in receiver.missing():
        reader.ask(*hole)
        venue.settle(0.02)
        again = reader.packets()
        assert len(again) >= hole[2]
        for packet in again:
            receiver.packet(packet)
    assert receiver.missing() == []


@pytest.mark.parametrize(
    ("channel", "first", "count", "code"),
    [
        (9, 1, 1, md.REQUEST_CODE_UNKNOWN_CHANNEL),
        (1, 1, 0, md.REQUEST_CODE_TOO_MANY),
        (1, 1, 5000, md.REQUEST_CODE_TOO_MANY),
        (1, 1 << 30, 1, md.REQUEST_CODE_NOT_YET_SENT),
    ],
)
def test_what_cannot_be_had_again_is_refused(venue, channel, first, count, code):
    reader = Reader(venue)
    reader.ask(channel, first, count)
    venue.settle(0.02)
    answers = [p for p in reader.packets() if p[:2] == b"\0\0"]
    name, fields = CODEC.decode(answers[0][18:])
    assert (name, fields["code"]) == ("RetransmitReject", code)


def test_packets_that_the_stream_has_overwritten_are_too_old(make):
    venue = make(stream_bytes=1 << 16)
    while venue.feed._f["end"] < 1 << 17:
        venue.step()
    reader = Reader(venue)
    reader.ask(101, 1, 1)
    venue.settle(0.02)
    answers = [p for p in reader.packets() if p[:2] == b"\0\0"]
    assert CODEC.decode(answers[0][18:])[1]["code"] == md.REQUEST_CODE_TOO_OLD


@pytest.mark.parametrize("garbage", [b"x" * 64, framed(encode("Sequence", {
    "nextSeqNo": 1, "lastAppliedSeqNo": 1, "lapsed": 0}))])
def test_a_receiver_that_talks_nonsense_is_cut_off_alone(venue, garbage):
    reader, other = Reader(venue), Reader(venue)
    reader.socket.sendall(garbage)
    venue.settle(0.05)
    reader.packets()
    assert reader.ended
    venue.settle(0.3)
    assert other.packets()
    assert venue.feed._receivers.count == 1


def test_a_receiver_that_does_not_read_is_cut_off_and_slows_nobody(make, monkeypatch):
    monkeypatch.setattr("gateway.feed.receivers.SEND_BUFFER", 1 << 14)
    venue = make(stream_bytes=1 << 18, snapshot_seconds=0.05)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", venue.port))
    reader, receiver = Reader(venue), FeedReceiver()
    end = time.monotonic() + 30
    while venue.feed._receivers.count != 1:
        venue.step()
        for packet in reader.packets():
            receiver.packet(packet)
        # Snapshots alone fill the slow one's socket; make them come as fast as they can.
        venue.feed._next_snapshot = 0
        venue.feed._next_timer = 0
        assert time.monotonic() < end
    slow.close()
    assert receiver.mismatches == []
    assert receiver.snapshots > 100


def test_datagrams_are_the_same_packets(make):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.setblocking(False)
    venue = make(udp_port=udp.getsockname()[1], snapshot_seconds=1.0)
    reader = Reader(venue)
    venue.settle(0.2)
    datagrams = []
    while True:
        try:
            datagrams.append(udp.recv(65536))
        except BlockingIOError:
            break
    udp.close()
    packets = reader.packets()
    assert packets
    assert set(packets) <= set(datagrams)


def test_a_receiver_of_datagrams_alone_has_the_engines_books(make):
    async def trade(venue, port):
        receiver = FeedReceiver()
        transport = await listen_udp(receiver, "127.0.0.1", port)
        end = time.monotonic() + 10.0
        while not all_live(receiver, venue) or books_of(receiver) != venue.truth():
            venue.settle()
            await asyncio.sleep(0.001)
            assert time.monotonic() < end
        for _ in range(40):
            venue.trade_on(5)
            venue.settle()
            await asyncio.sleep(0.001)
        while books_of(receiver) != venue.truth():
            await asyncio.sleep(0.001)
            assert time.monotonic() < end
        transport.close()
        assert receiver.mismatches == []

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asyncio.run(trade(make(udp_port=port), port))


def test_a_restarted_feed_voids_what_was_known_and_tells_it_anew(venue):
    reader, receiver = Reader(venue), FeedReceiver()

    def deliver():
        for packet in reader.packets():
            receiver.packet(packet)

    venue.trade_on(200)
    converge(venue, receiver, deliver)
    before = books_of(receiver)
    version = int(venue.feed._f["version"])
    venue.restart()
    venue.feed._f["version"] = version + 1  # the clock need not have moved a second
    reader = Reader(venue)
    converge(venue, receiver, deliver)
    assert books_of(receiver) == before == venue.truth()


def test_definitions_states_marks_and_open_interest_are_public(venue):
    reader, receiver = Reader(venue), FeedReceiver()
    seen = []
    receiver.on_message = lambda channel, name, fields: seen.append((channel, name))

    def deliver():
        for packet in reader.packets():
            receiver.packet(packet)

    converge(venue, receiver, deliver)
    assert receiver.instruments[2].definition["symbol"] == "I2"
    venue.engine.mark(2, 100_123)
    venue.engine.index(1, 99_999)
    venue.engine.order(101, 2, "sell", 0.5, 100_000)
    venue.engine.order(100, 2, "buy", 0.5, 100_000)
    assert venue.engine.send("SetTradingState", instrument=2, state=4) == 0
    estimate = {"instrument": 2, "rate": 87_500, "fundingTime": 10**18}
    assert venue.engine.send("FundingEstimate", **estimate) == 0
    venue.settle(1.2)
    deliver()
    book = receiver.instruments[2]
    assert (book.mark, book.state) == (100_123 * 10**8, 4)
    assert (book.volume, book.open_interest) == (50_000_000, 50_000_000)
    assert receiver.index[1] == 99_999 * 10**8
    assert {(2, "MarkPrice"), (2, "Trade"), (2, "BestPrices"), (2, "InstrumentStatus"),
            (2, "OpenInterest"), (2, "FundingEstimate"), (4, "IndexPrice")} <= set(seen)


def test_every_channel_beats(venue):
    reader = Reader(venue)
    venue.settle(2.2)
    beating = {int.from_bytes(p[:2], "little") for p in reader.packets()}
    assert set(layout.CHANNELS) == beating


def test_a_receiver_that_reads_late_misses_nothing(make, monkeypatch):
    monkeypatch.setattr("gateway.feed.receivers.SEND_BUFFER", 1 << 14)
    venue = make(snapshot_seconds=0.05)
    reader, seen = Reader(venue), []
    reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while not venue.feed._f["receivers"][0]["blocked"]:
        venue.feed._next_snapshot = venue.feed._next_timer = 0
        venue.step()
    end = time.monotonic() + 20
    while venue.feed._f["receivers"][0]["position"] < venue.feed._f["end"]:
        venue.step()
        seen += reader.packets()
        assert time.monotonic() < end
    numbers = {}
    for packet in seen:
        numbers.setdefault(packet[:2], []).append(int.from_bytes(packet[4:8], "little"))
    for channel in numbers.values():
        assert channel == list(range(channel[0], channel[0] + len(channel)))
    assert not venue.feed._f["receivers"][0]["blocked"]
