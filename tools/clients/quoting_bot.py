"""An example market maker: two-sided quotes around the mark, leaning against its position.

    python -m tools.clients.quoting_bot --key-id maker-one --session 101 --account 100 \\
        --secret "maker-one: for trying out only" --instrument 4 --size 0.01

It learns instruments and marks from the feed, quotes over the binary gateway, moves its quotes when
the mark or its position has moved, and stops where market-maker protection stops it, for as long as
it takes. A lost connection is made again; what it missed arrives first, so the position it leans
against is always its own.
"""

import argparse
import asyncio
import contextlib
from dataclasses import dataclass, field

from core.config import fixed
from sbe.generated import order_entry as oe
from tools.clients.binary import BinaryClient, Event, SessionEnded, SessionRefused, run
from tools.clients.feed import FeedReceiver, InstrumentBook, listen_tcp

MILLIONTHS = 1_000_000
RECONNECT_SECONDS = 1.0


@dataclass
class Terms:
    """How to quote: quantities with exponent −8, distances in millionths of the mark."""

    size: int
    half_spread: int = 500
    lean: int = 100  # per `size` held: how far both quotes shift against the position
    most: int = 20  # times `size`: beyond, only the side that reduces is quoted


@dataclass
class Quoter:
    """Decides what to quote, and knows what it holds; no sockets."""

    terms: Terms
    positions: dict[int, int] = field(default_factory=dict)
    stopped: bool = False

    def event(self, event: Event) -> None:
        """Follow fills and protection."""
        if event.template == oe.EXECUTION_REPORT_TEMPLATE:
            report = event.record
            if report["execType"] == oe.EXEC_TYPE_TRADE:
                bought = (report["side"] == oe.SIDE_BUY) != (
                    report["outcomeSide"] == oe.OUTCOME_SIDE_NO)
                instrument, quantity = int(report["instrument"]), int(report["lastQty"])
                held = self.positions.get(instrument, 0)
                self.positions[instrument] = held + (quantity if bought else -quantity)
        elif event.template == oe.PROTECTION_TRIGGERED_TEMPLATE:
            self.stopped = True

    def quote(
        self, book: InstrumentBook
    ) -> tuple[int, int | None, int | None, int | None, int | None] | None:
        """The entry of a mass quote for an instrument, or None without a mark."""
        if book.mark is None or not book.definition:
            return None
        terms, tick = self.terms, book.definition["tickSize"]
        held = self.positions.get(book.number, 0)
        shift = -book.mark * terms.lean * held // (terms.size * MILLIONTHS)
        half = max(tick, book.mark * terms.half_spread // MILLIONTHS)
        bid = (book.mark + shift - half) // tick * tick
        offer = -(-(book.mark + shift + half) // tick) * tick
        limit = terms.size * terms.most
        buys, sells = held < limit and bid > 0, held > -limit
        return (
            book.number,
            bid if buys else None,
            terms.size if buys else None,
            offer if sells else None,
            terms.size if sells else None,
        )


async def keep_quoting(
    client: BinaryClient,
    receiver: FeedReceiver,
    quoter: Quoter,
    account: int,
    instruments: list[int],
    seconds: float,
) -> None:
    """Quote until the connection is gone; a quote that would not change is not sent."""
    standing: dict[int, tuple[int | None, ...]] = {}
    while client.connected:
        quotes = [
            quote
            for number in instruments
            if (book := receiver.instruments.get(number)) is not None
            and (quote := quoter.quote(book)) is not None
            and standing.get(number) != quote
        ]
        if quotes:
            client.mass_quote(account=account, quotes=quotes, reset_protection=quoter.stopped)
            quoter.stopped = False
            standing.update((quote[0], quote) for quote in quotes)
        await asyncio.sleep(seconds)


async def main(options: argparse.Namespace) -> None:
    """Connect to feed and gateway, and quote until interrupted."""
    receiver = FeedReceiver()
    await listen_tcp(receiver, options.host, options.feed_port)
    quoter = Quoter(Terms(size=fixed(options.size)))
    client = BinaryClient(
        options.host, options.port, session=options.session, key_id=options.key_id,
        secret=options.secret,
    )
    client.on_event = quoter.event
    while True:
        try:
            await client.connect()
            await keep_quoting(
                client, receiver, quoter, options.account, options.instrument, options.seconds)
        except (OSError, SessionEnded) as error:
            print(f"connection lost: {error}")
        except SessionRefused as error:
            print(f"refused: {error}")
            if error.code == oe.REJECT_CODE_CREDENTIALS:
                return
        await asyncio.sleep(RECONNECT_SECONDS)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Quote two-sided around the mark.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7002)
    parser.add_argument("--feed-port", type=int, default=7003)
    parser.add_argument("--session", type=int, required=True)
    parser.add_argument("--key-id", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--account", type=int, required=True)
    parser.add_argument("--instrument", type=int, nargs="+", required=True)
    parser.add_argument("--size", required=True, help="quantity of each quote, a decimal")
    parser.add_argument("--seconds", type=float, default=0.5, help="between looks at the mark")
    return parser.parse_args()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run(main(parse()))
