"""An aid of these tests: something that answers like the core, over the real rings and words.

It opens sessions, accepts every new order, and refuses every cancel; nothing else. It is stepped by
hand, so that a test decides when the core answers, is durable, is away, or comes back.
"""

import ctypes
import time

from core.events import log_address, log_claim, log_position, log_publish
from core.journal.archive import ArchiveWriter
from core.memory import Segment
from core.messages import decode, encode
from core.ring import Ring, ring_next, ring_peek
from core.status import StatusTable
from sbe.generated import order_entry as oe

ENCODED_AT = 16


class Record:
    """What the core keeps of a session."""

    def __init__(self):
        self.version = self.connection = 0
        self.next_inbound = self.next_outbound = 1
        self.opens = []
        self.closes = []
        self.signed = set()


class FakeCore:
    """One producer's ring in, one event log out; `archive` is a writer or None."""

    def __init__(self, instance, data, log_bytes=1 << 20, ring_bytes=1 << 16):
        self.status = StatusTable.attach_or_create(instance)
        self.status.row("core")
        self.ring = Ring.attach_or_create(instance, "commands.binary", ring_bytes)
        self.events = Segment.create(instance, "events", log_bytes, mirrored=True)
        self.archive = ArchiveWriter(data)
        self.archived = 0
        self.sessions = {}
        self.sequence = 0
        self.orders = []
        self.reasons = {}  # session number → reason to refuse SessionOpen with
        self.gate_open = True
        self.status.core_ready = 1

    def poll(self):
        work = 0
        while frame := ring_peek(self.ring.address):
            data = ctypes.string_at(frame, int.from_bytes(ctypes.string_at(frame, 4), "little"))
            ring_next(self.ring.address)
            session = int.from_bytes(data[8:12], "little")
            self.sequence += 1
            self.apply(session, *decode(data[32:]))
            work += 1
            log_publish(self.events.address, log_position(self.events.address))
            self.store()
        if self.gate_open:
            self.status.durable_sequence = self.status.published_sequence = self.sequence
        return work

    def store(self):
        """Do the journal process' part: everything published goes to the archive."""
        log = self.events.address
        end = log_position(log)
        if end > self.archived:
            address = log_address(log, self.archived)
            self.archive.append(ctypes.string_at(address, end - self.archived))
            self.archived = end
            ctypes.c_int64.from_address(log + 1408).value = end

    def apply(self, session, name, fields):
        record = self.sessions.setdefault(session, Record())
        if name == "SessionOpen":
            self.open(session, record, fields)
        elif name == "SessionClose":
            record.closes.append(fields)
            if record.connection == fields["connection"]:
                record.connection = 0
                self.emit(0, "SessionClosed", self.numbers(session, record, fields) | {
                    "logout": fields["logout"], "acknowledged": fields["acknowledged"]})
        elif name == "NewOrderSingle":
            record.next_inbound = fields["header"]["msgSeqNum"] + 1
            self.orders.append((session, fields))
            self.report(session, fields)
        else:
            record.next_inbound = fields["header"]["msgSeqNum"] + 1
            self.emit(session, "BusinessReject", {
                "refSeqNo": fields["header"]["msgSeqNum"], "refTemplateId": 0, "reason": 40,
                "detail": 0, "limit": 0, "echo": b"",
            })

    def open(self, session, record, fields):
        record.opens.append(fields)
        reason = self.reasons.get(session, 0)
        if not reason and fields["reset"] and fields["versionId"] <= record.version:
            reason = 52
        signed = fields["signedTime"], fields["signedMark"]
        if signed in record.signed:
            reason = oe.REASON_DUPLICATE_KEY
        if signed[0]:
            record.signed.add(signed)
        if not reason:
            record.version, record.connection = fields["versionId"], fields["connection"]
            if fields["reset"]:
                record.next_inbound = record.next_outbound = 1
        body = self.numbers(session, record, fields)
        self.emit(0, "SessionOpened", body | {"reason": reason, "versionId": record.version})

    def numbers(self, session, record, fields):
        return {
            "session": session, "nextInbound": record.next_inbound,
            "nextOutbound": record.next_outbound, "connection": fields["connection"],
        }

    def report(self, session, order):
        """ExecutionReport New."""
        self.emit(session, "ExecutionReport", {
            "orderId": len(self.orders), "clOrdId": order["clOrdId"], "execId": len(self.orders),
            "account": order["account"], "instrument": order["instrument"],
            "price": order["price"], "orderQty": order["orderQty"], "cumQty": 0,
            "leavesQty": order["orderQty"], "cumValue": 0, "side": order["side"],
            "ordType": order["ordType"], "timeInForce": order["timeInForce"],
            "execInst": order["execInst"], "execType": ord("0"), "ordStatus": ord("0"),
            "reason": 0, "lastPx": None, "lastQty": None, "tradeId": None, "fee": 0,
            "stopPx": None, "visibleQty": order["orderQty"], "expireTime": None,
            "origClOrdId": 0, "detail": 0, "limit": 0, "displayQty": None, "tag": order["tag"],
            "flags": 4, "lastLiquidity": 0, "outcomeSide": 0, "selfTradePrevention": 0,
            "triggerType": 0, "quoteSetId": 0, "owner": 7, "echo": order["echo"],
        })

    def emit(self, session, name, fields):
        number = applied = 0
        if session:
            record = self.sessions.setdefault(session, Record())
            number, applied = record.next_outbound, record.next_inbound - 1
            record.next_outbound += 1
        header = {
            "transactTime": time.time_ns(), "msgSeqNum": number, "lastAppliedSeqNo": applied,
        }
        message = encode(name, {"header": header} | fields)
        length = (ENCODED_AT + len(message) + 31) & ~31
        head = length.to_bytes(4, "little") + session.to_bytes(4, "little")
        frame = head + self.sequence.to_bytes(8, "little") + message
        address = log_claim(self.events.address, length)
        ctypes.memmove(address, frame, len(frame))

    def go_away(self):
        self.status.core_ready = 0

    def come_back(self):
        self.status.core_ready = 1
