"""The gateway on its stage, for all tests of this folder."""

from collections.abc import Iterator
from typing import Any

import pytest

from core.venue import FixSession
from tests.gateway.fix.stage import GLUED, Desk, Stage

COMMON: dict[str, Any] = {"owner": "acme", "account": "acme.main", "target_comp_id": "EXEC"}
SESSIONS = (
    FixSession(session=1, sender_comp_id="CLIENT", authentication="open", **COMMON),
    FixSession(session=2, sender_comp_id="SIGNED", authentication="hmac",
               secret="a secret of some length", **COMMON),
    FixSession(session=3, sender_comp_id="WORD", authentication="password", password="pass",
               **COMMON),
    FixSession(session=4, sender_comp_id="COPY", authentication="open", drop_copy=True, **COMMON),
    FixSession(session=5, sender_comp_id="SLOW", authentication="open", throttle=3,
               cancel_on_disconnect="accounts", cancel_window_milliseconds=250, **COMMON),
    FixSession(session=6, sender_comp_id="FRESH", authentication="open", reset_on_logon=True,
               possible_resend="ignore", **COMMON),
)


@pytest.fixture(scope="session")
def stage_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One gateway for all tests; each test starts its session's numbers again."""
    yield from staged(tmp_path_factory)


def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway with these sessions, stopped behind the last test of the scope."""
    stage = Stage(tmp_path_factory.mktemp("fix"), SESSIONS, logon_seconds=1.5,
                  send_buffer_bytes=1 << 20)
    yield stage
    stage.stop()


@pytest.fixture
def stage(stage_once: Stage) -> Iterator[Stage]:
    """The gateway, open, nobody logged on, all numbers at 1."""
    # A test that closed the exchange leaves the phase closed: in earnest that is the end.
    stage_once.call(lambda: stage_once.server.bulletin.core_changed(ready=True))
    yield stage_once
    stage_once.aid.paused = False
    stage_once.status.core_ready = 1
    stage_once.forget()
    for sender in ("CLIENT", "SLOW"):  # What a test left unread would come again in the next one.
        client = stage_once.connect(sender=sender)
        client.logon("141=Y")
        client.send("5", number=2)
        client.expect_within(5, "5")
    stage_once.forget()
    # Telling it was cut short by that goodbye: nobody is to hear the rest.
    stage_once.call(stage_once.server.copies.owed._tellings.clear)


@pytest.fixture(params=[0, 1, GLUED], ids=["whole", "bytes", "glued"])
def chop(request: pytest.FixtureRequest) -> int:
    """Everything is done thrice: messages as they are, in single bytes, and glued together."""
    return int(request.param)


@pytest.fixture
def desk(stage: Stage, chop: int) -> Iterator[Desk]:
    """A client that is logged on, all numbers just begun: 2 comes next in both directions."""
    client = stage.connect(chop=chop)
    client.logon("141=Y")
    yield client
    client.leave()
