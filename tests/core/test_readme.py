"""The walk through the core in its README names every module there is."""

import re
from pathlib import Path

CORE = Path(__file__).parents[2] / "core"


def test_every_module_is_named() -> None:
    text = re.sub(r"```.*?```", "", (CORE / "README.md").read_text(), flags=re.S)
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", text))))
    modules = {*CORE.glob("*.py"), *(CORE / "engine").rglob("*.py")}
    silent = [
        str(file.relative_to(CORE)) for file in sorted(modules)
        if not file.stem.startswith("__") and file.stem not in named
    ]
    assert silent == [], f"core/README.md doesn't say what these are for: {silent}"
