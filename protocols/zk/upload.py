"""A data owner's upload: record, commitments of the sharing and leaves for everybody, a piece for each prover.

public = record | C_1 .. C_t, 64 bytes each | leaf_1 .. leaf_n, 32 bytes each; on chain: keccak256(record).
plain_j = blind_j, 32 bytes | a 32-byte seed for j <= t, else the share, 32 bytes a scalar, big-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from eth_hash.auto import keccak

from protocols.bn254 import fr, g1
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point
from protocols.zk.key import Key
from protocols.zk.params import LEAF_BYTES, NB_G, ZkParams, public_bytes, record_bytes
from protocols.zk.pieces import derive, expand, leaf, open_committed, read_plain, seeded
from protocols.zk.range_proof import prove
from protocols.zk.record import Record
from protocols.zk.record import decode as decode_record
from protocols.zk.sharing import Dealing, Sharing, check_committee, deal, seeds_of, share_digest


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class Upload:
    """Ready to send. root: digest of the record, for the chain. public: for everybody. Pieces are made on demand."""

    record: Record
    root: bytes
    public: bytes
    dealing: Dealing
    _maker: _Maker = field(repr=False)

    def plain(self, point: int) -> bytes:
        """What is sealed for the prover at a point, 1 .. n (ValueError): secret."""
        return self._maker.plain(point)

    def plains(self) -> Iterator[bytes]:
        """Those of the points 1 .. n, one after another."""
        return (self.plain(point) for point in range(1, len(self.dealing.leaves) + 1))


@dataclass(frozen=True, slots=True, repr=False)
class _Maker:
    """Makes pieces; of the share vectors it keeps those at 1 .. t."""

    sharing: Sharing
    seeds: list[bytes]
    seed: bytes
    committee: int

    def blind(self, point: int) -> bytes:
        return derive(self.seed, "blind", point)

    def plain(self, point: int) -> bytes:
        if not 1 <= point <= self.committee:
            raise ValueError(f"there is no prover {point} among {self.committee}")
        if seeded(point, len(self.seeds)):
            return self.blind(point) + self.seeds[point - 1]
        return self.blind(point) + fr.to_bytes(self.sharing.share(point))

    def leaf(self, sess: bytes, address: int, point: int) -> bytes:
        return leaf(sess, address, point, self.blind(point), fr.to_bytes(self.sharing.share(point)))


def make_upload(
    key: Key,
    sess: bytes,
    address: int,
    values: npt.NDArray[np.int64],
    seed: bytes,
    committee: int,
    threshold: int,
    bound_squared: int | None = None,
) -> Upload:
    """Share, commit to and prove an update: the same bytes again for the same arguments.

    values: (d,) integers in [-2^(b-1), 2^(b-1)). seed: 32 bytes, fresh for every session: all randomness.
    bound_squared: B^2 where the key proves norms. ValueError for values that cannot be proved and for other sizes.
    """
    check_committee(threshold, committee)
    if values.shape != (key.params.dimension,):
        raise ValueError(f"an update of shape {values.shape} where {key.params.dimension} coordinates are shared")
    blinders = expand(derive(seed, "blinders"), NB_G)
    sharing_seed = derive(seed, "sharing")
    sharing = deal(np.concatenate([fr.from_signed(values), blinders]), threshold, sharing_seed)
    maker = _Maker(sharing, seeds_of(threshold, sharing_seed), derive(seed, "blinds"), committee)
    leaves = tuple(maker.leaf(sess, address, point) for point in range(1, committee + 1))
    c_e = sharing.commitments(key)
    dg = share_digest(c_e, leaves)
    record = prove(key, sess, address, values, blinders, dg, derive(seed, "proof"), bound_squared)
    data = record.encode()
    public = data + g1.to_bytes(g1.from_integers(c_e)) + b"".join(leaves)
    return Upload(record, keccak(data), public, Dealing(record.c, c_e, leaves), maker)


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A delivery that counts as received. plain: what was sealed, kept to make the share again and to complain."""

    record: Record
    dealing: Dealing
    params: ZkParams
    point: int
    plain: bytes

    def share(self) -> Vector:
        """(d + 6, 4): this prover's share, made anew each time: at d = 10^6 it has 32 MB."""
        return read_plain(self.params, self.point, len(self.dealing.c_e), self.plain).share


def open_public(
    key: Key, address: int, committee: int, threshold: int, root: bytes, public: bytes
) -> tuple[Record, Dealing]:
    """What everybody gets, checked but for the proof in the record (``range_check``). ValueError: not received."""
    check_committee(threshold, committee)
    expected = public_bytes(threshold, committee, key.norms)
    if len(public) != expected:
        raise ValueError(f"an upload has {expected} public bytes here, not {len(public)}")
    size = record_bytes(key.norms)
    if keccak(public[:size]) != root:
        raise ValueError("the record is not the one whose digest was posted")
    record = decode_record(public[:size], key.norms)
    if record.address != address:
        raise ValueError("the record is of another address")
    leaves_at = size + g1.BYTES * threshold
    c_e = _points(public[size:leaves_at])
    leaves = tuple(public[i : i + LEAF_BYTES] for i in range(leaves_at, expected, LEAF_BYTES))
    dealing = Dealing(record.c, c_e, leaves)
    if dealing.digest != record.dg:
        raise ValueError("the record names another sharing")
    return record, dealing


def _points(data: bytes) -> tuple[Point, ...]:
    """Points of the curve, infinity included. ValueError."""
    try:
        return tuple(g1.to_integers(g1.from_bytes(data)))
    except ValueError as error:
        raise ValueError(f"commitments of the sharing: {error}") from error


def open_upload(
    key: Key,
    sess: bytes,
    address: int,
    point: int,
    committee: int,
    threshold: int,
    root: bytes,
    public: bytes,
    plain: bytes,
) -> Opened:
    """What the prover at ``point`` received from the data owner at ``address``, if it is what it was committed to be.

    root: as on chain. plain: what was sealed. ValueError with the reason otherwise: then nothing counts as received.
    Neither the record's proof nor the share itself is checked here (``range_check.check_many``, ``check_shares``).
    """
    if not 1 <= point <= committee:
        raise ValueError(f"there is no prover {point} among {committee}")
    record, dealing = open_public(key, address, committee, threshold, root, public)
    open_committed(key.params, sess, address, point, threshold, plain, dealing.leaves[point - 1])
    return Opened(record, dealing, key.params, point, plain)
