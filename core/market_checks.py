"""The rules that markets' rules keep: each vector possible, each name known, no topic banned.

Checked before anything is listed; a broken one is a ConfigurationError that names the field.
"""

from datetime import datetime

from core.config import Configuration, decimal_text
from core.demand import KEY_HEX_LENGTH, demand, demand_time, is_key
from core.market_rules import STRUCTURES, VOID, Event, MarketRules, in_hull
from core.market_topics import prohibited
from core.venue import Fixed, Instrument

OUTCOMES_MAX = 32


def check_events(configuration: Configuration) -> None:
    """Raise ConfigurationError for the first broken rule of an event."""
    for position, event in enumerate(configuration.event):
        path = f"event[{position}]"
        outcomes = [i for i in configuration.instrument if i.event == event.symbol]
        demand(
            2 <= len(outcomes) <= OUTCOMES_MAX, path,
            f"expected 2 to {OUTCOMES_MAX} instruments with event = {event.symbol}, "
            f"was {len(outcomes)}",
        )
        check_topic(event.title, f"{path}.title")
        _rules(event, outcomes, f"{path}.rules")
        accounts = {account.name for account in configuration.account}
        for key, name in event.key_accounts.items():
            demand(is_key(key), f"{path}.key_accounts", _KEYS)
            demand(name in accounts, f"{path}.key_accounts", f"no account {name}")
        for place, key in enumerate(event.rules.disputers):
            demand(key in event.key_accounts, f"{path}.rules.disputers[{place}]",
                   f"no account of {key} in key_accounts that could pay the bond of a dispute")


def check_topic(text: str, path: str) -> None:
    """No market is about what is prohibited."""
    found = prohibited(text)
    if found is not None:
        topic, words = found
        demand(False, path, f'the topic {topic} is prohibited ("{words}")')


def _rules(event: Event, outcomes: list[Instrument], path: str) -> None:
    rules = event.rules
    check_topic(rules.question, f"{path}.question")
    names = {VOID}
    for group, triggers in (("carve_outs", rules.carve_outs), ("triggers", rules.triggers)):
        for place, trigger in enumerate(triggers):
            where = f"{path}.{group}[{place}]"
            demand(trigger.name not in names, f"{where}.name", f"{trigger.name} is taken")
            names.add(trigger.name)
            if group == "triggers":
                check_topic(f"{trigger.name} {trigger.when}", f"{where}.when")
            _vector(event, outcomes, trigger.pays, f"{where}.pays")
    _vector(event, outcomes, rules.void, f"{path}.void")
    _people(rules, path)
    _times(rules, path)


def _vector(
    event: Event, outcomes: list[Instrument], pays: tuple[Fixed, ...], path: str
) -> None:
    """One payout an outcome, in ticks, and such that nobody's margin breaks."""
    demand(len(pays) == len(outcomes), path,
           f"expected one payout for each of {len(outcomes)} outcomes, was {len(pays)}")
    said = " ".join(map(decimal_text, pays))
    demand(in_hull(STRUCTURES[event.structure], tuple(map(int, pays))), path,
           f"no mixture of {event.structure} outcomes pays {said}")
    for payout, outcome in zip(pays, outcomes, strict=True):
        demand(payout % outcome.tick == 0, path,
               f"expected whole ticks of {decimal_text(outcome.tick)}, was {said}")


_KEYS = f"expected Ed25519 public keys of {KEY_HEX_LENGTH} hexadecimal digits"


def _people(rules: MarketRules, path: str) -> None:
    for name, keys in (("reporters", rules.reporters), ("disputers", rules.disputers)):
        for place, key in enumerate(keys):
            demand(is_key(key), f"{path}.{name}[{place}]", _KEYS)
            demand(key not in keys[:place], f"{path}.{name}[{place}]", "named twice")
    demand(not rules.arbiter or is_key(rules.arbiter), f"{path}.arbiter", _KEYS)
    demand(rules.arbiter not in rules.reporters, f"{path}.arbiter",
           "the arbiter is one of the reporters")
    demand(not rules.reporters or rules.quorum <= len(rules.reporters), f"{path}.quorum",
           f"expected at most {len(rules.reporters)}, was {rules.quorum}")
    demand(not rules.reporters or bool(rules.arbiter) or not rules.dispute_seconds,
           f"{path}.arbiter", "with a dispute window there must be an arbiter")


def _times(rules: MarketRules, path: str) -> None:
    source = rules.source
    for text, where in (
        (source.begins, "source.begins"), (source.ends, "source.ends"), (rules.deadline, "deadline")
    ):
        demand_time(text, f"{path}.{where}")
    demand(bool(rules.deadline) != bool(rules.deadline_in_seconds), f"{path}.deadline",
           "expected either deadline or deadline_in_seconds")
    order = [datetime.fromisoformat(t) for t in (source.begins, source.ends) if t]
    demand(order == sorted(order), f"{path}.source.ends", "expected a time after source.begins")
    if source.ends and rules.deadline:
        demand(datetime.fromisoformat(source.ends) <= datetime.fromisoformat(rules.deadline),
               f"{path}.deadline", "expected a time not before source.ends")
