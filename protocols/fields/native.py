"""Machine code of kernels: found in the cache and loaded, or made by Numba, kept and loaded.

The cache is $NUMBA_CACHE_DIR, or the __pycache__ beside the source, or ~/.cache/omninode, whichever can be written
first. Like bytecode there, a cached object is trusted as the source is. Its name is a hash of all that it depends on:
the files of the kernel and of its helpers, this package, versions, processor. It begins with a checksum, so that a torn
file is made anew, not run.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocols.fields.jit import Signature

_CHECKSUM_BYTES = 32


@cache
def llvm() -> Any:
    """llvmlite's binding, ready to make code for this processor."""
    binding = import_module("llvmlite.binding")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@cache
def target_machine() -> Any:
    """LLVM's description of this processor, for code that is made to stay in this process."""
    binding = llvm()
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
        jit=True,
    )


@cache
def _engine() -> Any:
    return llvm().create_mcjit_compiler(llvm().parse_assembly(""), target_machine())


@cache
def _surroundings() -> bytes:
    """Everything but the kernel's own file that decides what its machine code is."""
    binding = llvm()
    here = Path(__file__).parent
    parts = [
        *(version(package) for package in ("numba", "llvmlite", "numpy")),
        sys.version,
        binding.get_process_triple(),
        binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(),
        *((here / name).read_text() for name in ("jit.py", "native.py", "compile.py")),
    ]
    return hashlib.sha256("\0".join(parts).encode()).digest()


def _directories(source: Path) -> Iterator[Path]:
    if configured := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(configured)
    yield source.parent / "__pycache__"
    with suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache" / "omninode"


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    checksum, code = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _write(path: Path, code: bytes) -> bool:
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(hashlib.sha256(code).digest() + code)
        part.replace(path)  # at once, whoever else writes or reads it
    except OSError:
        return False
    return True


def _files(function: FunctionType, helper_marker: str) -> set[Path]:
    """The file of a kernel, those of the helpers that it can see, and so on; of what is written in LLVM, both files."""
    files: set[Path] = set()
    waiting = [function]
    while waiting:
        source = waiting.pop()
        path = Path(source.__code__.co_filename)
        if path in files:
            continue
        files.add(path)
        helpers = [f for f in source.__globals__.values() if isinstance(f, FunctionType) and hasattr(f, helper_marker)]
        waiting.extend(helpers)
        modules = {getattr(f, helper_marker) for f in helpers}
        files.update(Path(s.origin) for m in modules if "." in m and (s := find_spec(m)) is not None and s.origin)
    return files


def _code(function: FunctionType, signature: Signature, symbol: str, helper_marker: str) -> bytes:
    source = Path(function.__code__.co_filename)
    paths = [folder / f"{function.__module__}.{function.__name__}.{symbol}.o" for folder in _directories(source)]
    for path in paths:
        if (code := _read(path)) is not None:
            return code
    made: bytes = import_module("protocols.fields.compile").compile_kernel(function, signature, symbol, helper_marker)
    any(_write(path, made) for path in paths)
    return made


def address(function: FunctionType, signature: Signature, helper_marker: str) -> int:
    """Where the machine code of a kernel is, for as long as the process lives."""
    sources = (path.read_bytes() for path in sorted(_files(function, helper_marker)))
    parts = (_surroundings(), *sources, function.__qualname__.encode(), repr(signature).encode())
    symbol = "kernel_" + hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    code = _code(function, signature, symbol, helper_marker)
    _engine().add_object_file(llvm().ObjectFileRef.from_data(code))
    _engine().finalize_object()
    return int(_engine().get_function_address(symbol))
