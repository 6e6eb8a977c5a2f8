"""Points of the second group and the pairing, from py_ecc: plain Python, 0.2 s a pairing, needed once per batch."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

from protocols.bn254.field import Q, R
from protocols.bn254.g1 import INFINITY, Point

Twisted = tuple[int, int, int, int]
"""A point of the second group: x.c0, x.c1, y.c0, y.c1, where a coordinate is c0 + c1 i, i^2 = -1. All 0: infinity."""

G2_GENERATOR: Twisted = (
    0x1800DEEF121F1E76426A00665E5C4479674322D4F75EDADD46DEBD5CD992F6ED,
    0x198E9393920D483A7260BFB731FB5D25F1AA493335A9E71297E485B7AEF312C2,
    0x12C85EA5DB8C6DEB4AAB71808DCB408FE3D1E7690C43D37B4CE6CC0166FA7DAA,
    0x090689D0585FF075EC9E99AD690C3395BC4B313370B38EF355ACDADCD122975B,
)
G2_INFINITY: Twisted = (0, 0, 0, 0)


@cache
def _curve() -> Any:
    """The library, imported when it is first needed: it is large, and few processes ever pair."""
    return import_module("py_ecc.optimized_bn128")


def _g1(point: Point) -> Any:
    """py_ecc's form. ValueError if it is no point of the first group."""
    curve = _curve()
    if point == INFINITY:
        return curve.Z1
    inner = (curve.FQ(point[0]), curve.FQ(point[1]), curve.FQ.one())
    if not all(0 <= c < Q for c in point) or not curve.is_on_curve(inner, curve.b):
        raise ValueError("not a point of the first group")
    return inner


def _g2(point: Twisted) -> Any:
    """py_ecc's form. ValueError if it is not on the twisted curve."""
    curve = _curve()
    if point == G2_INFINITY:
        return curve.Z2
    inner = (curve.FQ2(point[:2]), curve.FQ2(point[2:]), curve.FQ2.one())
    if not all(0 <= c < Q for c in point) or not curve.is_on_curve(inner, curve.b2):
        raise ValueError("not a point of the second group's curve")
    return inner


def check_g2(point: Twisted) -> Twisted:
    """The point itself. ValueError unless it is finite, on the curve, canonical and of order R.

    The twisted curve has more than R points: being on it is not enough.
    """
    inner = _g2(point)
    if point == G2_INFINITY or not _curve().is_inf(_curve().multiply(inner, R)):
        raise ValueError("not a finite point of the second group's order")
    return point


def multiply_g2(point: Twisted, scalar: int) -> Twisted:
    """scalar * point, for any integer scalar. ValueError if the point is not on the curve."""
    curve = _curve()
    product = curve.multiply(_g2(point), scalar % R)
    if curve.is_inf(product):
        return G2_INFINITY
    x, y = curve.normalize(product)
    return (int(x.coeffs[0]), int(x.coeffs[1]), int(y.coeffs[0]), int(y.coeffs[1]))


def g2_to_bytes(point: Twisted) -> bytes:
    """128 bytes in the order of the pairing precompile (EIP-197): x.c1, x.c0, y.c1, y.c0, big-endian."""
    return b"".join(point[i].to_bytes(32, "big") for i in (1, 0, 3, 2))


def g2_from_bytes(data: bytes) -> Twisted:
    """The inverse of ``g2_to_bytes``. ValueError as ``check_g2``, and for another length."""
    return check_g2(g2_of_any_order(data))


def g2_of_any_order(data: bytes) -> Twisted:
    """The same without a look at the order, which takes a hundred times longer: ``check_g2`` must follow before use."""
    if len(data) != 128:
        raise ValueError(f"{len(data)} bytes are not a point of the second group")
    c = [int.from_bytes(data[i : i + 32], "big") for i in range(0, 128, 32)]
    point = (c[1], c[0], c[3], c[2])
    if point == G2_INFINITY:
        raise ValueError("not a finite point of the second group")
    _g2(point)
    return point


def product_is_one(pairs: Iterable[tuple[Point, Twisted]]) -> bool:
    """Whether the product of e(P, Q) over all pairs is 1. ValueError if a point is on no curve.

    The order of the second points is not checked: they come from a reference string, which was (``check_g2``).
    """
    curve = _curve()
    product = curve.FQ12.one()
    for p, q in pairs:
        product *= curve.pairing(_g2(q), _g1(p), final_exponentiate=False)
    return bool(curve.final_exponentiate(product) == curve.FQ12.one())


def opposite(point: Point) -> Point:
    """-point."""
    return (point[0], -point[1] % Q)


def same_ratio(p: Point, q: Twisted, r: Point, s: Twisted) -> bool:
    """e(p, q) = e(r, s)."""
    return product_is_one([(p, q), (opposite(r), s)])
