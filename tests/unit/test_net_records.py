"""Signed address records: only the key itself can make one."""

from __future__ import annotations

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from omninode.net.records import read_record, sign_record

SEED = b"\5" * 32
KEY = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
HOME = "/ip4/127.0.0.1/tcp/4001"


def forged(fields: object, seed: bytes = SEED) -> bytes:
    """A payload of our choice under a valid signature."""
    payload = msgpack.packb(fields)
    return Ed25519PrivateKey.from_private_bytes(seed).sign(b"omninode peer record v1\0" + payload) + payload


def test_round_trip() -> None:
    record = read_record(sign_record(SEED, 1234, [HOME]))
    assert (record.key, record.seq, record.addrs) == (KEY, 1234, [HOME])


def test_addresses_are_bounded() -> None:
    assert len(read_record(sign_record(SEED, 1, [HOME] * 50)).addrs) == 8


@given(position=st.integers(0, 2000), flip=st.integers(1, 255))
def test_every_changed_byte_is_noticed(position: int, flip: int) -> None:
    data = bytearray(sign_record(SEED, 1234, [HOME]))
    data[position % len(data)] ^= flip
    with pytest.raises(ValueError, match="record"):
        read_record(bytes(data))


@given(st.binary(max_size=300))
def test_garbage_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="record"):
        read_record(data)


@pytest.mark.parametrize(
    "fields",
    [
        None,
        {},
        [],
        [2, KEY, 1, [HOME]],
        [1, KEY[:31], 1, [HOME]],
        [1, KEY, -1, [HOME]],
        [1, KEY, 1 << 60, [HOME]],
        [1, KEY, 1.5, [HOME]],
        [1, KEY, True, [HOME]],
        [1, KEY, 1, HOME],
        [1, KEY, 1, [b"bytes"]],
        [1, KEY, 1, [HOME] * 9],
        [1, KEY, 1, ["x" * 3000]],
        [1, KEY, 1, [HOME], "more"],
        [1, b"\0" * 32, 1, [HOME]],
    ],
)
def test_signed_nonsense_is_a_value_error(fields: object) -> None:
    with pytest.raises(ValueError, match="record"):
        read_record(forged(fields))


def test_another_key_cannot_sign_for_it() -> None:
    with pytest.raises(ValueError, match="signature"):
        read_record(forged([1, KEY, 1, [HOME]], seed=b"\6" * 32))
