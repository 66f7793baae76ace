"""Genesis: telling the core the venue that the configuration describes.

Everything listed becomes a command of the producer `admin`, sent when the core is ready and before
any gateway opens; the start goes on when each has been acknowledged. On a later start only what is
new in the configuration is sent, so a venue grows by appending to its file. Fees that differ are
sent again; whatever else differs from what was listed stays as it was listed, and the log says so.

What was sent is remembered in `<data>/genesis.json`, written and synced *before* anything is sent,
with the idempotency key of each command. After a crash in between, the same commands go out under
the same keys, and the core does none of them twice.
"""

import os
import struct
import time
from pathlib import Path

import msgspec
from blake3 import blake3
from structlog.typing import FilteringBoundLogger

import sbe
from core.config import Configuration
from core.link import CommandLink, CoreBell, EventFollower, released
from core.process import Options, Refused
from core.producers import Producer
from core.status import StatusTable
from sbe.codec import Codec
from tools.supervisor.listing import Command, commands
from tools.supervisor.supervisor import Supervisor

WAIT_SECONDS = 60.0
CONTROL = Path(sbe.__file__).parent / "schema" / "control.xml"
RESULT = "CommandResult"
# A command that the core knows already, by its key or by its subject, is done.
DONE_REASONS = ("None", "DuplicateKey", "AlreadyExists")


HEADER = struct.Struct("<HHHH")  # block length, template, schema, version


# What may be said again with other values; everything else is said once.
CHANGEABLE = frozenset({"SetFees"})


class Sent(msgspec.Struct):
    """One command of genesis: its idempotency key, its bytes, whether the core has answered.

    `said` is a hash of what the configuration said, times from now on not counted in.
    """

    key: int
    message: bytes
    said: str
    done: bool = False


class Genesis:
    """Brings the core's venue up to the configuration."""

    def __init__(
        self, configuration: Configuration, options: Options, log: FilteringBoundLogger
    ) -> None:
        self._configuration = configuration
        self._options = options
        self._log = log
        self._file = options.data / "genesis.json"
        self._codec = Codec.load(CONTROL)
        result = self._codec.schema.message(RESULT)
        assert result is not None, "Invariant: the schema has the answer to every command."
        self._result_template = result.id
        schema = self._codec.schema
        self._result_header = HEADER.pack(
            result.block_length, result.id, schema.id, schema.version
        )
        self.sent: dict[str, Sent] = {}
        self._refused: list[str] = []

    def run(self, supervisor: Supervisor) -> None:
        """Send what the core doesn't have yet and wait until it has. Raises Refused."""
        self.plan()
        waiting = self.waiting()
        if not waiting:
            return
        begin = time.monotonic()
        status = StatusTable.open(self._options.instance)
        bell = CoreBell(self._options.rundir, status)
        link = CommandLink(self._options.instance, Producer.ADMIN, bell=bell)
        # Whatever is answered to us is answered behind what the log holds now.
        policy = self._configuration.exchange.policy
        follower = EventFollower(
            self._options.instance, self._options.data, gate=released(status, policy)
        )
        follower.position = follower.published
        try:
            unsent = [self.sent[subject].message for subject in waiting.values()]
            while waiting and not supervisor.stopping:
                while unsent and link.send_message(unsent[0]):
                    unsent.pop(0)
                self._acknowledge(follower, waiting)
                supervisor.poll(0.002)
                if time.monotonic() - begin > WAIT_SECONDS:
                    subject = next(iter(waiting.values()))
                    raise Refused(f"the core doesn't answer: {subject} ({len(waiting)} waiting)")
            self._refuse()
        finally:
            follower.close()
            link.close()
            bell.close()
            status.close()
        self._log.info("genesis done", commands=len(self.sent), seconds=time.monotonic() - begin)

    def plan(self) -> None:
        """Give what is new a key, and remember it before it is sent."""
        if self._file.exists():
            self.sent = msgspec.json.decode(self._file.read_bytes(), type=dict[str, Sent])
        now = time.time_ns()
        key = max([now, *(sent.key for sent in self.sent.values())])
        said = {c.subject: _hash(c) for c in commands(self._configuration, 0)}
        for subject, message, fields in commands(self._configuration, now):
            before = self.sent.get(subject)
            if before and before.said != said[subject] and message not in CHANGEABLE:
                self._log.warning("listed differently before, which stands", subject=subject)
            elif before is None or before.said != said[subject]:
                key += 1
                encoded = self._codec.encode(message, fields | {"key": key})
                self.sent[subject] = Sent(key, encoded, said[subject])
        self.store()

    def waiting(self) -> dict[int, str]:
        """What the core hasn't acknowledged yet, in order: key to subject."""
        keys = {sent.key: subject for subject, sent in self.sent.items() if not sent.done}
        return dict(sorted(keys.items()))  # The core takes only rising keys.

    def _acknowledge(self, follower: EventFollower, waiting: dict[int, str]) -> None:
        for event in follower:
            if event.template != self._result_template:
                continue
            message = self._result_header + bytes(event.body)
            result = self._codec.inspect(message, exact=False).fields
            if result["producer"] != Producer.ADMIN or result["key"] not in waiting:
                continue
            subject = waiting.pop(result["key"])
            if result["reason"] in DONE_REASONS:
                self.sent[subject].done = True
            else:
                self._refused.append(
                    f"{subject}: the core says {result['reason']} "
                    f"(value {result['detail']}, limit {result['limit']})"
                )
                del self.sent[subject]  # The next start says it anew, as its file then has it.

    def _refuse(self) -> None:
        """Remember what was done, then refuse if the core did."""
        self.store()
        if self._refused:
            raise Refused(self._refused[0])

    def store(self) -> None:
        """Write the record and sync it."""
        temporary = self._file.with_suffix(".json.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self.sent))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._file)


def _hash(command: Command) -> str:
    return blake3(msgspec.json.encode(command, enc_hook=int)).hexdigest()
