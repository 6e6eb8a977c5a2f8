"""What wallets sign: EIP-712 digests as the contract computes them, and announcements."""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from protocols.wire.context import Context
from protocols.wire.messages import Announcement

_DOMAIN = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_RECEIPT = keccak(b"Receipt(uint256 session,address dataOwner,bytes32 root,uint256 prover)")
_BATCH = keccak(b"Batch(uint256 session,uint256 validSet,uint256 passed,bytes32 valuesHash,bytes32 digest)")
_ATTESTATION = keccak(b"Attestation(uint256 session,uint256 provers,uint256 dataOwners)")
_NAME, _VERSION = keccak(b"omninode"), keccak(b"1")


def _word(value: int | bytes) -> bytes:
    """One ABI word: an integer, a 32-byte string, or an address (20 bytes) padded on the left."""
    if isinstance(value, int):
        return value.to_bytes(32, "big")
    if len(value) not in (20, 32):
        raise ValueError(f"{len(value)} bytes are neither an address nor a bytes32")
    return value.rjust(32, b"\0")


def _struct(*words: int | bytes) -> bytes:
    return keccak(b"".join(_word(word) for word in words))


def domain_separator(context: Context) -> bytes:
    """The EIP-712 domain separator of the market contract (name "omninode", version "1")."""
    return _struct(_DOMAIN, _NAME, _VERSION, context.chain_id, context.contract)


def _digest(context: Context, struct: bytes) -> bytes:
    return keccak(b"\x19\x01" + domain_separator(context) + struct)


def receipt_digest(context: Context, data_owner: bytes, root: bytes, prover_index: int) -> bytes:
    """What a prover signs when it holds its piece. prover_index: in the committee, from 0."""
    return _digest(context, _struct(_RECEIPT, context.session, data_owner, root, prover_index))


def values_hash(values: Sequence[int]) -> bytes:
    """keccak256(abi.encodePacked(uint256[] values))."""
    return keccak(b"".join(_word(value) for value in values))


def batch_struct(context: Context, valid_set: int, passed: int, values: Sequence[int], digest: bytes) -> bytes:
    """The EIP-712 struct hash of a batch: what the contract keeps as ``batchHash``."""
    return _struct(_BATCH, context.session, valid_set, passed, values_hash(values), digest)


def batch_digest(context: Context, valid_set: int, passed: int, values: Sequence[int], digest: bytes) -> bytes:
    """What provers sign for a batch. valid_set, passed: bitmaps.

    values: upper triangle of distances over the passed groups (mode verified: scores of the accepted data owners).
    """
    return _digest(context, batch_struct(context, valid_set, passed, values, digest))


def attestation_digest(context: Context, provers: int, data_owners: int) -> bytes:
    """What provers sign to name liars (bitmap over the committee) and silent data owners (bitmap over data owners)."""
    return _digest(context, _struct(_ATTESTATION, context.session, provers, data_owners))


def announcement_digest(context: Context, announcement: Announcement) -> bytes:
    """What the wallet signs under an announcement: everything but the signature. SHA-256, tagged; not EIP-712."""
    return context.bind(
        "announcement",
        announcement.sender,
        announcement.seq.to_bytes(8, "big"),
        announcement.peer_key,
        len(announcement.addrs).to_bytes(4, "big"),
        *(address.encode() for address in announcement.addrs),
        announcement.enc_key,
        announcement.mask_key,
        announcement.self_hash,
    )
