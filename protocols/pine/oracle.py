"""PINE in plain Python integers, written as the reference code is: slow, obvious, and what the fast code is tested and
measured against. Used by tests and benchmarks only.

A circuit is a function of the measurement, the joint randomness and its gadget, which is called again and again. The
prover records the inputs of the calls, the verifier answers the calls from the proof's gadget polynomial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protocols.fields.oracle import P, evaluate
from protocols.pine.params import PineParams, Sizes

Gadget = Callable[[list[int]], int]
Circuit = Callable[[PineParams, Sequence[int], Sequence[int], Gadget], int]


def root_of_unity(n: int) -> int:
    """The primitive n-th root, n a power of two."""
    return pow(7, (P - 1) // n, P)


def transform(values: Sequence[int], root: int) -> list[int]:
    """sum_i values[i] root^(i k) for all k: the recursive fast Fourier transform."""
    if len(values) == 1:
        return list(values)
    even, odd = transform(values[0::2], root * root % P), transform(values[1::2], root * root % P)
    turned, factor = [], 1
    for value in odd:
        turned.append(value * factor % P)
        factor = factor * root % P
    return [(a + b) % P for a, b in zip(even, turned, strict=True)] + [
        (a - b) % P for a, b in zip(even, turned, strict=True)
    ]


def interpolate(values: Sequence[int]) -> list[int]:
    """The coefficients of the polynomial that takes the values at the powers of the root."""
    n = len(values)
    return [x * pow(n, -1, P) % P for x in transform(values, pow(root_of_unity(n), -1, P))]


def multiply(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """The product of two polynomials, as at school."""
    out = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] = (out[i + j] + x * y) % P
    return out


def pieces(values: Sequence[int], width: int) -> list[list[int]]:
    """Cut into runs of ``width``, the last padded with zeros."""
    return [[*values[i : i + width], *[0] * (i + width - len(values))] for i in range(0, len(values), width)]


def number(bits: Sequence[int]) -> int:
    """The number that bits spell, lowest first; any elements in their place."""
    return sum(bit << k for k, bit in enumerate(bits)) % P


def split(params: PineParams, meas: Sequence[int]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Vector, bits, results."""
    return meas[: params.dimension], meas[params.dimension : params.client_meas_len], meas[params.client_meas_len :]


def norm_equality(params: PineParams, meas: Sequence[int], joint_rand: Sequence[int], gadget: Gadget) -> int:
    """Claimed squared norm minus squared norm."""
    x, bits, _ = split(params, meas)
    return (number(bits[: params.norm_bits]) - sum(map(gadget, pieces(x, params.chunk_norm)))) % P


def valid(params: PineParams, meas: Sequence[int], joint_rand: Sequence[int], gadget: Gadget) -> int:
    """Bits, norm range, wrap-around checks and their count, in one random combination."""
    _, bits, results = split(params, meas)
    r1, r2, r3 = joint_rand
    nb, nw = params.norm_bits, params.wr_bits
    left = [pow(r1, i, P) * bit % P for i, bit in enumerate(bits)]
    are_bits = _products(left, [bit - 1 for bit in bits], params.chunk, gadget)
    norm = number(bits[:nb]) + number(bits[nb : 2 * nb]) - params.norm_bound
    checks = pieces(bits[2 * nb :], nw + 1)
    left = [
        pow(r2, c, P) * (result + params.wr_bound - 1 - number(check[:nw])) % P
        for c, (result, check) in enumerate(zip(results, checks, strict=True))
    ]
    in_range = _products(left, [check[nw] for check in checks], params.chunk, gadget)
    count = sum(check[nw] for check in checks) - params.successes
    return (are_bits + r3 * norm + r3**2 * in_range + r3**3 * count) % P


def _products(left: Sequence[int], right: Sequence[int], chunk: int, gadget: Gadget) -> int:
    total = 0
    for a, b in zip(pieces(left, chunk), pieces(right, chunk), strict=True):
        total += gadget([value % P for pair in zip(a, b, strict=True) for value in pair])
    return total


def squares(inputs: Sequence[int]) -> int:
    """Gadget of ``norm_equality``."""
    return sum(x * x for x in inputs) % P


def products(inputs: Sequence[int]) -> int:
    """Gadget of ``valid``."""
    return sum(x * y for x, y in zip(inputs[0::2], inputs[1::2], strict=True)) % P


def prove(
    params: PineParams,
    circuit: Circuit,
    sizes: Sizes,
    meas: Sequence[int],
    prove_rand: Sequence[int],
    joint_rand: Sequence[int],
) -> list[int]:
    """One proof: wire seeds and gadget polynomial."""
    calls: list[list[int]] = [list(prove_rand)]
    gadget = squares if circuit is norm_equality else products

    def record(inputs: list[int]) -> int:
        calls.append(inputs)
        return gadget(inputs)

    circuit(params, meas, joint_rand, record)
    rows = calls + [[0] * sizes.arity] * (sizes.points - len(calls))
    polynomials = [interpolate(column) for column in zip(*rows, strict=True)]
    pairs = (
        zip(polynomials, polynomials, strict=True)
        if circuit is norm_equality
        else zip(polynomials[0::2], polynomials[1::2], strict=True)
    )
    total = [0] * sizes.coefficients
    for a, b in pairs:
        total = [(x + y) % P for x, y in zip(total, multiply(a, b), strict=True)]
    return [*prove_rand, *total]


def query(
    params: PineParams,
    circuit: Circuit,
    sizes: Sizes,
    meas: Sequence[int],
    proof: Sequence[int],
    joint_rand: Sequence[int],
    point: int,
) -> list[int]:
    """The verifier message of one proof. ValueError for a root of unity."""
    if pow(point, sizes.points, P) == 1:
        raise ValueError("the query point is a root of unity")
    polynomial, root = proof[sizes.arity :], root_of_unity(sizes.points)
    calls: list[list[int]] = [list(proof[: sizes.arity])]

    def answer(inputs: list[int]) -> int:
        calls.append(inputs)
        return evaluate(polynomial, pow(root, len(calls) - 1, P))

    output = circuit(params, meas, joint_rand, answer)
    rows = calls + [[0] * sizes.arity] * (sizes.points - len(calls))
    wires = [evaluate(interpolate(column), point) for column in zip(*rows, strict=True)]
    return [output, *wires, evaluate(polynomial, point)]


def decide(circuit: Circuit, verifier: Sequence[int]) -> bool:
    """Whether one verifier message accepts."""
    gadget = squares if circuit is norm_equality else products
    return verifier[0] == 0 and gadget(verifier[1:-1]) == verifier[-1]


def wr_results(params: PineParams, stream: bytes, x: Sequence[int]) -> list[int]:
    """The wrap-around checks, from ceil(d/4) bytes each."""
    run = -(-params.dimension // 4)
    results = []
    for c in range(params.checks):
        bits = [stream[c * run + j // 4] >> 2 * (j % 4) & 3 for j in range(params.dimension)]
        results.append(sum({0: -value, 3: value}.get(two, 0) for two, value in zip(bits, x, strict=True)) % P)
    return results
