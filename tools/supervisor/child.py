"""One process under supervision: started, watched, started again after a crash, stopped.

                 start()              begin(), ready file of this pid
    waiting ───────────────▶ starting ───────────────────────────▶ running
                              ▲  │                                    │
           after the back-off │  │ dies, or isn't ready in time       │ dies
                         backing off ◀────────────────────────────────┘
                                │ exit code says that a restart can't help
                                └──▶ refused                stop() ──▶ stopping ──▶ stopped

The back-off doubles from 0.1 s to 5 s with every death, and begins anew after half a minute of
running. A process is ready when it has written `<rundir>/<name>.ready` with its own pid.
"""

import os
import signal
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from structlog.typing import FilteringBoundLogger

from core.process import (
    EXIT_CONFIGURATION,
    EXIT_REFUSED,
    SUPERVISOR_VARIABLE,
    Options,
    reserve_refusal,
)
from tools.supervisor.fork import Forked, fork
from tools.supervisor.processes import Spec
from tools.supervisor.turns import be_patient, take_turns

BACK_OFF_SECONDS_MIN = 0.1
BACK_OFF_SECONDS_MAX = 5.0
SETTLED_SECONDS = 30.0


class State(StrEnum):
    """Where a process is in its life; see the drawing above."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing off"
    REFUSED = "refused"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Child:
    """One process under supervision. `poll` moves it on; nothing here blocks."""

    def __init__(
        self, spec: Spec, options: Options, log: FilteringBoundLogger, log_descriptor: int = 2
    ) -> None:
        self.spec = spec
        self.state = State.WAITING
        self.restarts = 0
        self.deaths = 0  # in a row, each soon after the start
        self.exit_code = 0
        self.details: dict[str, Any] = {}
        self._options = options
        self._log = log.bind(child=spec.name)
        self._log_descriptor = log_descriptor
        self._process: Forked | None = None
        self._descriptor = -1
        self._since = 0.0
        self._begun = float("inf")
        self._again_at = 0.0

    @property
    def pid(self) -> int:
        """The process id, 0 while there is no process."""
        return self._process.pid if self._process else 0

    @property
    def descriptor(self) -> int:
        """A pidfd that becomes readable when the process ends; -1 while there is none."""
        return self._descriptor

    @property
    def alive(self) -> bool:
        """Whether there is a process, be it on its way up or down."""
        return self._process is not None

    @property
    def uptime(self) -> float:
        """Seconds since the process was started; 0 while there is none."""
        return time.monotonic() - self._since if self._process else 0.0

    @property
    def refusal(self) -> str:
        """Why the process refused to work, as it said itself in one line."""
        try:
            reason = self._file("refused").read_text().strip()
        except OSError:
            reason = ""
        return reason or f"ended with code {self.exit_code}"

    def start(self) -> None:
        """Start the process, whatever was before."""
        self._file("ready").unlink(missing_ok=True)
        reserve_refusal(self._file("refused"))
        module, arguments = self.spec.module, self._options.arguments()
        self._process = fork(module, arguments, SUPERVISOR_VARIABLE, self._log_descriptor)
        if self.spec.patient:
            be_patient(self._process.pid)
        elif self.spec.turn_ns:
            take_turns(self._process.pid, self.spec.turn_ns)
        self._descriptor = os.pidfd_open(self._process.pid)
        self._since = time.monotonic()
        self.details = {}
        self.state = State.STARTING
        self._log.info("started", pid=self._process.pid, module=module)

    def begin(self) -> None:
        """Let the process begin, now and whenever it is started again."""
        self._file("turn").touch()
        self._begun = time.monotonic()

    def stop(self, now: bool = False) -> None:
        """Ask the process to end, or with `now` end it; it isn't started again."""
        self.state = State.STOPPING if self._process else State.STOPPED
        if self._process:
            self._again_at = time.monotonic() + self.spec.stop_seconds
            self._process.send_signal(signal.SIGKILL if now else signal.SIGTERM)

    def poll(self) -> bool:
        """Look at the process and move on; whether the state changed."""
        before = self.state
        now = time.monotonic()
        if self._process and self._process.poll():
            self._ended(now)
        elif self.state is State.STARTING:
            self._look_for_ready(now)
        elif self.state is State.BACKING_OFF and now >= self._again_at:
            self.restarts += 1
            self.start()
        elif self.state is State.STOPPING and self._process and now >= self._again_at:
            self._log.error("doesn't stop: killed", pid=self.pid)
            self._process.send_signal(signal.SIGKILL)
            self._again_at = now + self.spec.stop_seconds
        return self.state is not before

    def wake_at(self) -> float:
        """When (monotonic seconds) `poll` has something to do without the process ending."""
        if self.state is State.STARTING:
            return time.monotonic() + 0.01
        if self.state in (State.BACKING_OFF, State.STOPPING):
            return self._again_at
        return float("inf")

    def _file(self, ending: str) -> Path:
        return self._options.rundir / f"{self.spec.name}.{ending}"

    def _look_for_ready(self, now: float) -> None:
        try:
            said = msgspec.json.decode(self._file("ready").read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.MsgspecError):
            said = {}
        if said.get("pid") == self.pid:
            self.details = {key: value for key, value in said.items() if key != "pid"}
            self.state = State.RUNNING
        elif now - max(self._since, self._begun) > self.spec.ready_seconds and self._process:
            self._log.error("isn't ready in time: killed", seconds=self.spec.ready_seconds)
            self._process.send_signal(signal.SIGKILL)

    def _ended(self, now: float) -> None:
        assert self._process is not None, "Invariant: only a started process ends."
        self.exit_code = self._process.returncode
        os.close(self._descriptor)
        self._descriptor = -1
        self._process = None
        if self.state is State.STOPPING:
            self.state = State.STOPPED
            if self.exit_code == -signal.SIGTERM:
                self.exit_code = 0  # It was still loading and had nothing to put in order.
            self._log.info("stopped", code=self.exit_code)
            return
        if self.exit_code in (EXIT_CONFIGURATION, EXIT_REFUSED):
            self.state = State.REFUSED
            return
        if now - self._since > SETTLED_SECONDS:
            self.deaths = 0
        pause = min(BACK_OFF_SECONDS_MIN * 2**self.deaths, BACK_OFF_SECONDS_MAX)
        self.deaths += 1
        self._again_at = now + pause
        self.state = State.BACKING_OFF
        self._log.error("died", code=self.exit_code, cause=_cause(self.exit_code), again_in=pause)


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
