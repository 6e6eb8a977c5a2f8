"""Compiled kernels without a compiler in memory.

A kernel is a Python function that Numba can compile. Numba runs only where a kernel is met for the first time: the
machine code goes to the cache, and from then on a process needs llvmlite to load it and nothing else. That spares every
daemon 85 MB and most of a second. Kernels are compiled or loaded when their module is imported, never in the middle of
a session.

A kernel sees contiguous arrays of the declared type. It cannot allocate or call the interpreter (refused when it is
compiled); what it raises arrives as a RuntimeError; and, as always in compiled code, nobody watches its indices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from importlib import import_module
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from protocols.fields import native

_A = ParamSpec("_A")
_R = TypeVar("_R")
_HELPER = "__helper_of_kernels__"  # how: the decorator's name, or the module where it is written
_ffi: Any = import_module("cffi").FFI()
_NO_EXCEPTION: Any = _ffi.new("void *[1]")  # the place for an exception that Numba wants; never read


@dataclass(frozen=True, slots=True)
class Kind:
    """An argument or a result: a number (dimensions 0) or a C-contiguous array of a NumPy type."""

    word: str
    dimensions: int = 0
    writable: bool = False

    def __call__(self, *arguments: Kind) -> Signature:
        """The signature of a function of ``arguments`` that returns this, which must be VOID or a number."""
        return Signature(self, arguments)

    @property
    def declaration(self) -> str:
        """The C declaration of what stands for it in a call: a pointer and the sizes, or a number."""
        c = "double" if self.word == "float64" else f"{self.word}_t"
        return ", ".join([f"{c} *", *["ssize_t"] * self.dimensions]) if self.dimensions else c


@dataclass(frozen=True, slots=True)
class Signature:
    """What a kernel returns and takes."""

    result: Kind
    arguments: tuple[Kind, ...]

    @property
    def declaration(self) -> str:
        """The C type of the compiled function: the status is returned, the result goes through the first pointer."""
        return f"int32_t (*)({', '.join(['uint64_t *', 'void **', *(k.declaration for k in self.arguments)])})"


VOID = Kind("void")
WORD = Kind("uint64")
SIZE = Kind("int64")
WORDS = Kind("uint64", 1)
WORDS_OUT = Kind("uint64", 1, writable=True)
TABLE = Kind("uint64", 2)
TABLE_OUT = Kind("uint64", 2, writable=True)
SMALL_TABLE = Kind("int8", 2)
SIGNED = Kind("int64", 1)
SIGNED_OUT = Kind("int64", 1, writable=True)
FLOAT_CUBE_OUT = Kind("float64", 3, writable=True)


class _Kernel:
    """Calls machine code; releases the interpreter lock while it runs."""

    __name__: str

    def __init__(self, function: FunctionType, signature: Signature) -> None:
        update_wrapper(self, function)
        self._signature = signature
        self._parameters = [
            (k, np.dtype(k.word), _ffi.typeof(k.declaration.split(" ")[0] + "[]") if k.dimensions else None)
            for k in signature.arguments
        ]
        address = native.address(function, signature, helper_marker=_HELPER)
        self._call: Any = _ffi.cast(signature.declaration, address)

    def __call__(self, *arguments: Any) -> int | None:
        flat: list[object] = []
        for (kind, dtype, pointer), value in zip(self._parameters, arguments, strict=True):
            if pointer is None:
                flat.append(int(value))
                continue
            if value.dtype != dtype or value.ndim != kind.dimensions:
                raise TypeError(f"{self.__name__} wants {kind}, not {value.dtype} of {value.ndim} dimensions")
            flat.append(_ffi.from_buffer(pointer, value, require_writable=kind.writable))
            flat.extend(value.shape)
        result = _ffi.new("uint64_t[1]")
        if self._call(result, _NO_EXCEPTION, *flat):
            raise RuntimeError(f"kernel {self.__name__} failed")
        return None if self._signature.result is VOID else int(result[0])


def kernel(signature: Signature) -> Callable[[Callable[_A, _R]], Callable[_A, _R]]:
    """Compile for exactly ``signature``, cached, single-threaded, without the interpreter lock.

    Calling with another type or number of dimensions raises TypeError, with an array that is not contiguous or, for an
    output, not writable, BufferError or ValueError.
    """

    def decorate(function: Callable[_A, _R]) -> Callable[_A, _R]:
        return cast(Callable[_A, _R], _Kernel(cast(FunctionType, function), signature))

    return decorate


def inlined(function: Callable[_A, _R]) -> Callable[_A, _R]:
    """A helper that disappears into the kernels that name it. The only kind that may take arrays."""
    setattr(function, _HELPER, "inlined")
    return function


def copied(function: Callable[_A, _R]) -> Callable[_A, _R]:
    """The same, done later and cheaper, by LLVM: for short helpers in inner loops."""
    setattr(function, _HELPER, "copied")
    return function


def called(function: Callable[_A, _R]) -> Callable[_A, _R]:
    """A helper that stays a function of its own unless LLVM thinks better."""
    setattr(function, _HELPER, "called")
    return function


def written_in_llvm(module: str) -> Callable[[Callable[_A, _R]], Callable[_A, _R]]:
    """A helper that kernels take, under the same name, from ``module``, which is imported only to compile.

    The function itself says in Python what it does.
    """

    def mark(function: Callable[_A, _R]) -> Callable[_A, _R]:
        setattr(function, _HELPER, module)
        return function

    return mark
