"""Mode verified, in public: who was accepted, the scores as posted, and every payout recomputed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from omninode.roles import outcome
from omninode.roles.outcome import bits
from omninode.roles.verify_public import Findings, Public
from protocols.selection import rules
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Rule
from protocols.sessions.view import SessionView

LOW = (1 << 128) - 1
DISTANCE_RULES = (Rule.OUTLIER, Rule.MULTI_KRUM, Rule.M_KRUM)


def referenced(view: SessionView) -> bool:
    """Whether the owner's reference is valid; without it `trust` acts as `none` and contribution as equal pay."""
    return view.in_set(Bitmap.VALID, REFERENCE)


def valid_owners(view: SessionView) -> list[int]:
    """Data owners of U, ascending, without the reference."""
    return [k for k in bits(view.sets.get(Bitmap.VALID, 0)) if k != REFERENCE]


def check_verified(found: Findings, public: Public) -> None:
    """Accepted set, scores and what the rule says about their number."""
    view, batch = public.view, public.batch
    assert view.batch is not None
    accepted, valid = bits(view.batch.accepted), valid_owners(view)
    one_set = view.batch.passed == view.batch.selected == view.batch.accepted
    found.add("accepted data owners are valid", set(accepted) <= set(valid) and one_set)
    ok, why = _counts(view, len(accepted), len(valid))
    found.add("as many are accepted as the rule says", ok, why)
    if batch is None:
        return
    found.add("batch accepts who the chain says", batch["passed"] == view.batch.accepted)
    if not referenced(view) and view.p.rule not in DISTANCE_RULES:
        nothing = public.context.bind("decoded-verified", _word(view.sets[Bitmap.VALID]), _word(batch["passed"]), b"")
        found.add("digest is that of a batch for which nothing was opened", batch["digest"] == nothing)
    found.add("scores on chain are those of the batch", tuple(batch["values"]) == view.scores)
    problem = _scores(view, batch["values"], len(accepted))
    found.add("scores are within range", not problem, problem or f"{len(view.scores)} scores")


def _word(bitmap: int) -> bytes:
    return bitmap.to_bytes(32, "big")


def _counts(view: SessionView, accepted: int, valid: int) -> tuple[bool, str]:
    """What a rule without its distances still says: how many it keeps."""
    p, text = view.p, f"{accepted} of {valid}"
    if accepted < p.min_accepted:
        return False, f"{text}, at least {p.min_accepted} are needed"
    if p.rule not in DISTANCE_RULES:
        return accepted == valid or (p.rule == Rule.TRUST and referenced(view)), text
    registered = len(view.members)
    f = max(0, rules.corrupted(registered, p.mu_bps) - (registered - valid))
    if valid < f + 3:
        return False, f"{text}, too few for f = {f}"
    expected = min(p.m_krum, valid - f - 2) if p.rule == Rule.M_KRUM else valid - f
    return accepted == expected or (p.rule == Rule.OUTLIER and accepted > expected), f"{text}, f = {f}"


def _scores(view: SessionView, values: Sequence[int], accepted: int) -> str:
    """What is wrong with the posted words, "" if nothing. A score is at most B^2: both vectors are no longer than B."""
    scored = view.p.payout == Payout.CONTRIBUTION and referenced(view)
    if len(values) != (accepted if scored else 0):
        return f"{len(values)} scores for {accepted} accepted data owners"
    most = accepted if view.p.rule in DISTANCE_RULES else 1
    for position, value in enumerate(values):
        score, copies = value & LOW, value >> 128
        if not 1 <= copies <= most:
            return f"score {position} is shared by {copies}, at most {most}"
        if score > view.p.bound**2 or (score == 0 and view.p.rule == Rule.TRUST):
            return f"score {position} is {score}"
    families = Counter(value >> 128 for value in values)
    broken = [copies for copies, members in families.items() if members % copies]
    return f"families of {broken} copies are not whole" if broken else ""


def rows(public: Public) -> list[dict[str, Any]]:
    """One line per uploader: what the chain says became of it. The last one, index 255, is the owner's reference."""
    view = public.view
    lines = [
        {"index": k, "delivered": view.in_set(Bitmap.DELIVERED, k), **entry}
        for k, entry in enumerate(outcome.data_owners(view))
    ]
    if REFERENCE in public.uploaders:
        delivered, counts = view.in_set(Bitmap.DELIVERED, REFERENCE), referenced(view)
        why = "" if counts else "proof refused" if delivered else "not delivered"
        lines.append({
            "index": REFERENCE, "delivered": delivered, "address": outcome.hexed(view.p.owner), "valid": counts,
            "accepted": None, "why": why, "score": None, "copies": None, "paid": None,
        })  # fmt: skip
    return lines
