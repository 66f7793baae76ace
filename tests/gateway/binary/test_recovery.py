"""What was missed comes again: after a lost connection, a dead gateway, a core that was away."""

import pytest

from core.messages import encode
from gateway.binary.frames import framed
from sbe.generated import order_entry as oe
from tests.gateway.binary.conftest import SESSION

POSSIBLE_RESEND = 1


def reconnect(exchange, before, **changes):
    """The session goes on where it was, on a new connection."""
    before.close()
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)
    client = exchange.client()
    client.version, client.number = before.version, before.number
    name, ack = client.establish(**({"nextSeqNo": before.number} | changes))
    assert name == "EstablishAck", ack
    return client, ack


def retransmit(client, first, count, timestamp=77):
    client.send("RetransmitRequest", timestamp=timestamp, fromSeqNo=first, count=count)
    name, fields = client.receive()
    assert (name, fields) == (
        "Retransmission", {"requestTimestamp": timestamp, "nextSeqNo": first, "count": count})
    messages = [client.receive() for _ in range(count)]
    assert client.receive()[0] == "Sequence"
    return messages


def test_a_session_goes_on_after_a_lost_connection(exchange, client):
    client.connect()
    client.write(client.order() + client.order())
    exchange.until(lambda: len(exchange.core.orders) == 2)
    client, ack = reconnect(exchange, client)
    assert (ack["nextSeqNo"], ack["lastIncomingSeqNo"]) == (3, 2)
    missed = retransmit(client, 1, 2)
    assert [f["header"]["msgSeqNum"] for _, f in missed] == [1, 2]
    assert all(f["flags"] & POSSIBLE_RESEND for _, f in missed)
    client.write(client.order())
    report = client.receive()[1]
    assert report["header"]["msgSeqNum"] == 3
    assert not report["flags"] & POSSIBLE_RESEND


def test_orders_sent_before_a_lost_connection_are_not_applied_twice(exchange, client):
    client.connect()
    client.write(client.order() + client.order())
    exchange.until(lambda: len(exchange.core.orders) == 2)
    client, _ = reconnect(exchange, client, nextSeqNo=1)
    client.write(client.order(1) + client.order(2) + client.order(3))
    assert client.receive()[1]["clOrdId"] == 3
    assert [o["clOrdId"] for _, o in exchange.core.orders] == [1, 2, 3]


@pytest.mark.parametrize(
    ("first", "count", "code"), [(0, 1, 0), (1, 0, 0), (3, 1, 0), (1, 3, 0), (1, 2501, 2)])
def test_what_cannot_be_retransmitted_is_refused(client, first, count, code):
    client.connect()
    client.write(client.order() + client.order())
    for _ in range(2):
        client.receive()
    client.send("RetransmitRequest", timestamp=5, fromSeqNo=first, count=count)
    assert client.receive() == ("RetransmitReject", {"requestTimestamp": 5, "code": code})
    assert [f["clOrdId"] for _, f in retransmit(client, 1, 2)] == [1, 2]


def test_two_requests_at_once_end_the_session(client):
    client.connect()
    client.write(client.order())
    client.receive()
    request = {"timestamp": 5, "fromSeqNo": 1, "count": 1}
    client.write(2 * framed(encode("RetransmitRequest", request)))
    name, fields = client.receive()
    while name != "Terminate":
        name, fields = client.receive()
    assert fields["code"] == oe.TERMINATION_CODE_RETRANSMIT_IN_PROGRESS


def test_a_new_gateway_knows_every_session(exchange, client):
    other = exchange.client(session=8)
    client.connect()
    other.connect()
    count = 1000
    for _ in range(count):
        client.write(client.order())
        other.write(other.order())
        exchange.step()
    exchange.until(lambda: len(exchange.core.orders) == 2 * count)
    exchange.restart()
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)
    client, ack = reconnect(exchange, client)
    assert (ack["nextSeqNo"], ack["lastIncomingSeqNo"]) == (count + 1, count)
    again = retransmit(client, 600, 401)
    assert [f["header"]["msgSeqNum"] for _, f in again] == list(range(600, 1001))
    assert {f["account"] for _, f in again} == {100}


def test_a_new_gateway_tells_the_core_that_its_clients_are_gone(exchange, client):
    client.connect()
    assert exchange.core.sessions[SESSION].connection
    exchange.restart()
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)


def test_an_answer_meant_for_a_dead_gateway_closes_what_it_opened(exchange, client):
    fields = {"sessionId": SESSION, "versionId": 5, "keyId": f"key-{SESSION}", "nonce": 1}
    client.signed("Negotiate", **fields)
    ring = exchange.core.ring
    while ring.published == ring.consumed:  # The core has not seen it yet.
        exchange.gateway.poll()
    exchange.restart()
    exchange.until(lambda: SESSION in exchange.core.sessions)
    exchange.until(lambda: exchange.core.sessions[SESSION].closes)
    assert not exchange.core.sessions[SESSION].connection


def test_numbers_begin_anew_with_a_new_version(exchange, client):
    client.connect()
    client.write(client.order() + client.order())
    exchange.until(lambda: len(exchange.core.orders) == 2)
    client.close()
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)
    fresh = exchange.client()
    ack = fresh.connect()
    assert (ack["nextSeqNo"], ack["lastIncomingSeqNo"]) == (1, 0)
    fresh.write(fresh.order(clOrdId=50))
    assert fresh.receive()[1]["header"]["msgSeqNum"] == 1
    assert [f["clOrdId"] for _, f in retransmit(fresh, 1, 1)] == [50]


def test_nothing_leaves_before_it_is_durable(exchange, client):
    client.connect()
    exchange.core.gate_open = False
    client.write(client.order())
    exchange.until(lambda: exchange.core.orders)
    assert client.silent()
    exchange.core.gate_open = True
    assert client.receive()[0] == "ExecutionReport"


def test_a_lapped_gateway_goes_to_the_archive_and_loses_nothing(make):
    exchange = make(log_bytes=1 << 16)
    client = exchange.client()
    client.connect(keepaliveInterval=60_000)
    for _ in range(20):
        for _ in range(50):
            client.write(client.order())
        exchange.gateway.poll()
        while exchange.core.poll():  # The log goes round while the gateway does nothing.
            pass
    reports = [client.receive()[1] for _ in range(1000)]
    assert [f["header"]["msgSeqNum"] for f in reports] == list(range(1, 1001))
    assert [f["clOrdId"] for f in retransmit(client, 1, 1000)[0][1:]] == [1]
    assert [f["clOrdId"] for _, f in retransmit(client, 400, 601)] == list(range(400, 1001))


def test_events_of_a_session_that_is_away_wait_for_it(exchange, client):
    client.connect()
    client.write(client.order())
    client.receive()
    order = exchange.core.orders[0][1]
    client.close()
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)
    for _ in range(3):
        exchange.core.report(SESSION, order)
    exchange.settle()
    client, ack = reconnect(exchange, client)
    assert ack["nextSeqNo"] == 5
    assert len(retransmit(client, 2, 3)) == 3
