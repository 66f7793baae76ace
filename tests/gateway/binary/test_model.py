"""A session's whole life at random: drops, repetitions, reconnects, gateways and cores that die.

The model is one sentence: every order is applied exactly once or told not applied, and every event
arrives exactly once, in order, or again marked as possibly sent before.
"""

import random

import pytest

from sbe.generated import order_entry as oe
from tests.gateway.binary.conftest import SESSION

POSSIBLE_RESEND = 1
ORDERS = 400


class Trader:
    """A client that keeps book of what it sent, what it was told, and what came back."""

    def __init__(self, exchange, chance):
        self.exchange, self.chance = exchange, chance
        self.client = None
        self.version = 0
        self.next_number = 1
        self.next_event = 1
        self.next_order = 1
        self.sent = {}  # number → clOrdId, of what is under way
        self.answered = {}  # clOrdId → times a report came for the first time
        self.refused = set()  # clOrdIds that were told not applied

    def connect(self):
        session = self.exchange.core.sessions.get(SESSION)
        self.exchange.until(lambda: not (session and session.connection))
        self.client = self.exchange.client()
        self.client.version = self.version
        if not self.version:
            assert self.client.negotiate()[0] == "NegotiateResponse"
            self.version = self.client.version
        name, ack = self.client.establish(keepaliveInterval=60_000, nextSeqNo=1)
        assert name == "EstablishAck", ack
        self.resume(ack)

    def resume(self, ack):
        """What was not applied is known now; what was missed comes again."""
        last = ack["lastIncomingSeqNo"]
        for number in [n for n in self.sent if n > last]:
            self.refused.add(self.sent.pop(number))
        self.next_number = last + 1
        missing = ack["nextSeqNo"] - self.next_event
        if missing:
            self.client.send(
                "RetransmitRequest", timestamp=1, fromSeqNo=self.next_event, count=missing)
            until = ack["nextSeqNo"]
            while self.next_event < until:
                self.take(*self.client.receive(), resent=True)

    def send(self, count):
        """Orders, of which some are sent twice and some numbers are left out."""
        frames = []
        for _ in range(count):
            if self.chance.random() < 0.05:
                self.next_number += 1  # a message of ours that got lost on the way
            number, self.next_number = self.next_number, self.next_number + 1
            order, self.next_order = self.next_order, self.next_order + 1
            frames.append(self.client.order(number, clOrdId=order))
            self.sent[number] = order
            if self.chance.random() < 0.1:
                frames.append(self.chance.choice(frames))
        self.client.write(b"".join(frames))

    def take(self, name, fields, resent=False):
        if name == "ExecutionReport":
            assert fields["header"]["msgSeqNum"] == self.next_event
            assert bool(fields["flags"] & POSSIBLE_RESEND) == resent
            self.next_event += 1
            order = fields["clOrdId"]
            self.answered[order] = self.answered.get(order, 0) + 1
            self.sent.pop(fields["header"]["lastAppliedSeqNo"], None)
        elif name == "BusinessReject":
            assert fields["reason"] == oe.REASON_BUSY
            self.refused.add(self.sent.pop(fields["refSeqNo"]))
        else:
            assert name in ("NotApplied", "Sequence", "Retransmission")

    def read(self, most):
        """What is there, at most so many messages."""
        for _ in range(most):
            self.client.pull()
            length = int.from_bytes(self.client.data[:4], "big")
            if not length or len(self.client.data) < length:
                return
            self.take(*self.client.receive())


@pytest.mark.parametrize("seed", range(6))
def test_every_order_once_and_every_event_once(make, seed):
    chance = random.Random(seed)
    exchange = make(ring_bytes=1 << 18)
    trader = Trader(exchange, chance)
    trader.connect()
    while trader.next_order <= ORDERS:
        trader.send(chance.randint(1, 20))
        for _ in range(chance.randint(0, 4)):
            exchange.gateway.poll()
            if chance.random() < 0.7:
                exchange.core.poll()
        trader.read(chance.randint(0, 30))
        event = chance.random()
        if event < 0.10:
            trader.client.close()
            trader.connect()
        elif event < 0.15:
            trader.client.close()
            exchange.restart()
            trader.connect()
        elif event < 0.20:
            exchange.core.go_away()
            trader.send(3)
            exchange.gateway.poll()
            exchange.core.come_back()
    exchange.settle(0.05)
    trader.client.close()
    trader.connect()  # The end of the day: everything outstanding is settled by the numbers.
    applied = [fields["clOrdId"] for _, fields in exchange.core.orders]
    assert len(set(applied)) == len(applied)
    assert trader.answered == dict.fromkeys(applied, 1)
    # What is neither applied nor told of was passed over: its number lies below the last applied.
    told = set(applied) | trader.refused | set(trader.sent.values())
    assert told == set(range(1, trader.next_order))
    assert not (trader.refused | set(trader.sent.values())) & set(applied)
    last = exchange.core.sessions[SESSION].next_inbound - 1
    assert all(number <= last for number in trader.sent)
    assert trader.next_event == exchange.core.sessions[SESSION].next_outbound
