"""The model owner's side of a perturbed session: fresh secrets, what is published, and the step from the opened sum."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trio

from omninode.errors import RefusedError
from omninode.learning import perturb
from omninode.learning import perturb_upload as upload
from omninode.learning.document import UNIT_LR, VECTORS, Perturbation, SessionDocument
from omninode.learning.jobs import Job
from omninode.learning.service import TrainingFailed
from omninode.learning.weights import digest as weights_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.learning.model_spec import Model
    from omninode.learning.perturb import Real, Secrets
    from omninode.roles.services import Services

_KEY = "perturb/"
_ONES = (1.0, 1.0, 1.0)
KNOWN = "these very weights were published unperturbed before: nothing is hidden until a session has changed them"


class LeadsNowhere(Exception):
    """A perturbed session's sum, which one data owner can have made so, gives no weights; the text says why."""


def unhidden(model: Model, min_samples: int) -> SessionDocument:
    """As long and as bounded as the document that ``hide`` makes, but for no weights: to see what it will cost.

    Raises RefusedError.
    """
    try:
        spec = perturb.check_model(model)
    except ValueError as error:
        raise RefusedError(str(error), 'set model_owner.model_privacy = "perturb" on a fresh node') from error
    return SessionDocument(
        model=spec, weights=bytes(32), train=perturb.SESSION, min_samples=min_samples, frac_bits=upload.FRAC_BITS,
        bound=upload.integer_bound(spec), seed=secrets.randbits(63),
        perturbation=Perturbation((1.0,) * spec.classes, _ONES),
    )  # fmt: skip


async def hide(
    services: Services, model: Model, weights: bytes, own: Path, min_samples: int
) -> tuple[SessionDocument, str]:
    """Perturb all ``weights`` with fresh secrets, put them out, and measure the bounds on the owner's data ``own``.

    Returns the document of a session that can be created, and what its owner should know. The secrets are in the store
    before anybody can know of the session. Raises RefusedError where that cannot be.
    """
    plan = unhidden(model, min_samples)
    spec = plan.model
    digest = weights_digest(weights)
    seed, context = services.new_seed(), services.context(0).bind("perturb", services.wallet.address, digest)
    drawn = perturb.draw(spec, seed, context)
    hidden = perturb.perturb(spec, drawn, np.frombuffer(weights, "<f4")).astype("<f4").tobytes()
    put = await trio.to_thread.run_sync(lambda: services.blobs.put(hidden, public=True))
    trial = replace(plan, weights=put, bound=1 << upload.FRAC_BITS, perturbation=Perturbation(drawn.noise, _ONES))
    vectors = await _own_vectors(services, trial, hidden, own)
    bounds, bound = _bounds(vectors), upload.integer_bound(spec)
    document = replace(trial, bound=bound, perturbation=Perturbation(drawn.noise, bounds))
    journal = json.dumps({"seed": seed.hex(), "context": context.hex()})
    await trio.to_thread.run_sync(services.store.meta_put, _KEY + document.digest().hex(), journal)
    length = float(np.linalg.norm(perturb.denoise(spec, drawn, vectors)))
    note = _note(upload.rounding_error(spec, drawn, bounds, bound, 1) / max(length, 1e-300))
    return document, f"{note}\n{KNOWN}" if services.blobs.is_public(digest) else note


async def secrets_of(services: Services, document: SessionDocument) -> Secrets:
    """The secrets of one of our sessions. Raises RefusedError if the store does not know them."""
    saved = await trio.to_thread.run_sync(services.store.meta_get, _KEY + document.digest().hex())
    if saved is None:
        raise RefusedError(
            "the secrets of this perturbed session are not in the store: its sum cannot be used without them",
            "restore the node's store from a copy and start the node again",
        )
    raw = json.loads(saved)
    return perturb.draw(document.model, bytes.fromhex(raw["seed"]), bytes.fromhex(raw["context"]))


async def stepped(
    services: Services, weights: NDArray[np.float32], document: SessionDocument, mean: Real
) -> NDArray[np.float32]:
    """All weights (d,) after one step along the de-noised mean gradient.

    mean: (3 d,) real, packed, of the accepted uploads. Raises LeadsNowhere, or RefusedError as ``secrets_of``.
    """
    assert document.perturbation is not None
    drawn = await secrets_of(services, document)
    vectors = upload.unpack(mean, document.perturbation.bounds, document.bound, document.frac_bits)
    rate = document.train.lr * document.server_lr / UNIT_LR
    moved = weights - rate * perturb.denoise(document.model, drawn, vectors)
    if not np.abs(moved).max() < np.finfo(np.float32).max:
        raise LeadsNowhere("the step of this perturbed session is not finite")
    return moved.astype(np.dtype("<f4"))


async def _own_vectors(services: Services, trial: SessionDocument, hidden: bytes, own: Path) -> Real:
    try:
        (result,) = await services.trainer.run([Job.train(trial, hidden, own, 0, min_samples=1)])
    except TrainingFailed as error:
        raise RefusedError(f"the owner's own three vectors cannot be made: {error}", "look at its data") from error
    assert result.update is not None
    return result.update.astype(np.float64).reshape(VECTORS, -1)


def _bounds(vectors: Real) -> upload.Bounds:
    try:
        return upload.choose_bounds(vectors)
    except ValueError as error:
        raise RefusedError(f"no bounds for this perturbed session: {error}", "look at the owner's data") from error


def _note(rounding: float) -> str:
    return (
        "the model is published perturbed: obfuscation, not encryption, each data owner can see through it; and one "
        "that lies within the bounds can ruin the model (docs/perturbation.md). Fixed point adds about "
        f"{rounding:.1%} to the gradient of one data owner, less to the mean of many by the root of their number"
    )
