"""The process `settlement`."""

import sys

from core.sidecars.remote_custody import custody_of
from core.sidecars.serve import Attached, serve
from core.sidecars.settlement.agent import Settlement


def make(attached: Attached) -> Settlement:
    """The agent as the configuration has it."""
    configured = attached.process.configuration.settlement
    return Settlement(
        attached.store, attached.follower, attached.link, core_ready=attached.core_ready,
        custody=custody_of(
            attached.process.configuration.custody, attached.process.options.data
        ),
        period_ns=int(configured.period_seconds * 1e9),
        funding_ns=int(configured.funding_seconds * 1e9),
        funding_bound=configured.funding_bound_millionths * 1000,
    )


if __name__ == "__main__":
    sys.exit(serve(Settlement.producer, Settlement.migrations, make))
