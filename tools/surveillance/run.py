"""All detectors, one after the other."""

from datetime import datetime

from tools.surveillance.alert import Alert, Connection, watch
from tools.surveillance.front_running import front_running
from tools.surveillance.layering import layering
from tools.surveillance.pin import pin
from tools.surveillance.wash import wash

DETECTORS = (wash, layering, pin, front_running)


def surveil(connection: Connection, since: datetime | None = None) -> list[Alert]:
    """What all of them raise, in order of time. since: look at what came from then on (UTC)."""
    watch(connection, since)
    raised = [alert for detector in DETECTORS for alert in detector(connection)]
    return sorted(raised, key=lambda alert: alert.time)
