"""What `onebook bench fix` measures beside us: a QuickFIX acceptor that answers, or a reason."""

from pathlib import Path

import pytest

from tools.bench import quickfix
from tools.bench.fix import SENDER, TARGET, Session, _against_acceptor, _measure


def test_the_acceptor_answers_orders_and_cancels() -> None:
    try:
        quickfix.build()
    except quickfix.NotInstalled as reason:
        pytest.skip(str(reason))
    with quickfix.acceptor(SENDER.decode(), TARGET.decode()) as port:
        session = Session("127.0.0.1", port)
        following = session.probe()
        assert following == 4
        part, delays, sent = _measure(session.socket.fileno(), following, 200, 1.0, window=8)
        session.socket.close()
    assert (part["messages"], sent, len(delays)) == (200, 200, 100)
    assert (delays > 0).all()


def test_without_a_compiler_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _against_acceptor(500, 0.1, 10, 2) == ({"not_measured": "g++ isn't installed"}, {})


def test_without_its_headers_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(quickfix, "ROOT", tmp_path)
    told, _ = _against_acceptor(500, 0.1, 10, 2)
    assert told["not_measured"].startswith("the headers and the library of QuickFIX")
