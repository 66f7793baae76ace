"""What a client missed, from the event stream, compiled: reports again, gap fills for the rest.

    wanted 7 … 12      events of the session           sent
                        7  ExecutionReport              35=8 34=7  43=Y 122=…
                        8  SessionNumbersAssigned 8–10  35=4 34=8  43=Y 36=11   (heartbeats, …)
                       11  ExecutionReport              35=8 34=11 43=Y 122=…
                       12  SessionNumbersAssigned       35=4 34=12 43=Y 36=13

The state of one replay is seven words:

     0  session      16  end, last number wanted     32  time of the gap's first
     8  next number  24  begin of a gap, 0: none     40  bytes written   48  done
"""

from core.jit import jit
from gateway.fix.records import EVENT_BODY_AT
from gateway.fix.references import PLAIN, numbers_kind
from gateway.fix.report import REPORT_BYTES_MAX, put_gap, put_report
from gateway.fix.walk import is_plain_report
from sbe.generated import control
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, load_u32, store_i64

P_SESSION, P_NEXT, P_END, P_GAP, P_GAP_TIME, P_WRITTEN, P_DONE = (8 * i for i in range(7))
STATE_WORDS = 7


@jit
def is_forgotten(frame: int) -> bool:
    """Whether numbers were taken for messages of ours that aren't told again."""
    text = frame + EVENT_BODY_AT + control.SESSION_NUMBERS_ASSIGNED_BLOCK
    return numbers_kind(frame) == PLAIN and control.session_numbers_assigned_text_length(text) == 0


@jit
def close_gap(p: int, c: int, out: int, following: int, now: int) -> None:
    """Write the gap that is open, if one is, up to before `following`."""
    gap = load_i64(p + P_GAP)
    if gap:
        written = load_i64(p + P_WRITTEN)
        time = load_i64(p + P_GAP_TIME)
        written += put_gap(out + written, c, gap, following, time, now)
        store_i64(p + P_WRITTEN, written)
        store_i64(p + P_GAP, 0)


@jit
def open_gap(p: int, time: int) -> None:
    """Numbers from `next` on aren't sent again."""
    if load_i64(p + P_GAP) == 0:
        store_i64(p + P_GAP, load_i64(p + P_NEXT))
        store_i64(p + P_GAP_TIME, time)


@jit
def finish_replay(p: int, c: int, out: int, now: int) -> None:
    """Everything was found, or there is nothing more: a gap over what is left."""
    end = load_i64(p + P_END)
    if load_i64(p + P_NEXT) <= end:
        open_gap(p, now)
    close_gap(p, c, out, end + 1, now)
    store_i64(p + P_NEXT, end + 1)
    store_i64(p + P_DONE, 1)


@jit
def replay(p: int, c: int, t: int, a: int, length: int, out: int, room: int, now: int) -> int:
    """Go on through `length` bytes of the stream at `a`, writing to `out`; the bytes dealt with.

    p: the state, c: connection, t: context, room: bytes at `out`. Stops before an event that
    Python must put into words (`next` is its number then), when the room is used up, and when all
    is done.
    """
    at = 0
    session = load_i64(p + P_SESSION)
    while at + 32 <= length and load_i64(p + P_DONE) == 0:
        frame = a + at
        size = load_i32(frame)
        if size < 32 or at + size > length:
            break
        number = load_u32(frame + EVENT_BODY_AT + 8) if load_i32(frame + 4) == session else 0
        if number == 0:
            at += size
            continue
        template = oe.header_template(frame + 16)
        last = number
        assigned = template == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE
        if assigned:
            last += control.session_numbers_assigned_count(frame + EVENT_BODY_AT) - 1
        if last < load_i64(p + P_NEXT):
            at += size
            continue
        if load_i64(p + P_WRITTEN) + 2 * REPORT_BYTES_MAX > room:
            break
        if number > load_i64(p + P_END):
            finish_replay(p, c, out, now)
            break
        if number > load_i64(p + P_NEXT):
            open_gap(p, load_i64(frame + EVENT_BODY_AT))  # older than what is kept
            store_i64(p + P_NEXT, number)
        if is_plain_report(t, template, frame):
            close_gap(p, c, out, number, now)
            written = load_i64(p + P_WRITTEN)
            time = load_i64(frame + EVENT_BODY_AT)
            written += put_report(out + written, c, t, frame, number, time, now, 0, 0)
            store_i64(p + P_WRITTEN, written)
        elif assigned and is_forgotten(frame):
            open_gap(p, load_i64(frame + EVENT_BODY_AT))
        else:
            break
        store_i64(p + P_NEXT, last + 1)
        if last >= load_i64(p + P_END):
            finish_replay(p, c, out, now)
        at += size
    return at
