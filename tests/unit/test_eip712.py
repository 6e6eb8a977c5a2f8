"""Digests against eth-account, and what announcements bind."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak

from protocols.sessions.draw import group_order
from protocols.wire import eip712
from protocols.wire.context import Context
from protocols.wire.messages import Announcement

CONTEXT = Context(31337, bytes(range(20)), 5)
ROOT, DIGEST, ADDRESS = b"\x01" * 32, b"\x02" * 32, b"\x03" * 20


def reference(primary: str, types: list[tuple[str, str]], values: dict[str, Any]) -> bytes:
    """The digest as eth-account computes it."""
    domain = {"name": "omninode", "version": "1", "chainId": 31337, "verifyingContract": "0x" + CONTEXT.contract.hex()}
    fields = {primary: [{"name": name, "type": kind} for kind, name in types]}
    message = encode_typed_data(domain, fields, {"session": 5, **values})
    return bytes(keccak(b"\x19" + message.version + message.header + message.body))


def test_receipt() -> None:
    types = [("uint256", "session"), ("address", "dataOwner"), ("bytes32", "root"), ("uint256", "prover")]
    expected = reference("Receipt", types, {"dataOwner": "0x" + ADDRESS.hex(), "root": ROOT, "prover": 3})
    assert eip712.receipt_digest(CONTEXT, ADDRESS, ROOT, 3) == expected


@pytest.mark.parametrize("distances", [(), (0, 1, 2**255)])
def test_batch(distances: tuple[int, ...]) -> None:
    types = [("uint256", n) for n in ("session", "validSet", "passed")] + [
        ("bytes32", n) for n in ("valuesHash", "digest")
    ]
    packed = bytes(keccak(b"".join(d.to_bytes(32, "big") for d in distances)))
    values = {"validSet": 2**255 + 1, "passed": 7, "valuesHash": packed, "digest": DIGEST}
    assert eip712.batch_digest(CONTEXT, 2**255 + 1, 7, distances, DIGEST) == reference("Batch", types, values)
    assert len(eip712.batch_struct(CONTEXT, 1, 7, distances, DIGEST)) == 32


def test_attestation() -> None:
    types = [("uint256", "session"), ("uint256", "provers"), ("uint256", "dataOwners")]
    expected = reference("Attestation", types, {"provers": 4, "dataOwners": 2**200})
    assert eip712.attestation_digest(CONTEXT, 4, 2**200) == expected


def test_words_are_addresses_or_words() -> None:
    with pytest.raises(ValueError):
        eip712.receipt_digest(CONTEXT, b"short", ROOT, 0)


def test_announcement_digest_binds_everything_but_the_signature() -> None:
    announcement = Announcement(ADDRESS, 1, b"p" * 32, ("/a", "/b"), b"e" * 32, b"m" * 32, b"h" * 32, b"")
    digest = eip712.announcement_digest(CONTEXT, announcement)
    assert eip712.announcement_digest(CONTEXT, dataclasses.replace(announcement, signature=b"s" * 65)) == digest
    changes: list[dict[str, Any]] = [
        {"sender": b"\x04" * 20}, {"seq": 2}, {"peer_key": b"q" * 32}, {"addrs": ("/a",)}, {"addrs": ("/a/b",)},
        {"enc_key": b""}, {"mask_key": b""}, {"self_hash": b""},
    ]  # fmt: skip
    others = {eip712.announcement_digest(CONTEXT, dataclasses.replace(announcement, **change)) for change in changes}
    other_session = dataclasses.replace(CONTEXT, session=6)
    others.add(eip712.announcement_digest(other_session, announcement))
    assert len(others) == 9
    assert digest not in others


def test_group_order_is_sorted_by_hash() -> None:
    addresses = [bytes([i]) * 20 for i in range(30)]
    order = group_order(b"\x09" * 32, addresses)
    hashes = [keccak(b"\x09" * 32 + addresses[i]) for i in order]
    assert sorted(order) == list(range(30))
    assert hashes == sorted(hashes)
    assert order != group_order(b"\x08" * 32, addresses)
