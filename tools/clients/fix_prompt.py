"""A person talking FIX: commands in, messages out in words, the session kept alive meanwhile."""

import select
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.dictionary.messages import MESSAGES
from tools.clients.fix_desk import Ended, FixDesk, Silence, Unexpected, run_step

TIMES_IN_FORCE = {"DAY": "0", "GTC": "1", "IOC": "3", "FOK": "4", "GTD": "6"}
SIDES = {"buy": "1", "sell": "2"}
# What may be said of an order behind its price: word, tag.
OPTIONS = {"tif": 59, "account": 1, "stop": 99, "display": 1138, "exec": 18, "expire": 126,
           "stp": 2964}
# Type, fields, and the tag of what may be named behind the word.
QUESTIONS = {
    "book": ("V", "262={+id}|263=0|264=5|267=3|269=0|269=1|269=2|146=1", 55),
    "positions": ("AN", "710={+id}|724=0|60={time}", 1),
    "balances": ("BB", "909={+id}", 1),
    "limits": ("BE", "923={+id}|924=5|553=desk", 1),
    "phase": ("g", "335={+id}|263=0", 336),
}
ALONE = ("drop", "logon", "relogon")
STEPS = (">", "seq", "drop", "logon", "relogon", "raw")
VERBS = ("new", "cancel", "replace", "status", "orders", "preview", "trades", "halt", "lift",
         *QUESTIONS, "resend", *STEPS, "help", "quit")
HINT = "new buy|sell QUANTITY SYMBOL [@ PRICE] [tif=GTC|IOC|FOK|DAY|GTD]; or help"
_HEADER = (8, 9, 10, 35, 49, 52, 56)


class Prompt:
    """Reads commands until `quit` or the end of the input; `help_text` is what `help` tells."""

    def __init__(self, desk: FixDesk, help_text: str) -> None:
        self._desk, self._help = desk, help_text
        self._raw = False
        desk.strict = False

    def run(self) -> None:
        """Log on, talk, log out. Raises Unexpected if the exchange doesn't let us in."""
        desk = self._desk
        complete()
        desk.connect()
        desk.logon()
        print(f"logged on as {desk.sender}; `help` tells the commands")
        while (line := self._read_line()) not in (None, "quit"):
            if line:
                self._obey(line)
            self._show_what_came()
        if desk.connected:
            desk.send("5")
            desk.until("5")

    def _obey(self, line: str) -> None:
        if line == "help":
            print(self._help)
        elif line in ("raw on", "raw off"):
            self._raw = line == "raw on"
        else:
            try:
                for text in command(self._desk, line):
                    print(f"  {text}")
            except (ValueError, Unexpected) as error:
                print(f"  {error}")

    def _read_line(self) -> str | None:
        """A line of the user, or None at the end; what comes meanwhile is shown."""
        if sys.stdin.isatty():
            try:
                with self._listening():
                    return input("> ").strip()
            except EOFError:
                return None
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            self._show_what_came()
        line = sys.stdin.readline()
        return line.strip() if line else None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Let a thread of its own listen while somebody types."""
        over = threading.Event()

        def listen() -> None:
            while not over.wait(0.1):
                if self._show_what_came():
                    print("> ", end="", flush=True)

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            yield
        finally:
            over.set()
            listener.join()

    def _show_what_came(self) -> bool:
        """Show it, answer what must be answered; whether there was anything to show."""
        desk, shown = self._desk, False
        if not desk.connected:
            return False
        desk.keep_alive()
        while True:
            try:
                message = desk.next(0.05)
            except Silence:
                return shown
            except Ended as error:
                desk.drop()
                print(f"  {error}; `logon` begins again")
                return True
            if message.get(35) == "1":
                desk.send("0", f"112={message.get(112, '')}")
            if message.get(35) != "0" or desk.remark or self._raw:
                said = desk.transcript[-1] if self._raw else readable(desk.last)
                print(("" if shown else "\r") + said)
                shown = True
            if desk.remark:
                print(f"  {desk.remark}: `resend FROM TO` asks for what is missing")


def command(desk: FixDesk, line: str) -> list[str]:
    """Carry out one command; what to tell. Raises ValueError with a hint."""
    words = line.split()
    verb = words[0]
    if verb == ">" and len(words) >= 2:
        desk.send(words[1], " ".join(words[2:]))
        return []
    if verb in ALONE or (verb in STEPS and len(words) > 1):
        run_step(desk, line)
        return [f"next out {desk.next_out}, next in {desk.next_in}"] if verb == "seq" else []
    return _order(desk, words) or _question(desk, words)


def _order(desk: FixDesk, words: list[str]) -> list[str]:
    """new, preview, replace, cancel, status; the identity it got. Empty if it is none of them."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    price = plain[-1] if len(plain) > 2 and plain[-2] == "@" else None
    plain = plain[:-2] if price else plain
    match plain:
        case ["new" | "preview" as verb, ("buy" | "sell") as side, quantity, symbol]:
            known = f"55={symbol}|54={SIDES[side]}"
            terms = f"{known}|38={quantity}|{_terms(price, options)}|60={{time}}"
            kind, own = ("D", 11) if verb == "new" else ("U1", 21037)
            desk.send(kind, f"{own}={{+id}}|{terms}")
        case ["replace", identity, quantity] if price:
            known = _known(desk, identity)
            desk.send("G", f"11={{+id}}|41={identity}|{known}|38={quantity}"
                           f"|{_terms(price, options)}|60={{time}}")
        case ["cancel", identity]:
            known = _known(desk, identity)
            desk.send("F", f"11={{+id}}|41={identity}|{known}|60={{time}}")
        case ["status", identity]:
            desk.send("H", f"11={identity}|{_known(desk, identity)}")
            return [identity]
        case _:
            return []
    desk.names[desk.names["id"]] = known
    return [desk.names["id"]]


def _terms(price: str | None, options: dict[str, str]) -> str:
    """Type, price and what else was said of an order. Raises ValueError."""
    unknown = options.keys() - OPTIONS.keys()
    force = options.get("tif", "GTC").upper()
    if unknown or force not in TIMES_IN_FORCE:
        wrong = min(unknown, default=f"tif={force}")
        raise ValueError(f"{wrong}? There are {', '.join(OPTIONS)}, and tif is one of "
                         f"{', '.join(TIMES_IN_FORCE)}")
    kind = (1 if price is None else 2) + 2 * ("stop" in options)
    told = {OPTIONS[word]: value for word, value in options.items()} | {59: TIMES_IN_FORCE[force]}
    more = "".join(f"|{tag}={value}" for tag, value in told.items())
    return f"40={kind}{f'|44={price}' if price else ''}{more}"


def _question(desk: FixDesk, words: list[str]) -> list[str]:
    """What is asked of the exchange, and the switches."""
    verb, rest = words[0], words[1:]
    if verb in QUESTIONS and (len(rest) == 1 or (not rest and verb not in ("book", "positions"))):
        kind, fields, named = QUESTIONS[verb]
        desk.send(kind, fields + (f"|{named}={rest[0]}" if rest else ""))
    elif verb == "trades" and len(rest) <= 1:
        desk.send("AD", "568={+id}|569=0" + (f"|17={rest[0]}" if rest else ""))
    elif verb in ("halt", "lift") and not rest:
        desk.send("DH", f"2328={{+id}}|2329={1 if verb == 'halt' else 2}")
    elif verb == "orders" and not rest:
        desk.send("AF", "584={+id}|585=7")
    elif verb == "resend" and len(rest) <= 2:
        begin, end = [*rest, *("1", "0")[len(rest):]]
        desk.send("2", f"7={int(begin)}|16={int(end)}")
    else:
        raise ValueError(HINT)
    return []


def _known(desk: FixDesk, identity: str) -> str:
    if identity not in desk.names:
        raise ValueError(f"no order {identity} was sent from here")
    return desk.names[identity]


def readable(fields: Iterable[tuple[int, str]]) -> str:
    """A message with names in place of tags."""
    pairs = list(fields)
    kind = dict(pairs).get(35, "")
    layout = MESSAGES.get(kind)
    parts = []
    for tag, value in pairs:
        if tag not in _HEADER:
            field = FIELDS.get(tag)
            meaning = field.values.get(value, value) if field else value
            parts.append(f"{field.name if field else tag}={meaning}")
    return f"  {layout.name if layout else kind}: " + " ".join(parts)


def complete() -> None:
    """Completion of commands by the tab key, where the terminal has it."""
    if sys.stdin.isatty():
        import readline

        words = [*VERBS, *SIDES, *(f"tif={name}" for name in TIMES_IN_FORCE),
                 *(f"{name}=" for name in OPTIONS)]
        readline.set_completer(
            lambda text, n: next(iter([w for w in words if w.startswith(text)][n:]), None))
        readline.parse_and_bind("tab: complete")
