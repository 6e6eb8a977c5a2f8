"""A prover of certificate zk: uploads, what is public of them, records, complaints; what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from protocols.bn254 import fr, g1
from protocols.bn254.field import R
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions import machines, zk_pieces
from protocols.sessions.params import REFERENCE, Bitmap, Phase
from protocols.sessions.prover_rebuild import ANSWERS
from protocols.sessions.shelf import MemoryShelf
from protocols.sessions.zk_pieces import ZkPieces
from protocols.sessions.zk_prover import ZkProverMachine
from protocols.wire import messages as msg
from protocols.wire.context import Context
from tests.simulation import proofs
from tests.simulation.zk_attacks import quick_pairings
from tests.unit.zk_committee import (
    CONTEXT,
    DATA_OWNERS,
    GRAM,
    OWNER,
    PROVERS,
    SCORE,
    STRANGER,
    Committee,
    made,
    params,
    sealed,
    upload,
)
from tests.unit.zk_committee import machine as fresh

OTHER = Context(31337, b"\xcc" * 20, 8)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_pairings(monkeypatch)


def at_upload(i: int = 3, shelf: MemoryShelf | None = None, phase: Phase = Phase.UPLOAD) -> ZkProverMachine:
    """A prover in phase UPLOAD (or REGISTER), to which nobody has sent anything."""
    committee = Committee(SCORE, {k: set(range(5)) for k in (0, 1, 2, REFERENCE)})
    alone = fresh(i, SCORE, shelf)
    for kind, value in committee.inputs[i]:
        late = isinstance(value, ev.ReferenceCommitted | ev.UploadCommitted)
        beyond = isinstance(value, ev.PhaseChanged) and value.phase > phase
        if kind == "chain" and not late and not beyond:
            alone.chain(value)
    return alone


def rule_of(target: ZkProverMachine, message: msg.Message) -> str:
    return Committee.rule_of(_One(target), 0, message)  # type: ignore[arg-type]


class _One:
    def __init__(self, target: ZkProverMachine) -> None:
        self.machines = [target]


def test_the_certificate_chooses_the_machine() -> None:
    assert type(machines.prover(GRAM, CONTEXT, PROVERS[0], bytes(32), None, proofs.key_of)) is ZkProverMachine


# ---------------------------------------------------------------------------------------------------------- uploads


@pytest.mark.parametrize("i", [0, 3])
def test_an_upload_is_answered_by_a_receipt_and_its_share_lies_on_the_shelf(i: int) -> None:
    """At point 1 it travels as a seed."""
    shelf = MemoryShelf()
    alone, message = at_upload(i, shelf), upload(SCORE, 1, i)
    (reply,) = alone.receive(message)
    assert isinstance(reply, fx.Reply) and isinstance(reply.message, msg.Receipt)
    assert alone.receive(message) == [reply] and alone.status()["pieces"] == [1]
    piece = alone._uploads.held[1]
    assert piece.share.shape == (46, 4) and not piece.share.flags.writeable and set(shelf._items) == {"share-1"}
    assert len(piece.head) == (64 if i == 0 else 32)
    published = piece.opening(PROVERS[i].address, 1)
    assert published.blind + published.piece == made(SCORE, 1).plain(i + 1)
    alone.chain(ev.UploadCommitted(7, 6, 1, message.root))
    assert np.array_equal(alone._uploads.pieces.published(published, i + 1), piece.share)


def public_of(change: Callable[[bytes], bytes]) -> msg.Upload:
    """The record is whole, the rest of the public part is not."""
    whole = made(SCORE, 0)
    return sealed(0, 3, whole.root, change(whole.public), whole.plain(4))


def plain_of(change: Callable[[bytes], bytes]) -> msg.Upload:
    whole = made(SCORE, 0)
    return sealed(0, 3, whole.root, whole.public, change(whole.plain(4)))


TOO_LARGE = R.to_bytes(32, "big")
BAD: dict[str, Callable[[], msg.Upload]] = {
    "for another prover": lambda: upload(SCORE, 0, 2),
    "for a prover with a seed": lambda: sealed(
        0, 3, made(SCORE, 0).root, made(SCORE, 0).public, made(SCORE, 0).plain(1)
    ),
    "of another session": lambda: upload(SCORE, 0, 3, 0, OTHER),
    "of another data owner": lambda: replace(upload(SCORE, 1, 3), sender=DATA_OWNERS[0].address),
    "no seal": lambda: replace(upload(SCORE, 0, 3), sealed=bytes(100)),
    "a path": lambda: replace(upload(SCORE, 0, 3), proof=(bytes(32),)),
    "short": lambda: plain_of(lambda p: p[:-32]),
    "long": lambda: plain_of(lambda p: p + bytes(32)),
    "empty": lambda: plain_of(lambda p: b""),
    "not canonical": lambda: plain_of(lambda p: p[:32] + TOO_LARGE + p[64:]),
    "a flipped bit": lambda: plain_of(lambda p: p[:-1] + bytes([p[-1] ^ 1])),
    "another blind": lambda: plain_of(lambda p: bytes(32) + p[32:]),
    "no public part": lambda: public_of(lambda d: b""),
    "a longer public part": lambda: public_of(lambda d: d + bytes(32)),
    "another record": lambda: public_of(lambda d: d[:-1] + bytes([d[-1] ^ 1])),
    "commitments off the curve": lambda: public_of(lambda d: d[:896] + bytes(63) + b"\x05" + d[960:]),
    "another commitment": lambda: public_of(lambda d: d[:896] + g1.to_bytes(g1.generator()) + d[960:]),
    "leaves in another order": lambda: public_of(lambda d: d[:960] + d[992:1024] + d[960:992] + d[1024:]),
    "a record of the other kind": lambda: upload(GRAM, 0, 3),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_piece_is_refused_and_leaves_no_trace(name: str) -> None:
    shelf = MemoryShelf()
    alone = at_upload(shelf=shelf)
    assert rule_of(alone, BAD[name]()) == "bad-piece"
    assert alone.status()["pieces"] == [] and shelf._items == {}
    assert len(alone.receive(upload(SCORE, 0, 3))) == 1  # the good one is still taken


def test_no_more_than_three_bad_pieces_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be a seed of 32 bytes that costs a whole share; others' are not affected, nor is the root on chain."""
    alone, opened = at_upload(), list[bytes]()
    honest = zk_pieces.open_upload
    monkeypatch.setattr(zk_pieces, "open_upload", lambda *rest: opened.append(rest[-1]) or honest(*rest))
    bad = plain_of(lambda p: p[:-1] + bytes([p[-1] ^ 1]))
    assert [rule_of(alone, bad) for _ in range(5)] == ["bad-piece"] * 5 and len(opened) == 3
    assert rule_of(alone, upload(SCORE, 0, 3)) == "bad-piece"
    assert len(alone.receive(upload(SCORE, 1, 3))) == 1
    alone.chain(ev.UploadCommitted(7, 6, 0, made(SCORE, 0).root))
    assert len(alone.receive(upload(SCORE, 0, 3))) == 1


def test_who_may_upload_when() -> None:
    good, reference = upload(SCORE, 0, 3), upload(SCORE, REFERENCE, 3)
    assert rule_of(at_upload(phase=Phase.REGISTER), good) == "too-early"
    assert rule_of(at_upload(), replace(good, sender=STRANGER.address)) == "wrong-sender"
    assert rule_of(at_upload(), replace(good, enc_key=bytes(32))) == "wrong-keys"
    assert rule_of(at_upload(), reference) == "late"
    assert len(at_upload(phase=Phase.REGISTER).receive(reference)) == 1
    late = Committee(SCORE, {0: {3}}).to_valid().machines[3]
    assert rule_of(late, good) == "late"


def test_another_root_on_chain_makes_a_piece_worthless() -> None:
    shelf = MemoryShelf()
    alone = at_upload(shelf=shelf)
    alone.receive(upload(SCORE, 0, 3))
    assert rule_of(alone, upload(SCORE, 0, 3, 1)) == "roots-differ"
    alone.chain(ev.UploadCommitted(7, 6, 0, bytes(32)))
    assert alone.status()["pieces"] == [] and shelf._items == {}
    assert rule_of(alone, upload(SCORE, 0, 3)) == "wrong-root"


# ---------------------------------------------------------------------------------------- records and complaints


def test_all_vote_as_soon_as_all_have_spoken() -> None:
    committee = Committee(SCORE).to_valid()
    assert [vote_of(committee, i) for i in range(5)] == [committee.everybody] * 5
    assert all(m.status()["proved"] == [0, 1, 2, REFERENCE] for m in committee.machines)
    committee.assert_replays()


def test_who_got_no_upload_asks_for_the_public_part() -> None:
    committee = Committee(SCORE, {1: {4}, REFERENCE: {4}}).to_valid()
    assert {m.index for m in committee.sent(4, msg.PublicRequest)} == {1, REFERENCE}
    assert vote_of(committee) == committee.everybody
    asked = msg.PublicRequest(PROVERS[4].address, 1)
    answers = [committee.hand(0, asked) for _ in range(ANSWERS - 1)]
    assert all(a == answers[0] for a in answers) and committee.rule_of(0, asked) == "too-many"
    assert committee.rule_of(0, replace(asked, sender=DATA_OWNERS[0].address)) == "wrong-sender"
    assert committee.rule_of(0, replace(asked, index=9)) == "not-in-set"
    committee.assert_replays()


def test_without_the_public_part_there_is_no_vote_for_it() -> None:
    committee = Committee(SCORE, {1: {4}})
    committee.passing = lambda to, m: None if isinstance(m, msg.PublicPart) else m
    committee.to_valid()
    assert committee.rule_of(4, msg.PublicRequest(PROVERS[0].address, 1)) == "not-ready"
    while vote_of(committee) is None:
        committee.tick()
    assert vote_of(committee) == committee.everybody & ~2 and committee.block == committee.machines[4].view.deadline - 2
    part = msg.PublicPart(PROVERS[0].address, 1, made(SCORE, 1).public)
    for wrong in (made(SCORE, 1, 1).public, part.public[:-1], b"", part.public[:-1] + bytes([part.public[-1] ^ 1])):
        assert committee.rule_of(4, replace(part, public=wrong)) == "bad-relay"
    assert committee.rule_of(4, replace(part, index=0)) == "unasked"
    assert committee.rule_of(4, replace(part, sender=STRANGER.address)) == "wrong-sender"
    committee.hand(4, part)
    committee.hand(4, replace(part, sender=PROVERS[1].address, public=b""))  # not looked at any more
    assert committee.machines[4].status()["proved"] == [0, 1, 2, REFERENCE]


def test_a_record_that_proves_nothing_is_refused_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of another bound: everything about the delivery is right."""
    import tests.unit.zk_committee as kit

    honest = kit.made
    other = params(rule=SCORE.rule, bound=SCORE.bound - 1)
    assert proofs.key_of(other).params == proofs.key_of(SCORE).params
    key, sess = proofs.key_of(SCORE), kit.session_of(CONTEXT, SCORE)
    address = int.from_bytes(DATA_OWNERS[1].address, "big")
    false = kit.make_upload(key, sess, address, kit.update(1), bytes(32), 5, 1, (SCORE.bound - 1) ** 2)
    monkeypatch.setattr(kit, "made", lambda p, k, *rest: false if k == 1 else honest(p, k, *rest))
    committee = Committee(SCORE).to_valid()
    assert [vote_of(committee, i) for i in range(5)] == [committee.everybody & ~2] * 5
    assert all(m.status()["refused"] == [1] for m in committee.machines)
    blames = [e for effects in committee.effects for e in effects if isinstance(e, fx.Blame)]
    assert blames == [fx.Blame(DATA_OWNERS[1].address, "proof-failed", "range-identity")] * 5


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (msg.PieceComplaint(PROVERS[1].address, 0), "too-early"),
        (msg.PublicRequest(PROVERS[1].address, 0), "too-early"),
        (msg.PublicPart(PROVERS[1].address, 0, b""), "unasked"),
        (msg.ShareOpening(PROVERS[1].address, 0, bytes(32), (), b"", b""), "too-early"),
        (msg.Opening(PROVERS[1].address, "zk-S", 0, b""), "too-early"),
        (msg.Opening(PROVERS[1].address, "products", 0, b""), "unknown-label"),
        (msg.Opening(PROVERS[1].address, "zk-", 0, b""), "unknown-label"),
        (msg.Opening(DATA_OWNERS[1].address, "zk-S", 0, b""), "wrong-sender"),
        (msg.PieceComplaint(DATA_OWNERS[1].address, 0), "wrong-sender"),
        (msg.PieceComplaint(PROVERS[3].address, 0), "wrong-sender"),
        (msg.BatchSignature(PROVERS[1].address, 0, 0, (), bytes(32), bytes(65)), "unexpected-type"),
        (msg.Unmask(PROVERS[1].address, 0, (), (), (), (), ()), "unexpected-type"),
        (msg.RebuildRequest(PROVERS[1].address, 0), "too-early"),
        (msg.RebuildShare(PROVERS[1].address, 0, b""), "unasked"),
        (msg.OutputRequest(DATA_OWNERS[1].address), "wrong-sender"),
        (msg.OutputRequest(OWNER.address), "too-early"),
    ],
    ids=str,
)
def test_what_has_no_place_here_is_refused(message: msg.Message, rule: str) -> None:
    assert rule_of(at_upload(), message) == rule


@pytest.mark.parametrize(
    "message",
    [
        msg.PieceComplaint(PROVERS[1].address, 1), msg.PublicRequest(PROVERS[1].address, 0),
        msg.ShareOpening(PROVERS[1].address, 0, bytes(32), (), b"", b""),
        msg.Opening(PROVERS[1].address, "zk-S", 0, bytes(64)), msg.RebuildRequest(PROVERS[1].address, 0),
        msg.OutputRequest(OWNER.address), upload(SCORE, 0, 3),
    ],
    ids=lambda m: type(m).__name__,
)  # fmt: skip
def test_after_an_early_end_everything_is_refused(message: msg.Message) -> None:
    alone = at_upload()
    alone.chain(ev.SessionAborted(7, 9, "too few data owners"))
    alone.chain(ev.PhaseChanged(7, 9, Phase.ABORTED, 0))
    assert rule_of(alone, message) in ("not-in-set", "unknown-label", "no-output", "late")


def test_whoever_is_not_drawn_takes_no_part() -> None:
    alone = fresh(0, SCORE, identity=STRANGER)
    alone.chain(ev.SessionCreated(7, 1, SCORE))
    assert rule_of(alone, upload(SCORE, 0, 3)) == "not-ready" and alone.status()["point"] is None


def in_doubt(committee: Committee, *complaints: int) -> Committee:
    """Phase VALID with these complaints of the first provers; nobody else is heard."""
    committee.passing = lambda to, m: None if isinstance(m, msg.PieceComplaint) else m
    committee.to_valid()
    for i, bad in enumerate(complaints):
        committee.hand(4, msg.PieceComplaint(PROVERS[i].address, bad))
    return committee


def vote_of(committee: Committee, i: int = 4) -> int | None:
    votes = [args[1] for at, args in committee.calls("postBitmap") if at == i and args[0] == Bitmap.VALID]
    return votes[0] if votes else None  # type: ignore[return-value]


def test_complaints_of_more_than_t_put_out() -> None:
    committee = in_doubt(Committee(GRAM), 0b10, 0b10, 0, 0)
    assert vote_of(committee) == 0b101
    assert fx.Blame(DATA_OWNERS[1].address, "inconsistent-sharing", "complaints") in committee.effects[4]


@pytest.mark.parametrize("bad", [0b10, 0])
def test_a_complaint_is_waited_for_until_half(bad: int) -> None:
    """As one that says nothing is."""
    committee = in_doubt(Committee(GRAM), bad, 0)
    began, deadline = committee.machines[4].view.phase_block, committee.machines[4].view.deadline
    while vote_of(committee) is None:
        committee.tick()
    assert vote_of(committee) == 0b111 and committee.block == began + (deadline - 2 - began) // 2


def test_nobody_is_waited_for_who_has_said_and_shown_all() -> None:
    """Four have spoken, one of them of a piece that is not shown; it fits, and so nothing is open."""
    committee = in_doubt(Committee(GRAM), 0b10, 0, 0, 0)
    assert vote_of(committee) is None
    committee.hand(4, committee.machines[0]._uploads.held[1].opening(PROVERS[0].address, 1))
    assert vote_of(committee) == 0b111


def test_complaints_that_are_none_are_refused() -> None:
    committee = in_doubt(Committee(GRAM), 0b10)
    first = msg.PieceComplaint(PROVERS[0].address, 0b10)
    assert committee.hand(4, first) == []
    assert committee.rule_of(4, replace(first, bad=0b100)) == "opened-twice"
    assert committee.rule_of(4, replace(first, bad=1 << 9)) == "not-in-set"
    over = Committee(GRAM).to_batch()
    assert over.hand(4, first) == []


def test_what_is_shown_after_half_counts_until_the_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that nobody hands out keeps one waiting until the cut."""
    badly_dealt(monkeypatch, 4)
    committee = Committee(GRAM, {2: {4}})
    held = list[msg.ShareOpening]()

    def passing(to: bytes, message: msg.Message) -> msg.Message | None:
        if isinstance(message, msg.ShareOpening) and to == PROVERS[4].address:
            held.append(message)
            return None
        return None if isinstance(message, msg.PublicPart) else message

    committee.passing = passing
    committee.to_valid()
    while not committee.machines[4]._complaints.settled:
        committee.tick()
    assert vote_of(committee) is None and not committee.machines[4]._complaints.out(1)
    committee.hand(4, held[0])
    while vote_of(committee) is None:
        committee.tick()
    assert vote_of(committee) == 0b1 and committee.block == committee.machines[4].view.deadline - 2


def test_published_pieces_convict_their_sender() -> None:
    """One that fits, one that is not the committed one; who was convicted is not heard again."""
    for altered in (False, True):
        committee = in_doubt(Committee(GRAM), 0b10)
        opening = committee.machines[0]._uploads.held[1].opening(PROVERS[0].address, 1)
        if altered:
            opening = replace(opening, piece=bytes(32))
        assert committee.rule_of(4, replace(opening, index=7)) == "not-in-set"
        assert committee.rule_of(4, replace(opening, root=bytes(32))) == "wrong-root"
        assert committee.hand(4, opening)[0] == fx.Blame(PROVERS[0].address, "wrong-opening", "complaint")
        again = committee.machines[0]._uploads.held[2].opening(PROVERS[0].address, 2)
        assert committee.hand(4, opening) == committee.hand(4, again) == []
        assert committee.machines[4].status()["faulty"] == [PROVERS[0].address.hex()]
        assert committee.machines[4].status()["convicted"] == []


def test_a_piece_of_nobody_that_complained_is_judged_as_well() -> None:
    committee = in_doubt(Committee(GRAM))
    opening = committee.machines[2]._uploads.held[1].opening(PROVERS[2].address, 1)
    assert [type(e) for e in committee.hand(4, replace(opening, public=b""))] == [fx.Blame]
    over = Committee(GRAM).to_batch()
    assert over.hand(4, opening) == []


def off_by_one(share: bytes) -> bytes:
    return fr.to_bytes(fr.shift(fr.from_bytes(share), 1))


def badly_dealt(monkeypatch: pytest.MonkeyPatch, *points: int) -> None:
    """Data owner 1 commits to other shares for these points."""
    import tests.unit.zk_committee as kit
    from tests.simulation.zk_attacks import Task, bad_shares

    honest, key, sess = kit.made, proofs.key_of(GRAM), kit.session_of(CONTEXT, GRAM)
    address = int.from_bytes(DATA_OWNERS[1].address, "big")
    forged: Any = bad_shares(*points)(Task(key, sess, address, kit.update(1), bytes(32), 5, 1, GRAM.bound**2))
    whole = type("Made", (), {
        "root": forged.root, "public": forged.public, "plain": lambda self, point: forged.pieces[point - 1],
    })()  # fmt: skip
    monkeypatch.setattr(kit, "made", lambda p, k, *rest: whole if k == 1 else honest(p, k, *rest))


@pytest.mark.parametrize("point", [1, 5])
def test_a_bad_share_is_published_and_convicts_its_dealer(point: int, monkeypatch: pytest.MonkeyPatch) -> None:
    badly_dealt(monkeypatch, point)
    committee = Committee(GRAM).to_valid()
    assert [m.bad for m in committee.sent(point - 1, msg.PieceComplaint)] == [0b10] * 4
    assert len(committee.sent(point - 1, msg.ShareOpening)) == 4
    assert [vote_of(committee, i) for i in range(5)] == [0b101] * 5
    assert all(m.status()["convicted"] == [1] and m.status()["faulty"] == [] for m in committee.machines)
    committee.assert_replays()


def test_bad_shares_for_two_are_published_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have been told otherwise by liars. Of a data owner that is convicted nothing more is judged."""
    badly_dealt(monkeypatch, 2, 4)
    judged = list[tuple[int, int]]()
    convicts = ZkPieces.convicts

    def counting(self: ZkPieces, message: msg.ShareOpening, point: int) -> bool:
        judged.append((self.desk.point, point))
        return convicts(self, message, point)

    monkeypatch.setattr(ZkPieces, "convicts", counting)
    committee = Committee(GRAM).to_valid()
    assert [vote_of(committee, i) for i in range(5)] == [0b101] * 5
    assert [len(committee.sent(i, msg.ShareOpening)) for i in range(5)] == [0, 4, 0, 4, 0]
    assert sorted(by for by, _ in judged) == [1, 3, 5]
