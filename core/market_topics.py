"""Topics that no market may be about, found by the words they are asked in.

The topics are those of CFTC rule 40.11 (a)(1): war, terrorism, assassination. A market is refused
by its question, titles and triggers. Carve-outs aren't asked: they must be able to say what happens
to an honest question if somebody dies.
"""

import re

PROHIBITED = {
    "war": (
        "war", "wars", "warfare", r"invasions?", r"invades?", r"invaded", r"air ?strikes?",
        r"missile strikes?", r"military (?:attack|strike|action|operation)s?", "armed conflict",
        r"nuclear (?:attack|detonation|strike|weapon)s?", r"ceasefires?", "genocide",
    ),
    "assassination": (
        r"assassinat\w*", r"murder\w*", "killed", "killing", "shot dead", r"dies", "died",
        r"death of", "poisoned",
    ),
    "terrorism": (
        r"terror\w*", r"bombings?", r"hijack\w*", r"hostages?", r"mass shootings?",
    ),
}
_PATTERNS = {
    topic: re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)
    for topic, words in PROHIBITED.items()
}


def prohibited(text: str) -> tuple[str, str] | None:
    """The topic a text is about and the words that say so; None if it is about none of them."""
    for topic, pattern in _PATTERNS.items():
        found = pattern.search(text)
        if found is not None:
            return topic, found.group()
    return None
