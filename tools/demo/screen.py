"""The live view of the demo: books, trades, accounts, processes, news."""

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from core.status import StatusTable
from tools.demo.clients import ONE, Desk, Maker
from tools.demo.story import USDC, Fact, Story

NEWS_SHOWN = 9
NAMES = ("journal", "core", "fix", "binary", "settlement", "lending", "oracle", "reserves")


class Screen:
    """Draws what the observer knows; `render` is called a few times a second."""

    def __init__(
        self, story: Story, status: StatusTable, makers: Sequence[Maker], desks: Sequence[Desk],
        seconds: float,
    ) -> None:
        self._story = story
        self._status = status
        self._makers = makers
        self._desks = desks
        self._begin = time.monotonic()
        self._seconds = seconds
        self._last = (time.monotonic(), 0)
        self._rate = 0.0

    @property
    def news(self) -> list[str]:
        """What has happened so far, a line each."""
        return self._story.news

    def render(self) -> RenderableType:
        """The whole screen."""
        layout = Layout()
        layout.split_column(
            Layout(self._head(), size=3),
            Layout(name="middle", size=14),
            Layout(name="low"),
        )
        layout["middle"].split_row(
            Layout(self._markets(), ratio=3), Layout(self._processes(), ratio=2)
        )
        layout["low"].split_row(Layout(self._accounts(), ratio=3), Layout(self._news(), ratio=4))
        return layout

    def _head(self) -> Panel:
        observer = self._story.observer
        now = time.monotonic()
        then, sequence = self._last
        if now - then >= 1.0:
            self._rate = (observer.sequence - sequence) / (now - then)
            self._last = (now, observer.sequence)
        text = Text.assemble(
            ("Onebook ", "bold"), f"{now - self._begin:5.1f} s of {self._seconds:.0f}   ",
            f"command {observer.sequence:,}   {self._rate:,.0f}/s   ",
            f"trades {len(observer.trade_ids):,}   events {observer.events:,}",
        )
        return Panel(text)

    def _markets(self) -> Panel:
        table = Table("market", "mark", "last trade", box=None, expand=True)
        for column in table.columns[1:]:
            column.justify = "right"
        last = {trade["instrument"]: trade for trade in self._story.observer.trades}
        for instrument in self._story.observer.reference.instruments.values():
            mark, trade = instrument.mark, last.get(instrument.number)
            if mark is None and trade is None:
                continue
            done = f"{trade['lastQty'] / ONE:g} @ {trade['lastPx'] / ONE:,.2f}" if trade else ""
            table.add_row(instrument.symbol, f"{(mark or 0) / ONE:,.2f}", done)
        return Panel(table, title="markets")

    def _processes(self) -> Panel:
        table = Table("process", "pid", "state", "heartbeat", box=None, expand=True)
        now = time.time_ns()
        for name in NAMES:
            row = self._status.find(name)
            if row is not None:
                style = "" if row.alive else "red"
                state = row.state.name.lower() if row.alive else "killed"
                age = f"{max(0, row.age_ns(now)) / 1e9:.1f} s"
                table.add_row(name, str(row.pid), state, age, style=style)
        return Panel(table, title="processes")

    def _accounts(self) -> Panel:
        observer = self._story.observer
        table = Table("account", "USDC", "equity", "initial", "fills", box=None, expand=True)
        for column in table.columns[1:]:
            column.justify = "right"
        for desk in self._desks:
            margin = observer.margin.get(desk.account, {})
            table.add_row(
                desk.name, _money(observer.balance(desk.account)), _money(margin.get("equity")),
                _money(margin.get("initialMargin")), f"{desk.fills:,}",
            )
        for maker in self._makers:
            account = observer.account(maker.name)
            table.add_row(maker.name, _money(observer.balance(account)), "", "",
                          f"{maker.acknowledged:,} quotes")
        return Panel(Group(table, Text(), _facts(self._story.facts)), title="accounts")

    def _news(self) -> Panel:
        return Panel(Text("\n".join(self._story.news[-NEWS_SHOWN:])), title="what happens")


def _money(units: int | None) -> str:
    return "" if units is None else f"{units / USDC:,.2f}"


def _facts(facts: Sequence[Fact]) -> Table:
    table = Table(box=None, show_header=False, expand=True)
    marks = {None: "…", True: "✓", False: "✗"}
    for fact in facts:
        style = "red" if fact.held is False else ""
        table.add_row(f"{marks[fact.held]} {fact.name}", style=style)
    return table
