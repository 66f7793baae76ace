"""Compiling before the ports open: once per version of the sources, with visible progress.

Each module of `WARM` is run as a process of its own, all at the same time, with the options of any
process; it compiles what its part of the exchange runs into numba's cache and prints a line for
each step. What was compiled is remembered by a stamp in the cache, named by everything the machine
code depends on, so that later starts don't even load the compiler.
"""

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console
from structlog.typing import FilteringBoundLogger

from core.config import Configuration
from core.process import Options, Refused, die_with_parent

WARM = ("core.warm", "gateway.warm")
SOURCES = Path(__file__).parents[2]
PACKAGES = ("sbe", "core", "gateway")
COMPILERS = ("numba", "llvmlite", "numpy")


def cache_root() -> Path:
    """Where numba's compiled code is kept; the same place as core/jit.py's ROOT."""
    chosen = os.environ.get("ONEBOOK_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "onebook" / "numba"


def stamp_path(configuration: Configuration) -> Path:
    """The stamp of these sources, compilers, machine and limits."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(msgspec.json.encode(configuration.limits))
    digest.update(msgspec.json.encode([sys.version, platform.machine(), _processor()]))
    digest.update(msgspec.json.encode([version(name) for name in COMPILERS]))
    for package in PACKAGES:
        for file in sorted((SOURCES / package).rglob("*.py")):
            content = file.read_bytes()
            digest.update(f"{file} {len(content)} ".encode() + content)
    return cache_root() / f"warm-{digest.hexdigest()}"


def _processor() -> str:
    """The processor's model: compiled code is for one model only."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line for line in text.splitlines() if line.startswith("model name")), "")


def warm(
    options: Options,
    configuration: Configuration,
    log: FilteringBoundLogger,
    log_descriptor: int = 2,
) -> None:
    """Compile what isn't compiled yet, showing progress. Raises Refused if that fails."""
    stamp = stamp_path(configuration)
    modules = [name for name in WARM if importlib.util.find_spec(name)]
    if stamp.exists() or not modules:
        return
    begin = time.monotonic()
    console = Console(stderr=True, highlight=False)
    console.print("onebook: first start of this version, compiling (about a minute)")
    _compile(modules, options, console, log_descriptor)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    seconds = round(time.monotonic() - begin, 1)
    console.print(f"onebook: compiled in {seconds} s")
    log.info("compiled", seconds=seconds)


def _begin() -> None:
    """What a compiler does first: nobody waits for it in real time, whatever policy we have."""
    die_with_parent()
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _compile(
    modules: list[str], options: Options, console: Console, log_descriptor: int
) -> None:
    begin = time.monotonic()
    running = [
        subprocess.Popen(
            [sys.executable, "-u", "-m", name, *options.arguments()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log_descriptor, text=True,
            preexec_fn=_begin,
        )
        for name in modules
    ]

    def show(name: str, popen: subprocess.Popen[str]) -> None:
        part = name.partition(".")[0]
        assert popen.stdout is not None
        with popen.stdout as lines:
            for line in lines:
                elapsed = time.monotonic() - begin
                console.print(f"  {elapsed:5.1f} s  {part}: {line.strip()}", markup=False)

    with ThreadPoolExecutor(len(modules)) as screen:
        try:
            for name, popen in zip(modules, running, strict=True):
                screen.submit(show, name, popen)
            codes = [popen.wait() for popen in running]
        except BaseException:
            for popen in running:
                popen.kill()  # A compiler doesn't listen to anything less.
                popen.wait()
            raise
    for name, code in zip(modules, codes, strict=True):
        if code != 0:
            raise Refused(f"compiling failed: python -m {name} ended with code {code}")
