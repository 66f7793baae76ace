"""When the next change that waits is due."""

from core.jit import jit


@jit
def set_risk_due(s, time):
    """Look at proposals and releases at this time, if not earlier."""
    if s.risk_due == 0 or time < s.risk_due:
        s.risk_due = time
