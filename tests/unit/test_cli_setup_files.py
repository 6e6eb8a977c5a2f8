"""The files of the package: set-up, lock, console script, benchmark runner."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import tests.benchmarks.__main__ as bench
from omninode import __version__
from tests.conftest import ROOT


def pinned() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!\[;]", name)[0]).lower()


def test_the_lock_has_exact_versions_and_no_place() -> None:
    for name, version in pinned().items():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", name), name
        assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), (name, version)  # no local tag, no address, no file


def test_every_requirement_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {plain(name) for name in pinned()}
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert {plain(entry) for entry in wanted} <= known
    assert project["version"] == __version__


def test_npm_names_the_binary_of_every_platform() -> None:
    packages = json.loads((ROOT / "contracts" / "package-lock.json").read_text())["packages"]
    for tool in ("anvil", "forge"):
        for name in packages[f"node_modules/@foundry-rs/{tool}"]["optionalDependencies"]:
            assert f"node_modules/{name}" in packages
    assert not [entry for entry in packages.values() if "resolved" in entry]


def test_setup_scripts_are_sound_bash() -> None:
    for script in ("deploy/bootstrap.sh", ".ci/run"):
        subprocess.run(["bash", "-n", str(ROOT / script)], check=True, timeout=30)
        assert (ROOT / script).stat().st_mode & 0o111


def test_what_is_missing_is_named_with_the_command(tmp_path: Path) -> None:
    """A machine without compiler, Node and Python, where we are not root: nothing but coreutils on the path."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "mkdir", "flock", "cat", "sha256sum", "env"):
        (tools / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    (tools / "id").write_text("#!/usr/bin/env bash\necho 1000\n")
    (tools / "id").chmod(0o755)
    copy = tmp_path / "copy"
    (copy / "deploy").mkdir(parents=True)
    (copy / "contracts").mkdir()
    for name in ("deploy/bootstrap.sh", "requirements.lock", "pyproject.toml", "contracts/package-lock.json"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [str(tools / "bash"), str(copy / "deploy" / "bootstrap.sh")]
    done = subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    for package in ("build-essential", "nodejs", "npm", "python3-venv"):
        assert package in done.stderr
    assert "sudo apt-get update && sudo apt-get install" in done.stderr


def test_module_and_console_script_are_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "omninode", "version"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"omninode {__version__}\n"


ROW = {"name": "x", "params": {"d": 5}, "ours": 0.5, "peer": None, "unit": "s", "ratio": None}


def test_benchmarks_write_their_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: dict[str, list[dict[str, Any]] | None] = {"a": [ROW], "b": None}
    monkeypatch.setattr(bench, "OUT", tmp_path / "bench" / "latest.json")
    monkeypatch.setattr(bench, "names", lambda: ["a", "b"])
    monkeypatch.setattr(bench, "run_apart", answers.__getitem__)
    assert bench.main([]) == 1
    written = json.loads(bench.OUT.read_text())
    assert written["benchmarks"] == [ROW]
    assert written["failed"] == ["b"]
    assert written["machine"]["cores"] >= 1
    assert "d=5" in capsys.readouterr().out
    assert bench.main(["--only", "a"]) == 0


def test_a_benchmark_that_fails_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.run_apart("there-is-none") is None
    assert "failed with exit code" in capfd.readouterr().err
