"""Every message of a session, as immutable typed values. The codec (`protocols.wire.codec`) gives them bytes and
limits.

sender: wallet address, 20 bytes. Who really sent a message is known from the Noise channel; the codec's caller
compares the two. Field elements travel packed, 8 bytes little-endian each. "index" of a data owner: its registration
index; "point" of a prover: its committee index + 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """Common part of all messages."""

    sender: bytes


@dataclass(frozen=True, slots=True)
class Announcement(Message):
    """Gossip: where a node is and, in a session, its keys (digest registered on chain). Signed by the wallet.

    seq: rises with every announcement of this sender. addrs: multiaddrs. enc_key, mask_key: X25519, self_hash: H(b_k);
    empty when session is 0 (plain presence).
    """

    seq: int
    peer_key: bytes
    addrs: tuple[str, ...]
    enc_key: bytes
    mask_key: bytes
    self_hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Bundle(Message):
    """Data owner to a peer of its group: the peer's shares of both secrets, with salts and Merkle proofs, sealed."""

    recipient: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class BundleSet(Message):
    """Data owner to each prover: its announced keys and all sealed bundles, in group order.

    Empty at its own place, and where a peer's keys have not come: a later set may fill such places, and repeats the
    rest.
    """

    enc_key: bytes
    mask_key: bytes
    self_hash: bytes
    sealed: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BundleRequest(Message):
    """Data owner to a prover: hand me the bundles and keys of my group that I may have missed. Reply: Bundles."""


@dataclass(frozen=True, slots=True)
class Bundles(Message):
    """Reply: for each dealer of the asker's group that the prover knows: its keys and the asker's sealed bundle."""

    dealers: tuple[int, ...]
    enc_keys: tuple[bytes, ...]
    mask_keys: tuple[bytes, ...]
    self_hashes: tuple[bytes, ...]
    sealed: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Complaint(Message):
    """Data owner to the provers and the dealer, and provers to the dealer: the bundle of ``dealer`` for ``recipient``
    is bad.  signature: of the recipient's wallet, 65 bytes.
    """

    dealer: int
    recipient: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class BundleOpening(Message):
    """The plain bundle (shares, salts, proofs) of ``dealer`` for ``recipient``: dealer to provers after a complaint,
    provers to the recipient.
    """

    dealer: int
    recipient: int
    plain: bytes


@dataclass(frozen=True, slots=True)
class Upload(Message):
    """Data owner to a prover: its piece of the masked update. sealed holds blind and piece; root and proof bind it.
    Reply: Receipt.

    public: mode verified: the commitments to all provers' shares, from which the joint randomness of the proof is
    hashed (protocols.pine.upload); else empty. The owner of a session sends its reference update so, too.
    """

    root: bytes
    proof: tuple[bytes, ...]
    enc_key: bytes
    sealed: bytes
    public: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt(Message):
    """Prover to data owner: I hold my piece under ``root`` (EIP-712 Receipt signature; the contract accepts it)."""

    data_owner: bytes
    root: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SeedDeal(Message):
    """Prover to the members of a set of n - t provers: the set's seed for pseudo-random sharings, signed by its dealer.

    Every member that learns a seed adds its signature and hands it on, so that two different seeds of one attempt are
    seen by all.  points: ascending.  attempt: which member deals, 0 .. t.  seed: 32 bytes.  signatures: 65 bytes each,
    over the session, points, attempt and seed; the dealer's first.
    """

    points: tuple[int, ...]
    attempt: int
    seed: bytes
    signatures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Opening(Message):
    """Prover to all provers: shares of the values opened under ``label``: "consistency", then "projections", "gram"
    (mode grouped) or "proofs", "products" (mode verified).

    present: bitmap of what the sender holds and opens: data owners ("consistency", "proofs", "products": bit 255 is
    the owner's reference) or groups (the others).
    values: 8 bytes each, ascending: one per data owner; 64 per group; one per pair r <= s of groups, row by row; the
    verifier message of each data owner; what the rule and the payout need of the pairs (sessions/prover_scores.py).

    Certificate zk: labels "zk-values", "zk-S", "zk-q", "zk-A", "zk-E", "zk-W"; present: the data owners of the batch;
    values: 32 bytes per scalar, 64 per point, big-endian.
    """

    label: str
    present: int
    values: bytes


@dataclass(frozen=True, slots=True)
class ShareOpening(Message):
    """Prover to all provers: the piece that data owner ``index`` committed for me, because my opening stood alone."""

    index: int
    root: bytes
    proof: tuple[bytes, ...]
    blind: bytes
    piece: bytes
    public: bytes = b""


@dataclass(frozen=True, slots=True)
class PieceComplaint(Message):
    """Certificate zk, prover to all provers, once: the pieces that these data owners committed for me do not fit their
    commitments (bit 255: the owner's reference); all others that I got do. Nothing is published yet: if more than t
    provers complain of a data owner it is out without that.
    """

    bad: int


@dataclass(frozen=True, slots=True)
class PublicRequest(Message):
    """Certificate zk, prover to all provers: I got no upload of data owner ``index``, which delivered; hand me what is
    public of it. Reply: PublicPart.
    """

    index: int


@dataclass(frozen=True, slots=True)
class PublicPart(Message):
    """Reply: ``public`` of that data owner's Upload; the chain has the digest of the record in it."""

    index: int
    public: bytes


@dataclass(frozen=True, slots=True)
class Unmask(Message):
    """Data owner to the provers: shares that unmask U. kinds: 0 self-mask seed, 1 mask key; never both of one
    dealer.
    """

    valid_set: int
    dealers: tuple[int, ...]
    kinds: tuple[int, ...]
    shares: tuple[bytes, ...]
    salts: tuple[bytes, ...]
    proofs: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True, slots=True)
class UnmaskRequest(Message):
    """Prover to a prover: send me the unmask shares that I lack (data owners by index). Reply: UnmaskRelay."""

    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnmaskRelay(Message):
    """Encoded Unmask messages of data owners; every share in them proves itself against the dealer's root."""

    messages: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RebuildRequest(Message):
    """Prover to all provers: I hold no piece of data owner ``index`` of U; help me rebuild it. Reply: RebuildShare."""

    index: int


@dataclass(frozen=True, slots=True)
class RebuildShare(Message):
    """Share plus a sharing that vanishes at the asker's point."""

    index: int
    values: bytes


@dataclass(frozen=True, slots=True)
class BatchSignature(Message):
    """Prover to all provers: the batch as I computed it, with my EIP-712 signature.

    passed: groups within bounds (mode verified: accepted data owners).  values: distances of their means (mode
    verified: scores and copies, as in the event Scored).
    """

    valid_set: int
    passed: int
    values: tuple[int, ...]
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class AttestationSignature(Message):
    """Prover to all provers: these provers lied, these data owners stayed silent (EIP-712 Attestation signature)."""

    provers: int
    data_owners: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class OutputRequest(Message):
    """Owner to a prover, after the batch is final: my share of the sum, please. Reply: OutputShare."""


@dataclass(frozen=True, slots=True)
class OutputShare(Message):
    """values: share of the sum over selected groups, d elements. norms: opened G_rr of the selected groups, in group
    order (mode verified: none).
    """

    values: bytes
    norms: tuple[int, ...]
