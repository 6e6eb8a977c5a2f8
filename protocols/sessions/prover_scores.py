"""Mode verified: the inner products that rule and payout need, opened with pseudo-random sharings of zero.

    rule or payout                                     opened, in this order
    trust, or payout by contribution (with reference)  <g_k, ref> for each valid data owner k, ascending
    outlier, multi-krum, m-krum                        <g_k, g_l> for all pairs k <= l of them, row by row
    otherwise                                          nothing

A product of two shares has degree 2t: with n >= 4t + 1 openings t lies are corrected, with n - t all must agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.gram.exact import gram
from protocols.sessions.effects import Effect, Remember
from protocols.sessions.params import REFERENCE, Bitmap, Phase, Rule
from protocols.sessions.prover_decode import name_liars, read_values, settled
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_proved import ProvedPieces
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.setup import SeedSetup
from protocols.sessions.shelf import Shelf, get_vector, put_vector
from protocols.sharing.zero import zero_share
from protocols.wire.messages import Opening

LABEL = "products"
DISTANCE_RULES = (Rule.OUTLIER, Rule.MULTI_KRUM, Rule.M_KRUM)
Pair = tuple[int, int]


def layout(indices: Iterable[int], reference: bool, distances: bool) -> list[Pair]:
    """Pairs whose inner products are opened, in order. indices: what is there, REFERENCE included or not."""
    present = sorted(indices)
    owners = [k for k in present if k != REFERENCE]
    with_reference = [(k, REFERENCE) for k in owners] if reference and REFERENCE in present else []
    return with_reference + (list(combinations_with_replacement(owners, 2)) if distances else [])


@dataclass
class Scores:
    """values: pair -> decoded inner product, a signed integer."""

    desk: Desk
    pieces: ProvedPieces
    rebuild: Rebuild
    setup: SeedSetup
    shelf: Shelf
    values: dict[Pair, int] = field(default_factory=dict)
    _opened: dict[int, dict[Pair, int]] = field(default_factory=dict)

    def pairs(self, indices: Iterable[int]) -> list[Pair]:
        """What is opened of these."""
        p = self.desk.view.p
        return layout(indices, p.uses_reference, p.rule in DISTANCE_RULES)

    @property
    def spoken(self) -> int:
        """How many provers have opened their products."""
        return len(self._opened)

    @property
    def wanted(self) -> list[Pair]:
        """What is opened of all that are valid."""
        return self.pairs(self.desk.members(Bitmap.VALID))

    @property
    def done(self) -> bool:
        """Whether everything is known."""
        return self.desk.settling and set(self.wanted) <= self.values.keys()

    def receive(self, message: Opening) -> list[Effect]:
        """Another prover's products, each plus its share of zero. Its first word counts."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        present = bits(message.present)
        if message.present & ~desk.view.sets[Bitmap.VALID]:
            raise desk.refuse("wrong-set", message, "products of data owners that are not valid")
        pairs = self.pairs(present)
        opened = dict(zip(pairs, read_values(desk, message, len(pairs)).tolist(), strict=True))
        if self._opened.setdefault(point, opened) != opened:
            raise desk.refuse("opened-twice", message, "another opening came before")
        return self._decode() if self.done else []

    def progress(self) -> list[Effect]:
        """Open ours when every share is here; decode what has come."""
        if not self.desk.settling or not self.wanted:
            return []
        needed = {k for pair in self.wanted for k in pair}
        effects = self._open() if all(self.rebuild.has(k) for k in needed) else []
        return effects if self.done else effects + self._decode()

    def tick(self, block: int) -> list[Effect]:
        """Late in the phase, open without the shares that we could not get."""
        desk = self.desk
        late = desk.view.phase == Phase.BATCH and bool(self.wanted) and block >= desk.share_of_window(7, 8)
        return self._open() if late else []

    def _open(self) -> list[Effect]:
        desk = self.desk
        if desk.point in self._opened or not self.setup.complete:
            return []
        held = [k for k in desk.members(Bitmap.VALID) if self.rebuild.has(k)]
        products, zero = self._products(held), self._zeros()
        opened = {pair: (products[pair] + zero[pair]) % P for pair in self.pairs(held)}
        self._opened[desk.point] = opened
        values = gl.to_bytes(gl.vector(opened.values()))
        valid = desk.view.sets[Bitmap.VALID].to_bytes(32, "big")
        message = Opening(desk.identity.address, LABEL, bitmap(held), values)
        return [Remember("valid-set", valid), *desk.broadcast(message)]

    def _zeros(self) -> dict[Pair, int]:
        """Our shares of zero."""
        desk, wanted = self.desk, self.wanted
        zeros = zero_share(self.setup.seeds(), desk.point, desk.n, desk.t, desk.label(LABEL), len(wanted))
        return dict(zip(wanted, zeros.tolist(), strict=True))

    def _x(self, index: int) -> Vector:
        share = self.rebuild.share(index)
        assert share is not None
        return share[self.pieces.layout.x]

    def _products(self, held: list[int]) -> dict[Pair, int]:
        """Of our shares: one data owner after the other, or by blocks of coordinates while all lie on the shelf."""
        pairs = self.pairs(held)
        if not pairs:
            return {}
        if self.desk.view.p.rule not in DISTANCE_RULES:
            reference = self._x(REFERENCE)
            return {(k, ref): gl.dot(self._x(k), reference) for k, ref in pairs}
        used = sorted({k for pair in pairs for k in pair})
        for k in used:
            put_vector(self.shelf, f"x-{k}", self._x(k))
        table = gram([get_vector(self.shelf, f"x-{k}") for k in used])
        for k in used:
            self.shelf.drop(f"x-{k}")
        place = {k: i for i, k in enumerate(used)}
        return {(k, j): int(table[place[k], place[j]]) for k, j in pairs}

    def _decode(self) -> list[Effect]:
        """Once everything is decoded, liars are named, also those that speak late."""
        desk, wrong = self.desk, set[int]()
        for openers, pairs in self._by_openers().items():
            shares = {x: gl.vector([self._opened[x][pair] for pair in pairs]) for x in sorted(openers)}
            decoded = settled(shares, 2 * desk.t, desk.n - desk.t)
            if decoded is not None:
                found = zip(pairs, decoded.values.tolist(), strict=True)
                self.values = {pair: gl.lift(value) for pair, value in found} | self.values
                wrong |= set(decoded.error_points)
        return name_liars(desk, wrong, LABEL) if self.done else []

    def _by_openers(self) -> dict[frozenset[int], list[Pair]]:
        """Pairs that the same provers have opened are decoded together."""
        found: dict[frozenset[int], list[Pair]] = {}
        for pair in self.wanted:
            openers = frozenset(x for x, opened in self._opened.items() if pair in opened)
            found.setdefault(openers, []).append(pair)
        return found
