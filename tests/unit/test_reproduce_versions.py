"""A cell's version follows the code that it runs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from omninode.reproduce import versions

BEFORE = '"""Text."""\nfrom pack import b\n\n\ndef f() -> int:\n    """More text."""\n    return b.X  # why\n'


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text(BEFORE)
    (folder / "b.py").write_text("def g():\n    from pack.c import Y\n    return Y\nX = 1\n")
    (folder / "c.py").write_text("import json, elsewhere\nY = 1\n")
    (folder / "report.py").write_text("from pack import a\n")
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    return folder


def version(files: tuple[Path, ...] = ()) -> str:
    versions.closure.cache_clear()
    return versions.of_modules("pack.a", ("pack",), files)


def test_it_counts_what_is_imported_also_in_functions_and_nothing_else(pack: Path) -> None:
    before = version()
    assert versions.closure("pack.a", ("pack",)) == {"pack", "pack.a", "pack.b", "pack.c"}
    (pack / "report.py").write_text("changed = 1\n")
    (pack / "a.py").write_text(BEFORE.replace("Text", "Other").replace("why", "because").replace("\n\n\n", "\n\n"))
    assert version() == before
    (pack / "c.py").write_text("Y = 2\n")
    assert version() != before


def test_files_count_by_what_is_in_them(pack: Path) -> None:
    data = pack / "x.json"
    data.write_text("1")
    before = version((data,))
    assert version() != before == version((data,))
    data.write_text("2")
    assert version((data,)) != before


def test_what_is_not_there_is_an_error(pack: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"pack\.none"):
        versions.of_modules("pack.none", ("pack",))
    versions.closure.cache_clear()


def test_reports_are_not_part_of_either_side() -> None:
    versions.closure.cache_clear()
    learning = versions.closure("omninode.reproduce.learning_run", ("omninode", "protocols"))
    assert {"omninode.reproduce.market", "omninode.learning.split", "protocols.selection.rules"} <= learning
    gas = versions.closure("omninode.reproduce.gas_run", ("omninode.reproduce", "protocols"))
    assert {"omninode.reproduce.stage.blocks", "omninode.reproduce.onchain_stage", "protocols.onchain.krum"} <= gas
    for name in learning | gas:
        assert not any(part in name for part in ("report", "plots", "tables", "command", "cells")), name
