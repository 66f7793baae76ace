"""A FIX client by hand, for scripts: say exactly what is sent, and what must come back.

    desk = FixDesk(host, port, sender="DESK-NORTH", secret="…")
    desk.connect()
    desk.logon()
    desk.send("D", "11={id}|55=BTC-USDC|54=1|38=0.001|40=2|44=100|59=1|60={time}")
    desk.expect("8", "150=0|11={id}")

Fields are `tag=value` with `|` between. `{id}` is an identity that `{+id}` renews, `{time}` is UTC
now; other names in braces are what earlier answers were asked for (`37={order}` in an expectation
keeps the value as `order`). Everything said is in `transcript`, with `>` and `<`.

What comes must have the right length and sum and the next number, or it is unexpected; `strict =
False` only notes a wrong number, as a `remark`.
"""

import base64
import hashlib
import hmac
import itertools
import re
import socket
import time
from collections.abc import Iterable

import simplefix

SECONDS = 5.0
_NAME = re.compile(r"\{(\+?\w+)\}")


class Unexpected(Exception):
    """What came is not what had to come; the text says both."""


class Silence(Unexpected):
    """Nothing came in time."""


class Ended(Unexpected):
    """The connection is gone."""


class FixDesk:
    """One connection at a time; numbers rise by themselves and can be set."""

    def __init__(
        self, host: str, port: int, *, sender: str, target: str = "ONEBOOK", secret: str = "",
        password: str = "", version: str = "FIX.4.4", heartbeat: int = 30,
    ) -> None:
        self.host, self.port = host, port
        self.sender, self.target, self.version = sender, target, version
        self.secret, self.password, self.heartbeat = secret, password, heartbeat
        self.next_out = self.next_in = 1
        self.strict, self.remark = True, ""
        self.last: list[tuple[int, str]] = []  # fields of the last message that came, in order
        self.names: dict[str, str] = {}
        self.transcript: list[str] = []
        self.answer_beats = True
        self._socket: socket.socket | None = None
        self._spoke = 0.0  # time.monotonic() of our last message
        self._parser = simplefix.FixParser()
        self._identities = (f"{time.time_ns():x}-{n}" for n in itertools.count(1))

    # ---- the connection ------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect, without a word. Raises OSError."""
        self.drop()
        self._socket = socket.create_connection((self.host, self.port), SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = simplefix.FixParser()
        self.transcript.append("- connected")

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return self._socket is not None

    def drop(self) -> None:
        """Close the connection, as a crash would."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self.transcript.append("- dropped")

    def logon(self, more: str = "141=Y") -> dict[int, str]:
        """Log on (numbers start again unless `more` says otherwise); the answer."""
        if "141=Y" in more:
            self.next_out = 1
        sent = stamp()
        fields = "98=0" if "108=" in more else f"98=0|108={self.heartbeat}"
        if self.secret:
            text = "".join(f"{value}\x01" for value in (
                sent, "A", self.next_out, self.sender, self.target))
            digest = hmac.digest(self.secret.encode(), text.encode(), hashlib.sha256)
            signature = base64.b64encode(digest).decode()
            fields += f"|95={len(signature)}|96={signature}"
        if self.password:
            fields += f"|554={self.password}"
        if self.version == "FIXT.1.1":
            fields += "|1137=9"
        self.send("A", f"{fields}|{more}" if more else fields, sent=sent)
        return self.expect("A")

    def logout(self) -> None:
        """Log out and see the connection closed."""
        self.send("5")
        self.expect("5")
        self.expect_end()

    def keep_alive(self) -> None:
        """Send a Heartbeat if nothing was said for the interval."""
        if self._socket is not None and time.monotonic() - self._spoke >= self.heartbeat:
            self.send("0")

    # ---- out -----------------------------------------------------------------------------------

    def send(
        self, kind: str, fields: str = "", *, number: int | None = None, head: str = "",
        sent: str | None = None,
    ) -> None:
        """Send a message; the number is the next unless given."""
        if number is None:
            number, self.next_out = self.next_out, self.next_out + 1
        message = simplefix.FixMessage()
        message.append_pair(8, self.version, header=True)
        message.append_pair(35, kind, header=True)
        filled = [split(part) for text in (head, fields)
                  for part in self.fill(text).split("|") if part]
        parts: list[tuple[str, str]] = [  # No time in the fields is later than that of sending.
            ("34", str(number)), ("49", self.sender), ("52", sent or stamp()), ("56", self.target),
            *filled]
        for tag, value in parts:
            message.append_pair(tag, value)
        self.raw(message.encode())

    def raw(self, data: bytes) -> None:
        """Send bytes as they are. Raises Unexpected if the connection is gone."""
        self.transcript.append("> " + show(data))
        if self._socket is None:
            raise Ended("there is no connection")
        self._spoke = time.monotonic()
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Ended(f"the connection is gone: {error}") from error

    def fill(self, text: str) -> str:
        """Put times, identities and remembered values in place of their names."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name == "time":
                return stamp()
            if name.startswith("+"):
                name = name[1:]
                self.names[name] = next(self._identities)
            if name not in self.names:
                self.names[name] = next(self._identities)
            return self.names[name]

        return _NAME.sub(value, text)

    # ---- in ------------------------------------------------------------------------------------

    def next(self, seconds: float = SECONDS) -> dict[int, str]:
        """The next message, first value of each tag. Raises Unexpected if none comes in time."""
        end = time.monotonic() + seconds
        while (found := self._parser.get_message()) is None:
            self._receive(end - time.monotonic())
        raw = found.encode(raw=True)
        self.transcript.append("< " + show(raw))
        if not is_sound(raw):
            raise Unexpected("BodyLength (9) or CheckSum (10) is wrong")
        self.last = [(int(tag), value.decode("latin-1")) for tag, value in found.pairs]
        fields: dict[int, str] = {}
        for tag, value in self.last:
            fields.setdefault(tag, value)
        self.remark = self._count(fields)
        if self.remark and self.strict:
            raise Unexpected(self.remark)
        return fields

    def _count(self, fields: dict[int, str]) -> str:
        """Take note of a message's number; what is wrong with it, empty if nothing."""
        if fields.get(43) == "Y":
            return ""
        number, expected = int(fields.get(34) or 0), self.next_in
        self.next_in = number + 1
        if fields.get(35) == "4":
            self.next_in = int(fields.get(36) or number + 1)
        # A Logon may begin anew, and one that is above says what was missed while away.
        if number == expected or fields.get(35) == "A":
            return ""
        return f"MsgSeqNum (34) is {number}, {expected} was due"

    def _receive(self, seconds: float) -> None:
        if self._socket is None:
            raise Ended("there is no connection")
        self._socket.settimeout(max(seconds, 0.001))
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            raise Silence("no message came in time") from None
        except OSError as error:
            raise Ended(f"the connection is gone: {error}") from error
        if not data:
            raise Ended("the exchange closed the connection")
        self._parser.append_buffer(data)

    def expect(self, kind: str, fields: str = "", seconds: float = SECONDS) -> dict[int, str]:
        """The next message, which must be of a type and have these fields; heartbeats aside."""
        end = time.monotonic() + seconds
        while True:
            found = self.next(max(end - time.monotonic(), 0.001))
            if found.get(35) == "0" and kind != "0" and self.answer_beats:
                continue
            if found.get(35) == "1" and kind != "1" and self.answer_beats:
                self.send("0", f"112={found.get(112, '')}")
                continue
            break
        if found.get(35) != kind:
            raise Unexpected(f"expected 35={kind}, was 35={found.get(35)}: {found.get(58, '')}")
        for part in filter(None, fields.split("|")):
            tag, wanted = split(part)
            self._compare(found, int(tag), wanted)
        return found

    def until(self, kind: str, fields: str = "", seconds: float = 0) -> dict[int, str]:
        """The next message of a type with these fields; others are passed over."""
        end, missed = time.monotonic() + (seconds or SECONDS), "nothing like it came"
        while (left := end - time.monotonic()) > 0:
            try:
                return self.expect(kind, fields, left)
            except Silence:
                break
            except Unexpected as why:
                if not str(why).startswith("expected"):
                    raise
                missed = str(why)
        raise Unexpected(missed)

    def _compare(self, found: dict[int, str], tag: int, wanted: str) -> None:
        given = found.get(tag)
        name = _NAME.fullmatch(wanted)
        if name is not None and name[1] not in self.names:
            if given is None:
                raise Unexpected(f"expected a value of {tag}, there is none")
            self.names[name[1]] = given
        elif wanted.startswith("~"):
            if wanted[1:] not in (given or ""):
                raise Unexpected(f"expected {tag} to hold {wanted[1:]!r}, was {given!r}")
        elif given != (self.fill(wanted) or None):
            raise Unexpected(f"expected {tag}={self.fill(wanted)}, was {given!r}")

    def expect_end(self, seconds: float = SECONDS) -> None:
        """The exchange closes the connection, without another message."""
        try:
            found = self.next(seconds)
        except Ended:
            self.transcript.append("- closed by the exchange")
            if self._socket is not None:
                self._socket.close()
            self._socket = None
            return
        raise Unexpected(f"expected the end, was 35={found.get(35)}: {found.get(58, '')}")

    def expect_silence(self, seconds: float = 0.3) -> None:
        """Nothing comes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                found = self.next(left)
            except Silence:
                return
            if found.get(35) != "0":
                raise Unexpected(f"expected silence, was 35={found.get(35)}")


def split(part: str) -> tuple[str, str]:
    """Tag and value of a field."""
    tag, _, value = part.partition("=")
    return tag, value


def stamp() -> str:
    """UTC now, in milliseconds."""
    now = time.time_ns()
    moment = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(now // 10**9))
    return f"{moment}.{now // 10**6 % 1000:03d}"


def show(data: bytes) -> str:
    """A message with `|` between its fields; secrets are not shown."""
    text = data.decode("latin-1").replace("\x01", "|")
    return re.sub(r"\|(96|554)=[^|]*", r"|\1=…", text)


def is_sound(raw: bytes) -> bool:
    """Whether a message's length and sum are right."""
    head, _, rest = raw.partition(b"\x0135=")
    length, sum_given = head.rpartition(b"\x019=")[2], raw[-4:-1]
    right = length.isdigit() and int(length) == len(rest) + 3 - 7
    return right and sum_given.isdigit() and int(sum_given) == sum(raw[:-7]) % 256


def run_script(desk: FixDesk, lines: Iterable[str]) -> None:
    """Carry out a scenario. Raises Unexpected, naming the line.

        logon [fields]      connect and log on; `resume` keeps the numbers
        relogon [fields]    log on again inside the session
        > D fields          send, numbered
        < 8 fields          must come next        until 8 fields     must come, maybe behind others
        seq in=N out=N      set the next numbers      silence [s]    nothing may come
        drop, logout        end the connection        end            the exchange must end it
        wait s              do nothing                raw text       send bytes as they are
    """
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith(("#", "-")):
            try:
                run_step(desk, text)
            except Unexpected as error:
                raise Unexpected(f"line {number}, {text!r}: {error}") from error


def run_step(desk: FixDesk, text: str) -> None:
    """Carry out one step of a scenario. Raises Unexpected."""
    try:
        _do(desk, text)
    except (OSError, ValueError) as error:
        raise Unexpected(str(error)) from error


def _do(desk: FixDesk, text: str) -> None:
    verb, _, rest = text.partition(" ")
    kind, _, fields = rest.partition(" ")
    if verb == "logon":
        desk.connect()
        desk.logon("" if rest == "resume" else rest or "141=Y")
    elif verb == "relogon":
        desk.logon(rest or "141=Y")
    elif verb == ">":
        desk.send(kind, fields)
    elif verb == "<":
        desk.expect(kind, fields)
    elif verb == "until":
        desk.until(kind, fields)
    elif verb == "silence":
        desk.expect_silence(float(rest or 0.3))
    elif verb == "seq":
        numbers = dict(word.split("=", 1) for word in rest.split())
        desk.next_out = int(numbers.get("out", desk.next_out))
        desk.next_in = int(numbers.get("in", desk.next_in))
        desk.transcript.append(f"- seq in={desk.next_in} out={desk.next_out}")
    elif verb == "wait":
        time.sleep(float(rest))
    elif verb == "raw":
        desk.raw(rest.replace("|", "\x01").encode("latin-1"))
    elif verb in ("drop", "logout"):
        getattr(desk, verb)()
    elif verb == "end":
        desk.expect_end()
    else:
        raise Unexpected(f"there is no such step: {verb}")
