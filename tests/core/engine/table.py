"""Commands and events as a table in plain words: what is sent, and all that is said to it.

    play('''
        ann a1 sell 5 @ 101     | a1 new, shows 5
        bob b1 buy 3 @ 101      | b1 new
                                | a1 trades 3 @ 101 as maker, 2 left, shows 2, kept
                                | b1 trades 3 @ 101 as taker, filled
    ''')

Left, the first word says who or what:

    ann|bob|cat|dan|amy NAME buy|sell N [@ P] [in BOOK] [option …]
    WHO replace OLD NEW [N] [@ P] [stop P] [show N]          WHO cancel NAME
    WHO quote BOOK bid N @ P offer N @ P                     WHO cancels all|BOOK|spot kind …
    WHO protects N|count|value LIMIT                         WHO resets
    WHO timer MS    WHO opens MODE WINDOW    WHO closes
    mark BOOK P     index P     state BOOK STATE     account WHO STATE     wait SECONDS

Options: ioc fok day gtd SECONDS post reduce survive show N stop P by last|mark|index no, and
cancel-taker cancel-maker cancel-both decrement. A whole script is played and every event compared.
"""

from collections.abc import Callable
from typing import Any

import sbe.generated.order_entry as oe
from tests.model.engine import Engine
from tests.model.exchange import Command, Said

ONE = 10**8
SECOND = 10**9
START = 1_700_000_000 * SECOND
PEOPLE = {"ann": 100, "bob": 101, "cat": 102, "dan": 103, "amy": 104}  # amy is ann's owner too
OWNERS = {100: 100, 101: 101, 102: 102, 103: 103, 104: 100}
BOOKS = {"perp": 1, "spot": 2, "cup": 3, "kilo": 4}
FORCES = {"day": 0, "ioc": 3, "fok": 4}
INSTRUCTIONS = {"post": 1, "reduce": 2, "survive": 4}
PREVENTIONS = {"cancel-taker": 1, "cancel-maker": 2, "cancel-both": 3, "decrement": 4}
TRIGGERS = {"last": 1, "mark": 2, "index": 3}
STATES = {"preopen": 1, "open": 2, "cancel-only": 3, "halted": 4, "closed": 5}
ACCOUNT_STATES = {"active": 1, "reduce-only": 2, "cancel-only": 3, "suspended": 4}
REASONS = {
    value: name.removeprefix("REASON_").title().replace("_", "")
    for name, value in vars(oe).items()
    if name.startswith("REASON_") and isinstance(value, int)
}
SAID = frozenset(
    ("ExecutionReport", "OrderCancelReject", "OrderMassCancelReport", "MassQuoteAck",
     "ProtectionTriggered", "BusinessReject", "TradingStateChanged")
)


def wire(word: str) -> int:
    """A decimal as int64 with exponent −8."""
    return round(float(word) * ONE)


def plain(mantissa: int) -> str:
    """The other way."""
    return f"{mantissa / ONE:.12g}"


class Table:
    """A small venue: a perpetual, a spot pair, a prediction and a pair with thousands of lots."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.time = START
        self.key = 0
        self.ids: dict[str, int] = {}
        self.orders: dict[str, str] = {}  # name → book
        self._found()

    # ---- the venue ----------------------------------------------------------------------------

    def keyed(self, name: str, /, **fields: Any) -> list[Said]:
        """A command of an operator."""
        self.key += 1
        said = self.engine.apply(Command(name, {"key": self.key} | fields, time=self.time))
        results = [event.fields for event in said if event.name == "CommandResult"]
        assert results[0]["reason"] == 0, (name, REASONS[results[0]["reason"]])
        return said

    def _found(self) -> None:
        rates = {"haircutInitial": 0, "haircutMaintenance": 0, "borrowMarginInitial": 10_000,
                 "borrowMarginMaintenance": 5_000, "borrowLimit": 0, "lendable": 1,
                 "borrowable": 1, "utilisationCeiling": 900_000, "reserveShare": 0}
        self.keyed("RegisterAsset", asset=0, name="USDC", decimals=6, **rates)
        self.keyed("RegisterAsset", asset=1, name="BTC", decimals=8, **rates)
        self.keyed("SetIndexPrice", asset=1, state=0, sources=3, price=100 * ONE)
        for owner in sorted(set(OWNERS.values())):
            self.keyed("RegisterOwner", owner=owner, name="owner", feeTier=0,
                       selfTradePrevention=1)
        for account, owner in OWNERS.items():
            self.keyed("RegisterAccount", account=account, owner=owner, name="account",
                       autoLend=1, autoBorrow=1)
            self.keyed("RegisterSession", session=account - 99, owner=owner, account=account,
                       kind=1, name="session")
            for asset in (0, 1):
                self.keyed("Deposit", account=account, asset=asset, amount=10**13)
        self.open_market("perp", kind=2, tickSize=ONE, lotSize=ONE)
        self.open_market("spot", kind=1, tickSize=ONE, lotSize=ONE)
        self.open_market("cup", kind=3, tickSize=ONE // 100, lotSize=ONE, maximumPrice=0)
        self.open_market("kilo", kind=2, tickSize=ONE // 100, lotSize=ONE, maximumPrice=0)
        self.keyed("SetMarkPrice", instrument=1, rule=0, price=100 * ONE, index=0, premium=0)

    def open_market(self, book: str, /, **fields: Any) -> None:
        """List an instrument."""
        terms: dict[str, Any] = {
            "symbol": book, "state": 2, "baseAsset": 1, "quoteAsset": 0, "event": 0, "outcome": 0,
            "minimumQty": 0, "maximumQty": 0, "maximumPrice": 4000 * ONE, "lowerStrike": None,
            "upperStrike": None, "expiry": None, "marginBaseInitial": 100_000,
            "marginBaseMaintenance": 60_000, "marginFactorInitial": 0,
            "marginFactorMaintenance": 0, "positionLimit": 0, "priceBand": 0,
            "rulesHash": bytes(32), "title": b"",
        }
        self.keyed("ListInstrument", instrument=BOOKS[book], **(terms | fields))

    # ---- the left column ----------------------------------------------------------------------

    def say(self, line: str) -> list[str]:
        """Send one line; what was said."""
        words = line.split()
        if words[0] in PEOPLE:
            said = self._client(PEOPLE[words[0]], words[1:])
        else:
            said = self._operator(words)
        return [self.tell(event) for event in said if event.name in SAID]

    def client(self, name: str, account: int, /, **fields: Any) -> Command:
        """A client's message over the account's own session."""
        session = account - 99
        number = int(self.engine.state[0]["sessions"][session]["next_inbound"])
        header = {"sendingTime": self.time, "msgSeqNum": number}
        return Command(name, {"header": header, "account": account} | fields, session, 2,
                       self.time)

    def _client(self, account: int, words: list[str]) -> list[Said]:
        verbs: dict[str, Callable[[int, list[str]], Command]] = {
            "replace": self._replace, "cancel": self._cancel, "cancels": self._cancels,
            "quote": self._quote, "protects": self._protects, "resets": self._resets,
            "timer": self._timer, "opens": self._opens, "closes": self._closes,
        }
        make = verbs.get(words[0])
        command = make(account, words[1:]) if make else self._order(account, words)
        return self.engine.apply(command)

    def _id(self, name: str) -> int:
        return self.ids.setdefault(name, len(self.ids) + 1)

    def order_fields(self, words: list[str]) -> dict[str, Any]:
        """The fields of NewOrderSingle that `NAME buy N …` means."""
        fields: dict[str, Any] = {
            "clOrdId": self._id(words[0]), "side": 1 if words[1] == "buy" else 2,
            "orderQty": wire(words[2]), "price": None, "instrument": 1, "ordType": 1,
            "timeInForce": 1, "execInst": 0, "stopPx": None, "displayQty": None,
            "expireTime": None, "tag": 0, "selfTradePrevention": 0, "triggerType": 0,
            "outcomeSide": 0, "echo": b"",
        }
        rest = iter(words[3:])
        for word in rest:
            if word in FORCES:
                fields["timeInForce"] = FORCES[word]
            elif word in INSTRUCTIONS:
                fields["execInst"] |= INSTRUCTIONS[word]
            elif word in PREVENTIONS:
                fields["selfTradePrevention"] = PREVENTIONS[word]
            elif word == "no":
                fields["outcomeSide"] = 1
            elif word == "gtd":
                fields |= {"timeInForce": 6, "expireTime": self.time + int(next(rest)) * SECOND}
            elif word == "in":
                fields["instrument"] = BOOKS[next(rest)]
            elif word == "by":
                fields["triggerType"] = TRIGGERS[next(rest)]
            else:
                key = {"@": "price", "stop": "stopPx", "show": "displayQty"}[word]
                fields[key] = wire(next(rest))
        stop, limit = fields["stopPx"] is not None, fields["price"] is not None
        fields["ordType"] = {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 4}[stop, limit]
        return fields

    def _order(self, account: int, words: list[str]) -> Command:
        fields = self.order_fields(words)
        self.orders[words[0]] = str(fields["instrument"])
        return self.client("NewOrderSingle", account, **fields)

    def _replace(self, account: int, words: list[str]) -> Command:
        fields: dict[str, Any] = {
            "clOrdId": self._id(words[1]), "origClOrdId": self._id(words[0]), "orderId": None,
            "price": None, "orderQty": None, "stopPx": None, "displayQty": None, "instrument": 1,
            "echo": b"",
        }
        rest = iter(words[2:])
        for word in rest:
            keys = {"@": "price", "stop": "stopPx", "show": "displayQty"}
            fields[keys.get(word, "orderQty")] = wire(next(rest) if word in keys else word)
        return self.client("OrderCancelReplaceRequest", account, **fields)

    def _cancel(self, account: int, words: list[str]) -> Command:
        return self.client("OrderCancelRequest", account, clOrdId=0, instrument=1, orderId=None,
                           origClOrdId=self._id(words[0]), echo=b"")

    def _cancels(self, account: int, words: list[str]) -> Command:
        """all | BOOK | kind K | underlying A | session, and perhaps a side."""
        fields: dict[str, Any] = {"clOrdId": 0, "instrument": None, "underlying": 0, "scope": 1,
                                  "kind": 0, "side": 0, "echo": b""}
        if words[0] in BOOKS:
            fields |= {"scope": 2, "instrument": BOOKS[words[0]]}
        elif words[0] == "underlying":
            fields |= {"scope": 3, "underlying": int(words[1])}
        elif words[0] == "kind":
            fields |= {"scope": 4, "kind": int(words[1])}
        elif words[0] == "session":
            fields |= {"scope": 5}
        fields["side"] = {"buys": 1, "sells": 2}.get(words[-1], 0)
        return self.client("OrderMassCancelRequest", account, **fields)

    def _quote(self, account: int, words: list[str]) -> Command:
        """BOOK [bid N @ P] [offer N @ P] [reset]."""
        entry: dict[str, Any] = {"instrument": BOOKS[words[0]], "bidPx": None, "bidSize": None,
                                 "offerPx": None, "offerSize": None}
        for side in ("bid", "offer"):
            if side in words:
                at = words.index(side)
                entry[side + "Size"] = wire(words[at + 1])
                entry[side + "Px"] = wire(words[at + 3])
        return self.client("MassQuote", account, quoteId=1, quoteSetId=0, quotes=[entry],
                           resetProtection=int("reset" in words))

    def _protects(self, account: int, words: list[str]) -> Command:
        """quantity N | value UNITS | count N, in a window of a second, on the underlying BTC."""
        fields = {"quantityLimit": 0, "valueLimit": 0, "countLimit": 0}
        limit = wire(words[1]) if words[0] == "quantity" else int(words[1])
        fields[words[0] + "Limit"] = limit
        return self.client("ProtectionSet", account, window=SECOND, underlying=1, **fields)

    def _resets(self, account: int, words: list[str]) -> Command:
        return self.client("ProtectionReset", account, underlying=1)

    def _timer(self, account: int, words: list[str]) -> Command:
        return self.client("SetCancelTimer", account, milliseconds=int(words[0]))

    def _opens(self, account: int, words: list[str]) -> Command:
        fields = {"versionId": 0, "nextInbound": 0, "reset": 0, "cancelWindow": int(words[1]),
                  "cancelOnDisconnect": {"none": 0, "session": 1, "account": 2}[words[0]],
                  "connection": 1, "signedTime": 0, "signedMark": 0}
        return Command("SessionOpen", fields, account - 99, 2, self.time)

    def _closes(self, account: int, words: list[str]) -> Command:
        gone = {"connection": 1, "logout": 0, "acknowledged": 0}
        return Command("SessionClose", gone, account - 99, 2, self.time)

    def _operator(self, words: list[str]) -> list[Said]:
        if words[0] == "mark":
            return self.keyed("SetMarkPrice", instrument=BOOKS[words[1]], rule=0,
                              price=wire(words[2]), index=0, premium=0)
        if words[0] == "index":
            return self.keyed("SetIndexPrice", asset=1, state=0, sources=3, price=wire(words[1]))
        if words[0] == "state":
            return self.keyed("SetTradingState", instrument=BOOKS[words[1]],
                              state=STATES[words[2]])
        if words[0] == "account":
            return self.keyed("SetAccountState", account=PEOPLE[words[1]],
                              state=ACCOUNT_STATES[words[2]])
        assert words[0] == "wait", words
        self.time += int(float(words[1]) * SECOND)
        return self.engine.apply(Command("Tick", {}, producer=0, time=self.time))

    # ---- the right column ---------------------------------------------------------------------

    def tell(self, event: Said) -> str:
        """An event in words."""
        return getattr(self, "_tell_" + event.name)(event.fields)  # type: ignore[no-any-return]

    def _name(self, client_id: int) -> str:
        for name, number in self.ids.items():
            if number == client_id:
                return name
        return ("bid", "offer")[client_id & 1]

    def _tell_ExecutionReport(self, e: dict[str, Any]) -> str:
        verb = {"0": "new", "4": "canceled", "5": "replaces", "8": "rejected", "C": "expired",
                "D": "restated", "F": "trades", "L": "triggered", "I": "stands"}[e["execType"]]
        words = f"{self._name(e['clOrdId'])} {verb}"
        if verb == "replaces":
            words += " " + self._name(e["origClOrdId"])
        if verb == "trades":
            role = ("", "maker", "taker", "auction")[e["lastLiquidity"]]
            words += f" {plain(e['lastQty'])} @ {plain(e['lastPx'])} as {role}"
        if verb == "restated" and e["lastQty"] is not None:
            words += f" by {plain(e['lastQty'])}"
        if verb in ("trades", "replaces", "restated"):
            words += ", filled" if e["ordStatus"] == "2" else f", {plain(e['leavesQty'])} left"
        if e["flags"] & oe.REPORT_FLAGS_ON_BOOK:
            words += f", shows {plain(e['visibleQty'])}"
        if e["flags"] & oe.REPORT_FLAGS_STOPPED:
            words += ", waits"
        if e["flags"] & oe.REPORT_FLAGS_PRIORITY_KEPT and e["leavesQty"]:
            words += ", kept"
        return words + (f": {REASONS[e['reason']]}" if e["reason"] else "")

    def _tell_OrderCancelReject(self, e: dict[str, Any]) -> str:
        verb = ("", "canceled", "replaced")[e["responseTo"]]
        return f"{self._name(e['origClOrdId'])} not {verb}: {REASONS[e['reason']]}"

    def _tell_OrderMassCancelReport(self, e: dict[str, Any]) -> str:
        return f"{e['affected']} gone" + (f": {REASONS[e['reason']]}" if e["reason"] else "")

    def _tell_MassQuoteAck(self, e: dict[str, Any]) -> str:
        if e["reason"]:
            return f"quote: {REASONS[e['reason']]}"
        sides = [
            f"{side} " + (REASONS[q[side + "Reason"]] if q[side + "Reason"]
                          else "stands" if q[side + "OrderId"] else "none")
            for q in e["quotes"] for side in ("bid", "offer")
        ]
        return "quote: " + ", ".join(sides)

    def _tell_ProtectionTriggered(self, e: dict[str, Any]) -> str:
        return f"protection: {('', 'quantity', 'value', 'count')[e['trigger']]} over its limit"

    def _tell_BusinessReject(self, e: dict[str, Any]) -> str:
        return f"refused: {REASONS[e['reason']]}"

    def _tell_TradingStateChanged(self, e: dict[str, Any]) -> str:
        book = next(name for name, number in BOOKS.items() if number == e["instrument"])
        words = f"{book} {next(k for k, v in STATES.items() if v == e['state'])}"
        if e["auctionQty"]:
            words += f", {plain(e['auctionQty'])} @ {plain(e['auctionPrice'])}"
        return words


def play(script: str) -> Table:
    """Play a script and compare every event; the table, for more questions."""
    table = Table()
    expected, real = [], []
    lines = [line for line in script.strip().splitlines() if line.strip()]
    blocks: list[tuple[str, list[str]]] = []
    for line in lines:
        left, _, right = line.partition("|")
        if left.strip():
            blocks.append((left.strip(), []))
        if right.strip():
            blocks[-1][1].append(" ".join(right.split()))
    for left, right in blocks:
        said = table.say(left)
        expected += _rows(left, right)
        real += _rows(left, said)
    table.engine.close()
    assert real == expected, "\n" + "\n".join(real)
    return table


def _rows(left: str, events: list[str]) -> list[str]:
    return [f"{left if place == 0 else '':<44}| {event}".rstrip()
            for place, event in enumerate(events or [""])]
