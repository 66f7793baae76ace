"""Logging: one JSON object a line, whole lines whoever writes, the log never stops the exchange."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from core import logs

WRITER = """
from core import logs
log = logs.configure({name!r})
for number in range(500):
    log.info("line", number=number, text="x" * 300)
"""


def lines(file: Path) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


def test_a_line(tmp_path: Path) -> None:
    file = tmp_path / "log"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    log = logs.configure("fix", descriptor)
    log.info("logon", session=7, nothing=None, path=Path("/x"))
    log.debug("unseen")
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("failed")
    os.close(descriptor)
    first, second = lines(file)
    time = str(first.pop("time"))
    assert time.endswith("Z")
    assert len(time) == len("2026-01-31T12:00:00.123456Z")
    assert list(first.items()) == [
        ("level", "info"), ("process", "fix"), ("event", "logon"), ("session", 7), ("path", "/x"),
    ]
    assert second["error"] == "ValueError: bad"
    assert "test_logs.py" in str(second["traceback"])


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("a") as output:
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER.format(name=name)], stderr=output)
            for name in ("a", "b", "c")
        ]
        assert [writer.wait() for writer in writers] == [0, 0, 0]
    written = lines(file)
    assert len(written) == 1500
    for name in ("a", "b", "c"):
        numbers = [line["number"] for line in written if line["process"] == name]
        assert numbers == list(range(500))


def test_an_uncaught_exception_is_a_line_too(tmp_path: Path) -> None:
    code = "from core import logs; logs.configure('x'); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 1
    [line] = [msgspec.json.decode(line) for line in done.stderr.splitlines()]
    assert line["level"] == "critical"
    assert line["error"] == "ZeroDivisionError: division by zero"


def test_a_closed_log_is_borne() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    logs.configure("x", writing).info("to nobody")
    os.close(writing)
