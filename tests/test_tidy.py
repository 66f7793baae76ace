"""The house rules, as tests: a rule that nobody can fail isn't a rule.

Sizes, docstrings, what compiled code may not do, which way dependencies point, and that ruff, mypy
and import-linter have nothing to say. Generated files are exempt from what is about reading.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PACKAGES = ("sbe", "core", "gateway", "tools")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
LINE_LENGTH_MAX = 100

# In the engine: no clock, no randomness, no environment, no files.
ENGINE_BANNED_IMPORTS = {"time", "random", "os", "io", "pathlib", "datetime", "secrets", "uuid"}
# Where float64 is allowed: to leave out what can't decide, and as a first guess made exact.
ENGINE_FLOAT_ROOMS = ("core/engine/margin/",)
# The only modules that touch numba itself, with those called `warm`; others use `core.jit`.
NUMBA_MODULES = (
    "core/jit.py", "core/linked.py", "core/atomics.py", "core/wide.py", "sbe/raw.py",
    "gateway/binary/system.py",
)
JIT_BANNED_OPTIONS = {"parallel", "fastmath", "forceobj", "nopython", "cache"}


def sources(*packages: str, generated: bool = False) -> list[Path]:
    """Our Python files, as paths from the top."""
    files = [file for package in packages for file in (TOP / package).rglob("*.py")]
    relative = [file.relative_to(TOP) for file in sorted(files)]
    return [f for f in relative if generated or "generated" not in f.parts]


OURS = sources(*PACKAGES)
ALL = sources(*PACKAGES, "tests")
ENGINE = sources("core/engine")


def tree(file: Path) -> ast.Module:
    return ast.parse((TOP / file).read_text(), str(file))


def functions(module: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imports(module: ast.AST) -> Iterator[str]:
    """The dotted names of the modules a file imports."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def complain(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def test_files_are_short() -> None:
    lengths = {file: len((TOP / file).read_text().splitlines()) for file in ALL}
    complain([f"{f}: {n} lines, at most {FILE_LINES_MAX}" for f, n in lengths.items()
              if n > FILE_LINES_MAX])


def test_every_folder_is_a_package() -> None:
    """Without `__init__.py`, import-linter and the keys of the compiled code don't see inside."""
    folders = {file.parent for file in sources(*PACKAGES, generated=True)}
    complain([f"{f} has no __init__.py" for f in sorted(folders)
              if not (TOP / f / "__init__.py").exists()])


def test_functions_are_short() -> None:
    problems = []
    for file in ALL:
        for function in functions(tree(file)):
            length = (function.end_lineno or 0) - function.lineno + 1
            if length > FUNCTION_LINES_MAX:
                problems.append(f"{file}:{function.lineno} {function.name}: {length} lines")
    complain(problems)


def test_lines_are_short() -> None:
    complain([
        f"{file}:{number}: {len(line)} characters"
        for file in ALL
        for number, line in enumerate((TOP / file).read_text().splitlines(), 1)
        if len(line) > LINE_LENGTH_MAX
    ])


def test_every_module_begins_with_a_sentence() -> None:
    problems = []
    for file in ALL:
        first, _, rest = (ast.get_docstring(tree(file)) or "").partition("\n\n")
        sentence = first.partition("\n")[0] if rest else first
        if not re.search(r"[.:!?)]", first) or not sentence[:1].strip():
            problems.append(f"{file}: its docstring doesn't begin with a sentence: {sentence!r}")
    complain(problems)


def test_every_campaign_is_told_of() -> None:
    text = (TOP / "tests/README.md").read_text()
    complain([
        f"tests/README.md doesn't tell of {file.name}"
        for file in sorted((TOP / "tests/campaigns").glob("*.py"))
        if '__name__ == "__main__"' in file.read_text() and f"| `{file.stem}` |" not in text
    ])


def test_links_in_documents_lead_somewhere() -> None:
    problems = []
    rooms = [TOP / name for name in (*PACKAGES, "tests")]
    for document in [*TOP.glob("*.md"), *(file for room in rooms for file in room.rglob("*.md"))]:
        text = document.read_text()
        for target, anchor in re.findall(r"\]\(([^):#]*)(?:#([\w-]+))?\)", text):
            page = document.parent / target if target else document
            headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M) if page.is_file() else []
            anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
            if not page.exists() or (anchor and anchor not in anchors):
                problems.append(f"{document.relative_to(TOP)}: {target}#{anchor}")
    complain(problems)


def test_public_functions_and_classes_say_what_they_do() -> None:
    problems = []
    for file in OURS:
        for node in tree(file).body:
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and not node.name.startswith("_")
                and "overload" not in map(ast.unparse, node.decorator_list)
                and not ast.get_docstring(node)
            ):
                problems += [f"{file}:{node.lineno} {node.name} has no docstring"]
    complain(problems)


def test_nothing_prints_outside_tools() -> None:
    complain([
        f"{file}:{node.lineno} prints"
        for file in sources("sbe", "core", "gateway")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ])


def test_the_engine_has_no_clock_no_chance_no_files() -> None:
    complain([
        f"{file} imports {name}"
        for file in ENGINE
        for name in imports(tree(file))
        if name.partition(".")[0] in ENGINE_BANNED_IMPORTS or name.startswith("numpy.random")
    ])


def test_the_engine_imports_only_what_it_may() -> None:
    allowed = (
        "core.engine", "core.records", "core.control_records", "core.margin_records",
        "core.risk_records", "core.jit",
        "core.linked", "core.atomics", "core.wide", "sbe",
    )
    complain([
        f"{file} imports {name}"
        for file in ENGINE
        for name in imports(tree(file))
        if name.startswith(("core.", "gateway", "tools")) and not name.startswith(allowed)
    ])


def test_money_has_no_floats() -> None:
    """No float literal, no `float`, no float dtype, no true division in the engine."""
    problems = []
    for file in ENGINE:
        if str(file).startswith(ENGINE_FLOAT_ROOMS):
            continue
        for node in ast.walk(tree(file)):
            where = f"{file}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                problems.append(f"{where} has the float {node.value}")
            if isinstance(node, ast.Name) and node.id == "float":
                problems.append(f"{where} uses float")
            if isinstance(node, ast.Attribute) and node.attr.startswith("float"):
                problems.append(f"{where} uses {node.attr}")
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                problems.append(f"{where} divides with /")
    complain(problems)


def test_the_state_has_no_floats() -> None:
    for file in ("core/records.py", "core/state.py"):
        complain(re.findall(r'"[<>=]?f[248]"', (TOP / file).read_text()))


def test_compiled_code_uses_the_house_decorator() -> None:
    """numba is imported where it is wrapped, and the decorator's policy is not overridden."""
    problems = []
    for file in OURS:
        module = tree(file)
        direct = {name for name in imports(module) if name.partition(".")[0] == "numba"}
        if direct and file.stem != "warm" and not str(file).startswith(NUMBA_MODULES):
            problems.append(f"{file} imports numba; use core.jit")
        for function in functions(module):
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "jit":
                    names = {keyword.arg or "" for keyword in decorator.keywords}
                    banned = names & JIT_BANNED_OPTIONS
                    problems += [f"{file}:{function.lineno} {name}=" for name in banned]
    complain(problems)


def test_no_paths_of_one_machine() -> None:
    pattern = re.compile(r"/(work|farm|root|home)/")
    complain([
        f"{file}: {match.group()}"
        for file in sources(*PACKAGES, "tests", generated=True)
        if file != Path("tests/test_tidy.py")
        for match in pattern.finditer((TOP / file).read_text())
    ])


def test_nothing_is_left_for_later() -> None:
    pattern = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|NotImplemented" r"Error)\b")
    complain([
        f"{file}: {match.group()}"
        for file in ALL
        for match in pattern.finditer((TOP / file).read_text())
    ])


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("ruff", "check", *PACKAGES, "tests"), id="ruff"),
        pytest.param(("mypy",), id="mypy"),
        pytest.param(("lint-imports",), id="import-linter"),
    ],
)
def test_the_linters_have_nothing_to_say(command: tuple[str, ...]) -> None:
    program = Path(sys.executable).with_name(command[0])
    done = subprocess.run(
        [program, *command[1:]], cwd=TOP, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
