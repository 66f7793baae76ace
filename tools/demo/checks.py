"""What must be true at the end of the demo, each checked from what the exchange itself recorded."""

import contextlib
import io
from pathlib import Path

import msgspec

from core.messages import template
from tools.commands.reserves import attest, prove, verify
from tools.demo.observer import Observer
from tools.demo.story import Fact

RECONCILED = "reconciled"


def every_trade_has_two_sides(observer: Observer) -> Fact:
    """Each trade id stands in exactly two reports."""
    odd = [number for number, sides in observer.trade_ids.items() if sides != 2]
    detail = f"{len(observer.trade_ids):,} trades" + (f", {len(odd)} odd" if odd else "")
    return Fact("every trade has two sides", not odd and bool(observer.trade_ids), detail)


def money_is_conserved(observer: Observer) -> Fact:
    """Per asset, balances add up to deposits less withdrawals, to the unit."""
    deposits = observer.books.total
    sums: dict[int, int] = {}
    for (account, asset), balance in observer.books.balances.items():
        if account != 0:
            sums[asset] = sums.get(asset, 0) + balance
    wrong = [asset for asset, total in sums.items() if total != deposits(asset)]
    names = ", ".join(observer.reference.assets[a].name for a in sorted(sums))
    detail = f"{names} to the unit" if not wrong else f"assets {wrong} differ"
    return Fact("money is conserved", not wrong and bool(sums), detail)


def positions_cancel_out(observer: Observer) -> Fact:
    """Perpetuals and predictions: longs and shorts of every market are equal."""
    sums: dict[int, int] = {}
    for (_, instrument), held in observer.books.positions.items():
        sums[instrument] = sums.get(instrument, 0) + held.quantity
    wrong = [number for number, total in sums.items() if total]
    return Fact("longs equal shorts in every market", not wrong, f"{len(sums)} markets")


def settlements_balance(observer: Observer) -> Fact:
    """What settlement took from losers it gave to winners."""
    completed = observer.completed_settlements
    wrong = [c for c in completed if c["debits"] != c["credits"]]
    detail = f"{len(completed)} settlements"
    return Fact("every settlement sums to zero", not wrong and bool(completed), detail)


def ledger_is_reconciled(log: Path) -> Fact:
    """The double-entry ledger equalled the core at every cycle; nobody raised an alarm."""
    cycles, alarms = 0, []
    for line in log.read_bytes().splitlines():
        try:
            entry = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        cycles += entry.get("event") == RECONCILED
        if entry.get("alarm"):
            alarms.append(str(entry.get("event")))
    detail = f"{cycles} reconciliations" + (f", alarms: {alarms[:3]}" if alarms else "")
    return Fact("the ledger equals the core in every cycle", cycles > 0 and not alarms, detail)


def reserves_are_proved(instance: str, data: Path, account: str, directory: Path) -> Fact:
    """Attest now, prove one account, verify chain and proof with the customer's own file."""
    words = io.StringIO()
    proof = directory / "proof.json"
    with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
        code = attest(instance=instance, data=data)
        code = code or prove(account, out=proof, instance=instance, data=data)
        code = code or verify(proof, instance=instance, data=data)
    last = words.getvalue().strip().splitlines()[-1:] or [""]
    detail = f"{account}'s proof by tools/verify_reserves.py: {last[0]}"
    return Fact("a proof of reserves verifies", code == 0, detail)


def no_gap(observer: Observer) -> Fact:
    """The event stream was followed from its first byte, over the kill, without a gap."""
    results = observer.kinds[template("CommandResult")]
    detail = f"{observer.events:,} events up to command {observer.sequence:,}"
    return Fact("the event stream has no gap", observer.gaps == 0 and results > 0, detail)
