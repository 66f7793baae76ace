"""Events of the core that aren't plain execution reports, as FIX messages.

Each numbered event of a session becomes exactly one message with its number. An event that FIX has
no words for becomes a SequenceReset-GapFill, so that numbers stay without holes.
"""

from collections.abc import Callable
from typing import Any

from core.config import decimal_text
from core.messages import template
from core.reference import ReferenceData
from gateway.fix.accounts import AccountRenderer
from gateway.fix.message import parse
from gateway.fix.quoting import Quoting
from gateway.fix.texts import CANCELS, REJECTS, cancel_texts, reject_of, worst_of
from gateway.fix.times import date_text, time_text
from gateway.fix.values import amount_text
from sbe.generated import order_entry as oe

Field = tuple[int, object]
Rendered = tuple[str, list[Field]]

MASS_CANCEL_CODES = {
    oe.MASS_CANCEL_SCOPE_INSTRUMENT: 1,
    oe.MASS_CANCEL_SCOPE_UNDERLYING: 2,
    oe.MASS_CANCEL_SCOPE_KIND: 4,
    oe.MASS_CANCEL_SCOPE_SESSION: 6,
    oe.MASS_CANCEL_SCOPE_ALL: 7,
}
STAGES = {
    oe.LIQUIDATION_STAGE_STARTED: "started",
    oe.LIQUIDATION_STAGE_ORDERS_CANCELED: "orders cancelled",
    oe.LIQUIDATION_STAGE_BOOK_ORDER: "closed on the book",
    oe.LIQUIDATION_STAGE_BACKSTOP: "taken over by backstop providers",
    oe.LIQUIDATION_STAGE_INSURED_ORDER: "closed on the book, insured",
    oe.LIQUIDATION_STAGE_DELEVERAGING: "auto-deleveraging",
    oe.LIQUIDATION_STAGE_ADVANCED: "made up for by the insurance account",
    oe.LIQUIDATION_STAGE_ABSORBED: "borne by the market's insurance",
    oe.LIQUIDATION_STAGE_WRITTEN_OFF: "written off",
    oe.LIQUIDATION_STAGE_RECOVERED: "over",
}
ROLES = {
    oe.LIQUIDATION_ROLE_BACKSTOP_PROVIDER: "takeover",
    oe.LIQUIDATION_ROLE_DELEVERAGED: "auto-deleveraging",
}
# Template of a refused message to RefMsgType (372).
MESSAGE_TYPES = {
    "NewOrderSingle": "D", "OrderCancelRequest": "F", "OrderCancelReplaceRequest": "G",
    "OrderMassCancelRequest": "q", "MassQuote": "i", "QuoteCancel": "Z",
    "OrderStatusRequest": "H", "OpenOrdersRequest": "AF", "AccountRequest": "AN",
    "OrderPreviewRequest": "U1", "SetCancelTimer": "U3", "TransferRequest": "AY",
    "WithdrawalRequest": "AY", "TradingHalt": "DH", "WithdrawalRule": "U5",
    "ClientProtectionRequest": "U7",
}


_REJECTED = ord("8")
_TEXTS = cancel_texts()


def echoed(echo: bytes) -> list[Field]:
    """The fields a client's own text stands for."""
    return list(parse(echo).fields) if echo else []


class Renderer:
    """Turns events into (MsgType, fields); None where FIX has no message."""

    def __init__(self, reference: ReferenceData, quoting: Quoting) -> None:
        self._reference = reference
        self._account_name = reference.account_name
        self._quoting = quoting
        self._types = {template(name): kind for name, kind in MESSAGE_TYPES.items()}
        handlers: dict[str, Callable[[int, dict[str, Any]], Rendered | None]] = {
            "ExecutionReport": self._unknown_order,
            "OrderCancelReject": self._cancel_reject,
            "OrderMassCancelReport": self._mass_cancel,
            "MassQuoteAck": self._quote_ack,
            "ProtectionTriggered": self._protection,
            "BusinessReject": self._business_reject,
            "PositionReport": self._position,
            "MarginReport": self._margin,
            "AccountReportEnd": self._end,
            "FundingPayment": self._funding,
            "PositionSettled": self._settled,
            "PositionResolved": self._resolved,
            "LiquidationReport": self._liquidation,
        }
        self.accounts = AccountRenderer(reference)
        self._handlers = self.accounts.handlers | {
            template(name): handler for name, handler in handlers.items()}

    def render(self, template_id: int, session: int, fields: dict[str, Any]) -> Rendered | None:
        """The message for an event, or None for a gap."""
        handler = self._handlers.get(template_id)
        return handler(session, fields) if handler else None

    def reason_fields(self, fields: dict[str, Any]) -> list[Field]:
        """What stands at the end of a report for its reason; nothing where it has none."""
        if fields["ordStatus"] == _REJECTED:
            return self.reject_fields(fields)
        reason = fields["reason"]
        return [(21020, reason), (58, _TEXTS.get(reason) or None)] if reason else []

    def copy_fields(self, fields: dict[str, Any]) -> list[Field]:
        """What stands at the end of a drop copy of it: also whose it is, where that isn't said."""
        account = self._reference.accounts.get(fields["account"])
        said = account is None or any(tag == 1 for tag, _ in echoed(fields["echo"]))
        name = None if said or account is None else account.name
        return [*self.reason_fields(fields), (1, name)]

    def reject_fields(self, fields: dict[str, Any]) -> list[Field]:
        """What stands at the end of a report that refuses an order."""
        instrument = self._reference.instruments.get(fields["instrument"])
        reject = reject_of(
            fields["reason"], fields["detail"], fields["limit"], instrument, self._reference,
            worst_of(fields, self._reference))
        return [(21020, fields["reason"]), (103, reject.order), (58, reject.text)]

    # ---- orders --------------------------------------------------------------------------------

    def _unknown_order(self, _session: int, f: dict[str, Any]) -> Rendered:
        """The answer to a status request for an order there isn't."""
        own = dict(echoed(f["echo"]))
        fields: list[Field] = [
            (37, f["orderId"] or "NONE"), (11, own.get(11)), (17, f["execId"]), (150, "I"),
            (39, 8), (55, own.get(55, "[N/A]")), (54, own.get(54, 1)), (151, 0), (14, 0), (6, 0),
            (60, time_text(f["header"]["transactTime"], 9)), (21020, f["reason"]), (103, 5),
            (58, "there is no such order"), (790, own.get(790)),
        ]
        return "8", fields

    def _cancel_reject(self, _session: int, f: dict[str, Any]) -> Rendered:
        reject = reject_of(f["reason"], f["detail"], f["limit"], None, self._reference,
                           worst_of(f, self._reference))
        status = f["ordStatus"]
        fields: list[Field] = [
            (37, f["orderId"] if f["orderId"] is not None else "NONE"), *echoed(f["echo"]),
            (39, chr(status) if status else 8), (434, f["responseTo"]), (102, reject.cancel),
            (60, time_text(f["header"]["transactTime"], 9)), (21020, f["reason"]),
            (58, reject.text),
        ]
        return "9", fields

    def _mass_cancel(self, _session: int, f: dict[str, Any]) -> Rendered:
        own = dict(echoed(f["echo"]))
        code = MASS_CANCEL_CODES.get(f["scope"], 7)
        fields: list[Field] = [
            (11, own.get(11)), (37, f["clOrdId"]), (1, own.get(1)), (530, own.get(530, code)),
            (531, 0 if f["reason"] else code)]
        if f["reason"]:
            fields.append((532, 99))
        fields += [(533, f["affected"]), (55, own.get(55)),
                   (60, time_text(f["header"]["transactTime"], 9))]
        if f["reason"]:
            fields += [(58, _why(f["reason"])), (21020, f["reason"])]
        return "r", fields

    def _quote_ack(self, session: int, f: dict[str, Any]) -> Rendered | None:
        fields = self._quoting.acknowledgement(session, f)
        return None if fields is None else ("b", fields)

    def _protection(self, _session: int, f: dict[str, Any]) -> Rendered:
        what = {1: "quantity", 2: "value", 3: "count"}.get(f["trigger"], "?")
        text = (
            f"market-maker protection: {what} {f['measured']} reached the limit {f['limit']}; "
            f"{f['canceled']} quotes were cancelled"
        )
        return "B", [(42, time_text(f["header"]["transactTime"])), (61, 1),
                     (148, "market-maker protection"), (33, 1), (58, text)]

    def _business_reject(self, _session: int, f: dict[str, Any]) -> Rendered:
        reject = reject_of(f["reason"], f["detail"], f["limit"], None, self._reference)
        return "j", [
            (45, f["refSeqNo"]), (372, self._types.get(f["refTemplateId"], "?")), (380, 0),
            (58, reject.text), (21020, f["reason"]),
        ]

    # ---- account -------------------------------------------------------------------------------

    def _position(self, _session: int, f: dict[str, Any]) -> Rendered | None:
        own = dict(echoed(f["echo"]))
        if f["requestId"] and 710 not in own:
            return None
        instrument = self._reference.instruments.get(f["instrument"])
        quote = self._reference.assets.get(instrument.quote_asset if instrument else 0)
        decimals, currency = (quote.decimals, quote.name) if quote else (6, "USDC")
        position, time = f["position"], f["header"]["transactTime"]
        fields: list[Field] = [
            (721, f"{f['account']}-{f['instrument']}-{time}"), (710, own.get(710)), (724, 0),
            (728, 0), (715, date_text(time)), (1, self._account_name(f["account"])),
            (55, instrument.symbol if instrument else f["instrument"]), (15, currency),
            (730, decimal_text(f["mark"])), (731, 2),
            (702, 1), (703, "TQ"), (704, decimal_text(max(position, 0))),
            (705, decimal_text(max(-position, 0))),
            (753, 3), (707, "VADJ"), (708, amount_text(f["entryValue"], decimals)),
            (707, "IMTM"), (708, amount_text(f["unsettled"], decimals)),
            (707, "CASH"), (708, amount_text(f["realized"], decimals)),
        ]
        return "AP", fields

    def _margin(self, _session: int, f: dict[str, Any]) -> Rendered | None:
        own = dict(echoed(f["echo"]))
        if f["requestId"] and 909 not in own:
            return None
        equity, initial = f["equity"], f["initialMargin"]
        time = f["header"]["transactTime"]
        calls = {1: "margin call: below initial margin", 2: "below maintenance margin"}
        fields: list[Field] = [
            (908, f"{f['account']}-{time}"), (909, own.get(909)),
            (910, 4 if f["level"] else 3), (1, self._account_name(f["account"])),
            (60, time_text(time, 9)), (900, amount_text(equity, 6)),
            (899, amount_text(equity - initial, 6)), (21024, amount_text(equity, 6)),
            (21022, amount_text(initial, 6)), (21023, amount_text(f["maintenanceMargin"], 6)),
            (21025, f["level"]), (58, calls.get(f["level"])),
        ]
        return "BA", fields

    def _end(self, _session: int, f: dict[str, Any]) -> Rendered | None:
        own = dict(echoed(f["echo"]))
        time = f["header"]["transactTime"]
        if 710 in own or f["requestId"] == 0:  # The latter: another session follows the account.
            code = 3 if f["reason"] else 0
            return "AO", [
                (721, f"{f['account']}-{time}"), (710, own.get(710)), (728, code),
                (729, 2 if code else 0), (1, self._account_name(f["account"])),
                (58, _why(f["reason"]) if code else None), (21020, f["reason"] or None),
            ]
        if 584 in own:  # Behind the reports: how many they were, and that there are no more.
            orders = f["reports"]
            return "8", [
                (37, "NONE"), (1, self._account_name(f["account"])), (17, 0), (150, "I"), (39, 8),
                (55, "[N/A]"), (54, 1), (151, 0), (14, 0), (6, 0), (60, time_text(time, 9)),
                (58, f"{orders or 'no'} open order{'s' * (orders != 1)}"), (584, own[584]),
                (911, orders), (912, "Y"),
            ]
        return None

    # ---- settlement ----------------------------------------------------------------------------

    def _moved(self, f: dict[str, Any], price: int, prior: int | None, kind: str, amount: int,
               text: str, final: bool) -> Rendered:
        """A PositionReport (AP) for money that a position brought."""
        instrument = self._reference.instruments.get(f["instrument"])
        quote = self._reference.assets.get(instrument.quote_asset if instrument else 0)
        decimals, currency = (quote.decimals, quote.name) if quote else (6, "USDC")
        position, time = f["position"], f["header"]["transactTime"]
        return "AP", [
            (721, f"{f['account']}-{f['instrument']}-{time}"), (724, 0), (728, 0),
            (715, date_text(time)), (1, self._account_name(f["account"])),
            (55, instrument.symbol if instrument else f["instrument"]), (15, currency),
            (730, decimal_text(price)), (731, 1 if final else 2),
            (734, None if prior is None else decimal_text(prior)),
            (702, 1), (703, "FIN" if final else "TQ"), (704, decimal_text(max(position, 0))),
            (705, decimal_text(max(-position, 0))),
            (753, 1), (707, kind), (708, amount_text(amount, decimals)), (58, text),
        ]

    def _funding(self, _session: int, f: dict[str, Any]) -> Rendered:
        known = self._reference.instruments.get(f["instrument"])
        mark = known.mark if known and known.mark is not None else 0
        text = f"funding at {f['rate'] / 1e9:.9f}"
        return self._moved(f, mark, None, "CASH", f["amount"], text, False)

    def _settled(self, _session: int, f: dict[str, Any]) -> Rendered:
        text = f"settlement {f['cycle']}"
        return self._moved(f, f["mark"], f["previousMark"], "IMTM", f["amount"], text, False)

    def _resolved(self, _session: int, f: dict[str, Any]) -> Rendered:
        return self._moved(f, f["payout"], None, "FMTM", f["amount"], "resolution", True)

    def _liquidation(self, _session: int, f: dict[str, Any]) -> Rendered:
        """News about a step of a liquidation; what it means for the account, in words."""
        name, time = self._account_name(f["account"]), f["header"]["transactTime"]
        headline = f"liquidation {f['certificate']} of {name}, step {f['step']}"
        if f["role"]:
            headline = f"liquidation {f['certificate']}: {ROLES[f['role']]} of {name}"
        parts = [STAGES.get(f["stage"], "?")]
        instrument = self._reference.instruments.get(f["instrument"] or 0)
        if instrument is not None:
            quantity, position = decimal_text(f["quantity"]), decimal_text(f["position"])
            parts.append(f"{instrument.symbol} {quantity} for {amount_text(f['value'], 6)}, "
                         f"now {position}")
        if f["refund"]:
            parts.append(f"{amount_text(f['refund'], 6)} to the insurance account")
        if not f["role"]:
            parts.append(f"equity {amount_text(f['equity'], 6)}, "
                         f"maintenance margin {amount_text(f['maintenanceMargin'], 6)}")
        text = "; ".join(parts)
        return "B", [(60, time_text(time, 9)), (148, headline), (58, text)]


def _why(reason: int) -> str:
    reject = REJECTS.get(reason)
    if reject is not None and "{" not in reject.text:
        return reject.text
    return CANCELS.get(reason) or f"reason {reason}"
