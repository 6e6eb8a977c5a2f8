"""The report: from nothing, from part, from everything; its verdicts follow the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from omninode.cli import app
from omninode.reproduce import floors, learning_cells, learning_report, markdown
from omninode.reproduce.cells import NOT_RUN, Options, Results, Section
from omninode.reproduce.gather import bad_kept, seeds
from omninode.reproduce.setting import Setting

OPTIONS = Options(Path("nowhere"), "f", False, (0, 1, 2))


def made_up(setting: Setting, seed: int, level: float = 0.8) -> dict[str, Any]:
    """A result of the shape that ``market.play`` gives."""
    sessions, units = setting.sessions, 32 if setting.rule == "trust" else 8
    counts = {"units": units, "passed": units, "kept": units, "bad": 1, "bad_kept": 0, "honest": 30, "honest_kept": 28}
    counts |= {"hostile": 2, "hostile_kept": 0}
    return {
        "images": 10_000, "alone": 0.55 + seed / 100, "alone_after": 0.6 + seed / 100, "public": 5701, "share": 0.155,
        "accuracy": [level - 0.1 / (s + 1) + seed / 100 for s in range(sessions)], "bound": [1.0] * sessions,
        **{key: [value] * sessions for key, value in counts.items()},
    }  # fmt: skip


def everything(level: float = 0.8) -> dict[str, dict[str, Any]]:
    return {
        entry.name(seed): made_up(entry.setting, seed, level)
        for entry in learning_cells.everything()
        for seed in OPTIONS.seeds
    }


def text_of(results: Results, folder: Path) -> str:
    return "\n".join(section.body for section in learning_report.sections(results, folder))


def part(results: Results) -> Section:
    return floors.section(results)


def test_a_full_report_has_every_table_and_plot_and_nothing_missing(tmp_path: Path) -> None:
    text = text_of(everything(), tmp_path)
    assert NOT_RUN not in text and "FAIL" not in text
    plots = {"figure5.png", "figure4.png", "table5.png", "readings.png", "unlike.png"}
    assert {path.name for path in tmp_path.iterdir()} == plots
    for name in plots:
        assert f"{tmp_path.name}/{name}" in text
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "36,697" in text and "5,701" in text and "met exactly" in text
    assert "25.41" in text and "70.74" in text and "15.96 %" in text


def test_an_empty_report_says_not_run_and_draws_nothing(tmp_path: Path) -> None:
    text = text_of({}, tmp_path)
    assert NOT_RUN in text and "pass" not in text and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", range(0, 40, 3))
def test_any_part_of_the_results_makes_a_report(missing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omninode.reproduce.plots.lines", lambda *args: None)
    monkeypatch.setattr("omninode.reproduce.plots.dots", lambda *args: None)
    results = {name: each for i, (name, each) in enumerate(sorted(everything().items())) if (i * 7) % 40 < missing}
    assert "| --- |" in text_of(results, tmp_path) or not missing


def test_floors_are_computed() -> None:
    assert "FAIL" not in part(everything()).body and part(everything()).body.count("pass (3 seeds)") == 14
    low = part(everything(level=0.68)).body
    assert "**FAIL**" in low
    results = everything()
    results["floors-attacked-s1"]["bad_kept"][4] = 1
    verdicts = [line for line in part(results).body.splitlines() if "no bad group kept" in line]
    assert "**FAIL**" in verdicts[0] and "1 of 30 sessions" in verdicts[0] and "pass" in verdicts[1]
    results["floors-attacked-s1"]["bad"][4] = 5  # more than mu R: not promised
    verdicts = [line for line in part(results).body.splitlines() if "no bad group kept" in line]
    assert "pass" in verdicts[0] and "0 of 29 sessions kept one (1 more" in verdicts[0]


def test_a_floor_about_nothing_does_not_hold() -> None:
    results = everything()
    for seed in OPTIONS.seeds:
        results[f"floors-attacked-s{seed}"]["bad"] = [5] * 10
    body = part(results).body
    assert body.count("nothing to judge") == 1 and "0 of 0 sessions" in body
    assert "13 of 13 do" in floors.summary(results).body


def test_sentences_that_compare_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omninode.reproduce.plots.lines", lambda *args: None)
    monkeypatch.setattr("omninode.reproduce.plots.dots", lambda *args: None)
    results = everything()
    text = text_of(results, tmp_path)
    assert "changes by +0.0 points" in text and "no trend can be read" in text
    assert "MNIST has 70,000" in text and "handed over, which leaks" not in text
    for seed in OPTIONS.seeds:
        results[f"figure4-owners128-s{seed}"]["accuracy"][-1] += 0.1
        results[f"readings-handed-s{seed}"]["accuracy"][-1] += 0.1
    for each in results.values():
        each["images"] = 70_000
    text = text_of(results, tmp_path)
    assert "changes by +10.0 points" in text and "no trend" not in text
    assert "MNIST has" not in text and "handed over, which leaks them, it would be 9" in text


def test_the_summary_follows_the_numbers() -> None:
    body = floors.summary(everything()).body
    assert "14 of 14 do" in body and "the paper: 62 % and 83 %" in body and "25.41" in body
    assert "61.0 (60.0-62.0) % for the owner alone" in body
    assert floors.summary({}).body == NOT_RUN
    low = floors.summary(everything(level=0.6)).body
    assert "2 of 14 do" in low


def test_bad_groups_are_counted_by_what_was_promised() -> None:
    run = {"units": [8, 8, 8], "bad": [2, 3, 4], "bad_kept": [1, 0, 2]}
    assert bad_kept([run], 2500) == (1, 1, 2, 1)
    assert bad_kept([run, run], 5000) == (6, 4, 0, 0)
    assert bad_kept([], 5000) == (0, 0, 0, 0)


def test_seeds_of_one_experiment_are_not_anothers() -> None:
    results = {f"a-x-s{k}": {"k": k} for k in (10, 2, 0)} | {"a-x-s": {}, "a-x-sb": {}, "a-x-y-s1": {}, "b-x-s1": {}}
    assert [each["k"] for each in seeds(results, "a", "x")] == [0, 2, 10]


def test_tables_leave_out_what_was_not_measured() -> None:
    rows = [["1", NOT_RUN, "2"], ["3", "4.0", "5"]]
    assert "| 1 |" in markdown.table(("a", "b", "paper"), rows)
    some = markdown.table(("a", "b", "paper"), rows, 1)
    assert "| 3 | 4.0 | 5 |" in some and "| 1 |" not in some and "1 more rows: not run" in some
    assert markdown.table(("a", "b", "paper"), rows[:1], 1) == "not run\n"
    assert markdown.percent([0.5, 0.7]) == "60.0 (50.0-70.0)"
    assert markdown.percent([0.5]) == "50.0" and markdown.percent([]) == NOT_RUN


def test_cells_have_names_of_their_own_and_json_arguments() -> None:
    cells = learning_cells.cells(OPTIONS)
    assert len({cell.name for cell in cells}) == len(cells) == 3 * len(list(learning_cells.everything()))
    assert len({cell.digest for cell in cells}) == len({json.dumps(dict(cell.arguments)) for cell in cells})
    for cell in cells:
        again = json.loads(json.dumps(dict(cell.arguments)))
        Setting.decode(again["setting"])
    quick = learning_cells.cells(Options(Path("nowhere"), "f", True, (0,)))
    assert len(quick) == len(learning_cells.QUICK) < 20
    assert sum(cell.cost for cell in cells) < 3600 and sum(cell.cost for cell in quick) < 90


def test_the_command_line_says_what_it_wants(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["reproduce", "omnilytics", "--help"]).output
    assert "--data" in shown and "--quick" in shown and "--only" in shown
    failed = CliRunner().invoke(app, ["reproduce", "omnilytics", "--data", str(tmp_path)])
    assert failed.exit_code != 0 and "-images-idx3-ubyte" in str(failed.exception)
