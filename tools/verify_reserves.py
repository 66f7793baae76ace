"""Check a proof of reserves yourself: one file, nothing of the exchange's other code.

    python verify_reserves.py chain attestations/                   every attestation, in order
    python verify_reserves.py proof my-proof.json attestations/     that you are in one of them
    python verify_reserves.py compare mine/ theirs/                 that all are shown the same
    python verify_reserves.py complaint my-proof.json attestations/ that you were left out

It needs Python 3.11 and two packages, `pip install blake3 cryptography`, and no network. Get the
attestations from where everybody gets them (not from the one who gave you the proof), and compare
the keys it prints with those the exchange has published. Read it: it is meant to be read.

What is checked, and against which cheat:

    signatures of both keys, the same keys throughout     somebody else's attestation
    each one carries the hash of the one before           history rewritten, an old root shown again
    custody's own signature, for this epoch               reserves made up, or of another day
    reserves + debts owed to it >= what customers have    a hole
    longs = shorts for every instrument                   positions out of nowhere
    your leaf: your number, your secret, this epoch       your leaf shown to another customer too
    your statement, signed with the attestation's key     its word to you not meant to be held to
    every step: values bound, not negative, sums exact    a branch left out or made negative
    the end of the path = the published root and totals   another tree than the published one
    two copies of the chain say the same                  different roots for different customers
    --hours: the newest one is not older than that        an old day shown for today

Exit code: 0 everything holds, 1 something does not (it is named), 2 the files cannot be read.
"""

import argparse
import json
import re
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LEAF_PREFIX = b"onebook leaf 1\0"
NODE_PREFIX = b"onebook node 1\0"
VALUE_MAX = 1 << 100  # sums of 2^28 of these still fit the 128 bits that are hashed
LEAVES_MAX = 1 << 28
WITHDRAWALS = 5  # the house account that holds customers' money on its way out
CUSTODY_DELAY_NS_MAX = 600_000_000_000
ROLES = {"engine", "attestor"}


class Broken(Exception):
    """Something does not hold; the text says what, in words."""


@dataclass
class Attestation:
    """One published page, taken apart."""

    epoch: int
    text: bytes
    signatures: dict[str, tuple[bytes, bytes]]
    time: int = 0
    previous: bytes = b""
    leaves: int = 0
    root: bytes = b""
    columns: dict[str, int] = field(default_factory=dict)
    house: dict[tuple[int, int], int] = field(default_factory=dict)
    holds: dict[int, int] = field(default_factory=dict)
    departed: dict[int, int] = field(default_factory=dict)
    custody: tuple[bytes, int, bytes] = (b"", 0, b"")

    @property
    def hash(self) -> bytes:
        """What the next one must carry."""
        return blake3(self.text).digest()


def demand(holds: bool, what: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(what)


def whole(text: str, what: str, limit: int = VALUE_MAX) -> int:
    """A number without sign, point or leading zeros, below the limit."""
    demand(re.fullmatch(r"0|[1-9][0-9]{0,38}", text) is not None, f"{what} is no number: {text}")
    value = int(text)
    demand(value < limit, f"{what} is too large to be true: {text}")
    return value


def once(table: dict[Any, int], key: Any, value: int, what: str) -> None:
    """Enter a value that may be stated only once."""
    demand(key not in table, f"{what} is stated twice")
    table[key] = value


def parse(data: bytes) -> Attestation:
    """Take a published attestation apart. Raises Broken."""
    try:
        value = json.loads(data)
        signatures = {
            s["role"]: (bytes.fromhex(s["key"]), bytes.fromhex(s["signature"]))
            for s in value["signatures"]
        }
        text = value["text"].encode()
        page = Attestation(0, text, signatures)
        for number, line in enumerate(text.decode().splitlines()):
            parse_line(page, number, line.split(" "))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Broken(f"this is no attestation: {type(error).__name__} {error}") from error
    demand(0 < page.leaves <= LEAVES_MAX, "the number of leaves is impossible")
    demand(page.leaves & (page.leaves - 1) == 0, "the number of leaves is no power of two")
    return page


def parse_line(page: Attestation, number: int, words: list[str]) -> None:
    """One line of the page."""
    kind, *rest = words
    if number == 0:
        demand(words == ["onebook", "attestation", "1"], "this is no attestation of version 1")
    elif kind == "epoch":
        page.epoch = whole(rest[0], "the epoch")
    elif kind == "time":
        page.time = whole(rest[0], "the time")
    elif kind == "previous":
        page.previous = bytes.fromhex(rest[0])
    elif kind == "leaves":
        page.leaves = whole(rest[0], "the number of leaves")
    elif kind == "root":
        page.root = bytes.fromhex(rest[0])
    elif kind == "column":
        name = " ".join(rest[:-1])
        once(page.columns, name, whole(rest[-1], f"the total of {name}"), name)
    elif kind == "house":
        key = (int(rest[0]), int(rest[1]))
        once(page.house, key, int(rest[2]), f"house account {key}")
    elif kind == "custody":
        page.custody = bytes.fromhex(rest[0]), whole(rest[1], "custody's time"), bytes.fromhex(
            rest[2]
        )
    elif kind in ("holds", "departed"):
        table = page.holds if kind == "holds" else page.departed
        once(table, int(rest[0]), whole(rest[1], f"{kind} {rest[0]}"), f"{kind} {rest[0]}")
    else:
        demand(kind in ("cut", "journal", "parameters"), f"a line nobody knows: {kind}")


def signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the key's owner signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def check_page(page: Attestation) -> None:
    """All that one attestation must say about itself. Raises Broken."""
    demand(set(page.signatures) == ROLES, "both the engine and the attestor must sign")
    keys = {key for key, _ in page.signatures.values()}
    demand(len(keys) == len(ROLES), "the engine and the attestor signed with one and the same key")
    for role, (key, signature) in page.signatures.items():
        demand(signed(key, signature, page.text), f"the signature of the {role} is wrong")
    key, time, signature = page.custody
    lines = ["onebook custody 1", f"epoch {page.epoch}", f"time {time}"]
    lines += [f"holds {asset} {amount}" for asset, amount in sorted(page.holds.items())]
    lines += [f"departed {asset} {amount}" for asset, amount in sorted(page.departed.items())]
    statement = ("\n".join(lines) + "\n").encode()
    demand(signed(key, signature, statement), "custody did not sign this for this epoch")
    demand(
        abs(page.time - time) <= CUSTODY_DELAY_NS_MAX,
        "custody's statement is from another time than the liabilities",
    )
    check_solvent(page)


def check_solvent(page: Attestation) -> None:
    """The two equations of the totals. Raises Broken."""
    for name, held in page.columns.items():
        kind, _, number = name.partition(" ")
        if kind == "held":
            asset = int(number)
            owed = page.columns.get(f"owed {asset}", 0)
            there = page.holds.get(asset, 0) + page.departed.get(asset, 0)
            leaving = page.house.get((WITHDRAWALS, asset), 0)
            demand(
                there + owed >= held + leaving,
                f"a hole in asset {asset}: reserves {there} and debts {owed} do not cover "
                f"{held} of customers and {leaving} on the way out",
            )
        if kind == "long":
            short = page.columns.get(f"short {number}", 0)
            demand(held == short, f"instrument {number}: {held} long but {short} short")


def check_chain(pages: list[Attestation], keys: set[bytes]) -> None:
    """Every attestation and that each follows the one before. Raises Broken."""
    demand(bool(pages), "there are no attestations")
    first = pages[0]
    demand(first.epoch == 1 and first.previous == bytes(32), "the chain does not begin at epoch 1")
    before: Attestation | None = None
    for page in pages:
        try:
            check_page(page)
            if before is not None:
                demand(page.epoch == before.epoch + 1, f"epoch {before.epoch + 1} is missing")
                demand(page.previous == before.hash, "it does not follow the one before")
                demand(page.time > before.time, "it is not later than the one before")
            for role, (key, _) in page.signatures.items():
                demand(key == first.signatures[role][0], f"another key of the {role}")
            demand(page.custody[0] == first.custody[0], "another key of custody")
        except Broken as broken:
            raise Broken(f"attestation {page.epoch}: {broken}") from None
        before = page
    used = {key for key, _ in first.signatures.values()} | {first.custody[0]}
    demand(not keys or keys <= used, "a key that you named signs nothing here")


def check_proof(proof: dict[str, Any], page: Attestation) -> None:
    """That the proof's leaf is in the attestation's tree. Raises Broken."""
    columns = list(page.columns)
    demand(proof["epoch"] == page.epoch, "the proof is for another epoch")
    demand(proof["columns"] == columns, "the proof has other columns than the attestation")
    index, account = int(proof["index"]), int(proof["account"])
    demand(0 <= index < page.leaves, "the leaf is outside the tree")
    values = values_of(proof["values"], len(columns), "your leaf")
    secret = bytes.fromhex(proof["secret"])
    epoch = page.epoch.to_bytes(8, "little")
    tag = blake3(epoch + account.to_bytes(8, "little"), key=secret).digest()
    money = [int(proof[name]).to_bytes(8, "little", signed=True) for name in
             ("equity", "maintenance")]
    digest = blake3(
        LEAF_PREFIX + epoch + index.to_bytes(8, "little") + tag + fixed(proof["salt"])
        + b"".join(money) + fixed(proof["positions"]) + encode(values)
    ).digest()
    path = proof["path"]
    demand(1 << len(path) == page.leaves, "the path has the wrong length")
    for level, step in enumerate(path, start=1):
        other = values_of(step["values"], len(columns), f"step {level}")
        pair = [(digest, values), (fixed(step["hash"]), other)]
        if index & 1:
            pair.reverse()
        rows = b"".join(hash_ + encode(row) for hash_, row in pair)
        digest = blake3(NODE_PREFIX + bytes([level]) + rows).digest()
        values = [a + b for a, b in zip(values, other, strict=True)]
        demand(all(value < VALUE_MAX for value in values), f"a sum overflows at step {level}")
        index >>= 1
    demand(values == list(page.columns.values()), "the sums are not the published totals")
    demand(digest == page.root, "the path does not lead to the published root")


def statement_of(proof: dict[str, Any], engine: bytes) -> bytes:
    """What the exchange signed of the account, to the byte. Raises Broken."""
    named = zip(proof["columns"], proof["values"], strict=True)
    lines = ["onebook statement 1", f"epoch {proof['epoch']}", f"account {proof['account']}"]
    lines += [f"{name} {value}" for name, value in named if value != "0"]
    lines += [f"{name} {proof[name]}" for name in ("equity", "maintenance", "positions")]
    text = ("\n".join(lines) + "\n").encode()
    demand(
        signed(engine, bytes.fromhex(proof["signature"]), text),
        "the exchange has not signed this statement, so it could deny it: ask for one that is",
    )
    return text


def complain(
    mine: dict[str, Any], page: Attestation | None, engine: bytes, answer: dict[str, Any] | None
) -> list[str]:
    """Why the exchange has to answer for a statement that it signed. Raises Broken if it has not.

    Only the statement is signed, so a path that leads nowhere may be the customer's own doing: the
    exchange answers with another one for the same statement, or can't.
    """
    text = statement_of(mine, engine)
    who = f"epoch {mine['epoch']}, account {mine['account']}"
    if page is None:
        return [f"The exchange signed a statement of {who}, and attests no such epoch."]
    if answer is not None:
        other = statement_of(answer, engine)
        same = [f"{answer[name]}" == f"{mine[name]}" for name in ("epoch", "account")]
        demand(all(same), "the answer is about another account or epoch")
        if other != text:
            return [f"The exchange signed two different statements of {who}: keep both files."]
    try:
        check_proof(answer or mine, page)
    except Broken as why:
        return [
            f"The exchange signed a statement of {who}, and this does not lead to what it "
            f"attests: {why}.",
            "Only the exchange can make a path. Ask for one, in public, and give this file again "
            "with --answer: while none holds, its own signature is against it.",
        ]
    raise Broken("no cause for complaint: the statement is in the tree, as it was signed")


def values_of(texts: list[str], count: int, what: str) -> list[int]:
    """The values of a leaf or node; none may be negative or huge."""
    demand(len(texts) == count, f"{what} has the wrong number of values")
    return [whole(text, f"a value of {what}") for text in texts]


def encode(values: list[int]) -> bytes:
    """As they are hashed: 128 bits each."""
    return b"".join(value.to_bytes(16, "little") for value in values)


def fixed(text: str) -> bytes:
    """32 bytes from hexadecimal."""
    data = bytes.fromhex(text)
    demand(len(data) == 32, "expected 32 bytes")
    return data


# ---- in words ------------------------------------------------------------------------------------


def explain_chain(pages: list[Attestation]) -> list[str]:
    """What was found to hold, for people."""
    last = pages[-1]
    when = datetime.fromtimestamp(last.time / 1e9, UTC).isoformat(timespec="seconds")
    lines = [
        f"{len(pages)} attestations, each follows the one before; the last is epoch {last.epoch} "
        f"of {when}.",
    ]
    for role, (key, _) in sorted(last.signatures.items()):
        lines.append(f"Signed throughout by the {role} with key {key.hex()}.")
    lines.append(f"Custody signs with key {last.custody[0].hex()}.")
    for name, held in last.columns.items():
        kind, _, number = name.partition(" ")
        if kind == "held":
            asset = int(number)
            there = last.holds.get(asset, 0) + last.departed.get(asset, 0)
            owed = last.columns.get(f"owed {asset}", 0)
            lines.append(
                f"Asset {asset}: customers have {held}, owe {owed}; reserves are {there}. Covered."
            )
    count, amount = last.columns.get("bankrupt", 0), last.columns.get("shortfall", 0)
    below = last.columns.get("below", 0)
    lines.append(
        f"Accounts below their maintenance margin: {below}; below zero: {count}, together short of "
        f"{amount} (units of USDC)."
    )
    lines.append("Longs equal shorts in every instrument.")
    return lines


def compare(mine: list[Attestation], theirs: list[Attestation]) -> list[str]:
    """That two copies of the chain agree; what was found, in words. Raises Broken.

    Both must hold by themselves: a copy that nobody signed proves nothing against anybody.
    """
    for pages in (mine, theirs):
        check_chain(pages, set())
    others = {page.epoch: page for page in theirs}
    common = [(page, others[page.epoch]) for page in mine if page.epoch in others]
    demand(bool(common), "the two copies have no epoch in common")
    for page, other in common:
        for role, (key, _) in page.signatures.items():
            same = key == other.signatures[role][0]
            demand(same, f"the two copies have other keys of the {role}")
        demand(
            page.text == other.text,
            f"epoch {page.epoch} was signed twice with different contents: keep both files, "
            "together they prove it",
        )
    return [f"{len(common)} attestations are the same in both copies, to the byte."]


def check_age(pages: list[Attestation], hours: float, now: float) -> None:
    """That the newest attestation is not older than so many hours. Raises Broken."""
    age = now - pages[-1].time / 1e9
    demand(age <= 3600 * hours, f"the newest attestation is {age / 3600:.1f} hours old")


def explain_proof(proof: dict[str, Any]) -> list[str]:
    """What the customer must compare with their own account."""
    named = zip(proof["columns"], proof["values"], strict=True)
    own = [f"    {name}: {value}" for name, value in named if value != "0"]
    equity, maintenance = int(proof["equity"]), int(proof["maintenance"])
    enough = "at or above" if equity >= maintenance else "BELOW"
    return [
        f"Account {proof['account']} is in the tree of epoch {proof['epoch']}, with:",
        *own,
        f"    equity {equity}, {enough} its maintenance margin {maintenance} (units of USDC)",
        "Compare this with your own statement: that it is you who is counted, and in full.",
    ]


def load_chain(directory: Path) -> list[Attestation]:
    """All attestations of a directory, in order of epoch. Raises Broken, OSError."""
    files = sorted(directory.glob("[0-9]*.json"))
    return sorted((parse(path.read_bytes()) for path in files), key=lambda page: page.epoch)


def verify_chain(directory: Path, keys: set[bytes]) -> list[str]:
    """Check all attestations; what holds, in words. Raises Broken."""
    pages = load_chain(directory)
    check_chain(pages, keys)
    return explain_chain(pages)


def verify_proof(file: Path, directory: Path, keys: set[bytes]) -> list[str]:
    """Check a proof against the chain it must be in; what holds, in words. Raises Broken."""
    pages = load_chain(directory)
    check_chain(pages, keys)
    try:
        proof = json.loads(file.read_bytes())
        found = [page for page in pages if page.epoch == proof["epoch"]]
        demand(bool(found), "there is no attestation of the proof's epoch")
        check_proof(proof, found[0])
        statement_of(proof, pages[0].signatures["engine"][0])
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise Broken(f"this is no proof: {type(error).__name__} {error}") from error
    return explain_proof(proof)


def verify_complaint(
    file: Path, directory: Path, keys: set[bytes], answer: Path | None
) -> list[str]:
    """Check a complaint against the chain; why it holds, in words. Raises Broken."""
    pages = load_chain(directory)
    check_chain(pages, keys)
    try:
        mine = json.loads(file.read_bytes())
        told = json.loads(answer.read_bytes()) if answer is not None else None
        page = next((page for page in pages if page.epoch == mine["epoch"]), None)
        return complain(mine, page, pages[0].signatures["engine"][0], told)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise Broken(f"this is no statement: {type(error).__name__} {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description="Check a proof of reserves.")
    commands = parser.add_subparsers(dest="command", required=True)
    chain = commands.add_parser("chain", help="check every attestation")
    proof = commands.add_parser("proof", help="check that you are in one of them")
    proof.add_argument("proof", type=Path)
    both = commands.add_parser("compare", help="check that two copies of them agree")
    both.add_argument("mine", type=Path)
    both.add_argument("theirs", type=Path)
    against = commands.add_parser("complaint", help="show that a signed statement was left out")
    against.add_argument("proof", type=Path)
    against.add_argument("--answer", type=Path, help="the proof that the exchange gave instead")
    for command in (chain, proof, against):
        command.add_argument("attestations", type=Path, help="their directory")
        command.add_argument("--hours", type=float, help="how old the newest may be")
        command.add_argument("--key", action="append", default=[], type=bytes.fromhex,
                             help="a public key that must be among the signers (hexadecimal)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "compare":
            lines = compare(load_chain(options.mine), load_chain(options.theirs))
        elif options.command == "chain":
            lines = verify_chain(options.attestations, set(options.key))
        elif options.command == "complaint":
            lines = verify_complaint(
                options.proof, options.attestations, set(options.key), options.answer
            )
        else:
            lines = verify_proof(options.proof, options.attestations, set(options.key))
        if options.command != "compare" and options.hours is not None:
            check_age(load_chain(options.attestations), options.hours, time.time())
    except Broken as broken:
        print(f"BROKEN: {broken}.")
        return 1
    except OSError as error:
        print(f"Cannot read: {error}.")
        return 2
    print("\n".join(lines))
    print("The complaint holds." if options.command == "complaint" else "Everything holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
