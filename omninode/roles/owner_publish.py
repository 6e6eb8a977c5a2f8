"""What a session publishes of the owner's weights, and what it says of what earlier ones published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import trio

from omninode.roles.owner_bound import measured
from omninode.roles.owner_start import with_initial

if TYPE_CHECKING:
    from omninode.learning.model_spec import Model
    from omninode.learning.presets import Preset
    from omninode.learning.public_part import PublicPart
    from omninode.roles.model_state import ModelState
    from omninode.roles.owner_data import OwnerData
    from omninode.roles.services import Services


@dataclass(frozen=True, slots=True)
class Publication:
    """What a session is told of the model. weights, initial: digests of public blobs; initial b"" where all is public.

    bound: integer, with the preset's frac_bits.  note: for the owner, "" if there is nothing to say.
    """

    part: PublicPart
    weights: bytes
    initial: bytes
    bound: int
    note: str


def known(layers: Sequence[str]) -> str:
    """For the owner: what no session can make private any more."""
    return (
        f"earlier sessions published {', '.join(layers)} too: whoever fetched them then has them, and may put them "
        "together with what is public now; only how later sessions change them is private"
    )


FLOORED = (
    "the first bound is a guess: the owner's data is of too few labels to tell how far data owners move, so that this "
    "session may clip much; the next one goes by what it opens"
)


async def with_bound(
    services: Services, preset: Preset, model: Model, data: OwnerData, state: ModelState, part: PublicPart
) -> ModelState:
    """The state with what a session that publishes ``part`` needs: W0 and a bound.

    Nothing is trained if both are there. Raises TrainingFailed, RefusedError, BlobError.
    """
    bound = state.bound_of(part.listed)
    if bound is None or not part.whole:
        state = await with_initial(services, model, state)
    if bound is None:
        measurement = await measured(services, preset, model, part, data, bytes.fromhex(state.initial))
        state = state.knowing(part.listed, *measurement)
    return state


async def put_out(services: Services, state: ModelState, part: PublicPart, before: Sequence[str]) -> Publication:
    """Let others have ``part`` of the weights of a state ``with_bound``. before: layers that were served already."""
    guess = FLOORED if part.listed in state.floored else ""
    digest, bound, blobs = bytes.fromhex(state.weights), state.bound_of(part.listed), services.blobs
    assert bound is not None
    if part.whole:
        await trio.to_thread.run_sync(blobs.set_public, digest, True)
        return Publication(part, digest, b"", bound, guess)
    whole = await trio.to_thread.run_sync(blobs.read, digest)
    published = part.take(np.frombuffer(whole, dtype="<f4")).tobytes()
    put = await trio.to_thread.run_sync(lambda: blobs.put(published, public=True))
    other = tuple(layer for layer in before if layer not in part.layers)
    note = "\n".join(filter(None, [known(other) if other else "", guess]))
    return Publication(part, put, bytes.fromhex(state.initial), bound, note)
