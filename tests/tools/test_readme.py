"""What tools/README.md says is what there is: sub-commands, options, configuration keys."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec.inspect
import pytest
from cyclopts import App

from core.config import Configuration
from tools.cli import COMMANDS, make_app, summary

README = (COMMANDS.parent / "README.md").read_text()
NAMES = sorted(file.stem for file in COMMANDS.glob("[a-z]*.py"))


def section(name: str) -> str:
    """The part of the README about one sub-command."""
    found = re.search(rf"^## onebook {name}\b.*?(?=^## )", README, re.M | re.S)
    assert found, f"tools/README.md has no section '## onebook {name}'"
    return found.group()


def keys(kind: Any) -> set[str]:
    """Every key of the configuration, however deep."""
    found: set[str] = set()
    for field in getattr(kind, "fields", ()):
        found.add(field.encode_name)
        found |= keys(field.type) | keys(getattr(field.type, "item_type", None))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_option_of_a_command_is_described(name: str) -> None:
    command = getattr(import_module(f"tools.commands.{name}"), name)
    text = section(name.replace("_", "-"))
    if isinstance(command, App):
        for part in command:
            assert part.startswith("-") or f"`{part}" in text, f"onebook {name} {part}"
        return
    alone = App()
    alone.default(command)
    for argument in alone.assemble_argument_collection():
        first = argument.names[0]
        positional = argument.field_info.kind is not argument.field_info.KEYWORD_ONLY
        shown = first.lstrip("-").upper() if positional else f"`{first}`"
        assert shown in text, f"{shown} of onebook {name}"


def commands(app: App, path: str) -> Iterator[tuple[str, App]]:
    """Every command below an app that does something itself, with its words."""
    if app.default_command is not None:
        yield path, app
    for name in app:
        if not name.startswith("-"):
            yield from commands(app[name], f"{path} {name}")


def test_every_option_has_a_line_of_help() -> None:
    silent = [
        f"{path} {argument.name}"
        for path, app in commands(make_app(), "onebook")
        for argument in app.assemble_argument_collection(parse_docstring=True)
        if argument.show and not argument.parameter.help
    ]
    assert silent == []


def test_every_configuration_key_is_described() -> None:
    described = set(re.findall(r"`\[*(?:\w+\.)?([a-z_]+)\]*`", README))
    assert keys(msgspec.inspect.type_info(Configuration)) - described == set()


def test_help_shows_every_command_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app()
    app.help_print([])
    shown = capsys.readouterr().out
    for name in NAMES:
        assert re.search(rf"^│ {name.replace('_', '-')}\b", shown, re.M)
        assert summary(Path(COMMANDS / f"{name}.py")).endswith((".", ":"))
