"""What reporters, disputers and arbiters sign: a few lines of text, readable before signing.

    onebook report 2                     or: dispute, arbitration
    event 3 CUP
    rules <64 hex>                       hash of the rules the signer has read
    rule alpha-wins                      which of them fired
    payouts 100000000 0 0                what it pays one YES of each outcome, exponent −8
    evidence <64 hex>                    hash of whatever it is based on
    time 1767225600000000000             ns UTC

A dispute cites the rule that it holds to be the right one. The rules' hash ties the signature to
one market and one wording; the event's number and symbol say the same to a person.
"""

import hashlib
from typing import NamedTuple

from core.sidecars.keys import SigningKey, signature_holds

ONE = 10**8
REPORT, DISPUTE, ARBITRATION = "report", "dispute", "arbitration"
KINDS = (REPORT, DISPUTE, ARBITRATION)


class Statement(NamedTuple):
    """What is signed."""

    kind: str
    event: int
    symbol: str
    rules: bytes
    rule: str
    payouts: tuple[int, ...]
    evidence: bytes
    time: int

    def text(self) -> bytes:
        """The very bytes of the signature."""
        return (
            f"onebook {self.kind} 2\n"
            f"event {self.event} {self.symbol}\n"
            f"rules {self.rules.hex()}\n"
            f"rule {self.rule}\n"
            f"payouts {' '.join(map(str, self.payouts))}\n"
            f"evidence {self.evidence.hex()}\n"
            f"time {self.time}\n"
        ).encode()

    def sign(self, key: SigningKey) -> "Signed":
        """The statement with its signature."""
        return Signed(self, key.public, key.sign(self.text()))


class Signed(NamedTuple):
    """A statement, who signed it, and the signature."""

    statement: Statement
    signer: bytes
    signature: bytes

    def holds(self) -> bool:
        """Whether the signer signed exactly this."""
        return signature_holds(self.signer, self.signature, self.statement.text())

    def to_json(self) -> dict[str, object]:
        """As plain JSON values, for the store and for files."""
        s = self.statement
        return {
            "kind": s.kind, "event": s.event, "symbol": s.symbol, "rules": s.rules.hex(),
            "rule": s.rule, "payouts": list(s.payouts), "evidence": s.evidence.hex(),
            "time": s.time, "signer": self.signer.hex(), "signature": self.signature.hex(),
        }


def from_json(value: dict[str, object]) -> Signed:
    """The other way. Raises ValueError for what was never made by `to_json`."""
    try:
        payouts = value["payouts"]
        assert isinstance(payouts, list)
        statement = Statement(
            str(value["kind"]), int(str(value["event"])), str(value["symbol"]),
            bytes.fromhex(str(value["rules"])), str(value["rule"]),
            tuple(int(p) for p in payouts),
            bytes.fromhex(str(value["evidence"])), int(str(value["time"])),
        )
        signer, signature = str(value["signer"]), str(value["signature"])
        signed = Signed(statement, bytes.fromhex(signer), bytes.fromhex(signature))
    except (KeyError, AssertionError, TypeError) as error:
        raise ValueError(f"not a signed statement: {error}") from error
    if statement.kind not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}, was {statement.kind!r}")
    return signed


def evidence_of(data: bytes) -> bytes:
    """The hash of a piece of evidence (SHA-256, so that anybody has the tool)."""
    return hashlib.sha256(data).digest()
