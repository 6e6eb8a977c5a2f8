"""Files of weights: what goes in comes out, and no pickle runs."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from omninode.learning import weights_file
from omninode.learning.model_spec import ForeignModel, ModelSpec
from omninode.learning.weights_file import WeightsFileError
from tests.unit import foreign_kit as kit

MODEL = ModelSpec("mlp", (4, 3, 2), (4,))
FLAT = np.arange(MODEL.parameters, dtype=np.float32)


def named() -> dict[str, np.ndarray]:
    parts = np.split(FLAT, [12, 15, 21])
    return {name: part.reshape(shape) for (name, shape), part in zip(MODEL.tensors, parts, strict=True)}


def test_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    weights_file.write(path, MODEL, FLAT)
    weights_file.write(path, MODEL, FLAT)  # over the old one
    assert np.array_equal(weights_file.flat(MODEL, weights_file.read(path)), FLAT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["model.safetensors"]
    with pytest.raises(ValueError, match="weights of shape"):
        weights_file.write(path, MODEL, FLAT[1:])
    with pytest.raises(OSError):
        weights_file.write(tmp_path / "none" / "x.safetensors", MODEL, FLAT)


def test_a_scalar_parameter(tmp_path: Path) -> None:
    model = ForeignModel("module", "a:b", 0, (4,), 2, (("scale", ()), ("fc.weight", (2, 4))))
    weights_file.write(tmp_path / "m.safetensors", model, np.arange(9, dtype=np.float32))
    tensors = weights_file.read(tmp_path / "m.safetensors")
    assert tensors["scale"].shape == () and np.array_equal(weights_file.flat(model, tensors), np.arange(9))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_torch_files_and_other_precisions(tmp_path: Path, kind: torch.dtype) -> None:
    state = {name: torch.from_numpy(value).to(kind) for name, value in named().items()}
    for name, content in (("a.pt", state), ("b.pth", {"state_dict": state, "epoch": 3})):
        torch.save(content, tmp_path / name)
        assert np.array_equal(weights_file.flat(MODEL, weights_file.read(tmp_path / name)), FLAT)
    if kind != torch.bfloat16:
        save_torch(state, tmp_path / "c.safetensors")
        assert np.array_equal(weights_file.flat(MODEL, weights_file.read(tmp_path / "c.safetensors")), FLAT)


def test_parameters_as_they_come_out_of_a_module(tmp_path: Path) -> None:
    torch.save({"fc1.weight": torch.nn.Parameter(torch.ones(3, 4))}, tmp_path / "a.pt")
    assert weights_file.read(tmp_path / "a.pt")["fc1.weight"].sum() == 12


def test_a_malicious_pickle_does_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    for name in ("a.pt", "b.pth", "c.safetensors"):
        for content in (kit.malicious(made), kit.malicious_plain(made)):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(WeightsFileError, match=r"nothing ran|no \.safetensors"):
                weights_file.read(tmp_path / name)
            assert not made.exists()
    with pytest.raises(WeightsFileError, match="nothing ran"):
        torch.save(kit.Small(), tmp_path / "whole.pt")  # a whole module is code, too
        weights_file.read(tmp_path / "whole.pt")


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content, says in (
        ("a.bin", b"x", "read from .safetensors, .pt or .pth"),
        ("a.safetensors", b"", "no .safetensors file"),
        ("a.safetensors", (1 << 60).to_bytes(8, "little") + b"{}", "no .safetensors file"),
        ("a.pt", b"", "damaged"),
        ("a.pt", b"PK\x03\x04" + bytes(100), "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsFileError, match=says):
            weights_file.read(tmp_path / name)
    with pytest.raises(WeightsFileError, match="No such file"):
        weights_file.read(tmp_path / "none.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(WeightsFileError, match="tensors by name"):
        weights_file.read(tmp_path / "list.pt")
    for kind in (torch.int64, torch.bool, torch.complex64, torch.complex32, torch.float8_e4m3fn, torch.float8_e5m2):
        torch.save({"fc1.weight": torch.zeros(3, 4).to(kind)}, tmp_path / "int.pt")
        with pytest.raises(WeightsFileError, match=f"'fc1.weight' is {str(kind)[6:]}; weights are floating-point"):
            weights_file.read(tmp_path / "int.pt")
    torch.save({"fc1.weight": torch.eye(3).to_sparse()}, tmp_path / "sparse.pt")
    with pytest.raises(WeightsFileError, match="not dense"):
        weights_file.read(tmp_path / "sparse.pt")
    monkeypatch.setattr(weights_file, "MAX_FILE", 10)
    with pytest.raises(WeightsFileError, match="more than 10"):
        weights_file.read(tmp_path / "int.pt")


def test_weights_of_another_model(tmp_path: Path) -> None:
    missing = {name: value for name, value in named().items() if name != "fc2.bias"}
    with pytest.raises(WeightsFileError, match=r"lack fc2\.bias: the model has fc1\.weight, fc1\.bias"):
        weights_file.flat(MODEL, missing)
    with pytest.raises(WeightsFileError, match=r"have .fc3\.bias., which the model does not"):
        weights_file.flat(MODEL, {**named(), "fc3.bias": FLAT})
    with pytest.raises(WeightsFileError, match=r"fc1.weight has the shape \(4, 3\), the model's \(3, 4\)"):
        weights_file.flat(MODEL, {**named(), "fc1.weight": named()["fc1.weight"].T})
    with pytest.raises(WeightsFileError, match="not finite"):
        weights_file.flat(MODEL, {**named(), "fc2.bias": np.array([0, np.inf], np.float32)})
    save_file(named(), tmp_path / "theirs.safetensors")
    assert np.array_equal(weights_file.flat(MODEL, weights_file.read(tmp_path / "theirs.safetensors")), FLAT)
