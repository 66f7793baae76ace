"""Indices and marks: several real sources, and what one bad one can do."""

import contextlib
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import simplefix
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from core.sidecars.oracle import history
from core.sidecars.oracle.fix_source import FixSource
from core.sidecars.oracle.history import Sample
from core.sidecars.oracle.http_source import HttpSource
from core.sidecars.oracle.index import DEGRADED, LIVE, STALE, Index, Weighed, weighted_median
from core.sidecars.oracle.marks import (
    PRICE_ABOVE,
    PRICE_BELOW,
    PRICE_RANGE,
    Average,
    Premium,
    chance,
    linked_mark,
    outcome_mark,
)
from core.sidecars.oracle.sources import (
    ONE,
    SECOND,
    FileSource,
    Quote,
    SimulatedSource,
    price_of,
)
from core.sidecars.oracle.websocket_source import WebSocketSource
from tests.core.sidecars.stage import Stage


class Said:
    """A source that says what it is told to."""

    def __init__(self, price: int, time: int) -> None:
        self.quote: Quote | None = Quote(price, time)

    def latest(self, now: int) -> Quote | None:
        return self.quote


def index_of(*prices: int, now: int = 0, minimum: int = 2) -> tuple[Index, list[Said]]:
    said = [Said(price, now) for price in prices]
    weighed = [Weighed(f"s{n}", s, 1, 5 * SECOND, 20_000) for n, s in enumerate(said)]
    return Index(weighed, minimum), said


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([(5, 1)], 5),
        ([(1, 1), (9, 1)], 5),
        ([(1, 1), (5, 1), (100, 1)], 5),
        ([(1, 3), (5, 1), (100, 1)], 1),
        ([(1, 2), (5, 1), (100, 1)], 3),
    ],
)
def test_weighted_median(values: list[tuple[int, int]], median: int) -> None:
    assert weighted_median(values) == median


def test_one_source_that_lies_moves_nothing() -> None:
    index, said = index_of(100 * ONE, 101 * ONE, 102 * ONE)
    result = index.update(0)
    assert result is not None
    assert (result.price, result.state, result.sources) == (101 * ONE, LIVE, 3)
    said[2].quote = Quote(10_000 * ONE, 0)
    result = index.update(0)
    assert result is not None
    assert (result.price, result.names) == (100 * ONE + ONE // 2, ("s0", "s1"))


def test_stale_sources_degrade_the_index_and_then_it_is_stale() -> None:
    index, said = index_of(100 * ONE, 101 * ONE)
    assert index.update(5 * SECOND) is not None
    said[0].quote = Quote(150 * ONE, 0)
    for now, state in ((6, DEGRADED), (65, DEGRADED), (66, STALE), (600, STALE)):
        result = index.update(now * SECOND)
        assert result is not None
        assert (result.price, result.state) == (100 * ONE + ONE // 2, state)
    said[0].quote = said[1].quote = Quote(90 * ONE, 601 * SECOND)
    result = index.update(601 * SECOND)
    assert result is not None
    assert (result.price, result.state) == (90 * ONE, LIVE)


def test_after_a_minute_the_sources_that_are_left_decide_without_being_live() -> None:
    index, said = index_of(100 * ONE, 101 * ONE, 102 * ONE, minimum=3)
    assert index.update(0) is not None
    for now, price in ((30, 101), (60, 101), (61, 90), (90, 90)):
        said[0].quote = Quote(90 * ONE, now * SECOND)
        result = index.update(now * SECOND)
        assert result is not None
        assert (result.price, result.state, result.sources) == (price * ONE, DEGRADED, 1)
    result = index.update(100 * SECOND)
    assert result is not None
    assert result.state == STALE

def test_our_own_book_weighs_no_more_than_one_of_them_and_is_no_index_alone() -> None:
    """Somebody moves our own book by a tenth, and it was given ten times the weight."""
    said = [Said(price * ONE, 0) for price in (100, 101, 102)]
    others = [Weighed(f"s{n}", s, 1, 5 * SECOND, 200_000) for n, s in enumerate(said)]
    own = Said(110 * ONE, 0)
    index = Index([*others, Weighed("own", own, 10, 5 * SECOND, 200_000, own=True)], 2)
    result = index.update(0)
    assert result is not None
    assert (result.price, result.state, result.sources) == (101 * ONE + ONE // 2, LIVE, 4)
    said[1].quote = said[2].quote = None
    for price in (100, 110):  # With one other there is no index, however sure of itself ours is.
        own.quote = Quote(price * ONE, SECOND)
        result = index.update(SECOND)
        assert result is not None
        assert result.state == DEGRADED
    said[0].quote, own.quote = None, Quote(110 * ONE, 70 * SECOND)
    result = index.update(70 * SECOND)
    assert result is not None
    assert (result.state, result.price) == (STALE, 101 * ONE + ONE // 2)


def test_an_index_that_was_never_live_says_nothing_and_the_future_is_not_fresh() -> None:
    index, said = index_of(100 * ONE, 101 * ONE)
    said[0].quote = Quote(100 * ONE, 100 * SECOND)
    assert index.update(SECOND) is None


# ---- sources -------------------------------------------------------------------------------------


def test_a_file_is_followed_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    source = FileSource(path)
    assert source.latest(7) is None
    path.write_text("time,price\n1000,100.5\nrubbish\n2000,10")
    assert source.latest(7) == Quote(100 * ONE + ONE // 2, 1000)
    with open(path, "a") as file:
        file.write("2.25\n,nonsense\n")
    assert source.latest(7) == Quote(102 * ONE + ONE // 4, 2000)
    with open(path, "a") as file:
        file.write(",7\n")
    assert source.latest(9) == Quote(7 * ONE, 9)
    path.with_suffix(".new").write_text("5,3\n")
    os.replace(path.with_suffix(".new"), path)
    assert source.latest(9) == Quote(3 * ONE, 5)


class Server(BaseHTTPRequestHandler):
    answer = b"{}"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}/"
        served.shutdown()
        thread.join()


def test_a_real_server_is_asked_again_and_again(server: str) -> None:
    Server.answer = json.dumps({"data": [{"last": "64000.12345678"}]}).encode()
    source = HttpSource(server, "data.0.last", interval_seconds=0.02)

    def hears(price: int) -> bool:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            quote = source.latest(0)
            if quote is not None and quote.price == price:
                return True
            time.sleep(0.01)
        return False

    assert hears(64_000 * ONE + 12_345_678)
    for bad in (b"not json", b'{"data": []}', b'{"data": [{"last": -3}]}', b""):
        Server.answer = bad
        time.sleep(0.05)
        quote = source.latest(0)
        assert quote is not None
        assert quote.price == 64_000 * ONE + 12_345_678
    Server.answer = b'{"data": [{"last": 65000}]}'
    assert hears(65_000 * ONE)
    source.close()


def test_nobody_waits_for_a_server_that_is_not_there() -> None:
    source = HttpSource("http://127.0.0.1:9/", interval_seconds=0.01)
    begin = time.monotonic()
    assert source.latest(0) is None
    assert time.monotonic() - begin < 0.5
    source.close()


def test_a_venue_pushes_over_a_websocket_and_is_heard_again_after_a_break() -> None:
    """The first connection says something else, then prices, then nonsense, and is cut."""
    asked: list[str | bytes] = []
    first = ['{"subscribed": 1}', '{"data": [{"last": "64000.12345678"}]}', "not json",
             '{"data": []}', '{"data": [{"last": -3}]}', b"\xff"]

    def serve_one(connection: ServerConnection) -> None:
        asked.append(connection.recv())
        for message in first if len(asked) == 1 else ['{"data": [{"last": 65000}]}']:
            connection.send(message)
        if len(asked) == 1:
            time.sleep(0.2)
            connection.close()
        else:
            with contextlib.suppress(ConnectionClosed):
                connection.recv()

    def hears(price: int) -> Callable[[], bool]:
        return lambda: (quote := source.latest(0)) is not None and quote.price == price

    with serve_websocket(serve_one, "127.0.0.1", 0) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        port = served.socket.getsockname()[1]
        source = WebSocketSource(f"ws://127.0.0.1:{port}/ticks", "data.0.last", '{"op": "sub"}',
                                 clock=lambda: 7, retry_seconds=0.05)
        assert _soon(hears(64_000 * ONE + 12_345_678))
        quote = source.latest(0)
        assert quote is not None
        assert quote.time == 7
        assert _soon(hears(65_000 * ONE))
        assert asked == ['{"op": "sub"}'] * 2
        source.close()
        served.shutdown()
        thread.join()


def test_nobody_waits_for_a_websocket_that_is_not_there() -> None:
    source = WebSocketSource("ws://127.0.0.1:9/", retry_seconds=0.01)
    begin = time.monotonic()
    assert source.latest(0) is None
    source.close()
    assert time.monotonic() - begin < 2


class Venue:
    """A FIX venue with one client: logs it on, and sends what a test tells it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self.peer: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                self.peer = self._listener.accept()[0]
            except OSError:
                return
            parser = simplefix.FixParser()
            with contextlib.suppress(OSError):
                while data := self.peer.recv(4096):
                    parser.append_buffer(data)
                    while (message := parser.get_message()) is not None:
                        self.heard.append(message.get(35))
                        if message.get(35) == b"A":
                            self.say("A", (98, 0), (108, 10))
            self.peer.close()

    def say(self, kind: str, *fields: tuple[int, object]) -> None:
        message = simplefix.FixMessage()
        for tag, value in ((8, "FIX.4.4"), (35, kind), (49, "VENUE"), (56, "ME"), (34, 1)):
            message.append_pair(tag, value, header=True)
        for tag, value in fields:
            message.append_pair(tag, value)
        assert self.peer is not None
        self.peer.sendall(message.encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self.peer is not None:
            self.peer.close()
        self._thread.join(5)


def _soon(reached: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(0.01)
    return False


def test_the_mid_of_a_fix_venue_and_back_after_a_break() -> None:
    venue, now = Venue(), [7]
    source = FixSource("127.0.0.1", venue.port, "BTCUSD", sender="ME", target="VENUE",
                       clock=lambda: now[0], retry_seconds=0.05)
    assert _soon(lambda: b"V" in venue.heard)
    assert source.latest(0) is None
    venue.say("W", (55, "BTCUSD"), (268, 2), (269, 0), (270, "100.5"), (269, 1), (270, "101.5"))
    assert _soon(lambda: source.latest(0) == Quote(101 * ONE, 7))
    now[0] = 8
    venue.say("X", (268, 1), (279, 1), (269, 1), (55, "BTCUSD"), (270, "103.5"))
    assert _soon(lambda: source.latest(0) == Quote(102 * ONE, 8))
    now[0] = 9
    # One side is gone, another symbol speaks: nothing new was heard of this one.
    venue.say("X", (268, 1), (279, 2), (269, 1), (55, "BTCUSD"))
    venue.say("X", (268, 1), (279, 0), (269, 0), (55, "ETHUSD"), (270, "1"))
    venue.say("1", (112, "are you there"))
    assert _soon(lambda: b"0" in venue.heard)
    assert source.latest(0) == Quote(102 * ONE, 8)
    assert venue.peer is not None
    venue.peer.shutdown(socket.SHUT_RDWR)
    assert _soon(lambda: venue.heard.count(b"V") == 2)
    venue.say("W", (55, "BTCUSD"), (268, 2), (269, 0), (270, "90"), (269, 1), (270, "92"))
    assert _soon(lambda: source.latest(0) == Quote(91 * ONE, 9))
    source.close()
    venue.close()


def test_a_simulated_walk_is_a_function_of_seed_and_time() -> None:
    def walk() -> SimulatedSource:
        return SimulatedSource("BTC", 100_000 * ONE, 7, 0.8, began=0)

    straight, jumping = walk(), walk()
    prices = [straight.latest(second * SECOND) for second in range(0, 4000)]
    assert jumping.latest(3999 * SECOND) == prices[-1]
    assert straight.latest(-5) is None
    other = SimulatedSource("BTC", 100_000 * ONE, 8, 0.8, began=0).latest(3999 * SECOND)
    last = prices[-1]
    assert other is not None
    assert last is not None
    assert other != last
    assert abs(other.price / last.price - 1) < 0.002


@pytest.mark.parametrize("text", ["", "-1", "0", "nan", "inf", "1e30", "x", None, [], "1,5"])
def test_what_is_no_price(text: object) -> None:
    assert price_of(text) is None


# ---- marks ---------------------------------------------------------------------------------------


def test_the_premium_is_a_five_minute_mean_and_clamped() -> None:
    premium = Premium(300.0, band=0.004)
    premium.sample(1000 * SECOND, 100 * ONE, 101 * ONE)
    for second in range(1001, 1301):
        premium.sample(second * SECOND, 100 * ONE, 100 * ONE + ONE // 2)
    assert premium.mean == pytest.approx(0.005 * (1 - math.exp(-1)), rel=1e-9)
    mark = premium.update(100 * ONE, 1)
    assert mark.price == 100 * ONE * (10**9 + mark.premium) // 10**9
    for second in range(1301, 5000):
        premium.sample(second * SECOND, 100 * ONE, 150 * ONE)
    assert premium.update(100 * ONE, 1).premium == 4_000_000
    premium.sample(5000 * SECOND, 100 * ONE, None)
    assert premium.mean == pytest.approx(0.01, rel=1e-3)


def test_a_mark_moves_by_two_percent_at_most() -> None:
    premium = Premium(300.0, band=0.01)
    assert premium.update(100 * ONE, ONE).price == 100 * ONE
    assert premium.update(200 * ONE, ONE).price == 102 * ONE
    assert premium.update(50 * ONE, ONE).price == 100 * ONE


def test_the_model_of_a_price_link() -> None:
    arguments = (100 * ONE, None, 1 / 365, 0.5)
    above = chance(PRICE_ABOVE, 100 * ONE, 100 * ONE, None, 1 / 365, 0.5)
    assert 0.48 < above < 0.5
    assert chance(PRICE_ABOVE, 100 * ONE, 50 * ONE, None, 1 / 365, 0.5) > 0.9999
    below = chance(PRICE_BELOW, 100 * ONE, None, 100 * ONE, 1 / 365, 0.5)
    assert above + below == pytest.approx(1)
    inside = chance(PRICE_RANGE, 100 * ONE, 95 * ONE, 105 * ONE, 1 / 365, 0.5)
    low, high = (
        chance(PRICE_ABOVE, 100 * ONE, strike * ONE, *arguments[1:]) for strike in (95, 105)
    )
    assert inside == pytest.approx(low - high)
    assert chance(PRICE_ABOVE, 100 * ONE, 99 * ONE, None, 0, 0.5) == 1.0
    assert chance(PRICE_ABOVE, 100 * ONE, 100 * ONE, None, 0, 0.5) == 1.0


def test_marks_of_predictions_stay_on_the_tick_and_near_the_model() -> None:
    tick = ONE // 100
    assert linked_mark(0.5, None, None, 0, tick).price == 50 * tick
    assert linked_mark(0.5, 90 * tick, None, 0, tick).price == 60 * tick
    assert linked_mark(0.5, 52 * tick, (51 * tick, 0), 0, tick).price == 51 * tick
    assert linked_mark(0.5, 52 * tick, (10 * tick, 0), 61 * SECOND, tick).price == 51 * tick
    seen = linked_mark(0.5, 52 * tick, (51 * tick, 0), 0, tick)
    assert (seen.model, seen.book, seen.last_trade) == (50 * tick, 52 * tick, 51 * tick)
    assert linked_mark(0.5, 52 * tick, (10 * tick, 0), 61 * SECOND, tick).last_trade is None
    assert linked_mark(1.0, None, None, 0, tick).price == 99 * tick
    assert linked_mark(0.0, None, None, 0, tick).price == tick
    assert outcome_mark(None, None, tick) is None
    mark = outcome_mark(None, (ONE, 0), tick)
    assert mark is not None
    assert mark.price == 99 * tick


# ---- averages ------------------------------------------------------------------------------------


def test_averages_weigh_time_and_only_what_was_live(stage: Stage) -> None:
    store = stage.store("history", (history.MIGRATION,))
    for second, price, state in ((0, 100, 0), (10, 200, 0), (20, 999, 2), (30, 300, 0)):
        sample = Sample(second * SECOND, second, price * ONE, state)
        history.record(store.connection, 1, sample)
        history.record(store.connection, 1, sample)
    found = history.samples(store.connection, 1, 5 * SECOND, 40 * SECOND)
    assert [s.sequence for s in found] == [0, 10, 20, 30]
    mean = history.average(found, 5 * SECOND, 40 * SECOND)
    assert mean is not None
    assert mean.price == (5 * 100 + 10 * 200 + 10 * 300) * ONE // 25
    assert mean.covered_percent == 71
    settle = history.settlement_average
    # Before 25 the window [5, 25) is live for 15 of 20 seconds; in [12, 32) it is 10 of 20.
    settled = settle(store.connection, 1, 25 * SECOND, 20 * SECOND, 25 * SECOND)
    assert settled is not None
    assert settled[1] == 25 * SECOND
    # The window [22, 29) saw nothing live: it moves until half of it did.
    assert settle(store.connection, 1, 29 * SECOND, 7 * SECOND, 33 * SECOND) is None
    moved = settle(store.connection, 1, 29 * SECOND, 7 * SECOND, 60 * SECOND)
    assert moved is not None
    assert (moved[0].price, moved[1]) == (300 * ONE, 34 * SECOND)
    assert settle(store.connection, 2, 29 * SECOND, 7 * SECOND, 60 * SECOND) is None


def test_a_moment_of_the_book_is_not_the_book() -> None:
    book = Average(10.0)
    assert book.sample(0, 50) == 50
    assert book.sample(SECOND, 90) == 54  # 50 + (1 − e^−0.1) × 40
    mean = [book.sample(second * SECOND, 90) for second in range(2, 100)][-1]
    assert mean == 90
    assert book.sample(100 * SECOND, None) is None
    assert book.sample(101 * SECOND, 20) == 20
