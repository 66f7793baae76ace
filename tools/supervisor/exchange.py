"""A whole exchange as the child of another program: the demo, load tests, the tests.

    with Exchange(["--data", directory, "--policy", "async"]) as exchange:
        connect(exchange.address("fix"))
        exchange.kill("oracle")            # SIGKILL to one process; the supervisor restarts it
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from core.status import State, StatusTable

STOP_SECONDS = 60.0


class ExchangeError(Exception):
    """The exchange did not start or stop as it should; the text is what it said itself."""


class Exchange:
    """`onebook up` in a process of its own, from its ready line to its orderly end.

    arguments: of `onebook up`. environment: over this process' own. log: where its JSON lines go.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.arguments = [*arguments, *(("--log", str(log)) if log else ())]
        self.environment = os.environ | (environment or {})
        self.ready: dict[str, str] = {}
        self._popen: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as this)

    @property
    def instance(self) -> str:
        """Its instance name; known when it is ready."""
        return self.ready["instance"]

    def start(self, progress: IO[str] | None = None) -> None:
        """Start it and wait for the ready line. Raises ExchangeError with its last words.

        progress: where its standard error goes (the compiling of a first start); kept if None.
        """
        errors = progress if progress is not None else self._errors
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tools.cli", "up", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            env=self.environment, text=True, cwd=Path(__file__).parents[2],
        )
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line.startswith("onebook ready "):
            self._popen.wait()
            self._errors.seek(0)
            last_words = self._errors.read().strip() or line or "it ended without a word"
            self.close()
            raise ExchangeError(last_words)
        words = line.split()[2:]
        self.ready = {name: value for name, _, value in (word.partition("=") for word in words)}

    def address(self, gateway: str) -> tuple[str, int]:
        """Host and port of a gateway."""
        host, _, port = self.ready[gateway].rpartition(":")
        return host, int(port)

    def pid(self, process: str) -> int:
        """The process id of one of its processes, 0 if it isn't running."""
        table = StatusTable.open(self.instance, writable=False)
        try:
            row = table.find(process)
            return row.pid if row and row.alive else 0
        finally:
            table.close()

    def kill(self, process: str) -> int:
        """SIGKILL one of its processes; the process id that died."""
        pid = self.pid(process)
        if not pid:
            raise ExchangeError(f"{process} isn't running")
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_running(self, process: str, other_than: int = 0, seconds: float = 30.0) -> int:
        """Wait until a process runs, under another pid than the given one; its pid."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            table = StatusTable.open(self.instance, writable=False)
            row = table.find(process)
            if row and row.alive and row.state is State.RUNNING and row.pid != other_than:
                pid = row.pid
                table.close()
                return pid
            table.close()
            time.sleep(0.02)
        raise ExchangeError(f"{process} didn't come back in {seconds} s")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and wait for the orderly end; its exit code."""
        if self._popen is None:
            return 0
        self._popen.send_signal(how)
        try:
            self._popen.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise ExchangeError(f"it didn't stop in {STOP_SECONDS} s") from None
        return self._popen.returncode

    def close(self) -> None:
        """End it if it still runs, and forget it."""
        if self._popen is not None:
            if self._popen.poll() is None:
                self.stop()
            assert self._popen.stdout is not None
            self._popen.stdout.close()
        self._errors.close()

    def __enter__(self) -> "Exchange":
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        code = self.stop()
        self.close()
        if code != 0 and error is None:
            raise ExchangeError(f"it stopped with exit code {code}")
