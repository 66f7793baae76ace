"""Logons, sequence numbers, resends: the session layer over a real socket."""

import pytest

from tests.gateway.fix.stage import Desk, Stage


def test_an_order_is_acknowledged(desk: Desk) -> None:
    desk.order("A1")
    report = desk.expect("8", _34=2, _11="A1", _150=0, _39=0, _55="BTC-USDC", _38=1, _151=1, _14=0)
    assert report.text(49) == "EXEC"
    desk.send("5")
    desk.expect("5", _34=3)
    desk.closed()
