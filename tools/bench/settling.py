"""A settlement of a million accounts, and what the orders that come meanwhile notice of it.

    accounts 1000 …        a million clients, each with one lot of a perpetual, long or short
    accounts 100 … 199     keep trading a hundred books, at a fixed rate, the whole time

Rounds alternate: in each the mark moves, as its accounts must bear with either way, and in every
second one a settlement starts with the first order.
An order's latency counts from when it was due to the publication of its events. Both kinds of
rounds have the same number of orders, from one workload, in one run; rounds end as soon as the walk
does, so that every order of a round with a settlement has to live with it.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.atomics import clock_monotonic_ns
from core.config import Limits
from sbe.generated import control as ct
from sbe.generated import order_entry as oe
from tools.bench.engine import (
    BOOKS,
    FRAME,
    BenchedCore,
    encode_workload,
    full_speed,
    paced_run,
    running,
)
from tools.bench.frames import body, copies, many, padded
from tools.bench.samples import Samples, summary
from tools.bench.venue import ONE, CommandStream, new_order

FIRST = 1000
CLIENT_IDS = 1 << 40  # beyond those of the workload
ROUNDS = 4
MARK = 2048 * ONE // 100


def measure_settlement(accounts: int, rate: int, seed: int = 11) -> tuple[dict[str, Any], Samples]:
    """Plain JSON, and the latencies (ns) of the orders during settlements."""
    limits = msgspec.structs.replace(
        Limits(), accounts_max=1 << 20, positions_max=(1 << 20) + (1 << 15), assets_max=4
    )
    with running(BOOKS, limits=limits, may_refuse=True) as core:
        keys = _open_accounts(core, accounts)
        return _rounds(core, accounts, rate, keys, seed)


def _open_accounts(core: BenchedCore, accounts: int) -> int:
    """A million accounts with a position each; the last key used."""
    stream = CommandStream()
    stream.key = int(core.state[0]["producers"][stream.producer]["last_key"])
    for owner in (200, 201):  # Of buyers and of sellers: nobody trades with himself.
        stream.add("RegisterOwner", owner=owner, name=f"owner {owner}", feeTier=0,
                   selfTradePrevention=0)
    _take(core, padded(stream))
    numbers = np.arange(FIRST, FIRST + accounts)
    owned = {"account": numbers, "owner": 200 + numbers % 2}
    _take(core, many(stream, "RegisterAccount", ct.REGISTER_ACCOUNT, owned,
                     name="", autoLend=1, autoBorrow=1))
    _take(core, many(stream, "Deposit", ct.DEPOSIT, {"account": numbers},
                     asset=0, amount=100 * 10**6))
    trades = np.zeros((accounts, FRAME), np.uint8)
    for side in (0, 1):
        new_order(stream, account=FIRST, clOrdId=1, instrument=1, price=MARK,
                  orderQty=ONE // 100, side=2 - side)
        part = copies(padded(stream), accounts // 2)
        fields = body(part, oe.NEW_ORDER_SINGLE)
        fields["account"] = numbers[side::2]
        fields["clOrdId"] = CLIENT_IDS + numbers[side::2]
        trades[side::2] = part
    _take(core, trades)
    held = int(core.state[0]["instruments"][1]["open_interest"])
    assert held == accounts // 2, f"expected {accounts // 2} lots held, was {held}"
    return stream.key


def _rounds(
    core: BenchedCore, accounts: int, rate: int, key: int, seed: int
) -> tuple[dict[str, Any], Samples]:
    visits = 2 * accounts
    orders = visits // 8  # What a walk lasts, if each order is followed by eight positions of it.
    frames = encode_workload(2 * ROUNDS * orders, BOOKS, seed)
    state = core.state[0]
    plain, settling, walls = [], [], []
    core.settle()
    for number in range(2 * ROUNDS):
        part = frames[number * orders : (number + 1) * orders]
        key = _move_mark(core, key, number)
        if number % 2 == 0:
            result, latencies = paced_run(core, part, rate)
            if "latency_ns" not in result:  # The core can't keep up without a settlement either.
                return {"accounts": accounts, **result}, latencies
            plain.append(latencies)
        else:
            key = _start(core, key, number)
            begin = clock_monotonic_ns()
            _, latencies = paced_run(core, part, rate)
            walls.append((clock_monotonic_ns() - begin) / 1e9)
            settling.append(latencies)
            while int(state["jobs"]):
                core.sequence()
            assert int(state["settlement_positions"]) >= accounts, "every position was visited"
        core.settle()
    without, during = np.concatenate(plain), np.concatenate(settling)
    worse = np.percentile(during, 99.9) / np.percentile(without, 99.9)
    return {
        "accounts": accounts,
        "positions": int(state["settlement_positions"]),
        "settlements": ROUNDS,
        "orders_each": orders,
        "offered_per_second": float(rate),
        "rate_reached": max(walls) <= 1.01 * orders / rate + 0.01,
        "latency_ns_without": summary(without),
        "latency_ns_during": summary(during),
        "ratio_at_99.9": float(worse),
    }, during


def _move_mark(core: BenchedCore, key: int, number: int) -> int:
    """A new mark of what everybody holds; the last key used."""
    stream = CommandStream()
    stream.key = key
    mark = MARK + number * ONE // 100
    stream.add("SetMarkPrice", instrument=1, rule=0, price=mark, index=mark, premium=0)
    _take(core, padded(stream))
    return stream.key


def _start(core: BenchedCore, key: int, cycle: int) -> int:
    """A settlement at the marks of now; the last key used."""
    stream = CommandStream()
    stream.key = key
    stream.add("SettlementStart", cycle=cycle)
    _take(core, padded(stream))
    return stream.key


def _take(core: BenchedCore, frames: NDArray[np.uint8]) -> None:
    full_speed(core, frames)
