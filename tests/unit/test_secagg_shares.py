"""Shares of the two secrets: threshold, commitment, packing, rebuilding."""

from __future__ import annotations

import dataclasses

import pytest

from protocols.secagg import shares
from protocols.secagg.keys import SessionKeys
from protocols.secagg.rebuild import rebuild_mask_secret, rebuild_self_seed
from protocols.sessions.params import mask_threshold
from protocols.sharing.shamir import rebuild_secret
from protocols.wire.context import Context

CONTEXT = Context(1, b"\x11" * 20, 7)
DEALER = b"d" * 20
KEYS = SessionKeys.derive(b"1" * 32, CONTEXT, DEALER)
SEED = b"s" * 32


def dealt(size: int) -> shares.KeyShares:
    return shares.deal_key_shares(CONTEXT, DEALER, KEYS, size, SEED)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 31])
def test_any_threshold_of_shares_rebuilds_and_verifies(size: int) -> None:
    key_shares, threshold = dealt(size), mask_threshold(size)
    for chosen in (range(threshold), range(size - threshold, size)):
        points = [i + 1 for i in chosen]
        own = [key_shares.bundles[i].self_share.share for i in chosen]
        mask = [key_shares.bundles[i].mask_share.share for i in chosen]
        assert rebuild_secret(points, own) == KEYS.self_seed
        assert rebuild_secret(points, mask) == KEYS.mask_secret
    for i, bundle in enumerate(key_shares.bundles):
        assert shares.verify_bundle(CONTEXT, DEALER, key_shares.root, size, i, bundle)
        packed = shares.pack_bundle(bundle)
        assert len(packed) <= shares.max_bundle_bytes(size)
        assert shares.unpack_bundle(packed, size, i) == bundle


def test_dealing_is_deterministic_and_bound() -> None:
    assert dealt(4) == dealt(4)
    other = [
        shares.deal_key_shares(CONTEXT, DEALER, KEYS, 4, b"t" * 32),
        shares.deal_key_shares(CONTEXT, DEALER, KEYS, 5, SEED),
        shares.deal_key_shares(CONTEXT, b"e" * 20, KEYS, 4, SEED),
        shares.deal_key_shares(dataclasses.replace(CONTEXT, session=8), DEALER, KEYS, 4, SEED),
    ]
    all_shares = {o.bundles[0].self_share.share for o in [dealt(4), *other]}
    all_salts = {b.of(kind).salt for o in [dealt(4), *other] for b in o.bundles for kind in (0, 1)}
    assert (len(all_shares), len(all_salts)) == (5, 2 * (4 + 4 + 5 + 4 + 4))


def test_the_two_kinds_are_shared_apart() -> None:
    """One polynomial for both would make a share of one a share of the difference of the other."""
    a, b = dealt(2).bundles
    one = rebuild_secret([1, 2], [a.self_share.share, b.self_share.share])
    two = rebuild_secret([1, 2], [a.mask_share.share, b.mask_share.share])
    assert (one, two) == (KEYS.self_seed, KEYS.mask_secret)
    with pytest.raises(ValueError):
        rebuild_mask_secret(KEYS.mask_public, {0: a.self_share.share, 1: b.mask_share.share}, 2)


def test_a_share_proves_only_its_own_place() -> None:
    key_shares = dealt(5)
    share = key_shares.bundles[2].self_share

    def ok(dealer: bytes = DEALER, size: int = 5, position: int = 2, kind: int = 0, **changes: object) -> bool:
        s = dataclasses.replace(share, **changes)  # type: ignore[arg-type]
        return shares.verify_share(CONTEXT, dealer, key_shares.root, size, position, kind, s.salt, s.share, s.proof)

    assert ok()
    assert not ok(dealer=b"e" * 20)
    assert not ok(size=6)
    assert not ok(position=1)
    assert not ok(position=5)
    assert not ok(position=-1)
    assert not ok(kind=1)
    assert not ok(kind=2)
    assert not ok(salt=b"x" * 32)
    assert not ok(salt=share.salt[:-1])
    assert not ok(share=bytes(40))
    assert not ok(share=share.share[:-1])
    assert not ok(share=b"\xff" * 40)
    assert not ok(proof=())
    assert not ok(proof=(*share.proof, b"x" * 32))


def test_a_committed_share_that_is_no_field_element_is_bad() -> None:
    from protocols.sharing import merkle

    bad, salt = b"\xff" * 40, bytes(32)
    leaves = [CONTEXT.bind("key-share", DEALER, (0).to_bytes(4, "big"), bytes([kind]), salt, bad) for kind in (0, 1)]
    proof = merkle.proof(leaves, 0)
    assert not shares.verify_share(CONTEXT, DEALER, merkle.root(leaves), 1, 0, 0, salt, bad, proof)


def test_open_bundle_refuses_what_is_not_committed() -> None:
    key_shares = dealt(3)
    packed = [shares.pack_bundle(b) for b in key_shares.bundles]
    assert shares.open_bundle(CONTEXT, DEALER, key_shares.root, 3, 1, packed[1]) == key_shares.bundles[1]
    for data in (packed[0], packed[1][:-1], packed[1] + b"\0", b"", bytes(len(packed[1]))):
        with pytest.raises(ValueError):
            shares.open_bundle(CONTEXT, DEALER, key_shares.root, 3, 1, data)


def test_rebuilding_checks_the_result() -> None:
    bundles = dealt(4).bundles
    own = {i: b.self_share.share for i, b in enumerate(bundles)}
    mask = {i: b.mask_share.share for i, b in enumerate(bundles)}
    assert rebuild_self_seed(CONTEXT, DEALER, KEYS.self_hash, own, 3) == KEYS.self_seed
    assert rebuild_mask_secret(KEYS.mask_public, dict(reversed(mask.items())), 3) == KEYS.mask_secret
    with pytest.raises(ValueError, match="needed"):
        rebuild_self_seed(CONTEXT, DEALER, KEYS.self_hash, {0: own[0], 3: own[3]}, 3)
    with pytest.raises(ValueError, match="announced"):
        rebuild_self_seed(CONTEXT, b"e" * 20, KEYS.self_hash, own, 3)
    with pytest.raises(ValueError, match="announced"):
        rebuild_mask_secret(KEYS.enc_public, mask, 3)
    with pytest.raises(ValueError):
        rebuild_self_seed(CONTEXT, DEALER, KEYS.self_hash, {**own, 0: own[1]}, 3)
