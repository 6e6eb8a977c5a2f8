"""From a Python function to an object file, by Numba. Imported only where the cache has no code for a kernel."""

from __future__ import annotations

from importlib import import_module
from types import FunctionType
from typing import Any

import numba

from protocols.fields.jit import Kind, Signature
from protocols.fields.native import llvm, target_machine

_types: Any = numba.types
_carray: Any = vars(numba)["carray"]

_LIBRARY_CALLS = frozenset({"memset", "memcpy", "memmove"})


_HELPERS: dict[str, Any] = {
    "inlined": numba.njit(inline="always"),
    "copied": numba.njit(error_model="numpy", forceinline=True),
    "called": numba.njit(error_model="numpy", forceinline=False),  # not said, it would be taken from the kernel
}
_modules: dict[int, tuple[object, dict[str, Any]]] = {}  # of helpers only; so what they need is compiled once


def _for_numba(scope: dict[str, Any], marker: str, *, complete: bool) -> dict[str, Any]:
    """The names of a module, with the marked helpers among them, from wherever, turned into what Numba knows.

    complete: the module has been imported to its end, so that the result stays right.
    """
    if id(scope) in _modules:
        return _modules[id(scope)][1]
    made = dict(scope)
    if complete:
        _modules[id(scope)] = scope, made
    for name, value in scope.items():
        how = getattr(value, marker, None) if isinstance(value, FunctionType) else None
        if how is None:
            continue
        if how not in _HELPERS:
            made[name] = getattr(import_module(how), value.__name__)
        elif value.__globals__ is scope:
            made[name] = _HELPERS[how](FunctionType(value.__code__, made, name))
        else:
            made[name] = _for_numba(value.__globals__, marker, complete=True)[value.__name__]
    return made


def _entry(body: Any, signature: Signature) -> Any:
    """A function of pointers and sizes that builds the arrays and calls ``body``."""
    names, values = [], []
    for i, kind in enumerate(signature.arguments):
        sizes = [f"a{i}_{axis}" for axis in range(kind.dimensions)]
        names += [f"a{i}", *sizes]
        values.append(f"carray(a{i}, ({', '.join(sizes)},))" if sizes else f"a{i}")
    scope: dict[str, Any] = {"body": body, "carray": _carray}
    exec(f"def entry({', '.join(names)}):\n    return body({', '.join(values)})", scope)
    return scope["entry"]


def _numba_types(kind: Kind) -> list[Any]:
    number = getattr(_types, kind.word)
    return [_types.CPointer(number), *[_types.intp] * kind.dimensions] if kind.dimensions else [number]


def _only(module: Any, name: str, symbol: str) -> None:
    """Rename the function ``name`` to ``symbol`` and throw away everything that it does not use."""
    for item in [*module.functions, *module.global_variables]:
        if item.name == name:
            item.name = symbol
        elif not item.is_declaration:
            item.linkage = "internal"
    builder = llvm().create_pass_builder(target_machine(), llvm().create_pipeline_tuning_options())
    passes = llvm().create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, builder)


def compile_kernel(function: FunctionType, signature: Signature, symbol: str, helper_marker: str) -> bytes:
    """An object file that defines ``symbol`` and needs nothing from outside but the C library.

    The symbol's type is ``signature.declaration``. TypeError if the kernel allocates or calls the interpreter.
    """
    scope = _for_numba(function.__globals__, helper_marker, complete=False)
    body = numba.njit(error_model="numpy", forceinline=True)(FunctionType(function.__code__, scope, function.__name__))
    parameters = [t for kind in signature.arguments for t in _numba_types(kind)]
    compiled = numba.njit(getattr(_types, signature.result.word)(*parameters))(_entry(body, signature))
    (result,) = compiled.overloads.values()
    module = llvm().parse_assembly(result.library.get_llvm_str())
    _only(module, result.fndesc.llvm_func_name, symbol)
    needs = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    if needs - _LIBRARY_CALLS:
        raise TypeError(f"kernel {function.__qualname__} allocates or calls the interpreter: it needs {sorted(needs)}")
    code: bytes = target_machine().emit_object(module)
    return code
