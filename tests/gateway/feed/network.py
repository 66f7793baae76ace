"""A network at its worst between the feed and its receivers, for tests and for the campaign."""

import random
import time

from gateway.binary.frames import SOFH, SOFH_SIZE, framed
from gateway.feed.messages import CODEC
from tools.clients.feed import FeedReceiver


class Reader:
    """Reads the feed over TCP, packet by packet."""

    def __init__(self, venue):
        self.socket = venue.client()
        self.data = b""
        self.ended = False

    def packets(self):
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            if not data:
                self.ended = True
                break
            self.data += data
        found = []
        while len(self.data) >= SOFH_SIZE:
            length = SOFH.unpack_from(self.data)[0]
            if len(self.data) < length:
                break
            found.append(self.data[SOFH_SIZE:length])
            self.data = self.data[length:]
        return found

    def ask(self, channel, first, count):
        request = {"channel": channel, "fromSeqNum": first, "count": count}
        self.socket.sendall(framed(CODEC.encode("RetransmitRequest", request)))


def books_of(receiver):
    """The receiver's books as the engine's state gives them."""
    books = {}
    for number, book in receiver.instruments.items():
        for side in (1, 2):
            if queue := book.queue(side):
                books[number, side] = set(queue)
    return books


def listed(venue):
    return {n for n in range(1, 32) if venue.feed._f["instruments"][n]["channel"]}


def all_live(receiver, venue):
    return all(n in receiver.instruments and receiver.instruments[n].live for n in listed(venue))


def lossy_day(venue, rate, seed, turns):
    """Trade while packets get lost, come twice or late, each with probability `rate`.

    One receiver is there from the beginning, one joins in the middle; at the end both have the
    engine's books, and at no time did one that held itself for live see a difference.
    """
    chance = random.Random(seed)
    reader = Reader(venue)
    receivers, late = [FeedReceiver()], chance.randint(1, turns - 1)
    held = []

    def deliver():
        for packet in reader.packets():
            for receiver in receivers:
                if chance.random() < rate:
                    continue
                for _ in range(2 if chance.random() < rate else 1):
                    delay = chance.randint(1, 20) if chance.random() < rate else 0
                    held.append([delay, receiver, packet])
        for entry in held[:]:
            entry[0] -= 1
            if entry[0] < 0:
                held.remove(entry)
                entry[1].packet(entry[2])

    for turn in range(turns):
        if turn == late:
            receivers.append(FeedReceiver())
        venue.trade_on(8)
        venue.settle(0.01)
        deliver()
        for receiver in receivers:
            assert receiver.mismatches == [], receiver.mismatches
    for receiver in receivers:
        converge(venue, receiver, deliver)
        assert receiver.mismatches == [], receiver.mismatches
        assert books_of(receiver) == venue.truth(), "another book than the engine's"
    if rate >= 0.05:  # Below, a short day may pass without a repetition.
        assert any(receiver.repeated for receiver in receivers)
    return receivers


def converge(venue, receiver, deliver, seconds=10.0):
    """Let snapshots go round until the receiver knows everything that is to be known."""
    end = time.monotonic() + seconds
    while True:
        venue.step()
        deliver()
        numbers = {n: int(venue.feed._f["instruments"][n]["number"]) for n in listed(venue)}
        known = {n: b.next - 1 for n, b in receiver.instruments.items()}
        if all_live(receiver, venue) and known == numbers:
            return
        assert time.monotonic() < end, (known, numbers)
        time.sleep(0.001)
