"""All detectors, one after the other: once, or again and again over what is new."""

from datetime import UTC, datetime

from tools.surveillance.alert import Alert, Connection, Watch
from tools.surveillance.front_running import front_running
from tools.surveillance.layering import layering
from tools.surveillance.pin import pin
from tools.surveillance.ramp import ramp
from tools.surveillance.wash import wash

DETECTORS = (wash, layering, pin, front_running, ramp)
# What is looked at again, in ns: well more than the longest window of a detector.
BACK = 3600 * 1_000_000_000


def surveil(connection: Connection, since: datetime | None = None) -> list[Alert]:
    """What all of them raise, in order of time. since: ask of what came from then on (UTC)."""
    Watch(connection).update()
    return raised(connection, nanoseconds(since))


def raised(connection: Connection, since: int) -> list[Alert]:
    """What the detectors say of the watched tables from a time on (ns UTC)."""
    alerts = [alert for detector in DETECTORS for alert in detector(connection, None, since)]
    return sorted(alerts, key=lambda alert: alert.time)


class Patrol:
    """Looks again and again; says each suspicion once, however much it grows."""

    def __init__(self, connection: Connection, since: datetime | None = None) -> None:
        self._connection = connection
        self._watch = Watch(connection)
        self._since = nanoseconds(since)
        self._known: dict[tuple[str, str, tuple[str, ...]], set[int]] = {}

    def look(self) -> list[Alert]:
        """What is new; the first time everything, later what the last minutes give cause for."""
        self._watch.update(whole=False)
        new = [alert for alert in raised(self._connection, self._since) if self._is_new(alert)]
        last = self._connection.execute("SELECT max(moment) FROM watched_trade").fetchone()
        if last and last[0] is not None:
            self._since = max(self._since, last[0] - BACK)
        return new

    def _is_new(self, alert: Alert) -> bool:
        """Whether it has no order in common with what was said of the same people there."""
        orders = self._known.setdefault((alert.kind, alert.instrument, alert.owners), set())
        known = not orders.isdisjoint(alert.orders)
        orders.update(alert.orders)
        return not known


def nanoseconds(since: datetime | None) -> int:
    """A time of UTC in ns; 0 for none."""
    return 0 if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1_000_000) * 1000
