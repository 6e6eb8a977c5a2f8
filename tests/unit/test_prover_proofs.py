"""Small parts of a verified prover: proofs decoded as they come, the vote, products, selection, scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, cast

import numpy as np
import pytest

from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.encode import encode_bits, wr_results
from protocols.pine.params import choose
from protocols.pine.proof import Querier, prove
from protocols.selection import rules
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Beacon, Bitmap, Mode, Payout, Phase, Rule
from protocols.sessions.prover_consistency import Consistency
from protocols.sessions.prover_desk import Desk, bitmap
from protocols.sessions.prover_proofs import Proofs
from protocols.sessions.prover_proved import ProvedPieces
from protocols.sessions.prover_scores import Scores, layout
from protocols.sessions.prover_selection import Selection
from protocols.sessions.prover_vote import Vote
from protocols.sessions.shelf import MemoryShelf
from protocols.sharing.consistency import Status, Verdict
from protocols.sharing.shamir import share
from protocols.wire.context import Context
from protocols.wire.messages import Opening
from tests.simulation.session import small_params
from tests.simulation.wallets import Wallets, enc_public

CONTEXT = Context(1, bytes(20), 7)


def desk(phase: Phase, members: int = 4, count: int = 5, **changes: Any) -> tuple[Desk, list[ev.ProverInfo]]:
    """The desk of the prover at point 1; all data owners and the reference are delivered and valid."""
    wallets = Wallets()
    identities = [wallets.new(str(i)) for i in range(count)]
    infos = [ev.ProverInfo(i.address, bytes(32), enc_public(i)) for i in identities]
    made, every = Desk(CONTEXT, identities[0], bytes(32)), (1 << members) - 1 | 1 << REFERENCE
    params = small_params(mode=Mode.VERIFIED, owner=b"\x0e" * 20, groups=members, committee=count, **changes)
    events: list[ev.ChainEvent] = [ev.SessionCreated(7, 1, params), ev.CommitteeDrawn(7, 2, tuple(infos))]
    events += [ev.Registered(7, 3, k, bytes([k]) * 20, bytes(32), bytes(32)) for k in range(members)]
    events += [ev.UploadCommitted(7, 3, k, bytes([k]) * 32) for k in range(members)]
    events += [ev.ReferenceCommitted(7, 3, bytes(32)), ev.BeaconSet(7, 4, Beacon.QUERY, bytes(32))]
    events += [ev.SetFixed(7, 4, Bitmap.DELIVERED, every)]
    events += [ev.SetFixed(7, 5, Bitmap.VALID, every)] if phase > Phase.VALID else []
    for event in [*events, ev.PhaseChanged(7, 50, phase, 70)]:
        made.view.apply(event)
    return made, infos


@dataclass
class Judged:
    """What consistency says, by decree."""

    verdicts: dict[int, Verdict] | None
    fit: dict[int, set[int]] = field(default_factory=dict)
    doubted: set[int] = field(default_factory=set)
    closed: bool = False
    waiting: bool = False
    publishing: bool = False

    def trusted(self, index: int) -> bool:
        return False

    def fitting(self, index: int) -> set[int]:
        return self.fit.get(index, {1, 2, 3, 4, 5})

    def in_doubt(self, index: int) -> bool:
        return index not in self.doubted

    def contradicted(self) -> set[int]:
        return set()

    def silent(self) -> set[int]:
        return set()


def verifier_shares(made: Desk, *, good: bool = True) -> dict[int, Vector]:
    """Shares of the verifier message of one vector, true or not, at all points."""
    p = choose(made.view.p.dimension, made.view.p.bound)
    x, joint = gl.vector(range(p.dimension)), gl.vector(range(2, 2 + p.joint_rand_length))
    results = wr_results(p, bytes(32), x)
    bits = encode_bits(p, x, results)
    if not good:
        bits[0] ^= np.uint64(1)
    proof = prove(p, x, bits, results, joint, gl.vector(range(5, 5 + p.prove_rand_length)))
    querier = Querier(p, gl.vector(range(100, 100 + p.query_rand_length)))
    message = querier.verifier(x, bits, results, proof, joint)
    return dict(zip(range(1, made.n + 1), share(message, made.t, range(1, made.n + 1), bytes(32)), strict=True))


@dataclass
class Kit:
    """A Proofs whose consistency is decreed; it holds no pieces itself."""

    fine: Judged
    members: int = 2

    def __post_init__(self) -> None:
        self.desk, self.infos = desk(Phase.VALID, self.members)
        pieces = ProvedPieces(self.desk, MemoryShelf())
        uploads = cast(Any, type("Nothing", (), {"held": {}}))
        self.proofs = Proofs(self.desk, uploads, pieces, cast(Consistency, self.fine))
        self.vote = Vote(self.desk, cast(Consistency, self.fine), self.proofs)

    def say(self, point: int, shares: dict[int, Vector]) -> list[fx.Effect]:
        values = b"".join(gl.to_bytes(shares[k]) for k in sorted(shares))
        message = Opening(self.infos[point - 1].address, "proofs", bitmap(list(shares)), values)
        return self.proofs.receive(message) + self.proofs.progress()


def both() -> dict[int, Verdict]:
    return {0: Verdict(Status.CONSISTENT), 1: Verdict(Status.CONSISTENT)}


# ---------------------------------------------------------------------------------------------------------- proofs


@pytest.mark.parametrize("by_tick", [True, False])
def test_pieces_leave_before_verifier_messages_are_computed(by_tick: bool) -> None:
    kit = Kit(Judged(both(), publishing=True))
    assert kit.proofs.tick(51) == [] and kit.proofs.spoken == 0
    assert kit.proofs.progress() == [] and kit.proofs.spoken == 0
    opened = kit.proofs.tick(52) if by_tick else kit.proofs.progress()
    assert len(opened) == 4 and kit.proofs.spoken == 1
    assert kit.proofs.tick(53) == kit.proofs.progress() == []


@pytest.mark.parametrize("order", [(2, 3, 4, 5), (5, 4, 3, 2)], ids=str)
@pytest.mark.parametrize("liar", [None, 2, 5])
def test_proofs_are_decided_as_soon_as_enough_agree(order: tuple[int, ...], liar: int | None) -> None:
    kit = Kit(Judged(both()))
    good, bad = verifier_shares(kit.desk), verifier_shares(kit.desk, good=False)
    effects, heard = kit.proofs.progress(), 0
    for point in order:
        lie = gl.vector([1] * len(good[point]))
        shares = {0: good[point], 1: bad[point]}
        effects += kit.say(point, {k: gl.add(s, lie) for k, s in shares.items()} if point == liar else shares)
        heard += point != liar
        assert (kit.proofs.outcome == {0: True, 1: False}) == (heard >= 3)
    blames = {(e.peer, e.rule) for e in effects if isinstance(e, fx.Blame)}
    expected = {(bytes([1]) * 20, "proof-failed")}
    assert blames == expected | ({(kit.infos[liar - 1].address, "wrong-opening")} if liar else set())
    assert kit.desk.faulty == ({liar} if liar else set())
    votes = [e for e in kit.vote.progress() if isinstance(e, fx.Transact)]
    assert [v.args for v in votes] == [(int(Bitmap.VALID), 1)]


def test_nothing_is_opened_or_decided_before_consistency_is_judged() -> None:
    kit = Kit(Judged(None))
    good = verifier_shares(kit.desk)
    assert kit.proofs.progress() == []
    assert all(kit.say(x, {0: good[x], 1: good[x]}) == [] for x in (2, 3, 4, 5))
    assert kit.proofs.outcome == {} and kit.vote.progress() == [] and kit.vote.tick(69) == []
    kit.fine.verdicts = both()
    (sent, *_) = kit.proofs.progress()
    assert isinstance(sent, fx.Send) and kit.proofs.outcome == {0: True, 1: True}


def test_only_who_is_on_the_polynomial_counts_and_can_be_named() -> None:
    """Point 2 is an outlier of data owner 0: it may have been lied to, its proof tells nothing."""
    kit = Kit(Judged(both(), fit={0: {1, 3, 4, 5}}))
    good = verifier_shares(kit.desk)
    kit.proofs.progress()
    for x in (2, 3, 4):
        kit.say(x, {0: gl.neg(good[x]) if x == 2 else good[x], 1: good[x]})
    assert kit.proofs.outcome == {1: True} and kit.desk.faulty == set()
    kit.say(5, {0: good[5], 1: good[5]})
    assert kit.proofs.outcome == {0: True, 1: True} and kit.desk.faulty == set()


def test_what_cannot_be_decoded_gets_no_bit_and_no_blame() -> None:
    kit = Kit(Judged(both()))
    good = verifier_shares(kit.desk)
    kit.proofs.progress()
    for x in (2, 3, 4):
        kit.say(x, {0: good[x], 1: gl.neg(good[x]) if x == 3 else good[x]})
    assert kit.proofs.waiting and kit.vote.progress() == [] and kit.vote.tick(67) == []
    effects = kit.vote.tick(68)
    assert [e.args for e in effects if isinstance(e, fx.Transact)] == [(int(Bitmap.VALID), 1)]
    assert not any(isinstance(e, fx.Blame) for e in effects) and kit.desk.faulty == set()
    kit.say(5, {0: good[5], 1: good[5]})  # too late for the vote, early enough to name
    assert kit.desk.faulty == {3}


def test_proofs_of_bad_dealers_do_not_matter() -> None:
    kit = Kit(Judged({0: Verdict(Status.INCONSISTENT), 1: Verdict(Status.OUTLIERS, (2,))}, doubted={1}))
    kit.proofs.progress()
    assert not kit.proofs.waiting
    assert [e.args for e in kit.vote.progress() if isinstance(e, fx.Transact)] == [(int(Bitmap.VALID), 0)]


def test_bad_openings_of_proofs_change_nothing() -> None:
    kit = Kit(Judged(both()))
    good = verifier_shares(kit.desk)
    kit.say(2, {0: good[2]})
    sender = kit.infos[1].address
    third = kit.infos[2].address
    for message, rule in [
        (Opening(sender, "proofs", 3, gl.to_bytes(gl.vector([1] * 2 * len(good[2])))), "opened-twice"),
        (Opening(sender, "proofs", 1, gl.to_bytes(gl.neg(good[2]))), "opened-twice"),
        (Opening(third, "proofs", 3, gl.to_bytes(good[2])), "bad-values"),
        (Opening(third, "proofs", 1, b"\xff" * 8 * len(good[2])), "bad-values"),
        (Opening(third, "proofs", 1 << 9, gl.to_bytes(good[2])), "wrong-set"),
        (Opening(kit.desk.identity.address, "proofs", 0, b""), "wrong-sender"),
    ]:
        with pytest.raises(RemoteProtocolError) as caught:
            kit.proofs.receive(message)
        assert caught.value.rule == rule
    assert kit.say(2, {0: good[2]}) == [] or kit.proofs.outcome == {}


# ---------------------------------------------------------------------------------------------- products, selection


def test_layout_of_products() -> None:
    assert layout([5, 2, REFERENCE], True, False) == [(2, REFERENCE), (5, REFERENCE)]
    assert layout([2, 5, REFERENCE], False, True) == [(2, 2), (2, 5), (5, 5)]
    assert layout([2, 5, REFERENCE], True, True) == [(2, 255), (5, 255), (2, 2), (2, 5), (5, 5)]
    assert layout([2, 5], True, False) == [] and layout([2, REFERENCE], False, False) == []


class Held:
    """Shares by index."""

    def __init__(self, shares: dict[int, Vector]) -> None:
        self.shares = shares

    def share(self, index: int) -> Vector | None:
        return self.shares.get(index)

    def has(self, index: int) -> bool:
        return index in self.shares


@dataclass
class Seeds:
    """A setup that is complete."""

    known: dict[tuple[int, ...], bytes]
    complete: bool = True

    def seeds(self) -> dict[tuple[int, ...], bytes]:
        return self.known


def committee_of_scores(updates: dict[int, Vector], **changes: Any) -> list[Scores]:
    """Five provers in phase BATCH that hold shares of these."""
    made = []
    dealt = {k: share(x, 1, range(1, 6), bytes([k]) * 32) for k, x in updates.items()}
    for point in range(1, 6):
        own, infos = desk(Phase.BATCH, len(updates) - 1, **changes)
        wallets = Wallets()
        own.identity = [wallets.new(str(i)) for i in range(5)][point - 1]
        assert infos[point - 1].address == own.identity.address
        members = [m for m in combinations(range(1, 6), 4) if point in m]
        seeds: dict[tuple[int, ...], bytes] = {subset: bytes(subset) * 8 for subset in members}
        shelf = MemoryShelf()
        held = Held({k: shares[point - 1] for k, shares in dealt.items()})
        made.append(Scores(own, ProvedPieces(own, shelf), cast(Any, held), cast(Any, Seeds(seeds)), shelf))
    return made


def small_updates(count: int) -> dict[int, Vector]:
    rng = np.random.default_rng(3)
    return {k: gl.from_signed(rng.integers(-99, 99, 40)) for k in [*range(count), REFERENCE]}


@pytest.mark.parametrize("liar", [None, 2])
@pytest.mark.parametrize(
    "changes", [{"rule": Rule.TRUST}, {"rule": Rule.OUTLIER}, {"rule": Rule.M_KRUM, "payout": Payout.CONTRIBUTION}]
)
def test_products_are_exact_whoever_lies(changes: dict[str, Any], liar: int | None) -> None:
    updates = small_updates(3)
    provers = committee_of_scores(updates, **changes)
    signed = {k: gl.to_signed(x).astype(object) for k, x in updates.items()}
    effects = [prover.progress() for prover in provers]
    for i, sent in enumerate(effects):
        assert isinstance(sent[0], fx.Remember) and sent[0].key == "valid-set"
        for effect in sent:
            if isinstance(effect, fx.Send) and isinstance(effect.message, Opening):
                message, values = effect.message, gl.from_bytes(effect.message.values)
                if i == liar:
                    values = gl.neg(values)
                other = next(p for p in provers if p.desk.identity.address == effect.to)
                other.receive(Opening(message.sender, "products", message.present, gl.to_bytes(values)))
                other.progress()
    for i, prover in enumerate(provers):
        if i == liar:  # what it sent is not what it believes to have sent
            continue
        assert prover.done
        assert prover.values == {(k, j): int(signed[k] @ signed[j]) for k, j in prover.wanted}
        assert prover.desk.faulty == ({liar + 1} if liar is not None else set())
        assert prover.shelf._items == {}  # type: ignore[attr-defined]


def test_products_wait_for_shares_until_late_in_the_phase() -> None:
    updates = small_updates(3)
    prover = committee_of_scores(updates, rule=Rule.OUTLIER)[0]
    del cast(Any, prover.rebuild).shares[1]
    assert prover.progress() == [] and prover.tick(64) == []
    sent = [e for e in prover.tick(65) if isinstance(e, fx.Send)]
    assert len(sent) == 4 and cast(Opening, sent[0].message).present == 0b101 | 1 << REFERENCE
    assert len(cast(Opening, sent[0].message).values) == 8 * 3


def test_bad_openings_of_products_change_nothing() -> None:
    prover = committee_of_scores(small_updates(3), rule=Rule.TRUST)[0]
    sender = prover.desk.address(2)
    prover.receive(Opening(sender, "products", 1 | 1 << REFERENCE, bytes(8)))
    for message, rule in [
        (Opening(sender, "products", 3 | 1 << REFERENCE, bytes(16)), "opened-twice"),
        (Opening(prover.desk.address(3), "products", 1 << 77, b""), "wrong-set"),
        (Opening(prover.desk.address(3), "products", 7 | 1 << REFERENCE, bytes(16)), "bad-values"),
        (Opening(bytes(20), "products", 0, b""), "wrong-sender"),
    ]:
        with pytest.raises(RemoteProtocolError) as caught:
            prover.receive(message)
        assert caught.value.rule == rule


def selection(updates: dict[int, list[int]], without_reference: bool = False, **changes: Any) -> Selection:
    """What is decided when the products of these vectors are known."""
    made, _ = desk(Phase.BATCH, len(updates) - 1, score_cap=0, **changes)
    if without_reference:
        made.view.sets[Bitmap.VALID] &= ~(1 << REFERENCE)
    padded = {k: gl.from_signed(np.array(x + [0] * (40 - len(x)), dtype=np.int64)) for k, x in updates.items()}
    pieces = ProvedPieces(made, MemoryShelf())
    scores = Scores(made, pieces, cast(Any, None), cast(Any, None), MemoryShelf())
    scores.values = {(k, j): gl.lift(gl.dot(padded[k], padded[j])) for k, j in scores.wanted}
    return Selection(made, pieces, cast(Any, Held(padded)), scores)


VECTORS = {0: [10, 1], 1: [11, 0], 2: [9, -1], 3: [-90, 0], REFERENCE: [5, 0]}


@pytest.mark.parametrize(
    ("changes", "accepted", "values"),
    [
        ({"rule": Rule.NONE}, [0, 1, 2, 3], ()),
        ({"rule": Rule.TRUST}, [0, 1, 2], ()),
        ({"rule": Rule.TRUST, "without_reference": True}, [0, 1, 2, 3], ()),
        ({"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}, [0, 1, 2], (50, 55, 45)),
        ({"rule": Rule.NONE, "payout": Payout.CONTRIBUTION}, [0, 1, 2, 3], (50, 55, 45, 0)),
        ({"rule": Rule.NONE, "payout": Payout.CONTRIBUTION, "without_reference": True}, [0, 1, 2, 3], ()),
        ({"rule": Rule.OUTLIER, "mu_bps": 2500}, [0, 1, 2], ()),
        ({"rule": Rule.MULTI_KRUM, "mu_bps": 2500, "payout": Payout.CONTRIBUTION}, [0, 1, 2], (50, 55, 45)),
        ({"rule": Rule.OUTLIER, "mu_bps": 5000}, [], ()),
    ],
    ids=str,
)
def test_who_is_accepted_with_which_score(changes: dict[str, Any], accepted: list[int], values: tuple[int]) -> None:
    made = selection(VECTORS, **changes)
    compares = changes["rule"] in (Rule.OUTLIER, Rule.MULTI_KRUM)
    copies = 3 if compares else 1  # the first three point the same way
    valid, passed, flat, digest = made.statement()
    assert made.done and made.accepted() == accepted and passed == bitmap(accepted)
    assert valid == made.desk.view.sets[Bitmap.VALID] and len(digest) == 32
    assert flat == tuple(score + (copies << 128) for score in values)
    if accepted:
        total, norms = made.output(accepted) or (gl.zeros(0), ())
        assert norms == () and gl.to_signed(total)[0] == sum(VECTORS[k][0] for k in accepted)
        assert made.output(accepted[:1]) is not None and np.array_equal(made.output(accepted)[0], total)  # type: ignore
    assert made.output([]) is None


def test_a_batch_is_signed_only_with_shares_of_all_accepted() -> None:
    """n - t signatures mean that n - t provers can serve the sum."""
    made = selection(VECTORS, rule=Rule.TRUST)
    shares = cast(Held, made.rebuild).shares
    del shares[3]
    assert made.accepted() == [0, 1, 2] and made.done  # 3 is not accepted
    del shares[1]
    assert not made.done
    nothing_opened = selection(VECTORS, rule=Rule.NONE)
    assert nothing_opened.done
    del cast(Held, nothing_opened.rebuild).shares[3]
    assert not nothing_opened.done


def test_the_digest_binds_what_was_decoded() -> None:
    one, other = selection(VECTORS, rule=Rule.TRUST), selection({**VECTORS, 0: [10, 2]}, rule=Rule.TRUST)
    assert one.statement() == other.statement()  # the second coordinate is not the reference's
    other.scores.values[0, REFERENCE] += 1
    assert one.statement()[:3] == other.statement()[:3] and one.statement()[3] != other.statement()[3]


def test_distance_rules_take_64_data_owners() -> None:
    rng = np.random.default_rng(5)
    updates = {k: rng.integers(-5, 5, 40).tolist() for k in [*range(64), REFERENCE]}
    updates[63] = [1000] * 40
    made = selection(updates, rule=Rule.OUTLIER, mu_bps=1000)
    assert made.accepted() == list(range(63))
    assert rules.corrupted(64, 1000) == 6
