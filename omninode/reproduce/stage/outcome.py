"""Whether a session on the real contracts came out right: the sum and everybody's pay, in plain integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from protocols.selection import scores
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Mode, Payout, Phase, Rule
from protocols.sessions.view import SessionView

Update = npt.NDArray[np.int64]


def check(owner: OwnerMachine, updates: Mapping[bytes, Update], paid: Sequence[int]) -> None:
    """RuntimeError unless the owner has the sum of the accepted, and the contract pays as it should.

    updates: by wallet, of honest data owners and, mode verified, the owner's reference.  paid: wei by registration
    index. Rules that need not drop anybody must have accepted everybody.
    """
    view = owner.view
    if view.phase != Phase.FINISHED or view.batch is None or owner.result is None:
        raise RuntimeError(f"no sum: {view.phase.name} {view.aborted}")
    accepted = [k for k in range(len(view.members)) if view.batch.accepted >> k & 1]
    spares = (Rule.NONE, Rule.TRUST) if view.p.mode == Mode.VERIFIED else (Rule.NONE, Rule.OUTLIER)
    if len(accepted) < len(view.members) and view.p.rule in spares:
        raise RuntimeError(f"only {accepted} of {len(view.members)} accepted")
    taken = [updates[view.members[k].address] for k in accepted]
    if not np.array_equal(owner.result.total, np.sum(taken, axis=0)):
        raise RuntimeError("the owner's sum is wrong")
    if view.p.mode == Mode.VERIFIED and list(paid) != expected_pay(view, accepted, taken, updates[view.p.owner]):
        raise RuntimeError(f"the contract pays {list(paid)}")


def expected_pay(view: SessionView, accepted: list[int], taken: list[Update], reference: Update) -> list[int]:
    """Wei by registration index, mode verified with the owner's reference. taken: updates of the accepted.

    Products of updates within the bound fit int64.
    """
    p, pay = view.p, dict.fromkeys(range(len(view.members)), 0)
    if p.payout == Payout.EQUAL:
        return list((pay | dict.fromkeys(accepted, scores.equal_pay(p.reward, len(pay)))).values())
    stacked = np.stack(taken)
    copies = dict.fromkeys(range(len(accepted)), 1)
    if p.rule not in (Rule.NONE, Rule.TRUST):
        copies = scores.copies((stacked @ stacked.T).tolist(), range(len(accepted)))
    weights = scores.weights((stacked @ reference).tolist(), list(copies.values()), p.score_cap)
    shares = scores.payouts(p.reward, weights)
    assert shares is not None
    return list((pay | dict(zip(accepted, shares, strict=True))).values())
