"""The process `oracle`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from core.config import Configuration, OracleSource
from core.link import Event, EventFollower
from core.sidecars.oracle.agent import Oracle
from core.sidecars.oracle.fix_source import FixSource
from core.sidecars.oracle.http_source import HttpSource
from core.sidecars.oracle.index import Weighed
from core.sidecars.oracle.risk_arrays import Ranges
from core.sidecars.oracle.rules import documents, rules_of
from core.sidecars.oracle.series import Series
from core.sidecars.oracle.sources import FileSource, SimulatedSource, Source
from core.sidecars.oracle.websocket_source import WebSocketSource
from core.sidecars.serve import Attached, serve
from core.sidecars.store import Store

SECOND = 1_000_000_000


def began(store: Store) -> int:
    """When this exchange's oracle first ran, ns UTC: where walks and delays begin."""
    noted = store.note("began")
    if noted is None:
        store.begin()
        store.set_note("began", noted := str(time.time_ns()))
        store.commit(store.position)
    return int(noted)


def weighed(configured: OracleSource, source: Source) -> Weighed:
    """A source with the limits that the configuration gives it."""
    return Weighed(
        configured.name, source, configured.weight, int(configured.stale_seconds * SECOND),
        configured.deviation_millionths, configured.kind == "book",
    )


def make_source(configured: OracleSource, since: int) -> Source | None:
    """What the configuration asks for; None for our own book, which the oracle has itself."""
    if configured.kind == "file":
        return FileSource(Path(configured.path))
    if configured.kind == "http":
        return HttpSource(configured.url, configured.json_path)
    if configured.kind == "websocket":
        return WebSocketSource(configured.url, configured.json_path, configured.subscribe)
    if configured.kind == "fix":
        return FixSource(
            configured.host, configured.port, configured.symbol, sender=configured.sender,
            target=configured.target, username=configured.username, password=configured.password,
        )
    if configured.kind == "simulated":
        volatility = configured.volatility_millionths / 1e6
        return SimulatedSource(
            configured.asset, configured.start, configured.seed, volatility, since
        )
    return None


def make_ranges(configuration: Configuration) -> dict[str, Ranges]:
    """The margin bases of each asset's first perpetual, by the asset's name."""
    ranges: dict[str, Ranges] = {}
    for entry in configuration.instrument:
        if entry.kind == "perpetual" and entry.base not in ranges:
            ranges[entry.base] = Ranges(
                entry.margin_base_initial_millionths, entry.margin_base_maintenance_millionths
            )
    return ranges


def make(attached: Attached) -> Oracle:
    """The agent as the configuration has it."""
    configuration = attached.process.configuration
    configured, options = configuration.oracle, attached.process.options
    since = began(attached.store)
    sources: dict[str, list[Weighed]] = {}
    for entry in configured.source:
        source = make_source(entry, since)
        if source is not None:
            sources.setdefault(entry.asset, []).append(weighed(entry, source))

    def events_since(position: int) -> Iterator[Event]:
        follower = EventFollower(
            options.instance, options.data, position, gate=attached.gate
        )
        yield from follower
        follower.close()

    oracle = Oracle(
        attached.store, attached.follower, attached.link, core_ready=attached.core_ready,
        sources=sources, since=events_since, sources_min=configured.sources_min,
        interval_ns=int(configured.interval_seconds * SECOND),
        premium_seconds=configured.premium_seconds,
        premium_band=configured.premium_band_millionths / 1e6,
        stable_seconds=configured.stable_seconds,
        averaging_ns={i.symbol: i.averaging_seconds * SECOND for i in configuration.instrument},
        volatility={
            entry.asset: entry.volatility_millionths / 1e6 for entry in configured.source
        },
        ranges=make_ranges(configuration),
        rules=rules_of(configuration), documents=list(documents(configuration)),
        series=[
            Series(
                entry.asset, entry.period_seconds * SECOND, entry.window_seconds * SECOND,
                entry.tick, entry.lot, configuration.limits.instruments_max - 1,
            )
            for entry in configured.series
        ],
    )
    for entry in configured.source:
        if entry.kind == "book":
            oracle.add_source(entry.asset, weighed(entry, oracle.book_source(entry.asset)))
    return oracle


if __name__ == "__main__":
    sys.exit(serve(Oracle.producer, Oracle.migrations, make))
