"""A data owner's task where the owner keeps layers to itself: what it fetches, how large, and what it refuses."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from omninode.learning import data as local_data
from omninode.learning.document import SessionDocument
from omninode.learning.jobs import Result
from omninode.learning.presets import DIGITS, MNIST
from omninode.learning.public_part import choose
from omninode.roles.data_owner import DataOwner
from omninode.roles.session_task import UNUSABLE, Refused, Task
from protocols.sessions.params import Mode
from protocols.sessions.view import SessionView
from tests.unit.test_roles_verified import services, view_of  # noqa: F401

PART = choose(DIGITS.model, ("fc2", "fc3"))
PUBLISHED = np.arange(PART.dimension, dtype="<f4").tobytes()
INITIAL = np.zeros(PART.total, dtype="<f4").tobytes()


class Owner:
    """The owner's node: its blobs by digest, and how large a data owner was ready to take each."""

    def __init__(self, *blobs: bytes) -> None:
        self.blobs = {hashlib.sha256(blob).digest(): blob for blob in blobs}
        self.asked: list[int] = []

    async def blob(self, view: Any, digest: bytes, max_size: int) -> bytes:
        self.asked.append(max_size)
        return self.blobs[digest]


async def tried(jobs: Any, *, trial: bool, limit_s: float) -> list[Result]:
    return [Result()]


def split(weights: bytes = PUBLISHED, initial: bytes = INITIAL, **changes: Any) -> SessionDocument:
    digests = {"weights": hashlib.sha256(weights).digest(), "initial": hashlib.sha256(initial).digest()}
    plain = SessionDocument(DIGITS.model, bytes(32), DIGITS.train, 50, 16, 1 << 18)
    return replace(plain, **{"public_layers": PART.layers, **digests, **changes})


def offered(services: Any, document: SessionDocument, *blobs: bytes, **changes: Any) -> tuple[Any, Owner, SessionView]:  # noqa: F811
    """The role, the owner's node, and the session as the chain shows it."""
    role: Any = DataOwner(services)
    node = Owner(document.encode(), *blobs)
    role.tasks.blob = node.blob
    services.trainer = SimpleNamespace(run=tried)
    named = {"doc_digest": document.digest(), "dimension": document.parameters, "bound": document.bound}
    return role, node, view_of(Mode.VERIFIED, **{**named, "frac_bits": document.frac_bits, **changes})


async def test_it_fetches_w0_and_the_published_part(services: Any) -> None:  # noqa: F811
    document = split()
    role, node, view = offered(services, document, PUBLISHED, INITIAL)
    assert await role._task(view) == Task(document, PUBLISHED, INITIAL)
    assert node.asked[1:] == [4 * PART.dimension, 4 * PART.total]


async def test_it_trains_from_both(services: Any) -> None:  # noqa: F811
    seen: list[Any] = []

    async def train(*args: Any, initial: bytes, limit_s: float) -> np.ndarray[Any, Any]:
        seen.extend((*args, initial))
        return np.full(PART.dimension, 0.001, np.float32)

    document = split()
    role, _, _ = offered(services, document)
    services.trainer = type("T", (), {"train": staticmethod(train)})()
    services.wallet.address = b"d" * 20
    update = await role._train(4, Task(document, PUBLISHED, INITIAL))
    assert (seen[0], seen[1], seen[4]) == (document, PUBLISHED, INITIAL)
    assert update.shape == (PART.dimension,)
    assert set(update.tolist()) <= {65, 66}  # 0.001 * 2^16


@pytest.mark.parametrize(
    ("weights", "initial", "words"),
    [
        (PUBLISHED[:-4], INITIAL, f"weights are {4 * PART.dimension - 4} bytes, expected {4 * PART.dimension}"),
        (INITIAL, INITIAL, f"weights are {4 * PART.total} bytes, expected {4 * PART.dimension}"),
        (PUBLISHED, PUBLISHED, f"initial weights are {4 * PART.dimension} bytes, expected {4 * PART.total}"),
    ],
)
async def test_weights_of_another_size_are_refused(
    services: Any,  # noqa: F811
    weights: bytes,
    initial: bytes,
    words: str,
) -> None:
    role, _, view = offered(services, split(weights, initial), weights, initial)
    with pytest.raises(Refused, match=words):
        await role._task(view)


async def test_a_document_whose_part_is_not_what_the_chain_says(services: Any) -> None:  # noqa: F811
    role, _, view = offered(services, split(), PUBLISHED, INITIAL, dimension=PART.total)
    with pytest.raises(Refused, match="document has 1840 parameters, the chain says 5090"):
        await role._task(view)


async def test_data_of_another_architecture(services: Any, tmp_path: Path) -> None:  # noqa: F811
    weights, initial = bytes(4 * 5701), bytes(4 * 36_697)
    document = split(weights, initial, model=MNIST.model, public_layers=("conv2", "fc2", "fc3"))
    role, _, view = offered(services, document, weights, initial)
    with pytest.raises(local_data.DataError, match="64 features per sample, the model takes 784"):
        await role._task(view)


async def test_another_document_than_the_chain_names(services: Any) -> None:  # noqa: F811
    role, node, view = offered(services, split(), PUBLISHED, INITIAL)
    node.blobs[view.p.doc_digest] = b"\xc1"
    with pytest.raises(UNUSABLE, match="session document: "):
        await role._task(view)
