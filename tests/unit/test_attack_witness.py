"""What the attack suite reads after a run: nodes' own words, and sessions that never took place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from omninode.cluster.processes import NodeProcess
from omninode.demo.baseline import Baseline
from omninode.demo.loot import Pocket
from omninode.demo.witness import blames, refusals
from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.presets import DIGITS
from omninode.learning.service import Trainer, TrainingFailed
from omninode.store.blobs import FileBlobStore
from protocols.sessions.params import Mode, Rule
from protocols.sessions.view import Member, SessionView
from tests.simulation.session import small_params

WHO, KEY = bytes([7]) * 20, bytes([8]) * 32
D = DIGITS.model.parameters


def node(tmp_path: Path, name: str, events: Sequence[object], log: Sequence[object]) -> NodeProcess:
    directory = tmp_path / name
    directory.mkdir()
    for file, entries in (("events.jsonl", events), ("node.log", log)):
        text = "\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries)
        (directory / file).write_text(text)
    return NodeProcess(name, directory)


def test_witnesses_are_counted_once_per_rule(tmp_path: Path) -> None:
    blame = {"event": "blame", "session": 3, "peer": WHO.hex(), "rule": "proof-failed"}
    refused = {"event": "peer broke a rule", "peer": KEY.hex(), "rule": "bad-piece"}
    nodes = [
        node(tmp_path, "a", [blame, blame, {"event": "started"}, '{"cut'], [refused, "Traceback", "[1]"]),
        node(tmp_path, "b", [blame, {**blame, "session": 4}], [refused, {**refused, "peer": "127.0.0.1"}]),
        NodeProcess("gone", tmp_path / "gone"),
    ]
    assert blames(nodes) == {3: {WHO: {"proof-failed": 2}}, 4: {WHO: {"proof-failed": 1}}}
    assert refusals(nodes) == {KEY: {"bad-piece": 2}}


@dataclass
class Recorder:
    """Stands for the trainer: remembers which weights it was given."""

    fails: bool = False
    given: list[np.ndarray] = field(default_factory=list)  # type: ignore[type-arg]

    async def run(self, jobs: Sequence[Job]) -> list[Result]:
        if self.fails and jobs[0].fields["op"] == "adapt":
            raise TrainingFailed("not a number")
        self.given.append(np.frombuffer(jobs[0].fields["weights"], "<f4"))
        return [Result(accuracy=0.5)] * len(jobs)


@pytest.fixture
def played(tmp_path: Path) -> tuple[SessionView, Pocket, Recorder, Baseline]:
    """A session of three: one against the reference, one that sent something else than it trained."""
    blobs, view, loot, trainer = FileBlobStore(tmp_path / "blobs"), SessionView(5), Pocket(), Recorder()
    weights = blobs.put(np.ones(D, dtype="<f4").tobytes())
    document = SessionDocument(
        model=DIGITS.model, weights=weights, train=DIGITS.train, min_samples=50, frac_bits=8, bound=5000, seed=1
    )
    digest, owner = blobs.put(document.encode()), bytes([9]) * 20
    view.params = small_params(mode=Mode.VERIFIED, rule=Rule.TRUST, owner=owner, doc_digest=digest, dimension=D)
    view.members = [Member(k, bytes([k]) * 20, bytes(32), bytes(32)) for k in range(3)]
    for address, value in ((owner, 1), (bytes([0]) * 20, 1), (bytes([1]) * 20, 3), (bytes([2]) * 20, -1)):
        loot.put(f"5-{address.hex()}.update", np.full(D, value << 8, dtype="<i8").tobytes())
    loot.put(f"5-{(bytes([1]) * 20).hex()}.sent", np.full(D, 99 << 8, dtype="<i8").tobytes())
    return view, loot, trainer, Baseline(DIGITS, tmp_path, tmp_path / "t.npz", loot, cast(Trainer, trainer))


async def test_without_attack_the_rule_still_holds(played: tuple[SessionView, Pocket, Recorder, Baseline]) -> None:
    view, _, trainer, baseline = played
    assert await baseline.unattacked(view) == 0.5
    assert np.allclose(trainer.given[0], 1 + (1 + 3) / 2)


async def test_without_defence_all_is_summed(played: tuple[SessionView, Pocket, Recorder, Baseline]) -> None:
    view, _, trainer, baseline = played
    assert await baseline.undefended(view) == 0.5
    assert np.allclose(trainer.given[0], 1 + (1 + 99 - 1) / 3)


async def test_a_ruined_model_is_only_evaluated(played: tuple[SessionView, Pocket, Recorder, Baseline]) -> None:
    view, _, trainer, baseline = played
    trainer.fails = True
    assert await baseline.undefended(view) == 0.5
    assert len(trainer.given) == 1


async def test_a_session_that_nobody_trained_for_says_nothing(
    played: tuple[SessionView, Pocket, Recorder, Baseline],
) -> None:
    view, _, _, baseline = played
    view.session = 6
    assert await baseline.unattacked(view) is None
