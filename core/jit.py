"""The house decorator, and a compilation cache that can never be stale.

numba's own cache looks at the file a function stands in and at nothing else: edit a helper in
another file and the caller keeps running the old one. For money that is a correctness bug. So
every compiled module gets a cache directory named by what its machine code is made of:

    ~/.cache/onebook/numba/                    root, ONEBOOK_CACHE overrides
      <environment>/                           python, numba, llvmlite, numpy, CPU, this file
        compile.lock                           see compile_lock()
        <module>-<closure>/                    hash of the module and all of ours it imports
          in-use                               shared lock held by every process that uses it
          *.nbi *.nbc                          numba's files

An edit of one file therefore recompiles that file and those that import it, directly or not, and
nothing else. Only the newest few directories of a module are kept; one in use is never removed.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, overload

import llvmlite.binding

KEPT_PER_MODULE = 8
PACKAGES = ("core", "sbe", "gateway", "tools")
SOURCES = Path(__file__).resolve().parent.parent
ROOT = Path(
    os.environ.get("ONEBOOK_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onebook" / "numba"
)

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]+))", re.M
)
_WORD = re.compile(r"[A-Za-z_]\w*")

Function = TypeVar("Function", bound=Callable[..., Any])


def _environment_key() -> str:
    """What decides the machine code besides our sources."""
    parts = [
        sys.version,
        platform.machine(),
        llvmlite.binding.get_host_cpu_name(),
        *(f"{name} {version(name)}" for name in ("numba", "llvmlite", "numpy")),
        os.environ.get("NUMBA_BOUNDSCHECK", ""),
        os.environ.get("NUMBA_OPT", ""),
        Path(__file__).read_text(),
    ]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


ENVIRONMENT = ROOT / _environment_key()
ENVIRONMENT.mkdir(parents=True, exist_ok=True)
os.environ["NUMBA_CACHE_DIR"] = str(ENVIRONMENT)  # Before numba is imported; it reads it then.

import numba  # noqa: E402
import numba.core.config  # noqa: E402

_configuration: Any = numba.core.config


def module_file(name: str) -> Path | None:
    """The source file of one of our modules, or None if there is no such module."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    base = SOURCES.joinpath(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imported_names(text: str) -> Iterator[str]:
    """Dotted names a source text may import, wherever in the text the statement stands."""
    for origin, names, plain in _IMPORT.findall(text):
        if origin:
            yield origin
            for name in _WORD.findall(names):
                yield f"{origin}.{name}"
        else:
            for part in plain.split(","):
                yield part.split()[0] if part.split() else ""


_closures: dict[Path, frozenset[Path]] = {}


def _direct(path: Path) -> frozenset[Path]:
    """Our source files that one source file imports; a package brings its __init__ along."""
    found = _closures.get(path)
    if found is None:
        files: set[Path] = set()
        for name in _imported_names(path.read_text()):
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                file = module_file(".".join(parts[:end]))
                if file is not None:
                    files.add(file)
        found = _closures[path] = frozenset(files)
    return found


def closure(path: Path) -> list[Path]:
    """The source file and all of ours that it imports, directly or through others, in order."""
    seen = {path}
    waiting = [path]
    while waiting:
        for file in _direct(waiting.pop()):
            if file not in seen:
                seen.add(file)
                waiting.append(file)
    return sorted(seen)


def closure_key(path: Path) -> str:
    """A hash of the names and contents of `closure(path)`."""
    digest = hashlib.blake2b(digest_size=8)
    for file in closure(path):
        text = file.read_bytes()
        digest.update(f"{file}\n{len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()


_directories: dict[str, str] = {}
_in_use: list[int] = []  # Open files: the shared locks live as long as the process.


def cache_directory(path: str) -> str:
    """The cache directory for the compiled functions of one source file; made if missing."""
    found = _directories.get(path)
    if found is None:
        source = Path(path).resolve()
        inside = source.is_relative_to(SOURCES)
        name = ".".join(source.relative_to(SOURCES).with_suffix("").parts) if inside else "other"
        directory = ENVIRONMENT / f"{name}-{closure_key(source)}"
        directory.mkdir(exist_ok=True)
        _in_use.append(_lock(directory / "in-use", fcntl.LOCK_SH))
        os.utime(directory)
        if inside:
            _remove_old(name)
        found = _directories[path] = str(directory)
    return found


def _lock(path: Path, how: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_old(name: str) -> None:
    """Remove what is beyond the newest directories of a module, unless a process uses it."""
    pattern = f"{name}-{'[0-9a-f]' * 16}"
    with contextlib.suppress(OSError):  # Another process may be removing the same.
        ages = sorted(((d.stat().st_mtime, d) for d in ENVIRONMENT.glob(pattern)), reverse=True)
        for _, directory in ages[KEPT_PER_MODULE:]:
            with contextlib.suppress(OSError):
                lock = _lock(directory / "in-use", fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
                os.close(lock)


@contextlib.contextmanager
def compile_lock() -> Iterator[None]:
    """Hold while compiling, so that processes started together compile one after the other.

    The first compiles; those that waited then load what it left in the cache.
    """
    descriptor = _lock(ENVIRONMENT / "compile.lock", fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    # numba reads the directory while it decorates; nothing else in the process cares about it.
    _configuration.CACHE_DIR = cache_directory(function.__code__.co_filename)
    policy: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "python"}
    return numba.njit(**(policy | options))(function)


@overload
def jit(function: Function) -> Function: ...
@overload
def jit(**options: Any) -> Callable[[Function], Function]: ...
def jit(function: Any = None, **options: Any) -> Any:
    """Compile with the house policy: cached, without the GIL, with Python's error model.

    `@jit` and `@jit(option=…)` both work; options are numba's and override the policy.
    """
    if function is None:
        return lambda decorated: _compiled(decorated, options)
    return _compiled(function, options)
