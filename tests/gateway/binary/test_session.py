"""The session over real sockets: from Negotiate to Terminate, and everything that can go wrong."""

import os
import socket
import struct
import time

import pytest

from core.messages import encode
from gateway.binary.frames import framed
from sbe.generated import order_entry as oe
from tests.gateway.binary.conftest import SESSION


def test_an_order_goes_through(exchange, client):
    ack = client.connect()
    assert (ack["nextSeqNo"], ack["lastIncomingSeqNo"]) == (1, 0)
    client.write(client.order(echo=b"mine"))
    name, report = client.receive()
    assert name == "ExecutionReport"
    assert report["header"]["msgSeqNum"] == 1
    assert report["header"]["lastAppliedSeqNo"] == 1
    assert (report["clOrdId"], report["echo"]) == (1, b"mine")
    assert exchange.core.orders[0][0] == SESSION


def test_a_frame_may_come_byte_by_byte(exchange, client):
    client.connect()
    for byte in client.order() + client.order():
        client.write(bytes([byte]))
        exchange.step()
    assert [client.receive()[1]["clOrdId"] for _ in range(2)] == [1, 2]


def test_many_frames_may_come_at_once(exchange, client):
    client.connect(keepaliveInterval=60_000)
    client.write(b"".join(client.order() for _ in range(5000)))
    assert [client.receive()[1]["clOrdId"] for _ in range(5000)] == list(range(1, 5001))
    assert [order["header"]["msgSeqNum"] for _, order in exchange.core.orders] == list(
        range(1, 5001))


# ---- who may come -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sessionId": 999}, oe.REJECT_CODE_CREDENTIALS),
        ({"keyId": "someone"}, oe.REJECT_CODE_CREDENTIALS),
        ({"timestamp": 1}, oe.REJECT_CODE_TIMESTAMP),
    ],
)
def test_a_stranger_is_refused(exchange, client, changes, code):
    name, fields = client.negotiate(**changes)
    assert (name, fields["code"]) == ("NegotiateReject", code)
    assert client.receive() is None
    assert SESSION not in exchange.core.sessions


def test_a_wrong_signature_is_refused(exchange):
    client = exchange.client(secret="another secret altogether")
    assert client.negotiate()[1]["code"] == oe.REJECT_CODE_CREDENTIALS
    assert client.receive() is None


def test_a_version_must_rise(exchange, client):
    client.connect()
    client.close()
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)
    for version in (client.version, client.version - 1):
        again = exchange.client()
        name, fields = again.negotiate(version=version)
        assert (name, fields["code"]) == ("NegotiateReject", oe.REJECT_CODE_VERSION_NOT_HIGHER)
        assert fields["currentVersionId"] == client.version
    assert exchange.client().negotiate(version=client.version + 1)[0] == "NegotiateResponse"


def test_the_core_has_the_last_word_on_who_may_come(exchange, client):
    exchange.core.reasons[SESSION] = oe.REASON_UNKNOWN_SESSION
    name, fields = client.negotiate()
    assert (name, fields["code"]) == ("NegotiateReject", oe.REJECT_CODE_CREDENTIALS)


def test_a_second_connection_is_refused_and_the_first_lives(exchange, client):
    client.connect()
    second = exchange.client()
    assert second.negotiate()[1]["code"] == oe.REJECT_CODE_DUPLICATE_CONNECTION
    third = exchange.client()
    third.version = client.version
    name, fields = third.establish()
    assert (name, fields["code"]) == ("EstablishReject", oe.REJECT_CODE_DUPLICATE_CONNECTION)
    client.write(client.order())
    assert client.receive()[0] == "ExecutionReport"


def test_two_sessions_trade_side_by_side(exchange, client):
    other = exchange.client(session=8)
    client.connect()
    other.connect()
    client.write(client.order())
    other.write(other.order() + other.order())
    assert client.receive()[1]["header"]["msgSeqNum"] == 1
    assert [other.receive()[1]["header"]["msgSeqNum"] for _ in range(2)] == [1, 2]
    assert client.silent()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"versionId": 5}, oe.REJECT_CODE_UNNEGOTIATED),
        ({"keepaliveInterval": 50}, oe.REJECT_CODE_KEEPALIVE_INTERVAL),
        ({"keepaliveInterval": 60_001}, oe.REJECT_CODE_KEEPALIVE_INTERVAL),
        ({"nextSeqNo": 0}, oe.REJECT_CODE_NEXT_SEQ_NO),
        ({"sessionId": 8}, oe.REJECT_CODE_UNNEGOTIATED),
    ],
)
def test_an_establish_that_is_refused(client, changes, code):
    client.negotiate()
    name, fields = client.establish(**changes)
    assert (name, fields["code"]) == ("EstablishReject", code)
    assert client.receive() is None


@pytest.mark.parametrize("restarted", [False, True])
def test_an_establish_cannot_be_replayed(exchange, client, restarted):
    client.negotiate()
    stamp = time.time_ns()
    assert client.establish(timestamp=stamp)[0] == "EstablishAck"
    client.close()
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)
    if restarted:
        exchange.restart()
    again, honest = exchange.client(), exchange.client()
    again.version = honest.version = client.version
    assert again.establish(timestamp=stamp)[1]["code"] == oe.REJECT_CODE_TIMESTAMP
    assert again.receive() is None
    assert not exchange.core.sessions[SESSION].connection
    assert honest.establish()[0] == "EstablishAck"


def test_establishing_twice_is_refused_and_the_session_lives(client):
    client.connect()
    assert client.establish()[1]["code"] == oe.REJECT_CODE_ALREADY_ESTABLISHED
    client.write(client.order())
    assert client.receive()[0] == "ExecutionReport"


# ---- violations -------------------------------------------------------------------------------


def terminated(client):
    """The code of the Terminate, behind which nothing comes."""
    name, fields = client.receive()
    assert name == "Terminate"
    assert client.receive() is None
    return fields["code"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", oe.TERMINATION_CODE_INVALID_FRAME),
        (struct.pack(">IH", 1 << 17, 0xEB50), oe.TERMINATION_CODE_INVALID_FRAME),
        (struct.pack(">IH", 10, 0xEB50) + bytes(4), oe.TERMINATION_CODE_INVALID_FRAME),
        (struct.pack(">IH", 0xFFFFFFFF, 0xEB50), oe.TERMINATION_CODE_INVALID_FRAME),
        (framed(struct.pack("<HHHH", 0, 100, 9, 1)), oe.TERMINATION_CODE_UNRECOGNIZED_MESSAGE),
        (framed(struct.pack("<HHHH", 0, 99, 1, 1)), oe.TERMINATION_CODE_UNRECOGNIZED_MESSAGE),
        (framed(struct.pack("<HHHH", 160, 200, 1, 1)), oe.TERMINATION_CODE_UNRECOGNIZED_MESSAGE),
        (framed(struct.pack("<HHHH", 12, 100, 1, 1)), oe.TERMINATION_CODE_DECODING_ERROR),
        (
            framed(encode("Sequence", {"nextSeqNo": 1, "lastAppliedSeqNo": 0, "lapsed": 0})[:-1]),
            oe.TERMINATION_CODE_DECODING_ERROR,
        ),
    ],
)
def test_a_violation_ends_only_its_own_session(exchange, client, data, code):
    other = exchange.client(session=8)
    other.connect()
    client.connect()
    client.write(client.order())
    assert client.receive()[0] == "ExecutionReport"
    client.write(data)
    assert terminated(client) == code
    exchange.until(lambda: not exchange.core.sessions[SESSION].connection)
    other.write(other.order())
    assert other.receive()[0] == "ExecutionReport"


def test_bytes_behind_a_message_are_a_decoding_error(client):
    client.connect()
    frame = client.order() + b"\0"
    client.write(struct.pack(">I", len(frame)) + frame[4:])
    assert terminated(client) == oe.TERMINATION_CODE_DECODING_ERROR


def test_an_order_before_the_session_is_established_is_a_violation(exchange, client):
    client.write(client.order())
    assert terminated(client) == oe.TERMINATION_CODE_NOT_ESTABLISHED
    assert not exchange.core.orders


def test_nothing_behind_a_violation_is_applied(exchange, client):
    client.connect()
    client.write(client.order() + b"x" * 6 + client.order())
    assert terminated(client) == oe.TERMINATION_CODE_INVALID_FRAME
    assert [order["clOrdId"] for _, order in exchange.core.orders] == [1]


def test_who_says_nothing_is_sent_away(make):
    exchange = make(negotiate_seconds=0.1)
    silent = exchange.client()
    assert terminated(silent) == oe.TERMINATION_CODE_NOT_ESTABLISHED


def test_a_flood_while_the_core_is_asked_is_a_violation(exchange, client):
    client.negotiate()
    client.signed(
        "Establish", sessionId=SESSION, versionId=client.version, keepaliveInterval=1000,
        nextSeqNo=1, cancelOnDisconnectWindow=0, cancelOnDisconnect=0,
    )
    flood = client.order() * 4000
    for begin in range(0, len(flood), 4096):
        try:
            client.socket.send(flood[begin : begin + 4096])
        except OSError:
            break
        exchange.gateway.poll()
    exchange.settle(0.05)
    assert not exchange.core.orders


# ---- the numbers ------------------------------------------------------------------------------


def test_a_gap_is_reported_not_applied_and_what_follows_is_applied(exchange, client):
    client.connect()
    client.write(client.order(1) + client.order(5) + client.order(6))
    messages = [client.receive() for _ in range(4)]
    gaps = [f for name, f in messages if name == "NotApplied"]
    assert gaps == [{"fromSeqNo": 2, "count": 3}]
    assert [o["header"]["msgSeqNum"] for _, o in exchange.core.orders] == [1, 5, 6]


def test_a_duplicate_is_dropped_without_a_word(exchange, client):
    client.connect()
    client.write(client.order(1) + client.order(2) + client.order(1) + client.order(3))
    assert [client.receive()[1]["clOrdId"] for _ in range(3)] == [1, 2, 3]
    assert client.silent()
    assert len(exchange.core.orders) == 3


def test_a_client_that_announces_a_higher_number_is_told_of_the_gap(client):
    client.negotiate()
    assert client.establish(nextSeqNo=10)[0] == "EstablishAck"
    assert client.receive() == ("NotApplied", {"fromSeqNo": 1, "count": 9})
    client.write(client.order(10))
    assert client.receive()[1]["header"]["lastAppliedSeqNo"] == 10


def test_without_the_core_orders_are_refused_and_not_lost_later(exchange, client):
    client.connect()
    exchange.core.go_away()
    client.write(client.order())
    name, reject = client.receive()
    assert (name, reject["reason"]) == ("BusinessReject", oe.REASON_BUSY)
    assert (reject["refSeqNo"], reject["refTemplateId"]) == (1, 100)
    assert reject["header"]["msgSeqNum"] == 0
    assert exchange.client(session=8).negotiate()[1]["code"] == oe.REJECT_CODE_UNAVAILABLE
    exchange.core.come_back()
    client.write(client.order())
    assert client.receive()[1]["header"]["lastAppliedSeqNo"] == 2
    assert [o["clOrdId"] for _, o in exchange.core.orders] == [2]


def test_a_full_ring_refuses_and_nothing_is_half_done(make):
    exchange = make(ring_bytes=1 << 16)
    client = exchange.client()
    client.connect(keepaliveInterval=60_000)
    client.socket.setblocking(True)
    for _ in range(1000):
        client.socket.sendall(client.order())
        exchange.gateway.poll()  # The core does not take anything.
    client.socket.setblocking(False)
    messages = [client.receive() for _ in range(1000)]
    refused = [f["refSeqNo"] for name, f in messages if name == "BusinessReject"]
    applied = [f["clOrdId"] for name, f in messages if name == "ExecutionReport"]
    assert refused
    assert applied
    assert sorted(refused + applied) == list(range(1, 1001))
    assert [o["clOrdId"] for _, o in exchange.core.orders] == applied


def test_a_throttle_refuses_and_at_last_ends_the_session(make):
    exchange = make(session_7={"throttle": 10})
    client = exchange.client()
    client.connect(keepaliveInterval=60_000)
    client.write(b"".join(client.order() for _ in range(30)))
    messages = [client.receive() for _ in range(30)]
    refused = [f for name, f in messages if name == "BusinessReject"]
    assert len(refused) == 20
    assert {f["reason"] for f in refused} == {oe.REASON_THROTTLED}
    assert {f["limit"] for f in refused} == {10}
    assert len(exchange.core.orders) == 10
    client.write(b"".join(client.order() for _ in range(1500)))
    while (message := client.receive())[0] != "Terminate":
        assert message[0] in ("BusinessReject", "ExecutionReport")
    assert message[1]["code"] == oe.TERMINATION_CODE_THROTTLED


# ---- silence and the end ----------------------------------------------------------------------


def test_a_silent_client_is_asked_once_and_then_ended(exchange, client):
    client.connect(keepaliveInterval=100)
    begin = time.monotonic()
    name, fields = client.receive()
    while not fields["lapsed"]:
        name, fields = client.receive()
    assert name == "Sequence"
    assert 0.1 < time.monotonic() - begin < 0.2
    while name == "Sequence":
        name, fields = client.receive()
    assert fields["code"] == oe.TERMINATION_CODE_KEEPALIVE_LAPSED
    assert 0.2 < time.monotonic() - begin < 0.4


def test_a_client_that_beats_stays(client):
    client.connect(keepaliveInterval=200)
    beats = 0
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        # On a busy machine it may be late once, and be asked; it would be ended after 450 ms.
        name, fields = client.receive()
        assert (name, fields["nextSeqNo"]) == ("Sequence", 1)
        beats += 1
        client.send("Sequence", nextSeqNo=1, lastAppliedSeqNo=0, lapsed=0)
    assert beats >= 4


def test_the_gateway_answers_a_lapse_at_once(client):
    client.connect(keepaliveInterval=5000)
    client.send("Sequence", nextSeqNo=1, lastAppliedSeqNo=0, lapsed=1)
    assert client.receive(1.0)[0] == "Sequence"


def test_goodbye_is_answered_and_the_core_is_told(exchange, client):
    client.connect()
    client.send("Terminate", sessionId=SESSION, versionId=client.version, code=0)
    assert terminated(client) == oe.TERMINATION_CODE_FINISHED
    exchange.until(lambda: exchange.core.sessions[SESSION].closes)
    assert exchange.core.sessions[SESSION].closes[0]["logout"] == 1


def test_a_lost_connection_is_told_to_the_core_with_what_the_client_chose(exchange, client):
    client.connect(cancelOnDisconnect=1, cancelOnDisconnectWindow=250)
    opened = exchange.core.sessions[SESSION].opens[-1]
    assert (opened["cancelOnDisconnect"], opened["cancelWindow"]) == (1, 250)
    client.close()
    exchange.until(lambda: exchange.core.sessions[SESSION].closes)
    closed = exchange.core.sessions[SESSION].closes[0]
    assert (closed["logout"], closed["connection"]) == (0, opened["connection"])


def test_a_client_that_does_not_read_is_cut_off_alone(make):
    exchange = make(send_buffer_bytes=1 << 14)
    client, other = exchange.client(), exchange.client(session=8)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect()
    other.connect()
    sent = 0
    while exchange.core.sessions[SESSION].connection and sent < 100_000:
        client.write(b"".join(client.order() for _ in range(200)))
        exchange.settle()
        sent += 200
    assert not exchange.core.sessions[SESSION].connection
    other.write(other.order())
    assert other.receive()[0] == "ExecutionReport"
    exchange.until(lambda: exchange.gateway.connections == 1)


def test_too_many_connections_are_turned_away(make):
    exchange = make(connections_max=2)
    first, second, third = (exchange.client() for _ in range(3))
    exchange.settle(0.05)
    assert third.receive() is None
    second.close()
    exchange.settle(0.05)
    assert first.negotiate()[0] == "NegotiateResponse"


def test_everyone_is_told_when_the_gateway_stops(exchange, client):
    client.connect()
    exchange.gateway.stop()
    assert client.receive()[1]["code"] == oe.TERMINATION_CODE_SHUTDOWN


def test_a_client_that_reads_late_gets_everything(make):
    exchange = make()
    client = exchange.client()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(keepaliveInterval=60_000)
    far = exchange.gateway._g["connections"][0]["descriptor"]
    with socket.socket(fileno=os.dup(far)) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    count = 1_000  # some 250 KB of reports: more than these sockets hold
    client.write(b"".join(client.order() for _ in range(count)))
    exchange.settle()
    c = exchange.gateway._g["connections"][0]
    assert c["blocked"]
    assert c["filled"] > c["sent"]
    numbers = [client.receive(30.0)[1]["header"]["msgSeqNum"] for _ in range(count)]
    assert numbers == list(range(1, count + 1))
    assert not c["blocked"]
