"""Helpers of kernels in files of their own: used, noticed when they change, and compiled without Numba at run time."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from protocols.fields import native

HELPERS = '''
import numpy as np
from protocols.fields.jit import called, copied, inlined
from protocols.fields.wide import add_wide, apart

ONE = (np.uint64(1), np.uint64(0), np.uint64(0), np.uint64(0))

@copied
def plus_one(x):
    return add_wide(x, ONE)

@called
def plus_two(x):
    """Calls a helper of its own file and stays apart."""
    apart()
    return plus_one(plus_one(x))

@inlined
def row(table, i):
    return (table[i, 0], table[i, 1], table[i, 2], table[i, 3])
'''
KERNELS = """
from protocols.fields.jit import TABLE_OUT, VOID, kernel
from {helpers} import plus_one, plus_two, row

@kernel(VOID(TABLE_OUT))
def plus_three(table):
    for i in range(len(table)):
        x = plus_two(plus_one(row(table, i)))
        table[i, 0], table[i, 1], table[i, 2], table[i, 3] = x[0], x[1], x[2], x[3]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that modules are imported from, with a cache of machine code."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def kernels(place: Path, name: str, helpers: str) -> ModuleType:
    """The kernels of a module ``name`` with its helpers, from the files that are there now."""
    (place / f"{name}_helpers.py").write_text(helpers)
    (place / f"{name}.py").write_text(KERNELS.format(helpers=f"{name}_helpers"))
    for module in (name, f"{name}_helpers"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        return importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = before


def after(module: ModuleType) -> list[int]:
    table = np.array([[2**64 - 2, 2**64 - 1, 7, 0]], dtype=np.uint64)
    module.plus_three(table)
    return [int(word) for word in table[0]]


def test_helpers_of_another_file(place: Path) -> None:
    assert after(kernels(place, "first_sample", HELPERS)) == [1, 0, 8, 0]


def test_a_changed_helper_is_noticed(place: Path) -> None:
    assert after(kernels(place, "second_sample", HELPERS)) == [1, 0, 8, 0]
    changed = HELPERS.replace("ONE = (np.uint64(1)", "ONE = (np.uint64(2)")
    assert after(kernels(place, "second_sample", changed)) == [4, 0, 8, 0]
    assert len(list((place / "cache").iterdir())) == 2
    assert after(kernels(place, "second_sample", HELPERS)) == [1, 0, 8, 0]
    assert len(list((place / "cache").iterdir())) == 2


def test_the_files_that_a_kernel_depends_on() -> None:
    from protocols.bn254 import msm_kernels

    files = {path.name for path in native._files(msm_kernels.add_buckets.__wrapped__, "__helper_of_kernels__")}
    assert files == {"msm_kernels.py", "curve.py", "field.py", "wide.py", "wide_llvm.py"}


def test_bn254_without_numba() -> None:
    """With a warm cache neither importing nor working needs the compiler."""
    work = (
        "import sys\n"
        "from protocols.bn254 import ceremony, fr, g1, msm, ptau\n"
        "assert g1.to_integers(msm.msm(g1.generator(), fr.vector([1]))) == [(1, 2)]\n"
        "print('numba' in sys.modules, 'py_ecc' in sys.modules)\n"
    )
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", work],
            cwd=Path(native.__file__).parents[2],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    assert run.stdout.split() == ["False", "False"]
