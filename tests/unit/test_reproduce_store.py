"""Results survive interruption: what is half-written, damaged or stale never counts; the rest is never done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omninode.errors import AlreadyRunningError, Exit, StoreError, UsageError
from omninode.learning.data import DataError, Samples
from omninode.reproduce import command, data_check, learning_run, machine, pool, report, sides
from omninode.reproduce.cells import Cell, Options
from omninode.reproduce.progress import Progress
from omninode.reproduce.setting import Setting
from omninode.reproduce.store import Store
from omninode.store.lock import DataDirLock
from tests.unit.reproduce_kit import dies, fails, make


def test_a_result_comes_back_as_long_as_its_cell_is_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(make(3), {"square": 9}, 1.5)
    found = store.read(make(3))
    assert found is not None and found.result == {"square": 9} and found.seconds == 1.5
    assert store.read(make(3, version="2")) is None
    assert store.read(Cell("cell-3", "odd", make(3).run, {"x": 4}, 1.0)) is None
    assert store.read(make(4)) is None
    assert list(store.read_all([make(3), make(4)])) == ["cell-3"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"digest": 1}', "null", '"text"', "\x00\xff"])
def test_damaged_files_do_not_count(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    store.write(make(3), {"square": 9}, 1.5)
    whole = (tmp_path / "cell-3.json").read_text()
    (tmp_path / "cell-3.json").write_text(damage)
    assert store.read(make(3)) is None
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "cell-3.json").write_text(whole[:length])
        assert store.read(make(3)) is None


def test_half_written_files_are_swept_and_what_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cell-3.json.partial").write_text("{")
    store = Store(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="JSON"):
        store.write(make(3), {"accuracy": float("nan")}, 1.0)
    assert store.read(make(3)) is None


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "x" * 101])
def test_names_that_are_no_file_names(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Cell(name, "g", make(1).run, {}, 1.0)


def test_a_failure_and_a_dead_process_stop_nobody_else(tmp_path: Path) -> None:
    cells = [make(1), make(2, fails), make(3, dies), make(4, alone=True), make(5), make(6)]
    done = {each.cell.name: each for each in pool.run(cells, tmp_path, 1)}
    assert len(done) == len(cells)
    assert done["cell-2"].result is None and "broken at 2" in done["cell-2"].error
    assert done["cell-3"].result is None and "died" in done["cell-3"].error
    for x in (1, 4, 5, 6):
        assert done[f"cell-{x}"].result == {"square": x * x}


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    text = (
        "import sys; from pathlib import Path; from omninode.reproduce import pool\n"
        "from tests.unit.reproduce_kit import make, sleeps\n"
        "if __name__ == '__main__': list(pool.run([make(1, sleeps)], Path(sys.argv[1]), 1))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(text)
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=here)
    try:
        worker = int(_wait_for(tmp_path / "pid"))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for _ in range(200):
        if not _alive(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


def _wait_for(path: Path) -> str:
    for _ in range(600):
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.1)
    raise AssertionError(f"{path} never came")


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> command.Wanted:
    """The command with four small cells instead of the paper's."""
    monkeypatch.setattr(learning_run, "samples", lambda folder: None)
    monkeypatch.setattr(learning_run, "fingerprint", lambda samples: "f")
    monkeypatch.setattr(sides, "cells", lambda options: [make(x) for x in range(1, 5)])
    monkeypatch.setattr(data_check, "check", lambda *args: None)
    monkeypatch.setattr(sides, "sections", lambda results, plots: [])
    (tmp_path / "data").mkdir()
    return command.Wanted(tmp_path / "data", tmp_path / "out", tmp_path / "docs", jobs=1)


def ran(wanted: command.Wanted) -> dict[int, int]:
    return {x: int(path.read_text()) for x in range(1, 5) if (path := wanted.data / f"ran-{x}").exists()}


def test_what_is_done_is_not_done_again_and_what_is_stale_is(
    market: command.Wanted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(command.Wanted(market.data, market.out, market.report, only=("odd",), jobs=1)) == Exit.OK
    assert ran(market) == {1: 1, 3: 1}
    assert "2 of 4 cells not run" in capsys.readouterr().out
    assert command.main(market) == Exit.OK
    assert ran(market) == {1: 1, 2: 1, 3: 1, 4: 1}
    monkeypatch.setattr(sides, "cells", lambda options: [make(x, version="2" if x == 2 else "") for x in range(1, 5)])
    assert command.main(market) == Exit.OK
    assert ran(market) == {1: 1, 2: 2, 3: 1, 4: 1}
    assert (market.folder(True) / "omnilytics.md").read_text().startswith("# OmniLytics, reproduced")


def test_a_failed_cell_is_named_and_the_others_are_kept(
    market: command.Wanted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sides, "cells", lambda options: [make(1), make(2, fails), make(3)])
    assert command.main(market) == Exit.FAILURE
    out = capsys.readouterr().out
    assert "FAILED: RuntimeError: broken at 2" in out and "1 failed: cell-2" in out
    assert "broken at 2" in (market.out / "failed" / "cell-2.txt").read_text()
    assert ran(market) == {1: 1, 3: 1}


def test_what_is_alike_is_run_once(market: command.Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [make(1), make(1, name="other"), make(2), make(1, name="third")]
    monkeypatch.setattr(sides, "cells", lambda options: cells[:3])
    assert command.main(market) == Exit.OK
    assert ran(market) == {1: 1, 2: 1}
    store = Store(market.out / "cells")
    assert store.missing(cells[:3]) == [] and store.missing([make(4), make(4, name="x")]) != []
    monkeypatch.setattr(sides, "cells", lambda options: cells)
    assert command.main(market) == Exit.OK  # what is done already counts for one that comes later
    assert ran(market) == {1: 1, 2: 1}
    assert {store.read(cell).result["square"] for cell in cells} == {1, 4}  # type: ignore[union-attr]
    assert store.read(cells[1]).seconds == 0  # type: ignore[union-attr]


def test_one_run_at_a_time(market: command.Wanted) -> None:
    with DataDirLock(market.out), pytest.raises(AlreadyRunningError, match="in use by process"):
        command.main(market)
    assert command.main(market) == Exit.OK


def test_words_that_match_nothing_and_folders_without_files(tmp_path: Path) -> None:
    cells = [make(x) for x in range(1, 5)]
    assert [cell.name for cell in command.select(cells, ["odd", "cell-4*"])] == ["cell-1", "cell-3", "cell-4"]
    assert command.select(cells, []) == cells
    with pytest.raises(UsageError, match="matches no cell") as caught:
        command.select(cells, ["tabel5"])
    assert "odd, even" in caught.value.cure
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"-images-idx3-ubyte"):
            command.main(command.Wanted(folder, tmp_path / "out"))


def test_the_quick_report_stays_out_of_docs(tmp_path: Path) -> None:
    assert command.Wanted(tmp_path, tmp_path, quick=True).folder(True) == tmp_path / "quick-report"
    assert command.Wanted(tmp_path, tmp_path).folder(True) == Path("docs")
    options = Options(tmp_path, "f", True, (0,))
    text = report.write(tmp_path, [], {}, options, machine.Spent(90.0, ("a machine",))).read_text()
    assert "quick run" in text and "2 minutes by the clock" in text and "Machine: a machine." in text


def test_a_part_never_overwrites_the_whole_report(market: command.Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(market.data)
    wanted = command.Wanted(market.data, market.out, jobs=1)
    assert command.main(wanted) == Exit.OK
    whole = (market.data / "docs" / "omnilytics.md").read_text()
    monkeypatch.setattr(sides, "cells", lambda options: [*(make(x) for x in range(1, 5)), make(6, fails)])
    assert command.main(wanted) == Exit.FAILURE
    assert (market.data / "docs" / "omnilytics.md").read_text() == whole
    assert "4 of 5 cells run" in (market.out / "partial-report" / "omnilytics.md").read_text()


def test_seconds_and_machines_are_kept_beside_the_cells(market: command.Wanted) -> None:
    log = market.out / "cells.json"
    assert command.main(market) == Exit.OK
    assert machine.read(log).machines == (machine.machine(),)
    before = log.read_bytes()
    assert command.main(market) == Exit.OK and log.read_bytes() == before  # nothing was run
    log.write_text('{"seconds": 5, "machines": ["another"]}')
    machine.add(log, 2.0)
    assert machine.read(log) == machine.Spent(7.0, ("another", machine.machine()))
    for damage in ("", "[]", "{}", '{"seconds": "x", "machines": []}'):
        log.write_text(damage)
        assert machine.read(log) == machine.Spent()


def test_a_place_that_cannot_be_written_is_named_before_anything_runs(market: command.Wanted) -> None:
    taken = market.data / "file"
    taken.write_text("")
    with pytest.raises(StoreError, match=str(taken / "report")):
        command.main(command.Wanted(market.data, market.out, taken / "report", jobs=1))
    with pytest.raises(StoreError, match=str(taken / "out")):
        command.main(command.Wanted(market.data, taken / "out", market.report, jobs=1))
    assert ran(market) == {}


def test_unfit_images_are_refused_before_anything_runs() -> None:
    def refused(count: int, pixels: int, label: int, cells: list[dict[str, Any]]) -> str:
        samples = Samples(np.zeros((count, pixels), np.float32), np.full(count, label, np.int64))
        with pytest.raises(DataError) as caught:
            data_check.check(samples, Path("images"), cells)
        return str(caught.value)

    cells = [{"setting": Setting(owners=owners).encode()} for owners in (8, 64)] + [{"rounds": 8}]
    assert "100 pixels, the network takes 784" in refused(5, 100, 0, cells)
    assert "label 10" in refused(5, 784, 10, cells)
    assert "5,909 images, the largest experiment (64 data owners) needs 5,910" in refused(5909, 784, 9, cells)
    data_check.check(Samples(np.zeros((5, 784), np.float32), np.zeros(5, np.int64)), Path("images"), cells[2:])


def test_the_estimate_follows_what_cells_take(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress([Cell(f"c{i}", "g", make(1).run, {}, 30.0) for i in range(9)], 2)
    assert progress.left() == "about 2 min"
    done: Any = pool.Done(Cell("c0", "g", make(1).run, {}, 30.0), {}, "", 60.0)
    progress.note(done)
    assert progress.left() == "about 4 min"
    assert "1/9" in capsys.readouterr().out
