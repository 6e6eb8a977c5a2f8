"""A model owner that publishes chosen layers only: what it serves, what it keeps, and where a sum goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trio

from omninode import config
from omninode.errors import ConfigError, RefusedError, UsageError
from omninode.learning.bound import PLAYED_FACTOR
from omninode.learning.document import UNIT_LR, SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.presets import DIGITS
from omninode.learning.public_part import PublicPart, choose
from omninode.roles import model_owner
from omninode.roles.model_state import ModelState
from omninode.roles.owner_model import MODEL_KEY, OwnerModel
from omninode.roles.owner_publish import known
from protocols.sessions.owner import Output
from protocols.sessions.params import SessionParams
from tests.unit.test_config_load import GOOD, write
from tests.unit.test_roles_verified import Mode, services, view_of  # noqa: F401

D = DIGITS.model.parameters
PART = choose(DIGITS.model, ("fc2", "fc3"))
INITIAL = np.full(D, 0.25, np.float32)
TRAINED = np.linspace(1, 2, D, dtype=np.float32)


class PlainTrainer:
    """W0 is a quarter everywhere, pre-training gives TRAINED, adapting adds 1, a data owner's update is of threes."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []

    async def run(self, jobs: Sequence[Job]) -> list[Result]:
        self.jobs += [job.fields for job in jobs]
        await trio.sleep(0)
        return [self._do(job.fields) for job in jobs]

    def _do(self, job: dict[str, Any]) -> Result:
        if job["op"] == "initial":
            return Result(INITIAL.tobytes())
        if job["op"] == "pretrain":
            return Result(TRAINED.tobytes(), TRAINED - INITIAL)
        if job["op"] == "adapt":
            return Result((np.frombuffer(job["weights"], "<f4") + 1).astype("<f4").tobytes())
        part = choose(DIGITS.model, job["public"] or None)
        return Result(None, np.full(part.dimension, 3, np.float32))

    def last(self, op: str) -> dict[str, Any]:
        return next(job for job in reversed(self.jobs) if job["op"] == op)


@pytest.fixture
def node(services: Any) -> Any:  # noqa: F811
    services.trainer = PlainTrainer()
    services.market = market(balance=10**19)
    return services


def market(balance: int) -> Any:
    """Sessions cost 1 ether; nobody had one."""

    async def told(value: int, *_: object) -> int:
        return value

    client = SimpleNamespace(balance=partial(told, balance))
    return SimpleNamespace(required_escrow=partial(told, 10**18), client=client)


@pytest.fixture
async def owner(node: Any) -> model_owner.ModelOwner:
    role = model_owner.ModelOwner(node)
    await role.model.load_or_pretrain()
    return role


def choosing(node: Any, **changes: Any) -> None:
    node.config = replace(node.config, model_owner=replace(node.config.model_owner, **changes))


async def document_of(owner: model_owner.ModelOwner, part: PublicPart, **changes: Any) -> SessionDocument:
    made = replace(await owner.creation._document(False, await owner.creation._publish(part), False), **changes)
    owner._services.blobs.put(made.encode(), public=True)
    return made


def played(part: PublicPart) -> int:
    """The first bound: of an update of threes."""
    return int(3 * np.sqrt(part.dimension) * PLAYED_FACTOR * 2**16)


def params_for(made: SessionDocument) -> SessionParams:
    changes = {"doc_digest": made.digest(), "dimension": made.parameters, "bound": made.bound, "frac_bits": 16}
    return view_of(Mode.VERIFIED, **changes).p


def opened(made: SessionDocument, each: float, count: int = 4) -> Output:
    """A sum whose mean is ``each`` in every coordinate."""
    total = np.full(made.parameters, round(each * count * 2**16), dtype=np.int64)
    return Output(total, count, (), (1,) * count)


async def test_only_the_public_part_and_w0_are_served(owner: model_owner.ModelOwner, node: Any) -> None:
    made = await document_of(owner, PART)
    assert node.blobs.read(made.weights) == PART.take(TRAINED).tobytes()
    assert node.blobs.read(made.initial) == INITIAL.tobytes()
    whole = bytes.fromhex(owner.model.require().weights)
    assert node.blobs.read(whole) == TRAINED.tobytes()
    assert [node.blobs.is_public(blob) for blob in (made.weights, made.initial, made.digest())] == [True] * 3
    assert not node.blobs.is_public(whole)
    assert (made.public_layers, made.parameters) == (("fc2", "fc3"), PART.dimension)


async def test_the_whole_model_is_served_from_its_first_session_on(owner: model_owner.ModelOwner, node: Any) -> None:
    digest = bytes.fromhex(owner.model.require().weights)
    assert not node.blobs.is_public(digest)
    made = await document_of(owner, choose(DIGITS.model))
    assert (made.weights, made.initial, made.public_layers) == (digest, b"", ())
    assert node.blobs.is_public(digest)


async def test_weights_that_were_open_are_called_so(owner: model_owner.ModelOwner) -> None:
    assert (await owner.model.publish(PART)).note == ""
    await owner.model.publish(choose(DIGITS.model))
    assert (await owner.model.publish(PART)).note == known(("fc1",))


async def test_what_was_open_stays_known_after_a_session(owner: model_owner.ModelOwner, node: Any) -> None:
    made = await document_of(owner, choose(DIGITS.model))
    await owner.model.apply(4, params_for(made), made, opened(made, 0.5))
    assert (await owner.model.publish(PART)).note == known(("fc1",))
    again = OwnerModel(node)
    await again.load_or_pretrain()
    assert (await again.publish(choose(DIGITS.model, ("fc3",)))).note == known(("fc1", "fc2"))


async def test_parts_that_make_the_whole_together_are_told(owner: model_owner.ModelOwner, node: Any) -> None:
    """Each session may publish other layers: who fetches all has all, and the owner is told before that session."""
    first = await owner.model.publish(PART)
    assert (await owner.model.publish(PART)).note == ""
    second = await owner.model.publish(choose(DIGITS.model, ("fc1",)))
    full = PART.put(np.zeros(D, np.float32), np.frombuffer(node.blobs.read(first.weights), "<f4"))
    full = choose(DIGITS.model, ("fc1",)).put(full, np.frombuffer(node.blobs.read(second.weights), "<f4"))
    assert np.array_equal(full, TRAINED)
    assert second.note == known(("fc2", "fc3")) and "earlier sessions published fc2, fc3" in second.note
    assert owner.model.require().served == ("fc1", "fc2", "fc3")


@pytest.mark.parametrize("server_lr", [UNIT_LR, UNIT_LR // 2])
async def test_a_sum_goes_into_the_public_part_and_adapting_changes_all(
    owner: model_owner.ModelOwner, node: Any, server_lr: int
) -> None:
    made = await document_of(owner, PART, server_lr=server_lr)
    await owner.model.apply(4, params_for(made), made, opened(made, 0.5))
    stepped = PART.put(TRAINED, PART.take(TRAINED) + np.float32(0.5 * server_lr / UNIT_LR))
    assert np.allclose(np.frombuffer(node.trainer.last("adapt")["weights"], "<f4"), stepped, atol=1e-6)
    weights = np.frombuffer(await owner.model.weights(), "<f4")
    assert np.allclose(weights, stepped + 1, atol=1e-6)
    assert not node.blobs.is_public(bytes.fromhex(owner.model.require().weights))
    again = await document_of(owner, PART)
    assert node.blobs.read(again.weights) == PART.take(weights).tobytes()


async def test_sums_that_are_opened_together_are_both_in_the_model(owner: model_owner.ModelOwner, node: Any) -> None:
    first, second = await document_of(owner, PART), await document_of(owner, choose(DIGITS.model, ("fc1",)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(owner.model.apply, 4, params_for(first), first, opened(first, 0.5))
        nursery.start_soon(owner.model.apply, 5, params_for(second), second, opened(second, 0.5))
    weights = np.frombuffer(await owner.model.weights(), "<f4")
    assert np.allclose(weights, TRAINED + 2.5, atol=1e-5)  # each part half, and one for each adapting
    assert {session for session, _ in owner.model.require().applied} == {4, 5}


async def test_the_whole_model_steps_as_it_always_did(owner: model_owner.ModelOwner, node: Any) -> None:
    made = await document_of(owner, choose(DIGITS.model))
    output = opened(made, 0.3)
    await owner.model.apply(4, params_for(made), made, output)
    assert node.trainer.last("adapt")["weights"] == (TRAINED + output.total / 2**16 / 4).astype("<f4").tobytes()


async def test_a_reference_starts_where_a_data_owner_starts(owner: model_owner.ModelOwner, node: Any) -> None:
    made = await document_of(owner, PART)
    reference = await owner.model.reference(made)
    assert reference.shape == (PART.dimension,)
    job, theirs = node.trainer.last("train"), Job.train(made, PART.take(TRAINED).tobytes(), Path("/x"), 0).fields
    assert (job["weights"], job["initial"]) == (theirs["weights"], INITIAL.tobytes())
    assert (job["public"], job["train"]) == (theirs["public"], theirs["train"])
    await owner.model.apply(4, params_for(made), made, opened(made, 0.5))
    following = node.trainer.last("train")
    assert (following["weights"], following["initial"]) == (None, INITIAL.tobytes())


async def test_each_session_can_publish_other_layers(owner: model_owner.ModelOwner) -> None:
    at_first = owner.model.require().bound
    first, other = await document_of(owner, PART), choose(DIGITS.model, ("fc1",))
    await owner.model.apply(4, params_for(first), first, opened(first, 0.5))
    state = owner.model.require()
    assert state.bound_layers == PART.layers
    made = await document_of(owner, other)
    assert made.bound == played(other)
    assert (await document_of(owner, PART)).bound == state.bound
    await owner.model.apply(5, params_for(made), made, opened(made, -0.5))
    state = owner.model.require()
    assert state.bound_layers == ("fc1",) and set(dict(state.other_bounds)) == {(), PART.layers}
    assert (await document_of(owner, choose(DIGITS.model))).bound == at_first


async def test_the_first_bound_of_the_whole_is_the_norm_of_pretraining(owner: model_owner.ModelOwner) -> None:
    whole = await document_of(owner, choose(DIGITS.model))
    assert whole.bound == int(np.linalg.norm((TRAINED - INITIAL).astype(np.float64)) * 2**16)


async def test_the_first_bound_of_a_part_is_played_once(owner: model_owner.ModelOwner, node: Any) -> None:
    """One half of the owner's data trains a model from W0, the other half is a data owner's."""
    made = await document_of(owner, PART)
    assert made.bound == played(PART)
    base, job = node.trainer.last("pretrain"), node.trainer.last("train")
    assert (Path(base["data"]).name, Path(job["data"]).name) == ("base.npz", "probe.npz")
    assert (job["weights"], job["initial"], job["public"]) == (None, INITIAL.tobytes(), PART.layers)
    assert job["train"]["epochs"] == 4 * DIGITS.train.epochs  # 15 samples, a data owner has 50 or more
    count = len(node.trainer.jobs)
    assert (await document_of(owner, PART)).bound == made.bound
    assert len(node.trainer.jobs) == count


async def test_the_configured_part_is_measured_before_anybody_asks(node: Any) -> None:
    choosing(node, public_layers=PART.layers)
    role = model_owner.ModelOwner(node)
    await role.model.load_or_pretrain()
    count = len(node.trainer.jobs)
    assert node.trainer.last("train")["public"] == PART.layers
    assert (await document_of(role, PART)).bound == played(PART)
    assert len(node.trainer.jobs) == count
    choosing(node, public_layers=("fc3",))  # a restart with another configuration
    again = OwnerModel(node)
    await again.load_or_pretrain()
    assert again.require().bound_of(("fc3",)) == played(choose(DIGITS.model, ("fc3",)))
    assert again.require().served == PART.layers


async def test_a_bound_that_takes_longer_than_the_caller_waits_is_kept(
    owner: model_owner.ModelOwner, node: Any
) -> None:
    class Leaving(PlainTrainer):
        async def run(self, jobs: Sequence[Job]) -> list[Result]:
            waiting.cancel()
            return await super().run(jobs)

    node.trainer = Leaving()
    with trio.CancelScope() as waiting:
        await owner.model.publish(PART)
    assert waiting.cancelled_caught
    assert owner.model.require().served == ()
    count = len(node.trainer.jobs)
    assert (await owner.model.publish(PART)).bound == played(PART)
    assert len(node.trainer.jobs) == count


async def test_a_part_without_a_bound_does_not_keep_the_node_down(node: Any) -> None:
    class Still(PlainTrainer):
        def _do(self, job: dict[str, Any]) -> Result:
            made = super()._do(job)
            return replace(made, update=made.update * 0) if made.update is not None and self.jobs[1:] else made

    await OwnerModel(node).load_or_pretrain()
    choosing(node, public_layers=("fc3",))
    node.trainer = Still()
    role = model_owner.ModelOwner(node)
    await role.model.load_or_pretrain()
    assert role.model.ready.is_set()
    with pytest.raises(RefusedError, match="norm 0"):
        await role.create_session({})


async def test_weights_of_a_file_say_nothing_of_the_bound(node: Any) -> None:
    choosing(node, weights="start.safetensors")
    role = model_owner.ModelOwner(node)
    await role.model.load_or_pretrain()
    assert (await document_of(role, choose(DIGITS.model))).bound == played(choose(DIGITS.model))
    assert not node.trainer.last("train")["public"]


async def test_training_that_moves_nothing_is_refused(node: Any) -> None:
    class Still(PlainTrainer):
        def _do(self, job: dict[str, Any]) -> Result:
            made = super()._do(job)
            return replace(made, update=None if made.update is None else made.update * 0)

    node.trainer = Still()
    with pytest.raises(RefusedError, match="norm 0") as caught:
        await OwnerModel(node).load_or_pretrain()
    assert "data.path" in caught.value.cure
    node.trainer = PlainTrainer()
    role = model_owner.ModelOwner(node)
    await role.model.load_or_pretrain()
    node.trainer = Still()
    with pytest.raises(RefusedError, match="norm 0"):
        await role.create_session({"public_layers": ["fc3"]})


async def test_another_preset_is_not_taken_up(owner: model_owner.ModelOwner, node: Any) -> None:
    choosing(node, preset="mnist")
    with pytest.raises(RefusedError, match=r"is of preset digits, model_owner\.preset says mnist"):
        await OwnerModel(node).load_or_pretrain()


@pytest.mark.parametrize(("blob", "words"), [(b"1234", "have 4 bytes, the model takes 20360"), (None, "are not here")])
async def test_weights_that_do_not_fit_are_not_taken_up(
    owner: model_owner.ModelOwner, node: Any, blob: bytes | None, words: str
) -> None:
    digest = node.blobs.put(blob).hex() if blob else "ab" * 32
    node.store.meta_put(MODEL_KEY, replace(owner.model.require(), weights=digest).encode())
    with pytest.raises(RefusedError, match=words):
        await OwnerModel(node).load_or_pretrain()


async def test_a_full_store_is_told(owner: model_owner.ModelOwner, node: Any) -> None:
    node.blobs.max_total = node.blobs.used
    with pytest.raises(RefusedError, match="would exceed") as caught:
        await owner.create_session({"public_layers": ["fc3"]})
    assert "make room" in caught.value.cure
    node.blobs.delete(bytes.fromhex(owner.model.require().weights))
    node.blobs.max_total = 1 << 30
    with pytest.raises(RefusedError, match="is not here"):
        await owner.create_session({"public_layers": ["fc2"]})


@pytest.mark.parametrize("layers", [["fc2", "fc3"], ["fc1", "fc2", "fc3"]])
async def test_a_refused_session_publishes_nothing(owner: model_owner.ModelOwner, node: Any, layers: list[str]) -> None:
    """Neither is served, nor counted as served, what nobody paid for."""
    before, jobs, used = owner.model.require(), len(node.trainer.jobs), node.blobs.used
    node.market = market(balance=10**17)
    with pytest.raises(RefusedError, match="the wallet holds"):
        await owner.create_session({"public_layers": layers})
    node.market = market(balance=10**19)
    with pytest.raises(RefusedError):
        await owner.create_session({"public_layers": layers, "committee": 0})
    assert owner.model.require() == before and before.served == ()
    assert (len(node.trainer.jobs), node.blobs.used) == (jobs, used)
    assert not node.blobs.is_public(bytes.fromhex(before.weights))


async def test_an_outline_is_as_long_as_what_is_offered(owner: model_owner.ModelOwner) -> None:
    for layers in (["fc3"], ["fc1", "fc2", "fc3"]):
        outline = await owner.creation.outlined({"public_layers": layers})
        assert owner.model.require().served == (() if layers == ["fc3"] else ("fc3",))
        offered, _ = await owner.creation.offer({"public_layers": layers})
        assert (outline.parameters, len(outline.encode())) == (offered.parameters, len(offered.encode()))
        assert (outline.part, outline.min_samples, outline.train) == (offered.part, offered.min_samples, offered.train)


async def test_before_the_model_is_there_no_layer_is_judged(node: Any) -> None:
    role = model_owner.ModelOwner(node)
    for asked in (role.create_session, role.creation.offer):
        with pytest.raises(RefusedError, match="not trained yet"):
            await asked({"public_layers": ["of.my.own.model"]})


async def test_certificate_zk_counts_what_is_published(owner: model_owner.ModelOwner) -> None:
    made = await owner.creation._document(True, await owner.creation._publish(PART), False)
    whole = await owner.creation._document(True, await owner.creation._publish(choose(DIGITS.model)), False)
    assert made.bound < 1 << 10 and whole.bound < 1 << 12  # 1,840 and 5,090 coordinates
    assert made.frac_bits < 16


async def test_a_state_from_before_is_taken_up(node: Any) -> None:
    digest = node.blobs.put(TRAINED.tobytes(), public=True)
    old = {"preset": "digits", "weights": digest.hex(), "bound": 1000, "owner_alone": 0.6, "accuracy": 0.7}
    node.store.meta_put(MODEL_KEY, json.dumps({**old, "applied": [[1, 0.65], [2, None]]}))
    role = model_owner.ModelOwner(node)
    await role.model.load_or_pretrain()
    everything = choose(DIGITS.model).layers
    assert role.model.require() == ModelState(**old, applied=((1, 0.65), (2, None)), served=everything)
    assert not node.trainer.jobs
    assert (await document_of(role, choose(DIGITS.model))).bound == 1000
    published = await role.model.publish(PART)
    assert published.bound == played(PART)
    assert published.note == known(("fc1",))
    assert node.blobs.read(published.initial) == INITIAL.tobytes()
    again = OwnerModel(node)
    await again.load_or_pretrain()
    assert again.require() == role.model.require()
    assert again.require().initial


def test_a_state_survives_its_text() -> None:
    state = ModelState(
        "digits", "ab", 7, None, 0.5, ((1, 0.5),), ("fc3",), "cd", "", (((), 5), (("fc1",), 6)), ("fc3",)
    )
    assert ModelState.decode(state.encode()) == state
    raw = json.loads(state.encode())
    assert ModelState.decode(json.dumps({**raw, "norms": [["fc1", 2.5]]})) == state  # written by an earlier version


def test_bounds_by_part() -> None:
    state = ModelState("digits", "ab", 7, None, None).knowing(("fc3",), 5)
    assert (state.bound_of(()), state.bound_of(("fc3",)), state.bound_of(("fc1",))) == (7, 5, None)
    state = state.following(("fc3",), 6)
    assert (state.bound, state.bound_of(("fc3",)), state.bound_of(())) == (6, 6, 7)
    state = state.following(("fc3",), 4).following((), 8)
    assert (state.bound, state.bound_of(("fc3",)), state.bound_of(())) == (8, 4, 8)
    state = state.knowing(("fc1",), 5, True).knowing(("fc2",), 5)
    assert ModelState.decode(state.encode()).floored == (("fc1",),)
    assert state.following(("fc1",), 6).floored == ()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"public_layers": ["conv9"]}, "there is no layer 'conv9': the model has the layers fc1, fc2, fc3"),
        ({"public_layers": []}, "the public part is empty"),
        ({"public_count": 4}, "4 public layers"),
        ({"public_count": -1}, "-1 public layers"),
        ({"public_layers": ["fc1"], "public_count": 1}, "both say what is public"),
        ({"public_layers": "fc1"}, "must be names"),
        ({"public_layers": [1]}, "must be names"),
        ({"public_count": True}, "must be a number"),
    ],
)
async def test_what_cannot_be_published(owner: model_owner.ModelOwner, overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        await owner.create_session(overrides)


async def test_a_layer_that_does_not_exist_is_told_at_the_start(node: Any) -> None:
    choosing(node, public_layers=("fc1", "conv2"))
    with pytest.raises(UsageError, match="there is no layer 'conv2'"):
        await OwnerModel(node).load_or_pretrain()


def test_the_file_says_names_or_a_count(tmp_path: Path) -> None:
    text = GOOD + '[model_owner]\npublic_layers = ["conv2", "fc3"]\n'
    assert config.load(write(tmp_path, text)).model_owner.public_layers == ("conv2", "fc3")
    with pytest.raises(ConfigError, match=r"model_owner\.public_count does not go with public_layers"):
        config.load(write(tmp_path, text + "public_count = 2\n"))
