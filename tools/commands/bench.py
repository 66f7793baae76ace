"""Measure this build on this machine, each figure beside a baseline timed in the same run.

    engine    the core: sequencer, margin, matching, journal; and matching alone
    margin    judging an account: order, event, fill, a new mark
    ring      the hand-over between two processes, beside a pipe
    journal   appends under both policies, beside bare write + fdatasync
    fix       an order through the FIX door and back, beside an echo and a QuickFIX acceptor
    binary    the same through the binary door, beside an echo
    feed      book events to a hundred receivers
    sbe       encoding and decoding, beside struct
    sidecars  a settlement's effect on orders, attestations, proofs, the ledger

Latencies are measured at an offered rate, from when each message was due. A rate that was not
reached is an error, not a result: exit code 3. A run that is a second behind its schedule gives up.
"""

import importlib
import inspect
import math
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import msgspec
import numpy as np
from cyclopts import Parameter
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter
from rich.console import Console
from rich.table import Table

from core import memory

EXIT_RATE_MISSED = 3
_HIGHEST_NS = 60_000_000_000
_DIGITS = 3

Subject = Literal[
    "engine", "margin", "ring", "journal", "fix", "binary", "feed", "sbe", "sidecars"
]


def bench(
    subject: Annotated[Subject, Parameter(help="What is measured.")],
    /,
    *,
    rate: Annotated[int | None, Parameter(["--rate", "-R"], help="Offered rate, a second.")] = None,
    seconds: Annotated[
        float | None, Parameter(["--seconds", "-d"], help="How long to offer it.")
    ] = None,
    operations: Annotated[
        int | None, Parameter(help="Operations of the part that runs as fast as it can.")
    ] = None,
    policy: Annotated[
        Literal["async", "fsync"] | None, Parameter(help="Journal policy (fix, binary).")
    ] = None,
    idle: Annotated[
        Literal["adaptive", "spin"] | None, Parameter(help="How processes wait (fix, binary).")
    ] = None,
    scheduling: Annotated[
        Literal["real-time", "ordinary"] | None,
        Parameter(help="Of all that is measured; real-time where it is permitted (fix, binary)."),
    ] = None,
    as_json: Annotated[
        bool, Parameter("--json", negative="", help="Print one JSON object.")
    ] = False,
    hlog: Annotated[Path | None, Parameter(help="Write the latency histograms here.")] = None,
) -> int:
    """Measure SUBJECT and print what was measured."""
    console = Console(stderr=True)
    for name, value in (("rate", rate), ("seconds", seconds), ("operations", operations)):
        if value is not None and not 0 < value < math.inf:
            console.print(f"bench: --{name}: expected more than 0, was {value}", style="red")
            return 2
    module = importlib.import_module(f"tools.bench.{subject}")
    asked = {
        "rate": rate, "seconds": seconds, "policy": policy, "idle": idle, "operations": operations,
        "scheduling": scheduling,
    }
    known = inspect.signature(module.measure).parameters
    given = {name: value for name, value in asked.items() if value is not None}
    if unknown := sorted(given.keys() - known.keys()):
        console.print(f"bench {subject} knows no --{unknown[0]}", style="red")
        return 2
    result = _measure(subject, partial(module.measure, **given), hlog, console)
    if isinstance(result, int):
        return result
    result["environment"] = environment()
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(result)).decode() + "\n")
    else:
        show(result, Console())
    missed = missed_rates(result)
    for name in missed:
        console.print(f"{name}: the offered rate was NOT reached: no result", style="bold red")
    return EXIT_RATE_MISSED if missed else 0


def _measure(
    subject: str, measure: Callable[[], dict[str, Any]], hlog: Path | None, console: Console
) -> dict[str, Any] | int:
    """The result, its samples written where that was asked for; or the exit code."""
    # Stopped by whatever signal, it removes again what it made.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    remove_leftovers()
    try:
        with hlog.open("w") if hlog else nullcontext() as histograms:
            with console.status(f"measuring {subject} (a first run compiles)"):
                result = measure()
            samples = result.pop("samples", {})
            if histograms:
                write_histograms(histograms, samples)
    except OSError as error:
        console.print(f"bench {subject}: {error.filename}: {error.strerror}", style="red")
        return 1
    except KeyboardInterrupt:
        console.print(f"bench {subject}: interrupted")
        return 130
    except (MemoryError, RuntimeError) as error:
        reason = str(error) or "not enough memory"
        console.print(f"bench {subject}: {reason}", style="red", soft_wrap=True)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    return result


def remove_leftovers() -> None:
    """Remove the shared memory of measurements that were killed."""
    for path in memory.DIRECTORY.glob("onebook.bench*"):
        instance = path.name.split(".")[1]
        pid = instance.removeprefix("bench")
        gone = pid.isdigit() and not Path("/proc", pid).exists()
        if gone and not any(memory.live_owners(instance)):
            memory.unlink_all(instance)


def environment() -> dict[str, Any]:
    """Where and with what this was measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cpus": len(names),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit,
    }


def missed_rates(result: dict[str, Any], path: str = "") -> list[str]:
    """The parts whose offered rate was not reached."""
    missed = []
    for name, value in result.items():
        if name == "rate_reached" and value is False:
            missed.append(path or "paced")
        elif isinstance(value, dict):
            missed += missed_rates(value, f"{path}.{name}".lstrip("."))
    return missed


def write_histograms(file: TextIO, samples: dict[str, Any]) -> None:
    """One tagged HdrHistogram line for each kind of sample, in the standard .hlog format."""
    writer = HistogramLogWriter(file)
    writer.output_log_format_version()
    writer.output_legend()
    for name, values in samples.items():
        histogram = HdrHistogram(1, _HIGHEST_NS, _DIGITS)
        numbers, counts = np.unique(np.maximum(values, 1), return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            histogram.record_value(number, count)
        file.write(f"Tag={name},")  # The library reads tags but writes none.
        writer.output_interval_histogram(histogram)


def show(result: dict[str, Any], console: Console) -> None:
    """One table a part; nested parts have lines of their own."""
    for name, value in result.items():
        if not isinstance(value, dict):
            console.print(f"{name}: {text(name, value)}")
    for name, value in result.items():
        if isinstance(value, dict):
            table = Table("", "", title=name, show_header=False, title_justify="left")
            table.columns[1].justify = "right"
            for line, cell in lines(value):
                table.add_row(line, cell)
            console.print(table)


def lines(part: dict[str, Any], path: str = "") -> list[tuple[str, str]]:
    """The leaves of a part, with their paths."""
    found = []
    for name, value in part.items():
        full = f"{path} {name}".strip()
        if isinstance(value, dict):
            found += lines(value, full)
        else:
            found.append((full.replace("_", " "), text(full, value)))
    return found


def text(name: str, value: Any) -> str:
    """A figure with its unit: rates as `N ops/s`, times in ns."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if "per_second" in name or name.endswith("rate"):
        return f"{value:,.0f} ops/s"
    if "ratio" in name:
        return f"{value:.2f}"
    if "ns" in name.split("_") or "_ns" in name:
        return f"{value:,.1f} ns" if isinstance(value, float) else f"{value:,} ns"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
