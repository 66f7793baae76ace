"""The process `settlement`."""

import sys

from core.clock import read_clock
from core.config import Configuration
from core.sidecars.remote_custody import custody_of
from core.sidecars.serve import Attached, serve
from core.sidecars.settlement.agent import Settlement
from core.sidecars.settlement.outflow import Cap


def caps_of(configuration: Configuration) -> dict[int, Cap]:
    """What may leave of each asset, by its number."""
    numbers = configuration.numbers()
    return {
        numbers.assets[asset.name]: Cap(
            asset.withdrawal_cap // 10 ** (8 - asset.decimals),
            asset.withdrawal_account_cap // 10 ** (8 - asset.decimals),
            int(asset.withdrawal_window_seconds * 1e9),
            asset.withdrawal_account_share_millionths,
        )
        for asset in configuration.asset
    }


def delays_of(configuration: Configuration) -> dict[int, int]:
    """How long withdrawals of an owner wait, ns, by number."""
    numbers = configuration.numbers()
    return {
        numbers.owners[owner.name]: owner.withdrawal_delay_seconds * 1_000_000_000
        for owner in configuration.owner
    }


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
        caps=caps_of(attached.process.configuration), delays=delays_of(
            attached.process.configuration
        ),
        read_clock=read_clock,
    )


if __name__ == "__main__":
    sys.exit(serve(Settlement.producer, Settlement.migrations, make))
