"""The process `reserves`."""

import sys
from pathlib import Path

from core.journal.disk import RealDisk
from core.journal.errors import JournalError
from core.journal.reader import Walker
from core.sidecars.keys import SigningKey
from core.sidecars.remote_custody import custody_of
from core.sidecars.reserves.agent import Reserves
from core.sidecars.reserves.attestation import GENESIS
from core.sidecars.serve import Attached, serve


def journal_head(data: Path, sequence: int) -> tuple[int, bytes]:
    """The last sequence and the hash of the journal frame that holds a sequence; zeros if none.

    As each frame's hash covers the one before it, this says what the whole journal was.
    """
    try:
        walker = Walker(RealDisk(), data, sequence)
        while (found := walker.advance()) is not None:
            if found.last >= sequence:
                return found.last, found.hash
    except JournalError:
        return 0, GENESIS
    return 0, GENESIS


def keys_of(data: Path, attestor: str) -> dict[str, SigningKey]:
    """The two keys that sign, by their roles; made at first use."""
    directory = data / "keys"
    chosen = Path(attestor) if attestor else directory / "attestor.key"
    return {
        "engine": SigningKey.load_or_make(directory / "engine.key"),
        "attestor": SigningKey.load_or_make(chosen),
    }


def make(attached: Attached) -> Reserves:
    """The agent as the configuration has it."""
    configured = attached.process.configuration.reserves
    data = attached.process.options.data
    return Reserves(
        attached.store, attached.follower, attached.link, core_ready=attached.core_ready,
        directory=data / "reserves",
        custody=custody_of(attached.process.configuration.custody, data),
        keys=keys_of(data, configured.key_file),
        journal_head=lambda sequence: journal_head(data, sequence),
        period_ns=int(configured.period_seconds * 1e9),
    )


if __name__ == "__main__":
    sys.exit(serve(Reserves.producer, Reserves.migrations, make))
