"""The session document: canonical bytes, and a clear sentence for everything else."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict, replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.learning.document import MAX_BYTES, UNIT_LR, Perturbation, SessionDocument, TrainSpec, training_seed
from omninode.learning.model_spec import MAX_FILE, ForeignModel, ModelSpec
from omninode.learning.presets import DIGITS, MNIST, PRESETS

DOCUMENT = SessionDocument(
    model=DIGITS.model, weights=bytes(range(32)), train=DIGITS.train, min_samples=50, frac_bits=16, bound=98304, seed=7
)


def raw(document: SessionDocument = DOCUMENT, **changes: Any) -> dict[str, Any]:
    """The map inside a document's bytes, changed; a value of ... deletes the key; "a__b" reaches into a map."""
    fields: dict[str, Any] = {**asdict(document), "parameters": document.parameters}
    for key, value in changes.items():
        inner, _, leaf = key.rpartition("__")
        target = fields[inner] if inner else fields
        if value is ...:
            del target[leaf]
        else:
            target[leaf] = value
    return fields


def pack(fields: Any) -> bytes:
    """Canonical MessagePack of any value."""
    if isinstance(fields, dict):
        ordered = {k: fields[k] for k in sorted(fields)}
        fields = {k: dict(sorted(v.items())) if isinstance(v, dict) else v for k, v in ordered.items()}
    packed: bytes = msgpack.packb(fields)
    return packed


def test_the_models_of_the_papers_have_their_size() -> None:
    assert DIGITS.model.parameters == 5090
    assert MNIST.model.parameters == 36_697
    assert [name for name, _ in MNIST.model.tensors][:4] == ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"]
    assert dict(MNIST.model.tensors)["fc1.weight"] == (120, 256)


def test_round_trip_and_digest() -> None:
    data = DOCUMENT.encode()
    assert SessionDocument.decode(data) == DOCUMENT
    assert DOCUMENT.digest() == hashlib.sha256(data).digest()
    assert (DOCUMENT.parameters, DOCUMENT.features, DOCUMENT.classes) == (5090, 64, 10)
    assert DOCUMENT.norm_bound == 1.5
    assert data == pack(raw())


SPLIT = replace(DOCUMENT, public_layers=("fc2", "fc3"), initial=b"i" * 32)
FOREIGN = ForeignModel("export", "ab" * 32, 1000, (4, 4), 3, (("fc.weight", (3, 16)), ("fc.bias", (3,))))
BARE = replace(DIGITS.model, bias=False)
PERTURBED = replace(DOCUMENT, model=BARE, perturbation=Perturbation((0.5,) * 10, (1.0, 2.0, 3.0)))


@pytest.mark.parametrize(
    ("document", "parameters"),
    [
        (SPLIT, 1530 + 310),
        (replace(SPLIT, public_layers=("fc1",)), 3250),
        (replace(DOCUMENT, model=FOREIGN), 51),
        (replace(DOCUMENT, model=replace(FOREIGN, kind="module", source="a.b:C", size=0)), 51),
        (PERTURBED, 3 * (64 * 50 + 50 * 30 + 30 * 10)),
        (replace(DOCUMENT, server_lr=UNIT_LR // 2, follows=7), 5090),
    ],
    ids=["split", "one layer", "export", "module", "perturbed", "tuned"],
)
def test_other_documents_survive(document: SessionDocument, parameters: int) -> None:
    assert SessionDocument.decode(document.encode()) == document
    assert document.parameters == parameters


def test_a_split_document_knows_its_public_part() -> None:
    assert SPLIT.part.layers == ("fc2", "fc3")
    assert DOCUMENT.part.whole


@pytest.mark.parametrize(
    ("document", "changes", "words"),
    [
        (SPLIT, {"public_layers": ["fc9"]}, "there is no layer 'fc9': the model has the layers fc1, fc2, fc3"),
        (SPLIT, {"public_layers": ["fc3", "fc2"]}, "each layer once, in the order of the model"),
        (SPLIT, {"public_layers": ["fc2", "fc2", "fc3"]}, "each layer once, in the order of the model"),
        (SPLIT, {"public_layers": "fc2"}, "public_layers must be names"),
        (SPLIT, {"public_layers": [1]}, "public_layers must be names"),
        (SPLIT, {"public_layers": []}, "initial must be the 32 bytes of a SHA-256 digest where layers are private"),
        (SPLIT, {"initial": b""}, "initial must be the 32 bytes"),
        (SPLIT, {"initial": "i" * 32}, "initial must be the 32 bytes"),
        (SPLIT, {"parameters": 5090}, "parameters says 5090, the document makes 1840"),
        (DOCUMENT, {"server_lr": 0}, "server_lr must be an integer from 1"),
        (DOCUMENT, {"server_lr": 1.0}, "server_lr must be an integer"),
        (DOCUMENT, {"follows": -1}, "follows must be an integer"),
        (DOCUMENT, {"perturbation": {"noise": [0.5] * 10, "bounds": [1.0] * 3}}, "without biases"),
        (PERTURBED, {"perturbation__noise": [0.5] * 9}, "needs 10 numbers"),
        (PERTURBED, {"perturbation__noise": [0.5] * 9 + [float("nan")]}, "perturbation.noise must be a float"),
        (PERTURBED, {"perturbation__bounds": [1.0] * 2}, "perturbation.bounds has the wrong length"),
        (PERTURBED, {"public_layers": ["fc3"], "initial": b"i" * 32}, "is published whole"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "kind": "pickle"}}, 'model.kind must be "module" or "export"'),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "source": "up.pt2"}}, "SHA-256 digest in hex"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "size": 0}}, "model.size"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "classes": 1}}, "model.classes"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "layout": []}}, "model.layout must be 1 to"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "layout": [["a", [1]], ["a", [1]]]}}, "names a tensor twice"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "layout": [["a", [0]]]}}, "model.layout[a]"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "layout": [["a"]]}}, "pairs of a name and a shape"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "layout": [["a", [1 << 20, 1 << 10]]]}}, "are more than"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "size": MAX_FILE + 1}}, "model.size must be an integer from 1 to"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "layout": [["a\x1b]0;x\x07.weight", [1]]]}}, "of printable ASCII"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "layout": [["caf\xe9.weight", [1]]]}}, "of printable ASCII"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "kind": "module", "source": "a:b\n", "size": 0}}, "printable ASCII"),
        (DOCUMENT, {"model": {**asdict(FOREIGN), "shape": [1 << 20] * 16}}, "numbers in a sample are more than"),
        (PERTURBED, {"perturbation__noise": 5}, "perturbation.noise has the wrong length"),
        (DOCUMENT, {"format": 2.0}, "format 2.0 is unknown"),
        (DOCUMENT, {"model__bias": 1}, "model.bias must be true or false"),
    ],
)
def test_what_is_wrong_with_the_newer_fields_is_named(
    document: SessionDocument, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError) as caught:
        SessionDocument.decode(pack(raw(document, **changes)))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_make_documents_that_fit(preset: Any) -> None:
    document = SessionDocument(preset.model, bytes(32), preset.train, preset.min_samples, preset.frac_bits, 1 << 18)
    assert SessionDocument.decode(document.encode()) == document
    assert len(document.encode()) < MAX_BYTES
    assert preset.min_samples <= preset.party_samples


@given(
    lr=st.floats(1e-9, 10), momentum=st.floats(0, 0.9999), bound=st.integers(1, 1 << 61), seed=st.integers(0, 2**63 - 1)
)
def test_every_legal_document_survives(lr: float, momentum: float, bound: int, seed: int) -> None:
    document = replace(DOCUMENT, train=TrainSpec(lr, momentum, 10, 5), bound=bound, seed=seed)
    assert SessionDocument.decode(document.encode()) == document


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 1}, "format 1 is unknown; this node reads format 2"),
        ({"weights": b"short"}, "32 bytes"),
        ({"weights": "x" * 32}, "32 bytes"),
        ({"bound": 0}, "bound must be an integer from 1"),
        ({"bound": True}, "bound must be an integer"),
        ({"bound": 1.5}, "bound must be an integer"),
        ({"frac_bits": 49}, "frac_bits"),
        ({"min_samples": -1}, "min_samples"),
        ({"seed": 1 << 63}, "seed"),
        ({"parameters": 5091}, "parameters says 5091, the document makes 5090"),
        ({"parameters": ...}, "lacks the field 'parameters'"),
        ({"surplus": 1}, "unknown field 'surplus'"),
        ({"train": []}, "train must be a map"),
        ({"train__lr": float("nan")}, "train.lr"),
        ({"train__lr": 1}, "train.lr must be a float"),
        ({"train__momentum": 1.0}, "train.momentum"),
        ({"train__epochs": 10**6}, "train.epochs"),
        ({"train__batch": 0}, "train.batch"),
        ({"model__name": "transformer"}, "model.name"),
        ({"model__layers": []}, "model.layers"),
        ({"model__layers": [64]}, "two or more layers"),
        ({"model__layers": [64, 0, 10]}, "model.layers"),
        ({"model__layers": ["64", 10]}, "model.layers"),
        ({"model__layers": [1 << 20, 1 << 20], "model__shape": [1 << 20]}, "are more than"),
        ({"model__shape": [8, 8]}, "as wide as a sample"),
        ({"model__name": "cnn"}, "five layers"),
        ({"model__name": "cnn", "model__layers": [6, 16, 120, 25, 10], "model__shape": [1, 27, 27]}, "side = 4 k"),
        ({"model__shape": 64}, "model.shape"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="session document: ") as caught:
        SessionDocument.decode(pack(raw(**changes)))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


def test_only_canonical_bytes_are_read() -> None:
    unsorted = msgpack.packb(dict(reversed(raw().items())))
    with pytest.raises(ValueError, match="canonical"):
        SessionDocument.decode(unsorted)
    with pytest.raises(ValueError, match="MessagePack"):
        SessionDocument.decode(DOCUMENT.encode() + b"\0")
    with pytest.raises(ValueError, match="more than 65536"):
        SessionDocument.decode(bytes(MAX_BYTES + 1))
    with pytest.raises(ValueError, match="must be a map"):
        SessionDocument.decode(msgpack.packb([1, 2]))


@given(st.binary(max_size=300))
def test_garbage_raises_value_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(ValueError, match="session document"):
        SessionDocument.decode(data)


SCALARS = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text() | st.binary()
ANYTHING = st.recursive(
    SCALARS | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary()) | st.just(msgpack.Timestamp(1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(st.data())
def test_whatever_stands_in_a_field_only_value_error_is_raised(data: st.DataObject) -> None:
    """Any value in any field, down to the numbers in its lists."""
    fields = raw(data.draw(st.sampled_from([SPLIT, PERTURBED, replace(DOCUMENT, model=FOREIGN)])))
    holder: Any = fields
    while True:
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        if isinstance(holder[key], tuple):
            holder[key] = list(holder[key])
        if not isinstance(holder[key], dict | list) or not holder[key] or data.draw(st.booleans()):
            break
        holder = holder[key]
    holder[key] = data.draw(ANYTHING)
    with contextlib.suppress(ValueError):
        SessionDocument.decode(pack(fields))


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_passes_as_the_same_document(position: int, value: int) -> None:
    data = bytearray(DOCUMENT.encode())
    data[position % len(data)] = value
    try:
        document = SessionDocument.decode(bytes(data))
    except ValueError:
        return
    assert (document == DOCUMENT) == (bytes(data) == DOCUMENT.encode())


def test_training_seeds_differ_by_party_and_session() -> None:
    seeds = {training_seed(replace(DOCUMENT, seed=s), party) for s in (1, 2) for party in (b"a" * 20, b"b" * 20)}
    assert len(seeds) == 4
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_specs_check_themselves() -> None:
    with pytest.raises(ValueError, match=r"model\.layers"):
        ModelSpec("mlp", [64, 10], (64,))  # type: ignore[arg-type]
    assert ModelSpec("cnn", (2, 3, 8, 8, 4), (3, 16, 16)).flat_side == 1
