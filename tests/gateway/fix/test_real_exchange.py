"""The FIX gateway in front of the real core: what a desk does all day, each answer the core's."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest

from core.link import CommandLink
from core.producers import Producer
from gateway.fix.message import Message
from tests.gateway.fix.exchange import Trader, now, running
from tests.gateway.fix.stage import Desk
from tools.clients.certification import certify, markdown
from tools.clients.fix_desk import FixDesk
from tools.clients.scenarios import SCENARIOS
from tools.supervisor.exchange import Exchange

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOW = "1000"  # far below any price: such an order rests
SYMBOL = "BTC-USDC"
INDEX_ONE = 10**12


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    name = f"fixreal-{uuid.uuid4().hex[:8]}"
    with running(tmp_path_factory.mktemp("real"), name) as found:
        yield found


@pytest.fixture
def north(exchange: Exchange) -> Iterator[Trader]:
    desk = Trader(exchange, "NORTH")
    yield desk
    clear(desk)


def clear(desk: Trader) -> None:
    """Leave nothing on the book, and the session free."""
    desk.send("q", f"11=end|530=7|60={now()}")
    desk.until("r")
    desk.leave()
    time.sleep(0.1)


@pytest.fixture
def south(exchange: Exchange) -> Iterator[Trader]:
    desk = Trader(exchange, "SOUTH")
    yield desk
    desk.leave()
    time.sleep(0.1)


def trade(north: Trader, south: Trader, identity: str, price: str = "1000") -> Message:
    """North buys from south; north's report of it."""
    north.place(f"B{identity}", 1, "0.001", price, symbol=SYMBOL)
    north.expect("8", _150=0)
    south.place(f"S{identity}", 2, "0.001", price, symbol=SYMBOL)
    south.expect("8", _150=0)
    south.expect("8", _150="F")
    return north.expect("8", _150="F", _39=2)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_of_the_certification_passes(exchange: Exchange, name: str) -> None:
    desk = FixDesk("127.0.0.1", exchange.address("fix")[1], sender="MAKER", target="EXEC",
                   secret="none needed")
    case = certify(desk, name, {"symbol": SYMBOL, "quantity": "0.02", "price": LOW, "less": "0.01"})
    desk.drop()
    assert case.passed, markdown([case])
    time.sleep(0.05)


def test_a_list_is_entered_and_summed_up(north: Trader) -> None:
    entries = "".join(
        f"|11=L{n}|67={n}|55={symbol}|54=1|38={quantity}|40=2|44={LOW}"
        for n, (symbol, quantity) in enumerate(
            [(SYMBOL, "0.01"), ("NONE-USDC", "1"), ("ETH-USDC", "0.0001"), ("ETH-USDC", "1")], 1))
    north.send("E", f"66=basket|394=3|68=4|60={now()}|73=4{entries}")
    reports = {}
    message = north.next()
    while message.kind == "8":
        assert message.text(66) == "basket"
        reports[message.text(11)] = message.text(39)
        message = north.next()
    assert reports == {"L1": "0", "L2": "8", "L3": "8", "L4": "0"}
    assert (message.kind, message.text(66), message.text(429)) == ("N", "basket", "1")
    assert (message.text(431), message.text(68)) == ("3", "4")
    states = [(e[11], e[39]) for e in message.group(73, (11, 14, 39, 151, 84, 6, 103, 58))]
    assert states == [(b"L1", b"0"), (b"L2", b"8"), (b"L3", b"8"), (b"L4", b"0")]
    north.send("F", f"11=C1|41=L1|55={SYMBOL}|54=1|60={now()}")
    north.expect("8", _150=4)
    north.send("M", "66=basket")
    told = north.expect("N", _66="basket", _429=2, _83=2, _431=3)
    members = (11, 14, 39, 151, 84, 6, 103, 58)
    states = [(e[11], e[39]) for e in told.group(73, members)]
    assert states == [(b"L1", b"4"), (b"L2", b"8"), (b"L3", b"8"), (b"L4", b"0")]
    assert told.group(73, members)[1][58] == b"there is no instrument NONE-USDC (tag 55)"
    north.send("E", f"66=basket|394=3|68=1|60={now()}|73=1{entries.partition('|11=L2')[0]}")
    assert north.expect("N", _431=7).text(444) == "ListID (tag 66) was used before"


def test_a_preview_says_what_the_order_then_takes(north: Trader) -> None:
    north.send("U1", f"21037=P1|55=BTC-PERP|54=1|38=0.5|40=2|44={LOW}|60={now()}")
    told = north.expect("U2", _21037="P1", _55="BTC-PERP", _21020=0)
    assert float(told.text(21039)) == 500
    assert float(told.text(21035)) > float(told.text(21022))
    north.place("P2", 1, "0.5", LOW)
    north.expect("8", _150=0)
    north.send("BB", "909=P3")
    message = north.next()
    while message.get(21022) is None:
        assert message.kind in ("BA", "4")
        message = north.next()
    assert float(message.text(21022)) == pytest.approx(float(told.text(21035)), abs=1)
    north.send("U1", f"21037=P4|55=BTC-PERP|54=1|38=5000|40=2|44={LOW}|60={now()}")
    much = north.until("U2", _21037="P4")
    assert (much.text(21020) != "0", much.text(58) != "") == (True, True)


def test_trades_are_recovered_after_the_last_id_known(north: Trader, south: Trader) -> None:
    first, second = trade(north, south, "T1"), trade(north, south, "T2", "1001")
    north.send("AD", "568=A1|569=0|55=BTC-USDC")
    acknowledged = north.expect("AQ", _568="A1", _749=0)
    total = int(acknowledged.text(748))
    reports = [north.expect("AE", _568="A1", _748=total) for _ in range(total)]
    assert [m.text(912) for m in reports] == ["N"] * (total - 1) + ["Y"]
    assert [m.text(17) for m in reports[-2:]] == [first.text(17), second.text(17)]
    assert [m.text(31) for m in reports[-2:]] == ["1000", "1001"]
    assert reports[-1].text(12) == second.text(12)
    assert reports[-1].text(880) == second.text(880)
    north.send("AD", f"568=A2|569=0|17={first.text(17)}")
    north.expect("AQ", _568="A2", _748=1)
    north.expect("AE", _568="A2", _17=second.text(17), _912="Y")
    north.send("AD", "568=A3|569=0|1=desk-south")
    north.expect("AQ", _568="A3", _749=9, _750=2)


def test_trades_are_told_as_they_happen_and_again_by_number(
    north: Trader, south: Trader
) -> None:
    north.send("AD", f"568=S1|569=0|263=1|17={10**17}")
    north.expect("AQ", _568="S1", _748=0)
    done = trade(north, south, "T3")
    live = north.expect("AE", _17=done.text(17), _570="N")
    north.send("2", f"7={live.text(34)}|16={live.text(34)}")
    again = north.expect("AE", _43="Y", _17=done.text(17), _34=live.text(34))
    changing = {9, 10, 43, 52, 122}
    assert [f for f in again if f[0] not in changing] == [f for f in live if f[0] not in changing]
    assert again.text(122) == live.text(52)


def test_money_is_moved_and_its_way_is_told(exchange: Exchange, north: Trader) -> None:
    north.send("BB", "909=W0|263=1")
    while north.next().get(21022) is None:
        pass
    north.expect("4", _123="Y")  # over the end of the answer, for which FIX has no word
    north.send("AY", f"902=X1|895=9|903=0|60={now()}|1703=1|1704=12.5|1705=USDC")
    held = north.expect("AZ", _902="X1", _905=0, _21031=1, _1704="12.5", _1705="USDC")
    north.until("BA", _901="-12.5", _21032=2)
    north.until("AZ", _904=held.text(904), _905=1, _21031=3)  # custody confirmed it
    north.send("AY", f"902=X2|895=9|903=0|60={now()}|1703=1|1704=99999999|1705=USDC")
    refused = north.until("AZ", _902="X2", _905=3, _21031=4)
    assert refused.text(58).startswith("not enough is free")
    north.send("AY", f"902=X3|895=8|903=0|60={now()}|21030=desk-south|1703=1|1704=1|1705=USDC")
    assert north.expect("AZ", _902="X3", _905=3).text(21020) != ""
    north.send("AY", f"902=X4|895=9|903=0|60={now()}|1703=1|1704=0.1234567|1705=USDC")
    assert "6 decimals" in north.expect("AZ", _902="X4", _905=3).text(58)
    link = CommandLink(exchange.instance, Producer.TOOLS)
    assert link.send("Deposit", {
        "key": time.time_ns(), "account": 100, "asset": 0, "amount": 7_000_000})
    deposit = north.until("BA", _901=7, _21032=1, _1705="USDC")
    assert deposit.text(1) == "desk-north"
    before = Decimal(deposit.text(21048))
    assert before == Decimal(deposit.text(1704)) > 0, "all of it is lent"
    assert link.send("AccrueInterest", {
        "key": time.time_ns(), "asset": 0, "borrowIndex": INDEX_ONE + INDEX_ONE // 500,
        "lendIndex": INDEX_ONE + INDEX_ONE // 1000, "utilisationBound": 0})
    time.sleep(0.3)  # It comes to the core on another way than the next question.
    north.send("BB", "909=W1")
    told = interest = None
    while told is None or interest is None:  # A settlement in between posts the interest before.
        message = north.until("BA", _1705="USDC")
        if message.text(909) == "W1":
            told = message
        elif message.text(21032) == "10":
            interest = message
    assert abs(Decimal(interest.text(901)) - before / 1000) <= Decimal("0.000001")
    assert interest.text(21049) == interest.text(901)
    assert Decimal(interest.text(21048)) == before + Decimal(interest.text(901))
    assert (told.text(21049), told.text(21034)) == (interest.text(901), "0")


def test_withdrawals_go_where_their_owner_lets_them(exchange: Exchange) -> None:
    north = Trader(exchange, "NORTH")
    north.send("U5", "21042=W1|21043=1|21041=bc1q-cold")
    added = north.until("U6", _21042="W1", _21043=1, _21041="bc1q-cold", _21045="Y", _21046=1)
    assert added.get(21047) is not None
    one = f"895=9|903=0|60={now()}|1703=1|1704=1|1705=USDC"
    north.send("AY", f"902=Y1|{one}|21041=bc1q-else")
    refused = north.until("AZ", _902="Y1", _905=3, _21041="bc1q-else")
    assert "owner's list" in refused.text(58)
    north.send("AY", f"902=Y2|{one}|21041=bc1q-cold")
    held = north.until("AZ", _902="Y2", _905=0, _21041="bc1q-cold")
    assert held.get(21047) is not None
    north.send("AY", f"902=Y3|{one}|21041={'x' * 65}")
    assert "64 printable" in north.until("AZ", _902="Y3", _905=3).text(58)
    north.send("U5", "21042=W2|21043=2|21041=bc1q-warm")
    assert "isn't in the list" in north.until("U6", _21042="W2").text(58)
    for name, rest in (("W3", "21043=2|21041=bc1q-cold"), ("W4", "21043=3")):
        north.send("U5", f"21042={name}|{rest}")
        assert north.until("U6", _21042=name).get(58) is None
    north.send("U5", "21042=W5|21043=4|21044=3000000")
    assert north.until("U6", _21042="W5", _21044=0).get(58) is not None
    north.leave()


def test_a_client_asks_to_be_kept_from_losing_and_paying_in(exchange: Exchange) -> None:
    north = Trader(exchange, "NORTH")
    north.send("U7", "21060=P1|21061=2|21063=250000.5")
    first = north.until("U8", _21060="P1", _21061=2)
    assert (Decimal(first.text(21064)), first.get(58)) == (Decimal("250000.5"), None)
    north.send("U7", "21060=P2|21061=2|21063=0")  # Lifting it takes a day.
    lifted = north.until("U8", _21060="P2")
    assert Decimal(lifted.text(21064)) == Decimal("250000.5")
    assert lifted.text(21047)[:8] > first.text(21047)[:8]
    north.send("U7", "21060=P3|21061=3|21063=1000000000")
    assert Decimal(north.until("U8", _21060="P3").text(21065)) == 10**9
    for name, rest, why in (
        ("P4", "21061=1", "needs its end"), ("P5", "21061=2", "needs its amount"),
        ("P6", "21061=3|21063=0.0000001", "6 decimals"),
        ("P7", "21061=1|21062=20200101-00:00:00", "isn't allowed"),
    ):
        north.send("U7", f"21060={name}|{rest}")
        assert why in north.until("U8", _21060=name).text(58)
    north.leave()


def test_the_kill_switch_outlives_the_gateway(exchange: Exchange) -> None:
    north = Trader(exchange, "NORTH")
    north.place("K1", 1, "0.01", LOW)
    north.expect("8", _150=0)
    north.send("DH", "2328=K|2329=1")
    north.expect("8", _150=4, _11="K1")
    north.expect("DI", _2328="K", _2332=1, _533=1, _21040=5)
    north.place("K2", 1, "0.01", LOW)
    assert north.expect("8", _150=8).text(21020) == "4"
    exchange.kill("fix")
    north.leave()
    again = reconnected(exchange)
    again.place("K3", 1, "0.01", LOW)
    assert again.until("8", _11="K3", _150=8).text(21020) == "4"
    again.send("DH", "2328=K|2329=2|1=desk-north")
    again.until("DI", _2329=2, _2332=1, _21040=1)
    again.place("K4", 1, "0.01", LOW)
    again.until("8", _11="K4", _150=0)  # what the last gateway left unread may come before
    clear(again)


def reconnected(exchange: Exchange, seconds: float = 30) -> Trader:
    """North, as soon as the gateway is back."""
    end = time.monotonic() + seconds
    while True:
        try:
            return Trader(exchange, "NORTH")
        except (OSError, EOFError):
            assert time.monotonic() < end
            time.sleep(0.2)


def gone_on(exchange: Exchange, sender: str, number: int) -> Trader:
    """A desk whose session goes on with a number of its own; 1 more comes next."""
    desk = Trader.__new__(Trader)
    super(Trader, desk).__init__(exchange.address("fix")[1], sender=sender)
    desk.logon(number=number)
    desk.number = number + 1
    return desk


def test_what_the_gateway_refused_is_told_again_by_the_next_one(exchange: Exchange) -> None:
    desk = Trader(exchange, "SOUTH")
    desk.place("N1", 1, "1", "1", symbol="NOTHING")
    refused = desk.expect("8", _34=2, _11="N1", _150=8, _103=1)
    desk.send("R", "131=x")
    unsupported = desk.expect("j", _34=3, _380=3)
    exchange.kill("fix")
    desk.leave()
    reconnected(exchange).leave()
    desk = gone_on(exchange, "SOUTH", 4)
    desk.send("2", "7=2|16=3")
    for first in (refused, unsupported):
        again = desk.expect(first.kind, _43="Y", _34=first.text(34), _122=first.text(52))
        assert again.text(58) == first.text(58)
    desk.leave()
    time.sleep(0.1)


def test_what_was_unread_is_told_by_the_next_gateway(exchange: Exchange) -> None:
    """The gateway is killed while it tells again; each report comes, and each is marked."""
    desk, count = Trader(exchange, "CLIENT"), 150
    for n in range(count):
        desk.place(f"U{n}", 1, "0.001", LOW, symbol=SYMBOL)
    orders = {desk.expect("8", _150=0).text(17) for _ in range(count)}
    desk.drop()
    time.sleep(0.1)
    desk = Trader(exchange, "CLIENT")
    exchange.kill("fix")
    told: list[Message] = []
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            told.append(desk.next())
    desk.leave()
    reconnected(exchange).leave()
    desk = Desk(exchange.address("fix")[1], sender="CLIENT")
    desk.logon(f"789={len(told) + 2}", number=2)
    desk.number = 3
    while len({m.text(17) for m in told if m.kind == "8"}) < count:
        told.append(desk.expect_within(5, "8"))
    assert {m.text(97) for m in told if m.kind == "8"} == {"Y"}
    assert {m.text(17) for m in told if m.kind == "8"} == orders
    desk.send("q", f"11=end|530=7|60={now()}")
    for _ in range(count):
        cancelled = desk.expect_within(5, "8")
        assert (cancelled.text(150), cancelled.text(97)) == ("4", "")
    desk.expect_within(5, "r")
    desk.leave()
    time.sleep(0.1)


def test_a_list_is_cancelled_and_told_again_by_the_next_gateway(exchange: Exchange) -> None:
    desk = Trader(exchange, "SOUTH")
    entries = "".join(
        f"|11=K{n}|67={n}|55={SYMBOL}|54=1|38=0.01|40=2|44={LOW}" for n in (1, 2, 3))
    desk.send("E", f"66=gone|394=3|68=3|60={now()}|73=3{entries}")
    first = desk.until("N", _66="gone", _83=1, _431=3, _68=3)
    desk.send("G", f"11=K4|41=K2|55={SYMBOL}|54=1|38=0.02|40=2|44={LOW}|60={now()}")
    desk.expect("8", _11="K4", _150=5)
    desk.send("F", f"11=C3|41=K3|55={SYMBOL}|54=1|60={now()}")
    desk.expect("8", _150=4, _41="K3")
    exchange.kill("fix")
    desk.leave()
    reconnected(exchange).leave()
    desk = gone_on(exchange, "SOUTH", desk.number)
    desk.send("K", f"66=gone|60={now()}")
    cancelled = {desk.expect("8", _150=4, _39=4, _66="gone").text(11) for _ in range(2)}
    assert cancelled == {"K1", "K2"}
    second = desk.expect("N", _66="gone", _429=2, _83=2, _431=6)
    assert [e[39] for e in second.group(73, (11, 14, 39, 151, 84, 6))] == [b"4"] * 3
    for told in (first, second):
        desk.send("2", f"7={told.text(34)}|16={told.text(34)}")
        again = desk.expect("N", _34=told.text(34), _43="Y", _122=told.text(52))
        changing = (9, 10, 43, 52, 122)
        assert [f for f in again if f[0] not in changing] == [
            f for f in told if f[0] not in changing]
    desk.send("K", f"66=nothing|60={now()}")
    unknown = desk.expect("N", _66="nothing", _431=7)
    desk.send("2", f"7={unknown.text(34)}|16=0")
    assert desk.expect("N", _431=7, _43="Y").text(444) == unknown.text(444)
    desk.leave()
    time.sleep(0.1)


def test_the_dead_man_timer_strikes(north: Trader) -> None:
    north.place("D1", 1, "0.01", LOW)
    north.expect("8", _150=0)
    north.send("U3", "21026=400")
    north.expect("U4", _21026=400, _1="desk-north")
    gone = north.expect("8", _150=4, _11="D1")
    assert gone.text(21020) == "84"
    north.send("U3", "21026=100|1=desk-south")
    north.expect("j", _372="U3", _380=6)


def test_the_throttle_tells_what_is_left(north: Trader) -> None:
    north.send("BE", "923=U|924=5|553=NORTH")
    north.expect("BF", _923="U", _1613=50, _1614=1, _21033=50)
    for number in range(3):
        north.place(f"H{number}", 1, "0.01", LOW)
    north.send("BE", "923=V|924=5|553=NORTH")
    while (message := north.next()).kind == "8":
        pass
    assert (message.kind, message.text(21033)) == ("BF", "47")


def test_halts_are_announced_to_those_who_asked(exchange: Exchange, north: Trader) -> None:
    north.send("g", "335=G|263=1")
    north.until("h", _335="G", _336="CONTINUOUS", _340=2)
    admin = CommandLink(exchange.instance, Producer.TOOLS)
    for state, word in ((4, "halted"), (2, "open")):
        assert admin.send("SetTradingState", {
            "key": time.time_ns(), "instrument": 2, "state": state})
        news = north.until("B", _146=1, _55="ETH-USDC")
        assert news.text(148) == f"ETH-USDC is {word}"
        assert news.text(61) == ("1" if state == 4 else "0")


def test_the_drop_copy_session_recovers_all_trades_of_its_owner(
    exchange: Exchange, north: Trader, south: Trader
) -> None:
    copy = Trader(exchange, "COPY")
    done = trade(north, south, "T9")
    assert copy.expect("8", _150=0).text(11) == "BT9"
    assert copy.expect("8", _150="F").text(17) == done.text(17)
    copy.send("AD", "568=C|569=0")
    total = int(copy.expect("AQ", _568="C", _749=0).text(748))
    assert total >= 1
    assert [copy.expect("AE", _568="C") for _ in range(total)][-1].text(17) == done.text(17)
    copy.place("no", 1, "1", "1")
    copy.expect("j", _380=6)
    copy.leave()
    time.sleep(0.1)
