"""At most t provers and any data owners together, against the consistency check: nobody honest is out, framed or shown.

Commitments bind each piece, receipts count n - t, and combinations are on chain, so that nobody shows two faces there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from omninode.demo.forge import Upload
from omninode.reproduce.stage.node import Node, Twist
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.params import PineParams
from protocols.pine.pieces import SealedPiece
from protocols.pine.proof import Querier, prove
from protocols.pine.staging import StagedUpload
from protocols.pine.transcript import query_rand
from protocols.pine.upload import OpenedUpload, verifier_share
from protocols.sessions import effects as fx
from protocols.sessions.params import Beacon, Bitmap, Phase, Rule
from protocols.sharing.consistency import combine_share
from protocols.wire import messages as msg
from protocols.wire.context import Context
from tests.simulation.attacks import lie_in, opens_on_chain, rewrite, swallow
from tests.simulation.session import Session, verified
from tests.simulation.verified_attacks import forge

RULES: list[dict[str, object]] = [{"rule": Rule.NONE}, {"rule": Rule.TRUST}]


def published(session: Session, liars: list[int]) -> set[int]:
    """Seats of others that published a piece."""
    honest = [(seat, p) for seat, p in enumerate(session.committee()) if seat not in liars]
    sent = [(seat, e) for seat, p in honest for e in p.effects if isinstance(e, fx.Send)]
    return {seat for seat, e in sent if isinstance(e.message, msg.ShareOpening)}


def withhold(session: Session, node: Node, seats: list[int]) -> None:
    """The pieces of a data owner never reach these provers."""
    session.run_until(Phase.REGISTER)
    far = {session.committee()[seat].address for seat in seats}
    node.twist = rewrite(lambda _, e: None if isinstance(e.message, msg.Upload) and e.to in far else e)


@pytest.mark.parametrize("settle", [25, 60])
@pytest.mark.parametrize("changes", RULES, ids=str)
def test_an_honest_data_owner_that_left_with_n_minus_t_receipts(changes: dict[str, object], settle: int) -> None:
    """Receipts of three honest provers and the liar: it may leave. Its one wrong opening is all of t."""
    session = verified(22, settle_blocks=settle, **changes)
    withhold(session, session.owners[1], [2])
    session.committee()[0].twist = lie_in("consistency")
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert session.market.named == 1 and published(session, [0]) == set()


@pytest.mark.parametrize("changes", RULES, ids=str)
def test_two_honest_provers_without_pieces_and_two_liars_of_nine(changes: dict[str, object]) -> None:
    session = verified(23, settle_blocks=60, committee=9, threshold=2, **changes)
    withhold(session, session.owners[1], [2, 6])
    for seat in (0, 4):
        session.committee()[seat].twist = lie_in("consistency")
    session.run(after=8)
    assert session.assert_exact().count == 6
    assert session.market.named == 0b10001 and published(session, [0, 4]) == set()


def test_where_more_than_t_openings_are_off_nothing_is_published() -> None:
    """Beyond the model: the data owner is out, its update stays secret."""
    session = verified(41, settle_blocks=60)
    session.run_until(Phase.REGISTER)
    for seat in (0, 1):
        session.committee()[seat].twist = lie_in("consistency")
    session.run(after=2)
    assert published(session, [0, 1]) == set() and session.in_set(Bitmap.VALID) == []


# ------------------------------------------------------------------------------------------ data owners with two faces


@dataclass
class TwoFaced:
    """Two valid updates, f and g, both proved under one transcript; their sharings agree at the points 1 .. t.

    Points in ``second`` get the pieces of g, the others those of f. other: g's pieces, for the colluding provers.
    """

    second: list[int]
    params: PineParams | None = None
    other: list[bytes] = field(default_factory=list)

    def __call__(
        self,
        params: PineParams,
        context: Context,
        address: bytes,
        x: Vector,
        committee: int,
        threshold: int,
        seed: bytes,
    ) -> Upload:
        y = x.copy()
        y[0] = 0  # shorter, hence valid too
        self.params, staged = params, StagedUpload(params, context, address, committee, threshold, seed)
        xs, ys = staged.deal("x", x), staged.deal("x", y)
        checks = staged.commit_x(self._mix(xs, ys))
        results = wr_results(params, checks, x), wr_results(params, checks, y)
        bits = encode_bits(params, x, results[0]), encode_bits(params, y, results[1])
        fs, gs = staged.deal("bits", bits[0]), staged.deal("bits", bits[1])
        joint = staged.commit_bits(self._mix(fs, gs))
        proofs = [
            prove(params, v, b, r, joint, staged.prove_rand) for v, b, r in zip((x, y), bits, results, strict=True)
        ]
        sent = [staged.deal("proof", staged.sent_of(proof)) for proof in proofs]
        made = staged.commit_proof(self._mix(*sent))
        twin = StagedUpload(params, context, address, committee, threshold, seed)
        twin.commit_x(ys), twin.commit_bits(gs)
        self.other = [piece.plain for piece in twin.commit_proof(sent[1])[1]]
        return made

    def _mix(self, f: list[Vector | bytes], g: list[Vector | bytes]) -> list[Vector | bytes]:
        return [g[i] if i + 1 in self.second else f[i] for i in range(len(f))]

    def share(self, point: int, committee: int) -> Vector:
        """g's at this point."""
        assert self.params is not None
        return SealedPiece.parse(self.params, committee, self.other[point - 1]).share(self.params, point, committee)


@dataclass
class Accomplice:
    """A prover that holds one piece and knows the other: on chain it is on f or (``on_g``) on g, proofs are to each as
    it likes.

    owner: the one with two faces.  towards: points that hold g.
    """

    session: Session
    face: TwoFaced
    owner: Node
    towards: list[int]
    on_g: bool

    @property
    def index(self) -> int:
        """Of the data owner."""
        return self.session.index_of(self.owner)

    @property
    def twist(self) -> Twist:
        """What it does; it publishes nothing."""
        posts = opens_on_chain(self._post if self.on_g else lambda _, present, values: (present, values))
        mute = swallow(msg.ShareOpening)
        return lambda node, effects: mute(node, [self._bent(node, e) for e in posts(node, effects)])

    def _post(self, node: Node, present: int, values: bytes) -> tuple[int, bytes]:
        machine = node.machine
        share = self.face.share(machine._desk.point, machine._desk.n)  # type: ignore[attr-defined]
        own = combine_share(share, machine._consistency._weights(self.index))  # type: ignore[attr-defined]
        return present, self._put(present, values, gl.vector([own]))

    def _put(self, present: int, values: bytes, own: Vector) -> bytes:
        place = (present & (1 << self.index) - 1).bit_count()
        changed = gl.from_bytes(values).copy()
        changed[place * len(own) : (place + 1) * len(own)] = own
        return gl.to_bytes(changed)

    def _bent(self, node: Node, e: fx.Effect) -> fx.Effect:
        victims = {self.session.committee()[x - 1].address for x in self.towards}
        if not isinstance(e, fx.Send) or not isinstance(e.message, msg.Opening) or e.to not in victims:
            return e
        if e.message.label != "proofs" or not e.message.present >> self.index & 1:
            return e
        return replace(e, message=replace(e.message, values=self._proof(node, e.message)))

    def _proof(self, node: Node, message: msg.Opening) -> bytes:
        machine, params = node.machine, self.face.params
        desk, held = machine._desk, machine._uploads.held[self.index]  # type: ignore[attr-defined]
        plain = bytes(held.source.shelf.get(f"piece-{self.index}"))
        real = held.source.opened(self.index, desk.point, held.root, held.proof, held.public, plain)
        assert params is not None
        querier = Querier(params, query_rand(params, desk.context, desk.view.beacons[Beacon.QUERY]))
        share = self.face.share(desk.point, desk.n)
        own = verifier_share(querier, OpenedUpload(share, real.wr_seed, real.joint_seed, real.leaves_root))
        return self._put(message.present, message.values, own)


def two_faced(
    monkeypatch: pytest.MonkeyPatch, session: Session, second: list[int], without: int, liars: list[int], on_g: bool
) -> Node:
    """Data owner 1 deals f and g, prover ``without`` gets nothing, the liars side with f or g on chain."""
    face, cheat = TwoFaced(second), session.owners[0]
    forge(monkeypatch, cheat, face)
    withhold(session, cheat, [without - 1])
    for x in liars:
        session.committee()[x - 1].twist = Accomplice(session, face, cheat, second, on_g).twist
    return cheat


@pytest.mark.parametrize("on_g", [False, True])
@pytest.mark.parametrize("changes", RULES, ids=str)
def test_a_two_faced_data_owner_and_one_prover_of_five(
    changes: dict[str, object], on_g: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1 and 2 hold f, 3 holds g (which agrees with f at 1), 4 holds nothing, 5 lies: the honest outlier publishes."""
    session = verified(31, settle_blocks=60, **changes)
    cheat = two_faced(monkeypatch, session, [3], 4, [5], on_g)
    session.run(after=6)
    assert session.assert_exact().count == 5 and session.index_of(cheat) not in session.in_set(Bitmap.VALID)
    assert not session.market.named & 0b1111 and not session.market.slashed & {0, 1, 2, 3}
    assert published(session, [4]) == ({1} if on_g else {2})


@pytest.mark.parametrize("on_g", [False, True])
@pytest.mark.parametrize("changes", RULES, ids=str)
def test_a_two_faced_data_owner_and_two_provers_of_nine(
    changes: dict[str, object], on_g: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1, 2, 3, 4 hold f, 1, 2, 5, 6 hold g (degree 2: they agree at 1 and 2), 7 holds nothing, 8 and 9 lie."""
    session = verified(32, settle_blocks=60, committee=9, threshold=2, **changes)
    cheat = two_faced(monkeypatch, session, [5, 6], 7, [8, 9], on_g)
    session.run(after=8)
    assert session.assert_exact().count == 5 and session.index_of(cheat) not in session.in_set(Bitmap.VALID)
    assert not session.market.named & 0b1111111 and not session.market.slashed & set(range(7))
    assert published(session, [7, 8]) == ({2, 3} if on_g else {4, 5})
