"""Models of others as functions of flat weights: the same numbers as the module itself, and sentences for the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from omninode.learning import foreign, training
from omninode.learning.data import Samples
from omninode.learning.document import TrainSpec
from omninode.learning.foreign import ForeignError
from omninode.learning.model_spec import ForeignModel
from tests.unit import foreign_kit as kit

pytestmark = pytest.mark.usefixtures("one_thread")

SOURCE = """
import pathlib, torch
from torch import nn

pathlib.Path(__file__).with_suffix(".ran").touch()

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 5), nn.Linear(5, 3)
    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))

class Normed(Plain):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6)

class Half(Plain):
    def __init__(self):
        super().__init__()
        self.half()

class Tied(Plain):
    def __init__(self):
        super().__init__()
        self.fc3 = self.fc2

class Random(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("noise", torch.randn(3))

class Scaled(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.ones(3))
    def forward(self, x):
        return super().forward(x) * self.scale

class Counting(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
    def forward(self, x):
        self.seen += 1
        return super().forward(x)

class Deep(Plain):
    def forward(self, x):
        return super().forward(x)[None]

class Constant(Plain):
    def forward(self, x):
        return super().forward(x).detach()

class Fails(Plain):
    def forward(self, x):
        raise KeyError("nothing")

def broken(): raise OSError("no licence")
def number(): return 3
def normless(): return nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(6, 3))
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "their_model.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("their_model", None)


def described(name: str) -> tuple[ForeignModel, np.ndarray]:
    path = f"their_model:{name}"
    return foreign.describe_module(path, (2, 3), 7, [path])


def test_a_module(package: Path) -> None:
    model, weights = described("Plain")
    assert (model.classes, model.shape, model.parameters) == (3, (2, 3), 53)
    assert model.layout[0] == ("fc1.weight", (5, 6)) and model.publishing_order == ("fc2", "fc1")
    net = foreign.load(model, None, [model.source])
    x = torch.randn(4, 6)
    flat = torch.from_numpy(weights).requires_grad_()
    logits = net(flat, x)
    (gradient,) = torch.autograd.grad(logits.sum(), flat)
    plain = sys.modules["their_model"].Plain()
    parts = dict(zip(plain.state_dict(), torch.split(flat.detach(), [30, 5, 15, 3]), strict=True))
    plain.load_state_dict({name: part.view(dict(model.layout)[name]) for name, part in parts.items()})
    assert torch.equal(plain(x), logits)
    plain(x).sum().backward()
    assert torch.equal(torch.cat([p.grad.reshape(-1) for p in plain.parameters()]), gradient)


def test_first_weights_follow_the_seed(package: Path) -> None:
    model, weights = described("Plain")
    again = foreign.initial(model, None, [model.source], 7)
    assert np.array_equal(again, weights)
    assert not np.array_equal(foreign.initial(model, None, [model.source], 8), weights)


@pytest.mark.parametrize("allowed", [[], ["their_model"], ["their_model:*"], ["their_model:Plain "], ["their_model:"]])
def test_nothing_is_imported_that_is_not_allowed(package: Path, allowed: list[str]) -> None:
    model = ForeignModel("module", "their_model:Plain", 0, (2, 3), 3, (("fc.weight", (3, 6)),))
    with pytest.raises(ForeignError, match=r"learning\.allowed_models"):
        foreign.load(model, None, allowed)
    assert "their_model" not in sys.modules and not (package / "their_model.ran").exists()


@pytest.mark.parametrize(
    "name, says",
    [
        ("Normed", "running statistics.*GroupNorm"), ("Half", "must be float32"), ("Tied", "each needs its own"),
        ("Random", "noise is random"), ("Counting", "changes its own buffers"), ("Deep", r"makes \(1, 2, 3\)"),
        ("Fails", "does not run on samples"), ("broken", "no licence"), ("number", "makes a int"),
        ("missing", "has no attribute"),
    ],
)  # fmt: skip
def test_modules_that_are_refused(package: Path, name: str, says: str) -> None:
    with pytest.raises(ForeignError, match=says):
        described(name)
    with pytest.raises(ForeignError, match="cannot be made"):
        foreign.describe_module("no_such_package:x", (2, 3), 0, ["no_such_package:x"])


def test_a_module_of_another_layout(package: Path) -> None:
    model = ForeignModel("module", "their_model:Plain", 0, (2, 3), 3, (("fc1.weight", (5, 7)),))
    with pytest.raises(ForeignError, match=r"fc1.weight of shape \(5, 6\) where the session document says fc1.weight"):
        foreign.load(model, None, [model.source])


def test_buffers_follow_the_weights_to_another_device(package: Path) -> None:
    """As torch.nn.Module.to does; "meta" stands in for a GPU."""
    model, weights = described("Scaled")
    net = foreign.load(model, None, [model.source])
    there = net(torch.empty(model.parameters, device="meta"), torch.empty(4, 6, device="meta"))
    assert (there.device.type, there.shape) == ("meta", (4, 3))
    assert net(torch.from_numpy(weights), torch.ones(4, 6)).device.type == "cpu"


def test_dropout_does_nothing(package: Path) -> None:
    model, weights = described("normless")
    net = foreign.load(model, None, [model.source])
    x = torch.randn(4, 6)
    assert torch.equal(net(torch.from_numpy(weights), x), net(torch.from_numpy(weights), x))


# -- exported ---------------------------------------------------------------------------------------------------------


def exported(module: nn.Module, sample: torch.Tensor, folder: Path) -> tuple[ForeignModel, np.ndarray, Path]:
    file = folder / "model.pt2"
    file.write_bytes(kit.export(module, sample))
    return *foreign.describe_export(file), file


@pytest.mark.parametrize("train", [False, True])
def test_an_export_computes_what_the_module_does(tmp_path: Path, train: bool) -> None:
    module = kit.Small().train(train)
    model, weights, file = exported(module, torch.zeros(2, 1, 8, 8), tmp_path)
    net = foreign.load(model, file)
    for batch in (1, 2, 7):
        x = torch.randn(batch, 64)
        kept = x.clone()
        flat = torch.from_numpy(weights).requires_grad_()
        assert torch.equal(net(flat, x), module.eval()(x.view(-1, 1, 8, 8)))
        assert torch.equal(x, kept)
        (gradient,) = torch.autograd.grad(net(flat, x).square().sum(), flat)
        module.zero_grad()
        module(x.view(-1, 1, 8, 8)).square().sum().backward()
        theirs = torch.cat([parameter.grad.reshape(-1) for parameter in module.parameters()])
        assert torch.allclose(gradient, theirs, rtol=1e-5, atol=1e-6)


def test_an_export_with_attention_and_tokens(tmp_path: Path) -> None:
    module = kit.Attention().eval()
    model, weights, file = exported(module, torch.zeros(2, 6, dtype=torch.long), tmp_path)
    tokens = torch.randint(0, 20, (5, 6))
    net = foreign.load(model, file)
    assert torch.allclose(net(torch.from_numpy(weights), tokens.float()), module(tokens), atol=1e-6)


def test_training_an_export_is_training_the_module(tmp_path: Path) -> None:
    """The same update as torch.optim.SGD gives the module itself on the same batches."""
    torch.manual_seed(1)
    module = kit.Small().eval()
    model, weights, file = exported(module, torch.zeros(2, 1, 8, 8), tmp_path)
    draw = np.random.default_rng(2)
    samples = Samples(draw.normal(size=(40, 64)).astype(np.float32), draw.integers(0, 10, 40))
    how = TrainSpec(0.05, 0.9, 16, 3)
    trained = training.train(foreign.load(model, file), weights, samples, how, 5)
    optimiser = torch.optim.SGD(module.parameters(), how.lr, how.momentum)
    generator = torch.Generator().manual_seed(5)
    x, y = torch.from_numpy(samples.x).view(-1, 1, 8, 8), torch.from_numpy(samples.y)
    for _ in range(how.epochs):
        for batch in torch.split(torch.randperm(40, generator=generator), how.batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimiser.step()
    theirs = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()]).numpy()
    moved = np.linalg.norm(trained - weights)
    assert np.linalg.norm(trained - theirs) < 1e-3 * moved and moved > 0.01


def test_the_documented_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    exec(text.split("```python")[1].split("```")[0], {})
    model, weights = foreign.describe_export(tmp_path / "classifier.pt2")
    assert (model.shape, model.classes, len(weights)) == ((1, 28, 28), 10, 11_754)
    foreign.rehearse(model, foreign.load(model, tmp_path / "classifier.pt2"))


def test_a_model_that_cannot_be_trained(package: Path) -> None:
    model, _ = described("Constant")
    with pytest.raises(ForeignError, match="cannot be trained"):
        foreign.rehearse(model, foreign.load(model, None, [model.source]))


def test_exports_that_are_refused(tmp_path: Path) -> None:
    x = torch.zeros(2, 4)
    for module, sample, fixed, says in (
        (kit.Normed().eval(), x, False, "use GroupNorm"),
        (kit.Normed().train(), x, False, "use GroupNorm"),
        (nn.Linear(4, 2), x, True, "dynamic_shapes"),
        (nn.Linear(4, 2).double(), x.double(), False, "not made of float32"),
        (nn.ReLU(), x, False, "must have parameters"),
        (nn.LSTM(4, 2, batch_first=True), x[:, None], False, "not allowed"),
        (nn.Linear(4, 1), x, False, "makes"),
    ):
        file = tmp_path / "model.pt2"
        file.write_bytes(kit.export(module, sample, fixed))
        with pytest.raises(ForeignError, match=says):
            foreign.describe_export(file)
