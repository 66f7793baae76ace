"""A market's rules as data: what is hashed at listing, signed by reporters, and shown to everybody.

    [[event]]                                     the document, canonical JSON ─▶ BLAKE3 ─▶ listing
    symbol = "CUP"
    structure = "exclusive"
      [event.rules]
      category = "sports"
      question = "Who wins the cup?"
      void = ["0.33", "0.33", "0.33"]             pays each outcome if nothing below is agreed on
      deadline = "2027-06-30T00:00:00Z"           by which there must be a quorum, else void
        [event.rules.source]
        name = "The organiser's published result" what decides, and when it counts
          [[event.rules.triggers]]
          name = "alpha-wins"                     what fired is cited by name
          when = "The source names Alpha the winner."
          pays = ["1", "0", "0"]
          [[event.rules.carve_outs]]              asked before the triggers
          name = "abandoned"
          when = "The source says that the final is not played."
          pays = ["0", "0", "0"]

Nobody decides what a market pays, only which rule fired: its vector was fixed at listing. A price
link's rules are of the same kind, made from its listing (`PriceRules`); the index decides.
"""

import itertools
from typing import Annotated, Any, Literal

import msgspec
from blake3 import blake3
from msgspec import Meta, Struct

from core.venue import Fixed, PositiveInt, Section, Share, Symbol, UnsignedInt

ONE = 10**8
FORMAT = "onebook market rules 1"
VOID = "void"  # The rule that fires when no other does.
EXCLUSIVE, EXHAUSTIVE, NESTED = 1, 2, 3
STRUCTURES = {"exclusive": EXCLUSIVE, "exhaustive": EXHAUSTIVE, "nested": NESTED}

RuleName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Words = Annotated[str, Meta(min_length=1, max_length=1024)]
Category = Literal[
    "sports", "politics", "economics", "finance", "weather", "science", "technology", "culture",
    "other",
]


class Trigger(Section, frozen=True, kw_only=True):
    """Something that can be observed, and what one YES of each outcome then pays."""

    name: RuleName
    when: Words
    pays: tuple[Fixed, ...]


class SourceWindow(Section, frozen=True, kw_only=True):
    """Whose word decides, and from when to when; RFC 3339, empty is without a bound."""

    name: Words
    url: str = ""
    begins: str = ""
    ends: str = ""


class MarketRules(Section, frozen=True, kw_only=True):
    """See the module. Keys are Ed25519, hexadecimal.

    Without reporters an event waits for an operator. Disputers pay a bond: bond_minimum USDC or
    bond_millionths of the open interest, whichever is more; reporters and the arbiter pay none.
    """

    category: Category
    question: Words
    triggers: Annotated[tuple[Trigger, ...], Meta(min_length=1, max_length=64)]
    carve_outs: Annotated[tuple[Trigger, ...], Meta(min_length=1, max_length=64)]
    void: tuple[Fixed, ...]
    source: SourceWindow
    reporters: tuple[str, ...] = ()
    quorum: PositiveInt = 1
    dispute_seconds: UnsignedInt = 3600
    arbiter: str = ""
    deadline: str = ""
    deadline_in_seconds: UnsignedInt = 0  # after the listing
    disputers: tuple[str, ...] = ()
    bond_minimum: Fixed = Fixed(75_000_000_000)
    bond_millionths: Share = 5_000

    def fired(self) -> dict[str, tuple[int, ...]]:
        """What each rule pays, by its name; the carve-outs first, "void" last."""
        rules = {t.name: tuple(map(int, t.pays)) for t in (*self.carve_outs, *self.triggers)}
        return rules | {VOID: tuple(map(int, self.void))}


class Event(Section, frozen=True, kw_only=True):
    """A question. Its outcomes are the instruments that name it, in their order in the file.

    They share one margin group. `exclusive`: at most one outcome comes true. `exhaustive`: exactly
    one does. `nested`: each implies the one before it, like thresholds passed one after the other.
    key_accounts: the accounts behind keys of the rules; they pay bonds, and must be out of the
    market.
    """

    symbol: Symbol
    structure: Literal["exclusive", "exhaustive", "nested"]
    title: str = ""
    rules: MarketRules
    key_accounts: dict[str, str] = msgspec.field(default_factory=dict)


class Document(Struct, frozen=True, kw_only=True):
    """What is hashed of an event: its rules with the names of what they are about."""

    format: str = FORMAT
    market: str
    structure: str
    outcomes: tuple[str, ...]
    rules: MarketRules


class PriceRules(Struct, frozen=True, kw_only=True):
    """What is hashed of a price link: the index decides, averaged over a window before the end.

    condition: with low ≤ average < high. strike_samples: hash of the recorded index that a series'
    strike was made from.
    """

    format: str = FORMAT
    market: str
    underlying: str
    condition: str
    low: Fixed = Fixed(0)
    high: Fixed = Fixed(0)
    expires: str
    averaging_seconds: int
    covered_percent_min: int = 50
    late: str = "The window moves on second by second until the index was live for half of it."
    true_pays: Fixed = Fixed(ONE)
    false_pays: Fixed = Fixed(0)
    strike_samples: str = ""


def event_document(event: Event, outcomes: tuple[str, ...]) -> bytes:
    """The rules of an event as they are hashed. outcomes: their symbols in order."""
    return canonical(Document(market=event.symbol, structure=event.structure, outcomes=outcomes,
                              rules=event.rules))  # fmt: skip


def canonical(document: Struct) -> bytes:
    """A document as JSON with sorted names, decimals as text and nothing between."""
    return msgspec.json.encode(document, enc_hook=_decimal, order="sorted")


def document_hash(document: bytes) -> bytes:
    """The hash under which a market's rules are listed and signed: BLAKE3."""
    return blake3(document).digest()


def _decimal(value: Any) -> str:
    from core.config import decimal_text  # which reads this module's types

    return decimal_text(value)


def in_hull(kind: int, payouts: tuple[int, ...]) -> bool:
    """Whether payouts are a mixture of outcomes that could come true: then nobody's margin breaks.

    exclusive: at most 1 in all; exhaustive: exactly 1; nested: each at most the one before.
    """
    if not all(0 <= payout <= ONE for payout in payouts):
        return False
    if kind == EXCLUSIVE:
        return sum(payouts) <= ONE
    if kind == EXHAUSTIVE:
        return sum(payouts) == ONE
    return all(after <= before for before, after in itertools.pairwise(payouts))
