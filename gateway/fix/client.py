"""A FIX client's connection: received bytes through the scanner, what it leaves to the session."""

import time
from typing import TYPE_CHECKING

from gateway.fix import records
from gateway.fix.records import C_CONSUMED, C_GARBLED, C_ORDERS, C_ROW_LENGTH, C_ROW_OFFSET
from gateway.fix.resend import Resend
from gateway.fix.scan import scan
from gateway.fix.session import Session, State
from gateway.fix.tables import Connection as Record
from gateway.net import Connection

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway

REPORT_BUFFER_BYTES = 1 << 17


class Client(Connection):
    """One connection; the gateway makes it and carries out what its session asks for."""

    def __init__(self, gateway: "FixGateway", number: int, send_bytes_max: int) -> None:
        super().__init__(send_bytes_max)
        self.number = number
        self.record = Record(REPORT_BUFFER_BYTES)
        self.resends: list[Resend] = []
        self.resending = False  # the next slice is due soon
        self.reset_from = 0  # position of the stream when the numbers were asked to start again
        self.session: Session
        self._gateway = gateway
        self._words = self.record.words

    def connected(self) -> None:
        """Somebody is there."""
        self.session = self._gateway.welcome(self)

    def received(self) -> None:
        """Deal with what came: orders into the ring, the rest message by message."""
        gateway, words, session = self._gateway, self._words, self.session
        now = time.time_ns()
        orders = words[C_ORDERS >> 3]
        words[C_CONSUMED >> 3] = 0
        garbled = words[C_GARBLED >> 3]
        while session.state != State.CLOSED and not self._is_full:
            answer = scan(
                self.record.address, gateway.context.address, self.address, self.filled, now)
            if answer == records.NEED_MORE:
                break
            if answer == records.TOO_LONG:
                session.too_long()
                gateway.carry_out(self)
                break
            if words[C_GARBLED >> 3] != garbled:
                garbled = words[C_GARBLED >> 3]
                session.garbled(now)
            raw = self.bytes_at(words[C_ROW_OFFSET >> 3], words[C_ROW_LENGTH >> 3])
            if words[C_ORDERS >> 3] != orders:
                gateway.ring_core()
            session.receive(raw, now)
            gateway.carry_out(self)
        if words[C_GARBLED >> 3] != garbled:
            session.garbled(now)
        self.consume(words[C_CONSUMED >> 3] if session.state != State.CLOSED else self.filled)
        if self._is_full:
            self.pause()
        gateway.after_input(words[C_ORDERS >> 3] != orders)

    def go_on(self) -> None:
        """What the session waited for is there: deal with what came meanwhile."""
        if self.is_open and not self._is_full:
            self.resume()
            self.received()
        self._gateway.after_input(True)

    @property
    def _is_full(self) -> bool:
        """Whether nothing more should be read for now."""
        return self.session.crowded or self._gateway.overflow.is_long

    def read_on(self, now: int) -> None:
        """Time has passed: read again if there is room; who isn't read from isn't silent."""
        if self.paused:
            self.record.fields["last_heard"] = now
            self.go_on()

    def eof_received(self) -> bool:
        """The client will say nothing more; what it said was dealt with.

        A socket that is closed with bytes unread is reset instead, as a rule, and what its machine
        didn't acknowledge is still counted here: so it has probably read everything.
        """
        if self.unacknowledged == 0:
            self.session.receipts.orderly = True
        return False

    def too_slow(self) -> None:
        """It does not read."""
        self.session.reason = "slow consumer: send buffer full"

    def ended(self) -> None:
        """It is gone."""
        self._gateway.farewell(self)
