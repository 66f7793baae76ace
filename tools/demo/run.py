"""The demo from start to verdict: exchange, clients, story, checks, summary."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hdrh.histogram import HdrHistogram
from rich.console import Console
from rich.live import Live
from rich.table import Table

from core.status import StatusTable
from tools.demo import checks
from tools.demo.clients import Desk, Maker
from tools.demo.observer import Observer
from tools.demo.prices import Recording
from tools.demo.screen import Screen
from tools.demo.story import Fact, Story
from tools.demo.venue import venue
from tools.supervisor.exchange import Exchange

POLL_SECONDS = 0.02
FRAMES_A_SECOND = 4
QUOTE_SECONDS = 0.1
SETTLE_DOWN_SECONDS = 11.0  # One more settlement, so that the last word is the exchange's.
EXPIRES_SHARE = 0.7
START_ALLOWANCE = 12  # Seconds from listing to the first scene.
PERCENTILES = (50, 90, 99, 99.9, 100)
_HIGHEST_NS = 60_000_000_000


class Demo:
    """One run; `play` returns the exit code."""

    def __init__(
        self, seconds: float, seed: int, policy: str, prices: Path | None, console: Console
    ) -> None:
        self._seconds = seconds
        self._seed = seed
        self._policy = policy
        self._prices = prices
        self._console = console
        self._began = time.monotonic()

    def play(self) -> int:
        """Everything, in a directory that is gone afterwards; 0 only if every fact held."""
        with tempfile.TemporaryDirectory(prefix="onebook-demo-", dir="/var/tmp") as made:
            directory = Path(made)
            recording = Recording(self._prices, directory) if self._prices else None
            expires = START_ALLOWANCE + int(self._seconds * EXPIRES_SHARE)
            config = venue(directory, expires, recording.files if recording else {})
            instance = f"demo-{os.getpid()}"
            exchange = Exchange(
                ["--config", str(config), "--data", str(directory / "data"),
                 "--instance", instance, "--policy", self._policy],
                log=directory / "exchange.log",
            )
            self._console.print("starting the exchange (a first start compiles for a minute or so)")
            exchange.start(progress=sys.stderr)
            self._console.print(f"ready after {time.monotonic() - self._began:.1f} s")
            try:
                facts = asyncio.run(self._run(exchange, directory, recording))
            finally:
                code = exchange.stop()
                exchange.close()
            facts.append(self._clean_stop(code, instance, directory))
            return self._verdict(facts)

    async def _run(
        self, exchange: Exchange, directory: Path, recording: Recording | None
    ) -> list[Fact]:
        data = directory / "data"
        status = StatusTable.open(exchange.instance, writable=False)
        observer = Observer(exchange.instance, data, self._policy, status)
        observer.poll()
        makers = [
            Maker(observer, *exchange.address("binary"), name=name, session=session, spread=spread)
            for name, session, spread in (("maker-one", 101, 150), ("maker-two", 102, 250))
        ]
        desks = [Desk(observer, *exchange.address("fix"), name=name)
                 for name in ("desk-north", "desk-south")]
        story = Story(exchange, observer, desks[0], desks[1])
        screen = Screen(story, status, makers, desks, self._seconds)
        tasks = [
            asyncio.create_task(self._watch(observer)),
            *(asyncio.create_task(maker.run(QUOTE_SECONDS)) for maker in makers),
        ]
        if recording is not None:
            tasks.append(asyncio.create_task(recording.play(self._seconds)))
        with self._screen(screen) as draw:
            drawing = asyncio.create_task(self._draw(draw, screen))
            await asyncio.sleep(2.0)  # Quotes first, then who takes them.
            tasks += [asyncio.create_task(desk.run(self._seed + i)) for i, desk in enumerate(desks)]
            await asyncio.sleep(1.0)
            await story.play(self._seconds)
            await self._end(tasks, makers, desks)
            story.say("clients have left; one last settlement, then the proof of reserves")
            settling = asyncio.create_task(self._watch(observer))
            await asyncio.sleep(SETTLE_DOWN_SECONDS)
            settling.cancel()
            drawing.cancel()
        observer.poll()
        proved = await asyncio.to_thread(
            checks.reserves_are_proved, exchange.instance, data, "desk-north", directory
        )
        self._figures(observer, makers, desks)
        status.close()
        return [
            *story.facts,
            checks.every_trade_has_two_sides(observer),
            checks.money_is_conserved(observer),
            checks.positions_cancel_out(observer),
            checks.settlements_balance(observer),
            checks.ledger_is_reconciled(directory / "exchange.log"),
            checks.no_gap(observer),
            proved,
        ]

    @staticmethod
    async def _watch(observer: Observer) -> None:
        while True:
            observer.poll()
            await asyncio.sleep(POLL_SECONDS)

    @staticmethod
    async def _end(
        tasks: list[asyncio.Task[None]], makers: list[Maker], desks: list[Desk]
    ) -> None:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for maker in makers:
            await maker.close()
        for desk in desks:
            await desk.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    @contextlib.contextmanager
    def _screen(self, screen: Screen) -> Iterator[Callable[[], None]]:
        """The live view on a terminal; else the news as lines."""
        if not self._console.is_terminal:
            told = 0

            def tell() -> None:
                nonlocal told
                for line in screen.news[told:]:
                    self._console.print(line)
                told = len(screen.news)

            yield tell
            tell()
            return
        with Live(screen.render(), console=self._console, screen=False, auto_refresh=False) as live:
            yield lambda: live.update(screen.render(), refresh=True)

    @staticmethod
    async def _draw(draw: Callable[[], None], screen: Screen) -> None:
        while True:
            draw()
            await asyncio.sleep(1 / FRAMES_A_SECOND)

    def _figures(self, observer: Observer, makers: list[Maker], desks: list[Desk]) -> None:
        """Latencies as the clients saw them, and how much went through."""
        table = Table("request to answer, µs", "count", *(f"p{p:g}" for p in PERCENTILES),
                      title="latencies at the clients")
        for column in table.columns[1:]:
            column.justify = "right"
        quotes = [value for maker in makers for value in maker.latencies]
        orders = [value for desk in desks for value in desk.latencies]
        for name, samples in (("mass quote, binary", quotes), ("order, FIX", orders)):
            histogram = HdrHistogram(1, _HIGHEST_NS, 3)
            for value in samples:
                histogram.record_value(value)
            table.add_row(name, f"{len(samples):,}", *(
                f"{histogram.get_value_at_percentile(p) / 1000:,.0f}" for p in PERCENTILES))
        self._console.print(table)
        seconds = self._seconds
        self._console.print(
            f"{observer.sequence:,} commands ({observer.sequence / seconds:,.0f}/s), "
            f"{observer.events:,} events, {len(observer.trade_ids):,} trades, policy {self._policy}"
        )

    @staticmethod
    def _clean_stop(code: int, instance: str, directory: Path) -> Fact:
        left = sorted(Path("/dev/shm").glob(f"onebook.{instance}.*"))
        detail = f"exit code {code}, {len(left)} segments left"
        return Fact("it stops cleanly and leaves no shared memory", code == 0 and not left, detail)

    def _verdict(self, facts: list[Fact]) -> int:
        table = Table("", "promise", "what was seen", title="did it hold?", show_lines=False)
        for fact in facts:
            style = "green" if fact.held else "red"
            table.add_row("✓" if fact.held else "✗", fact.name, fact.detail, style=style)
        self._console.print(table)
        broken = [fact for fact in facts if not fact.held]
        took = time.monotonic() - self._began
        verdict = "everything held" if not broken else f"{len(broken)} did not hold"
        self._console.print(f"{verdict}; {took:.0f} s in all", style="bold")
        return 1 if broken else 0


def interruptible() -> None:
    """SIGTERM ends the demo as Ctrl-C does, so that it stops its exchange."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
