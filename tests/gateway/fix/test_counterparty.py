"""QuickFIX trades with us: logons, orders, a lost connection, resends, all messages validated."""

import time
from pathlib import Path

import pytest

from core.venue import FixSession
from gateway.fix.times import SECOND, clock_text, time_text
from gateway.fix.warm import warm
from tests.gateway.fix.stage import LIMITS, Stage

pytest.importorskip("quickfix")

from tests.gateway.fix.counterparty import Counterparty, connected, field


def order(party: Counterparty, identity: str, quantity: str = "1") -> None:
    stamp = time_text(time.time_ns())
    party.send("D", f"11={identity}|55=BTC-USDC|54=1|38={quantity}|40=2|44=100|59=1|60={stamp}")


@pytest.mark.parametrize("begin", ["FIX.4.4", "FIXT.1.1"])
def test_it_trades_loses_the_connection_and_gets_what_it_missed(
    stage: Stage, tmp_path: Path, begin: str
) -> None:
    stage.aid.inbound[1] = stage.aid.outbound[1] = 1  # the client's store is empty, too
    with connected(stage.port, tmp_path, begin=begin, more="ResetOnLogon=N") as party:
        party.wait_until(True, 20)
        order(party, "Q1")
        order(party, "Q2", "0")
        first, second = party.wait_for(2)
        assert (field(first, 35), field(first, 150), field(first, 11)) == ("8", "0", "Q1")
        assert (field(second, 150), field(second, 103)) == ("8", "13")
        identity = [f["clOrdId"] for _, n, f in stage.aid.commands if n == "NewOrderSingle"][-2]

        def cut() -> None:
            for client in list(stage.server.clients.values()):
                client.abort()

        stage.call(cut)
        stage.call(lambda: stage.aid.fill(1, identity, 10**8, 100 * 10**8))
        third = party.wait_for(3, 25)[2]
        assert (field(third, 150), field(third, 43), field(third, 32)) == ("F", "Y", "1")
        order(party, "Q3")
        assert field(party.wait_for(4)[3], 11) == "Q3"
        assert not [m for m in party.admin if field(m, 35) == "3"], "no Reject either way"


def test_it_takes_every_kind_of_message_we_send(stage: Stage, tmp_path: Path) -> None:
    stamp = time_text(time.time_ns())
    with connected(stage.port, tmp_path, more="ResetOnLogon=Y") as party:
        party.wait_until(True, 20)
        order(party, "K1")
        party.send("F", f"11=K2|41=K1|55=BTC-USDC|54=1|60={stamp}")
        party.send("F", f"11=K3|41=none|55=BTC-USDC|54=1|60={stamp}")
        party.send("x", "320=L1|559=4")
        party.send("c", "320=L2|321=0|55=BTC-PERP")
        party.send("e", "324=S1|263=0|55=BTC-PERP")
        party.send("g", "335=P1|263=0")
        party.send("AN", f"710=Q1|724=0|1=acme.main|60={stamp}")
        party.send("BB", "909=C1")
        got = party.wait_for(10, 20)
        kinds = [field(m, 35) for m in got]
        assert sorted(kinds) == sorted(["8", "8", "9", "y", "d", "f", "h", "AP", "AO", "BA"])
        assert not [m for m in party.admin if field(m, 35) == "3"], "no Reject either way"


def test_both_sides_change_the_day_at_the_same_time(tmp_path: Path) -> None:
    warm(LIMITS)
    moment = time.time_ns() + 8 * SECOND
    ends, before = clock_text(moment, 0), clock_text(moment - SECOND, 0)
    stage = Stage(tmp_path, (FixSession(
        session=1, sender_comp_id="DAILY", target_comp_id="EXEC", owner="acme",
        account="acme.main", authentication="open", reset_time=ends),))
    day = f"ResetOnLogon=N\nStartTime={ends}\nEndTime={before}"
    try:
        with connected(stage.port, tmp_path, "DAILY", more=day) as party:
            party.wait_until(True, 20)
            for number in range(3):
                order(party, f"Y{number}")
            party.wait_for(3)
            party.wait_until(False, 20)
            party.wait_until(True, 20)
            order(party, "T1")
            report = party.wait_for(4)[3]
            assert (field(report, 11), field(report, 34)) == ("T1", "2")
            assert stage.aid.inbound[1] >= 3, "the Logon and the order"
            assert not [m for m in party.admin if field(m, 35) == "3" or "too low" in m]
            assert not [m for m in party.admin if field(m, 141) == "Y"], "nobody had to ask"
    finally:
        stage.stop()
