"""`onebook up` where it can't: one clear line, a non-zero exit, nothing of anybody harmed."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core import memory
from core.config import decode, merge, read
from core.memory import Segment
from core.process import Refused
from tools.commands.up import DEFAULTS
from tools.supervisor.place import Place, choose_ports, marker_path

Up = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def up(tmp_path: Path, instance: str) -> Up:
    """Run `onebook up` to its end, with free ports unless the file says otherwise."""

    def run(config: str = "", *arguments: str) -> "subprocess.CompletedProcess[str]":
        file = tmp_path / "venue.toml"
        file.write_text(config or "[fix]\nport = 0\n[binary]\nport = 0\n")
        command = [sys.executable, "-m", "tools.cli", "up", "--instance", instance]
        if "--data" not in arguments:
            command += ["--data", str(tmp_path / "data")]
        command += ["--config", str(file), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def tables(instance: str, data: Path) -> dict[str, object]:
    chosen = {"exchange": {"instance": instance, "data": str(data)}}
    return merge(read(DEFAULTS), chosen | {"fix": {"port": 0}, "binary": {"port": 0}})


def test_a_wrong_configuration(up: Up) -> None:
    done = up("[fix]\nport = 'x'\n")
    assert done.stderr == "onebook: fix.port: expected int, was str\n"
    assert done.returncode == 2
    assert not done.stdout


def test_a_wrong_option(up: Up) -> None:
    assert up("", "--policy", "fast").returncode == 2


def test_a_port_in_use(up: Up, instance: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = up(f"[fix]\nport = 0\n[binary]\nport = {port}\n")
    assert done.stderr == f"onebook: binary.port: 127.0.0.1:{port} is in use\n"
    assert done.returncode == 3
    assert not memory.segments(instance), "what was prepared is gone again"


def test_a_second_feed_finds_a_port_by_itself(tmp_path: Path) -> None:
    with socket.socket() as first:
        with contextlib.suppress(OSError):
            first.bind(("127.0.0.1", 7003))  # or another exchange has it, which is as good
            first.listen()
        given = tables("second", tmp_path)
        chosen = choose_ports(given, decode(given))
        assert chosen["feed"]["port"] != 7003
        assert chosen["feed"]["udp_port"] == 0
        named = merge(given, {"feed": {"port": 7003}})
        with pytest.raises(Refused, match=r"feed\.port: 127\.0\.0\.1:7003 is in use"):
            choose_ports(named, decode(named))


def test_a_host_that_is_not_ours(up: Up) -> None:
    done = up("[fix]\nport = 0\nhost = '192.0.2.1'\n")
    assert "onebook: fix.port: 192.0.2.1:0 can't be used" in done.stderr
    assert done.returncode == 3


def test_a_data_directory_of_another_version(up: Up, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "VERSION").write_text("onebook data 99\n")
    done = up()
    assert done.stderr.startswith(f"onebook: data directory {data} is of another version")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 3
    assert (data / "VERSION").read_text() == "onebook data 99\n"


def test_a_data_directory_in_use(up: Up, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with (data / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = up()
    assert done.stderr == f"onebook: data directory {data} is in use by a running exchange\n"
    assert done.returncode == 3
    assert sorted(file.name for file in data.iterdir()) == ["supervisor.lock"]


def test_a_data_directory_that_is_a_file(up: Up, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    done = up()
    assert done.stderr == f"onebook: {tmp_path / 'data'}: File exists\n"
    assert done.returncode == 3


def test_a_data_directory_without_permission(up: Up) -> None:
    forbidden = "/sys/onebook"  # Nobody may make a directory there, root neither.
    done = up("", "--data", forbidden)
    assert done.stderr == f"onebook: no permission for {forbidden}\n"
    assert done.returncode == 3


def test_a_log_file_that_cannot_be(up: Up, tmp_path: Path) -> None:
    done = up("", "--log", str(tmp_path / "none" / "log"))
    assert done.stderr == f"onebook: log file {tmp_path}/none/log: No such file or directory\n"
    assert done.returncode == 3


def test_shared_memory_of_a_live_instance(up: Up, instance: str) -> None:
    with Segment.create(instance, "status", 4096) as segment:
        done = up()
        assert done.stderr == (
            f"onebook: instance {instance} is already running (process {os.getpid()})\n"
        )
        assert done.returncode == 3
        assert segment.path.exists()


def test_shared_memory_of_a_crash_is_kept_for_its_own_data_only(
    tmp_path: Path, instance: str
) -> None:
    with Place(tables(instance, tmp_path / "data")) as place:
        assert not place.recovering
        left = memory.DIRECTORY / f"onebook.{instance}.sequenced"
        left.write_bytes(b"what a crash left")
    with Place(tables(instance, tmp_path / "data")) as place:
        assert place.recovering
        assert left.exists()
        place.leave(keep=True)
        assert left.exists()
        assert not place.options.rundir.exists()
    with Place(tables(instance, tmp_path / "other")) as place:
        assert not place.recovering
        assert not left.exists()
        place.leave(keep=False)
    assert not marker_path(instance).exists()
    assert not memory.segments(instance)


def test_free_ports_are_chosen_once_and_kept(tmp_path: Path, instance: str) -> None:
    with Place(tables(instance, tmp_path / "data")) as place:
        ports = place.configuration.fix.port, place.configuration.binary.port
        assert len({0, *ports}) == 3
        assert f'"port":{ports[0]}' in place.options.config.read_text()
        assert place.options.config.stat().st_mode & 0o777 == 0o600
        assert place.options.rundir.stat().st_mode & 0o777 == 0o700
        place.leave(keep=False)


def test_two_places_on_one_data_directory(tmp_path: Path, instance: str) -> None:
    with (
        Place(tables(instance, tmp_path / "data")) as place,
        pytest.raises(Refused, match="is in use"),
    ):
        Place(tables(f"{instance}-b", tmp_path / "data"))
    place.leave(keep=False)


@pytest.mark.parametrize("command", [["admin", "kill", "venue"], ["risk", "--account", "maker"]])
def test_whoever_asks_for_an_exchange_that_does_not_run(
    command: list[str], tmp_path: Path, instance: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", *command, "--instance", instance,
         "--data", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.stderr == f"onebook: no exchange is running on {tmp_path}\n"
    assert done.returncode == 1
    assert not done.stdout
