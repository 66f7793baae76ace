"""A house in which accounts are liquidated: prices, books, cascades, and the records of them."""

from types import SimpleNamespace
from typing import Any

from core.engine.genesis import found_house
from tests.core.engine.exchange import ANN, BOB, BTC, CAT, DAN, LIMITS, PERP, Exchange, whole

MICRO = 10**6
SECOND = 10**9
INSURANCE, BACKSTOP_FUND = 2, 7
SIGNED = {"validUntil": 0, "signature": bytes(64)}  # The core process looks at it, not the engine.
# RiskParameter
ENABLED, INTERVAL, INSURANCE_CAP, NOTICE, DELAY = 1, 2, 29, 8, 9
# LiquidationStage
(STARTED, CANCELED, BOOK, BACKSTOP, INSURED, DELEVERAGING, ADVANCED, ABSORBED, WRITTEN_OFF,
 RECOVERED) = range(1, 11)


class Court(Exchange):
    """An exchange that keeps every event about liquidations."""

    def __init__(self, limits: Any = LIMITS, checked: bool = True) -> None:
        self.steps: list[dict[str, Any]] = []
        self.transfers: list[dict[str, Any]] = []
        self.certificates: list[dict[str, Any]] = []
        self.told: list[tuple[int, dict[str, Any]]] = []
        self.conversions: list[dict[str, Any]] = []
        super().__init__(limits, checked)
        found_house(self.state)

    def _collect(self, position: int) -> None:
        super()._collect(position)
        self.steps += self.named("LiquidationStep")
        self.transfers += self.named("PositionTransferred")
        self.certificates += self.named("LiquidationCertificate")
        self.conversions += self.named("CollateralConverted")
        self.told += [(s, f) for s, name, f in self.events if name == "LiquidationReport"]

    def parameter(self, parameter: int, value: int, scope: int = 0, role: int = 1) -> int:
        """Set a risk parameter; the reason."""
        return self.send("SetRiskParameter", parameter=parameter, role=role, scope=scope,
                         value=value, signer=role, **SIGNED)

    def decide(self, proposal: int, approve: int, role: int = 2) -> int:
        """A role's word on a proposal; the reason."""
        return self.send("DecideRiskProposal", role=role, proposal=proposal, approve=approve,
                         signer=role, **SIGNED)

    def price(self, price: float, state: int = 0) -> None:
        """Index and mark of bitcoin."""
        self.index(BTC, price, state)
        self.mark(PERP, price)

    def pass_time(self, seconds: float = 60, until: Any = None) -> None:
        """Tick until no liquidation and nothing to look at is left, or time is up."""
        end = self.time + int(seconds * SECOND)
        while self.time < end:
            self.time += SECOND // 20
            self.tick()
            idle = self.s["watching"] == 0 and self.s["liquidations"] == 0
            if idle if until is None else until():
                return

    def stages(self, account: int) -> list[int]:
        """The stages an account has gone through, without repetitions."""
        found: list[int] = []
        for step in self.steps:
            if step["account"] == account and found[-1:] != [step["stage"]]:
                found.append(step["stage"])
        return found


def court(deposit: float = 100_000, **limits: int) -> Court:
    """The populated house with liquidation enabled, everybody with the same USDC."""
    house = Court(SimpleNamespace(**{**vars(LIMITS), **limits}))
    house.populate()
    assert house.parameter(ENABLED, 1) == 0
    for account in (ANN, BOB, CAT, DAN):
        house.deposit(account, deposit)
    return house


def maker(house: Court, side: str, quantity: float, price: float, account: int = DAN) -> None:
    """An order that rests."""
    report = house.order(account, PERP, side, quantity, price)
    assert report["reason"] == 0, report


__all__ = ["BTC", "PERP", "Court", "court", "maker", "whole"]
