"""The processes of the exchange as a table: what is started, in which order, and stopped in which.

All are loaded at the same time; each line begins as soon as the line above is ready. A gateway goes
first when stopping, so that no client is promised anything any more; the journal goes last, when it
has stored what the core did.

    start 0   journal, core                         stop 3  journal
          1   settlement, lending, oracle, reserves      2  core
          2   fix, binary, feed                          1  settlement, lending, oracle, reserves
    behind    follower: nobody waits for it              0  fix, binary, feed, follower
"""

from dataclasses import dataclass, replace

from core.config import Configuration
from tools.supervisor.turns import LONG_TURN_NS, SHORT_TURN_NS


@dataclass(frozen=True)
class Spec:
    """One process: its name everywhere, its module, and its place in the two orders."""

    name: str
    module: str
    start: int
    stop: int
    ready_seconds: float = 60.0  # longer than this to become ready counts as a failure
    stop_seconds: float = 10.0  # longer than this to stop: killed
    behind: bool = False  # started when everything is ready
    # See tools/supervisor/turns.py.
    patient: bool = False  # nobody waits for it
    turn_ns: int = 0  # 0: as the kernel likes


PROCESSES = (
    # A recovery replays the journal before the core is ready, however long that takes.
    Spec("journal", "core.journal", start=0, stop=3, ready_seconds=600.0, stop_seconds=30.0,
         turn_ns=SHORT_TURN_NS),
    Spec("core", "core", start=0, stop=2, ready_seconds=3600.0, stop_seconds=30.0,
         turn_ns=LONG_TURN_NS),
    Spec("settlement", "core.sidecars.settlement", start=1, stop=1, patient=True),
    Spec("lending", "core.sidecars.lending", start=1, stop=1, patient=True),
    Spec("oracle", "core.sidecars.oracle", start=1, stop=1, patient=True),
    Spec("reserves", "core.sidecars.reserves", start=1, stop=1, patient=True),
    Spec("follower", "core.follower", start=3, stop=0, ready_seconds=3600.0, behind=True,
         patient=True),
    Spec("fix", "gateway.fix", start=2, stop=0, turn_ns=SHORT_TURN_NS),
    Spec("binary", "gateway.binary", start=2, stop=0, turn_ns=SHORT_TURN_NS),
    Spec("feed", "gateway.feed", start=2, stop=0, patient=True),
)

# The core has to know the venue before anybody may use it: genesis runs when this start is ready.
GENESIS_AFTER = 0


def enabled(configuration: Configuration) -> tuple[Spec, ...]:
    """The processes that a configuration asks for, in order of start."""
    exchange = configuration.exchange
    wanted = {
        name: getattr(configuration, name).enabled
        for name in ("settlement", "lending", "oracle", "reserves", "feed")
    }
    # Snapshots are made from the journal.
    wanted["follower"] = exchange.snapshot_seconds > 0 and exchange.policy != "none"
    specs = (spec for spec in PROCESSES if wanted.get(spec.name, True))
    # Only under `fsync` does anybody wait for the journal.
    in_no_hurry = "" if exchange.policy == "fsync" else "journal"
    return tuple(
        replace(spec, patient=True, turn_ns=0) if spec.name == in_no_hurry else spec
        for spec in specs
    )
