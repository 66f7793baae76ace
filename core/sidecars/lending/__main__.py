"""The process `lending`."""

import sys

from core.config import Lending as Configured
from core.sidecars.lending.agent import Lending
from core.sidecars.lending.curve import Knot, Throttle, knots
from core.sidecars.serve import Attached, serve


def curve_of(configured: Configured) -> tuple[Knot, ...]:
    """The curve as the configuration has it."""
    return knots(
        configured.rate_base_millionths, configured.optimal_millionths,
        configured.rate_optimal_millionths, configured.rate_full_millionths,
    )


def throttle_of(configured: Configured) -> Throttle:
    """How fast pools may be used up, as the configuration has it."""
    return Throttle(
        configured.throttle_threshold_millionths, configured.throttle_fraction_millionths
    )


def make(attached: Attached) -> Lending:
    """The agent as the configuration has it."""
    configured = attached.process.configuration.lending
    return Lending(
        attached.store, attached.follower, attached.link, core_ready=attached.core_ready,
        curve=curve_of(configured), throttle=throttle_of(configured),
        period_ns=int(configured.period_seconds * 1e9),
    )


if __name__ == "__main__":
    sys.exit(serve(Lending.producer, Lending.migrations, make))
