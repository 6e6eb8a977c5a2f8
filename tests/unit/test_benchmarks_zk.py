"""The benchmark of certificate zk in small: who is measured, who is not, what is counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omninode.learning.precision import largest_bound
from protocols.bn254 import fr, g1, srs
from protocols.zk import range_check
from protocols.zk.params import NB_G, Statement, ZkParams
from protocols.zk.range_check import check
from protocols.zk.upload import make_upload
from tests.benchmarks import __main__ as command
from tests.benchmarks import bench_zk, zk_estimates, zk_known, zk_msm, zk_roles, zk_stage
from tests.benchmarks.rows import AIMS
from tests.benchmarks.zk_roles import answer, apart
from tests.benchmarks.zk_stage import MEASURED, Others, Stage, upload_all
from tests.benchmarks.zk_watch import Spent, Watch, together
from tests.unit.zk_kit import paired_by_tau

DIMENSION, COUNT = 40, 3


@contextmanager
def here(role: zk_roles.Role, *args: Any) -> Iterator[Connection]:
    """``apart`` without a process of its own."""
    ours, theirs = Pipe()
    thread = threading.Thread(target=role, args=(theirs, *args), daemon=True)
    thread.start()
    yield ours
    thread.join(30)
    assert not thread.is_alive()


def fail(connection: Connection) -> None:
    """A role that dies."""
    connection.close()
    raise SystemExit(3)


@pytest.fixture(autouse=True)
def in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, in a folder of its own, and without pairings: they take most of the time of a small size."""
    tau = srs.insecure_secret(zk_known.LABEL)
    monkeypatch.setattr(range_check, "paired", lambda key, left, right: paired_by_tau(key, left, right, tau))
    monkeypatch.setattr(bench_zk, "FOLDER", tmp_path)
    monkeypatch.setattr(bench_zk, "apart", here)
    monkeypatch.setattr(zk_stage, "THREADS", 1)


def stage(path: Path, statement: Statement = Statement.GRAM) -> Stage:
    path.mkdir(exist_ok=True)
    return Stage(path, DIMENSION, statement)


# -- the key whose secret is known ----------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [Statement.GRAM, Statement.SCORE])
def test_who_knows_the_secret_makes_the_same_uploads(statement: Statement) -> None:
    key = zk_known.key_of(DIMENSION, statement, 1)
    sess, bound = zk_known.session_of(key), largest_bound(DIMENSION)
    values = zk_stage.update(DIMENSION, 0)
    assert int(values @ values) <= bound**2 and key.params.size == 64
    made = [make_upload(k, sess, 5, values, b"s" * 32, 5, 1, bound**2) for k in (key, zk_known.known(key))]
    assert made[0].public == made[1].public
    assert [*made[0].plains()] == [*made[1].plains()]


def test_who_knows_the_secret_commits_to_the_same() -> None:
    key = zk_known.key_of(DIMENSION, Statement.GRAM, 1)
    known = zk_known.known(key)
    assert all(getattr(known, f.name) is getattr(key, f.name) for f in fields(key) if f.name != "threads")
    values, blinders = fr.powers(3, DIMENSION), fr.powers(5, NB_G)
    assert known.commit(values) == key.commit(values)
    assert known.commit_values(values, blinders) == key.commit_values(values, blinders)


# -- a run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [Statement.GRAM, Statement.SCORE])
def test_rows_of_a_size(tmp_path: Path, statement: Statement) -> None:
    found = list(bench_zk.of_dimension(DIMENSION, statement, (1, COUNT)))
    rows = {entry["name"]: entry for entry in found}
    assert len(rows) == len(found) and not list(tmp_path.iterdir())
    at, small = f"d = 10^1, K = {COUNT}, {statement.name.lower()}", f"d = 10^1, {statement.name.lower()}"
    assert len([name for name in rows if name.startswith("zk data owner")]) == 3
    prover = {name.partition(": ")[2]: row for name, row in rows.items() if name.startswith(f"zk prover, {at}")}
    openings = ["values", "S", "q", "A, E", "W"]
    phases = ["receive uploads", "check records", "check shares", *openings, "check batch", "output"]
    assert list(prover) == ["", *phases, "to each other prover", "rounds"]
    counted = [prover[phase]["ours"] for phase in phases[1:-1]]
    assert prover[""]["ours"] == pytest.approx(sum(counted)) and all(seconds > 0 for seconds in counted)
    assert prover["rounds"]["ours"] == len(openings) == prover["rounds"]["peer"]
    extra = 32 if statement is Statement.SCORE else 0  # f(z)
    sent = prover["to each other prover"]
    assert round(1000 * sent["ours"]) == round(1000 * sent["peer"]) + extra == sum(sent["params"].values())
    assert prover["output"]["params"]["sent_bytes"] == 32 * (DIMENSION + NB_G)
    public = 5 * ((640 if statement is Statement.GRAM else 896) + 64 + 5 * 32)
    upload = 32 * 5 + 32 + 4 * 32 * (DIMENSION + NB_G) + public  # blinds, one seed, four shares
    assert rows[f"zk data owner, {small}: upload"]["ours"] == upload / 1e6
    assert f"zk owner, {at}: open the sum" in rows


def test_a_message_that_is_wrong_is_no_figure(tmp_path: Path) -> None:
    played = stage(tmp_path / "a")
    others = Others(played, upload_all(played, COUNT), COUNT)
    messages = others.messages(0)
    with pytest.raises(RuntimeError, match="values"):
        others.accept(0, messages | {MEASURED: bytes(len(messages[1]))})


def test_a_sum_that_is_wrong_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_zk, "true_sum", lambda d, k: np.zeros(d, dtype=np.int64))
    with pytest.raises(RuntimeError, match="another sum"):
        list(bench_zk.of_dimension(DIMENSION, Statement.GRAM, (1,)))


def test_records_of_the_stage_are_real(tmp_path: Path) -> None:
    played = stage(tmp_path / "a")
    upload_all(played, 1)
    check(played.key, played.sess, played.record(0), played.bound_squared)
    again = Stage(played.folder, DIMENSION, Statement.GRAM)
    assert again.key is not played.key and again.key.digest == played.key.digest


def test_a_process_that_dies_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="no answer"), apart(fail) as connection:
        answer(connection)


# -- parts ----------------------------------------------------------------------------------------------------------


def test_estimates_are_those_of_the_design() -> None:
    params = ZkParams(10**5, 17, 1 << 17)
    assert sum(zk_estimates.prover(params, Statement.GRAM, 64).values()) == pytest.approx(4.5, abs=0.2)
    assert zk_estimates.prover(params, Statement.GRAM, 64)["values"] == pytest.approx(1.6, abs=0.1)
    assert zk_estimates.data_owner(params, Statement.GRAM) == pytest.approx(4, abs=0.3)
    assert zk_estimates.upload(params) == pytest.approx(12.8e6, rel=0.001)
    assert zk_estimates.sent(Statement.GRAM, 64) == pytest.approx(67e3, rel=0.002)
    assert zk_known.params_of(10**5) == params


def test_phases_add_up() -> None:
    watch = Watch()
    for size in (1, 2):
        with watch.phase("a") as spent:
            spent.sent = size
    with watch.phase("b"):
        np.ones(1 << 22).sum()
    assert list(watch.phases) == ["a", "b"] and watch.phases["a"].sent == 3
    total = together(watch.phases.values())
    assert total.wall == watch.phases["a"].wall + watch.phases["b"].wall
    assert total.peak == max(spent.peak for spent in watch.phases.values())
    assert together([Spent(1, 2, 3, 4), Spent(1, 1, 1, 1)]) == Spent(2, 3, 3, 5)


def test_sums_of_multiples_are_held_against_the_peers() -> None:
    exponents = fr.vector(zk_msm.FIRST + i for i in range(8))
    points = g1.multiply_fixed(g1.generator(), exponents)
    alone = zk_msm.compared(points, exponents, 16, 1, {})
    assert alone["peer"] is None and alone["name"] == "zk sum of 2^3 multiples, 16 bits, 1 threads (zksnake)"
    total = fr.single(fr.inner(exponents, fr.vector(zk_msm.scalars(8, 16))))
    right = g1.to_integers(g1.multiply_fixed(g1.generator(), total))[0]
    peer = {"16": {"wall": 3.0, "cpu": 4.0, "sum": [hex(c) for c in right]}}
    assert zk_msm.compared(points, exponents, 16, 1, peer)["peer"] == 3.0
    peer["16"]["sum"] = ["0x1", "0x2"]
    with pytest.raises(SystemExit, match="another sum"):
        zk_msm.compared(points, exponents, 16, 1, peer)
    assert {row["name"] for row in zk_msm.rows(3, peer=False)} == {
        f"zk sum of 2^3 multiples, {bits} bits, {threads} threads (zksnake)" for bits in (16, 254) for threads in (1, 2)
    }


def test_aims_name_rows_that_exist() -> None:
    of_roles = {f"zk data owner, {at}{what}" for at in _sizes() for what in ("", ": upload")}
    of_roles |= {f"zk prover, {at}" for at in _sizes(64)}
    sums = {f"zk sum of 2^{zk_msm.LOG_POINTS} multiples, {b} bits, 2 threads (zksnake)" for b in zk_msm.BITS}
    assert {name for name in AIMS if name.startswith("zk ")} == of_roles | sums


def _sizes(count: int = 0) -> list[str]:
    return [bench_zk.where(Stage(Path(), 10**5, statement), count) for statement in bench_zk.STATEMENTS]


def test_what_takes_long_is_run_when_asked() -> None:
    assert "zk_large" in command.names() and "zk" in command.names()
    assert "zk_large" not in command.chosen(None, False)
    assert "zk_large" in command.chosen(None, True)
    assert command.chosen(["zk_large"], False) == ["zk_large"]
