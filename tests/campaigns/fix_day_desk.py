"""A desk of the compressed day: what it does at random, and what it knows from what it was told."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import quickfix

from gateway.fix.times import time_text
from tests.gateway.fix.counterparty import Counterparty, field

PATIENCE = 60.0
ATTEMPTS = 10
FAR = 10**14  # beyond any ExecID
PAUSE_SECONDS = 0.02
SPOT, OUTCOME = "BTC-USDC", "VOTE-PASSES"
QUANTITIES = {SPOT: "0.001", OUTCOME: "1"}
RECENT = 20  # orders, of which one is replaced or cancelled
BACK_MAX = 50  # messages asked for again
SKIPPED = 3  # numbers
QUESTIONS = (
    ("x", "320={id}|559=4"), ("e", "324={id}|263=0|55=BTC-USDC"), ("g", "335={id}|263=0"),
    ("AN", "710={id}|724=0|1={owner}|60={now}"), ("BB", "909={id}"),
    ("AD", "568={id}|569=0|17={last}"),
    ("AF", "584={id}|585=7"), ("U1", "21037={id}|55=BTC-USDC|54=1|38=0.001|40=2|44=1000|60={now}"))

# What a resend and a possible resend change.
HEADER = frozenset(("8", "9", "34", "43", "49", "52", "56", "97", "122", "10"))

State = tuple[str, str, str, str]


class Desk:
    """One session; `kind` says whether its numbers go on (C), have days (D) or are reset (R)."""

    def __init__(
        self, name: str, owner: str, kind: str, application: Counterparty, random: Random
    ) -> None:
        self.name, self.owner, self.kind, self.application = name, owner, kind, application
        self.sent = 0
        self._random = random
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._trade)
        self._thread.start()

    def stop(self) -> None:
        """Nothing more is sent."""
        self._stopping.set()
        self._thread.join(PATIENCE)

    def _trade(self) -> None:
        while not self._stopping.is_set():
            if self.application.up.is_set():
                self.act()
            time.sleep(PAUSE_SECONDS)

    def act(self) -> None:
        """Send one thing."""
        self.sent += 1
        send, choice = self.application.send, self._random.random()
        identity, stamp = f"{self.name}-{self.sent}", time_text(time.time_ns())
        symbol = self._random.choice((SPOT, OUTCOME))
        order = f"55={symbol}|54={self._random.choice((1, 2))}|60={stamp}"
        known = f"{self.name}-{self._random.randint(max(1, self.sent - RECENT), self.sent)}"
        terms = f"38={QUANTITIES[symbol]}|40=2|44={self._price(symbol)}"
        if choice < 0.6:
            send("D", f"11={identity}|{order}|{terms}|59={self._random.choice((1, 1, 3))}")
        elif choice < 0.75:
            send("F", f"11={identity}|41={known}|{order}")
        elif choice < 0.85:
            send("G", f"11={identity}|41={known}|{order}|{terms}")
        elif choice < 0.89:
            send("q", f"11={identity}|530=6|60={stamp}")
        elif choice < 0.92:
            self._disturb()
        elif choice < 0.93:
            self._ask_for_market_data(identity)
        else:
            kind, text = self._random.choice(QUESTIONS)
            send(kind, text.format(id=identity, now=stamp, owner=self.owner, last=self._last()))

    def _last(self) -> str:
        """The highest ExecID that it heard lately: trades behind it may be none."""
        recent = self.application.received[-RECENT:]
        return str(max((int(field(m, 17)) for m in recent if field(m, 17).isdigit()), default=FAR))

    def _ask_for_market_data(self, identity: str) -> None:
        message = quickfix.Message()
        message.getHeader().setField(35, "V")
        for tag, value in ((262, identity), (263, "0"), (264, "5")):
            message.setField(tag, value)
        for count, tag, value in ((267, 269, "0"), (267, 269, "1"), (267, 269, "C"),
                                  (146, 55, OUTCOME)):
            group = quickfix.Group(count, tag)
            group.setField(tag, value)
            message.addGroup(group)
        quickfix.Session.sendToTarget(message, self.application.session)

    def _price(self, symbol: str) -> str:
        step = self._random.randint(-2, 2)
        return str(1000 + step) if symbol == SPOT else f"0.{50 + step}"

    def _disturb(self) -> None:
        """Ask for what is known again, or skip some numbers, which the exchange then asks for."""
        session = self._session()
        if self._random.random() < 0.5:
            begin = session.getExpectedTargetNum() - self._random.randint(1, BACK_MAX)
            self.application.send("2", f"7={max(1, begin)}|16=0")
        else:
            session.setNextSenderMsgSeqNum(session.getExpectedSenderNum() + SKIPPED)

    def _session(self) -> "quickfix.Session":
        return quickfix.Session.lookupSession(self.application.session)

    # ---- what it knows -------------------------------------------------------------------------

    def reports(self) -> dict[str, list[str]]:
        """What was told of own orders, by ExecID (17); answers to questions left out."""
        told: dict[str, list[str]] = {}
        for message in list(self.application.received):
            known = field(message, 35) == "8" and field(message, 37) != "NONE"
            if known and field(message, 150) != "I":
                told.setdefault(field(message, 17), []).append(message)
        return told

    def open_orders(self) -> list[State]:
        """ClOrdID, OrderID, CumQty and LeavesQty of each order that is open by its last report."""
        last: dict[str, str] = {}
        reports = self.reports()
        for execution in sorted(reports, key=int):
            message = reports[execution][0]
            last[field(message, 37)] = message
        return [_state(message) for message in last.values() if field(message, 151) != "0"]

    def numbers(self, folder: Path) -> tuple[int, int]:
        """The next numbers it would send and expects, as they stand in its store."""
        text = next((folder / "store").glob("*.seqnums")).read_text()
        sender, _, target = text.partition(":")
        return int(sender), int(target)

    # ---- what does not hold --------------------------------------------------------------------

    def settled(self) -> Iterator[str]:
        """It is answered, so it was told everything before.

        An answer above a gap is filled over when the gap is closed: then it is asked again.
        """
        for attempt in range(ATTEMPTS):
            name = f"settled-{attempt}"
            question = f"923={name}|924=5|553=desk"
            if self._ask("BE", question, 923, name, PATIENCE / ATTEMPTS) is not None:
                return
        yield f"{self.name} isn't answered any more"

    def _ask(
        self, kind: str, text: str, tag: int, last: str, seconds: float = PATIENCE
    ) -> list[str] | None:
        """What comes after a question, its last answer has this field; None if that doesn't."""
        heard = self.application.received
        before = len(heard)
        self.application.send(kind, text)

        def answered() -> bool:
            return any(field(message, tag) == last for message in heard[before:])

        return heard[before:] if _becomes(answered, seconds) else None

    def faults(self) -> Iterator[str]:
        """What should never have been said."""
        admin = list(self.application.admin)
        resets = [m for m in admin if m.startswith("<") and field(m, 141) == "Y"]
        busy = ("4", "8")  # The core was away: it was not taken, and the desk was told.
        found = {
            "told twice": [told[1] for told in self.reports().values()
                           if sum("Y" not in (field(m, 43), field(m, 97)) for m in told) > 1],
            "told again in other words": [told[-1] for told in self.reports().values()
                                          if len(set(map(_body, told))) > 1],
            "refused by a report that isn't a refusal": [
                m for m in self.application.received
                if field(m, 35) == "8" and field(m, 39) != "8" and field(m, 103)],
            "rejected": [m for m in admin if field(m[2:], 35) == "3"],
            "too low": [m for m in admin if "too low" in m],
            "reset": [] if self.kind == "R" else resets,
            "not understood": [m for m in self.application.received
                               if field(m, 35) == "j" and field(m, 380) not in busy]}
        yield from (f"{self.name}: {what}, {len(ms)} times: {ms[0]}"
                    for what, ms in found.items() if ms)

    def told_otherwise(
        self, open_orders: list[State], copies: Iterable[str]
    ) -> Iterator[str]:
        """Open orders and the position of the owner, as reports tell them and as they are."""
        orders = self._ask("AF", "584=all|585=7", 584, "all")
        stamp = time_text(time.time_ns())
        positions = self._ask("AN", f"710=all|724=0|1={self.owner}|60={stamp}", 728, "0")
        if orders is None or positions is None:
            yield f"{self.owner}: open orders and positions aren't told"
            return
        told = sorted(_state(message) for message in orders
                      if field(message, 150) == "I" and field(message, 37) != "NONE")
        if told != open_orders or len(told) != int(field(orders[-1], 911)):
            odd = sorted(set(told) ^ set(open_orders))
            yield f"{self.owner}: open are {len(told)}, by reports {len(open_orders)}: {odd[:5]}"
        held = sum((
            Decimal(field(m, 32)) * (1 if field(m, 54) == "1" else -1)
            for m in {field(m, 17): m for m in copies}.values()
            if field(m, 150) == "F" and field(m, 55) == OUTCOME), Decimal(0))
        said = next((Decimal(field(m, 704)) - Decimal(field(m, 705))
                     for m in positions if field(m, 55) == OUTCOME), Decimal(0))
        if held != said:
            yield f"{self.owner}: holds {said} of {OUTCOME}, by reports {held}"

    def left(self) -> Iterator[str]:
        """It logs out, and stays away."""
        self._session().logout()
        if not _becomes(lambda: not self.application.up.is_set()):
            yield f"{self.name}: its logout wasn't answered"


def _body(message: str) -> tuple[str, ...]:
    """A report without what a resend changes."""
    return tuple(part for part in message.split("|") if part.partition("=")[0] not in HEADER)


def _state(message: str) -> State:
    return field(message, 11), field(message, 37), field(message, 14), field(message, 151)


def _becomes(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
