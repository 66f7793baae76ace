"""Where an exchange runs: its data directory, run directory, shared memory and ports.

Everything that can be in the way is found here, before anything is started, and answered by one
`Refused` line; nothing that belongs to another exchange is touched.

    <data>/                   survives: journal, events, snapshots, stores of the sidecars
      supervisor.lock         held (flock) while an exchange runs on this data
      identity                names this data, so that shared memory is never mixed up
      keys/<role>.key         of who may loosen risk parameters, unless risk.signer names others
    <rundir>/                 (<data>/run by default) gone after an orderly stop
      config.json             the merged configuration that every process reads
      <process>.turn, .ready, .refused, .bell
    /dev/shm/onebook.<instance>.*
      .identity               which data the segments belong to
"""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from core import memory
from core.config import Configuration, decode
from core.journal import segment
from core.journal.disk import RealDisk
from core.journal.errors import JournalError
from core.process import Options, Refused
from core.sidecars.keys import SigningKey
from core.signatures import ROLES
from tools.operator.signing import key_file

# How long the processes of a killed supervisor may take to notice that it is gone.
ORPHANS_SECONDS = 3.0


class Place:
    """The prepared place of one exchange; `with` it, so that the lock is given back.

    tables: the merged configuration, not yet decoded. Raises ConfigurationError, Refused.
    """

    def __init__(self, tables: dict[str, Any]) -> None:
        configuration = decode(tables)
        exchange = configuration.exchange
        data = Path(exchange.data or default_data(exchange.instance)).expanduser().absolute()
        rundir = Path(exchange.rundir).expanduser().absolute() if exchange.rundir else data / "run"
        self.options = Options(exchange.instance, data, rundir, rundir / "config.json")
        self.recovering = False  # whether an earlier run of this data left segments behind
        self._lock = -1
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._take_data()
            self._take_shared_memory()
            if not self.recovering:
                undo.callback(memory.unlink_all, self.options.instance)
            tables = choose_ports(tables, configuration)
            tables = with_signers(tables, configuration, data)
            self.configuration = decode(tables)
            self._make_rundir(tables)
            undo.pop_all()

    def leave(self, keep: bool) -> None:
        """Leave nothing behind but the data; with `keep` also what a recovery will need."""
        shutil.rmtree(self.options.rundir, ignore_errors=True)
        if not keep:
            memory.unlink_all(self.options.instance)

    def close(self) -> None:
        """Give the data directory back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _take_data(self) -> None:
        data = self.options.data
        with _refusing(data):
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = data / "supervisor.lock"
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(f"data directory {data} is in use by a running exchange") from None
            try:
                segment.prepare(RealDisk(), data)
            except JournalError as error:
                raise Refused(str(error)) from None
            identity = data / "identity"
            if not identity.exists():
                identity.write_text(uuid.uuid4().hex)
            self._identity = identity.read_text()

    def _take_shared_memory(self) -> None:
        """Refuse a live instance; keep what a crash of this data left, remove other leftovers."""
        instance = self.options.instance
        deadline = time.monotonic() + ORPHANS_SECONDS
        while live := list(memory.live_owners(instance)):
            if time.monotonic() > deadline:
                pid = live[0][1]
                raise Refused(f"instance {instance} is already running (process {pid})")
            time.sleep(0.05)
        marker = marker_path(instance)
        with _refusing(marker):
            identity = marker.read_text().partition("\n")[0] if marker.exists() else ""
            self.recovering = identity == self._identity
            if not self.recovering:
                memory.unlink_all(instance)
                descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(f"{self._identity}\n{self.options.data}\n")

    def _make_rundir(self, tables: dict[str, Any]) -> None:
        rundir = self.options.rundir
        with _refusing(rundir):
            rundir.mkdir(mode=0o700, parents=True, exist_ok=True)
            for pattern in ("*.ready", "*.refused", "*.turn"):
                for stale in rundir.glob(pattern):
                    stale.unlink()
            # It holds the secrets of all sessions.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(self.options.config, flags, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(tables, enc_hook=str))


def marker_path(instance: str) -> Path:
    """The file that tells which data the segments of an instance belong to.

    Two lines: the identity of the data directory, and its path.
    """
    return memory.DIRECTORY / f"onebook.{instance}.identity"


def default_data(instance: str) -> Path:
    """Where the data of an instance is kept when nobody says otherwise."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "onebook" / instance


def choose_ports(tables: dict[str, Any], configuration: Configuration) -> dict[str, Any]:
    """The tables with a free port in place of each 0. Raises Refused for one that is taken.

    Two exchanges side by side need not say where their feeds are: the second takes a free port, and
    sends no datagrams to where those of the first go.
    """
    chosen = dict(tables)
    held: list[socket.socket] = []  # Until all are chosen, so that none is chosen twice.
    with contextlib.ExitStack() as close:
        for name in ("fix", "binary", "feed"):
            gateway = getattr(configuration, name)
            if not getattr(gateway, "enabled", True):
                continue
            given = dict(tables.get(name, {}))
            try:
                bound = _bound(name, gateway.host, gateway.port)
            except Refused:
                if name != "feed" or "port" in given:
                    raise
                bound = _bound(name, gateway.host, 0)
                given = {"udp_port": 0} | given
            held.append(close.enter_context(bound))
            chosen[name] = given | {"port": bound.getsockname()[1]}
    return chosen


def with_signers(
    tables: dict[str, Any], configuration: Configuration, data: Path
) -> dict[str, Any]:
    """The tables with a signer of each role, by keys in the data directory, if they have none."""
    if configuration.risk.signer:
        return tables
    with _refusing(data):
        made = [
            {"name": role, "role": role,
             "public_key": SigningKey.load_or_make(key_file(data, role)).public.hex()}
            for role in ROLES
        ]
    return {**tables, "risk": {**tables.get("risk", {}), "signer": made}}


def _bound(name: str, host: str, port: int) -> socket.socket:
    where = f"{name}.port: {host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise Refused(f"{name}.host: no such host {host}") from None
    bound = socket.socket(family, kind, protocol)
    try:
        # As the gateways do: connections of the last run that linger don't count as in use.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(1)
    except PermissionError:
        bound.close()
        raise Refused(f"{where} needs permission to listen there") from None
    except OSError as error:
        bound.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "is in use" if taken else f"can't be used: {error.strerror}"
        raise Refused(f"{where} {reason}") from None
    return bound


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what the file system objects to into one line."""
    try:
        yield
    except PermissionError as error:
        raise Refused(f"no permission for {error.filename or path}") from None
    except OSError as error:
        raise Refused(f"{error.filename or path}: {error.strerror}") from None
