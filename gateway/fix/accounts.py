"""Events about an account's money and permissions as FIX messages.

    OrderPreview ─▶ U2      TransferReport, WithdrawalReport ─▶ AZ
    TradingHaltReport ─▶ DI      BalanceUpdate ─▶ BA      WithdrawalRuleReport ─▶ U6
    ClientProtectionReport ─▶ U8
"""

from typing import Any

from core.config import decimal_text
from core.messages import template
from core.reference import Asset, ReferenceData
from gateway.fix.message import parse
from gateway.fix.requests import TRANSFER, WITHDRAWAL, response
from gateway.fix.texts import reject_of, worst_of
from gateway.fix.times import time_text
from gateway.fix.values import amount_text
from sbe.generated import order_entry as oe

Field = tuple[int, object]
Rendered = tuple[str, list[Field]]
NOTHING = Asset(0, "USDC", 6, False, False, 0, 0, 0, 0)


class AccountRenderer:
    """Turns these events into (MsgType, fields)."""

    def __init__(self, reference: ReferenceData) -> None:
        self._reference = reference
        self._name = reference.account_name
        self.handlers = {
            template("OrderPreview"): self._preview,
            template("TradingHaltReport"): self._halt,
            template("TransferReport"): self._transfer,
            template("WithdrawalReport"): self._withdrawal,
            template("WithdrawalRuleReport"): self._rule,
            template("ClientProtectionReport"): self._protection,
            template("BalanceUpdate"): self.balance,
        }

    def _asset(self, number: int) -> Asset:
        return self._reference.assets.get(number, NOTHING)

    def _preview(self, _session: int, f: dict[str, Any]) -> Rendered:
        instrument = self._reference.instruments.get(f["instrument"])
        quote = self._asset(instrument.quote_asset if instrument else 0)
        judged = f["price"] is not None
        reject = reject_of(f["reason"], f["detail"], f["limit"], instrument, self._reference,
                           worst_of(f, self._reference))
        refused = f["reason"] != 0
        money = quote.decimals
        fields: list[Field] = [
            (21037, _echoed(f["echo"], 21037)), (1, self._name(f["account"])),
            (55, instrument.symbol if instrument else f["instrument"]),
            (44, decimal_text(f["price"]) if judged else None),
            (21039, amount_text(f["value"], money) if judged else None),
            (21038, amount_text(f["fee"], money) if judged else None),
            (21034, amount_text(f["borrowed"], self._given(f, money)) if f["borrowed"] else None),
            (21024, amount_text(f["equity"], 6)),
            (21022, amount_text(f["initialBefore"], 6)),
            (21023, amount_text(f["maintenanceBefore"], 6)),
            (21035, amount_text(f["initialAfter"], 6)),
            (21036, amount_text(f["maintenanceAfter"], 6)),
            (899, amount_text(f["equity"] - f["initialAfter"], 6)),
            (60, time_text(f["header"]["transactTime"], 9)), (21020, f["reason"]),
            (103, reject.order if refused else None), (58, reject.text if refused else None),
        ]
        return "U2", fields

    def _given(self, f: dict[str, Any], money: int) -> int:
        """Decimals of the asset that an order gives away: a spot seller's is the base."""
        instrument = self._reference.instruments.get(f["instrument"])
        spot = instrument is not None and instrument.kind == oe.INSTRUMENT_KIND_SPOT
        if instrument is None or not spot or _echoed(f["echo"], 54) != b"2":
            return money
        return self._asset(instrument.base_asset).decimals

    def _halt(self, _session: int, f: dict[str, Any]) -> Rendered:
        refused = f["reason"] != 0
        reject = reject_of(f["reason"], 0, 0, None, self._reference)
        time = f["header"]["transactTime"]
        fields: list[Field] = [
            (2331, f"{f['account']}-{time}"), (2328, _echoed(f["echo"], 2328)),
            (2329, _echoed(f["echo"], 2329) or 1), (2332, 2 if refused else 1),
            (2333, 99 if refused else None), (1, self._name(f["account"])),
            (60, time_text(time, 9)), (533, f["canceled"]), (21040, f["state"] or None),
            (21020, f["reason"] or None), (58, reject.text if refused else None),
        ]
        return "DI", fields

    def _transfer(self, _session: int, f: dict[str, Any]) -> Rendered:
        return self._response(TRANSFER, f, self._name(f["toAccount"]))

    def _withdrawal(self, _session: int, f: dict[str, Any]) -> Rendered:
        return self._response(WITHDRAWAL, f, None)

    def _rule(self, _session: int, f: dict[str, Any]) -> Rendered:
        text = None
        if f["reason"]:
            text = reject_of(f["reason"], f["detail"], f["limit"], None, self._reference).text
            if f["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED:
                text = "the destination isn't in the list"
        began = f["effectiveTime"]
        fields: list[Field] = [
            (21042, _echoed(f["echo"], 21042)), (21043, f["action"]), (1, self._name(f["account"])),
            (21041, f["destination"] or None), (21044, f["delay"]),
            (21045, "Y" if f["listed"] else "N"), (21046, f["destinations"]),
            (21047, time_text(began, 9) if began else None),
            (60, time_text(f["header"]["transactTime"], 9)), (21020, f["reason"] or None),
            (58, text),
        ]
        return "U6", fields

    def _protection(self, _session: int, f: dict[str, Any]) -> Rendered:
        reject = reject_of(f["reason"], f["detail"], f["limit"], None, self._reference)
        began, until = f["effectiveTime"], f["excludedUntil"]
        fields: list[Field] = [
            (21060, _echoed(f["echo"], 21060)), (21061, f["action"]), (1, self._name(f["account"])),
            (21062, time_text(until, 9) if until is not None else None),
            (21064, amount_text(f["dailyLoss"], 6)), (21065, amount_text(f["dailyDeposits"], 6)),
            (21047, time_text(began, 9) if began else None),
            (60, time_text(f["header"]["transactTime"], 9)), (21020, f["reason"] or None),
            (58, reject.text if f["reason"] else None),
        ]
        return "U8", fields

    def _response(self, kind: int, f: dict[str, Any], target: str | None) -> Rendered:
        asset = self._asset(f["asset"])
        text = None
        if f["reason"]:
            scale = 10 ** (8 - asset.decimals)
            reject = reject_of(f["reason"], f["detail"], f["limit"], None, self._reference)
            amounts = f" ({decimal_text(f['detail'] * scale)} asked, " \
                f"{decimal_text(f['limit'] * scale)} free)" if "{" not in reject.text else ""
            money = f["reason"] in (oe.REASON_INSUFFICIENT_BALANCE, oe.REASON_INSUFFICIENT_MARGIN)
            text = f"not enough is free{amounts}" if money else reject.text
            if f["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED and f["detail"]:
                text = f"the destination is in the list from {time_text(f['detail'], 9)} on"
        return "AZ", response(
            kind, _echoed(f["echo"], 902), f, self._name(f["account"]), target,
            amount_text(f["amount"], asset.decimals), asset.name, text)

    def balance(self, _session: int, f: dict[str, Any]) -> Rendered | None:
        """A balance: one of the answers to BB, or a change that was subscribed to by BB or AN."""
        name = _echoed(f["echo"], 909)
        asked = f["requestId"] != 0
        if f["reason"] == oe.BALANCE_REASON_SNAPSHOT and asked and name is None:
            return None
        asset, time = self._asset(f["asset"]), f["header"]["transactTime"]
        borrowed = max(0, -f["balance"])
        fields: list[Field] = [
            (908, f"{f['account']}-{f['asset']}-{time}"), (909, name), (910, 3),
            (1, self._name(f["account"])), (60, time_text(time, 9)),
            (901, amount_text(f["change"], asset.decimals) if f["change"] else None),
            (21032, f["reason"]),
            (21034, amount_text(borrowed, asset.decimals)),
            (21048, amount_text(f["lent"], asset.decimals)),
            (21049, amount_text(f["earned"], asset.decimals)),
            (1703, 1), (1704, amount_text(f["balance"], asset.decimals)), (1705, asset.name),
        ]
        return "BA", fields


def _echoed(echo: bytes, tag: int) -> bytes | None:
    return parse(echo).get(tag) if echo else None
