"""Deals of unlike data: nothing twice, everybody gets what was promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.learning.data import DataError, Samples, Split
from omninode.learning.split import FEWEST, Deal, deal

DEALS = [Deal(), Deal("dirichlet", 0.5), Deal("dirichlet", 0.1), Deal("labels", 2), Deal("labels", 1), Deal("sizes")]


def numbered(count: int = 2000, classes: int = 10) -> Samples:
    """Samples that know their own number."""
    rows = np.arange(count)
    return Samples(rows[:, None].astype(np.float32), (rows % classes).astype(np.int64))


def numbers(split: Split) -> list[int]:
    return [int(x) for part in (split.owner, split.test, *split.parties) for x in part.x[:, 0]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), how=st.sampled_from(DEALS), parties=st.integers(1, 20))
def test_every_sample_is_used_at_most_once_and_keeps_its_label(seed: int, how: Deal, parties: int) -> None:
    split = deal(numbered(), seed, how, owner=40, per_party=60, parties=parties, test=200)
    used = numbers(split)
    assert len(set(used)) == len(used) == 240 + 60 * parties
    assert len(split.owner) == 40 and len(split.test) == 200 and len(split.parties) == parties
    for part in (split.owner, split.test, *split.parties):
        assert (part.x[:, 0].astype(int) % 10 == part.y).all()


@pytest.mark.parametrize("how", [d for d in DEALS if d.kind != "sizes"])
def test_equal_sizes_are_equal(how: Deal) -> None:
    split = deal(numbered(), 3, how, owner=40, per_party=60, parties=20, test=200)
    assert {len(part) for part in split.parties} == {60}


def test_label_skew_gives_each_its_classes_and_no_more() -> None:
    for classes in (1, 2, 3):
        split = deal(numbered(), 4, Deal("labels", classes), owner=40, per_party=60, parties=20, test=200)
        for part in split.parties:
            assert (np.bincount(part.y)[np.unique(part.y)] == 60 // classes).all()
            assert len(np.unique(part.y)) == classes


def test_a_small_alpha_is_more_unlike() -> None:
    def most(alpha: float) -> float:
        split = deal(numbered(), 5, Deal("dirichlet", alpha), owner=40, per_party=60, parties=20, test=200)
        return float(np.mean([np.bincount(part.y).max() / 60 for part in split.parties]))

    assert most(1000) < 0.25 < most(0.5) < most(0.1)


def test_unequal_sizes_add_up_and_nobody_is_left_with_nothing() -> None:
    split = deal(numbered(), 6, Deal("sizes"), owner=40, per_party=60, parties=20, test=200)
    sizes = [len(part) for part in split.parties]
    assert sum(sizes) == 1200 and min(sizes) >= FEWEST and max(sizes) > 3 * min(sizes)


def test_deals_are_deterministic_and_differ_by_seed() -> None:
    for how in DEALS:
        one, two, other = (numbers(deal(numbered(), s, how, 40, 60, 10, 200)) for s in (1, 1, 2))
        assert one == two != other


def test_too_few_samples_are_refused_with_the_sum() -> None:
    with pytest.raises(DataError, match="make 2040"):
        deal(numbered(), 0, Deal(), owner=40, per_party=60, parties=30, test=200)


def test_a_class_that_is_used_up_is_an_error_of_label_skew_only() -> None:
    rare = Samples(
        numbered(400).x, np.repeat(np.arange(10), [310, 10, 10, 10, 10, 10, 10, 10, 10, 10]).astype(np.int64)
    )
    split = deal(rare, 0, Deal("dirichlet", 0.1), owner=10, per_party=20, parties=18, test=10)
    assert {len(part) for part in split.parties} == {20}
    with pytest.raises(DataError, match="too few"):
        deal(rare, 0, Deal("labels", 2), owner=10, per_party=20, parties=18, test=10)


@pytest.mark.parametrize(
    ("kind", "value"), [("other", 0.0), ("dirichlet", 0.0), ("dirichlet", -1.0), ("labels", 0.0), ("labels", 1.5)]
)
def test_deals_that_make_no_sense(kind: str, value: float) -> None:
    with pytest.raises(ValueError, match=r"must be|a deal is"):
        Deal(kind, value)


def test_more_classes_than_there_are() -> None:
    with pytest.raises(DataError, match="11 classes"):
        deal(numbered(), 0, Deal("labels", 11), owner=40, per_party=60, parties=2, test=200)
