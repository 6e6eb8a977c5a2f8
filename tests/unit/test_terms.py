"""From configuration and command line to the terms of a session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.config_schema import CERTIFICATES, MODES, PAYOUTS, RULES, ModelOwner
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


@pytest.mark.parametrize(
    ("chosen", "overrides", "layers"),
    [
        ({}, {}, ()),
        ({"public_layers": ("fc3", "fc1")}, {}, ("fc1", "fc3")),
        ({"public_count": 2}, {}, ("fc2", "fc3")),
        ({"public_count": 2}, {"public_layers": ["fc1"]}, ("fc1",)),
        ({"public_layers": ("fc1",)}, {"public_count": 1}, ("fc3",)),
        ({"public_layers": ("fc1",)}, {"public_count": 0}, ()),
        ({"public_count": 1}, {"public_layers": ["fc1", "fc2", "fc3"]}, ()),
    ],
)
def test_what_is_published(chosen: dict[str, Any], overrides: dict[str, Any], layers: tuple[str, ...]) -> None:
    assert terms.public_part(ModelOwner(**chosen), overrides, DIGITS.model).listed == layers


def test_a_session_is_as_long_as_what_is_published() -> None:
    document = replace(DOCUMENT, public_layers=("fc3",), initial=bytes(32))
    params = terms.terms(ModelOwner(), {"public_count": 1}, document, b"o" * 20, b"p" * 32)
    check_params(params)
    assert params.dimension == 310


def test_the_published_rule_is_asked_for_by_a_word() -> None:
    assert not terms.published_rule(ModelOwner(), {})
    assert terms.published_rule(ModelOwner(tuning="published"), {})
    assert terms.published_rule(ModelOwner(), {"tuning": "published"})
    assert not terms.published_rule(ModelOwner(tuning="published"), {"tuning": "own"})
    with pytest.raises(UsageError, match="unknown tuning"):
        terms.published_rule(ModelOwner(), {"tuning": "sideways"})


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
    assert set(CERTIFICATES) == set(terms.CERTIFICATES)
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


def test_a_certificate_is_chosen_by_configuration_or_option() -> None:
    assert not terms.proved(ModelOwner(), {})
    assert terms.proved(ModelOwner(), {"certificate": "zk"})
    assert terms.proved(ModelOwner(certificate="zk"), {"certificate": None})
    assert not terms.proved(ModelOwner(certificate="zk"), {"certificate": "attested"})
    with pytest.raises(UsageError, match="unknown certificate"):
        terms.proved(ModelOwner(), {"certificate": "notarised"})


def test_zk_goes_with_mode_verified_only() -> None:
    with pytest.raises(UsageError, match="mode verified only") as caught:
        terms.proved(ModelOwner(), {"certificate": "zk", "mode": "grouped"})
    assert "--mode verified" in caught.value.cure
    with pytest.raises(UsageError, match="mode verified only"):
        terms.proved(ModelOwner(mode="grouped", certificate="zk"), {})


def test_what_zk_takes() -> None:
    for terms_given in ({}, {"payout": "contribution"}, {"rule": "none"}, {"rule": "multi-krum"}, {"data_owners": 64}):
        terms.check_proved(made(**terms_given))


def test_zk_proves_at_most_64_data_owners() -> None:
    with pytest.raises(UsageError, match="at most 64 data owners") as caught:
        terms.check_proved(made(data_owners=65))
    assert "--data-owners 64" in caught.value.cure


@pytest.mark.parametrize("rule", ["outlier", "multi-krum", "m-krum"])
def test_distances_give_no_scores(rule: str) -> None:
    with pytest.raises(UsageError, match=f"rule {rule} proves distances") as caught:
        terms.check_proved(made(rule=rule, payout="contribution", m_krum=2))
    assert "--payout equal" in caught.value.cure


def test_it_is_said_that_products_become_public() -> None:
    key = b"k" * 32
    assert "become public" in terms.guarantee(replace(made(rule="multi-krum"), proof_key=key))[1]
    assert "become public" not in terms.guarantee(made(rule="multi-krum"))[1]
    assert "become public" not in terms.guarantee(replace(made(), proof_key=key))[1]
