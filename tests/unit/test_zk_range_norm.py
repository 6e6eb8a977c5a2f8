"""The range-and-norm proof: the bound is proved exactly, over the integers, and for the session's bound alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.bn254.field import R
from protocols.zk.errors import Check, Refused
from protocols.zk.key import Key
from protocols.zk.range_check import challenges, check, check_identity, check_many, identity
from protocols.zk.record import Record
from tests.unit.zk_kit import SMALL, Forger, holds, session, small_key, verdict

B2 = 169
VECTOR = [3, -4, 12]
"""Norm 13."""


def key_of(bits: int = 8) -> Key:
    return small_key(SMALL, bits)


def forger(rows: list[int], bits: list[int] | None = None, bound_squared: int = B2, force: bool = False) -> Forger:
    key = key_of()
    return Forger(key, session(key, bound_squared), rows, bound_squared=bound_squared, bits=bits, force=force)


def test_a_norm_at_the_bound_passes() -> None:
    prover = forger(VECTOR)
    record = prover.record()
    assert prover.exact and prover.slack() == [0] * 8
    check(prover.key, prover.sess, record, B2)


@pytest.mark.parametrize("slack", [1, 2, 100, 169])
def test_a_smaller_norm_passes_and_its_slack_is_hidden(slack: int) -> None:
    rows = {1: [2, -8, 10], 2: [5, 5, 9, 6], 100: [8, 2, 1], 169: [0]}[slack]
    prover = forger(rows)
    assert B2 - sum(x * x for x in rows) == slack
    assert holds(prover.key, prover.sess, prover.record(), B2)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("rows", "bits"),
    [
        pytest.param([3, -4, 12, 1], [0] * 8, id="one above, no slack"),
        pytest.param([3, -4, 12, 1], [-1] + [0] * 7, id="one above, slack -1"),
        pytest.param([3, -4, 12, 1], [1] * 8, id="one above, slack -1 mod 256"),
        pytest.param([3, -4, 12, 1], [1] + [0] * 6 + [-pow(64, -1, R)], id="one above, a fraction of a bit"),
        pytest.param([0], [169] + [0] * 7, id="slack in a non-bit"),
        pytest.param([8, 2, 1], [0, 0, 1, 2, 0, 1, 1], id="slack in a two"),
        pytest.param([8, 2, 1], [0, 0, 1, 0, 0, 1, 1, 0, 1], id="a bit beyond the weights"),
        pytest.param([8, 2, 1], [0, 0, 0, 0, 0, 1, 1], id="slack too small"),
    ],
)  # fmt: skip
def test_no_other_slack_passes(rows: list[int], bits: list[int], force: bool) -> None:
    prover = forger(rows, bits, force=force)
    record = prover.record()
    if bits[8:] == [1]:  # it weighs nothing and is a bit: true, if useless
        assert prover.exact and verdict(prover.key, prover.sess, record, B2) is None
        return
    assert not prover.exact
    assert verdict(prover.key, prover.sess, record, B2) is (Check.PAIRING if force else Check.RANGE_IDENTITY)


def honest(bound_squared: int) -> Record:
    return forger(VECTOR, bound_squared=bound_squared).record()


def test_a_record_is_for_one_bound() -> None:
    key, record = key_of(), honest(200)
    sess = session(key, 200)
    assert verdict(key, sess, record, 200) is None
    assert verdict(key, sess, record, 201) is Check.RANGE_IDENTITY  # the same session, as if its bound were another
    assert verdict(key, session(key, 201), record, 200) is Check.RANGE_IDENTITY
    assert verdict(key, session(key, 201), record, 201) is Check.RANGE_IDENTITY
    with pytest.raises(ValueError, match="a bound is needed"):
        check(key, sess, record)


def test_the_weights_are_those_of_the_key() -> None:
    """A key of more bits has another commitment of the weights: p(z) would be wrong."""
    key, record = key_of(), honest(200)
    longer = key_of(9)
    assert verdict(longer, session(key, 200), record, 200) is Check.PAIRING
    assert verdict(longer, session(longer, 200), record, 200) is Check.RANGE_IDENTITY


def test_p_at_z_counts_although_it_is_public() -> None:
    key, record = key_of(), honest(200)
    sess, values = session(key, 200), list(record.evaluations)
    at = challenges(key, sess, record)
    values[7] = (values[7] + 1) % R
    values[6] = (values[6] - values[5]) % R  # nn takes up what p e grew by
    assert identity(key, at, values, 200) == 0
    assert verdict(key, sess, replace(record, evaluations=tuple(values)), 200) is Check.PAIRING


def test_parts_of_two_good_records_make_no_third() -> None:
    key = key_of()
    sess, record = session(key, 200), honest(200)
    other = replace(forger([1], bound_squared=200), address=record.address).record()
    for name in ("c", "c_m", "c_e", "c_nn", "c_s", "c_q", "evaluations"):
        mixed = replace(record, **{name: getattr(other, name)})
        assert verdict(key, sess, mixed, 200) is Check.RANGE_IDENTITY, name
    for name in ("w", "w2"):
        assert verdict(key, sess, replace(record, **{name: getattr(other, name)}), 200) is Check.PAIRING


def test_many_records_with_norms() -> None:
    key = key_of()
    records = [honest(200), honest(201), honest(200)]
    found = check_many(key, session(key, 200), records, bytes(32), 200)
    assert found[0] is None and found[2] is None
    assert isinstance(found[1], Refused) and found[1].check is Check.RANGE_IDENTITY
    with pytest.raises(ValueError, match="a bound is needed"):
        check_many(key, session(key, 200), records, bytes(32))


def test_the_challenge_that_merges_the_identities_follows_what_they_speak_of() -> None:
    """delta is drawn from C_s and all before: none of the columns can be made for it."""
    key, record = key_of(), honest(200)
    sess = session(key, 200)
    at = check_identity(key, sess, record, 200)
    for name in ("c", "c_m", "c_e", "c_nn", "c_s"):
        changed = replace(record, **{name: record.w})
        assert challenges(key, sess, changed).delta != at.delta, name
    assert challenges(key, sess, replace(record, c_q=record.w)).delta == at.delta
    assert challenges(key, sess, replace(record, c_q=record.w)).z != at.z
