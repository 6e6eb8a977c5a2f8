"""Keys, agreement and sealing."""

from __future__ import annotations

import pytest

from protocols.secagg import keys, seal
from protocols.wire.context import Context

CONTEXT = Context(1, b"\x11" * 20, 7)
ELSEWHERE = Context(1, b"\x11" * 20, 8)
ALICE, BOB = b"a" * 20, b"b" * 20


def derived(label: bytes, address: bytes = ALICE, context: Context = CONTEXT) -> keys.SessionKeys:
    return keys.SessionKeys.derive(label * 32, context, address)


def test_keys_depend_on_seed_session_and_wallet_and_nothing_else() -> None:
    own = derived(b"1")
    assert own == derived(b"1")
    others = [derived(b"2"), derived(b"1", BOB), derived(b"1", context=ELSEWHERE)]
    secrets = [s for k in (own, *others) for s in (k.enc_secret, k.mask_secret, k.self_seed)]
    assert len(set(secrets)) == 12
    assert own.enc_public == keys.public_of(own.enc_secret)
    assert own.self_hash == keys.self_hash(CONTEXT, ALICE, own.self_seed)


def test_secrets_stay_out_of_repr() -> None:
    own = derived(b"1")
    shown = repr(own)
    assert all(repr(secret) not in shown for secret in (own.enc_secret, own.mask_secret, own.self_seed))
    assert repr(own.enc_public) in shown


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        keys.SessionKeys.derive(b"short", CONTEXT, ALICE)


def test_key_digest_binds_all_three_and_the_wallet() -> None:
    own = derived(b"1")
    digest = own.public.digest(CONTEXT, ALICE)
    assert digest == keys.key_digest(CONTEXT, ALICE, own.enc_public, own.mask_public, own.self_hash)
    other = derived(b"2").public
    mixed = [
        keys.PublicKeys(other.enc, own.mask_public, own.self_hash),
        keys.PublicKeys(own.enc_public, other.mask, own.self_hash),
        keys.PublicKeys(own.enc_public, own.mask_public, other.self_hash),
        keys.PublicKeys(own.mask_public, own.enc_public, own.self_hash),
    ]
    digests = {m.digest(CONTEXT, ALICE) for m in mixed}
    digests |= {own.public.digest(CONTEXT, BOB), own.public.digest(ELSEWHERE, ALICE)}
    assert len(digests) == 6
    assert digest not in digests


def test_agreement_is_mutual() -> None:
    a, b = derived(b"1"), derived(b"2", BOB)
    assert keys.agree(a.enc_secret, b.enc_public) == keys.agree(b.enc_secret, a.enc_public)


@pytest.mark.parametrize(
    "public", [bytes(32), (1).to_bytes(32, "little"), b"short", (2**255 - 19).to_bytes(32, "little")]
)
def test_useless_public_keys_are_refused(public: bytes) -> None:
    with pytest.raises(ValueError):
        keys.agree(b"\x01" * 32, public)


def sealed_to_bob(plaintext: bytes, associated: bytes = b"purpose") -> bytes:
    return seal.seal(CONTEXT, derived(b"1").enc_secret, derived(b"2", BOB).enc_public, associated, plaintext)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_sealed_opens_to_the_same(size: int) -> None:
    sealed = sealed_to_bob(bytes(size))
    assert len(sealed) == size + seal.SEAL_OVERHEAD
    bob, alice = derived(b"2", BOB), derived(b"1")
    assert seal.open_sealed(CONTEXT, bob.enc_secret, alice.enc_public, b"purpose", sealed) == bytes(size)


def test_sealing_repeats_itself_and_never_a_nonce() -> None:
    assert sealed_to_bob(b"same") == sealed_to_bob(b"same")
    nonces = {sealed_to_bob(bytes([i]) * 4)[:12] for i in range(50)}
    nonces |= {sealed_to_bob(b"same", associated=bytes([i]))[:12] for i in range(50)}
    assert len(nonces) == 100


def test_nothing_else_opens() -> None:
    bob, alice, eve = derived(b"2", BOB), derived(b"1"), derived(b"3")
    sealed = sealed_to_bob(b"secret")
    attempts = [
        (ELSEWHERE, bob.enc_secret, alice.enc_public, b"purpose", sealed),
        (CONTEXT, eve.enc_secret, alice.enc_public, b"purpose", sealed),
        (CONTEXT, bob.enc_secret, eve.enc_public, b"purpose", sealed),
        (CONTEXT, bob.enc_secret, alice.enc_public, b"other", sealed),
        (CONTEXT, alice.enc_secret, bob.enc_public, b"purpose", sealed),  # not back to its sender either
        (CONTEXT, bob.enc_secret, alice.enc_public, b"purpose", sealed[:-1]),
        (CONTEXT, bob.enc_secret, alice.enc_public, b"purpose", sealed[:20]),
        (CONTEXT, bob.enc_secret, bytes(32), b"purpose", sealed),
        *(
            (
                CONTEXT,
                bob.enc_secret,
                alice.enc_public,
                b"purpose",
                sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :],
            )
            for i in range(len(sealed))
        ),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError):
            seal.open_sealed(*attempt)


def test_purposes_do_not_overlap() -> None:
    assert seal.bundle_associated(ALICE, BOB) != seal.bundle_associated(BOB, ALICE)
    assert seal.bundle_associated(ALICE, BOB) != seal.upload_associated(ALICE, BOB)
