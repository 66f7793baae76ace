"""The dialect and the scanner write the same frame wherever both may speak."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.messages import decode, encode
from core.reference import ReferenceData
from core.venue import FixSession
from gateway.fix.actions import Command
from gateway.fix.dialect import Dialect
from gateway.fix.logon import Admission
from gateway.fix.message import Message, frame, parse
from gateway.fix.profile import Profiles
from gateway.fix.queries import Queries
from gateway.fix.session import Session
from tests.gateway.fix.kit import NOW, Scanner, decimals, flat, header, stamp, venue

PROFILE = FixSession(
    session=7, sender_comp_id="CLIENT", target_comp_id="EXEC", authentication="open",
    owner="acme", account="acme.main", accounts=("acme.sub",))


class Recorder:
    """What the dialect asks of the gateway, written down."""

    def __init__(self) -> None:
        self.reference: ReferenceData = venue()
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def core_ready(self) -> bool:
        return True

    def send(self, command: Command, session: int) -> bool:
        assert session == 7
        name, fields = decode(encode(command.name, command.fields))
        self.sent.append((name, flat(fields)))
        return True

    def accounts_of(self, session: int) -> dict[str, int]:
        return {"acme.main": 100, "acme.sub": 101}

    def earlier_report(self, session: Session, order_id: int) -> int | None:
        return None

    def copy_report(self, session: Session, position: int) -> None:
        raise AssertionError("there is nothing to copy")

    @property
    def position(self) -> int:
        return 0

    def reports_since(self, session: Session, position: int) -> list[Message]:
        return []

    def watch_balances(self, session: Session, account: int, how: str) -> None:
        raise AssertionError("nobody watches")

    def now(self) -> int:
        return NOW

    def request(self, session: Session, message: Any, number: int) -> None:
        raise AssertionError("no market data here")


def by_dialect(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    """What the Python half makes of an order."""
    recorder = Recorder()
    scanner = Scanner()
    admission = Admission(
        Profiles((PROFILE,)), 10, lambda _: False, lambda _: 1, lambda _: 0)
    session = Session(admission, scanner.connection, 1, "", NOW)
    session.entry = PROFILE
    session.version = "FIX.4.4"
    dialect = Dialect(recorder, Queries(recorder.reference, recorder, {}))
    dialect.handle(session, parse(raw), 2)
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
