"""Why a data owner was not accepted, in words."""

from __future__ import annotations

from protocols.sessions.data_owner_core import Core
from protocols.sessions.params import Bitmap


def outcome(core: Core) -> str:
    """The first thing that went wrong for us as far as the chain tells; "" if nothing did (yet)."""
    view, place = core.view, core.place
    if place is None:
        return "not registered" if view.groups else ""
    steps = (
        (Bitmap.BUNDLES, "our key shares did not reach the provers in time", "too few of our group shared keys"),
        (Bitmap.DELIVERED, "our update did not reach the provers in time", ""),
        (Bitmap.VALID, "our shares were not consistent", "too few of our group delivered"),
    )
    for kind, alone, together in steps:
        if kind not in view.sets:
            break
        if not view.in_set(kind, place.index):
            return alone
        if together and len(view.within(kind, place.group)) < place.quorum:
            return together
    if view.batch is not None:
        if not view.batch.passed >> place.group & 1:
            return "the sum of our group is out of bounds"
        if not view.batch.selected >> place.group & 1:
            return "our group was not selected"
    return f"session aborted: {view.aborted}" if view.aborted is not None else ""
