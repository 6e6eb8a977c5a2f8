"""What a session is: the numbers that the owner fixes at creation and the contract keeps."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum

from protocols.wire.context import tagged_hash
from protocols.zk.params import Statement


class Mode(IntEnum):
    """How updates are protected and judged (design: ROUNDS)."""

    GROUPED = 0
    VERIFIED = 1


class Rule(IntEnum):
    """Selection rule; the number is what the contract stores."""

    NONE = 0
    OUTLIER = 1
    MULTI_KRUM = 2
    M_KRUM = 3
    TRUST = 4  # mode verified only: inner product with the owner's reference update above 0


class Payout(IntEnum):
    """How the reward is split; the number is what the contract stores."""

    EQUAL = 0
    CONTRIBUTION = 1  # by score, mode verified only


class Phase(IntEnum):
    """Where a session stands on chain. Order matters: a later phase has a higher number."""

    NONE = 0
    COMMITTEE = 1  # created; waits for the beacon that draws the committee        (paper: Setup)
    REGISTER = 2  # data owners register; the owner commits its reference update    (Register)
    DRAW = 3  # registration closed; waits for the beacon that draws the groups      (mode verified: straight to UPLOAD)
    GROUPS = 4  # beacon known; waits for the sorted order
    KEYS = 5  # data owners commit the roots of their key shares                    (Aggregate)
    BUNDLES = 6  # provers post bitmap V
    UPLOAD = 7  # data owners of V commit the roots of their update shares
    DELIVERED = 8  # provers post bitmap "delivered"; receipts count                (Settle)
    QUERY = 9  # waits for the beacon that weights the consistency check
    VALID = 10  # provers post bitmap U
    BATCH = 11  # unmask, open, select; one prover posts the batch
    OUTPUT = 12  # batch final; the owner opens the sum                             (Payment)
    FINISHED = 13
    ABORTED = 14


class Bitmap(IntEnum):
    """The kinds of set that the provers' bitmaps decide; bit i is the data owner registered i-th."""

    BUNDLES = 0  # V
    DELIVERED = 1
    VALID = 2  # U


REFERENCE = 255
"""Bit and index that stand for the owner's reference update in bitmaps and messages of mode verified."""
MOST_VERIFIED = 255
"""Data owners of a session of mode verified, at most: the bit above them is the reference's."""
MOST_PROVED = 64
"""The same with certificate ``zk``: what one transaction can prove."""


class Beacon(IntEnum):
    """One beacon per purpose and session."""

    COMMITTEE = 0
    GROUPS = 1
    QUERY = 2


@dataclass(frozen=True, slots=True)
class SessionParams:
    """The numbers of a session, exactly as the contract holds them.

    doc_digest: SHA-256 of the session document.  owner, owner_peer: wallet address (20 bytes), ed25519 key (32).
    dimension: length d of an update.  frac_bits: fixed point.  bound: floor(B * 2**frac_bits), L2, integer.
    group_size N, groups R (as created; mode verified: N = 1 and R data owners at most).
    committee n, threshold t.  mu_bps: fraction of corrupted groups in 1/10000.
    m_krum: m of rule M_KRUM, else 0.  reward, prover_fee, deposit: wei.  register/upload/settle_blocks: the windows.
    payout: how the reward is split.  score_cap: largest score that counts, with CONTRIBUTION, else 0.
    proof_key: digest of the key under which batches are proved to the contract (certificate ``zk``, mode verified); 32
    zero bytes: the committee's signatures are the certificate (``attested``).
    """

    doc_digest: bytes
    owner: bytes
    owner_peer: bytes
    mode: Mode
    dimension: int
    frac_bits: int
    bound: int
    group_size: int
    groups: int
    committee: int
    threshold: int
    rule: Rule
    mu_bps: int
    m_krum: int
    min_accepted: int
    public_sums: bool
    reward: int
    prover_fee: int
    deposit: int
    gas_price_cap: int
    whitelist_root: bytes
    register_blocks: int
    upload_blocks: int
    settle_blocks: int
    payout: Payout = Payout.EQUAL
    score_cap: int = 0
    proof_key: bytes = bytes(32)

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for all of them: after a reorganisation the same number can mean another session."""
        words = (v if isinstance(v, bytes) else int(v).to_bytes(32, "big") for v in astuple(self))
        return tagged_hash("omninode/session-params", *words)

    @property
    def uses_reference(self) -> bool:
        """Whether rule or payout refer to the owner's reference update."""
        return self.rule == Rule.TRUST or self.payout == Payout.CONTRIBUTION

    @property
    def zk(self) -> bool:
        """Whether the contract itself checks a proof of the batch (design: PROOFS)."""
        return any(self.proof_key)

    @property
    def statement(self) -> Statement:
        """What is proved of a batch of certificate ``zk``. Without a valid reference SCORE becomes NONE."""
        if self.rule not in (Rule.NONE, Rule.TRUST):
            return Statement.GRAM
        return Statement.SCORE if self.uses_reference else Statement.NONE


def mask_threshold(group_size: int) -> int:
    """T = floor(size / 2) + 1: how many shares rebuild a mask secret in a group of ``group_size``."""
    return group_size // 2 + 1
