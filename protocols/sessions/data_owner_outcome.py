"""Why a data owner was not accepted, in words."""

from __future__ import annotations

from protocols.sessions.data_owner_core import Core
from protocols.sessions.params import Bitmap, Payout, Rule
from protocols.sessions.view import SessionView


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


def verified_outcome(view: SessionView, index: int | None, problem: str) -> str:
    """The same in mode verified. index: our registration index.  problem: what our own record knows, "" if nothing.

    Shares that are inconsistent and proofs that fail both end outside set VALID; which it was only the committee saw.
    """
    if index is None:
        return "not registered" if view.groups else problem
    if problem and index not in view.upload_roots:
        return problem
    if Bitmap.DELIVERED in view.sets and not view.in_set(Bitmap.DELIVERED, index):
        committed = index in view.upload_roots
        return f"our update {'did not reach the provers' if committed else 'was not committed'} in time"
    if Bitmap.VALID in view.sets and not view.in_set(Bitmap.VALID, index):
        if view.p.zk:
            return "our record's proof was refused, or a share of ours does not fit its commitment"
        return "the provers found our shares inconsistent or our proof wrong"
    if view.batch is not None and not view.batch.accepted >> index & 1:
        paid = view.p.rule == Rule.TRUST and view.p.payout == Payout.EQUAL
        return "our update was not selected" + (", but is paid: it is valid" if paid else "")
    return f"session aborted: {view.aborted}" if view.aborted is not None else ""
