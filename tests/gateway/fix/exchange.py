"""The whole exchange for tests of the FIX gateway: every process, two desks, a drop copy."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from core import memory
from gateway.fix.message import Message
from gateway.fix.times import time_text
from tests.gateway.fix.stage import Desk
from tools.supervisor.exchange import Exchange

VENUE = """
[exchange]
policy = "async"
[feed]
enabled = false
[binary]
port = 0
[fix]
port = 0
"""
SESSION = """
[[fix.session]]
session = {number}
sender_comp_id = "{name}"
target_comp_id = "EXEC"
owner = "{owner}"
account = "{owner}"
authentication = "open"
{more}
"""
SESSIONS = "".join(SESSION.format(number=number, name=name, owner=owner, more=more) for (
    number, name, owner, more) in (
        (1, "NORTH", "desk-north", "throttle = 50"), (2, "SOUTH", "desk-south", ""),
        (3, "COPY", "desk-north", "drop_copy = true"), (4, "MAKER", "maker-one", ""),
        (5, "CLIENT", "desk-south", "")))


@contextlib.contextmanager
def running(folder: Path, name: str, venue: str = VENUE + SESSIONS) -> Iterator[Exchange]:
    """An exchange with its own name and data; stopped and forgotten at the end."""
    config = folder / "venue.toml"
    config.write_text(venue)
    exchange = Exchange(
        ["--config", str(config), "--instance", name, "--data", str(folder / "data")],
        log=folder / "log.jsonl")
    exchange.start()
    try:
        yield exchange
    finally:
        exchange.close()
        memory.unlink_all(name)


class Trader(Desk):
    """A desk at the real exchange: logs on from 1, and orders what one asks for."""

    def __init__(self, exchange: Exchange, sender: str, **options: int) -> None:
        super().__init__(exchange.address("fix")[1], sender=sender, **options)
        try:
            self.logon("141=Y")
        except BaseException:
            self.leave()
            raise

    def until(self, kind: str, **fields: object) -> Message:
        """The next message of this kind with these fields (`_45=3`); others are passed over."""
        wanted = {int(tag[1:]): str(value) for tag, value in fields.items()}
        while True:
            message = self.next()
            if message.kind == kind and all(message.text(t) == v for t, v in wanted.items()):
                return message

    def place(self, identity: str, side: int, quantity: str, price: str, text: str = "",
              symbol: str = "BTC-PERP") -> None:
        """Send a limit order."""
        more = f"|{text}" if text else ""
        self.send("D", f"11={identity}|55={symbol}|54={side}|38={quantity}|40=2|44={price}|59=1"
                       f"|60={now()}{more}")


def now() -> str:
    """A UTCTimestamp of this moment."""
    return time_text(time.time_ns())
