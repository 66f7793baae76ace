"""The house decorator, and a compilation cache that can never be stale.

numba's own cache looks at the file a function stands in and at nothing else: edit a helper in
another file and the caller keeps running the old one. For money that is a correctness bug. So
every compiled module gets a cache directory named by what its machine code is made of:

    ~/.cache/onebook/numba/          root, ONEBOOK_CACHE overrides
      <environment>/                 python, numba, llvmlite, numpy, CPU, this file
        compile.lock                 see compile_lock()
        <module>/<closure>/          hash of the module and of all of ours that it imports
          …                          numba's files

An edit of one file therefore recompiles that file and those that import it, directly or not, and
nothing else. Only the newest few directories of each kind are kept. A file edited after the process
began may not be the one that was imported: what depends on it is compiled without the cache.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, overload

import llvmlite.binding

KEPT = 8
PACKAGES = ("core", "sbe", "gateway", "tools", "tests")
SOURCES = Path(__file__).resolve().parent.parent
ROOT = Path(
    os.environ.get("ONEBOOK_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onebook" / "numba"
)

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]+))", re.M
)
_COMMENT = re.compile(r"#[^\n]*")
_WORD = re.compile(r"[A-Za-z_]\w*")

Function = TypeVar("Function", bound=Callable[..., Any])


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _process_start() -> float:
    """When this process began, in seconds since 1970."""
    with open("/proc/self/stat", "rb") as file:
        ticks = int(file.read().rpartition(b") ")[2].split()[19])
    running = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - running


# Ticks are ten milliseconds; the interpreter imports nothing of ours in its first twenty.
_UNCHANGED_SINCE = _process_start() + 0.02


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
    return _hash("\n".join(parts).encode())


ENVIRONMENT = ROOT / _environment_key()
os.environ["NUMBA_CACHE_DIR"] = str(ENVIRONMENT)  # Before numba is imported; it reads it then.

import numba  # noqa: E402
import numba.core.config  # noqa: E402
from numba.core.registry import cpu_target  # noqa: E402

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
            for name in _WORD.findall(_COMMENT.sub("", names)):
                yield f"{origin}.{name}"
        else:
            for part in plain.split(","):
                yield part.split()[0] if part.split() else ""


@cache
def _read(path: Path) -> tuple[str, frozenset[Path]]:
    """A source file's hash, and our files that it imports; a package brings its __init__ along."""
    data = path.read_bytes()
    files: set[Path] = set()
    for name in _imported_names(data.decode()):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            file = module_file(".".join(parts[:end]))
            if file is None:
                break
            files.add(file)
    return _hash(data), frozenset(files)


def closure(path: Path) -> list[Path]:
    """The source file and all of ours that it imports, directly or through others, in order."""
    seen = {path}
    waiting = [path]
    while waiting:
        new = _read(waiting.pop())[1] - seen
        seen |= new
        waiting.extend(new)
    return sorted(seen)


def closure_key(path: Path) -> str:
    """A hash of the names and contents of `closure(path)`."""
    return _hash("\n".join(f"{file} {_read(file)[0]}" for file in closure(path)).encode())


@cache
def cache_directory(path: str) -> str | None:
    """The cache directory for the compiled functions of one source file; made if missing.

    None if they must not be cached: the source stands in no file, or was edited meanwhile.
    """
    if not os.path.isfile(path):
        return None
    source = Path(path).resolve()
    if any(file.stat().st_ctime > _UNCHANGED_SINCE for file in closure(source)):
        return None
    inside = source.is_relative_to(SOURCES)
    name = ".".join(source.relative_to(SOURCES).with_suffix("").parts) if inside else source.stem
    directory = ENVIRONMENT / name / closure_key(source)
    _use(directory)
    return str(directory)


def _use(directory: Path) -> None:
    """Make a directory named by a key, or mark it as used now; remove the oldest beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    os.utime(directory)
    with contextlib.suppress(OSError):  # Another process may be removing the same.
        ages = [
            (found.stat().st_mtime_ns, found) for found in directory.parent.glob("[0-9a-f]" * 16)
        ]
        for _, old in sorted(ages, reverse=True)[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


_use(ENVIRONMENT)


# Set in the environment of processes that are started when all they run has been compiled.
COMPILED_VARIABLE = "ONEBOOK_COMPILED"


@contextlib.contextmanager
def compile_lock() -> Iterator[None]:
    """Hold while compiling, so that processes started together compile one after the other.

    The first compiles; those that waited then load what it left in the cache. Where all is known to
    be there nobody waits.
    """
    if COMPILED_VARIABLE in os.environ:
        yield
        return
    descriptor = os.open(ENVIRONMENT / "compile.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def load_numba() -> None:
    """Load also what numba leaves until it meets the first function: for who will be forked."""
    cpu_target.target_context.refresh()


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    policy: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "python"}
    directory = cache_directory(function.__code__.co_filename)
    if directory is None:
        policy["cache"] = False
    else:
        # numba reads it while it decorates; nothing else in the process cares about it.
        _configuration.CACHE_DIR = directory
    dispatcher = numba.njit(**(policy | options))(function)
    _compile_for_words(dispatcher)
    _keep_what_to_define(dispatcher)
    return dispatcher


def _keep_what_to_define(dispatcher: Any) -> None:
    """Let callers of a function from the cache know which symbols it needs (`core.linked`).

    numba tells them when the function was compiled in this process, and forgets it otherwise.
    """
    load = dispatcher._cache.load_overload

    def loaded(signature: Any, context: Any) -> Any:
        result = load(signature, context)
        if result is not None:
            result.library._reload_init.update(result.reload_init)
        return result

    dispatcher._cache.load_overload = loaded


def _compile_for_words(dispatcher: Any) -> None:
    """Compile for int64 what is called with narrower or constant integers; the caller widens them.

    Otherwise each mix of record fields (int32, uint8 …) and each constant that is ever passed
    would compile the function, and all that it calls, once more.
    """
    resolve = dispatcher.get_call_template

    def widened(arguments: Any, keywords: Any) -> Any:
        if keywords or not dispatcher._can_compile:
            return resolve(arguments, keywords)
        dispatcher.compile(tuple(word(kind) for kind in arguments))
        dispatcher._can_compile = False  # Resolve to what there is.
        try:
            return resolve(arguments, keywords)
        finally:
            dispatcher._can_compile = True

    dispatcher.get_call_template = widened


def word(kind: Any) -> Any:
    """The type that an argument of a type is compiled for."""
    types: Any = numba.types  # No stubs.
    kind = types.unliteral(kind)
    narrow = isinstance(kind, types.Integer) and kind.bitwidth < 64
    return types.int64 if narrow or isinstance(kind, types.Boolean) else kind


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
