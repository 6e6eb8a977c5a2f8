"""Zero knowledge of records: ranks of what the public learns, with the number of blinders and with one fewer.

A polynomial's blinders multiply Z_H. What is learned of it, also in the exponent, are linear forms of them; if they are
independent, they are uniform whatever the vector. And who knows tau can make a record of nothing that passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from protocols.bn254 import fr, poly
from protocols.bn254.field import R
from protocols.bn254.g1 import Point
from protocols.zk.hashing import h, tag
from protocols.zk.key import Key
from protocols.zk.params import NB_G, NB_M, NB_S
from protocols.zk.range_check import check
from protocols.zk.record import Record
from tests.unit.bn254_kit import value
from tests.unit.zk_kit import SMALL, TAU, holds, interpolated, rank, scalars, session, small_key, times

N = SMALL.size
W = poly.root_of_unity(N)
Z1, Z2, A1, A2, A3 = scalars("challenges", 5)


def forms(points: Sequence[int], blinders: int) -> list[list[int]]:
    """What each blinder adds to the values at these points, by the code that commits."""
    units = np.eye(blinders, dtype=np.int64)
    columns = [poly.blinded(fr.zeros(N), fr.from_signed(unit)) for unit in units]
    return [[poly.evaluate(column, x) for column in columns] for x in points]


@pytest.mark.parametrize(
    ("column", "blinders", "points"),
    [
        ("m", NB_M, (TAU, Z1)),
        ("e", NB_M, (TAU, Z1)),
        ("s", NB_S, (TAU, W * TAU % R, Z1, W * Z1 % R)),
        ("nn", NB_S, (TAU, W * TAU % R, Z1, W * Z1 % R)),
        ("g", NB_G, (TAU, Z1, A1, A2, A3)),
    ],
)
def test_what_is_learned_of_a_column_is_uniform(column: str, blinders: int, points: tuple[int, ...]) -> None:
    assert rank(forms(points, blinders)) == len(points), column
    if column == "g":  # the sixth is for the released sum, below
        return
    assert rank(forms(points, blinders - 1)) < len(points)


def learned_with_the_sum(blinders: int, attempts: Sequence[int]) -> list[list[int]]:
    """Of two honest owners' g: the sum with its blinders, g_1 at tau and z_1, g_2 at z_2, r g per attempt.

    g_2 at tau is not new: it is the sum's value less that of g_1.
    """
    nothing = [0] * blinders
    rows = [[int(i == j) for j in range(blinders)] * 2 for i in range(blinders)]
    at_tau, at_z1, at_z2 = forms((TAU, Z1, Z2), blinders)
    rows += [at_tau + nothing, at_z1 + nothing, nothing + at_z2]
    for k, (attempt, form) in enumerate(zip(attempts, forms(attempts, blinders), strict=True)):
        r1, r2 = scalars(f"weights{k}{attempt}", 2)
        rows.append([r1 * x % R for x in form] + [r2 * x % R for x in form])
    return rows


def test_three_attempts_and_the_sum_of_two_owners_leave_both_hidden() -> None:
    rows = learned_with_the_sum(NB_G, (A1, A2, A3))
    assert rank(rows) == len(rows)


def test_one_blinder_fewer_or_a_fourth_attempt_would_leak() -> None:
    for rows in (learned_with_the_sum(NB_G - 1, (A1, A2, A3)), learned_with_the_sum(NB_G, (A1, A2, A3, 77))):
        assert rank(rows) < len(rows)


def test_the_easy_mistake() -> None:
    """Without the released sum five blinders look enough."""
    rows = learned_with_the_sum(NB_G - 1, (A1, A2, A3))[NB_G - 1 :]
    assert rank(rows) == len(rows)


def test_blinders_leave_the_values_alone() -> None:
    rows = [5, 7] + [0] * (N - 2)
    blinded = poly.blinded(fr.vector(rows), fr.vector(scalars("b", NB_G)))
    assert fr.integers(blinded) == interpolated(rows, scalars("b", NB_G))
    assert [poly.evaluate(blinded, pow(W, i, R)) for i in (0, 1, 2, N - 1)] == [5, 7, 0, 0]


@dataclass
class Simulator:
    """Makes records without a vector: it draws every hidden value and knows tau."""

    key: Key
    sess: bytes
    bound_squared: int

    def numerator(self, at: dict[str, int], alpha: int, delta: int) -> int:
        """The identity's left side from values at one point."""
        total = (at["sw"] - at["s"]) * (alpha + at["g"]) * (alpha + at["T"]) - (alpha + at["T"])
        total += at["m"] * (alpha + at["g"])
        if self.key.norms:
            share = self.bound_squared * pow(N, -1, R)
            total += delta * (at["nnw"] - at["nn"] - at["g"] ** 2 - at["p"] * at["e"] + share)
            total += delta**2 * (at["e"] ** 2 - at["e"])
        return total % R

    def drawn(self, label: str, x: int) -> dict[str, int]:
        """Uniform values of the hidden polynomials at a point, those of the public ones, q excepted."""
        names = ("g", "m", "s", "sw") + (("e", "nn", "nnw") if self.key.norms else ())
        at = dict(zip(names, scalars(label, len(names)), strict=True))
        at["T"] = value(fr.integers(self.key.t_poly), x)
        if self.key.bits_poly is not None:
            at["p"] = value(fr.integers(self.key.bits_poly), x)
        return at

    def record(self, label: str, address: int, dg: bytes) -> Record:
        """It passes, and nobody knows a vector behind it."""
        norms, w = self.key.norms, self.key.omega
        exponents = self.drawn(label + "tau", TAU)
        c = {name: times(exponents[name]) for name in ("g", "m", "s", *(("e", "nn") if norms else ()))}
        first = [c["m"], c["e"], c["nn"]] if norms else [c["m"]]
        t0 = h(tag("rangenorm" if norms else "range"), self.sess, address, c["g"], dg, *first)
        state = h(t0, c["s"]) if norms else t0
        alpha, delta = (int.from_bytes(x, "big") % R for x in (t0, state))
        exponents["q"] = self.numerator(exponents, alpha, delta) * pow(pow(TAU, N, R) - 1, -1, R) % R
        c["q"] = times(exponents["q"])
        t1 = h(state, c["q"]) if norms else h(t0, c["s"], c["q"])
        z = int.from_bytes(t1, "big") % R
        at = self.drawn(label + "z", z)
        at["q"] = self.numerator(at, alpha, delta) * pow(pow(z, N, R) - 1, -1, R) % R
        order = ("g", "m", "s", "q", "T", "e", "nn", "p", "sw", "nnw") if norms else ("g", "m", "s", "sw", "q", "T")
        evaluations = tuple(at[name] for name in order)
        v = int.from_bytes(h(t1, *evaluations), "big") % R
        names = order[:8] if norms else ("g", "m", "s", "q", "T")
        w1 = self.opening([exponents[name] - at[name] for name in names], v, z)
        after = [("s", "sw"), ("nn", "nnw")] if norms else [("s", "sw")]
        w2 = self.opening([exponents[p] - at[q] for p, q in after], v, z * w % R)
        return Record(address, c["g"], dg, c["m"], c.get("e"), c.get("nn"), c["s"], c["q"], evaluations, w1, w2)

    def opening(self, differences: Sequence[int], v: int, x: int) -> Point:
        """[(F(tau) - F(x)) / (tau - x)]."""
        merged = sum(pow(v, i, R) * d for i, d in enumerate(differences))
        return times(merged * pow(TAU - x, -1, R) % R)


@pytest.mark.parametrize("bits", [None, 10])
def test_whoever_knows_tau_makes_records_of_nothing(bits: int | None) -> None:
    """So a record tells nothing else: it could be made without the vector. And so tau must be nobody's."""
    key = small_key(SMALL, bits)
    simulator = Simulator(key, session(key, 1000), 1000)
    record = simulator.record("a", 0x1000, b"\x07" * 32)
    check(key, simulator.sess, record, 1000)
    other = simulator.record("b", 0x1000, b"\x07" * 32)
    assert holds(key, simulator.sess, other, 1000) and other.evaluations[0] != record.evaluations[0]
