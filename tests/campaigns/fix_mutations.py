"""Mutate FIX messages; the scanner takes what simplefix reads so, leaves the rest, never overruns.

    python -m tests.campaigns.fix_mutations --count 1000000

Each stream (a mutant and a sound order behind it) lies directly in front of a page that may not be
touched, so a read past its end kills the process; and so does one that takes ten seconds of
processor time, a hang, while each step must get on in the stream.
Half of the mutants get the right length and sum again, so that they are judged by their content.
Where the scanner writes a frame, simplefix must read the same values; the sound order behind must
never be lost if the mutant's own frame is right. Prints a line with the seed, so that a failure
can be repeated. Exit code 0 only if all held.
"""

import argparse
import signal
import sys
import time
from random import Random

import simplefix

from gateway.fix import records
from gateway.fix.frame import MESSAGE_BYTES_MAX
from gateway.fix.message import frame
from gateway.fix.scan import scan
from gateway.fix.tables import hash_of, unsigned
from gateway.fix.values import decimal_of
from tests.campaigns.sbe_mutations import GuardedPages
from tests.gateway.fix.kit import NOW, Scanner, command, fix, header, stamp

HANG_SECONDS = 10  # of processor time: a busy machine is no hang
OPTIONAL = (
    "59=0", "59=1", "59=3", "59=6", "18=6", "18=E", "21=1", "1=acme.main", "1=acme.sub", "99=7",
    "111=1", "1138=0.5", "126=20270101-00:00:00", "526=g", "2964=2", "21011=N", "58=text", "43=N",
    "97=Y", "5000=x", "38=2",
)
PIECES = (b"\x01", b"=", b"8=FIX.4.4\x01", b"9=", b"10=000\x01", b"35=D\x01", b"34=2\x01", b"\xff",
          b"0", b"-", b".", b"99999999999999999999")


def order(random: Random) -> bytes:
    """An order, cancel or replace, with something odd now and then."""
    kind = random.choice("DDDFG")
    fields = [
        f"11=ID{random.randrange(10**6)}",
        "55=" + random.choice(("BTC-USDC", "BTC-PERP") * 9 + ("NO",)),
        f"54={random.choice('12121212123')}",
        f"38={random.choice(('1', '0.5', '007.10', '2.') * 6 + ('1e3', ''))}",
        f"40={random.choice('12341234123P')}", f"44={random.randrange(10**9) / 100}",
        f"60={stamp(digits=random.choice((0, 3, 6, 9))).decode()}",
        *random.sample(OPTIONAL, random.randrange(3)),
    ]
    if kind != "D":
        fields.append(random.choice(("41=first", "37=12") * 6 + ("41=",)))
    random.shuffle(fields)
    return fix("|".join([header(kind, 2), *fields]))


def mutate(random: Random, data: bytes) -> bytes:
    """Change, lose, repeat or insert a few bytes."""
    out = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        at = random.randrange(len(out))
        what = random.randrange(5)
        if what == 0:
            out[at] = random.randrange(256)
        elif what == 1:
            del out[at : at + random.randrange(1, 9)]
        elif what == 2:
            out[at:at] = out[at : at + random.randrange(1, 20)]
        elif what == 3:
            out[at:at] = random.choice(PIECES)
        else:
            out[at] = random.choice(b"0123456789=\x01|")
        if not out:
            return b"8"
    return bytes(out)


def repaired(data: bytes) -> bytes:
    """The same body with the right length and sum around it."""
    _, found, rest = data.partition(b"\x0135=")
    body, _, _ = rest.rpartition(b"10=")
    return frame(b"FIX.4.4", b"35=" + body) if found and body.endswith(b"\x01") else data


def again(data: bytes) -> bytes:
    """What a right frame around the same body would be; empty if there is no body."""
    _, found, rest = data.partition(b"\x0135=")
    body, _, _ = rest.rpartition(b"\x0110=")
    return frame(b"FIX.4.4", b"35=" + body + b"\x01") if found else b""


def same(sent: bytes, name: str, taken: dict[str, object]) -> bool:
    """Whether simplefix reads the values of a frame."""
    parser = simplefix.FixParser()
    parser.append_buffer(sent[sent.rindex(b"8=FIX.4.4\x01") :])  # noise before it is skipped
    message = parser.get_message()
    if message is None or message.count() != len({tag for tag, _ in message.pairs}):
        return False
    read = {
        "clOrdId": unsigned(hash_of(message.get(11))),
        "price": decimal_of(message.get(44)),
    }
    if name == "NewOrderSingle":
        read |= {"orderQty": decimal_of(message.get(38)), "side": int(message.get(54)),
                 "ordType": int(message.get(40)), "stopPx": decimal_of(message.get(99))}
    return all(taken.get(field, value) == value for field, value in read.items())


class Campaign:
    """Runs mutants until one shows something wrong."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._pages = GuardedPages()
        self._scanner = Scanner()
        self._behind = fix(f"{header('D', 2)}|11=BEHIND|55=BTC-USDC|54=1|38=1|40=2|44=1"
                           f"|60={stamp().decode()}")
        self.taken = self.left = self.skipped = 0

    def one(self) -> str:
        """One mutant; what is wrong, or an empty text."""
        data = mutate(self._random, order(self._random))
        if self._random.random() < 0.5:
            data = repaired(data)
        stream = data + self._behind
        outcome = self._scan(stream)
        for kind, value in outcome:
            if kind == "frame":
                _, name, taken = value
                if taken["echo"].startswith(b"11=BEHIND\x01"):
                    continue
                self.taken += 1
                if not same(data, name, taken):
                    return f"{name} {taken} from {data!r}"
            else:
                self.left += 1
        self.skipped += not outcome
        kinds = [kind for kind, _ in outcome]
        reached = "too long" in kinds or any(self._behind in v for k, v in outcome if k != "frame")
        last = outcome[-1] if outcome else ("", None)
        found = last[0] == "frame" and last[1][2]["echo"].startswith(b"11=BEHIND\x01")
        # Without a right frame its length may reach into what stands behind.
        framed = data == again(data)
        return f"lost what follows {data!r}" if framed and not found and not reached else ""

    def _scan(self, stream: bytes) -> list[tuple[str, object]]:
        scanner, out, end = self._scanner, [], 0
        address = self._pages.hold(stream)
        scanner.fields["consumed"], scanner.fields["expected"] = 0, 2
        while True:
            answer = scan(scanner.connection.address, scanner.context.address, address,
                          len(stream), NOW)
            frames = [("frame", command(data)) for data in scanner.memory.frames()]
            out += frames
            if frames:
                scanner.fields["expected"] = 2
            if answer == records.NEED_MORE:
                return out
            if answer == records.TOO_LONG:
                return [*out, ("too long", None)]
            start, size = int(scanner.fields["row_offset"]), int(scanner.fields["row_length"])
            assert 0 < size <= MESSAGE_BYTES_MAX
            assert end <= start
            end = start + size
            assert end <= len(stream)
            out.append(("message", stream[start : start + size]))


def run(count: int, seed: int) -> tuple[str, Campaign]:
    """So many mutants; what was wrong (empty: nothing), and the campaign."""
    campaign = Campaign(seed)
    campaign.one()  # compiled before the clock runs
    # Python's own handlers wait for compiled code to return, which a hang in it never does.
    before = signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        for _ in range(count):
            signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
            wrong = campaign.one()
            if wrong:
                return wrong, campaign
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return "", campaign


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF_FFFF)
    chosen = parser.parse_args()
    wrong, campaign = run(chosen.count, chosen.seed)
    sys.stdout.write(
        f"seed {chosen.seed}: {chosen.count} mutants, {campaign.taken} taken, {campaign.left} "
        f"left to the dialect, {campaign.skipped} without a message: {wrong or 'all held'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
