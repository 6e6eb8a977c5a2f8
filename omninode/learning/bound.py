"""How a session's L2 bound B is chosen from what is known without asking anybody. Integers and floats only.

Too low a bound costs accuracy (updates are clipped to it), too high a bound lets one liar pull its group further.
The factors come from simulation (``python -m omninode.learning.simulate``; figures below: digits, 20 seeds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from omninode.learning.fixed_point import MAX_MAGNITUDE

FIRST_FACTOR = 1.0
"""B of the first session over the norm of the owner's pre-training update.

From random weights, an owner's training moves 1.05 to 1.89 times the median honest update of the first session
(middle 1.44; the largest honest update is 1.1 to 1.5 times the median). The owner's update *after* pre-training is
useless here: on data that it already fits it is 0.01 to 0.07 of the median. That is for a whole model from random
weights; all else is played.
"""

PLAYED_FACTOR = 1.0
"""B of the first session over the norm of an update that the owner plays: with ``model_owner.weights``, and of a part.

For data of all labels, as data owners' is; see PLAYED_FLOOR for others.

A model from scratch on half of the owner's data, then a data owner's training on the other half, with as many steps as
the smallest data owner makes (``owner_bound.measured``). Norm over the median honest update (digits, 5 seeds, owners
with 30 and 60 images, data owners with 60): whole .90 to 1.19; fc1+fc3 .94 to 1.44; fc1+fc2 .72 to 1.26; fc2+fc3 .83
to 1.59; fc3 1.21 to 2.39; MNIST, 2 seeds: whole .87 to 1.01, conv2+fc2+fc3 .97 to 1.17, fc3 1.22 to 1.82. The largest
honest update is 1.0 to 1.7 times the median. Pre-training instead, cut to the part, is 2.0 to 6.6 of it; training on
data that was trained on before .01 to .07 (whole) and .25 to 1.3 (parts).
"""

PLAYED_FLOOR = 1 / 7
"""Least of the first bound over the norm of the played model's training from scratch, cut to the part.

Where the owner's data is of few labels, both of its halves are alike and playing moves hardly anything: with 30 digits
of one label .00 (whole), .0002 (fc2+fc3) and .10 (fc3) of the median honest update, 29 of one and 1 of another .01, .12
and .34, 27 and 3 .06, .11 and .26. The floor is .03, .12 and .25 (one label), .08, .14 and .26, .07, .16 and .28 there,
and below what is played, .31 to .66 (60 images of all labels), elsewhere. It is a guess, too low rather than too high.
"""

NEXT_FACTOR = 1.5
"""B over the lower median of the last session's group means.

Averaging three updates shortens them to 0.6 to 0.8 and norms fall from session to session, so that without a factor B
would be 0.6 to 1.1 times the median honest norm from the third session on; with it 0.9 to 1.6.
"""


VERIFIED_FACTOR = 1.0
"""B over count**(1/4) times the norm of the mean of the accepted updates, mode ``verified``.

The mean is shorter than the median honest update by 0.8 (16 updates that agree, first session) to 0.26 (that are
orthogonal, 1 / sqrt(16)); the fourth root lies between. A factor of 1.5 costs nothing against the attacks in ``poison``
but lets four identities that upload one update scaled to the bound pump B up: .61 after 10 sessions, with 1.0 .90.
"""

MOST_GROWTH = 1.25
"""The most by which B grows from one session to the next in mode ``verified``: enough to recover, slow to pump."""


def first_bound(owner_update_norm: float, frac_bits: int, factor: float = FIRST_FACTOR) -> int:
    """Integer bound floor(B * 2**frac_bits) of the first session.

    owner_update_norm: L2 norm of the owner's pre-training update, weights after minus random weights before.
    Raises ValueError unless it is positive and finite and the bound fits 62 bits.
    """
    if not (math.isfinite(owner_update_norm) and owner_update_norm > 0):
        raise ValueError(f"the owner's update has norm {owner_update_norm}; a bound needs a positive number")
    return _integer(owner_update_norm * factor * 2**frac_bits)


def played_norm(played: float, scratch: float) -> tuple[float, bool]:
    """The norm that the first bound of a played update follows, and whether that is the floor.

    played: L2 norm of the update that the owner plays.  scratch: of its training from random weights, cut to the part.
    """
    floor = PLAYED_FLOOR * scratch
    return max(played, floor), played < floor


def next_bound(group_norms_sq: Sequence[int], sizes: Sequence[int], frac_bits: int, factor: float = NEXT_FACTOR) -> int:
    """Integer bound of the next session from the last one's opened squared norms.

    group_norms_sq: G_rr = |A_r|**2 of the summed integer vectors of the accepted groups, in units of 4**-frac_bits.
    sizes: |U_r|, how many updates each sum holds.  frac_bits: of both sessions.  The lower median resists up to half
    of the groups. Since |A_r| <= |U_r| B, B grows at most by ``factor`` per session. No accepted group: keep the old B
    (the caller's choice; ValueError here).
    """
    if not group_norms_sq or len(group_norms_sq) != len(sizes) or min(sizes) < 1 or min(group_norms_sq) < 0:
        raise ValueError("next_bound needs one squared norm and one size per accepted group, at least one group")
    means = sorted(math.isqrt(norm) / size for norm, size in zip(group_norms_sq, sizes, strict=True))
    return _integer(max(means[(len(means) - 1) // 2] * factor, max(1.0, 2.0 ** (frac_bits - 10))))


def next_bound_verified(
    mean_norm: float, count: int, own_norm: float, bound: int, frac_bits: int, factor: float = VERIFIED_FACTOR
) -> int:
    """Integer bound of the next session of mode ``verified``, where no norm but that of the sum is opened.

    mean_norm: L2 norm of the opened sum over ``count``, the number of accepted updates.  own_norm: of the owner's own
    update on its root set, from the weights of the next session (``reference``), before it is scaled; it keeps B from
    collapsing when the accepted updates cancel out.  bound: the last
    session's, integer.  Returns max(own_norm, factor * count**(1/4) * mean_norm), at most MOST_GROWTH times the last
    bound, in units of 2**-frac_bits. Raises ValueError for negative or infinite norms, count < 1, bound < 1.
    """
    if not (math.isfinite(mean_norm) and math.isfinite(own_norm) and min(mean_norm, own_norm) >= 0):
        raise ValueError(f"norms {mean_norm} and {own_norm} make no bound")
    if count < 1 or bound < 1:
        raise ValueError(f"{count} accepted updates under a bound of {bound} make no bound")
    wanted = max(own_norm, factor * count**0.25 * mean_norm) * 2**frac_bits
    return _integer(max(min(wanted, MOST_GROWTH * bound), max(1.0, 2.0 ** (frac_bits - 10))))


def _integer(value: float) -> int:
    if not 1 <= value < MAX_MAGNITUDE:
        raise ValueError(f"the bound {value:g} is not between 1 and 2**62; choose other frac_bits")
    return math.floor(value)
