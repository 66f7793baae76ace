"""Who is let in: a Logon against the configured sessions, before any state is touched.

The order of the rules is the order in which they are reported. A client that isn't identified is
only cut off; one that is gets a Logout that says why, with SessionStatus (1409) on FIXT
where the credentials are wrong: the standard has no value for anything else that can be.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.venue import FixSession
from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.dictionary.validate import SENDING_TIME, TEXTS, check
from gateway.fix.message import Message, body, frame
from gateway.fix.profile import UNSIGNED, Profiles, Proof, Refusal, is_allowed
from gateway.fix.schedule import is_over
from gateway.fix.times import time_of, time_text

SECOND = 1_000_000_000
SCOPES = {"S": 1, "A": 2, "N": 0}
SCOPE_NAMES = {"none": 0, "session": 1, "accounts": 2}


@dataclass(frozen=True, slots=True)
class Entry:
    """A Logon that was let in."""

    session: FixSession
    version: str
    number: int
    heartbeat: int  # seconds
    reset: bool
    next_expected: int  # 789, 0 if not given
    cancel_on_disconnect: int
    possible_duplicate: bool
    proof: Proof = UNSIGNED

    @property
    def misses_what_was_lost(self) -> bool:
        """Whether reports that it may not have come again once its numbers began again.

        A session that is configured to begin anew at every connection has said that it does not.
        """
        return not (self.session.reset_on_logon or self.session.reset_on_disconnect)


class Admission:
    """The door. `is_taken` says whether a session is logged on, `next_number_of` what comes next,
    `began_of` when its numbers were last taken up (ns, 0: never), and `spend` tells the core what
    was signed by a Logon that opens nothing."""

    def __init__(
        self, profiles: Profiles, logon_seconds: float,
        is_taken: Callable[[int], bool], next_number_of: Callable[[int], int],
        began_of: Callable[[int], int], spend: Callable[[int, Proof], None],
    ) -> None:
        self.logon_seconds = logon_seconds
        self._profiles = profiles
        self._is_taken = is_taken
        self._next_number_of = next_number_of
        self._began_of = began_of
        self._spend = spend

    def begins_again(self, session: FixSession, now: int) -> bool:
        """Whether the session's numbers start again at this Logon, unasked."""
        day_over = is_over(self._began_of(session.session), now, session.reset_time)
        return session.reset_on_logon or day_over

    def next_number(self, message: Message, now: int) -> int:
        """The outbound number that a Logout without a session bears; it uses none up."""
        session = self._profiles.find(message)
        if session is None or message.get(141) == b"Y" or self.begins_again(session, now):
            return 1
        return self._next_number_of(session.session)

    def judge(self, message: Message, peer: str, now: int) -> Entry | Refusal | str:
        """An entry, a refusal to send, or the reason to cut the connection without a word."""
        if message.kind != "A":
            return "the first message isn't a Logon"
        session = self._profiles.find(message)
        if session is None:
            return "unknown CompIDs"
        if message.text(8) not in session.versions:
            return "BeginString isn't one of the session's"
        taken = self._is_taken(session.session)
        if not taken and not is_allowed(session, peer):
            return "the address isn't allowed"
        judged = self._judge_content(session, message, now)
        if taken and isinstance(judged, Entry):
            self._spend(session.session, judged.proof)
        return "the session is logged on already" if taken else judged

    def judge_again(self, message: Message, now: int) -> Entry | Refusal | str:
        """A Logon inside the session."""
        session = self._profiles.find(message)
        if session is None:
            return "CompID problem"
        judged = self._judge_content(session, message, now)
        if isinstance(judged, Entry):
            self._spend(session.session, judged.proof)
        return judged

    def _judge_content(self, session: FixSession, message: Message, now: int) -> Entry | Refusal:
        time = time_of(message.get(52))
        if time is None or abs(now - time) > session.sending_time_seconds * SECOND:
            return Refusal(TEXTS[SENDING_TIME])
        proof = self._profiles.judge(session, message)
        if isinstance(proof, Refusal):
            return proof
        judged = _terms(session, message, proof)
        if isinstance(judged, Refusal):
            self._spend(session.session, proof)
        return judged

    def farewell(self, message: Message, refusal: Refusal, now: int) -> bytes:
        """The Logout of a Logon that isn't taken."""
        version, number = message.text(8), self.next_number(message, now)
        status = [(1409, refusal.status)] if version == "FIXT.1.1" else []
        return frame(version.encode(), body([
            (35, "5"), (49, message.text(56)), (56, message.text(49)), (34, number),
            (52, time_text(now)), *status, (58, refusal.text)]))


def _terms(session: FixSession, message: Message, proof: Proof) -> Entry | Refusal:
    """Numbers, heartbeat, version: what the two sides agree on."""
    fault = check(message)
    if fault is not None:
        field = FIELDS.get(fault.tag or 0)
        name = f" ({field.name})" if field else ""
        return Refusal(f"{fault.text}: tag {fault.tag}{name}")
    number, beat = message.number(34), message.number(108)
    low, high = session.heartbeat_seconds_min, session.heartbeat_seconds_max
    reset = message.get(141) == b"Y"
    fixt = message.text(8) == "FIXT.1.1"
    if number is None:
        return Refusal("MsgSeqNum (tag 34) isn't a number")
    if beat is None or not low <= beat <= high:
        text = f"HeartBtInt (tag 108) {message.text(108)} isn't between {low} and {high}"
        return Refusal(text)
    if reset and number != 1:
        return Refusal(f"ResetSeqNumFlag needs MsgSeqNum 1, was {number}")
    if fixt and message.text(1137) != "9":
        return Refusal("DefaultApplVerID (tag 1137) must be 9 (FIX50SP2)")
    scope = SCOPES.get(message.text(8013), SCOPE_NAMES[session.cancel_on_disconnect])
    return Entry(
        session, message.text(8), number, beat, reset, message.number(789) or 0, scope,
        message.get(43) == b"Y", proof,
    )


def refusal_of(entry: Entry, next_inbound: int, next_outbound: int) -> str:
    """What speaks against an entry once the session's numbers are known; empty if nothing does."""
    if entry.number < next_inbound and not entry.possible_duplicate:
        return f"MsgSeqNum too low, expecting {next_inbound} but received {entry.number}"
    if entry.next_expected > next_outbound:
        return (
            f"NextExpectedMsgSeqNum (tag 789) too high, expecting at most {next_outbound} "
            f"but received {entry.next_expected}"
        )
    return ""
