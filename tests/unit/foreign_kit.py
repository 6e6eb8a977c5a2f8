"""Exported models, honest and hostile, for the tests of foreign models."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Change = Callable[[dict[str, bytes]], None]
GRAPH = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
SAMPLES = "data/sample_inputs/model.pt"


class Small(nn.Module):
    """A convolution with everything that an exported graph can hold of a constant, dropout and in-place operators."""

    def __init__(self, side: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * (side // 2) ** 2, 10)
        self.register_buffer("scale", torch.full((4, 1, 1), 1.5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.conv(x))) * self.scale
        x = nn.functional.max_pool2d(x, 2)
        x += 0.25
        x = self.drop(x.view(x.size(0), -1))
        logits: Tensor = self.fc(x)
        return logits


class Attention(nn.Module):
    """Tokens, an embedding, a transformer layer with a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.triu(torch.full((x.shape[1], x.shape[1]), float("-inf")), 1)
        logits: Tensor = self.fc(self.layer(self.embed(x), src_mask=mask).mean(1))
        return logits


class Normed(nn.Module):
    """With the layer that is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.norm(x))
        return logits


def export(module: nn.Module, sample: Tensor, fixed: bool = False) -> bytes:
    """The bytes that torch.export.save writes; sample (2, ...)."""
    shapes = None if fixed else ({0: torch.export.Dim("batch")},)
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module, (sample,), dynamic_shapes=shapes), buffer)
    return buffer.getvalue()


def entries(data: bytes) -> dict[str, bytes]:
    """The entries without their folder."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def archive(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED, root: str = "archive/") -> bytes:
    """The file with these entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, content in files.items():
            made.writestr(root + name, content)
    return buffer.getvalue()


def changed(data: bytes, name: str, change: Callable[[Any], Any]) -> bytes:
    """The file with one JSON entry changed in place."""
    files = entries(data)
    raw = json.loads(files[name])
    change(raw)
    return archive({**files, name: json.dumps(raw).encode()})


def nodes(raw: Any) -> Any:
    """The steps of a graph's JSON."""
    return raw["graph_module"]["graph"]["nodes"]


class Bomb:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def malicious(path: Path) -> bytes:
    """A pickle in torch's format that makes the folder ``path``."""
    buffer = io.BytesIO()
    torch.save(Bomb(path), buffer)
    return buffer.getvalue()


def malicious_plain(path: Path) -> bytes:
    """The same as a bare pickle."""
    return pickle.dumps(Bomb(path))
