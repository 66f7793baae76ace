"""Compiling before the ports open: shown, done once, and never a half-started exchange."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from core import logs
from core.config import Configuration, Limits
from core.process import Options, Refused
from tools.supervisor import warm as warming

MODULE = "tests.tools.agents.compiling"


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setattr(warming, "WARM", (MODULE, "core.no_such_module"))
    monkeypatch.setenv("ONEBOOK_CACHE", str(tmp_path / "cache"))
    return Options("test", tmp_path, tmp_path, tmp_path / "config.json")


def run(options: Options, configuration: Configuration) -> int:
    """Warm, and how often anything was compiled so far."""
    warming.warm(options, configuration, logs.configure("test"))
    return len((options.data / "compiled").read_text())


def test_compiles_once_and_shows_it(options: Options, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(options, Configuration()) == 1
    shown = capfd.readouterr().err
    assert "first start of this version" in shown
    assert "tests: step one" in shown
    assert "tests: step two" in shown
    assert run(options, Configuration()) == 1
    assert not capfd.readouterr().err


def test_other_limits_are_other_code(options: Options) -> None:
    assert run(options, Configuration()) == 1
    assert run(options, Configuration(limits=Limits(orders_max=512))) == 2
    assert run(options, Configuration()) == 2


def test_a_failure_is_a_refusal_and_tried_again(options: Options) -> None:
    (options.data / "fail").touch()
    with pytest.raises(Refused, match=rf"compiling failed: python -m {MODULE} ended with code 1"):
        run(options, Configuration())
    (options.data / "fail").unlink()
    assert run(options, Configuration()) == 2


def test_an_interrupt_ends_the_compilers_too(options: Options) -> None:
    (options.data / "endless").touch()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored in a shell's background.
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(options, Configuration())
    assert time.monotonic() - begin < 10
    assert not [child for child in psutil.Process().children() if MODULE in child.cmdline()]


def test_the_stamp_knows_where_compiled_code_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from core import jit

    assert warming.cache_root() == jit.ROOT
    monkeypatch.setenv("ONEBOOK_CACHE", str(tmp_path))
    assert warming.cache_root() == tmp_path
