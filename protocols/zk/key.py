"""What a statement is proved under: sizes, reference string, commitments of the public polynomials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.bn254 import fr, g1, msm, poly, srs
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point, Points
from protocols.bn254.pairing import Twisted, g2_to_bytes
from protocols.bn254.srs import Basis, Srs
from protocols.zk.hashing import h, tag
from protocols.zk.params import NB_G, ZkParams


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Key:
    """Made by ``make_key``. digest: 32 bytes; two keys of the same digest are the same statement.

    powers: [tau^0] .. [tau^(2N+7)].  tau2: [tau] in the second group.  basis: the string in Lagrange form, or None.
    t_poly, p_poly: (N, 4) coefficients of the table T and of P, which is 1 on the padding; c_t, c_p: commitments.
    norm_bits: ell of the range-and-norm proof, or None; then bits_poly interpolates 2^j at rows j < ell.
    threads: how many work at once on a commitment or a transform.
    """

    params: ZkParams
    powers: Points
    tau2: Twisted
    basis: Basis | None
    t_poly: Vector
    p_poly: Vector
    c_t: Point
    c_p: Point
    norm_bits: int | None
    bits_poly: Vector | None
    c_bits: Point | None
    threads: int
    digest: bytes

    @property
    def norms(self) -> bool:
        """Whether records prove the bound of the norm as well (statement ``score``)."""
        return self.norm_bits is not None

    @property
    def omega(self) -> int:
        """w, the root of unity that generates H."""
        return poly.root_of_unity(self.params.size)

    def commit(self, coefficients: Vector) -> Point:
        """The commitment of a polynomial, by its coefficients. ValueError if it has more than 2N + 8."""
        return _single(srs.commit(self.powers, coefficients, self.threads))

    def commit_values(self, values: Vector, blinders: Vector) -> Point:
        """The commitment of ``poly.blinded``: values at the first rows of H, 0 after; blinders times Z_H.

        Small values cost little if there is a basis. ValueError for more than N values or NB_G blinders.
        """
        if len(values) > self.params.size or len(blinders) > NB_G:
            raise ValueError(f"{len(values)} values and {len(blinders)} blinders for {self.params.size} rows")
        return _commit_values(self.powers, self.basis, self.params.size, values, blinders, self.threads)


def padded(values: Vector, size: int) -> Vector:
    """(size, 4): the values, and zeros after. ValueError if there are more."""
    if len(values) > size:
        raise ValueError(f"{len(values)} values for {size} rows")
    out = fr.zeros(size)
    out[: len(values)] = values
    return out


def make_key(
    params: ZkParams, string: Srs, norm_bits: int | None = None, basis: Basis | None = None, threads: int = 1
) -> Key:
    """The key of a statement under a reference string, which the caller has checked.

    norm_bits: for the statement ``score``, the bits of the squared bound (``params.norm_bits``); else None.
    basis: of the same string for N values and at least NB_G blinders. ValueError for a string or basis too small, and
    where tau is in H: then the blinders vanish.
    """
    n = params.size
    if len(string.powers) < params.powers:
        raise ValueError(f"the reference string has {len(string.powers)} powers, {params.powers} are needed")
    if srs.of_root(string.powers, n):
        raise ValueError(f"tau of the reference string is a root of unity of order {n}: it hides nothing")
    if basis is not None and (len(basis.lagrange) != n or len(basis.blinders) < NB_G):
        raise ValueError(f"the basis is for {len(basis.lagrange)} values, {n} are needed")
    if norm_bits is not None and not 0 < norm_bits <= min(n, 127):
        raise ValueError(f"no proof of a squared norm of {norm_bits} bits in {n} rows")
    columns = {"T": _table(params), "P": fr.from_signed((np.arange(n) >= params.dimension).astype(np.int64))}
    if norm_bits is not None:
        columns["p"] = padded(fr.vector(1 << j for j in range(norm_bits)), n)
    powers = string.powers[: params.powers]
    points = {k: _commit_values(powers, basis, n, v, fr.zeros(0), threads) for k, v in columns.items()}
    polys = {k: poly.interpolate(v, threads=threads) for k, v in columns.items()}
    c_bits, bits_poly = points.get("p"), polys.get("p")
    head = h(
        tag("key"), n, poly.root_of_unity(n), params.dimension, params.bits, points["T"], points["P"],
        g2_to_bytes(string.tau2), *([] if c_bits is None else [c_bits]),
    )  # fmt: skip
    return Key(
        params, powers, string.tau2, basis, polys["T"], polys["P"], points["T"], points["P"],
        norm_bits, bits_poly, c_bits, threads, head,
    )  # fmt: skip


def session_hash(
    chain_id: int, contract: bytes, session: int, round_: int, key_digest: bytes, bound_squared: int
) -> bytes:
    """sess: what a proof is made for. contract: 20 bytes, the market; bound_squared: B^2, below 2^127."""
    if len(contract) != 20 or len(key_digest) != 32:
        raise ValueError(f"an address of {len(contract)} bytes, a digest of {len(key_digest)}")
    return h(tag("session"), chain_id, int.from_bytes(contract, "big"), session, round_, key_digest, bound_squared)


def _table(params: ZkParams) -> Vector:
    rows = np.arange(params.size, dtype=np.int64)
    return fr.from_signed(np.where(rows < 1 << params.bits, rows - (1 << params.bits - 1), 0))


def _commit_values(
    powers: Points, basis: Basis | None, size: int, values: Vector, blinders: Vector, threads: int
) -> Point:
    if basis is None:
        return _single(srs.commit(powers, poly.blinded(padded(values, size), blinders), threads))
    points = np.concatenate([basis.lagrange[: len(values)], basis.blinders[: len(blinders)]])
    return _single(msm.msm(points, np.concatenate([values, blinders]), threads))


def _single(points: Points) -> Point:
    return g1.to_integers(points)[0]
