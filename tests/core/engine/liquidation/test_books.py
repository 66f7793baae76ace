"""A ledger that only reads events stays equal to the core through every stage of a liquidation."""

import struct

from core.link import Event
from core.reference import ReferenceData
from core.sidecars.books import CLEARING, Books
from tests.core.engine.exchange import BOB, BTC, CAT, DAN, EVENT_BYTES, LONE, PERP
from tests.core.engine.liquidation.kit import (
    ABSORBED,
    ADVANCED,
    BACKSTOP,
    BOOK,
    DELEVERAGING,
    ENABLED,
    INSURANCE,
    INSURANCE_CAP,
    INSURED,
    MICRO,
    WRITTEN_OFF,
    Court,
    maker,
)


class Ledgered(Court):
    """A court whose every event a ledger reads as well."""

    def __init__(self) -> None:
        self.books = Books(ReferenceData())
        super().__init__()

    def _collect(self, position: int) -> None:
        super()._collect(position)
        end = int(self.s["event_position"])
        while position < end:
            place = position & (EVENT_BYTES - 1)
            length, session, sequence = struct.unpack_from("<iiq", self._memory, place)
            data = self._memory[place : place + length]
            frame = memoryview(data.tobytes())
            template = int.from_bytes(frame[18:20], "little")
            event = Event(position, session, sequence, template, frame[24:], frame[16:])
            self.books.reference.apply(template, event.body)
            self.books.apply(event)
            position += length

    def agree(self) -> None:
        """Every balance and every position is what the ledger says."""
        for account in (*range(1, 8), *range(100, 160)):
            for asset in range(3):
                ledger = self.books.balances.get((account, asset), 0)
                if account != CLEARING:  # There the ledger leaves open what isn't settled.
                    assert ledger == self.balance(account, asset), (account, asset)
        for record in self.s["positions"][1 : int(self.s["positions_used"]) + 1]:
            if record["account"]:
                key = (int(record["account"]), int(record["instrument"]))
                lot = int(self.s["instruments"][key[1]]["lot_size"])
                known = self.books.positions.get(key)
                assert (known.quantity if known else 0) == int(record["quantity"]) * lot, key


def test_the_ledger_follows_every_stage() -> None:
    house = Ledgered()
    house.populate()
    assert house.parameter(ENABLED, 1) == 0
    house.deposit(INSURANCE, 50_000)
    assert house.parameter(INSURANCE_CAP, 3_000 * MICRO, PERP) == 0
    for account in (BOB, CAT, DAN):
        house.deposit(account, 1_000_000)
    assert house.send("SetBackstop", account=CAT, instrument=PERP, commitment=8_000 * MICRO) == 0
    house.deposit(DAN, 10, BTC)
    for number, leverage in enumerate((8.5, 8.0, 7.0, 6.0, 5.0)):
        account = 110 + number
        house.account(account, account)
        house.deposit(account, 10_000)
        house.trade(account, BOB, PERP, round(leverage / 10, 4), 100_000)
    house.account(120, 120)
    house.deposit(120, 1, BTC)
    house.trade(BOB, 120, LONE, 100_000, 0.4)
    house.mark(LONE, 0.4)
    house.account(121, 121)
    house.deposit(121, 0.2, BTC)
    house.trade(121, BOB, PERP, 1, 100_000)
    house.send("SettlementStart", 0, 4, cycle=1)
    for cycle, price in enumerate((94_500, 93_000, 89_000, 86_000, 75_000, 50_000, 9_000)):
        for level in range(3):
            maker(house, "buy", 0.15, round(price * (1 - 0.002 * (level + 1)), 1))
        house.price(price)
        house.pass_time(20)
        house.agree()
        house.send("SettlementStart", 0, 4, cycle=cycle + 2)
        house.finish_jobs()
        house.agree()
    seen = {step["stage"] for step in house.steps}
    assert seen >= {BOOK, BACKSTOP, INSURED, DELEVERAGING, ADVANCED, ABSORBED}
    assert seen & {WRITTEN_OFF, DELEVERAGING}
    assert house.books.total(0) == 50_000 * MICRO + 3_050_000 * MICRO
