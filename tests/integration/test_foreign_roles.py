"""Somebody's model through owner and data owner with a real worker process: described, served, checked and trained."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omninode.errors import ConfigError, RefusedError, UsageError
from omninode.learning import data as local_data
from omninode.learning import foreign, training, weights_file
from omninode.learning.data import Samples
from omninode.learning.document import SessionDocument, training_seed
from omninode.learning.model_spec import ForeignModel
from omninode.learning.service import Job, Trainer, TrainingFailed
from omninode.roles import model_owner, model_verbs
from omninode.roles.session_files import SessionFiles
from omninode.roles.session_task import Refused, SessionTasks, Task
from omninode.roles.terms import public_part
from omninode.store.blobs import FileBlobStore
from protocols.sessions.params import Mode
from tests.unit import foreign_kit as kit
from tests.unit.test_roles_verified import services, view_of  # noqa: F401

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = """
import torch
from torch import nn

class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(72, 10)
    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).flatten(1))
"""


def images(count: int, seed: int) -> Samples:
    """Noise on top of one picture for each class."""
    kinds, draw = np.random.default_rng(0).random((10, 64)), np.random.default_rng(seed)
    labels = draw.integers(0, 10, count)
    return Samples((kinds[labels] + 0.1 * draw.standard_normal((count, 64))).astype(np.float32), labels)


@cache
def small() -> bytes:
    """An exported model."""
    torch.manual_seed(3)
    return kit.export(kit.Small(), torch.zeros(2, 1, 8, 8))


@pytest.fixture
async def node(services: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:  # noqa: F811
    """An owner with ten kinds of images as its data, model.pt2 as its model, and a trainer that works."""
    local_data.save(services.data_dir / "data.npz", images(100, 1))
    local_data.save(services.data_dir / "test.npz", images(200, 2))
    (services.data_dir / "model.pt2").write_bytes(small())
    (services.data_dir / "tiny_model.py").write_text(TINY)
    monkeypatch.setenv("PYTHONPATH", str(services.data_dir))
    services.trainer = working(services, ["tiny_model:Tiny"])
    choose(services, model=str(services.data_dir / "model.pt2"))
    services.config = replace(
        services.config, data=replace(services.config.data, test_path=str(services.data_dir / "test.npz"))
    )
    yield services
    await services.trainer.aclose()


def working(services: Any, allowed: list[str]) -> Trainer:  # noqa: F811
    return Trainer(services.data_dir / "slots", device="cpu", find=services.blobs.path, allowed=allowed)


def choose(services: Any, **changes: Any) -> None:  # noqa: F811
    services.config = replace(services.config, model_owner=replace(services.config.model_owner, **changes))


class FromOwner(SessionTasks):
    """The tasks of a data owner that copies blobs out of the owner's store."""

    def __init__(self, services: Any, source: FileBlobStore) -> None:  # noqa: F811
        super().__init__(services, SessionFiles(services, "data_owner"))
        self.source = source

    async def _fetched(self, view: Any, digest: bytes, max_size: int) -> Path:
        assert self.source.is_public(digest)
        assert self.source.size(digest) <= max_size
        self._services.blobs.put(self.source.read(digest))
        return self._services.blobs.path(digest)


async def nothing(document: SessionDocument) -> None:
    """No further conditions."""


async def joined(tasks: FromOwner, document: SessionDocument) -> Task:
    """What the data owner does before it registers in a session of this document."""
    digest = tasks.source.put(document.encode(), public=True)
    return await tasks.offered(view_of(Mode.VERIFIED, doc_digest=digest, dimension=document.parameters), nothing)


def at_data_owner(services: Any) -> FromOwner:  # noqa: F811
    source = services.blobs
    services.blobs = FileBlobStore(services.data_dir / "elsewhere")
    services.trainer._find = services.blobs.path
    return FromOwner(services, source)


async def test_an_exported_model_from_owner_to_update(node: Any) -> None:
    owner = model_owner.ModelOwner(node)
    await owner.model.load_or_pretrain()
    model, state = owner.model.model, owner.model.require()
    assert isinstance(model, ForeignModel) and model.kind == "export"
    assert node.blobs.is_public(bytes.fromhex(model.source))
    first, _ = foreign.describe_export(node.data_dir / "model.pt2")
    assert first == model
    assert state.owner_alone is not None and state.owner_alone > 0.4
    choose(node, public_layers=("norm", "fc"))
    part = public_part(node.config.model_owner, {}, model)
    document = await owner.creation._document(False, await owner.creation._publish(part), False)
    assert SessionDocument.decode(document.encode()) == document
    assert node.blobs.read(document.initial) == foreign.describe_export(node.data_dir / "model.pt2")[1].tobytes()
    await shown_and_saved(owner, node)

    tasks = at_data_owner(node)
    view = view_of(Mode.VERIFIED, doc_digest=document.digest(), dimension=document.parameters)
    task = await tasks.offered(view, nothing)
    seed = training_seed(document, node.wallet.address)
    update = await node.trainer.train(document, task.weights, Path(node.config.data.path), seed, initial=task.initial)
    net = foreign.load(model, node.data_dir / "model.pt2")
    samples = local_data.load(Path(node.config.data.path))
    start = part.put(np.frombuffer(task.initial or b"", "<f4"), np.frombuffer(task.weights, "<f4"))
    theirs = part.take(training.train(net, start, samples, document.train, seed) - start)
    assert np.linalg.norm(update - theirs) < 1e-2 * np.linalg.norm(update)  # other threads round otherwise
    assert np.linalg.norm(update) > 0.01

    with pytest.raises(TrainingFailed, match="the model's file is not here"):
        await node.trainer.run([Job.load(replace(model, source="00" * 32))])
    hostile = kit.archive({**kit.entries((node.data_dir / "model.pt2").read_bytes()), "data/aotinductor/m/x.so": b""})
    digest = tasks.source.put(hostile, public=True)
    evil = replace(model, source=digest.hex(), size=len(hostile))
    with pytest.raises(Refused, match="cannot be used: the model file has an entry that does not belong"):
        await joined(tasks, replace(document, model=evil))


async def shown_and_saved(owner: model_owner.ModelOwner, node: Any) -> None:
    """`omninode model`."""
    shown = model_verbs.show(owner.model, node.config)
    assert shown["model"].startswith("export ") and shown["sample"] == [1, 8, 8] and shown["classes"] == 10
    assert [(line["layer"], line["public_count"]) for line in shown["layers"]] == [("conv", 3), ("norm", 2), ("fc", 1)]
    assert sum(line["parameters"] for line in shown["layers"]) == shown["parameters"] == owner.model.model.parameters
    assert shown["published"].startswith("publishes norm, fc")
    file = node.data_dir / "out.safetensors"
    answer = await model_verbs.save(owner.model, {"file": str(file)})
    assert answer == {"file": str(file), "parameters": owner.model.model.parameters, "sessions": 0}
    flat = weights_file.flat(owner.model.model, weights_file.read(file))
    assert flat.tobytes() == await owner.model.weights()
    with pytest.raises(RefusedError, match="is there already"):
        await model_verbs.save(owner.model, {"file": str(file)})
    await model_verbs.save(owner.model, {"file": str(file), "force": True})
    with pytest.raises(UsageError, match=r"no \.safetensors"):
        await model_verbs.save(owner.model, {"file": "model.pt"})
    with pytest.raises(RefusedError, match="cannot be written"):
        await model_verbs.save(owner.model, {"file": str(file.parent / "none" / "x.safetensors")})


async def test_a_module_by_import_path(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(node, model="tiny_model:Tiny", model_shape="1x8x8")
    owner = model_owner.ModelOwner(node)
    await owner.model.load_or_pretrain()
    model = owner.model.model
    assert isinstance(model, ForeignModel)
    assert (model.kind, model.shape, model.classes, model.parameters) == ("module", (1, 8, 8), 10, 750)
    assert "tiny_model" not in sys.modules  # only the worker imports it

    part = public_part(node.config.model_owner, {}, model)
    document = await owner.creation._document(False, await owner.creation._publish(part), False)
    tasks = at_data_owner(node)
    turned = (("conv.weight", (2, 1, 9, 1)), *model.layout[1:])  # as many numbers
    with pytest.raises(Refused, match=r"'tiny_model:Tiny' is not in learning\.allowed_models"):
        await joined(tasks, document)
    node.config = replace(node.config, learning=replace(node.config.learning, allowed_models=("tiny_model:Tiny",)))
    assert (await joined(tasks, document)).document == document
    with pytest.raises(Refused, match="where the session document says"):
        await joined(tasks, replace(document, model=replace(model, layout=turned)))


async def told(node: Any) -> None:
    """What is said of models and weights that cannot be used."""
    shutil.copy(node.data_dir / "data.npz", node.data_dir / "model.safetensors")
    for changes, kind, says in (
        ({"model": str(node.data_dir / "none.pt2")}, RefusedError, "No such file"),
        ({"model": "no_such_module:x"}, RefusedError, "cannot be made: ModuleNotFoundError"),
        ({"model": "tiny_model:Tiny"}, RefusedError, r"samples of shape \(64,\)"),
        ({"model": "tiny_model:Tiny", "model_shape": "1x8x"}, ConfigError, "must look like 1x28x28"),
        ({"weights": str(node.data_dir / "none.pt")}, RefusedError, "No such file"),
        ({"weights": str(node.data_dir / "model.safetensors")}, RefusedError, r"no \.safetensors file"),
    ):
        before = node.config
        choose(node, **changes)
        with pytest.raises(kind, match=says):
            await model_owner.ModelOwner(node).model.load_or_pretrain()
        node.config = before


async def test_weights_to_start_from_and_a_model_that_was_exchanged(node: Any) -> None:
    await told(node)
    model, first = foreign.describe_export(node.data_dir / "model.pt2")
    weights_file.write(node.data_dir / "start.safetensors", model, first + 10)
    choose(node, weights=str(node.data_dir / "start.safetensors"))
    owner = model_owner.ModelOwner(node)
    await owner.model.load_or_pretrain()
    trained = np.frombuffer(await owner.model.weights(), "<f4")
    assert np.linalg.norm(trained - first - 10) < np.linalg.norm(trained - first)
    assert node.blobs.read(bytes.fromhex(owner.model.require().initial)) == first.tobytes()
    again = model_owner.ModelOwner(node)
    await again.model.load_or_pretrain()
    assert again.model.require() == owner.model.require()
    choose(node, model="", weights="")
    with pytest.raises(RefusedError, match="another architecture"):
        await model_owner.ModelOwner(node).model.load_or_pretrain()
