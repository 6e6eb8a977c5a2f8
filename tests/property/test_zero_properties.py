"""Zero sharings and rebuilding for any committee, label and seeds."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from protocols.fields import goldilocks as gl
from protocols.fields.prg import expand
from protocols.sharing.rebuild import helper_message, rebuild
from protocols.sharing.robust import decode
from protocols.sharing.shamir import share
from protocols.sharing.zero import subsets, zero_share

committees = st.sampled_from([(4, 1), (5, 1), (6, 1), (9, 2)])


def seeds_of(n: int, t: int, salt: bytes) -> dict[tuple[int, ...], bytes]:
    return {members: hashlib.sha256(salt + bytes(members)).digest() for members in subsets(n, t)}


@given(committees, st.binary(max_size=8), st.binary(max_size=8), st.integers(0, 5))
def test_zero(committee: tuple[int, int], salt: bytes, label: bytes, length: int) -> None:
    n, t = committee
    seeds = seeds_of(n, t, salt)
    shares = [zero_share(seeds, x, n, t, label, length) for x in range(1, n + 1)]
    decoded = decode(range(1, n + 1), shares, 2 * t)
    assert decoded.values.tolist() == [0] * length
    assert decoded.error_points == ()


@given(st.sampled_from([(5, 1), (6, 1), (9, 2)]), st.binary(max_size=8), st.data())  # 4t helpers bear t liars
def test_rebuild(committee: tuple[int, int], salt: bytes, data: st.DataObject) -> None:
    n, t = committee
    at = data.draw(st.integers(1, n))
    helpers = [x for x in range(1, n + 1) if x != at]
    liars = data.draw(st.sets(st.sampled_from(helpers), max_size=t))
    shares = share(expand(hashlib.sha256(salt).digest(), 3), t, range(1, n + 1), bytes(32))
    seeds = seeds_of(n, t, salt)
    sent = [helper_message(shares[x - 1], seeds, x, at, n, t, salt) for x in helpers]
    for x in liars:
        gl.add_into(sent[helpers.index(x)], gl.vector([1, 0, x]))
    decoded = rebuild(helpers, sent, t, at)
    assert decoded.values.tolist() == shares[at - 1].tolist()
    assert decoded.error_points == tuple(sorted(liars))
