"""The group law of y^2 = x^3 + 3 over Fq for kernels: y is never 0 on this curve, so no point has order 2.

Affine points are (x, y), infinity (0, 0). Sums in progress are (X, Y, ZZ, ZZZ): x = X/ZZ, y = Y/ZZZ, ZZ^3 = ZZZ^2,
infinity has ZZ = 0 (formulas: hyperelliptic.org/EFD, "xyzz", due to Sutherland). All cases are handled: equal,
opposite, infinite.
"""

from __future__ import annotations

from protocols.bn254.field import Q_ONE, ZERO, Words, add_q, is_zero, load, mul_q, product_q, sub_q
from protocols.fields.jit import called, copied, inlined
from protocols.fields.wide import Number, apart

Affine = tuple[Number, Number]
Sum = tuple[Number, Number, Number, Number]

DIFFERENT, EQUAL, TRIVIAL = 0, 1, 2
"""How two affine points are added: by the chord, by the tangent, without any arithmetic."""


@copied
def kind_of(x1: Number, y1: Number, x2: Number, y2: Number) -> tuple[int, Number]:
    """How (x1, y1) + (x2, y2) is computed, and the number by which its slope is divided, which is not 0."""
    if is_zero(y1) or is_zero(y2):
        return TRIVIAL, Q_ONE
    difference = sub_q(x2, x1)
    if not is_zero(difference):
        return DIFFERENT, difference
    if is_zero(sub_q(y2, y1)):
        return EQUAL, add_q(y1, y1)
    return TRIVIAL, Q_ONE


@copied
def add_affine(kind: int, x1: Number, y1: Number, x2: Number, y2: Number, inverse: Number) -> Affine:
    """(x1, y1) + (x2, y2), from what ``kind_of`` said and the inverse of its number."""
    if kind == TRIVIAL:
        if is_zero(y1):
            return x2, y2
        if is_zero(y2):
            return x1, y1
        return ZERO, ZERO
    if kind == EQUAL:
        square = product_q(x1, x1)
        slope = product_q(add_q(add_q(square, square), square), inverse)
    else:
        slope = mul_q(sub_q(y2, y1), inverse)
    x3 = sub_q(sub_q(mul_q(slope, slope), x1), x2)
    return x3, sub_q(mul_q(slope, sub_q(x1, x3)), y1)


@called
def double(p: Sum) -> Sum:
    """2 p."""
    apart()
    x, y, zz, zzz = p
    u = add_q(y, y)
    v = product_q(u, u)
    w = product_q(u, v)
    s = product_q(x, v)
    square = product_q(x, x)
    m = add_q(add_q(square, square), square)
    x3 = sub_q(product_q(m, m), add_q(s, s))
    return x3, sub_q(product_q(m, sub_q(s, x3)), product_q(w, y)), product_q(v, zz), product_q(w, zzz)


@called
def _chord(x1: Number, y1: Number, p: Number, r: Number, zz: Number, zzz: Number) -> Sum:
    """The sum of different points, from their first's coordinates and differences over the denominators zz, zzz."""
    pp = product_q(p, p)
    ppp = product_q(p, pp)
    q = product_q(x1, pp)
    x3 = sub_q(sub_q(product_q(r, r), ppp), add_q(q, q))
    return x3, sub_q(product_q(r, sub_q(q, x3)), product_q(y1, ppp)), product_q(zz, pp), product_q(zzz, ppp)


@called
def add_mixed(a: Sum, x2: Number, y2: Number) -> Sum:
    """a + (x2, y2)."""
    apart()
    if is_zero(y2):
        return a
    x1, y1, zz, zzz = a
    if is_zero(zz):
        return x2, y2, Q_ONE, Q_ONE
    p, r = sub_q(product_q(x2, zz), x1), sub_q(product_q(y2, zzz), y1)
    if is_zero(p):
        return double(a) if is_zero(r) else (ZERO, ZERO, ZERO, ZERO)
    return _chord(x1, y1, p, r, zz, zzz)


@called
def add_sums(a: Sum, b: Sum) -> Sum:
    """a + b."""
    apart()
    if is_zero(a[2]):
        return b
    if is_zero(b[2]):
        return a
    x1, y1 = product_q(a[0], b[2]), product_q(a[1], b[3])
    p, r = sub_q(product_q(b[0], a[2]), x1), sub_q(product_q(b[1], a[3]), y1)
    if is_zero(p):
        return double(a) if is_zero(r) else (ZERO, ZERO, ZERO, ZERO)
    return _chord(x1, y1, p, r, product_q(a[2], b[2]), product_q(a[3], b[3]))


@inlined
def x_of(points: Words, i: int) -> Number:
    """The first coordinate of row i of (n, 8)."""
    return (points[i, 0], points[i, 1], points[i, 2], points[i, 3])


@inlined
def y_of(points: Words, i: int) -> Number:
    """The second coordinate of row i of (n, 8)."""
    return (points[i, 4], points[i, 5], points[i, 6], points[i, 7])


@inlined
def put(points: Words, i: int, p: Affine) -> None:
    """Row i of (n, 8) becomes p."""
    points[i, 0], points[i, 1], points[i, 2], points[i, 3] = p[0][0], p[0][1], p[0][2], p[0][3]
    points[i, 4], points[i, 5], points[i, 6], points[i, 7] = p[1][0], p[1][1], p[1][2], p[1][3]


@inlined
def load_sum(rows: Words, i: int) -> Sum:
    """Row i of (n, 16), as rows 4 i .. 4 i + 3 of (4 n, 4)."""
    return (load(rows, 4 * i), load(rows, 4 * i + 1), load(rows, 4 * i + 2), load(rows, 4 * i + 3))
