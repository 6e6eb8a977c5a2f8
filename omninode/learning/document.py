"""The session document: what a data owner must know to train, content-addressed and bounded. No torch here.

The contract holds only SHA-256 of ``SessionDocument.encode()``; the bytes are served peer to peer (design: MARKET).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import Any

import msgpack

FORMAT = 1
MAX_BYTES = 4096
MAX_PARAMETERS = 1 << 26
_MAX_WIDTH = 1 << 20
_KERNEL = 5


def _fail(sentence: str) -> ValueError:
    return ValueError(f"session document: {sentence}")


def _integer(name: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise _fail(f"{name} must be an integer from {low} to {high}, not {value!r:.40}")
    return value


def _real(name: str, value: Any, low: float, high: float) -> float:
    if type(value) is not float or not low <= value <= high:
        raise _fail(f"{name} must be a float from {low} to {high}, not {value!r:.40}")
    return value


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Architecture of a model.

    name "mlp": layers are the widths, input first, classes last; ReLU between.
    name "cnn": layers are (channels 1, channels 2, hidden 1, hidden 2, classes): two 5x5 convolutions, each with ReLU
    and 2x2 max-pooling, then three linear layers (OmniLytics 2021).
    shape: of one sample, (features,) for "mlp", (channels, side, side) for "cnn".
    Raises ValueError if the numbers do not describe a model of at most 2**26 parameters.
    """

    name: str
    layers: tuple[int, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.name not in ("mlp", "cnn"):
            raise _fail(f'model.name must be "mlp" or "cnn", not {self.name!r:.40}')
        for field, values in (("layers", self.layers), ("shape", self.shape)):
            if type(values) is not tuple or not 1 <= len(values) <= 16:
                raise _fail(f"model.{field} must be 1 to 16 integers")
            for value in values:
                _integer(f"model.{field}", value, 1, _MAX_WIDTH)
        if self.name == "mlp" and (len(self.layers) < 2 or self.shape != self.layers[:1]):
            raise _fail("an mlp needs two or more layers, the first as wide as a sample")
        if self.name == "cnn" and (len(self.layers) != 5 or len(self.shape) != 3 or self.flat_side < 1):
            raise _fail("a cnn needs five layers and samples of shape (channels, side, side), side = 4 k >= 16")
        if self.parameters > MAX_PARAMETERS:
            raise _fail(f"{self.parameters} parameters are more than {MAX_PARAMETERS}")

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
    def tensors(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes of the parameters in state_dict order: the order of the flat weight vector."""
        shapes: list[tuple[str, tuple[int, ...]]] = []
        widths = self.layers
        if self.name == "cnn":
            first, second, *rest = self.layers
            shapes += [
                ("conv1", (first, self.shape[0], _KERNEL, _KERNEL)),
                ("conv2", (second, first, _KERNEL, _KERNEL)),
            ]
            widths = (second * self.flat_side**2, *rest)
        shapes += [(f"linear{i + 1}", (widths[i + 1], widths[i])) for i in range(len(widths) - 1)]
        return [pair for name, shape in shapes for pair in ((f"{name}.weight", shape), (f"{name}.bias", shape[:1]))]

    @property
    def parameters(self) -> int:
        """Length d of the flat weight vector."""
        return sum(math.prod(shape) for _, shape in self.tensors)


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """Local training: plain SGD with momentum on the cross entropy, shuffled each epoch, last short batch kept."""

    lr: float
    momentum: float
    batch: int
    epochs: int

    def __post_init__(self) -> None:
        _real("train.lr", self.lr, 1e-9, 10.0)
        _real("train.momentum", self.momentum, 0.0, 0.9999)
        _integer("train.batch", self.batch, 1, 1 << 20)
        _integer("train.epochs", self.epochs, 1, 10_000)


@dataclass(frozen=True, slots=True)
class SessionDocument:
    """Everything public about a session's learning task.

    weights: SHA-256 (32 bytes) of the weights blob, float32 little-endian in the order of ``model.tensors``.
    min_samples: M0, fewest samples a data owner may train on.  frac_bits, bound: fixed point; bound is the integer
    L2 bound floor(B * 2**frac_bits).  seed: makes local training reproducible, see ``training_seed``.
    Raises ValueError with a sentence naming the field.
    """

    model: ModelSpec
    weights: bytes
    train: TrainSpec
    min_samples: int
    frac_bits: int
    bound: int
    seed: int = 0
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise _fail(f"format {self.format!r:.40} is unknown; this node reads format {FORMAT}")
        if type(self.weights) is not bytes or len(self.weights) != 32:
            raise _fail("weights must be the 32 bytes of a SHA-256 digest")
        _integer("min_samples", self.min_samples, 1, 1 << 32)
        _integer("frac_bits", self.frac_bits, 1, 48)
        _integer("bound", self.bound, 1, 1 << 61)
        _integer("seed", self.seed, 0, (1 << 63) - 1)

    @property
    def parameters(self) -> int:
        """Dimension d of an update."""
        return self.model.parameters

    @property
    def features(self) -> int:
        """Numbers in one sample."""
        return self.model.features

    @property
    def classes(self) -> int:
        """Number of labels."""
        return self.model.classes

    @property
    def norm_bound(self) -> float:
        """B, the L2 bound of an update as a real number: bound / 2**frac_bits."""
        return self.bound / float(2**self.frac_bits)

    def encode(self) -> bytes:
        """Canonical bytes: one MessagePack map, keys sorted at every level."""
        packed: bytes = msgpack.packb(_sorted({**asdict(self), "parameters": self.parameters}))
        return packed

    def digest(self) -> bytes:
        """SHA-256 of ``encode()``: what the contract holds."""
        return hashlib.sha256(self.encode()).digest()

    @classmethod
    def decode(cls, data: bytes) -> SessionDocument:
        """Read canonical bytes. Raises ValueError, saying what is wrong, for anything ``encode`` cannot have made."""
        if len(data) > MAX_BYTES:
            raise _fail(f"{len(data)} bytes are more than {MAX_BYTES}")
        try:
            raw = msgpack.unpackb(data, strict_map_key=True, use_list=False)
        except (ValueError, msgpack.UnpackException, RecursionError) as error:
            raise _fail(f"not MessagePack ({type(error).__name__})") from None
        fields = _mapping("the document", raw, {*cls.__dataclass_fields__, "parameters"})
        parameters = fields.pop("parameters")
        model = ModelSpec(**_mapping("model", fields.pop("model"), {*ModelSpec.__dataclass_fields__}))
        train = TrainSpec(**_mapping("train", fields.pop("train"), {*TrainSpec.__dataclass_fields__}))
        document = cls(model=model, train=train, **fields)
        if type(parameters) is not int or parameters != model.parameters:
            raise _fail(f"parameters says {parameters!r:.40}, the model has {model.parameters}")
        if document.encode() != data:
            raise _fail("the bytes are not in canonical form")
        return document


def training_seed(document: SessionDocument, party: bytes) -> int:
    """Seed of one party's local training in one session, below 2**63; ``party`` is its wallet address."""
    tagged = b"omninode training seed" + document.seed.to_bytes(8, "big") + party
    return int.from_bytes(hashlib.sha256(tagged).digest()[:8], "big") >> 1


def _mapping(where: str, value: Any, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _fail(f"{where} must be a map")
    if unknown := sorted(str(key)[:40] for key in value.keys() - keys):
        raise _fail(f"{where} has the unknown field {unknown[0]!r}")
    if missing := sorted(keys - value.keys()):
        raise _fail(f"{where} lacks the field {missing[0]!r}")
    return dict(value)


def _sorted(value: Any) -> Any:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value
