"""What is hashed from what, and where the parts of a share vector are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.fields.goldilocks import P
from protocols.pine import transcript, wires
from protocols.pine.params import PineParams
from protocols.pine.transcript import Layout
from protocols.sharing.shamir import combine
from protocols.wire.context import Context
from tests.unit.pine_kit import ADDRESS, BEACON, CONTEXT, small

COMMITMENTS = [bytes([i]) * 32 for i in range(5)]
OTHERS = [
    (dataclasses.replace(CONTEXT, chain_id=1), ADDRESS),
    (dataclasses.replace(CONTEXT, contract=b"\x12" * 20), ADDRESS),
    (dataclasses.replace(CONTEXT, session=8), ADDRESS),
    (CONTEXT, b"p" * 20),
]


def test_parts_cover_the_share_vector() -> None:
    params = small()
    layout, seen = Layout(params), np.zeros(params.share_length, dtype=np.int64)
    lengths = (params.dimension, params.bits_length, params.proof_length, 1)
    for part, length in zip((layout.x, layout.bits, layout.proof, layout.pad), lengths, strict=True):
        seen[part] += 1
        assert part.stop - part.start == length
    assert np.all(seen == 1)
    assert layout.pad.stop == params.share_length


@pytest.mark.parametrize("params", [small(), PineParams(10, 9, 4, 3, 1, 3)])
def test_wire_seeds_are_where_the_proofs_begin(params: PineParams) -> None:
    wanted: list[bool] = []
    for sizes in [params.norm_equality] * params.proofs_norm + [params.valid] * params.proofs:
        wanted += [True] * sizes.arity + [False] * sizes.coefficients
    assert Layout(params).wires.tolist() == wanted
    assert sum(wanted) == params.wires_length


def test_everything_is_bound_to_the_session_and_the_data_owner() -> None:
    def hashes(context: Context, address: bytes) -> list[bytes]:
        return [
            *(
                transcript.stage_commitment(context, address, 1, stage, b"b" * 32, b"data")
                for stage in transcript.STAGES
            ),
            transcript.wr_seed(context, address, COMMITMENTS),
            transcript.joint_seed(context, address, b"w" * 32, COMMITMENTS),
            transcript.leaf(context, address, 1, COMMITMENTS[:3]),
            transcript.root(context, address, b"l" * 32, b"public"),
        ]

    every = hashes(CONTEXT, ADDRESS)
    for other in OTHERS:
        every += hashes(*other)
    assert len(set(every)) == len(every)


def test_every_input_of_a_commitment_counts() -> None:
    base = (3, "x", b"b" * 32, b"data")
    variants = [base, (4, *base[1:]), (3, "bits", *base[2:]), (3, "x", b"c" * 32, b"data"), (*base[:3], b"dat")]
    assert len({transcript.stage_commitment(CONTEXT, ADDRESS, *v) for v in variants}) == len(variants)  # type: ignore[arg-type]


def test_every_commitment_and_its_place_count() -> None:
    swapped = [COMMITMENTS[1], COMMITMENTS[0], *COMMITMENTS[2:]]
    for seed in (
        lambda hashes: transcript.wr_seed(CONTEXT, ADDRESS, hashes),
        lambda hashes: transcript.joint_seed(CONTEXT, ADDRESS, b"w" * 32, hashes),
    ):
        assert len({seed(COMMITMENTS), seed(swapped), seed(COMMITMENTS[:4])}) == 3
    seeds = {transcript.joint_seed(CONTEXT, ADDRESS, bytes([i]) * 32, COMMITMENTS) for i in range(3)}
    assert len(seeds) == 3


def test_seeds_from_the_public_part() -> None:
    bits = [bytes([9 + i]) * 32 for i in range(5)]
    checks, joint = transcript.public_seeds(CONTEXT, ADDRESS, 5, b"".join(COMMITMENTS + bits))
    assert checks == transcript.wr_seed(CONTEXT, ADDRESS, COMMITMENTS)
    assert joint == transcript.joint_seed(CONTEXT, ADDRESS, checks, bits)
    with pytest.raises(ValueError, match="320 bytes"):
        transcript.public_seeds(CONTEXT, ADDRESS, 5, bytes(319))


def test_joint_randomness() -> None:
    params = small()
    first = transcript.joint_rand(params, b"s" * 32)
    assert first.shape == (params.joint_rand_length,)
    assert len({*first.tolist(), *transcript.joint_rand(params, b"t" * 32).tolist()}) == 12


def test_query_points_belong_to_the_session_and_the_beacon() -> None:
    params = small()
    first = transcript.query_rand(params, CONTEXT, BEACON).tolist()
    assert len(set(first)) == params.query_rand_length
    assert first == transcript.query_rand(params, CONTEXT, BEACON).tolist()
    for context, beacon in ((OTHERS[2][0], BEACON), (CONTEXT, b"c" * 32)):
        assert not set(first) & set(transcript.query_rand(params, context, beacon).tolist())


def test_a_degenerate_query_point_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    params, drawn = small(), iter([5, 1, P - 1, 6, 7, 8])
    monkeypatch.setattr(transcript, "expand_int", lambda seed, label: next(drawn))
    assert transcript.query_rand(params, CONTEXT, BEACON).tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize(("committee", "degree"), [(4, 1), (8, 2), (0, 0), (5, -1), (256, 1)])
def test_committees_that_are_too_small(committee: int, degree: int) -> None:
    with pytest.raises(ValueError, match="committee"):
        transcript.check_committee(committee, degree)


@pytest.mark.parametrize(("committee", "degree"), [(1, 0), (5, 1), (7, 1), (9, 2), (13, 3)])
def test_wire_seeds_are_shared_without_being_sent(committee: int, degree: int) -> None:
    keys = wires.make_keys(b"k" * 32, committee, degree)
    shares, length = [], 40
    for point in range(1, committee + 1):
        packed = wires.pack_keys(keys, point)
        assert len(packed) == wires.keys_length(committee, degree)
        mine = wires.unpack_keys(packed, point, committee, degree)
        assert mine == {members: key for members, key in keys.items() if point in members}
        shares.append(wires.wire_share(mine, point, committee, length))
    secret = wires.wire_seeds(keys, length)
    for start in range(committee - degree):
        points = [*range(start + 1, start + degree + 2)]
        assert np.array_equal(combine(points, [shares[x - 1] for x in points]), secret)


def test_any_t_provers_lack_a_key() -> None:
    """For every t provers there is a summand of the seeds, uniform over all values, that none of them can compute."""
    keys = wires.make_keys(b"k" * 32, 9, 2)
    for first in range(1, 10):
        for second in range(first + 1, 10):
            missing = [members for members in keys if first not in members and second not in members]
            assert len(missing) == 1


def test_wire_keys_of_wrong_length_or_point() -> None:
    for data, point in ((bytes(127), 1), (bytes(129), 1), (bytes(128), 0), (bytes(128), 6)):
        with pytest.raises(ValueError, match="not the wire keys"):
            wires.unpack_keys(data, point, 5, 1)
    for degree in (-1, 5):
        with pytest.raises(ValueError):
            wires.keys_length(5, degree)


def test_wire_keys_depend_on_seed_and_set() -> None:
    keys = [*wires.make_keys(b"k" * 32, 5, 1).values(), *wires.make_keys(b"l" * 32, 5, 1).values()]
    assert len(set(keys)) == 10
