"""Kernels: compiled once, loaded without Numba, strict about arguments, refused where they need more than the CPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from protocols.fields import native

SOURCE = '''
import numpy as np
from protocols.fields.jit import FLOAT_CUBE_OUT, SIGNED, SIZE, SMALL_TABLE, VOID, WORD, WORDS, inlined, kernel

@inlined
def twice(x):
    return x + x

@inlined
def fourfold(x):
    return twice(twice(x))

@kernel(WORD(WORDS, SMALL_TABLE, SIZE))
def total(words, table, k):
    """Sums everything."""
    s = np.uint64(0)
    for i in range(len(words)):
        s += fourfold(words[i])
    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            s += np.uint64(np.int64(table[i, j]) * k)
    return s

@kernel(VOID(SIGNED, FLOAT_CUBE_OUT))
def spread(x, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                out[i, j, k] = x[i] * 100 + j * 10 + k
'''
RAISING = """
from protocols.fields.jit import VOID, WORDS_OUT, kernel

@kernel(VOID(WORDS_OUT))
def bad(out):
    {}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    return folder


def load(folder: Path, source: str = SOURCE, name: str = "sample") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_arrays_results_and_helpers(tmp_path: Path) -> None:
    sample = load(tmp_path)
    words, table = np.array([1, 2, 3], dtype=np.uint64), np.array([[1, -1], [5, 0]], dtype=np.int8)
    words.flags.writeable = False
    assert sample.total(words, table, 10) == 24 + 50
    assert sample.total(words[:0], table[:0], 10) == 0
    assert (sample.total.__name__, sample.total.__doc__) == ("total", "Sums everything.")
    out = np.zeros((2, 3, 4))
    assert sample.spread(np.array([1, -2], dtype=np.int64), out) is None
    assert out[1, 2, 3] == -200 + 23
    assert out[0, 0, 1] == 101


def test_arguments_of_the_wrong_kind(tmp_path: Path) -> None:
    sample = load(tmp_path)
    words, table = np.zeros(4, dtype=np.uint64), np.zeros((2, 2), dtype=np.int8)
    for arguments in ((words.astype(np.int64), table, 1), (words, table[0], 1), (words.astype(">u8"), table, 1)):
        with pytest.raises(TypeError, match="total wants"):
            sample.total(*arguments)
    with pytest.raises((ValueError, BufferError)):
        sample.total(words[::2], table, 1)
    with pytest.raises(ValueError, match="argument"):
        sample.total(words, table)
    frozen = np.zeros((1, 1, 1))
    frozen.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        sample.spread(np.zeros(1, dtype=np.int64), frozen)


@pytest.mark.parametrize("body", ["out[:] = out[1:]", "out[0] = len([x for x in out])"])
def test_kernels_that_allocate_are_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(TypeError, match="bad allocates"):
        load(tmp_path, RAISING.format(body), "raising")


def test_an_exception_in_a_kernel_arrives(tmp_path: Path) -> None:
    bad = load(tmp_path, RAISING.format("if len(out) == 3: raise ValueError"), "raising").bad
    bad(np.zeros(2, dtype=np.uint64))
    with pytest.raises(RuntimeError, match="kernel bad failed"):
        bad(np.zeros(3, dtype=np.uint64))


def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from protocols.fields import compile as compiler

    done: list[str] = []
    original = compiler.compile_kernel

    def counted(function, *arguments):  # type: ignore[no-untyped-def]
        done.append(function.__name__)
        return original(function, *arguments)

    monkeypatch.setattr(compiler, "compile_kernel", counted)
    return done


def test_compiled_once_and_again_when_the_source_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = compilations(monkeypatch)
    load(tmp_path)
    assert done == ["total", "spread"]
    assert len(list(cache.iterdir())) == 2
    load(tmp_path)
    assert len(done) == 2
    changed = load(tmp_path, SOURCE.replace("return x + x", "return x"))
    assert len(done) == 4
    assert changed.total(np.ones(2, dtype=np.uint64), np.zeros((0, 0), dtype=np.int8), 0) == 2


@pytest.mark.parametrize("damage", [b"", b"x" * 10, None])
def test_a_torn_file_is_made_anew(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None
) -> None:
    load(tmp_path)
    for path in cache.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[:-1] if damage is None else damage)
    done = compilations(monkeypatch)
    sample = load(tmp_path)
    assert done == ["total", "spread"]
    assert sample.total(np.ones(2, dtype=np.uint64), np.zeros((0, 0), dtype=np.int8), 0) == 8
    assert all(native._read(path) is not None for path in cache.iterdir())


def test_without_a_cache_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(native, "_directories", lambda source: iter([blocked / "a", blocked / "b"]))
    assert load(tmp_path).total(np.ones(1, dtype=np.uint64), np.zeros((0, 0), dtype=np.int8), 0) == 4


def test_the_places_of_the_cache(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    source = Path("/somewhere/kernels.py")
    assert list(native._directories(source))[:2] == [cache, Path("/somewhere/__pycache__")]
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert list(native._directories(source)) == [Path("/somewhere/__pycache__")]


def test_a_daemon_never_loads_numba() -> None:
    """With a warm cache the whole of the arithmetic works without Numba in memory."""
    root = Path(native.__file__).parents[2]
    work = (
        "import sys\n"
        "from protocols.fields import goldilocks as gl\n"
        "from protocols.gram import exact, projections\n"
        "from protocols.sharing import rebuild, shamir\n"
        "assert exact.gram([gl.vector([3, 4])]).tolist() == [[25]]\n"
        "print('numba' in sys.modules)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", work],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    assert run.stdout.strip() == "False"
