"""Staged uploads: round trips, and everything that can be tampered with."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.fields.prg import expand
from protocols.pine.encode import OutOfBound, encode_bits, wr_results
from protocols.pine.params import PineParams
from protocols.pine.proof import Querier, decide, prove
from protocols.pine.transcript import Layout, query_rand
from protocols.pine.upload import (
    OpenedUpload,
    Piece,
    StagedUpload,
    largest_plain,
    make_upload,
    open_upload,
    rebuilt_upload,
    verifier_share,
    verify_piece,
)
from protocols.sharing import consistency, robust
from protocols.sharing.shamir import combine
from tests.unit.pine_kit import ADDRESS, BEACON, COMMITTEE, CONTEXT, DEGREE, claimed_bits, small, vector, wrapped

SEED = b"s" * 32
POINTS = range(1, COMMITTEE + 1)
PARAMS = small(40, 500)
X = vector(np.random.default_rng(5), PARAMS)


def made(x: Vector = X, seed: bytes = SEED) -> tuple[bytes, list[Piece]]:
    return make_upload(PARAMS, CONTEXT, ADDRESS, x, COMMITTEE, DEGREE, seed)


ROOT, PIECES = made()
DEGREE_AT = 96 + 32 + 2 + 8 * PARAMS.client_meas_len
"""In the piece of a prover that gets vectors."""


def arguments(point: int, piece: Piece | None = None, root: bytes = ROOT, **changes: Any) -> dict[str, Any]:
    piece = piece or PIECES[point - 1]
    return {
        "params": PARAMS, "context": CONTEXT, "address": ADDRESS, "point": point, "committee": COMMITTEE,
        "root": root, "proof": piece.proof, "public": piece.public, "plain": piece.plain,
    } | changes  # fmt: skip


def opened(root: bytes = ROOT, pieces: list[Piece] = PIECES) -> list[OpenedUpload]:
    return [open_upload(**arguments(point, pieces[point - 1], root)) for point in POINTS]


def judged(uploads: list[OpenedUpload]) -> bool:
    querier = Querier(PARAMS, query_rand(PARAMS, CONTEXT, BEACON))
    shares = [verifier_share(querier, upload) for upload in uploads]
    return decide(PARAMS, robust.decode(POINTS, shares, DEGREE).values)


def consistent(uploads: list[OpenedUpload]) -> consistency.Verdict:
    weights = consistency.weights(BEACON, b"pine test", PARAMS.share_length - 1)
    openings = {x: consistency.combine_share(u.share, weights) for x, u in zip(POINTS, uploads, strict=True)}
    return consistency.check(openings, DEGREE)


def test_round_trip() -> None:
    uploads, layout = opened(), Layout(PARAMS)
    for points in ((1, 2), (2, 5), (4, 3)):
        whole = combine(points, [uploads[x - 1].share for x in points])
        assert np.array_equal(whole[layout.x], X)
        assert set(whole[layout.bits].tolist()) <= {0, 1}
    assert len({(u.wr_seed, u.joint_seed) for u in uploads}) == 1
    assert consistent(uploads).status is consistency.Status.CONSISTENT
    assert judged(uploads)


def test_all_committees(rng: np.random.Generator) -> None:
    for committee, degree in ((1, 0), (6, 1), (9, 2)):
        root, pieces = make_upload(PARAMS, CONTEXT, ADDRESS, X, committee, degree, SEED)
        shares = [
            open_upload(**arguments(i, piece, root, committee=committee)).share for i, piece in enumerate(pieces, 1)
        ]
        assert all(s.shape == (PARAMS.share_length,) and gl.is_canonical(s) for s in shares)
        decoded = robust.decode(range(1, committee + 1), shares, degree)
        assert np.array_equal(decoded.values[: PARAMS.dimension], X)
        assert not decoded.error_points


def test_the_same_seed_gives_the_same_bytes_and_another_one_nothing_alike() -> None:
    assert made() == (ROOT, PIECES)
    root, pieces = made(seed=b"t" * 32)
    assert root != ROOT
    for mine, other in zip(PIECES, pieces, strict=True):
        assert mine.plain[:96] != other.plain[:96]
        assert mine.public != other.public


def test_one_seed_serves_sessions_and_owners_apart() -> None:
    """The same seed in another session shares with other polynomials: the difference of shares says nothing."""
    other = dataclasses.replace(CONTEXT, session=8)
    _, pieces = make_upload(PARAMS, other, ADDRESS, X, COMMITTEE, DEGREE, SEED)
    _, third = make_upload(PARAMS, CONTEXT, b"q" * 20, X, COMMITTEE, DEGREE, SEED)
    assert len({p.plain[:32] for p in (PIECES[0], pieces[0], third[0])}) == 3
    assert len({p.plain[-40:] for p in (PIECES[4], pieces[4], third[4])}) == 3


@pytest.mark.parametrize(("committee", "degree"), [(5, 1), (9, 2), (13, 3)])
def test_largest_plain(committee: int, degree: int) -> None:
    _, pieces = make_upload(PARAMS, CONTEXT, ADDRESS, X, committee, degree, SEED)
    assert max(len(p.plain) for p in pieces) == largest_plain(PARAMS, committee, degree)


def test_a_share_rebuilt_by_the_others() -> None:
    uploads = opened()
    share = robust.decode([1, 2, 4, 5], [uploads[x - 1].share for x in (1, 2, 4, 5)], DEGREE, at=3).values
    given: dict[str, Any] = {
        "params": PARAMS, "context": CONTEXT, "address": ADDRESS, "committee": COMMITTEE, "root": ROOT,
        "leaves_root": uploads[0].leaves_root, "public": PIECES[0].public, "share": share,
    }  # fmt: skip
    made = rebuilt_upload(**given)
    assert np.array_equal(made.share, uploads[2].share)
    assert (made.wr_seed, made.joint_seed) == (uploads[2].wr_seed, uploads[2].joint_seed)
    wrong = ({"leaves_root": bytes(32)}, {"public": bytes(320)}, {"root": bytes(32)}, {"address": b"x" * 20})
    for change in wrong:
        with pytest.raises(ValueError, match="root on chain"):
            rebuilt_upload(**(given | change))
    with pytest.raises(ValueError, match="elements were expected"):
        rebuilt_upload(**(given | {"share": share[:-1]}))


def test_sizes() -> None:
    """The first t provers get seeds; the others full vectors, without wire seeds."""
    sent = PARAMS.share_length - PARAMS.wires_length
    assert [len(p.plain) for p in PIECES] == [96 + 33 + 3 * 33 + 128] + [96 + 33 + 3 + 8 * sent + 128] * 4
    assert all(len(p.public) == 2 * COMMITTEE * 32 for p in PIECES)
    assert all(len(p.proof) <= 3 for p in PIECES)
    assert all(len(p.plain) <= 96 + 1 + 8 * PARAMS.share_length for p in PIECES)


def test_secrets_do_not_show() -> None:
    assert SEED.hex() not in repr(StagedUpload(PARAMS, CONTEXT, ADDRESS, COMMITTEE, DEGREE, SEED))
    assert "plain" not in repr(PIECES[0]) + repr(opened()[0])
    assert str(SEED) not in repr(PIECES[0])


@pytest.mark.parametrize("point", POINTS)
def test_any_changed_byte_is_refused(rng: np.random.Generator, point: int) -> None:
    piece = PIECES[point - 1]
    for name in ("plain", "public", "root"):
        data = {"plain": piece.plain, "public": piece.public, "root": ROOT}[name]
        for place in {0, len(data) - 1, *rng.integers(0, len(data), 30).tolist()}:
            bad = bytearray(data)
            bad[place] ^= 1 << int(rng.integers(8))
            with pytest.raises(ValueError):
                open_upload(**arguments(point, **{name: bytes(bad)}))
            assert not verify_piece(**arguments(point, **{name: bytes(bad)}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"point": 3}, "commitment to the share of x"),
        ({"point": 0}, "point 0 is not in 1"),
        ({"point": 6}, "point 6 is not in 1"),
        ({"committee": 6}, "public part has 384 bytes"),
        ({"address": b"x" * 20}, "commitment to the share of x"),
        ({"context": dataclasses.replace(CONTEXT, session=8)}, "commitment to the share of x"),
        ({"context": dataclasses.replace(CONTEXT, chain_id=1)}, "commitment to the share of x"),
        ({"context": dataclasses.replace(CONTEXT, contract=b"\x12" * 20)}, "commitment to the share of x"),
        ({"root": b"r" * 32}, "root on chain"),
        ({"proof": ()}, "Merkle path"),
        ({"proof": PIECES[2].proof}, "Merkle path"),
        ({"proof": (*PIECES[1].proof, b"h" * 32)}, "Merkle path"),
        ({"proof": tuple(h[:31] for h in PIECES[1].proof)}, "Merkle path"),
        ({"public": PIECES[1].public[:-1]}, "public part has 320 bytes"),
        ({"public": PIECES[1].public[:160] + bytes(32) + PIECES[1].public[192:]}, "root on chain"),
        ({"public": PIECES[1].public[:192] + bytes(32) + PIECES[1].public[224:]}, "commitment to the share of bits"),
        ({"plain": b""}, "blinds"),
        ({"plain": PIECES[1].plain[:100]}, "root of the leaves"),
        ({"plain": PIECES[1].plain[:-8]}, "share of proofs"),
        ({"plain": PIECES[1].plain + b"x"}, "follow the piece"),
        ({"plain": PIECES[2].plain}, "commitment to the share of x"),
        ({"plain": PIECES[1].plain[:DEGREE_AT] + b"\x02" + PIECES[1].plain[DEGREE_AT + 1 :]}, "committee of 5"),
        (
            {"plain": PIECES[1].plain[:DEGREE_AT] + b"\x00" + PIECES[1].plain[DEGREE_AT + 1 :]},
            "follow the piece|share of",
        ),
        ({"params": small(41, 500)}, "degree|expected|commitment"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        open_upload(**(arguments(2) | changes))
    assert not verify_piece(**(arguments(2) | changes))


def test_good_pieces_verify() -> None:
    assert all(verify_piece(**arguments(point)) for point in POINTS)


@pytest.mark.parametrize("stage", ["x", "bits", "proof"])
def test_a_committed_element_that_is_not_canonical(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def bad(staged: StagedUpload, name: Any, secret: Vector) -> list[Vector | bytes]:
        pieces = StagedUpload.deal(staged, name, secret)
        if name == stage:
            vector = pieces[2]
            assert isinstance(vector, np.ndarray)
            vector[-1] = P
        return pieces

    root, pieces = staged_upload(X, deal=bad)
    with pytest.raises(ValueError, match=r"share of .*: a word is not in \[0, p\)"):
        open_upload(**arguments(3, pieces[2], root))
    assert verify_piece(**arguments(4, pieces[3], root))


def staged_upload(
    x: Vector, norm: int | None = None, deal: Any = StagedUpload.deal, joint: Vector | None = None
) -> tuple[bytes, list[Piece]]:
    """An upload step by step. norm: claimed instead of the true one, success bits forced.  joint: used instead."""
    staged = StagedUpload(PARAMS, CONTEXT, ADDRESS, COMMITTEE, DEGREE, SEED)
    results = wr_results(PARAMS, staged.commit_x(deal(staged, "x", x)), x)
    bits = encode_bits(PARAMS, x, results) if norm is None else claimed_bits(PARAMS, norm, results, True)
    drawn = staged.commit_bits(deal(staged, "bits", bits))
    proof = prove(PARAMS, x, bits, results, drawn if joint is None else joint, staged.prove_rand)
    return staged.commit_proof(deal(staged, "proof", staged.sent_of(proof)))


def test_steps_are_what_make_upload_does() -> None:
    assert staged_upload(X) == (ROOT, PIECES)


@pytest.mark.parametrize("norm", [0, 1, PARAMS.norm_bound])
def test_a_wrapped_vector_opens_and_is_refused_by_the_proof(norm: int) -> None:
    root, pieces = staged_upload(wrapped(PARAMS), norm)
    uploads = opened(root, pieces)
    assert consistent(uploads).status is consistency.Status.CONSISTENT
    assert not judged(uploads)


def test_joint_randomness_of_choice_is_refused() -> None:
    root, pieces = staged_upload(X, joint=expand(b"chosen".ljust(32), PARAMS.joint_rand_length))
    assert not judged(opened(root, pieces))


def test_a_vector_over_the_bound_is_not_even_made() -> None:
    with pytest.raises(OutOfBound):
        made(vector(np.random.default_rng(1), PARAMS, part=1.1))
    with pytest.raises(OutOfBound):
        made(wrapped(PARAMS))


def altered(count: int, where: str) -> list[OpenedUpload]:
    """Committed shares that do not fit together at ``count`` provers."""

    def bad(staged: StagedUpload, name: Any, secret: Vector) -> list[Vector | bytes]:
        pieces = StagedUpload.deal(staged, name, secret)
        if name == where:
            pieces[:count] = [expand(bytes([i]) * 32, len(secret)) for i in range(count)]
        return pieces

    return opened(*staged_upload(X, deal=bad))


@pytest.mark.parametrize("where", ["x", "bits", "proof"])
def test_inconsistent_shares_are_seen_and_one_does_no_harm(where: str) -> None:
    one, many = altered(1, where), altered(3, where)
    assert consistent(one) == consistency.Verdict(consistency.Status.OUTLIERS, (1,))
    assert judged(one)
    assert consistent(many).status is consistency.Status.INCONSISTENT


def test_wire_keys_that_differ_between_provers_are_seen() -> None:
    staged = StagedUpload(PARAMS, CONTEXT, ADDRESS, COMMITTEE, DEGREE, SEED)
    results = wr_results(PARAMS, staged.commit_x(staged.deal("x", X)), X)
    bits = encode_bits(PARAMS, X, results)
    joint = staged.commit_bits(staged.deal("bits", bits))
    proof = prove(PARAMS, X, bits, results, joint, staged.prove_rand)
    pieces, first = staged.deal("proof", staged.sent_of(proof)), dict(staged._keys)
    staged._keys = {members: bytes(32) if members == (1, 2, 3, 4) else key for members, key in first.items()}
    root, packed = staged.commit_proof(pieces)
    uploads = opened(root, packed)
    staged._keys = first
    honest = opened(*staged.commit_proof(pieces))
    mixed = [honest[0], *uploads[1:3], *honest[3:]]
    assert consistent(honest).status is consistency.Status.CONSISTENT
    assert consistent(mixed).status is not consistency.Status.CONSISTENT


@pytest.mark.parametrize("liar", POINTS)
def test_a_lying_prover_is_corrected(liar: int) -> None:
    querier = Querier(PARAMS, query_rand(PARAMS, CONTEXT, BEACON))
    shares = [verifier_share(querier, upload) for upload in opened()]
    shares[liar - 1] = expand(b"lie".ljust(32), PARAMS.verifier_length)
    decoded = robust.decode(POINTS, shares, DEGREE)
    assert decoded.error_points == (liar,)
    assert decide(PARAMS, decoded.values)


@pytest.mark.parametrize(
    ("committee", "degree", "seed", "sentence"),
    [(4, 1, SEED, "committee"), (0, 0, SEED, "committee"), (5, 1, b"short", "32 bytes")],
)
def test_arguments_that_cannot_be(committee: int, degree: int, seed: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_upload(PARAMS, CONTEXT, ADDRESS, X, committee, degree, seed)


def test_a_vector_of_another_length() -> None:
    with pytest.raises(ValueError):
        made(gl.zeros(PARAMS.dimension + 1))


def test_parameters_of_any_shape() -> None:
    params = PineParams(7, 90, 50, 2, 1, 3, checks=10, successes=10)
    x = gl.vector([1, 2, 3, P - 4, 5, 6, 7])
    root, pieces = make_upload(params, CONTEXT, ADDRESS, x, COMMITTEE, DEGREE, SEED)
    querier = Querier(params, query_rand(params, CONTEXT, BEACON))
    shares = [
        verifier_share(querier, open_upload(**arguments(i, piece, root, params=params)))
        for i, piece in enumerate(pieces, 1)
    ]
    assert decide(params, robust.decode(POINTS, shares, DEGREE).values)
