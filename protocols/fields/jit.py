"""The one place that knows Numba: typed decorators for the kernels.

Every kernel has an explicit signature, so it is compiled (or read from Numba's on-disk cache) when its module is
imported and never in the middle of a session. Inputs are declared read-only: such a signature takes both writable and
read-only arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import types

_A = ParamSpec("_A")
_R = TypeVar("_R")

VOID: Any = types.void
WORD: Any = types.uint64
WORDS: Any = types.Array(types.uint64, 1, "C", readonly=True)
WORDS_OUT: Any = types.Array(types.uint64, 1, "C")
TABLE: Any = types.Array(types.uint64, 2, "C", readonly=True)
TABLE_OUT: Any = types.Array(types.uint64, 2, "C")
SMALL_TABLE: Any = types.Array(types.int8, 2, "C", readonly=True)
SIGNED: Any = types.Array(types.int64, 1, "C", readonly=True)
SIGNED_OUT: Any = types.Array(types.int64, 1, "C")
FLOAT_TABLE_OUT: Any = types.Array(types.float64, 2, "A")


def kernel(signature: object) -> Callable[[Callable[_A, _R]], Callable[_A, _R]]:
    """Compile for exactly ``signature``, without the interpreter lock, single-threaded, cached on disk."""
    decorate: Any = numba.njit(signature, nogil=True, cache=True)
    return cast(Callable[[Callable[_A, _R]], Callable[_A, _R]], decorate)


def inlined(function: Callable[_A, _R]) -> Callable[_A, _R]:
    """A helper that disappears into the kernels of the same file (the cache watches only the file of the kernel)."""
    decorate: Any = numba.njit(inline="always")
    return cast(Callable[_A, _R], decorate(function))
