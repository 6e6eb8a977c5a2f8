"""Architectures that a session document can name: two families of our own, and models that somebody else wrote.

Tensors come in state_dict order; a layer is what its tensors' names have before the last dot ("conv2", "block.fc").
No torch here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from omninode.learning.fields import bounded_integer, fail

MAX_PARAMETERS = 1 << 26
MAX_FEATURES = 1 << 24
MAX_FILE = 1 << 29
"""Bytes of an exported model."""
_MAX_WIDTH = 1 << 20
_MAX_TENSORS = 512
_KERNEL = 5
_NAME_LENGTH = 100
_PAPER_ORDER = ("fc3", "conv2", "fc2", "conv1", "fc1")

Tensors = list[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Architecture of a model.

    name "mlp": layers are the widths, input first, classes last; ReLU between.
    name "cnn": layers are (channels 1, channels 2, hidden 1, hidden 2, classes): two 5x5 convolutions, each with ReLU
    and 2x2 max-pooling, then three linear layers (OmniLytics 2021).
    shape: of one sample, (features,) for "mlp", (channels, side, side) for "cnn".
    bias: without it only weights, as ``perturb`` needs.  Linear layers are fc1, fc2 and so on.
    Raises ValueError if the numbers do not describe a model of at most 2**26 parameters.
    """

    name: str
    layers: tuple[int, ...]
    shape: tuple[int, ...]
    bias: bool = True

    def __post_init__(self) -> None:
        if type(self.bias) is not bool:
            raise fail("model.bias must be true or false")
        if self.name not in ("mlp", "cnn"):
            raise fail(f'model.name must be "mlp" or "cnn", not {self.name!r:.40}')
        for field, values in (("layers", self.layers), ("shape", self.shape)):
            if type(values) is not tuple or not 1 <= len(values) <= 16:
                raise fail(f"model.{field} must be 1 to 16 integers")
            for value in values:
                bounded_integer(f"model.{field}", value, 1, _MAX_WIDTH)
        if self.name == "mlp" and (len(self.layers) < 2 or self.shape != self.layers[:1]):
            raise fail("an mlp needs two or more layers, the first as wide as a sample")
        if self.name == "cnn" and (len(self.layers) != 5 or len(self.shape) != 3 or self.flat_side < 1):
            raise fail("a cnn needs five layers and samples of shape (channels, side, side), side = 4 k >= 16")
        if self.parameters > MAX_PARAMETERS:
            raise fail(f"{self.parameters} parameters are more than {MAX_PARAMETERS}")

    @property
    def flat_side(self) -> int:
        """Side of the image after both convolutions and poolings ("cnn" only); 0 if it does not come out even."""
        side = self.shape[1]
        fits = side == self.shape[2] and side % 4 == 0 and side >= 16
        return ((side - _KERNEL + 1) // 2 - _KERNEL + 1) // 2 if fits else 0

    @property
    def features(self) -> int:
        """Numbers in one sample, flattened."""
        return math.prod(self.shape)

    @property
    def classes(self) -> int:
        """Labels run from 0 to classes - 1."""
        return self.layers[-1]

    @property
    def tensors(self) -> Tensors:
        """Names and shapes of the parameters in state_dict order: the order of the flat weight vector."""
        shapes: Tensors = []
        widths = self.layers
        if self.name == "cnn":
            first, second, *rest = self.layers
            shapes += [
                ("conv1", (first, self.shape[0], _KERNEL, _KERNEL)),
                ("conv2", (second, first, _KERNEL, _KERNEL)),
            ]
            widths = (second * self.flat_side**2, *rest)
        shapes += [(f"fc{i + 1}", (widths[i + 1], widths[i])) for i in range(len(widths) - 1)]
        kinds = ("weight", "bias") if self.bias else ("weight",)
        return [
            (f"{name}.{kind}", shape if kind == "weight" else shape[:1]) for name, shape in shapes for kind in kinds
        ]

    @property
    def parameters(self) -> int:
        """Length d of the flat weight vector."""
        return sum(math.prod(shape) for _, shape in self.tensors)

    @property
    def publishing_order(self) -> tuple[str, ...]:
        """Layers in the order in which a count of public layers takes them: of a "cnn" the paper's, else from the end.

        With it a "cnn" on MNIST publishes .71, 7.29, 15.54 and 15.96 % (OmniLytics 2021, public layers 1 to 4).
        """
        return _PAPER_ORDER if self.name == "cnn" else layers_of(self.tensors)[::-1]


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A ``torch.nn.Module`` that is not ours.

    kind "module": source is an import path, "package.module:Callable", that each node must have and allow.
    kind "export": source is the SHA-256, in hex, of a ``torch.export`` file that the owner's node serves.
    size: of that file in bytes, 0 for "module".  shape: of one sample.  classes: labels run from 0 to classes - 1.
    layout: names and shapes of its parameters in state_dict order. Raises ValueError for anything else.
    """

    kind: str
    source: str
    size: int
    shape: tuple[int, ...]
    classes: int
    layout: tuple[tuple[str, tuple[int, ...]], ...]

    def __post_init__(self) -> None:
        if self.kind not in ("module", "export"):
            raise fail(f'model.kind must be "module" or "export", not {self.kind!r:.40}')
        if not _printable(self.source, 2 * _NAME_LENGTH):
            raise fail("model.source must be a short text of printable ASCII")
        if self.kind == "export" and not (len(self.source) == 64 and set(self.source) <= set("0123456789abcdef")):
            raise fail("model.source of an exported model must be a SHA-256 digest in hex")
        bounded_integer("model.size", self.size, *((1, MAX_FILE) if self.kind == "export" else (0, 0)))
        bounded_integer("model.classes", self.classes, 2, _MAX_WIDTH)
        _check_shape("model.shape", self.shape)
        if type(self.layout) is not tuple or not 1 <= len(self.layout) <= _MAX_TENSORS:
            raise fail(f"model.layout must be 1 to {_MAX_TENSORS} tensors")
        for entry in self.layout:
            if type(entry) is not tuple or len(entry) != 2:
                raise fail("model.layout must be pairs of a name and a shape")
            if not _printable(entry[0], _NAME_LENGTH):
                raise fail(f"model.layout has the name {entry[0]!r:.40}: wanted 1 to {_NAME_LENGTH} of printable ASCII")
            _check_shape(f"model.layout[{entry[0]}]", entry[1])
        if len({name for name, _ in self.layout}) != len(self.layout):
            raise fail("model.layout names a tensor twice")
        if self.parameters > MAX_PARAMETERS:
            raise fail(f"{self.parameters} parameters are more than {MAX_PARAMETERS}")
        if self.features > MAX_FEATURES:
            raise fail(f"{self.features} numbers in a sample are more than {MAX_FEATURES}")

    @property
    def features(self) -> int:
        """Numbers in one sample, flattened."""
        return math.prod(self.shape)

    @property
    def tensors(self) -> Tensors:
        """Names and shapes of the parameters: the order of the flat weight vector."""
        return list(self.layout)

    @property
    def parameters(self) -> int:
        """Length of the flat weight vector."""
        return sum(math.prod(shape) for _, shape in self.layout)

    @property
    def publishing_order(self) -> tuple[str, ...]:
        """Layers in the order in which a count of public layers takes them: from the end."""
        return layers_of(self.tensors)[::-1]


Model = ModelSpec | ForeignModel


def layers_of(tensors: Tensors) -> tuple[str, ...]:
    """Names of the layers, in the order of their first tensors."""
    return tuple(dict.fromkeys(layer_of(name) for name, _ in tensors))


def layer_of(tensor: str) -> str:
    """The layer of a tensor: its name up to the last dot, or all of it."""
    return tensor.rpartition(".")[0] or tensor


def _printable(text: Any, most: int) -> bool:
    """Whether it can be shown on a terminal: names are a stranger's."""
    return type(text) is str and 0 < len(text) <= most and text.isascii() and text.isprintable()


def _check_shape(field: str, shape: Any) -> None:
    if type(shape) is not tuple or len(shape) > 16:
        raise fail(f"{field} must be at most 16 integers")
    for side in shape:
        bounded_integer(field, side, 1, _MAX_WIDTH)
