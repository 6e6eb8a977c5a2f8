"""From configuration and command line to the terms of a session."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.config_schema import MODES, PAYOUTS, RULES, ModelOwner
from omninode.errors import UsageError
from omninode.learning.document import SessionDocument
from omninode.learning.presets import DIGITS
from omninode.roles import terms
from protocols.selection.scores import INT128
from protocols.sessions.limits import check_params
from protocols.sessions.params import Mode, Payout, Rule, SessionParams

BOUND = 500_000
DOCUMENT = SessionDocument(
    model=DIGITS.model, weights=bytes(32), train=DIGITS.train, min_samples=50, frac_bits=16, bound=BOUND, seed=1
)


def made(chosen: ModelOwner | None = None, **overrides: Any) -> SessionParams:
    return terms.terms(chosen or ModelOwner(), overrides, DOCUMENT, b"o" * 20, b"p" * 32)


def test_the_defaults_make_a_verified_session() -> None:
    params = made()
    check_params(params)
    assert (params.mode, params.rule, params.payout, params.score_cap) == (Mode.VERIFIED, Rule.TRUST, Payout.EQUAL, 0)
    assert (params.group_size, params.groups) == (1, 12)
    assert params.uses_reference
    assert (params.dimension, params.bound, params.frac_bits) == (5090, BOUND, 16)
    assert (params.owner, params.owner_peer, params.doc_digest) == (b"o" * 20, b"p" * 32, DOCUMENT.digest())


def test_the_mode_alone_makes_a_grouped_session() -> None:
    params = made(mode="grouped")
    check_params(params)
    assert (params.mode, params.rule, params.group_size, params.groups) == (Mode.GROUPED, Rule.OUTLIER, 3, 4)
    assert not params.uses_reference


def test_options_are_stronger_than_the_configuration() -> None:
    chosen = ModelOwner(rule="none", data_owners=9, reward=5)
    assert (made(chosen).rule, made(chosen).groups, made(chosen).reward) == (Rule.NONE, 9, 5)
    params = made(chosen, rule="m-krum", data_owners=20, mu=0.1, m_krum=3, reward=None)
    assert (params.rule, params.groups, params.mu_bps, params.m_krum, params.reward) == (Rule.M_KRUM, 20, 1000, 3, 5)


@pytest.mark.parametrize("name", ["mode", "rule", "payout"])
def test_unknown_words(name: str) -> None:
    with pytest.raises(UsageError, match=f"unknown {name}"):
        made(**{name: "sideways"})


def test_unknown_options() -> None:
    with pytest.raises(UsageError, match="unknown option 'owner'"):
        made(owner=b"x" * 20)


def test_words_of_the_configuration_are_known() -> None:
    assert set(MODES) == set(terms.MODES)
    assert set(RULES) == {"auto", *terms.RULES}
    assert set(PAYOUTS) == set(terms.PAYOUTS)
    assert set(terms.RULES.values()) == set(Rule)


def test_every_option_is_a_setting() -> None:
    assert set(ModelOwner.__dataclass_fields__) >= terms.OVERRIDES


def test_the_cap_is_a_share_of_the_largest_score() -> None:
    params = made(payout="contribution", score_cap=0.25)
    check_params(params)
    assert params.score_cap == BOUND * BOUND // 4
    assert made(payout="contribution", score_cap=1.0).score_cap == BOUND * BOUND
    assert made(payout="equal", score_cap=0.25).score_cap == 0


@given(share=st.floats(0.0001, 1.0), bound=st.integers(1, 2**62))
def test_a_cap_fits_the_contract(share: float, bound: int) -> None:
    assert 1 <= terms.score_cap(share, bound) <= bound * bound < INT128


def test_what_is_said_of_the_guarantee() -> None:
    assert terms.guarantee(made())[0] is None
    assert "reference" in terms.guarantee(made())[1]
    assert terms.guarantee(made(mode="grouped"))[0] is False  # f = 1 of 4
    holds, why = terms.guarantee(made(rule="outlier"))
    assert holds is True  # f = 3 of 12
    assert "probe" in why
    assert terms.guarantee(made(rule="none"))[0] is False
    holds, why = terms.guarantee(made(rule="outlier", data_owners=20, mu=0.5))
    assert holds is False  # f = 10 of the 20 that there may be
    assert "R = 20 data owners" in why
