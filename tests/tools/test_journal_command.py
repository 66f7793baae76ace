"""`onebook journal`: what it shows is what is there, and damage has a name and an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core import snapshot
from core.journal.archive import ArchiveWriter
from core.journal.disk import RealDisk
from core.journal.reader import Walker, read_from
from core.journal.writer import Journal, Policy
from tests.core.journal.commands import batch, event
from tools.cli import make_app


@pytest.fixture
def data(tmp_path: Path) -> Path:
    journal = Journal(tmp_path, Policy.ASYNC, segment_size=4096)
    journal.takeover(1)
    for first in range(1, 61, 3):
        journal.append(memoryview(batch(first, 3)))
    journal.append_digest(30, b"digest")
    journal.close()
    archive = ArchiveWriter(tmp_path, segment_size=1024)
    for number in range(1, 61):
        archive.append(event(number))
    archive.close()
    return tmp_path


def run(*arguments: object) -> int:
    result = make_app()(["journal", *map(str, arguments)], result_action="return_value")
    assert isinstance(result, int)
    return result


def test_show_lists_segments_and_frames(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", data, "--frames", "--json") == 0
    *frames, whole = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(frames) == 20 + 3
    assert [frame["frame"] for frame in frames] == list(range(1, 24))
    assert [frame["kind"] for frame in frames[-2:]] == ["digest", "close"]
    assert frames[1]["commands"] == "1-3"
    assert whole["last_command"] == 60
    assert whole["digests"] == 1
    assert whole["last_hash"] == frames[-1]["hash"]
    assert sum(line["frames"] for line in whole["segments"]) == 23
    assert (whole["archive_begin"], whole["archive_end"]) == (0, 60 * 64)
    assert run("show", data, "--frames") == 0
    text = capsys.readouterr().out
    assert "00000000000000000001.journal" in text
    assert "command 60 is the last" in text
    assert "takeover" in text


def test_verify_of_a_whole_journal_says_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", data) == 0
    assert "whole: every hash is right" in capsys.readouterr().out


def test_verify_names_segment_and_offset_of_damage(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = min((data / "journal").glob("*.journal"))
    content = bytearray(segment.read_bytes())
    content[128 + 40] ^= 1
    segment.write_bytes(content)
    assert run("verify", data) == 1
    assert f"journal damaged: segment {segment.name} offset 128: " in capsys.readouterr().err
    assert segment.read_bytes() == content


def test_verify_tells_of_torn_tails(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walker = Walker(RealDisk(), data)
    list(walker.to_the_end())
    with walker.path.open("r+b") as file:
        file.seek(walker.offset)
        file.write(b"half a frame")
    last = max((data / "events").glob("*.events"))
    with last.open("ab") as file:
        file.write(b"half")
    assert run("verify", data) == 0
    out = capsys.readouterr().out
    assert f"segment {walker.path.name} offset {walker.offset}: 12 torn bytes" in out
    assert f"{last.name} offset {last.stat().st_size - 4}: not whole from here" in out


def test_a_missing_archive_file_is_damage_if_a_snapshot_counts_on_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sorted((data / "events").glob("*.events"))[1].unlink()
    assert run("verify", data) == 0
    assert "torn tail: no events from position 1024 on" in capsys.readouterr().out
    snapshot.write(data, b"state", 20, 1280, b"layout")
    assert run("verify", data) == 1
    assert "archive damaged: no events from position 1024 on" in capsys.readouterr().err


def test_a_hole_that_never_was_durable_can_be_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a power cut under `async` leaves: frame 4 is missing, 5 and 6 are there."""
    journal = Journal(tmp_path, Policy.ASYNC, segment_size=1 << 16)
    journal.takeover(1)
    for first in range(1, 16, 3):
        journal.append(memoryview(batch(first, 3)))
    journal._release()
    places = []
    walker = Walker(RealDisk(), tmp_path)
    places = [(walker.offset - found.size, found.size) for found in walker.to_the_end()]
    path = walker.path
    with path.open("r+b") as file:
        file.seek(places[3][0])
        file.write(bytes(places[3][1]))
    assert run("verify", tmp_path) == 1
    assert "it had not been synced yet" in capsys.readouterr().err
    assert run("cut", tmp_path) == 0
    expected = f"segment {path.name} offset {places[3][0]}"
    out = capsys.readouterr().out
    assert expected in out
    assert "command 6 is the last now, it was 15" in out
    assert run("verify", tmp_path) == 0
    assert run("cut", tmp_path) == 0
    assert b"".join(read_from(RealDisk(), tmp_path, 1)) == batch(1, 6)
    Journal(tmp_path).close()


def test_a_hole_in_what_was_durable_is_never_cut(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = max((data / "journal").glob("*.journal"))
    with path.open("r+b") as file:
        file.write(bytes(64))
    before = path.read_bytes()
    assert run("cut", data) == 1
    assert path.read_bytes() == before
    assert "says it was durable" in capsys.readouterr().err


def test_what_is_no_data_directory_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.cli", "journal", "verify", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == f"onebook: {tmp_path} is not a data directory: it has no VERSION\n"
