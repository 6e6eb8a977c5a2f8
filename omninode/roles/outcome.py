"""What became of everybody in a session, from its view alone: for `session show`, and for the demo's report."""

from __future__ import annotations

from typing import Any

from protocols.selection import scores
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Payout, Phase, Rule
from protocols.sessions.view import SessionView

_SCORE_BITS = 128


def hexed(address: bytes) -> str:
    """An address as people write it."""
    return "0x" + address.hex()


def bits(value: int) -> list[int]:
    """Positions of the ones, ascending."""
    return [i for i in range(value.bit_length()) if value >> i & 1]


def owners_in(bitmap: int) -> int:
    """How many data owners a bitmap holds: the bit of the owner's reference does not count."""
    return (bitmap & ~(1 << REFERENCE)).bit_count()


def reference_counts(view: SessionView) -> bool:
    """Whether the owner's reference update is there and valid; without it ``trust`` is ``none`` and pay is equal."""
    return view.p.uses_reference and view.in_set(Bitmap.VALID, REFERENCE)


def scores_of(view: SessionView) -> dict[int, tuple[int, int]]:
    """Registration index of every accepted data owner -> score and size of its family of copies; {} with equal pay."""
    if view.batch is None or not view.scores:
        return {}
    mask = (1 << _SCORE_BITS) - 1
    accepted = bits(view.batch.accepted)
    return {k: (value & mask, value >> _SCORE_BITS) for k, value in zip(accepted, view.scores, strict=True)}


def payouts(view: SessionView) -> list[int]:
    """Wei of the reward for each data owner by registration index, as the contract computes it; 0 before the batch."""
    if view.batch is None:
        return [0] * len(view.members)
    if view.p.mode == Mode.VERIFIED and view.p.payout == Payout.CONTRIBUTION and reference_counts(view):
        scored = scores_of(view)
        weights = scores.weights([s for s, _ in scored.values()], [c for _, c in scored.values()], view.p.score_cap)
        shares = scores.payouts(view.p.reward, weights) or [0] * len(weights)
        by_index = dict(zip(scored, shares, strict=True))
        return [by_index.get(k, 0) for k in range(len(view.members))]
    share = scores.equal_pay(view.p.reward, max(len(view.members), 1))
    return [share if paid_equally(view, k) else 0 for k in range(len(view.members))]


def paid_equally(view: SessionView, index: int) -> bool:
    """Whether this data owner has its equal part: accepted, or, under rule ``trust``, valid."""
    assert view.batch is not None
    if view.p.mode == Mode.VERIFIED and view.p.rule == Rule.TRUST:
        return view.in_set(Bitmap.VALID, index)
    return bool(view.batch.accepted >> index & 1)


def fate(view: SessionView, index: int) -> str:
    """What became of the data owner registered ``index``-th, in a word or two."""
    if view.batch is None:
        return "no batch" if view.aborted is not None or view.phase > Phase.BATCH else ""
    if view.batch.accepted >> index & 1:
        return "accepted"
    return _missing(view, index) or _judged(view, index)


def _missing(view: SessionView, index: int) -> str:
    """Why the update of a data owner is not in U, or ""."""
    grouped = view.p.mode == Mode.GROUPED
    if grouped and not view.in_set(Bitmap.BUNDLES, index):
        return "no key shares"
    if index not in view.upload_roots:
        return "no upload"
    if not view.in_set(Bitmap.DELIVERED, index):
        return "not delivered"
    if not view.in_set(Bitmap.VALID, index):
        return "inconsistent shares" if grouped else "proof refused"
    return ""


def _judged(view: SessionView, index: int) -> str:
    """Why an update of U is not in the sum."""
    if view.p.mode == Mode.VERIFIED:
        return "against reference" if view.p.rule == Rule.TRUST else "not selected"
    assert view.batch is not None
    return "group not selected" if view.batch.passed >> view.group_of(index) & 1 else "group refused"


def groups(view: SessionView) -> list[dict[str, Any]]:
    """Mode grouped: members, survivors (U) and acceptance per group, addresses in hex."""
    return [
        {
            "members": [hexed(view.members[k].address) for k in group],
            "survivors": [hexed(view.members[k].address) for k in view.within(Bitmap.VALID, r)],
            "accepted": bool(view.batch and view.batch.selected >> r & 1),
        }
        for r, group in enumerate(view.groups)
    ]


def data_owners(view: SessionView) -> list[dict[str, Any]]:
    """Mode verified: one entry per data owner, by registration index.

    why: in a word or two, "" if accepted or not judged yet.  score, copies: None without a score.  paid: wei of the
    reward, deposit and gas not counted.
    """
    scored, paid = scores_of(view), payouts(view)
    entries = []
    for member in view.members:
        what = fate(view, member.index)
        score, copies = scored.get(member.index, (None, None))
        entries.append({
            "address": hexed(member.address),
            "valid": view.in_set(Bitmap.VALID, member.index),
            "accepted": what == "accepted",
            "why": "" if what == "accepted" else what,
            "score": score,
            "copies": copies,
            "paid": paid[member.index],
        })  # fmt: skip
    return entries
