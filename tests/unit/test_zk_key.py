"""Keys of statements: the digests of the vectors, commitments by both forms of the string, what a digest binds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.bn254 import fr, poly, srs
from protocols.bn254.pairing import g2_to_bytes
from protocols.zk.hashing import h, tag
from protocols.zk.key import Key, make_key, padded, session_hash
from protocols.zk.params import NB_G, ZkParams
from tests.unit.bn254_kit import number, point, value
from tests.unit.zk_kit import CONTRACT, SMALL, TAU, interpolated, load, scalars, small_key, times, word_of


@pytest.fixture(scope="module")
def bare() -> Key:
    """Without a basis."""
    return make_key(SMALL, srs.known(TAU, SMALL.powers, "kit"))


def test_the_vectors(vectors: Path) -> None:
    honest = load(vectors, "honest_K3_n5")
    parameters, terms = honest["parameters"], honest["session"]
    params = ZkParams(parameters["d"], parameters["b"], parameters["N"])
    assert params.powers == parameters["srs_powers"]
    key = small_key(params, None, number(parameters["tau"]))
    assert key.omega == number(parameters["omega"])
    assert (key.c_t, key.c_p) == (point(honest["key"]["C_T"]), point(honest["key"]["C_P"]))
    assert key.digest == word_of(honest["key"]["digest"])
    contract = number(terms["contract"]).to_bytes(20, "big")
    sess = session_hash(terms["chain"], contract, terms["session"], terms["round"], key.digest, terms["B2"])
    assert sess == word_of(terms["hash"])
    assert {name: tag(name) for name in honest["tags"]} == {k: word_of(v) for k, v in honest["tags"].items()}


def test_the_vectors_of_scores_name_a_key_without_norms(vectors: Path) -> None:
    score = load(vectors, "score_K3_n5")
    key, terms = small_key(ZkParams(score["d"], score["b"], score["N"]), None, number(score["tau"])), score["session"]
    sess = session_hash(31337, terms["contract"].to_bytes(20, "big"), 1, 0, key.digest, terms["B2"])
    assert sess == word_of(terms["hash"])


def test_public_polynomials(bare: Key) -> None:
    assert fr.integers(bare.t_poly) == interpolated([i - 32 for i in range(64)])
    assert fr.integers(bare.p_poly) == interpolated([int(i >= 24) for i in range(64)])
    assert bare.c_t == times(value(fr.integers(bare.t_poly), TAU))
    assert not bare.norms and bare.bits_poly is None and bare.c_bits is None


def test_a_table_shorter_than_the_rows_ends_in_zeros() -> None:
    key = small_key(ZkParams(40, 3, 64))
    assert fr.integers(key.t_poly) == interpolated([i - 4 if i < 8 else 0 for i in range(64)])


def test_weights_of_the_bits_of_a_slack() -> None:
    key = small_key(SMALL, 10)
    assert key.norms and key.bits_poly is not None
    rows = [1 << j if j < 10 else 0 for j in range(64)]
    assert fr.integers(key.bits_poly) == interpolated(rows)
    assert key.c_bits == times(value(interpolated(rows), TAU))
    assert key.digest != small_key().digest


def test_the_digest_of_a_key_with_norms_has_the_weights_at_its_end() -> None:
    key, plain = small_key(SMALL, 10), small_key()
    items = [tag("key"), 64, key.omega, 24, 6, key.c_t, key.c_p, g2_to_bytes(key.tau2)]
    assert key.c_bits is not None
    assert (plain.digest, key.digest) == (h(*items), h(*items, key.c_bits))


def test_everything_of_a_statement_is_in_its_digest() -> None:
    keys = [
        small_key(), small_key(ZkParams(25, 6, 64)), small_key(ZkParams(24, 5, 64)), small_key(ZkParams(24, 6, 128)),
        small_key(SMALL, None, TAU + 1), small_key(SMALL, 10), small_key(SMALL, 11),
    ]  # fmt: skip
    assert len({key.digest for key in keys}) == len(keys)


@settings(max_examples=8)
@given(st.lists(st.integers(-32, 31), min_size=0, max_size=64), st.integers(0, NB_G))
def test_both_forms_of_the_string_commit_alike(bare: Key, rows: list[int], blinders: int) -> None:
    values, extra = fr.vector(rows), fr.vector(scalars("extra", blinders))
    committed = bare.commit_values(values, extra)
    assert committed == small_key().commit_values(values, extra)
    coefficients = poly.blinded(padded(values, 64), extra)
    assert committed == bare.commit(coefficients) == times(value(fr.integers(coefficients), TAU))


def test_both_forms_make_the_same_key(bare: Key) -> None:
    assert bare.digest == small_key().digest
    with_norms = make_key(SMALL, srs.known(TAU, SMALL.powers, "kit"), 10, threads=2)
    assert with_norms.digest == small_key(SMALL, 10).digest


def test_a_larger_string_gives_the_same_key(bare: Key) -> None:
    key = make_key(SMALL, srs.known(TAU, SMALL.powers + 50, "kit"))
    assert key.digest == bare.digest and len(key.powers) == SMALL.powers
    with pytest.raises(ValueError, match="coefficients"):
        key.commit(fr.zeros(SMALL.powers + 1))


def test_what_is_too_small_is_refused(bare: Key) -> None:
    string = srs.known(TAU, SMALL.powers, "kit")
    with pytest.raises(ValueError, match="136 are needed"):
        make_key(SMALL, replace(string, powers=string.powers[:-1]))
    for basis in (srs.known_basis(TAU, 32, NB_G), srs.known_basis(TAU, 64, NB_G - 1)):
        with pytest.raises(ValueError, match="basis"):
            make_key(SMALL, string, basis=basis)
    for bits in (0, 65, 128):
        with pytest.raises(ValueError, match="squared norm"):
            make_key(SMALL, string, bits)
    for key in (bare, small_key()):
        with pytest.raises(ValueError, match="rows"):
            key.commit_values(fr.zeros(65), fr.zeros(0))
        with pytest.raises(ValueError, match="blinders"):
            key.commit_values(fr.zeros(24), fr.zeros(NB_G + 1))
    with pytest.raises(ValueError, match="values"):
        padded(fr.zeros(3), 2)


def test_a_session_hash_binds_all_that_it_names() -> None:
    digest = small_key().digest
    hashes = {
        session_hash(31337, CONTRACT, 7, 0, digest, 961), session_hash(1, CONTRACT, 7, 0, digest, 961),
        session_hash(31337, bytes(20), 7, 0, digest, 961), session_hash(31337, CONTRACT, 8, 0, digest, 961),
        session_hash(31337, CONTRACT, 7, 1, digest, 961), session_hash(31337, CONTRACT, 7, 0, bytes(32), 961),
        session_hash(31337, CONTRACT, 7, 0, digest, 962),
    }  # fmt: skip
    assert len(hashes) == 7
    for contract, key_digest in ((bytes(19), digest), (bytes(32), digest), (CONTRACT, digest[:-1])):
        with pytest.raises(ValueError, match="bytes"):
            session_hash(31337, contract, 7, 0, key_digest, 961)
