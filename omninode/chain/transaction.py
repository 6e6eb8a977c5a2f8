"""EIP-1559 transactions as bytes, and what is known about one of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from omninode.chain.hashing import keccak256
from omninode.chain.interface import Log

MAX_TX_GAS = 16_777_216  # EIP-7825: no transaction may ask for more

RlpItem = bytes | int | Sequence["RlpItem"]


def rlp(item: RlpItem) -> bytes:
    """Recursive length prefix of bytes, non-negative integers and lists of them (yellow paper, appendix B)."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefix(len(item), 0x80) + item
    payload = b"".join(rlp(part) for part in item)
    return _prefix(len(payload), 0xC0) + payload


def _prefix(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(size)]) + size


def contract_address(sender: bytes, nonce: int) -> bytes:
    """Where a contract created by ``sender`` with ``nonce`` lands. 20 bytes."""
    return keccak256(rlp([sender, nonce]))[12:]


@dataclass(frozen=True, slots=True)
class Unsigned:
    """One transaction before it is signed (EIP-1559). to: 20 bytes, b"" creates a contract. Fees: wei per gas."""

    chain_id: int
    nonce: int
    tip: int
    max_fee: int
    gas: int
    to: bytes
    value: int
    data: bytes

    def sign(self, sign_digest: Callable[[bytes], bytes]) -> bytes:
        """The raw transaction. sign_digest: 32 bytes to r || s || v with v 27 or 28."""
        body: list[RlpItem] = [
            self.chain_id, self.nonce, self.tip, self.max_fee, self.gas, self.to, self.value, self.data, [],
        ]  # fmt: skip
        signature = sign_digest(keccak256(b"\x02" + rlp(body)))
        r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64] - 27
        return b"\x02" + rlp([*body, v, r, s])


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the chain did with a transaction. price: wei per gas paid. contract: where code was created, or b"".

    ok is False after a revert. sent is False where the contract had nothing to do any more and nothing was sent.
    logs: what it emitted.
    """

    tx_hash: bytes
    block: int
    gas_used: int
    price: int
    ok: bool
    contract: bytes = b""
    sent: bool = True
    logs: tuple[Log, ...] = ()


class TxState(StrEnum):
    """PENDING: signed, perhaps sent. MINED: has a receipt, may still be reorganised away. FINAL: settled."""

    PENDING = "pending"
    MINED = "mined"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed form of a transaction; replacements share the nonce and differ in fees."""

    raw: bytes
    tx_hash: bytes
    tip: int
    max_fee: int


@dataclass
class TxRecord:
    """One transaction of ours, from before its first byte leaves until it is settled.

    fn: for logs and accounting. error, reason: why it reverted on chain (custom error's name, and the whole text).
    """

    key: str
    fn: str
    nonce: int
    to: bytes
    value: int
    data: bytes
    gas: int
    attempts: list[Attempt] = field(default_factory=list)
    state: TxState = TxState.PENDING
    receipt: Receipt | None = None
    error: str = ""
    reason: str = ""

    @property
    def last(self) -> Attempt:
        """The attempt with the highest fees."""
        return self.attempts[-1]

    def offer(self, sign_digest: Callable[[bytes], bytes], chain_id: int, tip: int, max_fee: int) -> None:
        """Add a signed attempt with these fees. It may be sent only after the record was saved."""
        unsigned = Unsigned(chain_id, self.nonce, tip, max_fee, self.gas, self.to, self.value, self.data)
        raw = unsigned.sign(sign_digest)
        self.attempts.append(Attempt(raw, keccak256(raw), tip, max_fee))
