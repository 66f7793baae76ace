"""An operator's desk: sends keyed commands to a running exchange and waits for the answers.

    with Desk("onebook", data) as desk:
        desk.send("SetKillSwitch", level=5, subject=0, active=1)

Keys are the clock, so they rise whoever sends; a lock keeps two desks apart. What is answered is
released by the exchange's policy: an answer that was shown is in the journal.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from core.config import Configuration
from core.errors import CoreError
from core.link import CommandLink, CoreBell, EventFollower, released
from core.messages import decode_body, layout, message_name
from core.producers import Producer
from core.status import StatusTable
from sbe.dtypes import wire_place
from sbe.layout import Enum
from tools.inspection import configuration_of
from tools.operator.signing import OwnKey, sign

WAIT_SECONDS = 10.0


class OperatorError(CoreError):
    """The exchange isn't there, doesn't answer, or refuses."""


class Desk:
    """See the module. `configuration` is the one that the exchange runs with."""

    def __init__(self, instance: str, data: Path) -> None:
        """Open it. Raises CoreError, ConfigurationError if the exchange isn't running."""
        rundir = data / "run"
        self.said: list[tuple[str, dict[str, Any]]] = []  # since the last command, up to its answer
        self._instance = instance
        self.configuration: Configuration = configuration_of(data)
        self._lock = os.open(rundir / "operator.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._status = StatusTable.open(instance)
        self._bell = CoreBell(rundir, self._status)
        self._link = CommandLink(instance, Producer.ADMIN, bell=self._bell)
        gate = released(self._status, self.configuration.exchange.policy)
        self._follower = EventFollower(instance, data, gate=gate)
        self._key = 0

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.close()
        self._link.close()
        self._bell.close()
        self._status.close()
        os.close(self._lock)

    def send(self, name: str, signer: OwnKey | None = None, /, **fields: Any) -> dict[str, Any]:
        """Send a command, signed if there is a signer; the core's CommandResult.

        Raises OperatorError if the core refuses.
        """
        self._key = max(time.time_ns(), self._key + 1)
        fields = {"key": self._key, **fields}
        self._put(name, fields if signer is None else sign(self._instance, name, fields, signer))
        for event, found in self.events(WAIT_SECONDS):
            self.said.append((event, found))
            if event == "CommandResult" and found["key"] == self._key:
                if found["reason"] != 0:
                    raise OperatorError(
                        f"refused: {reason_name(found['reason'])} (value {found['detail']}, "
                        f"limit {found['limit']})"
                    )
                return found
        raise OperatorError("the core doesn't answer; the command may still be carried out")

    def ask(self, name: str, report: str, /, **fields: Any) -> dict[str, Any]:
        """Send what a client would, on nobody's session; its report. Raises OperatorError."""
        request = time.time_ns()
        header = {"sendingTime": request, "msgSeqNum": 0}
        self._put(name, {"header": header, "requestId": request, "echo": b"", **fields})
        said = self.wait(report, lambda found: found["requestId"] == request)
        if said["reason"] != 0:
            raise OperatorError(
                f"refused: {reason_name(said['reason'])} (value {said['detail']}, "
                f"limit {said['limit']})"
            )
        return said

    def _put(self, name: str, fields: dict[str, Any]) -> None:
        self._follower.position = self._follower.published
        self.said = []
        if not self._link.send(name, fields):
            raise OperatorError("the exchange takes no commands at the moment: its ring is full")

    def wait(
        self, name: str, accept: Callable[[dict[str, Any]], bool], seconds: float = WAIT_SECONDS
    ) -> dict[str, Any]:
        """The next event of that name that is accepted, since the last command was sent."""
        for event, found in chain(self.said, self.events(seconds)):
            if event == name and accept(found):
                return found
        raise OperatorError(f"no {name} within {seconds:g} s")

    def events(self, seconds: float) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the core says, decoded, until it has said nothing wanted for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for event in self._follower:
                yield message_name(event.template), decode_body(event.template, event.body)
            time.sleep(0.005)


def reason_name(code: int) -> str:
    """A reason by its name in the schema."""
    element = next(f for f in layout("CommandResult").fields if f.name == "reason")
    kind, _ = wire_place(element)
    assert isinstance(kind, Enum)
    return next((c.name for c in kind.choices if c.value == code), str(code))


def number_of(names: dict[str, int], name: str, what: str) -> int:
    """A number by the name the configuration gives it, or the number itself."""
    if name in names:
        return names[name]
    if name.isdigit():
        return int(name)
    raise OperatorError(f"the configuration has no {what} of the name {name}")
