"""Roles in mode verified, without chain and network: which machine, which shelf, the reference, the next bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import structlog

from omninode import config
from omninode.errors import RefusedError
from omninode.learning import bound as bounds
from omninode.learning import data as local_data
from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.presets import DIGITS
from omninode.learning.service import TrainingFailed
from omninode.observe.events import EventLog
from omninode.roles import data_owner, model_owner, prover
from omninode.roles.model_state import ModelState
from omninode.roles.owner_model import OwnerModel
from omninode.roles.session_task import Refused
from omninode.store import shelf
from omninode.store.blobs import FileBlobStore
from omninode.store.db import Store
from protocols.sessions.owner import Output
from protocols.sessions.params import Mode, Rule, SessionParams
from protocols.sessions.prover import ProverMachine
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.sessions.verified_prover import VerifiedProverMachine
from protocols.sessions.view import SessionView
from protocols.sessions.zk_keys import no_keys
from protocols.wire.context import Context
from tests.simulation.session import small_params

D, BOUND = DIGITS.model.parameters, 400_000
OWN = b"o" * 20


class FakeTrainer:
    """Gives every job an update of ones times its place in the list, and counts."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.failures: list[Exception] = []

    async def run(self, jobs: Sequence[Job]) -> list[Result]:
        if self.failures:
            raise self.failures.pop(0)
        self.jobs += [job.fields["op"] + "@" + Path(job.fields["data"] or "").stem for job in jobs]
        update = np.ones(D, dtype=np.float32)
        return [Result(update.tobytes(), update * (k + 1), 0.5) for k in range(len(jobs))]


@pytest.fixture
def services(tmp_path: Path, rng: np.random.Generator) -> Any:
    x = rng.random((60, 64)).astype(np.float32)
    local_data.save(tmp_path / "data.npz", local_data.Samples(x, np.arange(60, dtype=np.int64) % 10))
    chosen = config.Config(tmp_path / "config.toml")
    chosen = replace(chosen, data=replace(chosen.data, path=str(tmp_path / "data.npz")))
    wallet = SimpleNamespace(address=OWN)
    made = SimpleNamespace(
        config=chosen, data_dir=tmp_path, store=Store.open(tmp_path), blobs=FileBlobStore(tmp_path / "blobs"),
        events=EventLog(tmp_path / "events.jsonl", node="t"), log=structlog.get_logger(), trainer=FakeTrainer(),
        wallet=wallet, context=lambda session: Context(1, b"c" * 20, session), identity=lambda: wallet,
        net=SimpleNamespace(peer_key=b"p" * 32), keys=no_keys, compute=None, key_making=None,
    )  # fmt: skip
    return made


def view_of(mode: Mode, **changes: Any) -> SessionView:
    view = SessionView(4)
    numbers = {"mode": Mode.VERIFIED, "rule": Rule.TRUST} if mode == Mode.VERIFIED else {}
    view.params = small_params(owner=OWN, **{**numbers, **changes})
    return view


def document(services: Any, weights: bytes = b"w" * 8) -> SessionDocument:
    digest = services.blobs.put(weights, public=True)
    made = SessionDocument(
        model=DIGITS.model, weights=digest, train=DIGITS.train, min_samples=50, frac_bits=16, bound=BOUND, seed=7
    )
    services.blobs.put(made.encode(), public=True)
    return made


def params_for(made: SessionDocument) -> SessionParams:
    """The terms of a verified session on this document."""
    changes: dict[str, Any] = {"doc_digest": made.digest(), "dimension": D, "bound": BOUND, "frac_bits": 16}
    return view_of(Mode.VERIFIED, **changes).p


def test_machines_by_mode(services: Any) -> None:
    seed = bytes(32)
    owner = model_owner.ModelOwner(services).machine(view_of(Mode.VERIFIED), seed)
    assert isinstance(owner, VerifiedOwnerMachine)
    grouped = model_owner.ModelOwner(services).machine(view_of(Mode.GROUPED), seed)
    assert not isinstance(grouped, VerifiedOwnerMachine)
    role = data_owner.DataOwner(services)
    assert isinstance(role.machine(view_of(Mode.VERIFIED), seed), VerifiedDataOwnerMachine)
    judge = prover.Prover(services)
    assert isinstance(judge.machine(view_of(Mode.VERIFIED), seed), VerifiedProverMachine)
    assert isinstance(judge.machine(view_of(Mode.GROUPED), seed), ProverMachine)


def test_shelves_are_emptied_at_the_start_and_for_every_machine(services: Any) -> None:
    shelf.shelf_of(services.data_dir, 9).put("a", b"1")
    role = prover.Prover(services)
    assert not (services.data_dir / shelf.FOLDER).exists()
    shelf.shelf_of(services.data_dir, 4).put("a", b"1")
    role.machine(view_of(Mode.VERIFIED), bytes(32))
    assert not (services.data_dir / shelf.FOLDER / "4").exists()


async def trained(services: Any) -> OwnerModel:
    model = OwnerModel(services)
    await model.load_or_pretrain()
    return model


async def test_the_root_set_is_in_no_training_but_the_reference(services: Any) -> None:
    model = await trained(services)
    assert model.has_root_set
    await model.reference(document(services))
    assert services.trainer.jobs == ["initial@", "pretrain@own", "train@root"]


async def test_a_reference_has_the_norm_of_the_bound_and_is_made_once(services: Any) -> None:
    model = await trained(services)
    made = document(services)
    first = await model.reference(made)
    assert first.dtype == np.int64
    assert 0.999 < np.linalg.norm(first.astype(np.float64)) / BOUND <= 1
    again = await model.reference(made)
    assert np.array_equal(first, again)
    assert len(services.trainer.jobs) == 3
    await model.reference(replace(made, seed=8))
    assert len(services.trainer.jobs) == 4


async def test_the_next_bound_follows_from_sum_and_own_update(services: Any) -> None:
    model = await trained(services)
    made = document(services, bytes(4 * D))
    opened = Output(np.full(D, 1000, dtype=np.int64), 4, (), (1, 1, 1, 1))
    await model.apply(4, params_for(made), made, opened)
    assert services.trainer.jobs[2:] == ["adapt@own", "train@root"]  # no test data: nothing is evaluated
    own = 2 * float(np.sqrt(D))  # the second job's update is of twos
    mean = float(np.sqrt(D)) * 1000 / 4 / 2**16
    assert model.require().bound == bounds.next_bound_verified(mean, 4, own, BOUND, 16) > BOUND
    assert model.has(4)
    await model.apply(4, params_for(made), made, opened)
    assert len(services.trainer.jobs) == 4, "the same sum is never added twice"


async def test_a_grouped_owner_holds_nothing_out(services: Any) -> None:
    services.config = replace(services.config, model_owner=replace(services.config.model_owner, mode="grouped"))
    model = await trained(services)
    assert not model.has_root_set
    assert services.trainer.jobs == ["initial@", "pretrain@data"]


async def test_too_little_data_for_a_root_set(services: Any) -> None:
    chosen = replace(services.config.model_owner, root_images=60)
    services.config = replace(services.config, model_owner=chosen)
    with pytest.raises(RefusedError, match="root set"):
        await OwnerModel(services).load_or_pretrain()


@pytest.fixture
async def owner(services: Any) -> model_owner.ModelOwner:
    role = model_owner.ModelOwner(services)
    await role.model.load_or_pretrain()
    return role


async def test_a_training_that_fails_is_tried_again(
    owner: model_owner.ModelOwner, services: Any, autojump_clock: Any
) -> None:
    view = view_of(Mode.VERIFIED)
    view.params = params_for(document(services))
    services.trainer.failures = [TrainingFailed("a worker crashed"), TrainingFailed("and another")]
    assert await owner._reference(view) is not None


async def test_without_a_reference_the_session_goes_on(
    owner: model_owner.ModelOwner, services: Any, autojump_clock: Any
) -> None:
    view = view_of(Mode.VERIFIED)
    view.params = params_for(document(services))
    services.trainer.failures = [TrainingFailed("diverged")] * 3
    assert await owner._reference(view) is None
    assert "diverged" in (services.data_dir / "events.jsonl").read_text()


async def test_no_session_that_wants_a_reference_where_there_is_no_root_set(services: Any) -> None:
    chosen = replace(services.config.model_owner, mode="grouped")
    services.config = replace(services.config, model_owner=chosen)
    role = model_owner.ModelOwner(services)
    await role.model.load_or_pretrain()
    with pytest.raises(RefusedError, match="no root set") as caught:
        await role.create_session({"mode": "verified"})
    assert 'mode = "verified"' in caught.value.cure


async def test_a_bound_that_cannot_be_proved_is_refused(owner: model_owner.ModelOwner) -> None:
    state = owner.model.require()
    owner.model.state = ModelState(**{**vars_of(state), "bound": 1 << 40})
    with pytest.raises(RefusedError, match="the largest that can be proved"):
        await owner.create_session({})


def vars_of(state: ModelState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in state.__dataclass_fields__}


def test_policy_of_a_data_owner(services: Any) -> None:
    role = data_owner.DataOwner(services)
    role._check_policy(view_of(Mode.VERIFIED))  # groups of one are what this mode is
    with pytest.raises(Refused, match="min_group"):
        role._check_policy(view_of(Mode.GROUPED, group_size=2))
    services.config = replace(services.config, data_owner=replace(services.config.data_owner, min_reward=10**18))
    with pytest.raises(Refused, match="min_reward"):
        role._check_policy(view_of(Mode.VERIFIED))
