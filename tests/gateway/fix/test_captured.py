"""A captured Logon sent again opens nothing, whatever was killed meanwhile; honest ones do."""

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Iterator

import pytest

from gateway.fix.message import Message, parse
from gateway.fix.profile import USED, signed_text
from gateway.fix.times import time_text
from tests.gateway.fix.exchange import SESSION, VENUE, running
from tests.gateway.fix.stage import Desk, Stage
from tools.supervisor.exchange import Exchange

SECRET = "a secret of some length"
PATIENCE = 30.0


def signed(client: Desk, number: int, when: str, text: str = "98=0|108=30") -> bytes:
    """A Logon as who knows the secret signs it."""
    plain = parse(client.message("A", "98=0|108=30", number=number, time=when))
    mac = hmac.digest(SECRET.encode(), signed_text(plain), hashlib.sha256)
    signature = base64.b64encode(mac).decode()
    return client.message(
        "A", f"{text}|95={len(signature)}|96={signature}", number=number, time=when)


def now(back: float = 0, digits: int = 9) -> str:
    return time_text(time.time_ns() - int(back * 1e9), digits)


# ---- the gateway by itself ---------------------------------------------------------------------


def answer(stage: Stage, logon: bytes) -> Message:
    """What a Logon of SIGNED is told, on a connection of its own that then ends."""
    client = stage.connect(sender="SIGNED")
    client.raw(logon)
    told = client.next()
    if told.kind == "A":
        client.send("5", number=2)
        client.expect("5")
    client.closed()
    while stage.server.clients:
        time.sleep(0.005)
    return told


def spent(stage: Stage) -> set[tuple[int, int]]:
    """What the core was told that it opens nothing."""
    return {(f["signedTime"], f["signedMark"]) for _, name, f in stage.aid.commands
            if name == "SessionSigned"}


def opened(stage: Stage) -> tuple[int, int]:
    """What the last session was opened with."""
    fields = [f for _, name, f in stage.aid.commands if name == "SessionOpen"][-1]
    return fields["signedTime"], fields["signedMark"]


def test_what_a_refused_logon_signed_opens_nothing_when_the_rest_is_mended(stage: Stage) -> None:
    client, when, before = stage.connect(sender="SIGNED"), now(), spent(stage)
    bad, good = (signed(client, 1, when, f"98=0|108={beat}|141=Y") for beat in (0, 30))
    client.drop()
    assert "HeartBtInt" in answer(stage, bad).text(58)
    assert answer(stage, good).text(58) == USED.text
    assert len(spent(stage) - before) == 1
    assert answer(stage, signed(client, 1, now(), "98=0|108=30|141=Y")).kind == "A"
    assert opened(stage)[1] not in {mark for _, mark in spent(stage)}


def test_what_was_sent_while_the_session_was_taken_opens_nothing_later(stage: Stage) -> None:
    first, second = stage.connect(sender="SIGNED"), stage.connect(sender="SIGNED")
    first.raw(signed(first, 1, now(), "98=0|108=30|141=Y"))
    first.expect("A")
    early = signed(second, 1, now(), "98=0|108=30|141=Y")
    second.raw(early)
    second.closed()
    again = signed(first, 1, now(), "98=0|108=30|141=Y")
    first.raw(again)  # a Logon inside the session
    first.expect("A")
    first.send("5", number=2)
    first.expect("5")
    first.closed()
    while stage.server.clients:
        time.sleep(0.005)
    for logon in (early, again):
        assert answer(stage, logon).text(58) == USED.text
    assert len(spent(stage)) >= 2


# ---- the whole exchange ------------------------------------------------------------------------


@pytest.fixture
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    name = f"fixcapt-{uuid.uuid4().hex[:8]}"
    entry = SESSION.format(number=1, name="SIGNED", owner="desk-north", more="")
    entry = entry.replace('"open"', f'"hmac"\nsecret = "{SECRET}"')
    with running(tmp_path_factory.mktemp("captured"), name, VENUE + entry) as found:
        yield found


class Caller:
    """A client that signs, comes and goes, and goes on with its numbers."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.number = 1

    def told(self, logon: bytes) -> Message:
        """The answer to a Logon, as soon as the exchange gives one."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                desk = Desk(self._exchange.address("fix")[1], sender="SIGNED")
                try:
                    desk.raw(logon)
                    answer = desk.next()
                    if answer.kind == "A":
                        self.number += 1
                        desk.send("5", number=self.number)
                        desk.expect("5")
                        desk.closed()  # so the session is free
                        self.number += 1
                    return answer
                finally:
                    desk.leave()
            except (OSError, EOFError):
                assert time.monotonic() < end
                time.sleep(0.05)

    def call(self, when: str) -> bytes:
        """Log on and off, signed anew; the Logon."""
        desk = Desk(self._exchange.address("fix")[1], sender="SIGNED")
        logon = signed(desk, self.number, when)
        desk.leave()
        answer = self.told(logon)
        assert answer.kind == "A", answer
        return logon


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_captured_logon_is_refused_by_whoever_comes_after(exchange: Exchange) -> None:
    caller = Caller(exchange)
    whole = now(digits=0)
    # Quickly one after the other, of a clock that was set back, of one with whole seconds.
    captured = [caller.call(when) for when in (now(), now(), now(0.5), whole, whole)]
    for process in ("fix", "core"):
        before = exchange.kill(process)
        exchange.wait_running(process, other_than=before)
        if process == "core":  # asked again, lest the gateway's own memory answers
            exchange.wait_running("fix", other_than=exchange.kill("fix"))
        for logon in captured:
            assert caller.told(logon).text(58) == USED.text
            reset = logon.replace(b"108=30", b"108=31")  # altered where nothing is signed
            reset = reset[:-4] + b"%03d\x01" % (sum(reset[:-7]) & 255)
            assert caller.told(reset).text(58) == USED.text
        captured.append(caller.call(now()))
