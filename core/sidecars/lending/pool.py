"""One pool: who lends, who borrows, and the next step of its two indices.

A balance that is not touched does not change in the core; its interest is index / index at its last
touch. What a step of the indices will cost is therefore told by the *scaled* sums

    S = Σ balance / index at its last touch       (lenders and borrowers apart)

    borrowers pay    S_b × Δb          b rises by rate × time, rounded up
    lenders receive  S_l × Δl  ≤  (1 − reserve share) × S_b × Δb          l is rounded down

so borrowers' interest is always lenders' interest plus what stays in the reserve. Indices have
exponent −12, scaled sums are units × 1e18 / index.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from core.reference import ReferenceData
from core.sidecars.lending.curve import MILLION

ONE = 10**12
SCALE = 10**18
YEAR_NS = 365 * 86_400 * 1_000_000_000


class Step(NamedTuple):
    """The next indices of a pool, and what they mean for all balances together, in units."""

    borrow_index: int
    lend_index: int
    paid: int
    received: int


@dataclass
class Pool:
    """An asset's pool as the events tell it. `idle` accounts keep what they have out of it."""

    asset: int
    borrow_index: int = ONE
    lend_index: int = ONE
    scaled_lent: int = 0
    scaled_borrowed: int = 0
    touched: dict[int, tuple[int, int]] = field(default_factory=dict)  # account → balance, index
    idle: set[int] = field(default_factory=set)
    bound: int = 0  # of its utilisation until the next accrual, parts per million; 0 its ceiling

    def touch(self, account: int, balance: int) -> None:
        """A balance has changed, and with it took the index of this moment."""
        self.place(account, balance, self.lend_index if balance > 0 else self.borrow_index)

    def place(self, account: int, balance: int, index: int) -> None:
        """The same with a given index, as it was saved."""
        self._add(*self.touched.pop(account, (0, ONE)), -1)
        if balance < 0 or (balance > 0 and account not in self.idle):
            self.touched[account] = balance, index
            self._add(balance, index, 1)

    def _add(self, balance: int, index: int, sign: int) -> None:
        if balance > 0:
            self.scaled_lent += sign * -(-balance * SCALE // index)
        else:
            self.scaled_borrowed += sign * (-balance * SCALE // index)

    @property
    def borrowed(self) -> int:
        """Units owed to the pool, interest up to now included."""
        return self.scaled_borrowed * self.borrow_index // SCALE

    @property
    def lent(self) -> int:
        """Units that lend, interest up to now included."""
        return self.scaled_lent * self.lend_index // SCALE

    @property
    def utilisation(self) -> int:
        """Parts per million of what lends that is borrowed; a million if nobody lends."""
        borrowed, lent = self.borrowed, self.lent
        if borrowed == 0:
            return 0
        return min(borrowed * MILLION // lent, MILLION) if lent else MILLION

    def step(self, rate: int, elapsed_ns: int, reserve_share: int) -> Step | None:
        """Interest for a time at a yearly rate; None while there is none to pay."""
        rise = -(-self.borrow_index * rate * elapsed_ns // (MILLION * YEAR_NS))
        if self.scaled_borrowed == 0 or rise <= 0:
            return None
        paid = self.scaled_borrowed * rise // SCALE
        gain = 0
        if self.scaled_lent:
            shared = self.scaled_borrowed * rise * (MILLION - reserve_share)
            gain = shared // (MILLION * self.scaled_lent)
        received = self.scaled_lent * gain // SCALE
        return Step(self.borrow_index + rise, self.lend_index + gain, paid, received)

    def accrued(self, borrow_index: int, lend_index: int) -> None:
        """The core has moved the indices."""
        self.borrow_index, self.lend_index = borrow_index, lend_index


class Pools(dict[int, Pool]):
    """The pool of every asset, made when first asked for, and who keeps out of them."""

    def __init__(self, reference: ReferenceData) -> None:
        super().__init__()
        self._reference = reference

    def __missing__(self, asset: int) -> Pool:
        pool = self[asset] = Pool(asset)
        return pool

    def touch(self, account: int, asset: int, balance: int) -> None:
        """A client's balance has changed."""
        self._with(account, asset).touch(account, balance)

    def place(self, account: int, asset: int, balance: int, index: int) -> None:
        """A client's balance as it was saved, with the index of its last touch."""
        self._with(account, asset).place(account, balance, index)

    def _with(self, account: int, asset: int) -> Pool:
        """The pool of the asset, knowing whether the account lends."""
        pool = self[asset]
        known = self._reference.accounts.get(account)
        if known is not None and not known.auto_lend:
            pool.idle.add(account)
        return pool
