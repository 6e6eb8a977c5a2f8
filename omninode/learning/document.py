"""The session document: what a data owner must know to train, content-addressed and bounded. No torch here.

The contract holds only SHA-256 of ``SessionDocument.encode()``; the bytes are served peer to peer (design: MARKET).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import msgpack

from omninode.learning.fields import bounded_integer, bounded_real, fail, mapping
from omninode.learning.model_spec import ForeignModel, Model, ModelSpec
from omninode.learning.public_part import PublicPart, choose

FORMAT = 2
MAX_BYTES = 1 << 16
UNIT_LR = 1 << 16
"""A server learning rate of 1."""


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """Local training: plain SGD with momentum on the cross entropy, shuffled each epoch, last short batch kept."""

    lr: float
    momentum: float
    batch: int
    epochs: int

    def __post_init__(self) -> None:
        bounded_real("train.lr", self.lr, 1e-9, 10.0)
        bounded_real("train.momentum", self.momentum, 0.0, 0.9999)
        bounded_integer("train.batch", self.batch, 1, 1 << 20)
        bounded_integer("train.epochs", self.epochs, 1, 10_000)


@dataclass(frozen=True, slots=True)
class Perturbation:
    """What a data owner must know of a perturbed model (OmniLytics+, Yang et al. 2022).

    noise: r^a, one public number for each class.  bounds: the L2 bound of each of its three vectors (gradient, sigma,
    beta), real numbers; vector i is divided by bounds[i] before all three are bounded together.
    """

    noise: tuple[float, ...]
    bounds: tuple[float, float, float]

    def __post_init__(self) -> None:
        for field, values, counts in (("noise", self.noise, range(1, MAX_BYTES)), ("bounds", self.bounds, (3,))):
            if type(values) is not tuple or len(values) not in counts:
                raise fail(f"perturbation.{field} has the wrong length")
            for value in values:
                bounded_real(f"perturbation.{field}", value, 1e-9, 1e12)


VECTORS = 3
"""How many vectors a data owner uploads for a perturbed model."""


@dataclass(frozen=True, slots=True)
class SessionDocument:
    """Everything public about a session's learning task.

    weights: SHA-256 (32 bytes) of the published weights, float32 little-endian: those of the public layers in the order
    of ``model.tensors``.  public_layers: names, in the model's order; () stands for all.  initial: SHA-256 of all
    weights of the public initial model W0, from whose private layers every data owner starts; b"" where all is public.
    min_samples: M0, fewest samples a data owner may train on.  frac_bits, bound: fixed point; bound is the integer
    L2 bound floor(B * 2**frac_bits).  seed: makes local training reproducible, see ``training_seed``.
    perturbation: of a perturbed model, else None.  server_lr: what the mean update is multiplied by, in 1/65536.
    follows: the owner's session from whose public outcome bound and server_lr are computed; 0: they are its own choice.
    Raises ValueError with a sentence naming the field.
    """

    model: Model
    weights: bytes
    train: TrainSpec
    min_samples: int
    frac_bits: int
    bound: int
    seed: int = 0
    public_layers: tuple[str, ...] = ()
    initial: bytes = b""
    perturbation: Perturbation | None = None
    server_lr: int = UNIT_LR
    follows: int = 0
    format: int = FORMAT

    def __post_init__(self) -> None:
        if type(self.format) is not int or self.format != FORMAT:
            raise fail(_other(self.format))
        if type(self.weights) is not bytes or len(self.weights) != 32:
            raise fail("weights must be the 32 bytes of a SHA-256 digest")
        bounded_integer("min_samples", self.min_samples, 1, 1 << 32)
        bounded_integer("frac_bits", self.frac_bits, 1, 48)
        bounded_integer("bound", self.bound, 1, 1 << 61)
        bounded_integer("seed", self.seed, 0, (1 << 63) - 1)
        bounded_integer("server_lr", self.server_lr, 1, 16 * UNIT_LR)
        bounded_integer("follows", self.follows, 0, (1 << 63) - 1)
        self._check_public()
        if self.perturbation is not None:
            self._check_perturbed()

    def _check_public(self) -> None:
        layers = self.public_layers
        if type(layers) is not tuple or not all(type(name) is str for name in layers):
            raise fail("public_layers must be names")
        if layers and choose(self.model, layers).layers != layers:
            raise fail("public_layers must name each layer once, in the order of the model")
        if type(self.initial) is not bytes or len(self.initial) != (32 if layers else 0):
            raise fail("initial must be the 32 bytes of a SHA-256 digest where layers are private, else empty")

    def _check_perturbed(self) -> None:
        assert self.perturbation is not None
        if not isinstance(self.model, ModelSpec) or self.model.bias:
            raise fail("only an mlp or cnn without biases can be perturbed")
        if self.public_layers:
            raise fail("a perturbed model is published whole: public_layers must be empty")
        if len(self.perturbation.noise) != self.model.classes:
            raise fail(f"perturbation.noise needs {self.model.classes} numbers, one for each class")

    @property
    def part(self) -> PublicPart:
        """Which of the model's parameters are published."""
        return choose(self.model, self.public_layers or None)

    @property
    def parameters(self) -> int:
        """Dimension d of an update."""
        return self.part.dimension * (VECTORS if self.perturbation is not None else 1)

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
            raise fail(f"{len(data)} bytes are more than {MAX_BYTES}")
        try:
            raw = msgpack.unpackb(data, strict_map_key=True, use_list=False)
        except (ValueError, msgpack.UnpackException, RecursionError) as error:
            raise fail(f"not MessagePack ({type(error).__name__})") from None
        if isinstance(raw, dict) and raw.get("format") != FORMAT:
            raise fail(_other(raw.get("format")))
        fields = mapping("the document", raw, {*cls.__dataclass_fields__, "parameters"})
        parameters = fields.pop("parameters")
        model = unpack_model(fields.pop("model"))
        train = TrainSpec(**mapping("train", fields.pop("train"), {*TrainSpec.__dataclass_fields__}))
        hidden = fields.pop("perturbation")
        if hidden is not None:
            hidden = Perturbation(**mapping("perturbation", hidden, {*Perturbation.__dataclass_fields__}))
        document = cls(model=model, train=train, perturbation=hidden, **fields)
        if type(parameters) is not int or parameters != document.parameters:
            raise fail(f"parameters says {parameters!r:.40}, the document makes {document.parameters}")
        if document.encode() != data:
            raise fail("the bytes are not in canonical form")
        return document


def _other(found: Any) -> str:
    why = "a session ends with the version of omninode that it began with"
    return f"format {found!r:.40} is unknown; this node reads format {FORMAT} ({why})"


def unpack_model(raw: Any) -> Model:
    """The architecture from its map, as ``dataclasses.asdict`` makes it. Raises ValueError."""
    kind: type[ModelSpec] | type[ForeignModel] = (
        ForeignModel if isinstance(raw, dict) and "layout" in raw else ModelSpec
    )
    return kind(**mapping("model", raw, {*kind.__dataclass_fields__}))


def training_seed(document: SessionDocument, party: bytes) -> int:
    """Seed of one party's local training in one session, below 2**63; ``party`` is its wallet address."""
    tagged = b"omninode training seed" + document.seed.to_bytes(8, "big") + party
    return int.from_bytes(hashlib.sha256(tagged).digest()[:8], "big") >> 1


def _sorted(value: Any) -> Any:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value
