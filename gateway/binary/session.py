"""One connection's conversation, from Negotiate to Terminate: messages in, effects out.

                 Negotiate                       Establish
    CONNECTED ─────────────▶ NEGOTIATING      ┌─────────────▶ ESTABLISHING
        │                        │ core: yes  │                   │ core: yes
        │                        ▼            │                   ▼
        │                    NEGOTIATED ──────┘              ESTABLISHED ◀── orders, events
        │ Establish (a version negotiated before)                 │
        └───────────────────────────────────▶ ESTABLISHING        │ Terminate, silence, violation
                                                                  ▼
    every refusal, violation and lapse ──────────────────────▶ TERMINATED

The core owns the session: its version, its numbers both ways, and whether somebody is connected.
This class checks who is asking, passes the question to the core (`Open`), and answers when the
core has (`opened`). So nothing is lost when a gateway dies, and a new one needs no handover.

Times are passed in: `now` is ns UTC for what clients sign, `clock` monotonic ns for silences.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from core.venue import BinarySession
from gateway.binary.effects import (
    Bind,
    Close,
    Disconnect,
    Effect,
    Open,
    Reply,
    Retransmit,
)
from gateway.binary.signing import is_signed
from sbe.generated import order_entry as oe

TIMESTAMP_TOLERANCE_NS = 5_000_000_000
CANCEL_WINDOW_MAX = 60_000  # ms
RETRANSMIT_MAX = 2500
RETRANSMIT_OUT_OF_RANGE = 0
RETRANSMIT_LIMIT_EXCEEDED = 2
MILLISECOND = 1_000_000
CANCEL_MODES = {
    "none": oe.CANCEL_ON_DISCONNECT_NONE,
    "session": oe.CANCEL_ON_DISCONNECT_SESSION,
    "accounts": oe.CANCEL_ON_DISCONNECT_ACCOUNT,
}


class Phase(Enum):
    """How far a connection has come."""

    CONNECTED = auto()
    NEGOTIATING = auto()
    NEGOTIATED = auto()
    ESTABLISHING = auto()
    ESTABLISHED = auto()
    TERMINATED = auto()


@dataclass(slots=True)
class Known:
    """What the gateway knows of a session from the core's events."""

    version: int = 0
    next_inbound: int = 1
    next_outbound: int = 1
    last_applied: int = 0
    last_timestamp: int = 0  # of the last Establish accepted; an older one is a replay


@dataclass(frozen=True, slots=True)
class Opened:
    """The core's answer to `Open`."""

    reason: int
    version: int
    next_inbound: int
    next_outbound: int


class Exchange(Protocol):
    """What a session asks of its surroundings."""

    def configured(self, session: int) -> BinarySession | None:
        """The session's configuration, or None if there is no such binary session."""

    def known(self, session: int) -> Known:
        """What is known of the session."""

    def is_taken(self, session: int) -> bool:
        """Whether another connection has the session, or is about to."""

    def available(self) -> bool:
        """Whether the core takes commands."""


class Session:
    """The state of one connection; see the drawing above."""

    def __init__(self, exchange: Exchange, peer: str, negotiate_ns: int, clock: int) -> None:
        self.phase = Phase.CONNECTED
        self.number = 0  # of the session, once somebody proved to own it
        self.version = 0
        self._exchange = exchange
        self._peer = peer
        self._deadline = clock + negotiate_ns
        self._keepalive = 0  # ms
        self._lapsed = False
        self._retransmitting = False
        self._request: Mapping[str, Any] = {}

    # ---- messages of the client ----------------------------------------------------------------

    def message(self, name: str, fields: Mapping[str, Any], now: int) -> list[Effect]:
        """A session message arrived."""
        if self.phase is Phase.TERMINATED:
            return []
        if name == "Terminate":
            return self._terminated_by_client()
        if self.phase in (Phase.NEGOTIATING, Phase.ESTABLISHING):
            return self.violation(oe.TERMINATION_CODE_NOT_ESTABLISHED)
        if name == "Negotiate":
            return self._negotiate(fields, now)
        if name == "Establish":
            return self._establish(fields, now)
        if self.phase is not Phase.ESTABLISHED:
            return self.violation(oe.TERMINATION_CODE_NOT_ESTABLISHED)
        if name == "Sequence":
            return self._sequence(fields)
        return self._retransmit(fields)

    def _negotiate(self, fields: Mapping[str, Any], now: int) -> list[Effect]:
        if self.phase is Phase.ESTABLISHED:
            return self.violation(oe.TERMINATION_CODE_UNRECOGNIZED_MESSAGE)
        self._request = fields
        session = fields["sessionId"]
        code = self._refusal("Negotiate", fields, now)
        if code is not None:
            return self._reject_negotiate(code)
        if fields["versionId"] <= self._exchange.known(session).version:
            return self._reject_negotiate(oe.REJECT_CODE_VERSION_NOT_HIGHER)
        self.number, self.version = session, fields["versionId"]
        self.phase = Phase.NEGOTIATING
        # Orders of an earlier version may rest; until the client chooses, the operator has.
        settings = self._exchange.configured(session)
        assert settings is not None, "Invariant: who signed is configured."
        cancel = CANCEL_MODES[settings.cancel_on_disconnect]
        window = min(settings.cancel_window_milliseconds, CANCEL_WINDOW_MAX)
        return [Open(session, self.version, True, cancel, window)]

    def _establish(self, fields: Mapping[str, Any], now: int) -> list[Effect]:
        self._request = fields
        if self.phase is Phase.ESTABLISHED:
            return [self._establish_reject(oe.REJECT_CODE_ALREADY_ESTABLISHED)]
        session, settings = fields["sessionId"], self._exchange.configured(fields["sessionId"])
        code = self._refusal("Establish", fields, now)
        if code is not None or settings is None:
            return self._reject_establish(oe.REJECT_CODE_CREDENTIALS if code is None else code)
        known = self._exchange.known(session)
        if self.phase is Phase.NEGOTIATED and session != self.number:
            return self._reject_establish(oe.REJECT_CODE_UNNEGOTIATED)
        if fields["versionId"] != known.version or known.version == 0:
            return self._reject_establish(oe.REJECT_CODE_UNNEGOTIATED)
        if fields["timestamp"] <= known.last_timestamp:
            return self._reject_establish(oe.REJECT_CODE_TIMESTAMP)
        least, most = settings.keepalive_milliseconds_min, settings.keepalive_milliseconds_max
        if not least <= fields["keepaliveInterval"] <= most:
            return self._reject_establish(oe.REJECT_CODE_KEEPALIVE_INTERVAL)
        if fields["nextSeqNo"] < 1:
            return self._reject_establish(oe.REJECT_CODE_NEXT_SEQ_NO)
        known.last_timestamp = fields["timestamp"]
        self.number, self.version = session, known.version
        self._keepalive = fields["keepaliveInterval"]
        self.phase = Phase.ESTABLISHING
        window = min(fields["cancelOnDisconnectWindow"], CANCEL_WINDOW_MAX)
        # A replay within the tolerance is refused by what outlives this gateway, too.
        mark = int.from_bytes(fields["signature"][:8], "little", signed=True)
        return [Open(session, self.version, False, fields["cancelOnDisconnect"], window,
                     fields["timestamp"], mark)]

    def _refusal(self, name: str, fields: Mapping[str, Any], now: int) -> int | None:
        """Why a signed request is refused before the core is asked; None if it isn't."""
        session = fields["sessionId"]
        settings = self._exchange.configured(session)
        if settings is None or not self._admitted(settings):
            return oe.REJECT_CODE_CREDENTIALS
        if name == "Negotiate" and fields["keyId"] != settings.key_id:
            return oe.REJECT_CODE_CREDENTIALS
        if not is_signed(name, fields, settings.secret):
            return oe.REJECT_CODE_CREDENTIALS
        if abs(fields["timestamp"] - now) > TIMESTAMP_TOLERANCE_NS:
            return oe.REJECT_CODE_TIMESTAMP
        if session != self.number and self._exchange.is_taken(session):
            return oe.REJECT_CODE_DUPLICATE_CONNECTION
        if not self._exchange.available():
            return oe.REJECT_CODE_UNAVAILABLE
        return None

    def _admitted(self, settings: BinarySession) -> bool:
        """Whether the session may come from the peer's address."""
        if not settings.ip_allow:
            return True
        address = ip_address(self._peer)
        return any(address in ip_network(network) for network in settings.ip_allow)

    def _sequence(self, fields: Mapping[str, Any]) -> list[Effect]:
        self._lapsed = False
        return [self._beat(0)] if fields["lapsed"] else []

    def _retransmit(self, fields: Mapping[str, Any]) -> list[Effect]:
        if self._retransmitting:
            return self.violation(oe.TERMINATION_CODE_RETRANSMIT_IN_PROGRESS)
        first, count = fields["fromSeqNo"], fields["count"]
        known = self._exchange.known(self.number)
        if count > RETRANSMIT_MAX:
            return [_retransmit_reject(fields["timestamp"], RETRANSMIT_LIMIT_EXCEEDED)]
        if first < 1 or count < 1 or first + count > known.next_outbound:
            return [_retransmit_reject(fields["timestamp"], RETRANSMIT_OUT_OF_RANGE)]
        self._retransmitting = True
        return [Retransmit(fields["timestamp"], first, count)]

    def retransmitted(self) -> None:
        """The last request was answered; another may come."""
        self._retransmitting = False

    def _terminated_by_client(self) -> list[Effect]:
        effects: list[Effect] = [self._terminate(oe.TERMINATION_CODE_FINISHED)]
        return [*effects, *self.ended("terminated by the client", logout=True)]

    # ---- answers of the core -------------------------------------------------------------------

    def opened(self, answer: Opened, clock: int) -> list[Effect]:
        """The core answered `Open`."""
        if self.phase is Phase.NEGOTIATING:
            return self._negotiated(answer)
        if self.phase is Phase.ESTABLISHING:
            return self._established(answer, clock)
        return []

    def _negotiated(self, answer: Opened) -> list[Effect]:
        if answer.reason != oe.REASON_NONE:
            return self._reject_negotiate(_reject_code(answer.reason))
        self.phase = Phase.NEGOTIATED
        response = {
            "sessionId": self.number,
            "versionId": self.version,
            "requestTimestamp": self._request["timestamp"],
            "schemaVersion": oe.SCHEMA_VERSION,
        }
        return [Reply("NegotiateResponse", response)]

    def _established(self, answer: Opened, clock: int) -> list[Effect]:
        settings = self._exchange.configured(self.number)
        if answer.reason != oe.REASON_NONE or settings is None:
            return self._reject_establish(_reject_code(answer.reason))
        self.phase = Phase.ESTABLISHED
        self._deadline = clock
        expected, announced = answer.next_inbound, self._request["nextSeqNo"]
        acknowledgement = {
            "sessionId": self.number,
            "versionId": self.version,
            "requestTimestamp": self._request["timestamp"],
            "keepaliveInterval": self._keepalive,
            "nextSeqNo": answer.next_outbound,
            "lastIncomingSeqNo": expected - 1,
            "schemaVersion": oe.SCHEMA_VERSION,
        }
        effects: list[Effect] = [Reply("EstablishAck", acknowledgement)]
        if announced > expected:
            gap = {"fromSeqNo": expected, "count": announced - expected}
            effects.append(Reply("NotApplied", gap))
        return [*effects, Bind(self.number, max(expected, announced), settings.throttle)]

    # ---- time, violations, the end -------------------------------------------------------------

    def timer(self, clock: int, heard: int, sent: int) -> list[Effect]:
        """Time passed. heard, sent: when something last came and went, on the same clock."""
        if self.phase is Phase.TERMINATED:
            return []
        if self.phase is not Phase.ESTABLISHED:
            late = clock > self._deadline
            return self.violation(oe.TERMINATION_CODE_NOT_ESTABLISHED) if late else []
        interval = self._keepalive * MILLISECOND
        # A client that sends on time is late by its timer and the network: a quarter is forgiven.
        silence = clock - max(heard, self._deadline) - interval // 4
        if silence <= interval:
            self._lapsed = False
        elif silence > 2 * interval:
            return self.violation(oe.TERMINATION_CODE_KEEPALIVE_LAPSED)
        elif not self._lapsed:
            self._lapsed = True
            return [self._beat(1)]
        return [self._beat(0)] if clock - sent >= interval else []

    def violation(self, code: int) -> list[Effect]:
        """End the connection for a reason that the client is told."""
        if self.phase is Phase.TERMINATED:
            return []
        return [self._terminate(code), *self.ended(f"terminated with code {code}")]

    def ended(self, reason: str, logout: bool = False) -> list[Effect]:
        """The connection is over, whoever ended it."""
        if self.phase is Phase.TERMINATED:
            return []
        asked = self.phase not in (Phase.CONNECTED,)
        self.phase = Phase.TERMINATED
        close: list[Effect] = [Close(self.number, logout)] if asked and self.number else []
        return [*close, Disconnect(reason)]

    # ---- messages to the client ----------------------------------------------------------------

    def _beat(self, lapsed: int) -> Reply:
        known = self._exchange.known(self.number)
        return Reply(
            "Sequence",
            {
                "nextSeqNo": known.next_outbound,
                "lastAppliedSeqNo": known.last_applied,
                "lapsed": lapsed,
            },
        )

    def _terminate(self, code: int) -> Reply:
        fields = {"sessionId": self.number, "versionId": self.version, "code": code}
        return Reply("Terminate", fields)

    def _reject_negotiate(self, code: int) -> list[Effect]:
        session = self._request["sessionId"]
        authentic = code not in (oe.REJECT_CODE_CREDENTIALS,)
        fields = {
            "sessionId": session,
            "versionId": self._request["versionId"],
            "requestTimestamp": self._request["timestamp"],
            "currentVersionId": self._exchange.known(session).version if authentic else None,
            "code": code,
        }
        self.number = 0  # The core was not asked, or said no: there is nothing to close.
        return [Reply("NegotiateReject", fields), *self.ended(f"negotiate refused: {code}")]

    def _reject_establish(self, code: int) -> list[Effect]:
        opened = self.phase is Phase.NEGOTIATED
        self.number = self.number if opened else 0
        return [self._establish_reject(code), *self.ended(f"establish refused: {code}")]

    def _establish_reject(self, code: int) -> Reply:
        session = self._request["sessionId"]
        authentic = code != oe.REJECT_CODE_CREDENTIALS
        known = self._exchange.known(session) if authentic else Known()
        fields = {
            "sessionId": session,
            "versionId": self._request["versionId"],
            "requestTimestamp": self._request["timestamp"],
            "lastIncomingSeqNo": known.next_inbound - 1,
            "code": code,
        }
        return Reply("EstablishReject", fields)


def _retransmit_reject(timestamp: int, code: int) -> Reply:
    return Reply("RetransmitReject", {"requestTimestamp": timestamp, "code": code})


def _reject_code(reason: int) -> int:
    """What a client is told when the core did not open its session."""
    if reason in (oe.REASON_INVALID_FIELD, oe.REASON_INVALID_TRANSITION):
        return oe.REJECT_CODE_VERSION_NOT_HIGHER
    if reason == oe.REASON_DUPLICATE_KEY:
        return oe.REJECT_CODE_TIMESTAMP
    if reason in (oe.REASON_UNKNOWN_SESSION, oe.REASON_NOT_AUTHORIZED):
        return oe.REJECT_CODE_CREDENTIALS
    return oe.REJECT_CODE_UNSPECIFIED
