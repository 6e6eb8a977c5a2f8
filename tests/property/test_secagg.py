"""For any group, any V, any U: the masks cancel; and nothing that is damaged opens."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P
from protocols.fields.prg import expand
from protocols.secagg import shares
from protocols.secagg.keys import SessionKeys
from protocols.secagg.masks import mask_update, pair_seed, unmask_vector
from protocols.secagg.rebuild import rebuild_mask_secret, rebuild_self_seed
from protocols.secagg.seal import open_sealed, seal
from protocols.secagg.streams import LABEL, accumulate
from protocols.sessions.params import mask_threshold
from protocols.wire.context import Context

CONTEXT = Context(1, b"\x11" * 20, 7)


def address(k: int) -> bytes:
    return bytes([k + 1]) * 20


KEYS = [SessionKeys.derive(bytes([k]) * 32, CONTEXT, address(k)) for k in range(8)]


@given(st.data(), st.integers(2, 8))
def test_a_round_from_shares_to_sum(data: st.DataObject, size: int) -> None:
    """Whoever survives, T of them rebuild what unmasks the sum of exactly the survivors."""
    threshold = mask_threshold(size)
    members = st.sets(st.integers(0, size - 1), min_size=threshold)
    valid = data.draw(members, "V")
    alive = data.draw(st.permutations(sorted(valid)), "U")[: data.draw(st.integers(threshold, len(valid)))]
    updates = {k: expand(bytes([k]) * 32, 5) for k in valid}
    dealt = {k: shares.deal_key_shares(CONTEXT, address(k), KEYS[k], size, bytes([9]) * 32) for k in valid}

    def seed(k: int, peer: int) -> bytes:
        return pair_seed(CONTEXT, KEYS[k].mask_secret, address(k), KEYS[peer].mask_public, address(peer))

    summed = gl.zeros(5)
    for k in alive:
        pairs = {peer: seed(k, peer) for peer in valid if peer != k}
        gl.add_into(summed, mask_update(updates[k], k, KEYS[k].self_seed, pairs))

    helpers = sorted(alive)[:threshold]
    own = {
        k: rebuild_self_seed(
            CONTEXT,
            address(k),
            KEYS[k].self_hash,
            {i: dealt[k].bundles[i].self_share.share for i in helpers},
            threshold,
        )
        for k in alive
    }
    gone = {
        k: rebuild_mask_secret(
            KEYS[k].mask_public, {i: dealt[k].bundles[i].mask_share.share for i in helpers}, threshold
        )
        for k in valid - set(alive)
    }
    addresses = {k: address(k) for k in valid}
    publics = {k: KEYS[k].mask_public for k in valid}
    gl.sub_into(summed, unmask_vector(CONTEXT, 5, addresses, publics, own, gone))
    assert np.array_equal(summed, gl.lincomb([1] * len(alive), [updates[k] for k in alive]))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=20), st.integers(0, 20), st.integers(0, 70))
def test_streams_are_expanded_seeds(seeds: list[bytes], cut: int, length: int) -> None:
    acc, expected = gl.zeros(length), gl.zeros(length)
    accumulate(acc, seeds[:cut], seeds[cut:])
    for i, seed in enumerate(seeds):
        (gl.add_into if i < cut else gl.sub_into)(expected, expand(seed, length, LABEL))
    assert np.array_equal(acc, expected)
    assert not len(acc) or int(acc.max()) < P


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_sealing_round_trip(plaintext: bytes, associated: bytes) -> None:
    sealed = seal(CONTEXT, KEYS[0].enc_secret, KEYS[1].enc_public, associated, plaintext)
    assert open_sealed(CONTEXT, KEYS[1].enc_secret, KEYS[0].enc_public, associated, sealed) == plaintext


@given(st.binary(max_size=400))
def test_garbage_is_a_value_error(data: bytes) -> None:
    dealt = shares.deal_key_shares(CONTEXT, address(0), KEYS[0], 2, bytes(32))
    for attempt in (
        lambda: open_sealed(CONTEXT, KEYS[1].enc_secret, KEYS[0].enc_public, b"", data),
        lambda: shares.open_bundle(CONTEXT, address(0), dealt.root, 2, 1, data),
        lambda: open_sealed(CONTEXT, KEYS[1].enc_secret, data, b"", bytes(60)),
    ):
        with suppress(ValueError):
            raise AssertionError(attempt())
