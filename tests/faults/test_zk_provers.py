"""Sessions of certificate zk: one prover crashes or lies, in any opening; all is right and the liar is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from omninode.reproduce.stage.node import Effects, Node, Twist
from protocols.bn254 import fr, g1
from protocols.sessions import effects as fx
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule
from protocols.wire import messages as msg
from tests.simulation import zk_attacks as attacks
from tests.simulation.attacks import fuzz, mute_from, rewrite, swallow, without_calls
from tests.simulation.session import Session, proved

POINTS = ("zk-S", "zk-q", "zk-W")
LABELS = ("zk-values", "zk-S", "zk-q", "zk-A", "zk-E", "zk-W")
GRAM: dict[str, object] = {"rule": Rule.MULTI_KRUM}
SCORE: dict[str, object] = {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}
NONE: dict[str, object] = {"rule": Rule.NONE}
STEPS = [p for p in Phase if p in (Phase.REGISTER, Phase.UPLOAD, Phase.DELIVERED) or Phase.VALID <= p <= Phase.OUTPUT]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks.quick_pairings(monkeypatch)


def drawn(seed: int, **changes: object) -> Session:
    """A session whose committee is known, and nothing more."""
    return proved(seed, **changes).run_until(Phase.REGISTER)


def others_of(data: bytes, points: bool) -> bytes:
    """What a liar opens instead: everything off by one."""
    if points:
        table = g1.from_bytes(data)
        return g1.to_bytes(g1.add(table, np.concatenate([g1.generator()] * len(table))))
    return fr.to_bytes(fr.shift(fr.from_bytes(data), 1))


def lie_in(*labels: str) -> Twist:
    """Open something else under these labels."""

    def change(node: Node, e: fx.Send) -> fx.Send:
        message = e.message
        if not isinstance(message, msg.Opening) or message.label not in labels:
            return e
        return replace(e, message=replace(message, values=others_of(message.values, message.label in POINTS)))

    return rewrite(change)


def lost(session: Session, node: Node, *seats: int) -> None:
    """The pieces of this uploader never reach these provers."""
    addresses = {session.committee()[seat].address for seat in seats}
    node.twist = rewrite(lambda _, e: None if isinstance(e.message, msg.Upload) and e.to in addresses else e)


def blamed(session: Session, but: Node | None = None) -> set[tuple[bytes, str]]:
    return {(b.peer, b.rule) for p in session.committee() if p is not but for b in p.blames}


def sent(session: Session, kind: type[msg.Message]) -> list[msg.Message]:
    effects = [e for p in session.committee() for e in p.effects]
    return [e.message for e in effects if isinstance(e, fx.Send | fx.Reply) and isinstance(e.message, kind)]


def noted(node: Node, name: str) -> list[object]:
    """The first field of these notes."""
    return [n.fields[0][1] for n in node.notes if n.name == name]


# ---------------------------------------------------------------------------------------------------------- honest


@pytest.mark.parametrize("changes", [GRAM, SCORE, NONE], ids=str)
def test_provers_of_a_quiet_session(changes: dict[str, object]) -> None:
    """Nothing is published, nothing waited for; one transaction; a proof that says what the status says."""
    session = drawn(30, **changes).run_until(Phase.VALID)
    began = session.market.block
    session.run_until(Phase.BATCH)
    assert session.market.block <= began + 3
    session.run()
    assert session.assert_exact().count == 6 and blamed(session) == set()
    assert (
        sent(session, msg.ShareOpening) == sent(session, msg.RebuildRequest) == sent(session, msg.PublicRequest) == []
    )
    posts = [e for p in session.committee() for e in p.effects if isinstance(e, fx.Transact) and e.call == "postProof"]
    assert len(posts) == 1
    status = [p.machine.status() for p in session.committee()]
    assert all(s["accepted"] == session.accepted() and s["signed"] for s in status)
    assert len({s["digest"] for s in status}) == 1
    assert all(p.machine._proof._prover is None for p in session.committee())  # type: ignore[attr-defined]


def test_openings_say_what_the_integers_say() -> None:
    session = drawn(31, **SCORE).run()
    dos, values, proof = session.market.proof_of  # type: ignore[attr-defined]
    order = sorted(range(6), key=session.market.owners.__getitem__)
    expected = session.products()
    assert [int.from_bytes(values[i : i + 16], "big", signed=True) for i in range(0, len(values), 16)] == [
        expected[k] for k in order
    ]
    assert len(dos) == 7 * 896 and len(proof) == 448


def test_a_session_without_reference_needs_no_openings() -> None:
    """The reference never arrives: trust is none, everybody gets the same."""
    session = drawn(32, **SCORE)
    lost(session, session.owner, 0, 1, 2, 3, 4)
    session.run()
    assert session.assert_exact().count == 6 and len(set(session.payouts.values())) == 1
    assert not [m for m in sent(session, msg.Opening)]


def test_too_few_valid_data_owners_end_the_session_without_a_proof() -> None:
    session = drawn(33, **GRAM)
    for node in session.owners[:4]:
        node.twist = without_calls("commitUpload")
    session.run()
    assert session.market.phase == Phase.ABORTED and session.result is None
    assert not sent(session, msg.Opening) and session.market.slashed == set()


def test_two_of_nine() -> None:
    session = drawn(34, committee=9, threshold=2, **GRAM)
    session.committee()[1].twist = lie_in(*LABELS)
    session.committee()[7].twist = lie_in("zk-q")
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named == 1 << 1 | 1 << 7


# ------------------------------------------------------------------------------------------------------------- lies


@pytest.mark.parametrize("changes", [GRAM, SCORE], ids=["gram", "score"])
@pytest.mark.parametrize("label", LABELS)
def test_a_lie_is_corrected_named_and_slashed(label: str, changes: dict[str, object]) -> None:
    session, honest = (drawn(40, **changes) for _ in range(2))
    honest.run()
    session.committee()[2].twist = lie_in(label)
    session.run(after=6)
    session.assert_exact()
    assert session.market.proof_of == honest.market.proof_of  # type: ignore[attr-defined]
    assert session.payouts == honest.payouts and session.market.named == 1 << 2 and session.market.slashed == {2}
    liar = session.committee()[2]
    assert blamed(session, liar) == {(liar.address, "wrong-opening")}


def test_a_lie_for_one_pair_of_eyes_names_nobody() -> None:
    session = drawn(41, **GRAM)
    liar, victim, lie = session.committee()[0], session.committee()[3], lie_in(*LABELS)
    liar.twist = lambda node, effects: [
        changed for e in effects for changed in (lie(node, [e]) if getattr(e, "to", b"") == victim.address else [e])
    ]
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named == 0
    assert blamed(session, liar) == {(liar.address, "wrong-opening")}


def test_who_speaks_last_is_named_all_the_same() -> None:
    """All its messages come when the others have decoded."""
    session = drawn(42, **GRAM)
    liar, lie, held = session.committee()[1], lie_in("zk-E"), list[fx.Effect]()

    def keep(node: Node, effects: Effects) -> Effects:
        out = lie(node, effects)
        late = [e for e in out if isinstance(e, fx.Send) and isinstance(e.message, msg.Opening)]
        held.extend(late)
        return [e for e in out if e not in late]

    def release(session: Session) -> None:
        if session.committee()[0].machine.status()["signed"] and held:
            liar.twist = lambda node, effects: effects
            session.network.act(liar, [held.pop(0) for _ in list(held)])

    liar.twist, session.on_block = keep, release
    session.run(after=6)
    assert session.assert_exact().count == 6 and not held
    assert session.market.named == 1 << 1


@pytest.mark.parametrize("label", LABELS)
def test_openings_that_come_blocks_later(label: str) -> None:
    """Nobody is left out, or named, for that."""
    session = drawn(46, settle_blocks=40, **GRAM)
    held: list[tuple[int, Node, fx.Effect]] = []

    def hold(node: Node, effects: Effects) -> Effects:
        late = [e for e in effects if isinstance(e, fx.Send) and isinstance(e.message, msg.Opening)]
        late = [e for e in late if e.message.label == label]  # type: ignore[attr-defined]
        held.extend((session.market.block + 4, node, e) for e in late)
        return [e for e in effects if e not in late]

    def release(session: Session) -> None:
        for entry in [entry for entry in held if entry[0] <= session.market.block]:
            held.remove(entry)
            session.network.act(entry[1], [entry[2]])

    session.on_block = release
    for node in session.provers:
        node.twist = hold
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0 and blamed(session) == set()


@pytest.mark.parametrize("seats", [(0, 1), (0, 3)])
def test_more_than_t_liars_give_no_batch(seats: tuple[int, int]) -> None:
    """Nothing can be decoded; or something wrong, if lies and the truth of two others are on one polynomial."""
    session = drawn(43, **GRAM)
    for seat in seats:
        session.committee()[seat].twist = lie_in("zk-q")
    session.run()
    assert session.market.phase == Phase.ABORTED and session.result is None and session.market.named == 0
    honest = [p for i, p in enumerate(session.committee()) if i not in seats]
    assert not any(p.machine.status()["signed"] for p in honest)


def test_wrong_lengths_sets_and_numbers_are_refused() -> None:
    session = drawn(44, **GRAM)
    liar, committee = session.committee()[3], session.committee()

    def change(node: Node, e: fx.Send) -> fx.Send:
        if not isinstance(e.message, msg.Opening):
            return e
        values = e.message.values
        bent = [
            replace(e.message, values=values[:-32]), replace(e.message, values=values + bytes(64)),
            replace(e.message, present=e.message.present ^ 1), e.message,
            replace(e.message, values=b"\xff" * len(values)),
        ]  # fmt: skip
        return replace(e, message=bent[[p.address for p in committee].index(e.to)])

    liar.twist = rewrite(change)
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0
    assert {rule for rule, kind in liar.refused if kind == "opening"} == {"bad-values", "wrong-set"}


def test_the_next_in_turn_posts_when_the_first_does_not() -> None:
    session = drawn(45, **SCORE)
    first = session.committee()[session.context.session % 5]
    first.twist = without_calls("postProof")
    session.run()
    assert session.assert_exact().count == 6
    posted = [sender for _, sender, call, good in session.market.log if call == "postProof" and good]
    assert len(posted) == 1 and posted[0] != first.address


@pytest.mark.parametrize("seed", range(5))
def test_a_prover_that_sends_garbage(seed: int) -> None:
    session = drawn(500 + seed, **(GRAM, SCORE, NONE)[seed % 3])
    session.committee()[seed].twist = fuzz(seed, 0.3)
    session.run(after=6)
    assert session.assert_exact().count >= 4
    assert not session.market.named & ~(1 << seed) and session.market.slashed <= {seed}
    assert {peer for peer, _ in blamed(session, session.committee()[seed])} <= {session.committee()[seed].address}


# ---------------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
@pytest.mark.parametrize("changes", [GRAM, SCORE], ids=["gram", "score"])
def test_a_prover_that_dies_at_any_step_changes_nothing(phase: Phase, changes: dict[str, object]) -> None:
    session = proved(int(phase), **changes).run_until(phase)
    session.network.kill(session.committee()[phase % 5])
    session.run()
    assert session.assert_exact().count >= 4
    assert session.market.slashed <= {phase % 5} and session.market.named == 0


@pytest.mark.parametrize("phase", [Phase.VALID, Phase.BATCH], ids=lambda p: p.name)
def test_a_prover_that_falls_silent_changes_nothing(phase: Phase) -> None:
    session = drawn(200 + phase, **GRAM)
    session.committee()[2].twist = mute_from(phase)
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


@pytest.mark.parametrize("changes", [GRAM, SCORE], ids=["gram", "score"])
def test_a_crash_at_every_block_is_replayed_to_the_byte(changes: dict[str, object]) -> None:
    """Another prover each time; ``restart`` asserts that it asks for the same again. All messages are sent twice."""
    session, seat = proved(50, loss=0.1, **changes), 0
    session.run_until(Phase.REGISTER)

    def crash(session: Session) -> None:
        nonlocal seat
        seat = (seat + 1) % 5
        session.network.kill(session.committee()[seat])
        session.network.restart(session.committee()[seat])

    session.on_block = crash
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0 and blamed(session) == set()
    attempts = {p.safe["zk-attempt"] for p in session.committee()}
    assert len(attempts) == 1


def test_a_prover_that_was_down_for_the_batch_serves_the_output() -> None:
    session = drawn(51, **GRAM).run_until(Phase.BATCH)
    sleeper, first = session.committee()[4], session.committee()[0]
    session.network.kill(sleeper)
    session.run_until(Phase.OUTPUT)
    session.network.restart(sleeper)
    first.twist = swallow(msg.OutputShare)
    session.run()
    assert session.assert_exact().count == 6


# --------------------------------------------------------------------------------------- lost pieces and rebuilding


@pytest.mark.parametrize("changes", [GRAM, SCORE, NONE], ids=str)
def test_a_prover_without_pieces_asks_and_rebuilds(changes: dict[str, object]) -> None:
    """It votes for records that it got from others, and opens with shares that it rebuilt."""
    session = drawn(60, **changes)
    lost(session, session.owners[0], 3)
    lost(session, session.owners[4], 3)
    session.run()
    victim = session.committee()[3]
    assert session.assert_exact().count >= 4 and session.market.named == 0 and blamed(session) == set()
    missing = {session.index_of(session.owners[k]) for k in (0, 4)}
    assert {m.index for m in sent(session, msg.PublicRequest)} == missing  # type: ignore[attr-defined]
    assert set(noted(victim, "share_rebuilt")) == missing
    assert session.market.posted[Bitmap.VALID][3] == session.market.sets[Bitmap.VALID]
    opened = {m.label for m in sent(session, msg.Opening) if m.sender == victim.address}  # type: ignore[attr-defined]
    assert opened == (set() if changes is NONE else set(LABELS))


def test_the_reference_is_rebuilt_too() -> None:
    session = drawn(61, **SCORE)
    lost(session, session.owner, 2)
    session.run()
    assert session.assert_exact().count >= 4
    assert noted(session.committee()[2], "share_rebuilt") == [REFERENCE]


def test_a_lie_in_rebuilding_is_corrected_and_blamed() -> None:
    session = drawn(62, **GRAM)
    lost(session, session.owners[2], 1)
    victim, liar = session.committee()[1], session.committee()[4]

    def lie(node: Node, effects: Effects) -> Effects:
        return [
            replace(e, message=replace(e.message, values=others_of(e.message.values, False)))
            if isinstance(e, fx.Reply) and isinstance(e.message, msg.RebuildShare) else e
            for e in effects
        ]  # fmt: skip

    liar.twist = lie
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0
    assert blamed(session) <= {(liar.address, "wrong-rebuild-share")} and noted(victim, "share_rebuilt") == [
        session.index_of(session.owners[2])
    ]


def test_a_lie_about_what_is_public_is_refused() -> None:
    session = drawn(63, **GRAM)
    lost(session, session.owners[2], 1)
    liar, bent = session.committee()[4], Callable[[bytes], bytes]
    changes: list[bent] = [  # type: ignore[valid-type]
        lambda d: d[:-1], lambda d: bytes([d[0] ^ 1]) + d[1:], lambda d: d[:-1] + bytes([d[-1] ^ 1]), lambda d: b"",
    ]  # fmt: skip
    seen: list[int] = []

    def lie(node: Node, effects: Effects) -> Effects:
        out: Effects = []
        for e in effects:
            if isinstance(e, fx.Reply) and isinstance(e.message, msg.PublicPart):
                change = changes[len(seen) % 4]
                seen.append(1)
                e = replace(e, message=replace(e.message, public=change(e.message.public)))
            out.append(e)
        return out

    liar.twist = lie
    session.run()
    assert session.assert_exact().count == 6 and noted(session.committee()[1], "share_rebuilt") == [
        session.index_of(session.owners[2])
    ]
    assert {rule for rule, _ in liar.refused} <= {"bad-relay"}


def test_a_lost_piece_and_a_crash_are_one_fault_each() -> None:
    """A dead prover's receipt counts, another lacks the piece: three helpers, all alike, must do."""
    session = drawn(64, **GRAM)
    lost(session, session.owners[1], 2)
    session.run_until(Phase.VALID)
    session.network.kill(session.committee()[0])
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


def test_who_cannot_rebuild_opens_nothing_but_learns_the_proof() -> None:
    session = drawn(65, **GRAM)
    lost(session, session.owners[1], 2)
    for node in session.committee():
        node.twist = swallow(msg.RebuildRequest)
    session.run()
    victim = session.committee()[2]
    assert session.assert_exact().count == 6
    assert victim.machine.status()["accepted"] == session.accepted()
    assert not [m for m in sent(session, msg.Opening) if m.sender == victim.address]


# ------------------------------------------------------------------------------------------------------- complaints


def dealt_badly(session: Session, monkeypatch: pytest.MonkeyPatch, *points: int) -> Node:
    """A data owner whose pieces for these points are not what it committed to."""
    attacks.forge(monkeypatch, session.owners[3], attacks.bad_shares(*points))
    return session.owners[3]


@pytest.mark.parametrize("point", [1, 4])
def test_a_bad_share_for_one_prover(point: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is published, everybody sees who dealt it, and the data owner is out. As a seed it convicts as well."""
    session = drawn(70, **GRAM)
    cheat = dealt_badly(session, monkeypatch, point)
    session.run()
    assert session.assert_exact().count == 5 and session.index_of(cheat) not in session.in_set(Bitmap.VALID)
    assert len(sent(session, msg.ShareOpening)) == 4 and session.market.named == 0
    assert blamed(session) == {(cheat.address, "inconsistent-sharing")}


def test_bad_shares_for_more_than_t_provers(monkeypatch: pytest.MonkeyPatch) -> None:
    session = drawn(71, **GRAM)
    cheat = dealt_badly(session, monkeypatch, 2, 5)
    session.run()
    assert session.assert_exact().count == 5 and session.index_of(cheat) not in session.in_set(Bitmap.VALID)
    assert len(sent(session, msg.ShareOpening)) == 8 and blamed(session) == {(cheat.address, "inconsistent-sharing")}


def test_a_bad_share_whose_complaint_nobody_hears_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The complaint is lost, the vote passes: who got it needs the help of the others, and the session goes on."""
    session = drawn(72, **GRAM)
    cheat = dealt_badly(session, monkeypatch, 4)
    victim = session.committee()[3]
    victim.twist = swallow(msg.PieceComplaint, msg.ShareOpening)
    session.run()
    assert session.assert_exact().count == 6 and noted(victim, "share_rebuilt") == [session.index_of(cheat)]
    assert session.market.named == 0


def complain(index: int) -> Callable[[Node, fx.Send], fx.Send]:
    """Say that the piece of this data owner does not fit."""

    def change(node: Node, e: fx.Send) -> fx.Send:
        wrong = isinstance(e.message, msg.PieceComplaint)
        return replace(e, message=replace(e.message, bad=1 << index)) if wrong else e  # type: ignore[type-var]

    return change


@pytest.mark.parametrize("altered", [False, True])
def test_a_prover_that_frames_a_data_owner_is_named(altered: bool) -> None:
    """It publishes the piece that it got, which fits, or another one, which is not the committed one."""
    session = drawn(73, **GRAM)
    liar = session.committee()[1]
    frame, done = rewrite(complain(2)), list[int]()

    def twist(node: Node, effects: Effects) -> Effects:
        out = frame(node, effects)
        if node.machine.view.phase == Phase.VALID and not done:
            done.append(1)
            opening = node.machine._uploads.held[2].opening(node.address, 2)  # type: ignore[attr-defined]
            if altered:
                opening = replace(opening, piece=others_of(opening.piece, False))
            out += [fx.Send(p.address, opening) for p in session.committee() if p is not node]
        return out

    liar.twist = twist
    session.run(after=6)
    assert session.assert_exact().count == 6 and done
    assert session.market.named == 1 << 1
    assert blamed(session, liar) == {(liar.address, "wrong-opening")}


def test_a_complaint_that_nothing_follows_costs_time_only() -> None:
    session = drawn(74, **GRAM)
    session.committee()[1].twist = rewrite(complain(2))
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0 and blamed(session) == set()


def test_a_prover_that_complains_of_nobody_is_waited_for() -> None:
    """A silent one is not: half of the phase is enough."""
    session = drawn(75, **GRAM)
    session.committee()[1].twist = swallow(msg.PieceComplaint)
    session.run()
    assert session.assert_exact().count == 6


def test_a_liar_cannot_get_an_honest_data_owner_out_by_its_bitmaps() -> None:
    session = drawn(76, **GRAM)

    def nobody(node: Node, effects: Effects) -> Effects:
        return [
            replace(e, args=(e.args[0], 0)) if isinstance(e, fx.Transact) and e.call == "postBitmap" else e
            for e in effects
        ]

    session.committee()[2].twist = nobody
    session.run()
    assert session.assert_exact().count == 6
