"""Talk FIX to an exchange: by hand, from a scenario file, or print the data dictionary.

By hand, one line at a time:

    new buy 0.001 BTC-USDC @ 100 tif=IOC      an order; without @ a market order
    cancel ID          replace ID 0.002 @ 101          status ID          orders
    preview buy 0.001 BTC-USDC @ 100          trades [LAST-EXECID]          halt          lift
    book BTC-USDC      positions ACCOUNT      balances [ACCOUNT]            limits        phase
    > D 11={+id}|…     any message           seq out=7         raw on|off        quit

A scenario has one step a line (`tools/clients/fix_desk.py` tells them); `--record` keeps what was
said as one. Exit code 1 if a step did not come out as it says.
"""

import select
import sys
from pathlib import Path
from typing import Literal

from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.dictionary.messages import MESSAGES
from gateway.fix.dictionary.xml import dictionary_xml
from tools.clients.fix_desk import FixDesk, Unexpected, run_script

TIMES_IN_FORCE = {"DAY": "0", "GTC": "1", "IOC": "3", "FOK": "4", "GTD": "6"}
SIDES = {"buy": "1", "sell": "2"}
# Type, fields, and the tag of what may be named behind the word.
QUESTIONS = {
    "book": ("V", "262={+id}|263=0|264=5|267=3|269=0|269=1|269=2|146=1", 55),
    "positions": ("AN", "710={+id}|724=0|60={time}", 1),
    "balances": ("BB", "909={+id}", 1),
    "limits": ("BE", "923={+id}|924=5|553=desk", 1),
    "phase": ("g", "335={+id}|263=0", 336),
}
VERBS = ("new", "cancel", "replace", "status", "orders", "preview", "trades", "halt", "lift",
         "book", "positions", "balances", "limits", "phase", ">", "seq", "raw", "help", "quit")


def fix(
    *,
    host: str = "127.0.0.1",
    port: int = 7001,
    sender: str = "DESK-NORTH",
    target: str = "ONEBOOK",
    secret: str = "",
    password: str = "",
    version: Literal["FIX.4.4", "FIXT.1.1"] = "FIX.4.4",
    script: Path | None = None,
    record: Path | None = None,
    dictionary: Literal["FIX.4.4", "FIXT.1.1", "FIX.5.0SP2"] | None = None,
) -> int:
    """Talk FIX to an exchange.

    Parameters
    ----------
    secret
        Of an `hmac` session.
    script
        Run this scenario instead of reading commands.
    record
        Write what was said here.
    dictionary
        Print this data dictionary (QuickFIX XML) and do nothing else.
    """
    if dictionary is not None:
        print(dictionary_xml(dictionary), end="")
        return 0
    desk = FixDesk(host, port, sender=sender, target=target, secret=secret, password=password,
                   version=version)
    try:
        if script is not None:
            run_script(desk, script.read_text().splitlines())
            print(f"{script}: as it says")
        else:
            _by_hand(desk)
    except ConnectionRefusedError:
        print(f"onebook: nobody listens at {host}:{port}", file=sys.stderr)
        return 1
    except (Unexpected, OSError) as error:
        print(f"onebook: {error}", file=sys.stderr)
        return 1
    finally:
        desk.drop()
        if record is not None:
            record.write_text("\n".join(scenario(desk.transcript)) + "\n")
    return 0


def _by_hand(desk: FixDesk) -> None:
    _complete()
    desk.connect()
    desk.logon()
    raw = False
    print(f"logged on as {desk.sender}; `help` tells the commands")
    while True:
        for message in _waiting(desk):
            print(desk.transcript[-1] if raw else readable(message))
        print("> ", end="", flush=True)
        line = _read_line(desk, raw)
        if line is None or line == "quit":
            desk.logout()
            return
        if line.startswith("raw"):
            raw = line.endswith("on")
        elif line == "help":
            print(__doc__)
        elif line:
            try:
                command(desk, line)
            except (ValueError, Unexpected) as error:
                print(f"  {error}")


def _read_line(desk: FixDesk, raw: bool) -> str | None:
    """A line of the user; meanwhile what comes from the exchange is shown. None at the end."""
    if sys.stdin.isatty():
        try:
            return input().strip()
        except EOFError:
            return None
    while True:
        ready = select.select([sys.stdin], [], [], 0.1)[0]
        for message in _waiting(desk):
            print(desk.transcript[-1] if raw else readable(message))
        if ready:
            line = sys.stdin.readline()
            return line.strip() if line else None


def _waiting(desk: FixDesk) -> list[dict[int, str]]:
    """What has come, test requests answered."""
    found: list[dict[int, str]] = []
    while True:
        try:
            message = desk.next(0.15)
        except Unexpected as why:
            if "in time" not in str(why):
                raise
            return found
        if message.get(35) == "1":
            desk.send("0", f"112={message.get(112, '')}")
        if message.get(35) != "0":
            found.append(message)


def command(desk: FixDesk, line: str) -> None:
    """Carry out one command of the user. Raises ValueError with a hint."""
    words = line.split()
    options = dict(word.split("=", 1) for word in words if "=" in word and words[0] != ">")
    plain = [word for word in words if "=" not in word]
    price = plain[plain.index("@") + 1] if "@" in plain else None
    if words[0] == "new" and len(plain) >= 4 and plain[1] in SIDES:
        force = TIMES_IN_FORCE[options.get("tif", "GTC").upper()]
        kind = f"40=2|44={price}" if price else "40=1"
        desk.send("D", f"11={{+id}}|55={plain[3]}|54={SIDES[plain[1]]}|38={plain[2]}|{kind}"
                       f"|59={force}|60={{time}}")
        desk.names[desk.names["id"]] = f"55={plain[3]}|54={SIDES[plain[1]]}"
        print(f"  {desk.names['id']}")
    elif words[0] == "preview" and price and len(plain) >= 4 and plain[1] in SIDES:
        desk.send("U1", f"21037={{+id}}|55={plain[3]}|54={SIDES[plain[1]]}|38={plain[2]}|40=2"
                        f"|44={price}|60={{time}}")
    elif words[0] in QUESTIONS and (len(words) == 2 or words[0] not in ("book", "positions")):
        kind, fields, named = QUESTIONS[words[0]]
        desk.send(kind, fields + (f"|{named}={words[1]}" if len(words) > 1 else ""))
    elif words[0] == "trades":
        after = f"|17={words[1]}" if len(words) > 1 else ""
        desk.send("AD", f"568={{+id}}|569=0{after}")
    elif words[0] in ("halt", "lift"):
        desk.send("DH", f"2328={{+id}}|2329={1 if words[0] == 'halt' else 2}")
    elif words[0] == "cancel" and len(words) == 2:
        desk.send("F", f"11={{+id}}|41={words[1]}|{_known(desk, words[1])}|60={{time}}")
    elif words[0] == "replace" and price and len(plain) >= 5:
        desk.send("G", f"11={{+id}}|41={words[1]}|{_known(desk, words[1])}|38={plain[2]}|40=2"
                       f"|44={price}|60={{time}}")
        desk.names[desk.names["id"]] = _known(desk, words[1])
        print(f"  {desk.names['id']}")
    elif words[0] == "status" and len(words) == 2:
        desk.send("H", f"11={words[1]}|{_known(desk, words[1])}")
    elif words[0] == "orders":
        desk.send("AF", "584={+id}|585=7")
    elif words[0] == ">" and len(words) >= 2:
        desk.send(words[1], " ".join(words[2:]))
    elif words[0] == "seq":
        desk.next_out = int(options.get("out", desk.next_out))
        print(f"  next out {desk.next_out}")
    else:
        raise ValueError("new buy|sell QUANTITY SYMBOL [@ PRICE] [tif=GTC|IOC|FOK|DAY]; or help")


def _known(desk: FixDesk, identity: str) -> str:
    if identity not in desk.names:
        raise ValueError(f"no order {identity} was sent from here")
    return desk.names[identity]


def readable(message: dict[int, str]) -> str:
    """A message with names in place of tags."""
    layout = MESSAGES.get(message.get(35, ""))
    skip = (8, 9, 10, 35, 49, 52, 56)
    parts = []
    for tag, value in message.items():
        if tag not in skip:
            field = FIELDS.get(tag)
            meaning = field.values.get(value, value) if field else value
            parts.append(f"{field.name if field else tag}={meaning}")
    return f"  {layout.name if layout else message.get(35)}: " + " ".join(parts)


def scenario(transcript: list[str]) -> list[str]:
    """A transcript as a scenario: numbers, times and identities left out or named."""
    lines: list[str] = []
    for line in transcript:
        fields = dict(part.split("=", 1) for part in line[2:].split("|") if "=" in part)
        kind = fields.get("35", "")
        leave = {"8", "9", "10", "34", "35", "49", "52", "56", "60", "95", "96", "17", "37", "880"}
        if line.startswith("-"):
            lines.append(f"# {line[2:]}")
        elif kind == "A":
            lines += [f"logon 141={fields.get('141', 'N')}"] if line.startswith(">") else []
        else:
            rest = "|".join(f"{t}={v}" for t, v in fields.items() if t not in leave)
            time_field = "|60={time}" if "60" in fields and line.startswith(">") else ""
            lines.append(f"{line[0]} {kind} {rest}{time_field}".rstrip())
    return lines


def _complete() -> None:
    """Completion of commands by the tab key, where the terminal has it."""
    if sys.stdin.isatty():
        import readline

        words = [*VERBS, *SIDES, *(f"tif={name}" for name in TIMES_IN_FORCE)]
        readline.set_completer(
            lambda text, n: next(iter([w for w in words if w.startswith(text)][n:]), None))
        readline.parse_and_bind("tab: complete")
