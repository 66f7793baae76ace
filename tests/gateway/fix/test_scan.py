"""The scanner: what it takes, what it leaves, what it skips, however the bytes are cut."""

import itertools
import random

import pytest
import simplefix
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fix.message import frame
from gateway.fix.tables import hash_of, unsigned
from tests.gateway.fix.kit import NOW, ORDER, Scanner, decimals, fix, header, stamp


@pytest.fixture
def scanner() -> Scanner:
    return Scanner()


def order(number: int = 2, identity: str = "A1", more: str = "") -> bytes:
    return fix(f"{header('D', number)}|11={identity}|{ORDER}{more}")


def test_an_order_becomes_a_frame(scanner: Scanner) -> None:
    (found,) = scanner.feed(order(more="|18=6 E|1=acme.sub|526=grp|2964=2"))
    kind, (session, name, fields) = found
    assert (kind, session, name) == ("frame", 7, "NewOrderSingle")
    assert fields == {
        "header": {"sendingTime": NOW, "msgSeqNum": 2},
        "account": 101,
        "clOrdId": unsigned(hash_of(b"A1")),
        "price": 64000_50000000,
        "orderQty": 1_50000000,
        "instrument": 1,
        "side": 1,
        "ordType": 2,
        "timeInForce": 1,
        "execInst": 3,
        "stopPx": None,
        "displayQty": None,
        "expireTime": None,
        "tag": 0,
        "selfTradePrevention": 2,
        "triggerType": 0,
        "outcomeSide": 0,
        "echo": b"11=A1\x011=acme.sub\x01526=grp\x01",
    }
    assert scanner.fields["expected"] == 3


def test_cancel_and_replace_become_frames(scanner: Scanner) -> None:
    time = stamp().decode()
    cancel = fix(f"{header('F', 2)}|11=C1|41=A1|55=BTC-USDC|54=1|60={time}")
    replace = fix(f"{header('G', 3)}|11=R1|41=A1|37=77|55=BTC-USDC|54=1|38=2|40=2|44=7.|60={time}")
    (_, (_, first, one)), (_, (_, second, two)) = scanner.feed(cancel + replace)
    assert (first, second) == ("OrderCancelRequest", "OrderCancelReplaceRequest")
    assert one["origClOrdId"] == two["origClOrdId"] == unsigned(hash_of(b"A1"))
    assert (one["orderId"], two["orderId"]) == (None, 77)
    assert (two["price"], two["orderQty"], two["stopPx"]) == (7 * 10**8, 2 * 10**8, None)
    assert two["echo"] == b"11=R1\x0141=A1\x01"


@pytest.mark.parametrize(
    "change",
    [
        ("38=1.5", "38=+1.5"), ("38=1.5", "38="), ("38=1.5", "38=1.5e2"),
        ("44=64000.5", "44=1.123456789"),
        ("54=1", "54=3"), ("40=2", "40=P"), ("59=1", "59=2"), ("55=BTC-USDC", "55=NONE"),
        ("55=BTC-USDC", "55=BTC-USDC|55=BTC-USDC"), ("60=", "61="), ("11=A1", "11=" + "x" * 41),
        ("11=A1", "11=A1|9999=1"), ("11=A1", "11=A1|43=Y"), ("11=A1", "11=A1|97=Y"),
        ("11=A1", "1=other|11=A1"), ("34=2", "34=3"), ("34=2", "34=1"), ("49=CLIENT", "49=client"),
        ("56=EXEC", "56=EXECX"), ("11=A1", "11=A1|18=6E"), ("11=A1", "11=A1|41=Z"),
        ("52=2026", "52=2025"), ("59=1", "18=Z"), ("11=A1", "|11=A1".lstrip("|") + "|-1=x"),
    ],
)
def test_what_is_not_clean_is_left_to_the_dialect(
    scanner: Scanner, change: tuple[str, str]
) -> None:
    text = f"{header('D', 2)}|11=A1|{ORDER}"
    assert change[0] in text
    raw = fix(text.replace(*change, 1))
    assert scanner.feed(raw) == [("message", raw)]
    assert scanner.fields["expected"] == 2


def test_a_full_ring_is_said_and_nothing_is_half_done(scanner: Scanner) -> None:
    scanner.memory.fill_up()
    raw = order()
    array = bytearray(raw)
    assert scanner.feed(bytes(array)) == [("busy", raw)]
    assert scanner.fields["expected"] == 2


def test_a_core_that_is_down_takes_nothing(scanner: Scanner) -> None:
    scanner.ready[0] = 0
    assert [kind for kind, _ in scanner.feed(order())] == ["message"]


def test_throttle_counts_orders_but_no_cancels(scanner: Scanner) -> None:
    scanner.fields["throttle"] = 2
    time = stamp().decode()
    cancel = fix(f"{header('F', 4)}|11=C1|41=A1|55=BTC-USDC|54=1|60={time}")
    out = scanner.feed(order(2) + order(3, "A2") + cancel + order(5, "A3"))
    assert [kind for kind, _ in out] == ["frame", "frame", "frame", "message"]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in itertools.cycle(sizes):
        pieces.append(data[at : at + size])
        at += size
        if at >= len(data):
            return pieces
    return pieces


STREAM = b"".join([
    order(2, "A"), fix(f"{header('0', 3)}"), b"noise", order(3, "B"),
    order(4, "C").replace(b"10=", b"1O="),
    order(4, "D")[:-4] + b"abc\x01", fix(f"34=9|{header('D', 4)}|11=Z"),
    order(4, "E"), b"8=FIX", b"8=FIX.4.4\x019=5000\x01", order(5, "F"), fix(header("1", 6)),
])


def test_bytes_cut_anywhere_give_the_same() -> None:
    whole = Scanner().feed(STREAM)
    assert [k if k == "message" else f[2]["echo"] for k, f in whole] == [
        b"11=A\x01", "message", b"11=B\x01", b"11=E\x01"]
    for sizes in ([1], [2, 3], [7], [100], [1, 200]):
        assert Scanner().feed(*cut(STREAM, sizes)) == whole


def test_a_length_too_long_hides_nothing_behind_it() -> None:
    bad = order(2, "A").replace(b"\x019=", b"\x019=1")  # longer by a thousand
    behind = b"".join(order(n, f"B{n}") for n in range(2, 12))
    out = Scanner().feed(bad + behind)
    assert [f[2]["echo"] for _, f in out] == [b"11=B%d\x01" % n for n in range(2, 12)]


def test_a_length_too_short_hides_nothing_behind_it() -> None:
    good = order(2, "A")
    length = good.split(b"\x01")[1]
    bad = good.replace(length, b"9=30")
    assert [f[2]["echo"] for _, f in Scanner().feed(bad + good)] == [b"11=A\x01"]


@pytest.mark.parametrize("length", ["99999999", "1000000000000", "40000"])
def test_a_length_beyond_the_cap_ends_the_connection(length: str) -> None:
    raw = f"8=FIX.4.4\x019={length}\x0135=D\x01".encode()
    assert Scanner().feed(raw) == [("too long", None)]


@pytest.mark.parametrize("length", ["", "-5", "1x", "1.5", " 12"])
def test_a_length_that_is_no_number_is_garbled(length: str) -> None:
    raw = f"8=FIX.4.4\x019={length}\x0135=0\x01".encode()
    assert [k for k, _ in Scanner().feed(raw + order())] == ["frame"]


def test_a_checksum_of_other_than_three_digits_is_garbled() -> None:
    raw = order()
    text = raw[:-7] + b"10=%d\x01" % int(raw[-4:-1])
    assert Scanner().feed(raw[:-4] + b"256\x01") == []
    if len(text) < len(raw):
        assert Scanner().feed(text) == []


def test_begin_string_decides_who_judges() -> None:
    text = f"{header('D', 2)}|11=A1|{ORDER}"
    assert Scanner(b"FIXT.1.1").feed(fix(text, b"FIXT.1.1"))[0][0] == "frame"
    assert Scanner().feed(fix(text, b"FIXT.1.1"))[0][0] == "message"


FIELD = st.sampled_from([
    b"1=acme.main", b"1=acme.sub", b"18=6", b"18=6 E", b"21=1", b"21=3", b"59=0", b"59=3", b"59=4",
    b"59=6", b"111=1", b"1138=0.5", b"99=70000", b"526=g", b"2964=1", b"21011=N", b"21011=Y",
    b"126=20270101-00:00:00", b"44=1", b"43=N", b"58=hello", b"100=XX", b"38=5", b"9=1", b"",
])


@given(
    quantity=decimals(),
    price=decimals(),
    side=st.sampled_from([b"1", b"2", b"5"]),
    kind=st.sampled_from([b"1", b"2", b"3", b"4"]),
    extra=st.lists(FIELD, max_size=4),
    shuffle=st.randoms(use_true_random=False),
    damage=st.integers(0, 400),
    byte=st.integers(0, 255),
)
@settings(max_examples=600, deadline=None)
def test_what_is_taken_is_what_simplefix_reads(
    quantity: tuple[bytes, int], price: tuple[bytes, int], side: bytes, kind: bytes,
    extra: list[bytes], shuffle: random.Random, damage: int, byte: int,
) -> None:
    """A frame always says what an independent parser reads; damaged bytes are never taken."""
    fields = [
        b"11=ID%d" % damage, b"55=BTC-PERP", b"54=" + side, b"38=" + quantity[0], b"40=" + kind,
        b"44=" + price[0], b"60=" + stamp(), *extra,
    ]
    shuffle.shuffle(fields)
    rest = header("D", 2).replace("|", "\x01").encode() + b"\x01" + b"".join(
        field + b"\x01" for field in fields if field)
    raw = frame(b"FIX.4.4", rest)
    hit = damage < len(raw) and raw[damage] != byte
    sent = raw[:damage] + bytes([byte]) + raw[damage + 1 :] if hit else raw
    for found, value in Scanner().feed(sent):
        if found != "frame":
            continue
        assert not hit, "a damaged message has the wrong sum"
        parser = simplefix.FixParser()
        parser.append_buffer(sent)
        message = parser.get_message()
        _, name, taken = value
        assert name == "NewOrderSingle"
        assert message.get(38) == quantity[0]
        assert taken["orderQty"] == quantity[1]
        assert taken["price"] == price[1]
        assert taken["side"] == int(message.get(54))
        assert taken["ordType"] == int(message.get(40))
        assert taken["timeInForce"] == int(message.get(59) or b"0")
        assert taken["clOrdId"] == unsigned(hash_of(message.get(11)))
        assert taken["outcomeSide"] == (message.get(21011) == b"N")
        assert (taken["expireTime"] is None) == (message.get(126) is None)
        assert message.count() == len({tag for tag, _ in message.pairs})
