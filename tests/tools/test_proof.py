"""A replay of the journal must meet what was recorded, and must notice when it doesn't."""

import ctypes
from pathlib import Path

import pytest

from core.config import Limits
from core.events import log_address
from core.journal import frame
from core.journal.archive import ArchiveWriter
from core.journal.errors import DataVersion
from core.journal.writer import Journal, Policy
from core.recovery import Replica
from core.snapshot import state_digest
from tools.bench.venue import ONE, CommandStream, found_venue, new_order
from tools.cli import make_app
from tools.proof import prove

# A first compilation of the core for these limits may be part of it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def trading_day() -> memoryview:
    stream = CommandStream()
    found_venue(stream, instruments=2, accounts=4)
    for number in range(200):
        stream.pass_time(1_000_000)
        new_order(
            stream, clOrdId=number + 1, account=100 + number % 4, instrument=1 + number % 2,
            side=1 + number // 2 % 2, orderQty=ONE * (1 + number % 5),
            price=(2000 + number * 37 % 100) * ONE // 100,
        )  # fmt: skip
    return memoryview(stream.take().tobytes())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A data directory as the processes would leave it, and its last command."""
    data = tmp_path_factory.mktemp("data")
    journal = Journal(data, Policy.ASYNC)
    journal.takeover(1)
    archive = ArchiveWriter(data)
    replica = Replica(
        Limits(), None,
        events=lambda log, start, end: archive.append(
            ctypes.string_at(log_address(log, start), end - start)
        ) and None,
    )  # fmt: skip
    commands = trading_day()
    last = max(sequence for sequence, _ in frame.commands(commands))
    for until in range(20, last + 20, 20):
        batch = frame.skip(commands, replica.sequence + 1)
        batch = batch[: len(batch) - len(frame.skip(batch, min(until, last) + 1))]
        replica.apply(batch)
        journal.append(batch)
        if until % 60 == 0:
            journal.append_digest(replica.sequence, state_digest(replica.state()))
    journal.close()
    archive.close()
    replica.close()
    return data, last


def test_a_replay_meets_every_digest_and_every_byte(written: tuple[Path, int]) -> None:
    data, last = written
    proof = prove(data, Limits())
    assert proof.holds
    assert proof.commands == last > 200
    assert proof.digests_met == last // 60
    assert proof.events_compared == proof.events_bytes > 100 * last
    assert prove(data, Limits()) == proof


def test_a_changed_event_is_found(
    written: tuple[Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    data, _ = written
    events = next((data / "events").glob("*.events"))
    content = events.read_bytes()
    position = len(content) // 2
    changed = bytearray(content)
    changed[position] ^= 1
    events.write_bytes(changed)
    try:
        assert prove(data, Limits()).events_differ_at == position
        code = make_app()(["journal", "prove", str(data)], result_action="return_value")
        assert code == 1
        assert f"they differ at position {position}" in capsys.readouterr().out
    finally:
        events.write_bytes(content)


def test_a_wrong_digest_is_found(written: tuple[Path, int]) -> None:
    data, last = written
    journal = Journal(data)
    journal.takeover(journal.epoch + 1)
    journal.append_digest(last - 5, b"not the digest of that state")
    journal.close()
    proof = prove(data, Limits())
    assert proof.digests_wrong == [last - 5]
    assert not proof.holds


def test_what_is_no_data_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataVersion):
        prove(tmp_path, Limits())
