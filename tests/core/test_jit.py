"""No edit anywhere leaves old machine code running, and no edit recompiles what it cannot touch."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from core import jit as jit_module
from core.jit import closure, closure_key, compile_lock, jit

KEPT = 3

CALLER = """
from core.jit import jit
from {package}.helper import weight

@jit
def weighed(x):
    return x * weight(x)
"""
HELPER = """
from core.jit import jit

@jit
def weight(x):
    return {weight}
"""
ADDS_ONE = """
from core.jit import jit

@jit
def weighed(x):
    return x + one
"""
LONER = """
from core.jit import jit

@jit
def square(x):
    return x * x
"""
RUN = """
from core.caller import weighed
from core.loner import square
print(weighed(11), square(5))
for function in (weighed, square):
    print(sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values()))
"""


class Tree:
    """A small source tree with the real jit.py in it, and a cache of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root / "tree"
        self.cache = root / "cache"
        for package in ("core", "sbe"):
            (self.root / package).mkdir(parents=True)
            self.write(package, "__init__", '"""Nothing."""\n')
        text = Path(jit_module.__file__).read_text()
        assert "KEPT = 8\n" in text
        self.write("core", "jit", text.replace("KEPT = 8\n", f"KEPT = {KEPT}\n"))
        self.write("core", "caller", CALLER.format(package="sbe"))
        self.write("core", "loner", LONER)
        self.weight(1)

    def write(self, package: str, module: str, text: str) -> None:
        (self.root / package / f"{module}.py").write_text(text)

    def weight(self, weight: int) -> None:
        """Edit the helper, keeping its size and time, which is all that numba looks at."""
        path = self.root / "sbe" / "helper.py"
        self.write("sbe", "helper", HELPER.format(weight=f"{weight:3}"))
        os.utime(path, (1_000_000, 1_000_000))

    def run(self, code: str = RUN) -> list[str]:
        environment = os.environ | {
            "ONEBOOK_CACHE": str(self.cache),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-c", code]
        output = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=True
        )
        return output.stdout.splitlines()

    def directories(self, module: str) -> list[Path]:
        return list(self.cache.glob(f"*/{module}/*"))


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_a_second_run_compiles_nothing(tree):
    assert tree.run() == ["11 25", "0 1", "0 1"]
    assert tree.run() == ["11 25", "1 0", "1 0"]


def test_an_edit_of_a_helper_reaches_its_callers_and_nobody_else(tree):
    tree.run()
    tree.weight(100)
    assert tree.run() == ["1100 25", "0 1", "1 0"]
    tree.weight(1)  # And back: the first code is still in the cache.
    assert tree.run() == ["11 25", "1 0", "1 0"]


def test_a_file_edited_while_the_process_starts_is_never_cached(tree):
    """Else the old code, already imported, would stay in the cache under the new text's name."""
    tree.write("sbe", "plain", "WEIGHT = 1\n")
    tree.write("core", "caller", "from sbe.plain import WEIGHT as one\n" + ADDS_ONE)
    race = "import sbe.plain\nopen('sbe/plain.py', 'w').write('WEIGHT = 5\\n')\n" + RUN
    assert tree.run(race) == ["12 25", "0 1", "0 1"]  # What was imported runs, uncached.
    assert tree.run() == ["16 25", "0 1", "1 0"]


def test_old_directories_are_removed_and_the_newest_stay(tree):
    for weight in range(KEPT + 2):
        tree.weight(weight)
        tree.run()
    assert len(tree.directories("core.caller")) == KEPT
    assert len(tree.directories("core.loner")) == 1
    assert tree.run() == [f"{11 * weight} 25", "1 0", "1 0"]


def test_imports_are_found_in_every_form(tree, monkeypatch):
    monkeypatch.setattr(jit_module, "SOURCES", tree.root)
    for name in "abcdef":
        tree.write("sbe", name, "")
    text = (
        "import sbe.a, numpy\n"
        "from sbe import (  # why\n    b,\n    c as other,\n)\n"
        "from sbe.d import something\n"
        "def late():\n    from sbe import e\n"
        "# from sbe import f\n"
    )
    tree.write("core", "many", text)
    names = {path.stem for path in closure(tree.root / "core" / "many.py")}
    assert names == {"many", "__init__", "a", "b", "c", "d", "e"}


def test_a_closure_ends_where_imports_go_in_a_circle(tree, monkeypatch):
    monkeypatch.setattr(jit_module, "SOURCES", tree.root)
    tree.write("sbe", "left", "from sbe import right\n")
    tree.write("sbe", "right", "from sbe import left\n")
    left, right = tree.root / "sbe" / "left.py", tree.root / "sbe" / "right.py"
    assert closure(left) == closure(right)
    assert closure_key(left) == closure_key(right)


def test_the_decorator_works_with_and_without_options():
    @jit
    def plain(x: int) -> int:
        return x // 2

    @jit(cache=False)
    def with_options(x: int) -> int:
        return x // 2

    assert plain(9) == with_options(9) == 4
    with pytest.raises(ZeroDivisionError):  # Python's error model, not C's.
        _divide(1, 0)


@jit
def _divide(a: int, b: int) -> int:
    return a // b


def test_code_that_stands_in_no_file_is_compiled_too():
    names: dict[str, object] = {"jit": jit}
    exec("@jit\ndef double(x):\n    return 2 * x", names)
    assert names["double"](21) == 42


def test_two_processes_do_not_compile_at_once(spawn):
    code = """
import sys
from core.jit import compile_lock
with compile_lock():
    print("in", flush=True)
    sys.stdin.readline()
print("out", flush=True)
"""
    other = spawn(code)
    assert other.stdout.readline() == "in\n"
    third = spawn(code)
    assert select.select([third.stdout], [], [], 1.0)[0] == []
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "out\n"
    assert third.stdout.readline() == "in\n"
    third.kill()  # A killed process holds no lock.
    third.wait()
    with compile_lock():
        pass
