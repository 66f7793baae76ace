"""Compiled functions that are called by symbol, so that each is compiled once and no caller again.

numba hands a caller the code of all that it calls, and of all that these call, and optimises the
whole once more: in a program of some depth every function is compiled as often as there are layers
above it. `@linked` draws a line, as between the object files of a C program:

    @jit                                    @linked
    caller = its code + that of callees     caller = its code + call "onebook.module.name.types"
                                                                              │
                                            callee, compiled by itself ◄──────┘  process-wide symbol

A call costs a nanosecond or two and nothing is inlined, so it is for what is large or rare, not for
what an inner loop calls. As everything is behind lines, two processes can compile at the same time:
see `core.warm`.

A caller that comes from the cache must find its symbols defined; numba runs an object's `reload`
functions before it loads its code, and each symbol's definition is one of them.
"""

import functools
import hashlib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import llvmlite.binding
from numba.core import cgutils, types
from numba.core.typing.templates import signature as signature_of
from numba.extending import lower_builtin, type_callable

from core.jit import jit, word

Function = TypeVar("Function", bound=Callable[..., Any])

#: All linked functions, `module.name` → the compiled function, in the order of their definition.
LINKED: dict[str, Any] = {}


@dataclass(frozen=True)
class Symbol:
    """A linked function for one set of argument types; calling it defines it in this process."""

    module: str
    name: str
    arguments: tuple[Any, ...] = field(repr=False)

    @functools.cached_property
    def text(self) -> str:
        """The symbol's name: the types are part of it, as the state's shape is a type."""
        kinds = hashlib.blake2b(str(self.arguments).encode(), digest_size=8).hexdigest()
        return f"onebook.{self.module}.{self.name}.{kinds}"

    def compiled(self) -> Any:
        """What numba knows of the function, compiled or loaded from the cache if need be."""
        importlib.import_module(self.module)
        function = LINKED[f"{self.module}.{self.name}"]
        if self.arguments not in function.overloads:
            function.compile(self.arguments)
        return function.overloads[self.arguments]

    def __call__(self) -> None:
        """Define the symbol."""
        if self.text not in _DEFINED:
            result = self.compiled()
            address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
            llvmlite.binding.add_symbol(self.text, address)
            _DEFINED.add(self.text)


_DEFINED: set[str] = set()


def linked(function: Function) -> Function:
    """Compile as `jit` does, but let compiled callers reach the function by its symbol."""
    compiled: Any = jit(function)
    LINKED[f"{function.__module__}.{function.__qualname__}"] = compiled

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return compiled(*arguments)

    @functools.cache
    def symbol(kinds: tuple[Any, ...]) -> Symbol:
        return Symbol(function.__module__, function.__qualname__, tuple(map(word, kinds)))

    @type_callable(call)
    def type_call(context: Any) -> Any:
        def typed(*kinds: Any) -> Any:
            target = symbol(kinds)
            target()
            return signature_of(target.compiled().signature.return_type, *target.arguments)

        typed.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return typed

    @lower_builtin(call, types.VarArg(types.Any))  # type: ignore[untyped-decorator]
    def lower_call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target = symbol(signature.args)
        target()
        context.active_code_library._reload_init.add(target)
        convention = context.call_conv
        kind = convention.get_function_type(signature.return_type, signature.args)
        callee = cgutils.get_or_insert_function(builder.module, kind, target.text)
        status, result = convention.call_function(
            builder, callee, signature.return_type, signature.args, arguments
        )
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    call.compiled = compiled  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]
