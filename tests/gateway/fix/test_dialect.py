"""The dialect and the scanner write the same frame wherever both may speak."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fix.message import frame, parse
from tests.gateway.fix.kit import Scanner, decimals, header, stamp
from tests.gateway.fix.recorder import logged_on


def by_dialect(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    """What the Python half makes of an order."""
    session, recorder = logged_on(Scanner())
    session.application(session, parse(raw), 2)
    return recorder.sent


OPTIONAL = st.sampled_from([
    b"1=acme.main", b"1=acme.sub", b"18=6", b"18=6 E H", b"21=1", b"59=0", b"59=3", b"59=6",
    b"111=0.5", b"1138=0.5", b"99=70000", b"526=group", b"2964=3", b"21011=N", b"21011=Y",
    b"126=20270101-00:00:00.250",
])


@given(
    st.sampled_from("DFG"), decimals(), decimals(), st.lists(OPTIONAL, max_size=5),
    st.text("abcXYZ-09_", min_size=1, max_size=40), st.booleans(),
    st.randoms(use_true_random=False),
)
@settings(max_examples=400, deadline=None)
def test_both_halves_write_the_same(
    kind: str, quantity: tuple[bytes, int], price: tuple[bytes, int], more: list[bytes],
    identity: str, by_number: bool, shuffle: random.Random,
) -> None:
    fields = [b"11=" + identity.encode(), b"55=BTC-PERP", b"54=2", b"60=" + stamp()]
    if kind != "F":
        fields += [b"38=" + quantity[0], b"40=2", b"44=" + price[0]]
    if kind != "D":
        fields.append(b"37=123456" if by_number else b"41=first")
    fields += {field.split(b"=")[0]: field for field in more}.values()
    shuffle.shuffle(fields)
    rest = header(kind, 2).replace("|", "\x01").encode() + b"\x01"
    raw = frame(b"FIX.4.4", rest + b"".join(field + b"\x01" for field in fields))
    scanned = Scanner().feed(raw)
    if scanned and scanned[0][0] == "frame":
        _, (session, name, taken) = scanned[0]
        assert session == 7
        ((other_name, other),) = by_dialect(raw)
        assert (name, taken) == (other_name, other)
