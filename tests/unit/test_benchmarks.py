"""Parts of the benchmarks that can be wrong without anybody noticing: verdicts, roles, and the replay of a run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from omninode.learning import data, weights
from omninode.learning.document import SessionDocument, training_seed
from omninode.learning.models import initial
from omninode.learning.presets import DIGITS
from omninode.learning.simulate import OWNER, Options, Plan, simulate
from omninode.roles.events_codec import pack_events
from omninode.store.blobs import FileBlobStore
from omninode.store.db import Store
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap
from tests.benchmarks import replay
from tests.benchmarks.memory import Watch, role_of
from tests.benchmarks.rows import AIMS, against_aim, row, verdict
from tests.simulation.session import small_params

pytestmark = pytest.mark.usefixtures("one_thread")

PARTIES, SEED = 6, 4
WALLETS = [bytes([0x40 - k]) * 20 for k in range(PARTIES)]  # in another order than the parties
ORDER = (3, 0, 5, 1, 4, 2)  # as drawn, registration indices; data owner k registers as number PARTIES - 1 - k


def documents() -> list[SessionDocument]:
    """Of two sessions."""
    digest = weights.digest(initial(DIGITS.model, SEED).tobytes())
    return [SessionDocument(DIGITS.model, digest, DIGITS.train, 50, 16, 1 << 17, seed) for seed in (11, 12)]


def chain(session: int, document: SessionDocument, valid: int, selected: int) -> list[ev.ChainEvent]:
    """What the model owner's journal must tell the replay."""
    params = small_params(owner=b"o" * 20, doc_digest=document.digest(), dimension=document.parameters)
    registered = [ev.Registered(session, 2, i, WALLETS[PARTIES - 1 - i], bytes(32), bytes(32)) for i in range(PARTIES)]
    return [
        ev.SessionCreated(session, 1, params),
        *registered,
        ev.GroupsDrawn(session, 3, ORDER, 2),
        ev.SetFixed(session, 4, Bitmap.VALID, valid),
        ev.BatchFinal(session, 5, bytes(32), 3, selected, valid),
    ]


@pytest.fixture(scope="module")
def split() -> data.Split:
    return data.split(data.load_digits(), SEED, DIGITS.owner_samples, 60, PARTIES)


@pytest.fixture
def folder(tmp_path: Path, split: data.Split) -> Path:
    """A run of two sessions; in the second data owner 3 is gone and data owner 5 attacks."""
    (tmp_path / "data").mkdir()
    files = {"owner": split.owner, "test": split.test}
    files |= {f"data-owner-{k + 1:02}": part for k, part in enumerate(split.parties)}
    for name, part in files.items():
        data.save(tmp_path / "data" / f"{name}.npz", part)
    node = tmp_path / "nodes" / "model-owner"
    attacker = tmp_path / "nodes" / "data-owner-05"
    for place in (node, attacker):
        place.mkdir(parents=True)
    (attacker / "fault.json").write_text(json.dumps({"session": 2, "kind": "garbage"}))
    (node / "config.toml").write_text(f"[model_owner]\nseed = {SEED}\n")
    store, blobs = Store.open(node), FileBlobStore(node / "blobs")
    gone = PARTIES - 1 - 2
    for session, valid, selected in ((1, 0b111111, 0b11), (2, 0b111111 & ~(1 << gone), 0b10)):
        document = documents()[session - 1]
        blobs.put(document.encode(), public=True)
        store.begin(session, "model_owner", bytes(32))
        for event in chain(session, document, valid, selected):
            store.append(session, "model_owner", "chain", pack_events(event.block, [event]))
            store.append(session, "model_owner", "tick", event.block.to_bytes(8, "big"))
    store.close()
    parties = {f"data-owner-{k + 1:02}": {"address": "0x" + wallet.hex()} for k, wallet in enumerate(WALLETS)}
    result = {
        "data": "digits",
        "parties": {"model-owner": {"address": "0x" + "6f" * 20}, **parties},
        "accuracy": {"owner_alone": 0.5, "pooled": 0.9, "sessions": [0.6, 0.7]},
        "sessions": [{"id": 1}, {"id": 2}],
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    return tmp_path


def test_a_run_is_read_as_it_was(folder: Path, split: data.Split) -> None:
    run = replay.read(folder)
    party = [PARTIES - 1 - k for k in ORDER]
    groups = (tuple(party[:3]), tuple(party[3:]))
    assert run.plans == (Plan(groups), Plan(groups, dropped=frozenset({2}), hostile=frozenset({4})))
    assert run.accepted == ((0, 1), (1,)) and run.accuracies == (0.6, 0.7) and run.seed == SEED
    assert run.wallets == tuple(WALLETS) and run.documents == tuple(documents())
    assert (run.split.parties[5].x == split.parties[5].x).all() and len(run.split.parties) == PARTIES


def test_the_seeds_are_those_of_the_nodes(folder: Path) -> None:
    seed_of = replay.read(folder).seed_of()
    assert seed_of(1, OWNER) == 12
    assert seed_of(0, 3) == training_seed(documents()[0], WALLETS[3]) != seed_of(1, 3)


def test_the_simulation_is_of_the_same_sessions(folder: Path, split: data.Split) -> None:
    run = replay.read(folder)
    again = run.simulate()
    assert again == simulate(DIGITS, split, SEED, run.plans, Options(), run.seed_of())
    without = run.simulate(faults=False)
    assert without.sessions[0] == again.sessions[0]
    assert len(without.sessions[1].norms) == PARTIES and len(again.sessions[1].norms) == PARTIES - 1


def test_a_session_without_groups_cannot_be_replayed(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "sessions": [{"id": 3}]}))
    with pytest.raises(ValueError, match="session 3 never drew"):
        replay.read(folder)


@pytest.mark.parametrize(
    ("name", "ours", "peer", "met"),
    [
        ("share a vector", 80.0, None, "yes"),
        ("share a vector", 80.1, None, "NO"),
        ("real sessions, accuracy", 0.84, None, "yes"),
        ("real sessions, gain over the owner alone", 0.07, None, "NO"),
        ("real sessions / float simulation of the same", 0.91, 0.92, "yes"),
        ("real sessions / float simulation of the same", 0.92, 0.90, "NO"),
        ("blob transfer", 6.0, 10.0, "yes"),
        ("blob transfer", 5.9, 10.0, "NO"),
        ("blob transfer", 5.9, None, ""),
        ("something without an aim", 1.0, 2.0, ""),
    ],
)
def test_verdicts(name: str, ours: float, peer: float | None, met: str) -> None:
    alone = name in AIMS and AIMS[name].column == "ours"
    entry = against_aim(name, {}, ours, "x") if alone else row(name, {}, ours, peer, "x", more=True)
    assert verdict(entry)[1] == met
    assert bool(verdict(entry)[0]) == bool(met)


def test_ratios_are_in_our_favour_above_one() -> None:
    assert row("time", {}, 2.0, 8.0, "s")["ratio"] == 4
    assert row("speed", {}, 2.0, 8.0, "MiB/s", more=True)["ratio"] == 0.25
    assert row("alone", {}, 2.0, None, "s")["ratio"] is None
    assert against_aim("demo, wall time", {}, 75.0, "s")["ratio"] == 2


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (["python", "-m", "omninode", "start", "--config", "/x/nodes/prover-12/config.toml"], "prover"),
        (["python", "-m", "other.module", "start", "--config", "x/nodes/data-owner-3/config.toml"], "data-owner"),
        (["python", "-m", "omninode", "start", "--config", "/x/nodes/model-owner/config.toml"], "model-owner"),
        (["python", "-m", "omninode.learning.worker", "cpu", "1", "60"], "worker"),
        (["/somewhere/anvil", "--port", "1"], "anvil"),
        (["python", "-m", "omninode", "demo"], "demo"),
        ([], "demo"),
    ],
)  # fmt: skip
def test_roles(command: list[str], role: str) -> None:
    assert role_of(command) == role


def test_memory_of_this_process() -> None:
    watch = Watch()
    watch(os.getpid())
    watch(2**30)  # nobody: gone between two samples
    rss, pss = watch.most("demo")
    assert rss > 1
    if sys.platform == "linux":
        assert 0 < pss < 2 * rss
        assert watch.total >= 0.99 * pss * 1e6  # children of earlier tests may still be there
