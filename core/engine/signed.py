"""What a session was opened with counts once: a window against replays, as IPsec has for packets.

    signed before the floor │ ● ○ ● ● … the last SIGNED_MAX that were taken │ anything newer
    ────────────────────────┴───────────────────────────────────────────────┴───────────────
          refused                refused if it is one of them, else taken        taken

A gateway sees to it that what is signed is of the last minutes; a captured Logon sent again within
them is refused here, by what outlives gateways and is one for all of them, and comes back with
journal and snapshot. Only asking for a later time than the last would refuse honest clients: those
whose clock was set back a little, and those with whole seconds that come again within one (another
MsgSeqNum makes another text). The floor rises only when the oldest must go: nothing that was taken
is ever taken again.
"""

from core.jit import jit
from core.records import SIGNED_MAX


@jit
def take_signature(session, time, mark):
    """Remember what was signed; False if it was taken before, or might have been.

    time: ns UTC that was signed, mark: hash of the whole text with that time in it.
    """
    if time <= session.signed_floor:
        return False
    oldest = 0
    for place in range(SIGNED_MAX):
        if session.signed_times[place] == time and session.signed_marks[place] == mark:
            return False
        if session.signed_times[place] < session.signed_times[oldest]:
            oldest = place
    if time <= session.signed_times[oldest]:
        session.signed_floor = time  # all places have newer ones
        return True
    session.signed_floor = max(session.signed_floor, session.signed_times[oldest])
    session.signed_times[oldest] = time
    session.signed_marks[oldest] = mark
    return True
