"""Rules of markets as data: hashed as a whole, refused by the field, never on a banned topic."""

import json
from copy import deepcopy
from typing import Any

import pytest

from core.config import ConfigurationError, decode, encode
from core.market_rules import (
    EXCLUSIVE,
    EXHAUSTIVE,
    NESTED,
    ONE,
    document_hash,
    event_document,
    in_hull,
)
from core.market_topics import prohibited
from core.sidecars.oracle.rules import documents, rules_of

RULES: dict[str, Any] = {
    "category": "sports", "question": "Who wins the cup?", "source": {"name": "The organiser"},
    "void": ["0.5", "0.5"], "deadline": "2027-06-30T00:00:00Z",
    "triggers": [
        {"name": "a-wins", "when": "The source names A.", "pays": ["1", "0"]},
        {"name": "b-wins", "when": "The source names B.", "pays": ["0", "1"]},
    ],
    "carve_outs": [{"name": "not-played", "when": "It isn't played.", "pays": ["0", "0"]}],
}
KEY, OTHER = "ab" * 32, "cd" * 32
MISSING = object()


def tables(**changes: Any) -> dict[str, Any]:
    outcome = {"kind": "prediction", "event": "CUP", "tick": "0.01", "lot": "1"}
    return {
        "asset": [{"name": "USDC", "decimals": 6}],
        "instrument": [outcome | {"symbol": "CUP-A"}, outcome | {"symbol": "CUP-B"}],
        "event": [{"symbol": "CUP", "structure": "exclusive", "rules": deepcopy(RULES) | changes}],
    }


def changed(path: str, value: object) -> dict[str, Any]:
    """The tables with one field of the rules changed; places and names joined by dots."""
    whole = tables()
    at: Any = whole["event"][0]["rules"]
    *way, last = path.split(".")
    for name in way:
        at = at[int(name)] if name.isdigit() else at[name]
    if value is MISSING:
        del at[last]
    else:
        at[last] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("category", "gossip", ".category: invalid enum value 'gossip', expected one of culture"),
        ("category", MISSING, ": has no required field category"),
        ("carve_outs", [], ".carve_outs: expected array of length >= 1"),
        ("triggers", MISSING, ": has no required field triggers"),
        ("triggers.0.pays", ["1"], ".triggers[0].pays: expected one payout for each of 2 outcomes"),
        ("triggers.1.pays", ["1", "1"], ".triggers[1].pays: no mixture of exclusive outcomes pays"),
        ("carve_outs.0.pays", ["0.7", "0.4"], ".carve_outs[0].pays: no mixture of exclusive"),
        ("void", ["1.01", "0"], ".void: no mixture of exclusive outcomes pays 1.01 0"),
        ("void", ["0.005", "0"], ".void: expected whole ticks of 0.01, was 0.005 0"),
        ("triggers.1.name", "a-wins", ".triggers[1].name: a-wins is taken"),
        ("triggers.1.name", "void", ".triggers[1].name: void is taken"),
        ("triggers.0.when", "", ".triggers[0].when: expected str of length >= 1"),
        ("source.begins", "tomorrow", ".source.begins: expected a time like"),
        ("source", {"name": "x", "begins": "2027-02-01T00:00:00Z", "ends": "2027-01-01T00:00:00Z"},
         ".source.ends: expected a time after source.begins"),
        ("source", {"name": "x", "ends": "2028-01-01T00:00:00Z"},
         ".deadline: expected a time not before source.ends"),
        ("deadline", "", ".deadline: expected either deadline or deadline_in_seconds"),
        ("reporters", ["ab"], ".reporters[0]: expected Ed25519 public keys"),
        ("reporters", [KEY, KEY], ".reporters[1]: named twice"),
        ("reporters", [KEY], ".arbiter: with a dispute window there must be an arbiter"),
        ("arbiter", "x", ".arbiter: expected Ed25519 public keys"),
        ("disputers", [KEY], f".disputers[0]: no account of {KEY}"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(path: str, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        decode(changed(path, value))
    assert str(raised.value).startswith(f"event[0].rules{said}")


def test_people() -> None:
    with pytest.raises(ConfigurationError, match=r"quorum: expected at most 1, was 2"):
        decode(tables(reporters=[KEY], arbiter=OTHER, quorum=2))
    with pytest.raises(ConfigurationError, match=r"arbiter: the arbiter is one of the reporters"):
        decode(tables(reporters=[KEY], arbiter=KEY))
    rules = rules_of(decode(tables(reporters=[KEY], arbiter=OTHER)))[1]
    assert rules.fired == {
        "not-played": (0, 0), "a-wins": (ONE, 0), "b-wins": (0, ONE), "void": (ONE // 2, ONE // 2)
    }
    assert (rules.reporters, rules.arbiter) == ((bytes.fromhex(KEY),), bytes.fromhex(OTHER))


def test_the_hash_is_that_of_a_document_anybody_can_read_and_of_every_word_in_it() -> None:
    configuration = decode(tables())
    (document,) = documents(configuration)
    value = json.loads(document)
    assert value["outcomes"] == ["CUP-A", "CUP-B"]
    assert value["rules"]["carve_outs"][0]["pays"] == ["0", "0"]
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert document == canonical.encode()
    assert rules_of(configuration)[1].hash == document_hash(document)
    # The order of a file's keys, and a way through config.json, change nothing.
    backwards = tables()
    backwards["event"][0]["rules"] = dict(reversed(backwards["event"][0]["rules"].items()))
    assert list(documents(decode(backwards))) == [document]
    assert list(documents(decode(json.loads(encode(configuration))))) == [document]
    hashes = {document_hash(document)}
    for path, new in (
        ("category", "culture"), ("question", "Who?"), ("source.name", "Somebody"),
        ("void", ["0", "0"]), ("deadline", "2027-07-01T00:00:00Z"),
        ("triggers.0.when", "A has it."), ("carve_outs.0.pays", ["0.5", "0.5"]),
        ("dispute_seconds", 1), ("bond_minimum", "1"),
        ("arbiter", KEY), ("reporters", [KEY]),
    ):
        more = {"arbiter": OTHER} if path == "reporters" else {}
        whole = changed(path, new)
        whole["event"][0]["rules"] |= more
        event = decode(whole).event[0]
        hashes.add(document_hash(event_document(event, ("CUP-A", "CUP-B"))))
    assert len(hashes) == 12


@pytest.mark.parametrize(
    ("path", "text", "topic"),
    [
        ("question", "Will the country be invaded by May?", "war"),
        ("question", "Does the WAR end this year?", "war"),
        ("triggers.0.when", "The leader is assassinated.", "assassination"),
        ("triggers.1.when", "The minister dies in office.", "assassination"),
        ("question", "Is there a terrorist attack in June?", "terrorism"),
    ],
)
def test_a_prohibited_topic_is_refused_by_its_name(path: str, text: str, topic: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the topic {topic} is prohibited"):
        decode(changed(path, text))


def test_titles_are_looked_at_too_and_carve_outs_are_not() -> None:
    titled = tables()
    titled["event"][0]["title"] = "Air strikes before June?"
    with pytest.raises(ConfigurationError, match=r"event\[0\].title: the topic war is prohibited"):
        decode(titled)
    listed = tables()
    listed["instrument"][1]["title"] = "Beta is murdered"
    with pytest.raises(ConfigurationError, match=r"instrument\[1\].title: the topic assass"):
        decode(listed)
    decode(changed("carve_outs.0.when", "The leader dies: the last price before it counts."))


def test_honest_words_are_no_topic() -> None:
    for text in ("Does the software team win the award?", "Warsaw marathon", "Who skilled up most?",
                 "Interest rates toward 4 %", "The deadline of the treaty"):
        assert prohibited(text) is None


@pytest.mark.parametrize(
    ("kind", "payouts", "possible"),
    [
        (EXCLUSIVE, (0, 0), True), (EXCLUSIVE, (ONE, 0), True), (EXCLUSIVE, (ONE, 1), False),
        (EXHAUSTIVE, (ONE, 0), True), (EXHAUSTIVE, (0, 0), False),
        (EXHAUSTIVE, (ONE // 2, ONE // 2), True), (EXHAUSTIVE, (ONE + 1, -1), False),
        (NESTED, (ONE, 0), True), (NESTED, (0, ONE), False), (NESTED, (ONE, ONE), True),
    ],
)
def test_hulls(kind: int, payouts: tuple[int, ...], possible: bool) -> None:
    assert in_hull(kind, payouts) is possible
