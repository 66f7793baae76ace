"""Requests about money and safety: previews, transfers, withdrawals, halts, timers, limits.

    U1 ─▶ U2   what an order would need          AY ─▶ AZ   transfer (8) or withdrawal (9)
    DH ─▶ DI   the kill switch                   U3 ─▶ U4   the dead-man timer
    BE ─▶ BF   the throttle, and what is left of it     U5 ─▶ U6   where withdrawals may go
    U7 ─▶ U8   what the client wants to be kept from

All but the throttle are decided by the core; U4 is said once the core has taken the timer.
"""

from typing import TYPE_CHECKING, Any

from gateway.fix.message import Message
from gateway.fix.session import Session
from gateway.fix.tables import hash_of, unsigned
from gateway.fix.times import time_of, time_text
from sbe.generated import order_entry as oe

if TYPE_CHECKING:
    from gateway.fix.dialect import Dialect, Venue

SECOND = 1_000_000_000
TIMER_MAX = 0xFFFF_FFFE  # milliseconds
REFERENCE_BYTES_MAX = 64
DESTINATION_BYTES_MAX = 64
DELAY_MAX = 0xFFFF_FFFF  # seconds; the core allows less
_WRONG_DESTINATION = f"tag 21041 isn't at most {DESTINATION_BYTES_MAX} printable characters"
TRANSFER, WITHDRAWAL = 8, 9  # CollAsgnReason (895)
HALT, REINSTATE = "1", "2"  # PartyActionType (2329)
Field = tuple[int, object]


class Requests:
    """See the module; one for all sessions."""

    def __init__(self, venue: "Venue", dialect: "Dialect") -> None:
        self._venue, self._dialect = venue, dialect

    def preview(self, session: Session, message: Message, number: int) -> bool:
        """OrderPreviewRequest (U1): the order's fields, judged by the core and not entered."""
        fields = self._dialect.order_fields(session, message, number)
        if fields is None:
            return False
        reference = (message.get(21037) or b"")[:REFERENCE_BYTES_MAX]
        fields |= {
            "requestId": unsigned(hash_of(reference)),
            "echo": b"21037=%b\x0154=%b\x01" % (reference, message.get(54) or b"1")}
        return self._dialect.send(session, message, number, "OrderPreviewRequest", fields)

    def assignment(self, session: Session, message: Message, number: int) -> bool:
        """CollateralAssignment (AY): a transfer to another account, or a withdrawal."""
        account = self._dialect.account(session, message)
        reason = message.number(895)
        reference = self._venue.reference
        asset = reference.assets_by_name.get(message.text(1705))
        target = reference.accounts_by_name.get(message.text(21030))
        units = _units(message.text(1704), asset.decimals) if asset is not None else None
        wrong = (
            f"the session has no account {message.text(1)} (tag 1)" if account is None
            else "one amount is moved at a time (tag 1703)" if message.number(1703) != 1
            else f"there is no asset {message.text(1705)} (tag 1705)" if asset is None
            else f"tag 1704 isn't above 0 with at most {asset.decimals} decimals" if units is None
            else f"there is no account {message.text(21030)} (tag 21030)"
            if reason == TRANSFER and target is None
            else _WRONG_DESTINATION if _destination(message) is None
            else ""
        )
        name = (message.get(902) or b"")[:REFERENCE_BYTES_MAX]
        if wrong:
            session.emit("AZ", [
                (904, f"R{session.number}-{number}"), (902, name), (895, reason), (903, 0),
                (905, 3), (906, 99), (60, time_text(self._venue.now(), 9)), (1, message.get(1)),
                (21030, message.get(21030)), (21041, message.get(21041)), (58, wrong)])
            return False
        assert asset is not None
        fields: dict[str, Any] = self._dialect.header(message, number) | {
            "account": account, "asset": asset.number, "amount": units,
            "requestId": unsigned(hash_of(name)), "echo": b"902=%b\x01" % name}
        if reason == WITHDRAWAL:
            fields["destination"] = _destination(message)
            return self._dialect.send(session, message, number, "WithdrawalRequest", fields)
        assert target is not None
        fields["toAccount"] = target.number
        return self._dialect.send(session, message, number, "TransferRequest", fields)

    def withdrawal_rule(self, session: Session, message: Message, number: int) -> bool:
        """WithdrawalRuleRequest (U5): a destination more or less, or another delay."""
        account, destination = self._dialect.account(session, message), _destination(message)
        action, delay = message.number(21043), message.number(21044) or 0
        wrong = (
            f"the session has no account {message.text(1)} (tag 1)" if account is None
            else _WRONG_DESTINATION if destination is None
            else f"tag 21044 isn't 0 to {DELAY_MAX}" if delay > DELAY_MAX
            else ""
        )
        name = (message.get(21042) or b"")[:REFERENCE_BYTES_MAX]
        if wrong:
            session.emit("U6", [
                (21042, name), (21043, action), (1, message.get(1) or "NONE"),
                (21041, message.get(21041)), (60, time_text(self._venue.now(), 9)),
                (21020, oe.REASON_INVALID_FIELD), (58, wrong)])
            return False
        return self._dialect.send(
            session, message, number, "WithdrawalRule",
            self._dialect.header(message, number) | {
                "account": account, "action": action, "delay": delay,
                "destination": destination, "requestId": unsigned(hash_of(name)),
                "echo": b"21042=%b\x01" % name})

    def protection(self, session: Session, message: Message, number: int) -> bool:
        """ClientProtectionRequest (U7): what the client wants to be kept from."""
        account, action = self._dialect.account(session, message), message.number(21061)
        until, amount = time_of(message.get(21062)), _limit(message.text(21063, "0"))
        wrong = (
            f"the session has no account {message.text(1)} (tag 1)" if account is None
            else "an exclusion needs its end (tag 21062)" if action == 1 and until is None
            else "tag 21063 isn't 0 or more USDC with at most 6 decimals" if amount is None
            else "a limit needs its amount (tag 21063)" if action != 1 and 21063 not in message
            else ""
        )
        name = (message.get(21060) or b"")[:REFERENCE_BYTES_MAX]
        if wrong:
            session.emit("U8", [
                (21060, name), (21061, action), (1, message.get(1) or "NONE"),
                (60, time_text(self._venue.now(), 9)), (21020, oe.REASON_INVALID_FIELD),
                (58, wrong)])
            return False
        return self._dialect.send(
            session, message, number, "ClientProtectionRequest",
            self._dialect.header(message, number) | {
                "account": account, "action": action, "until": until, "amount": amount,
                "requestId": unsigned(hash_of(name)), "echo": b"21060=%b\x01" % name})

    def halt(self, session: Session, message: Message, number: int) -> bool:
        """PartyActionRequest (DH): the kill switch of one account, or of all the session's."""
        name = message.get(2328) or b""
        accounts = list(self._venue.accounts_of(session.id).values())
        if message.get(1) is not None:
            account = self._dialect.account(session, message)
            accounts = [] if account is None else [account]
        if not accounts:
            session.emit("DI", [
                (2331, f"R{session.number}-{number}"), (2328, name), (2329, message.get(2329)),
                (2332, 2), (2333, 0), (1, message.get(1)),
                (58, f"the session has no account {message.text(1)} (tag 1)")])
            return False
        carried = False
        for place, account in enumerate(accounts):
            last = place == len(accounts) - 1
            carried = self._dialect.send(
                session, message, number, "TradingHalt",
                self._dialect.header(message, number if last else 0) | {
                    "account": account, "requestId": unsigned(hash_of(name)),
                    "halted": int(message.text(2329) == HALT),
                    "echo": b"2328=%b\x012329=%b\x01" % (
                        name[:REFERENCE_BYTES_MAX], message.get(2329) or b"")}) and last
        return carried

    def timer(self, session: Session, message: Message, number: int) -> bool:
        """CancelTimerRequest (U3): unless it comes again in time, the account's orders go."""
        account = self._dialect.account(session, message)
        wait = message.number(21026)
        if account is None or wait is None or wait > TIMER_MAX:
            text = (f"the session has no account {message.text(1)} (tag 1)" if account is None
                    else f"tag 21026 isn't 0 to {TIMER_MAX}")
            session.business_reject(message, number, 6 if account is None else 0, text)
            return False
        sent = self._dialect.send(
            session, message, number, "SetCancelTimer",
            self._dialect.header(message, number) | {"account": account, "milliseconds": wait})
        if sent:
            known = self._venue.reference.accounts.get(account)
            session.emit("U4", [
                (21026, wait), (1, message.get(1) or (known.name if known else account)),
                (60, time_text(self._venue.now(), 9))])
        return sent

    def limits(self, session: Session, message: Message, number: int) -> None:
        """UserRequest (BE): the throttle of the session and its headroom at this moment."""
        fields: list[Field] = [
            (923, message.get(923)), (553, message.get(553)), (926, 1)]
        record = session.connection.fields
        limit = int(record["throttle"])
        if limit:
            running = self._venue.now() - int(record["throttle_start"]) < SECOND
            used = int(record["throttle_count"]) if running else 0
            fields += [(1610, 1), (1611, 1), (1612, 0), (1613, limit), (1614, 1), (1615, 0),
                       (21033, max(0, limit - used))]
        else:
            fields.append((927, "no throttle"))
        session.emit("BF", fields)


def _destination(message: Message) -> str | None:
    """The address in tag 21041, empty without one; None if custody couldn't know such a one."""
    text = message.get(21041) or b""
    printable = all(32 <= byte <= 126 for byte in text)
    return text.decode("ascii") if printable and len(text) <= DESTINATION_BYTES_MAX else None


def _limit(text: str) -> int | None:
    """USDC units of a limit, 0 for none."""
    return 0 if text.strip("0.") == "" and text.strip(".") else _units(text, 6)


def _units(text: str, decimals: int) -> int | None:
    """A decimal as whole units of an asset; None if it isn't a multiple of one or isn't above 0."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if not (whole + fraction).isdigit() or len(fraction) > decimals or len(whole) > 18:
        return None
    units = int(whole or "0") * 10**decimals + int(fraction.ljust(decimals, "0") or "0")
    return units if 0 < units < 1 << 63 else None


def response(
    kind: int, name: bytes | None, fields: dict[str, Any], account: str, target: str | None,
    amount: str, currency: str, text: str | None,
) -> list[Field]:
    """A TransferReport or WithdrawalReport event as the fields of CollateralResponse (AZ)."""
    time, refused = fields["header"]["transactTime"], fields["reason"] != 0
    state = fields.get("state") if kind == WITHDRAWAL else None
    under_way = state in (oe.WITHDRAWAL_STATE_HELD, oe.WITHDRAWAL_STATE_SENT)
    failed = state == oe.WITHDRAWAL_STATE_FAILED
    answer = 3 if refused else 2 if failed else 0 if under_way else 1
    number = fields.get("withdrawalId") or f"{fields['account']}-{time}"
    return [
        (904, f"{number}"), (902, name), (895, kind), (903, 0), (905, answer),
        (906, 99 if refused else None), (60, time_text(time, 9)), (1, account),
        (21030, target), (21041, fields.get("destination") or None), (21031, state),
        (21047, time_text(release, 9) if (release := fields.get("releaseTime")) else None),
        (1703, 1), (1704, amount), (1705, currency),
        (21020, fields["reason"] or None), (58, text)]
