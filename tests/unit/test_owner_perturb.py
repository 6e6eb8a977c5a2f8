"""The owner of a perturbed model: what it publishes, what it keeps, where the sum goes, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgpack
import numpy as np
import pytest
import structlog
import torch
import trio

from omninode.config_check import problem
from omninode.config_schema import ModelOwner as Settings
from omninode.errors import RefusedError, UsageError
from omninode.learning import fixed_point, operations, perturb
from omninode.learning import perturb_upload as upload
from omninode.learning.data import Samples
from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.perturb_torch import gradient, squares
from omninode.learning.presets import DIGITS
from omninode.learning.service import TrainingDiverged, TrainingFailed
from omninode.learning.training import train
from omninode.roles import model_owner, owner_architecture, owner_perturb, terms
from omninode.roles.owner_model import OwnerModel
from protocols.sessions.limits import check_params
from protocols.sessions.owner import Output, OwnerMachine
from protocols.sessions.params import Mode, Payout, Rule, SessionParams
from tests.unit.test_roles_verified import services, view_of  # noqa: F401

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC = replace(DIGITS.model, bias=False)
PARTIES = 4


class WorkerHere:
    """The worker's jobs in this process."""

    async def run(self, jobs: Sequence[Job]) -> list[Result]:
        await trio.sleep(0)
        before, results = None, []
        for job in jobs:
            try:
                raw, before = operations.do(job.fields, before, torch.device("cpu"))
            except FloatingPointError as error:
                raise TrainingDiverged(str(error)) from error
            except ValueError as error:
                raise TrainingFailed(str(error)) from error
            results.append(Result.unpack(raw))
        return results


def settings(node: Any, **changes: Any) -> None:
    node.config = replace(node.config, model_owner=replace(node.config.model_owner, **changes))


@pytest.fixture
def node(services: Any) -> Any:  # noqa: F811
    services.trainer, services.new_seed = WorkerHere(), lambda: np.random.default_rng().bytes(32)
    settings(services, model_privacy="perturb")
    return services


@pytest.fixture
async def owner(node: Any) -> model_owner.ModelOwner:
    made = model_owner.ModelOwner(node)
    await made.model.load_or_pretrain()
    return made


def vector(blob: bytes) -> np.ndarray:
    return np.frombuffer(blob, "<f4")


def party(number: int) -> Samples:
    rng = np.random.default_rng(number)
    return Samples(rng.random((60, 64)).astype(np.float32), rng.integers(0, 10, 60))


def summed(node: Any, document: SessionDocument, tmp: Any) -> Output:
    """What PARTIES data owners upload, added up."""
    from omninode.learning import data

    blob, total = node.blobs.read(document.weights), np.zeros(document.parameters, np.int64)
    for number in range(PARTIES):
        data.save(tmp / "party.npz", party(number))
        raw, _ = operations.do(Job.train(document, blob, tmp / "party.npz", 1).fields, None, torch.device("cpu"))
        update = Result.unpack(raw).update
        assert update is not None
        total += fixed_point.encode(update.astype(np.float64), document.bound, document.frac_bits)
    return Output(total=total, count=PARTIES, sizes=(1,) * PARTIES, norms=(-1,) * PARTIES)


def params_of(document: SessionDocument) -> SessionParams:
    changes = {"doc_digest": document.digest(), "dimension": document.parameters, "bound": document.bound}
    return view_of(Mode.VERIFIED, rule=Rule.NONE, frac_bits=document.frac_bits, **changes).p


async def test_the_model_has_no_biases_and_was_trained_with_squared_error(owner: model_owner.ModelOwner) -> None:
    assert owner.model.model == SPEC
    own, seed = owner.model._data.own, 0
    from omninode.learning import data, models

    wanted = train(SPEC, models.initial(SPEC, seed), data.load(own), DIGITS.pretrain, seed, loss=squares)
    assert await owner.model.weights() == wanted.astype("<f4").tobytes()


async def test_only_the_perturbed_weights_are_served(owner: model_owner.ModelOwner, node: Any) -> None:
    document, note, says = await owner.creation._offered(False, {})
    true = await owner.model.weights()
    assert not node.blobs.is_public(bytes.fromhex(owner.model.require().weights))
    assert node.blobs.is_public(document.weights) and node.blobs.is_public(document.digest())
    hidden = vector(node.blobs.read(document.weights))
    drawn = await owner_perturb.secrets_of(node, document)
    np.testing.assert_array_equal(hidden, perturb.perturb(SPEC, drawn, vector(true)).astype(np.float32))
    assert "not encryption" in note and "Fixed point adds about" in note and says.endswith("perturbed")
    assert document.perturbation is not None and document.perturbation.noise == drawn.noise
    assert (document.bound, document.parameters) == (upload.integer_bound(SPEC), 3 * SPEC.parameters)
    made = terms.terms(Settings(), {}, document, b"o" * 20, b"p" * 32)
    check_params(made)
    assert (made.rule, made.mode, made.payout, made.uses_reference) == (
        Rule.NONE, Mode.VERIFIED, Payout.EQUAL, False,
    )  # fmt: skip


async def test_secrets_are_fresh_and_in_the_store_alone(
    owner: model_owner.ModelOwner, node: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the offer to the applied sum nothing of them is logged, told as an event, or in a public blob."""
    logged: list[Any] = []
    node.log = structlog.wrap_logger(None, processors=[lambda _, __, event: logged.append(dict(event)) or drop()])
    first, note, says = await owner.creation._offered(False, {})
    second, _, _ = await owner.creation._offered(False, {})
    drawn = [await owner_perturb.secrets_of(node, document) for document in (first, second)]
    assert drawn[0].gamma != drawn[1].gamma and first.weights != second.weights
    await owner.model.apply(5, params_of(first), first, summed(node, first, tmp_path))
    zeros = np.zeros(second.parameters, np.int64)
    node.trainer = Failing(TrainingDiverged("a weight is not a finite number"))
    await owner.model.apply(6, params_of(second), second, Output(zeros, 4, sizes=(1,) * 4, norms=(-1,) * 4))
    events = (node.data_dir / "events.jsonl").read_bytes()
    assert b"model_improved" in events and b"sum_dropped" in events and b"pretrained" in events
    assert any(entry["event"] == "sum_dropped" for entry in logged)
    told = [events, repr(logged).encode(), "".join(capsys.readouterr()).encode(), (note + says).encode()]
    told += [path.read_bytes() for path in (node.blobs.root / "public").iterdir()]
    assert len(told) > 6
    for document, secret in zip((first, second), drawn, strict=True):
        saved = json.loads(node.store.meta_get("perturb/" + document.digest().hex()))
        seed, gamma = bytes.fromhex(saved["seed"]), float(secret.gamma)
        forms = [seed, saved["seed"].encode(), repr(gamma)[:10].encode()]
        forms += [np.dtype(kind).type(gamma).tobytes() for kind in ("<f4", "<f8")]
        assert not [form for form in forms for text in told if form in text]
    with pytest.raises(RefusedError, match="not in the store"):
        await owner_perturb.secrets_of(node, replace(first, seed=1))


def drop() -> Any:
    raise structlog.DropEvent


class Failing:
    """A trainer that never comes to a result."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def run(self, jobs: Sequence[Job]) -> list[Result]:
        raise self.error


async def test_a_killed_worker_loses_no_sum(
    owner: model_owner.ModelOwner, node: Any, tmp_path: Any, autojump_clock: Any
) -> None:
    document, _, _ = await owner.creation._offered(False, {})
    output, before, working = summed(node, document, tmp_path), await owner.model.weights(), node.trainer
    node.trainer = Failing(TrainingFailed("the training worker ended with code -9"))
    with pytest.raises(TrainingFailed, match="code -9"):
        await owner.model.apply(5, params_of(document), document, output)
    assert not owner.model.has(5) and await owner.model.weights() == before

    class Shaky:
        left = 2

        async def run(self, jobs: Sequence[Job]) -> list[Result]:
            if self.left:
                self.left -= 1
                raise TrainingFailed("the training worker ended with code -9")
            return await working.run(jobs)  # type: ignore[no-any-return]

    node.trainer = Shaky()
    machine: Any = SimpleNamespace(result=output, view=SimpleNamespace(p=params_of(document)))
    await owner._apply_result(SimpleNamespace(session=5), machine)  # type: ignore[arg-type]
    assert owner.model.has(5) and await owner.model.weights() != before


async def test_without_its_secrets_a_sum_waits(owner: model_owner.ModelOwner, node: Any, tmp_path: Any) -> None:
    document, _, _ = await owner.creation._offered(False, {})
    output, key = summed(node, document, tmp_path), "perturb/" + document.digest().hex()
    lost = replace(document, seed=document.seed ^ 1)
    with pytest.raises(RefusedError, match="not in the store") as caught:
        await owner.model.apply(5, params_of(lost), lost, output)
    assert "restore the node's store" in caught.value.cure and not owner.model.has(5)
    node.store.meta_put("perturb/" + lost.digest().hex(), node.store.meta_get(key))
    await owner.model.apply(5, params_of(lost), lost, output)
    assert owner.model.has(5)


async def test_a_document_of_an_earlier_version_is_told_once(
    owner: model_owner.ModelOwner, node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = node.blobs.put(msgpack.packb({"format": 1, "model": {}}), public=True)
    params = view_of(Mode.VERIFIED, doc_digest=digest).p
    started: list[Any] = []
    machine = object.__new__(OwnerMachine)
    monkeypatch.setattr(OwnerMachine, "view", SimpleNamespace(p=params))
    monkeypatch.setattr(machine, "result", object(), raising=False)
    driver: Any = SimpleNamespace(session=7, start_work=started.append, machine=machine)
    owner._look(driver)
    await started[0]()
    owner._look(driver)
    assert len(started) == 1 and not owner.model.has(7)
    events = (node.data_dir / "events.jsonl").read_text()
    assert events.count("format 1 is unknown") == 1 and "the version of omninode that it began with" in events


@pytest.mark.parametrize(("overrides", "words"), [({}, "the wallet holds 1 wei"), ({"committee": 3}, "committee")])
async def test_what_is_not_paid_for_leaves_nothing(
    owner: model_owner.ModelOwner, node: Any, overrides: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def escrow(params: SessionParams) -> int:
        return 10**18

    async def balance(address: bytes) -> int:
        return 1

    node.market = SimpleNamespace(required_escrow=escrow, client=SimpleNamespace(balance=balance))
    written: list[str] = []
    monkeypatch.setattr(node.store, "meta_put", lambda key, value: written.append(key))
    before = {path.name for kind in ("public", "private") for path in (node.blobs.root / kind).iterdir()}
    with pytest.raises(RefusedError, match=words):
        await owner.create_session(overrides)
    assert {path.name for kind in ("public", "private") for path in (node.blobs.root / kind).iterdir()} == before
    assert not written


async def test_a_perturbed_model_counts_as_served(owner: model_owner.ModelOwner) -> None:
    assert owner.model.require().served == ()
    await owner.creation._offered(False, {})
    assert owner.model.require().served == ("fc1", "fc2", "fc3")


async def test_a_sum_becomes_a_step_along_the_true_gradient(
    owner: model_owner.ModelOwner, node: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart, too: the secrets are read again."""
    document, _, _ = await owner.creation._offered(False, {})
    before = vector(await owner.model.weights())
    opened = summed(node, document, tmp_path)
    mean = np.mean([gradient(SPEC, before, party(k)) for k in range(PARTIES)], axis=0)
    mean_packed = fixed_point.decode_sum(opened.total, document.frac_bits, opened.count)
    moved = await owner_perturb.stepped(node, before, document, mean_packed)
    step = (before - moved) / document.train.lr
    assert np.linalg.norm(step - mean) < 0.1 * np.linalg.norm(mean)

    again = OwnerModel(node)
    await again.load_or_pretrain()
    await again.apply(9, params_of(document), document, opened)
    from omninode.learning import data

    wanted = train(SPEC, moved, data.load(again._data.own), perturb.ADAPT, document.seed, loss=squares)
    assert await again.weights() == wanted.astype("<f4").tobytes()
    assert again.has(9) and again.require().bound == owner.model.require().bound
    after = await again.weights()
    await again.apply(9, params_of(document), document, opened)
    assert await again.weights() == after


async def test_a_sum_that_leads_nowhere_is_dropped(owner: model_owner.ModelOwner, node: Any) -> None:
    document, _, _ = await owner.creation._offered(False, {})
    assert document.perturbation is not None
    huge = replace(document, perturbation=replace(document.perturbation, bounds=(1e12, 1e12, 1e12)))
    key = "perturb/"
    node.store.meta_put(key + huge.digest().hex(), node.store.meta_get(key + document.digest().hex()))
    before = await owner.model.weights()
    total = np.random.default_rng(0).integers(-(1 << 60), 1 << 60, huge.parameters)
    await owner.model.apply(5, params_of(huge), huge, Output(total, 4, sizes=(1,) * 4, norms=(-1,) * 4))
    assert await owner.model.weights() == before and owner.model.has(5)
    assert "sum_dropped" in (node.data_dir / "events.jsonl").read_text()


async def test_weights_that_were_open_are_called_so(owner: model_owner.ModelOwner) -> None:
    _, note, says = await owner.creation._offered(False, {"model_privacy": "none"})
    assert "perturbed" not in note + says
    _, note, _ = await owner.creation._offered(False, {})
    assert owner_perturb.KNOWN in note


async def test_a_model_with_biases_is_refused(node: Any) -> None:
    settings(node, model_privacy="none")
    made = model_owner.ModelOwner(node)
    await made.model.load_or_pretrain()
    with pytest.raises(RefusedError, match="biases"):
        await made.creation._offered(False, {"model_privacy": "perturb"})
    settings(node, model_privacy="perturb")
    with pytest.raises(RefusedError, match="another architecture"):
        await OwnerModel(node).load_or_pretrain()


async def test_an_on_chain_session_is_refused(owner: model_owner.ModelOwner) -> None:
    with pytest.raises(UsageError, match="mode verified only"):
        await owner.creation.offer({})


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"mode": "grouped"}, "mode grouped: each of the three vectors has its own bound"),
        ({"certificate": "zk"}, "certificate zk"),
        ({"rule": "trust"}, "rule trust"),
        ({"rule": "multi-krum"}, "no rule for them"),
        ({"payout": "contribution"}, "who contributes"),
        ({"tuning": "published"}, "tuning published"),
        ({"public_layers": ["fc3"]}, "published whole"),
        ({"public_count": 1}, "published whole"),
        ({"model_privacy": "encrypt"}, "unknown model_privacy 'encrypt'"),
    ],
)
def test_what_does_not_go_with_it(overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        terms.perturbed(Settings(model_privacy="perturb"), overrides)


def test_what_goes_with_it() -> None:
    assert terms.perturbed(Settings(), {"model_privacy": "perturb", "rule": "none"})
    assert terms.perturbed(Settings(model_privacy="perturb"), {})
    assert not terms.perturbed(Settings(model_privacy="perturb", mode="grouped"), {"model_privacy": "none"})


def test_another_architecture_has_another_fingerprint() -> None:
    assert owner_architecture.fingerprint(DIGITS.model) == "" != owner_architecture.fingerprint(SPEC)


def test_the_configuration_refuses_a_model_of_ones_own(node: Any) -> None:
    settings(node, model="package.module:Model")
    node.config = replace(
        node.config, node=replace(node.config.node, roles=("model_owner",)),
        chain=replace(node.config.chain, chain_id=1, market="0x" + "11" * 20),
    )  # fmt: skip
    assert problem(node.config) == (
        "model_owner.model_privacy", '"perturb" goes with a preset\'s model only: leave model_owner.model empty',
    )  # fmt: skip
