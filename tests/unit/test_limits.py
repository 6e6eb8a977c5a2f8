"""Creation checks: what passes, and what the sentence says when it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.net.limits import Limits
from protocols.fields.goldilocks import P
from protocols.gram.projections import fits
from protocols.pine import params as pine
from protocols.sessions.limits import LARGEST_PROVED, MOST_DIMENSION, MOST_DIMENSION_PROVED, check_params, largest_bound
from protocols.sessions.params import Mode, Payout, Rule, SessionParams
from protocols.wire.limits import limits_for
from protocols.zk import params as zk
from tests.simulation.session import small_params


def params(**changes: object) -> SessionParams:
    """A session that is fine."""
    return small_params(owner=bytes(20), **changes)


def test_a_usual_session_passes() -> None:
    check_params(params())
    check_params(params(dimension=5000, public_sums=False, rule=Rule.OUTLIER, groups=4, mu_bps=2500))
    check_params(params(rule=Rule.M_KRUM, groups=6, mu_bps=2000, m_krum=3))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"group_size": 1}, "group_size is 1"),
        ({"groups": 17}, "groups is 17; it must be between 1 and 16"),
        ({"group_size": 32, "groups": 9}, "between 1 and 8"),
        ({"min_accepted": 2}, "min_accepted is 2; it must be between 3 and 6"),
        ({"min_accepted": 7}, "min_accepted is 7"),
        ({"reward": 0}, "reward is 0"),
        ({"threshold": 0}, "threshold is 0"),
        ({"committee": 4}, "committee is 4; it must be between 5 and 16"),
        ({"committee": 8, "threshold": 2}, "committee is 8; it must be between 9"),
        ({"mu_bps": 10_000}, "mu_bps is 10000"),
        ({"rule": Rule.OUTLIER, "groups": 2}, "groups is 2; .* at least 3"),
        ({"rule": Rule.MULTI_KRUM, "groups": 3, "mu_bps": 3400}, "at least 4"),
        ({"rule": Rule.M_KRUM, "groups": 4, "mu_bps": 2500, "m_krum": 2}, "m_krum is 2; it must be between 1 and 1"),
        ({"register_blocks": 2}, "register_blocks is 2"),
        ({"upload_blocks": 9}, "upload_blocks is 9"),
        ({"settle_blocks": 9}, "settle_blocks is 9"),
        ({"dimension": 0}, "dimension is 0"),
        ({"dimension": MOST_DIMENSION + 1}, "dimension is"),
        ({"dimension": 4095, "public_sums": False}, "dimension is 4095; below 4096"),
        ({"bound": 0}, "bound is 0"),
        ({"frac_bits": 41}, "frac_bits is 41"),
    ],
    ids=str,
)
def test_the_sentence_names_the_number(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_params(params(**changes))


def verified(**changes: object) -> SessionParams:
    """A session of mode verified that is fine."""
    numbers = {"mode": Mode.VERIFIED, "group_size": 1, "groups": 12, "rule": Rule.TRUST, "public_sums": False}
    return params(**{**numbers, "dimension": 1000, "bound": 1 << 20, **changes})


def test_a_piece_fits_one_request() -> None:
    most = verified(dimension=MOST_DIMENSION_PROVED, bound=1 << 10, proof_key=b"k" * 32)
    check_params(most)
    assert limits_for(most).largest <= Limits().request_bytes
    with pytest.raises(ValueError, match=r"dimension is .*; under certificate zk at most 83865\d\d"):
        check_params(replace(most, dimension=MOST_DIMENSION_PROVED + 1))


def test_usual_verified_sessions_pass() -> None:
    check_params(verified())
    check_params(verified(groups=255, payout=Payout.CONTRIBUTION, score_cap=1 << 40))
    check_params(verified(groups=64, rule=Rule.OUTLIER, mu_bps=2500))
    check_params(verified(rule=Rule.NONE))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"group_size": 2}, "group_size is 2"),
        ({"groups": 2}, "data_owners is 2; it must be between 3 and 255"),
        ({"groups": 256}, "data_owners is 256"),
        ({"groups": 65, "rule": Rule.M_KRUM}, "data_owners is 65; it must be between 3 and 64"),
        ({"groups": 3, "rule": Rule.OUTLIER, "mu_bps": 3400}, "data_owners is 3; .* at least 4"),
        ({"groups": 3, "min_accepted": 4}, "min_accepted is 4; it must be between 3 and 3"),
        ({"public_sums": True}, "public_sums goes with mode grouped"),
        ({"payout": Payout.CONTRIBUTION, "score_cap": 0}, "score_cap is 0"),
        ({"payout": Payout.CONTRIBUTION, "score_cap": 1 << 127}, "score_cap is"),
        ({"score_cap": 1}, "score_cap is 1; it must be between 0 and 0"),
        ({"bound": 0}, "bound is 0"),
    ],
    ids=str,
)
def test_what_a_verified_session_must_obey(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_params(verified(**changes))


def proved(**changes: object) -> SessionParams:
    """A session of certificate zk that is fine."""
    return verified(**{"proof_key": b"\1" * 32, **changes})


def test_usual_sessions_of_certificate_zk_pass() -> None:
    check_params(proved())
    check_params(proved(groups=64, payout=Payout.CONTRIBUTION, score_cap=1 << 40))
    check_params(proved(rule=Rule.M_KRUM, mu_bps=2500, m_krum=3))
    check_params(proved(committee=16, threshold=2))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"groups": 65}, "data_owners is 65; it must be between 3 and 64"),
        ({"mode": Mode.GROUPED, "rule": Rule.NONE}, "certificate zk proves single updates"),
        ({"rule": Rule.OUTLIER, "payout": Payout.CONTRIBUTION, "score_cap": 9}, "proves no scores: pay equally"),
        ({"bound": LARGEST_PROVED + 1}, "the largest that can be proved with d = 1000 is 8388607"),
        ({"committee": 13, "threshold": 3}, "threshold is 3; under certificate zk it must be between 1 and 2"),
        ({"committee": 13, "threshold": 0}, "threshold is 0; it must be between 1 and 3"),
    ],
    ids=str,
)
def test_what_certificate_zk_does_not_take(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_params(proved(**changes))


@given(d=st.integers(1, MOST_DIMENSION_PROVED), bound=st.integers(1, LARGEST_PROVED))
def test_what_certificate_zk_takes_has_sizes(d: int, bound: int) -> None:
    check_params(proved(dimension=d, bound=bound))
    assert zk.norm_bits(bound) <= min(127, zk.choose(d, bound).size)
    with pytest.raises(ValueError, match="no proof"):
        zk.choose(d, LARGEST_PROVED + 1)


@given(d=st.integers(1, MOST_DIMENSION))
def test_the_largest_provable_bound_is_named(d: int) -> None:
    most = pine.largest_bound(d)
    check_params(verified(dimension=d, bound=most))
    pine.choose(d, most)
    with pytest.raises(ValueError, match=f"the largest that can be proved with d = {d} is {most}"):
        check_params(verified(dimension=d, bound=most + 1))


@pytest.mark.parametrize("changes", [{"rule": Rule.TRUST}, {"payout": Payout.CONTRIBUTION, "score_cap": 9}], ids=str)
def test_what_goes_with_mode_verified_only(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="goes with mode verified only"):
        check_params(params(**changes))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode"):
        check_params(replace(params(), mode=7))  # type: ignore[arg-type]


@given(d=st.integers(1, MOST_DIMENSION), size=st.integers(2, 32), groups=st.integers(1, 8))
def test_the_largest_bound_is_the_largest(d: int, size: int, groups: int) -> None:
    most = largest_bound(d, size, groups)
    numbers = params(
        dimension=d, group_size=size, groups=groups, min_accepted=3 if size * groups > 2 else 2, public_sums=True
    )
    if numbers.group_size * numbers.groups < 3:
        return
    check_params(replace(numbers, bound=most))
    with pytest.raises(ValueError, match=f"the largest allowed .* is {most}"):
        check_params(replace(numbers, bound=most + 1))


@given(d=st.integers(1, MOST_DIMENSION), size=st.integers(2, 32), groups=st.integers(1, 8))
def test_sums_products_and_windows_fit_the_field(d: int, size: int, groups: int) -> None:
    most, largest = largest_bound(d, size, groups), min(2 * size - 1, size * groups)
    assert 2 * 87 * size * groups * most // 10 < P // 2
    assert 2 * ((2 * size - 1) * most) ** 2 < P
    assert fits(d, largest, most)
