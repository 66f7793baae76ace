"""An example market maker: two-sided quotes around the mark, leaning against its position.

    python -m tools.clients.quoting_bot --key-id maker-one --session 101 \\
        --secret "maker-one: for trying out only" --instrument BTC-PERP ETH-PERP --size 0.01

It learns instruments and marks from the feed, follows its account, quotes over the binary
gateway, and moves its quotes when the mark or its position has moved. When market-maker protection
has taken the quotes out, the next ones reset it. A lost connection is made again; what it missed
arrives first, so the position it leans against is always its own. It says what it trades and what
it is refused; its quotes go when it goes.
"""

import argparse
import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from core.config import decimal_text, fixed
from sbe.generated import order_entry as oe
from tools.clients.binary import BinaryClient, Event, SessionEnded, SessionRefused, run
from tools.clients.feed import FeedReceiver, InstrumentBook, listen_tcp

MILLIONTHS = 1_000_000
RECONNECT_SECONDS = 1.0
DEFINITION_SECONDS = 10.0
OWN_ACCOUNT = 0  # the session's own
REASONS = {
    value: name.removeprefix("REASON_").replace("_", " ").lower()
    for name, value in vars(oe).items()
    if name.startswith("REASON_") and isinstance(value, int)
}


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
    symbols: dict[int, str] = field(default_factory=dict)  # of the instruments it speaks of
    stopped: bool = False

    def event(self, event: Event) -> None:
        """Follow fills, positions and protection.

        A PositionReport behind the fills says where they led; of pairs there is none, and it tells
        what a liquidation has moved, which no fill did.
        """
        if event.template == oe.EXECUTION_REPORT_TEMPLATE:
            report = event.record
            if report["execType"] == oe.EXEC_TYPE_TRADE:
                bought = (report["side"] == oe.SIDE_BUY) != (
                    report["outcomeSide"] == oe.OUTCOME_SIDE_NO)
                instrument, quantity = int(report["instrument"]), int(report["lastQty"])
                held = self.positions.get(instrument, 0)
                self.positions[instrument] = held + (quantity if bought else -quantity)
        elif event.template == oe.POSITION_REPORT_TEMPLATE:
            self.positions[int(event.record["instrument"])] = int(event.record["position"])
        elif event.template == oe.POSITION_RESOLVED_TEMPLATE:
            self.positions[int(event.record["instrument"])] = 0
        elif event.template == oe.PROTECTION_TRIGGERED_TEMPLATE:
            self.stopped = True

    def words(self, event: Event) -> str:
        """What is worth saying of an event; empty for most."""
        fields = event.decode()
        if event.template == oe.EXECUTION_REPORT_TEMPLATE:
            if fields["execType"] != oe.EXEC_TYPE_TRADE:
                return ""
            side = "bought" if fields["side"] == oe.SIDE_BUY else "sold"
            quantity, price = decimal_text(fields["lastQty"]), decimal_text(fields["lastPx"])
            symbol = self.symbols.get(fields["instrument"], fields["instrument"])
            return f"{side} {quantity} {symbol} at {price}"
        if event.template == oe.BUSINESS_REJECT_TEMPLATE:
            return f"refused: {REASONS[fields['reason']]}"
        if event.template == oe.MASS_QUOTE_ACK_TEMPLATE:
            told = {fields["reason"]} | {
                quote[side] for quote in fields["quotes"] for side in ("bidReason", "offerReason")
            }
            refused = sorted(REASONS[reason] for reason in told - {oe.REASON_NONE})
            return f"quotes refused: {', '.join(refused)}" if refused else ""
        if event.template == oe.PROTECTION_TRIGGERED_TEMPLATE:
            return f"protection took out {fields['canceled']} quotes"
        return ""

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


async def find(receiver: FeedReceiver, wanted: list[str]) -> list[int]:
    """The numbers of instruments given by symbol or number. Raises LookupError."""
    deadline = time.monotonic() + DEFINITION_SECONDS
    while True:
        known = {
            book.definition["symbol"]: number
            for number, book in receiver.instruments.items()
            if book.definition
        }
        numbers = {str(number): number for number in known.values()}
        missing = [name for name in wanted if name not in known and name not in numbers]
        if not missing:
            return [numbers[name] if name in numbers else known[name] for name in wanted]
        if time.monotonic() > deadline:
            there = ", ".join(known) or "none yet"
            raise LookupError(f"no instrument {missing[0]}; there are {there}")
        await asyncio.sleep(0.1)


async def main(options: argparse.Namespace) -> None:
    """Connect to feed and gateway, and quote until interrupted."""
    receiver = FeedReceiver()
    try:
        await listen_tcp(receiver, options.host, options.feed_port)
        instruments = await find(receiver, options.instrument)
    except (OSError, LookupError) as error:
        print(f"market data: {error}")
        return
    quoter = Quoter(Terms(size=fixed(options.size)))
    quoter.symbols = {n: receiver.instruments[n].definition["symbol"] for n in instruments}
    client = BinaryClient(
        options.host, options.port, session=options.session, key_id=options.key_id,
        secret=options.secret,
    )

    def take(event: Event) -> None:
        quoter.event(event)
        if words := quoter.words(event):
            print(words, flush=True)

    client.on_event = take
    begun = False
    while True:
        try:
            await client.connect()
            print(f"connected; quoting {', '.join(quoter.symbols.values())}", flush=True)
            if not begun:  # What it holds, and from now on, whatever is lost, what changes.
                client.follow(account=options.account)
                begun = True
            await keep_quoting(
                client, receiver, quoter, options.account, instruments, options.seconds)
            print("connection lost", flush=True)
        except (OSError, SessionEnded) as error:
            print(f"connection lost: {error}", flush=True)
        except SessionRefused as error:
            print(f"refused: {error}", flush=True)
            if error.code == oe.REJECT_CODE_CREDENTIALS:
                return
        await asyncio.sleep(RECONNECT_SECONDS)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Quote two-sided around the mark.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7002, help="of the binary gateway")
    parser.add_argument("--feed-port", type=int, default=7003, help="of market data")
    parser.add_argument("--session", type=int, required=True)
    parser.add_argument("--key-id", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument(
        "--account", type=int, default=OWN_ACCOUNT, help="default: the session's own")
    parser.add_argument("--instrument", nargs="+", required=True, help="symbols or numbers")
    parser.add_argument("--size", required=True, help="quantity of each quote, a decimal")
    parser.add_argument("--seconds", type=float, default=0.5, help="between looks at the mark")
    return parser.parse_args()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run(main(parse()))
