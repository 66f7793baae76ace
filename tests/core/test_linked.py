"""Functions behind symbols: called right, compiled once, found again by callers from the cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]

# Three layers, the symbol at the bottom: the middle one is what a cached caller must see through.
MODULE = '''
from core.jit import jit
from core.linked import linked


@linked
def quotient(a, b):
    return a // b


@linked
def both(a, b):
    return a + b, a - b


@jit
def middle(a, b):
    return quotient(a, b) * 10


@jit
def top(a, b):
    total, difference = both(a, b)
    return middle(a, b) + total * 1000 + difference * 100000


@jit
def other(a, b):
    return middle(a, b) + 1
'''

USE = '''
import json, sys
import layers
from core.linked import LINKED

def hits(function):
    return sum(function.stats.cache_hits.values())

out = {}
for name in sys.argv[1:]:
    out[name] = getattr(layers, name)(7, 2)
try:
    layers.top(1, 0)
except ZeroDivisionError:
    out["error"] = "ZeroDivisionError"
out["direct"] = layers.quotient(9, 4)
out["hits"] = hits(LINKED["layers.quotient"])
top = layers.top.overloads[layers.top.signatures[0]]
out["in_caller"] = "sdiv" in str(top.library.get_llvm_str()) if out["hits"] == 0 else None
print(json.dumps(out))
'''


def use(directory: Path, *names: str) -> dict[str, object]:
    """What a fresh process gets from the functions named."""
    environment = os.environ | {
        "PYTHONPATH": f"{directory}:{TOP}", "ONEBOOK_CACHE": str(directory / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", USE, *names],
        env=environment, cwd=directory, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    (tmp_path / "layers.py").write_text(MODULE)
    return tmp_path


TOP_ANSWER = 30 + 9 * 1000 + 5 * 100000


def test_a_linked_function_is_called_and_not_copied(layers: Path) -> None:
    answer = use(layers, "top")
    assert answer == {
        "top": TOP_ANSWER, "error": "ZeroDivisionError", "direct": 2, "hits": 0, "in_caller": False,
    }


def test_a_cached_caller_finds_its_symbols(layers: Path) -> None:
    use(layers, "top")
    again = use(layers, "top")
    assert again["top"] == TOP_ANSWER
    assert again["error"] == "ZeroDivisionError"
    assert again["hits"] == 1


def test_a_new_caller_of_a_cached_function_passes_on_what_that_needs(layers: Path) -> None:
    use(layers, "middle", "top")
    use(layers, "other", "top")  # Compiled around a `middle` from the cache,
    assert use(layers, "other", "top")["other"] == 31  # and then loaded itself.
