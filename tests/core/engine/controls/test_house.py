"""The house's ledgers are apart: no client acts on them, and none of them can owe the clients."""

from core.engine.genesis import found_house
from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import furnished
from tests.core.engine.exchange import ANN, FEES, INSURANCE, USDC, Exchange

HOUSE = 1


def founded() -> Exchange:
    """With the house's own accounts, as before the first command of an exchange."""
    house = furnished()
    found_house(house.state)
    return house


def test_nobody_acts_for_the_house() -> None:
    house = founded()
    account = {"account": 150, "owner": HOUSE, "name": "desk", "autoLend": 1, "autoBorrow": 1}
    assert house.send("RegisterAccount", **account) == oe.REASON_NOT_AUTHORIZED
    session = {"session": 9, "owner": HOUSE, "account": 0, "kind": 2, "name": "door"}
    assert house.send("RegisterSession", **session) == oe.REASON_NOT_AUTHORIZED
    assert house.send("RegisterSession", **{**session, "owner": ANN, "account": ANN}) == 0
    # A client's session can't name a ledger of the house either.
    house.request("TransferRequest", 9, account=FEES, toAccount=ANN, asset=USDC, amount=1,
                  requestId=1, echo=b"")
    assert house.named("TransferReport")[0]["reason"] == oe.REASON_NOT_AUTHORIZED


def test_a_ledger_gives_only_what_it_has() -> None:
    house = founded()
    give = {"fromAccount": INSURANCE, "toAccount": ANN, "asset": USDC}
    assert house.send("Transfer", **give, amount=1) == oe.REASON_INSUFFICIENT_BALANCE
    assert house.send("Transfer", fromAccount=ANN, toAccount=INSURANCE, asset=USDC,
                      amount=10**6) == 0
    assert house.send("Transfer", **give, amount=10**6 + 1) == oe.REASON_INSUFFICIENT_BALANCE
    assert house.send("Transfer", **give, amount=10**6) == 0
    assert house.balance(INSURANCE) == 0
