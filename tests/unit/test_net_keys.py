"""Keys, peer ids and addresses: one spelling, everything else refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.net.keys import key_of, peer_id_bytes, peer_id_of, split_address

KEY = bytes(range(32))
NAME = peer_id_of(KEY)


@given(st.binary(min_size=32, max_size=32))
def test_key_and_peer_id_name_each_other(key: bytes) -> None:
    assert key_of(peer_id_of(key)) == key
    assert key_of(peer_id_bytes(key)) == key
    assert peer_id_of(key).startswith("12D3KooW")


def test_peer_id_is_the_one_that_libp2p_makes() -> None:
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.peer.id import ID

    pair = create_new_key_pair(b"\7" * 32)
    peer_id = ID.from_pubkey(pair.public_key)
    assert key_of(peer_id.to_bytes()) == pair.public_key.to_bytes()
    assert peer_id_of(pair.public_key.to_bytes()) == str(peer_id)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_of_other_lengths_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        peer_id_of(b"x" * size)


@given(st.one_of(st.text(max_size=80), st.binary(max_size=60)))
def test_other_peer_ids_are_refused(name: str | bytes) -> None:
    with pytest.raises(ValueError, match="not an ed25519 peer id"):
        key_of(name)


@pytest.mark.parametrize(
    "name",
    [
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",  # RSA
        "16Uiu2HAmPoNVmJC8qcmmdLFHCH8d2WBYqmZ3Ki1N4UeWVyhcWd6v",  # secp256k1
        "1" * 10_000,
    ],
)
def test_peer_ids_of_other_keys_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not an ed25519 peer id"):
        key_of(name)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4001"),
        ("/ip6/::1/tcp/1", "/ip6/::1/tcp/1"),
        ("/dns4/node.example.org/tcp/65535", "/dns4/node.example.org/tcp/65535"),
        ("/ip4/10.0.0.1/tcp/0080", "/ip4/10.0.0.1/tcp/80"),
    ],
)
def test_addresses_with_and_without_key(text: str, base: str) -> None:
    assert split_address(text) == (base, None)
    assert split_address(f"{text}/p2p/{NAME}") == (base, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/udp/1/quic-v1",
        "/ip4/256.0.0.1/tcp/1",
        "/ip4/0.0.0.0/tcp/1",
        "/ip6/::/tcp/1",
        "/ip6/127.0.0.1/tcp/1",
        "/ip4/127.0.0.1/tcp/0",
        "/ip4/127.0.0.1/tcp/65536",
        "/ip4/127.0.0.1/tcp/1/ws",
        "/ip4/127.0.0.1/tcp/1/p2p/Qmnothing",
        "/dns4/-bad-/tcp/1",
        "/dns4/a b/tcp/1",
        "/ip4/127.0.0.1/tcp/1\n",
        "/dns4/" + "a" * 400 + "/tcp/1",
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        split_address(text)


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    try:
        base, _ = split_address(text)
    except ValueError:
        return
    assert split_address(base) == (base, None)
