"""The reference string: powers of a secret tau in the exponent. Whoever knows tau can prove anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from eth_hash.auto import keccak

from protocols.bn254 import fr, g1, msm, pairing, poly
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Points
from protocols.bn254.pairing import G2_GENERATOR, Twisted, check_g2

INSECURE = "INSECURE"
"""How the id of a string begins whose secret everybody knows."""


class BadString(ValueError):
    """A reference string is refused. check: the short name of what it failed."""

    def __init__(self, check: str, detail: str = "") -> None:
        super().__init__(check + (f": {detail}" if detail else ""))
        self.check = check


@dataclass(frozen=True, eq=False, slots=True)
class Srs:
    """powers: (D, 8) points [tau^0] .. [tau^(D-1)]. tau2: [tau] in the second group. id: hash, or INSECURE-label."""

    powers: Points
    tau2: Twisted
    id: str

    @property
    def insecure(self) -> bool:
        """Whether everybody can know tau."""
        return self.id.startswith(INSECURE)


def digest(powers: Points, tau2: Twisted) -> bytes:
    """32 bytes that name a string: SHA-256 of its points, 64 bytes each, and of tau2 as the precompile orders it."""
    return hashlib.sha256(g1.to_bytes(powers) + pairing.g2_to_bytes(tau2)).digest()


def known(tau: int, count: int, label: str) -> Srs:
    """The string of a tau that the caller knows, for tests and the development chain. Its id says INSECURE."""
    powers = g1.multiply_fixed(g1.generator(), fr.powers(tau, count))
    return Srs(powers, pairing.multiply_g2(G2_GENERATOR, tau), f"{INSECURE}-{label}")


def insecure_secret(label: str) -> int:
    """tau of the test string: keccak256 of two words, the hash of "omninode.insecure.srs" and that of the label."""
    return int.from_bytes(keccak(keccak(b"omninode.insecure.srs") + keccak(label.encode())), "big") % R


def insecure(label: str, count: int) -> Srs:
    """The test string of a label. Everybody can compute its secret, and so forge proofs under it."""
    return known(insecure_secret(label), count, label)


def check(powers: Points, tau2: Twisted, seed: bytes, threads: int = 1) -> None:
    """Refuse what is no string: BadString with the name of the failed check.

    seed: 32 random bytes that whoever made the string could not foresee; a wrong power passes with probability 2^-128.
    The coordinates of ``powers`` must be canonical.
    """
    if len(powers) < 2 or g1.to_integers(powers[:1]) != [g1.GENERATOR]:
        raise BadString("first-power", "the first point is not the generator")
    if not powers.any(axis=1).all():
        raise BadString("infinite-power")
    try:
        g1.on_curve(powers)
    except g1.InvalidPoint as error:
        raise BadString("off-curve", str(error)) from error
    try:
        check_g2(tau2)
    except ValueError as error:
        raise BadString("second-group", str(error)) from error
    factors = weights(seed, len(powers) - 1)
    raised, (lower,) = msm.msm(powers[1:], factors, threads), g1.to_integers(msm.msm(powers[:-1], factors, threads))
    if not pairing.same_ratio(g1.to_integers(raised)[0], G2_GENERATOR, lower, tau2):
        raise BadString("ratio", "the points are not successive powers")
    for size in (1 << k for k in range((len(powers) - 1).bit_length())):
        if of_root(powers, size):
            raise BadString("root-of-unity", f"tau^{size} is 1: blinders would vanish")


def of_root(powers: Points, size: int) -> bool:
    """Whether tau is a root of unity of this order, under which Z_H(tau) is 0 and no blinder hides anything."""
    return len(powers) > size and bool(np.array_equal(powers[size], powers[0]))


def weights(seed: bytes, count: int) -> Vector:
    """(count, 4) random elements of 128 bits."""
    if len(seed) != 32:
        raise ValueError(f"a seed has 32 bytes, not {len(seed)}")
    data = np.frombuffer(hashlib.shake_256(b"omninode/srs/weights" + seed).digest(16 * count), dtype="<u8")
    words = fr.zeros(count)
    words[:, :2] = data.reshape(-1, 2)
    return fr.from_words(words)


def commit(powers: Points, coefficients: Vector, threads: int = 1) -> Points:
    """(1, 8): the commitment of a polynomial. ValueError if the string has fewer powers than it has coefficients."""
    if len(coefficients) > len(powers):
        raise ValueError(f"{len(coefficients)} coefficients under {len(powers)} powers")
    return msm.msm(powers[: len(coefficients)], coefficients, threads)


@dataclass(frozen=True, eq=False, slots=True)
class Basis:
    """What commits to values on H at once. lagrange: (N, 8) [L_i(tau)]. blinders: (B, 8) [Z_H(tau) tau^i]."""

    lagrange: Points
    blinders: Points

    def commit(self, at_roots: Vector, blinders: Vector, threads: int = 1) -> Points:
        """(1, 8): the commitment of ``poly.blinded(at_roots, blinders)``: ten times faster where values are small."""
        if len(at_roots) != len(self.lagrange) or len(blinders) > len(self.blinders):
            raise ValueError(f"{len(at_roots)} values and {len(blinders)} blinders for a basis of {len(self.lagrange)}")
        points = np.concatenate([self.lagrange, self.blinders[: len(blinders)]])
        return msm.msm(points, np.concatenate([at_roots, blinders]), threads)


Progress = Callable[[int, int], None]
"""(steps done, of how many) of something slow."""


def basis(powers: Points, n: int, blinders: int, threads: int = 1, progress: Progress | None = None) -> Basis:
    """The basis of N = n values from the powers, by the inverse Fourier transform of the group: slow, once per n.

    ValueError if there are fewer than n + blinders powers, or n is no power of two.
    """
    return Basis(fourier(powers[:n], threads, progress), vanishing_points(powers, n, blinders))


def vanishing_points(powers: Points, n: int, blinders: int) -> Points:
    """(blinders, 8): [Z_H(tau) tau^i]. ValueError if there are fewer than n + blinders powers."""
    if len(powers) < n + blinders:
        raise ValueError(f"{n} values and {blinders} blinders need more than {len(powers)} powers")
    return g1.add(powers[n : n + blinders], g1.neg(powers[:blinders]))


def fits(lagrange: Points, powers: Points, seed: bytes, threads: int = 1) -> bool:
    """Whether points that somebody else computed are [L_i(tau)]: a wrong one passes with probability 2^-128.

    seed: 32 random bytes that whoever computed them could not foresee. The points must be on the curve.
    """
    values = weights(seed, len(lagrange))
    expected = commit(powers, poly.interpolate(values, threads=threads), threads)
    return bool(np.array_equal(msm.msm(lagrange, values, threads), expected))


def fourier(points: Points, threads: int = 1, progress: Progress | None = None) -> Points:
    """[L_i] = 1/n sum_j w^(-ij) [tau^j]: as ``poly.interpolate``, in the exponent."""
    n = len(points)
    inverse = pow(poly.root_of_unity(n), -1, R)
    x = g1.multiply(points, fr.single(pow(n, -1, R))) if n == 1 else points.copy()
    half = n // 2
    while half:
        blocks = x.reshape(-1, 2, half, 8)
        a, b = blocks[:, 0].reshape(-1, 8), blocks[:, 1].reshape(-1, 8)
        factors = fr.powers(pow(inverse, n // (2 * half), R), half)
        low, high = g1.add(a, b), g1.add(a, g1.neg(b))
        if 2 * half == n:  # the factor 1/n, in one step with the others
            factors = fr.scale(pow(n, -1, R), factors)
            low = multiply_in_threads(low, fr.vector([pow(n, -1, R)] * half), threads)
        high = multiply_in_threads(high, np.tile(factors, (len(high) // half, 1)), threads)
        x = np.stack([low.reshape(-1, half, 8), high.reshape(-1, half, 8)], axis=1).reshape(-1, 8)
        half //= 2
        if progress is not None:
            progress(n.bit_length() - 1 - half.bit_length(), n.bit_length() - 1)
    return x.take(poly.reversal(n), axis=0)


def multiply_in_threads(points: Points, scalars: Vector, threads: int) -> Points:
    """``g1.multiply`` of equally many points and scalars."""
    out = np.empty_like(points)
    bounds = [len(points) * k // (4 * threads) for k in range(4 * threads + 1)]

    def part(k: int) -> None:
        rows = slice(bounds[k], bounds[k + 1])
        out[rows] = g1.multiply(points[rows], scalars[rows])

    poly.each(part, range(4 * threads), threads)
    return out


def known_basis(tau: int, n: int, blinders: int) -> Basis:
    """``basis`` of a string whose secret is known, in a hundredth of the time."""
    w = poly.root_of_unity(n)
    vanishing = (pow(tau, n, R) - 1) % R
    roots = fr.powers(w, n)
    if not vanishing:
        raise ValueError("tau is a root of unity")
    denominators = fr.inverse(fr.shift(fr.neg(roots), tau))
    values = fr.scale(vanishing * pow(n, -1, R) % R, fr.mul(roots, denominators))
    exponents = np.concatenate([values, fr.powers(tau, blinders, vanishing)])
    points = g1.multiply_fixed(g1.generator(), exponents)
    return Basis(points[:n], points[n:])
