"""The simulation behind docs/tuning.md: it plays the published rule itself, on what the chain would show."""

from __future__ import annotations

from itertools import pairwise

import pytest

from omninode.learning import data
from omninode.learning.presets import DIGITS
from omninode.learning.reference import ROOT_SAMPLES
from omninode.learning.simulate import Options, draw, simulate
from omninode.learning.simulate_tuning import ATTACKS, cases, cells
from omninode.learning.simulate_verified import Setup, simulate_verified

pytestmark = pytest.mark.usefixtures("one_thread")


def split(parties: int, owner: int = DIGITS.owner_samples) -> data.Split:
    return data.split(data.load_digits(), 0, owner, DIGITS.party_samples, parties)


def test_grouped_sessions_follow_the_spread_of_their_groups() -> None:
    """The first session is the same; then the bound follows the distances, within 1/2 to 5/4."""
    plans = draw(6, 2, 2, 0)
    own, published = (simulate(DIGITS, split(6), 0, plans, Options(integers=True, published=p)) for p in (False, True))
    assert own.sessions[0] == published.sessions[0]
    bounds = [session.bound for session in published.sessions]
    assert bounds != [session.bound for session in own.sessions]
    assert all(a / 2 - 1e-4 <= b <= a * 5 / 4 for a, b in pairwise(bounds))
    assert published.final > published.owner_alone


@pytest.mark.parametrize("kind", ["norms", "scores", "nothing"])
def test_verified_sessions_follow_what_is_public(kind: str) -> None:
    run = simulate_verified(DIGITS, split(5, DIGITS.owner_samples + ROOT_SAMPLES), 0, 2, Setup("none", published=kind))
    first, second = (judged.bound for judged in run.sessions)
    assert (second == first) == (kind == "nothing")
    assert first // 2 <= second <= first * 5 // 4


def test_a_row_of_the_table() -> None:
    own, published = [[0.5] * 10, [0.7] * 10], [[0.6] * 10, [0.9] * 10]
    assert cells(own, published)[:3] == ["0.600 / 0.500", "0.750 / 0.600", "+0.150 ± 0.050"]
    assert cells(own[:1], published[:1])[2] == "+0.100 ± 0.000"
    assert len(cases()) == 2 + 3 * len(ATTACKS)
