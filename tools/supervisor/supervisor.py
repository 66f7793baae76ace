"""The supervisor: starts the processes in order, watches them, stops them in order.

It is an agent like any other (`poll`), asleep in between until a process ends, a signal arrives or
a back-off is over. It does nothing for the exchange itself: when it is killed, its children stop by
themselves, and the next start recovers as after any crash.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable
from types import FrameType

from structlog.typing import FilteringBoundLogger

from core.config import Configuration
from core.process import EXIT_CONFIGURATION, EXIT_REFUSED, Options, Refused
from core.status import State as RowState
from core.status import StatusRow, StatusTable
from tools.supervisor.child import Child, State
from tools.supervisor.processes import GENESIS_AFTER, Spec

# A process that dies so often before the exchange was ever ready won't do better by trying on.
DEATHS_BEFORE_READY_MAX = 5
HEARTBEAT_NS = 1_000_000_000

NAME = "supervisor"


class Supervisor:
    """Starts, watches and stops `specs`; `genesis` is called once the core is ready.

    log_descriptor: the open file that the children log to. Raises Refused (and has stopped
    everything again) if a process refuses to work.
    """

    def __init__(
        self,
        specs: Iterable[Spec],
        options: Options,
        log: FilteringBoundLogger,
        log_descriptor: int = 2,
        genesis: Callable[["Supervisor"], None] | None = None,
    ) -> None:
        self.children = {s.name: Child(s, options, log, log_descriptor) for s in specs}
        self.options = options
        self.stopping = False
        self.ready = False
        self._log = log
        self._genesis = genesis
        self._selector = selectors.DefaultSelector()
        self._watched: dict[str, tuple[int, int]] = {}  # name to pid and pidfd
        self._status = StatusTable.attach_or_create(options.instance)
        self._status.core_ready = 0  # Whatever a crash left there.
        self._row: StatusRow = self._status.take(NAME)
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT stop the exchange in order; a second one doesn't hurry it."""

        def stop(number: int, _frame: FrameType | None) -> None:
            if not self.stopping:
                self._log.info("stopping", signal=signal.Signals(number).name)
            self.stopping = True

        signal.set_wakeup_fd(self._waker.fileno())
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)

    def start(self) -> bool:
        """Start everything in order; False if asked to stop meanwhile."""
        ahead = [child for child in self.children.values() if not child.spec.behind]
        for child in ahead:
            child.start()
        for stage in sorted({child.spec.start for child in ahead}):
            group = [child for child in ahead if child.spec.start == stage]
            for child in group:
                child.begin()
            while not all(child.state is State.RUNNING for child in group):
                if self.stopping:
                    return False
                self.poll()
            if stage == GENESIS_AFTER and self._genesis:
                self._genesis(self)
        self.ready = True
        self._row.state = RowState.RUNNING
        for child in self.children.values():
            if child.spec.behind:
                child.start()
                child.begin()
        return not self.stopping

    def run(self) -> None:
        """Watch until asked to stop."""
        while not self.stopping:
            self.poll()

    def poll(self, timeout: float = 0.5) -> int:
        """Wait at most `timeout` seconds for something to happen; how many states changed.

        Raises Refused when a process says that it can't work.
        """
        self._watch()
        wake_at = min((child.wake_at() for child in self.children.values()), default=float("inf"))
        wait = max(0.0, min(timeout, wake_at - time.monotonic()))
        for key, _ in self._selector.select(wait):
            if key.fileobj is self._wake:
                self._drain()
        changed = sum(child.poll() for child in self.children.values())
        self._report()
        core = self.children.get("core")
        if core and not core.alive and self._status.core_ready:
            self._status.core_ready = 0  # It can't say so itself any more.
            self._log.warning("order entry stops until the core has recovered")
        for child in self.children.values():
            hopeless = not self.ready and child.deaths >= DEATHS_BEFORE_READY_MAX
            if child.state is State.REFUSED or (hopeless and not self.stopping):
                raise Refused(f"{child.spec.name}: {child.refusal}")
        return changed

    def stop(self) -> bool:
        """Stop all processes in order and wait for them.

        Whether the last to stop, the journal, ended well: then all that was promised is on disk.
        """
        self.stopping = True
        self._row.state = RowState.STOPPING
        group: list[Child] = []
        for stage in sorted({child.spec.stop for child in self.children.values()}):
            group = [c for c in self.children.values() if c.spec.stop == stage]
            for child in group:
                child.stop()
            while any(child.alive for child in group):
                self._watch()
                self._selector.select(0.2)
                self._drain()
                for child in group:
                    child.poll()
        self._row.state = RowState.STOPPED
        return all(child.exit_code == 0 for child in group)

    def close(self) -> None:
        """Forget the children (they must have stopped) and the status table."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._wake.close()
        self._waker.close()
        self._status.close()

    def kill(self) -> None:
        """End what is still there, at once: the last resort when stopping in order failed."""
        for child in self.children.values():
            if child.alive:
                child.stop(now=True)
        while any(child.alive for child in self.children.values()):
            for child in self.children.values():
                child.poll()
            time.sleep(0.01)

    def exit_code(self) -> int:
        """The code that tells why a refusal ended everything."""
        codes = {child.exit_code for child in self.children.values()}
        return EXIT_CONFIGURATION if EXIT_CONFIGURATION in codes else EXIT_REFUSED

    def _watch(self) -> None:
        """Keep the selector at the pidfds of the processes there are."""
        changed = [
            child
            for name, child in self.children.items()
            if self._watched.get(name, (0, -1))[0] != child.pid
        ]
        # Numbers of descriptors are used again: first forget all that are gone.
        for child in changed:
            _, descriptor = self._watched.pop(child.spec.name, (0, -1))
            if descriptor >= 0:
                self._selector.unregister(descriptor)
        for child in changed:
            if child.pid:
                self._selector.register(child.descriptor, selectors.EVENT_READ)
                self._watched[child.spec.name] = (child.pid, child.descriptor)

    def _drain(self) -> None:
        try:
            while self._wake.recv(4096):
                pass
        except BlockingIOError:
            return

    def _report(self) -> None:
        now = time.time_ns()
        if self._row.age_ns(now) > HEARTBEAT_NS:
            self._row.beat(now)


def describe(options: Options, configuration: Configuration, children: Iterable[Child]) -> str:
    """The ready line: `onebook ready key=value …`, one word a value; gateways are host:port."""
    words: dict[str, object] = {"instance": options.instance, "pid": os.getpid()}
    for child in children:
        if "port" in child.details:
            host = getattr(configuration, child.spec.name).host
            words[child.spec.name] = f"{host}:{child.details['port']}"
    words["data"] = options.data
    return "onebook ready " + " ".join(f"{name}={value}" for name, value in words.items())
