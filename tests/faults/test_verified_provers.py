"""Verified sessions: one prover crashes or lies, at any step, in any opening; all is right and the liar is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from omninode.demo.forge import Upload as Made
from omninode.demo.forge import false_proof
from omninode.reproduce.stage.node import Effects, Node, Twist
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.params import PineParams
from protocols.pine.upload import make_upload
from protocols.sessions import effects as fx
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Payout, Phase, Rule
from protocols.wire import eip712
from protocols.wire import messages as msg
from protocols.wire.context import Context
from tests.simulation.attacks import fuzz, lie_in, mute_from, opens_on_chain, rewrite, swallow, without_calls
from tests.simulation.session import Session
from tests.simulation.verified_attacks import forge, inconsistent

LABELS = ("proofs", "products")
EVERYWHERE = ("consistency", *LABELS)
STEPS = [p for p in Phase if p == Phase.REGISTER or Phase.UPLOAD <= p <= Phase.OUTPUT]
RULES: list[dict[str, object]] = [
    {"rule": Rule.NONE}, {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}, {"rule": Rule.MULTI_KRUM},
    {"rule": Rule.OUTLIER, "payout": Payout.CONTRIBUTION},
]  # fmt: skip


def verified(seed: int, **changes: object) -> Session:
    return Session(seed, mode=Mode.VERIFIED, **{"rule": Rule.TRUST, **changes})  # type: ignore[arg-type]


def everywhere(session: Session, but: Node | None = None) -> set[str]:
    """Addresses that any prover but this one blamed, with the rule."""
    return {f"{b.peer.hex()} {b.rule}" for p in session.committee() if p is not but for b in p.blames}


def towards(victim: Node, lie: Twist) -> Twist:
    """The lie for the victim's eyes only."""
    return lambda node, effects: [
        e2 for e in effects for e2 in (lie(node, [e]) if getattr(e, "to", None) == victim.address else [e])
    ]


def opened(effect: fx.Effect, *labels: str) -> bool:
    """Whether this sends an opening of one of the labels."""
    return isinstance(effect, fx.Send) and isinstance(effect.message, msg.Opening) and effect.message.label in labels


# --------------------------------------------------------------------------------------------------------- crashes


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
@pytest.mark.parametrize("changes", RULES[1:3], ids=str)
def test_a_prover_that_dies_at_any_step_changes_nothing(phase: Phase, changes: dict[str, object]) -> None:
    seat = phase % 5
    session = verified(int(phase), **changes)
    session.run_until(phase)
    session.network.kill(session.committee()[seat])
    session.run()
    assert session.assert_exact().count >= 4
    assert session.market.slashed <= {seat} and session.market.named == 0


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_a_prover_that_falls_silent_at_any_step_changes_nothing(phase: Phase) -> None:
    session = verified(200 + phase)
    session.provers[2].twist = mute_from(phase)
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
@pytest.mark.parametrize("changes", RULES[1:3], ids=str)
def test_a_prover_comes_back_from_its_journal_at_any_step(phase: Phase, changes: dict[str, object]) -> None:
    session = verified(300 + phase, loss=0.2, **changes)
    session.run_until(phase)
    victim = session.committee()[1]
    session.network.kill(victim)
    session.step()
    session.network.restart(victim)  # asserts that the replay asks for the same
    session.run()
    assert session.assert_exact().count >= 4
    assert victim.blames == [] and session.market.named == 0
    assert victim.machine.view.phase == Phase.FINISHED


@pytest.mark.parametrize("label", LABELS)
def test_a_prover_dies_in_the_middle_of_an_opening(label: str) -> None:
    """Two provers get it, the others never."""
    session = verified(400)
    session.run_until(Phase.REGISTER)
    victim, reached = session.committee()[0], {session.committee()[i].address for i in (1, 2)}

    def halfway(node: Node, effects: Effects) -> Effects:
        if not any(opened(e, label) for e in effects):
            return effects
        node.twist = lambda *_: []
        return [e for e in effects if opened(e, label) and e.to in reached]  # type: ignore[union-attr]

    victim.twist = halfway
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


@pytest.mark.parametrize("label", LABELS)
def test_openings_that_come_blocks_later(label: str) -> None:
    """Half of the time is over when they come; nobody is left out for that."""
    session = verified(410, settle_blocks=40)
    session.run_until(Phase.REGISTER)
    held: list[tuple[int, Node, fx.Effect]] = []

    def hold(node: Node, effects: Effects) -> Effects:
        late = [e for e in effects if opened(e, label)]
        held.extend((session.market.block + 6, node, e) for e in late)
        return [e for e in effects if e not in late]

    def release(session: Session) -> None:
        due = [entry for entry in held if entry[0] <= session.market.block]
        for entry in due:
            held.remove(entry)
            session.network.act(entry[1], [entry[2]])

    session.on_block = release
    for node in session.provers:
        node.twist = hold
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


# ------------------------------------------------------------------------------------------------------------ lies


@pytest.mark.parametrize("changes", RULES, ids=str)
@pytest.mark.parametrize("label", EVERYWHERE)
def test_a_lie_is_corrected_named_and_slashed(label: str, changes: dict[str, object]) -> None:
    session, honest = (verified(3, **changes) for _ in range(2))
    honest.run()
    session.run_until(Phase.REGISTER)
    liar = session.committee()[2]
    liar.twist = lie_in(label)
    session.run(after=6)
    session.assert_exact()
    assert session.accepted() == honest.accepted() and session.payouts == honest.payouts
    used = label != "products" or changes["rule"] != Rule.NONE
    assert session.market.named == (1 << 2 if used else 0)
    assert session.market.slashed == ({2} if used else set())
    assert everywhere(session, liar) <= {f"{liar.address.hex()} wrong-opening"}


def test_a_liar_in_all_openings_at_once() -> None:
    session = verified(4, payout=Payout.CONTRIBUTION)
    session.run_until(Phase.REGISTER)
    session.committee()[4].twist = lie_in(*EVERYWHERE)
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert session.market.named == 1 << 4 and session.market.slashed == {4}


@pytest.mark.parametrize("label", LABELS)
def test_who_speaks_last_gains_nothing(label: str) -> None:
    """The liar holds its opening back until it has seen those of all others."""
    session = verified(5)
    session.run_until(Phase.REGISTER)
    liar, seen, held = session.committee()[1], set[bytes](), list[fx.Effect]()
    lie, receive = lie_in(label), liar.receive

    def listen(data: bytes) -> Effects:
        effects = receive(data)
        message = liar.journal[-1][1]
        if isinstance(message, msg.Opening) and message.label == label:
            seen.add(message.sender)
        return effects + ([held.pop() for _ in list(held)] if len(seen) == 4 else [])

    def keep(node: Node, effects: Effects) -> Effects:
        effects = lie(node, effects)
        late = [e for e in effects if opened(e, label)] if len(seen) < 4 else []
        held.extend(late)
        return [e for e in effects if e not in late]

    liar.twist = keep
    liar.receive = listen  # type: ignore[method-assign]
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert len(seen) == 4 and session.market.named == 1 << 1


@pytest.mark.parametrize("label", LABELS)
def test_an_opening_that_differs_from_receiver_to_receiver(label: str) -> None:
    session = verified(6)
    session.run_until(Phase.REGISTER)
    liar, victim = session.committee()[0], session.committee()[3]
    liar.twist = towards(victim, lie_in(label))
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert session.market.named == 0  # only one saw it; nobody honest is named
    assert {b.peer for p in session.committee()[1:] for b in p.blames} <= {liar.address}


@pytest.mark.parametrize("label", LABELS)
def test_wrong_lengths_and_sets_are_refused(label: str) -> None:
    session = verified(7)
    session.run_until(Phase.REGISTER)
    liar = session.committee()[3]

    def change(node: Node, e: fx.Send) -> fx.Send:
        if not opened(e, label):
            return e
        assert isinstance(e.message, msg.Opening)
        kind = session.committee().index(session.network.nodes[e.to])
        bent = [
            replace(e.message, values=e.message.values[:-8]), replace(e.message, values=e.message.values + bytes(8)),
            replace(e.message, present=e.message.present | 1 << 77), replace(e.message, values=b""),
            replace(e.message, values=b"\xff" * len(e.message.values)),
        ]  # fmt: skip
        return replace(e, message=bent[kind])

    liar.twist = rewrite(change)
    session.run()
    assert session.assert_exact().count == 6
    assert {rule for rule, kind in liar.refused if kind == "opening"} >= {"bad-values"}


def opens_last(session: Session, liar: Node) -> None:
    """The liar posts its combinations when it has seen those of all others."""
    lie, held = lie_in("consistency"), list[fx.Effect]()

    def keep(node: Node, effects: Effects) -> Effects:
        out = lie(node, effects)
        late = [e for e in out if isinstance(e, fx.Transact) and e.call == "postOpenings"]
        held.extend(late)
        return [e for e in out if e not in late]

    def post(session: Session) -> None:
        if len(session.market.openings) == session.params.committee - 1 and held:
            session.network.act(liar, [held.pop()])

    liar.twist, session.on_block = keep, post


def test_who_posts_its_combinations_last_gains_nothing() -> None:
    session = verified(5)
    session.run_until(Phase.REGISTER)
    opens_last(session, session.committee()[1])
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert len(session.market.openings) == 5 and session.market.named == 1 << 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda present, values: (present, b"\xff" * len(values)), 1 << 3),  # no field elements
        (lambda present, values: (present, values[:-8]), 0),
        (lambda present, values: (present | 1 << 77, values + bytes(8)), 0),
        (lambda present, values: (0, b""), 0),
    ],
    ids=["values", "length", "set", "none"],
)
def test_combinations_that_are_none(change: Callable[[int, bytes], tuple[int, bytes]], named: int) -> None:
    """Garbage counts as nothing posted, and convicts; what the contract refuses is a crash."""
    session = verified(7)
    session.run_until(Phase.REGISTER)
    session.committee()[3].twist = opens_on_chain(lambda _, present, values: change(present, values))
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named == named


def test_without_faults_the_checks_take_three_blocks() -> None:
    session = verified(13)
    session.run_until(Phase.VALID)
    began = session.market.block
    session.run_until(Phase.BATCH)
    assert session.market.block <= began + 3
    assert not any(isinstance(e, fx.Send) and isinstance(e.message, msg.ShareOpening)
                   for p in session.committee() for e in p.effects)  # fmt: skip


def test_two_liars_of_nine() -> None:
    session = verified(8, committee=9, threshold=2, payout=Payout.CONTRIBUTION)
    session.run_until(Phase.REGISTER)
    session.committee()[1].twist = lie_in(*EVERYWHERE)
    session.committee()[7].twist = lie_in("products")
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named == 1 << 1 | 1 << 7


def test_one_crash_and_one_liar_of_nine() -> None:
    session = verified(9, committee=9, threshold=2)
    session.run_until(Phase.QUERY)
    session.network.kill(session.committee()[0])
    session.committee()[5].twist = lie_in("proofs", "products")
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named == 1 << 5


@pytest.mark.parametrize("seed", range(6))
def test_a_prover_that_sends_garbage(seed: int) -> None:
    session = verified(500 + seed, **RULES[seed % 4])
    session.run_until(Phase.REGISTER)
    garbled = session.committee()[seed % 5]
    garbled.twist = fuzz(seed, 0.3)
    session.run(after=6)
    assert session.assert_exact().count >= 4
    assert not session.market.named & ~(1 << seed % 5) and session.market.slashed <= {seed % 5}
    honest = [p for p in session.committee() if p is not garbled]
    assert {b.peer for p in honest for b in p.blames} <= {garbled.address}


def test_a_liar_cannot_get_an_honest_data_owner_out_by_its_bitmaps() -> None:
    session = verified(10)
    session.run_until(Phase.REGISTER)

    def nobody(node: Node, effects: Effects) -> Effects:
        posts = [isinstance(e, fx.Transact) and e.call == "postBitmap" for e in effects]
        return [
            replace(e, args=(e.args[0], 0)) if post else e
            for e, post in zip(effects, posts, strict=True)  # type: ignore
        ]

    session.committee()[2].twist = nobody
    session.run()
    assert session.assert_exact().count == 6


def test_two_signed_batches_slash_their_signer() -> None:
    session = verified(11)
    session.run_until(Phase.REGISTER)
    liar = session.committee()[4]

    def sign_twice(node: Node, effects: Effects) -> Effects:
        out = list(effects)
        for e in effects:
            if isinstance(e, fx.Send) and isinstance(e.message, msg.BatchSignature):
                other = replace(e.message, passed=7)
                digest = eip712.batch_digest(node.context, other.valid_set, 7, (), other.digest)
                signature = node.machine._desk.identity.sign(digest)  # type: ignore[attr-defined]
                out.append(replace(e, message=replace(other, signature=signature)))
        return out

    liar.twist = sign_twice
    session.run()
    assert session.assert_exact().count == 6 and session.market.slashed == {4}


# ----------------------------------------------------------------------------------- missing pieces and rebuilding


def lost(session: Session, index: int, seats: list[int]) -> None:
    """The pieces of one data owner never reach these provers."""
    addresses = {session.committee()[seat].address for seat in seats}
    node = session.owner if index == REFERENCE else session.network.nodes[session.market.owners[index]]
    node.twist = rewrite(lambda _, e: None if isinstance(e.message, msg.Upload) and e.to in addresses else e)


def on_registered(session: Session, action: Callable[[], None]) -> None:
    """Run until all have registered, then do something before they upload."""
    session.run_until(Phase.REGISTER)
    while len(session.market.owners) < session.params.groups:
        session.step()
    action()


@pytest.mark.parametrize("changes", RULES, ids=str)
def test_a_prover_without_pieces_rebuilds_them(changes: dict[str, object]) -> None:
    session = verified(20, **changes)
    on_registered(session, lambda: lost(session, 0, [3]))
    lost(session, 4, [3])
    session.run()
    assert session.assert_exact().count >= 4 and session.market.named == 0
    victim = session.committee()[3]
    rebuilt = [n.fields[0][1] for n in victim.notes if n.name == "share_rebuilt"]
    assert sorted(rebuilt) == [0, 4]  # type: ignore[type-var]
    signed = [n for n in victim.notes if n.name == "batch_signed"]
    assert len(signed) == 1 and victim.machine.status()["digest"] == session.committee()[0].machine.status()["digest"]


def test_a_lie_in_rebuilding_is_corrected_and_blamed() -> None:
    session = verified(21)
    on_registered(session, lambda: lost(session, 2, [1]))
    victim, liar = session.committee()[1], session.committee()[4]

    def lie(node: Node, effects: Effects) -> Effects:
        return [
            replace(e, message=replace(e.message, values=gl.to_bytes(gl.neg(gl.from_bytes(e.message.values)))))
            if isinstance(e, fx.Reply) and isinstance(e.message, msg.RebuildShare) else e
            for e in effects
        ]  # fmt: skip

    liar.twist = lie
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0
    assert {b.peer for b in victim.blames} <= {liar.address}
    assert "share_rebuilt" in {n.name for n in victim.notes}


def test_a_lost_piece_and_a_crash_are_one_fault() -> None:
    """A dead prover's receipt counts, another lacks the piece: three openings, all alike, must do."""
    session = verified(22)
    on_registered(session, lambda: lost(session, 1, [2]))
    session.run_until(Phase.QUERY)
    session.network.kill(session.committee()[0])
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


def test_a_data_owner_and_a_prover_cannot_stop_the_session_together() -> None:
    """It uploads to three honest provers and the liar, who says that it delivered and then says nothing of it."""
    session = verified(23, settle_blocks=60)
    on_registered(session, lambda: lost(session, 1, [2]))
    liar = session.committee()[0]

    def without(present: int, values: bytes) -> tuple[int, bytes]:
        held = [k for k in range(256) if present >> k & 1]
        size = len(values) // len(held)
        return present & ~2, b"".join(values[i * size : (i + 1) * size] for i, k in enumerate(held) if k != 1)

    def unsaid(node: Node, e: fx.Send) -> fx.Send:
        if not opened(e, "proofs"):
            return e
        assert isinstance(e.message, msg.Opening)
        present, values = without(e.message.present, e.message.values)
        return replace(e, message=replace(e.message, present=present, values=values))

    posts, said = opens_on_chain(lambda _, present, values: without(present, values)), rewrite(unsaid)
    liar.twist = lambda node, effects: said(node, posts(node, effects))
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


@pytest.mark.parametrize("changes", RULES, ids=str)
def test_a_lost_piece_and_a_lie_are_one_fault(changes: dict[str, object]) -> None:
    """Three honest holders of five: their own openings count, so they vouch for each other."""
    session = verified(24, settle_blocks=60, **changes)
    on_registered(session, lambda: lost(session, 1, [2]))
    session.committee()[0].twist = lie_in("consistency")
    session.run(after=6)
    assert session.assert_exact().count >= 4 and session.market.named == 1
    assert 1 in session.in_set(Bitmap.VALID)
    assert not any(isinstance(e, fx.Send) and isinstance(e.message, msg.ShareOpening)
                   for p in session.committee()[1:] for e in p.effects)  # fmt: skip


# ------------------------------------------------------------------------------------------- whose fault is a piece


def test_an_outlier_that_does_not_publish_is_faulty() -> None:
    """Who was lied to could show its piece."""
    session = verified(30)
    session.run_until(Phase.REGISTER)
    session.committee()[2].twist = lie_in("consistency")
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert session.market.named == 1 << 2 and session.market.slashed == {2}


def test_a_published_piece_that_contradicts_its_opening_convicts_the_prover() -> None:
    session = verified(31)
    session.run_until(Phase.REGISTER)
    liar = session.committee()[0]
    liar.twist = lie_in("consistency", publish=True)
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named == 1
    assert everywhere(session, liar) == {f"{liar.address.hex()} wrong-opening"}


@pytest.mark.parametrize("settle_blocks", [25, 60])
@pytest.mark.parametrize("lies", [("proofs",), LABELS, EVERYWHERE], ids="-".join)
def test_a_data_owner_and_a_prover_cannot_frame_another_prover(
    lies: tuple[str, ...], settle_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad piece for the victim; lies on chain for all, others for the victim's eyes only."""
    session = verified(1, settle_blocks=settle_blocks)
    session.run_until(Phase.REGISTER)
    victim, liar = session.committee()[3], session.committee()[4]
    cheat = session.owners[0]
    forge(monkeypatch, cheat, inconsistent([4]))
    private, public = towards(victim, lie_in(*lies)), lie_in(*set(lies) & {"consistency"})
    liar.twist = lambda node, effects: public(node, private(node, effects))
    session.run(after=6)
    assert not session.market.named & 1 << 3 and 3 not in session.market.slashed
    assert all(b.peer != victim.address for p in session.committee() for b in p.blames)
    assert session.assert_exact().count == 5  # the cheat is out: the victim published its piece, or nothing fits


def test_a_prover_with_a_bad_piece_rebuilds_it_before_it_opens_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """The victim's published piece reaches nobody (that is the fault here), so the cheat gets into U; still the victim
    opens no lie.
    """
    session = verified(1, settle_blocks=60)
    session.run_until(Phase.REGISTER)
    victim, cheat = session.committee()[3], session.owners[0]
    forge(monkeypatch, cheat, inconsistent([4]))
    victim.twist = swallow(msg.ShareOpening)
    session.run(after=6)
    assert session.index_of(cheat) in session.in_set(Bitmap.VALID)
    assert session.assert_exact().count == 6 and session.market.named == 1 << 3
    assert [(b.rule, b.detail) for b in session.committee()[0].blames] == [("wrong-opening", "consistency")]
    assert "share_rebuilt" in {n.name for n in victim.notes}


# ------------------------------------------------------------------------------------------------- uploads and proofs


def with_public(change: Callable[[bytes], bytes]) -> Callable[..., Made]:
    """An honest upload whose public part is changed after all was committed."""

    def forger(
        params: PineParams, context: Context, address: bytes, x: Vector, committee: int, threshold: int, seed: bytes
    ) -> Made:
        root, pieces = make_upload(params, context, address, x, committee, threshold, seed)
        return root, [replace(piece, public=change(piece.public)) for piece in pieces]

    return forger


@pytest.mark.parametrize(
    "change", [lambda p: p[::-1], lambda p: p[:-32], lambda p: b"", lambda p: bytes(len(p))], ids=range(4)
)
def test_a_wrong_public_part_is_not_taken(change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    session = verified(40)
    cheat = session.owners[2]
    forge(monkeypatch, cheat, with_public(change))
    session.run()
    index = session.index_of(cheat)
    assert session.assert_exact().count == 5 and index not in session.in_set(Bitmap.DELIVERED)
    assert {rule for rule, _ in cheat.refused} == {"bad-piece"} and session.market.named == 0


def test_a_public_part_that_is_wrong_for_one_prover_only() -> None:
    """That prover refuses the piece and rebuilds it; the others never notice."""
    session = verified(41)

    def spoil() -> None:
        victim = session.committee()[3]
        session.owners[0].twist = rewrite(
            lambda _, e: replace(e, message=replace(e.message, public=bytes(len(e.message.public))))
            if isinstance(e.message, msg.Upload) and e.to == victim.address else e
        )  # fmt: skip

    on_registered(session, spoil)
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 0


def test_a_failed_proof_and_a_liar_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The liar defends the cheat; the proof is refused, the liar is named."""
    session = verified(42)
    session.run_until(Phase.REGISTER)
    cheat, liar = session.owners[1], session.committee()[2]
    assert cheat.update is not None
    cheat.update = cheat.update * 3
    forge(monkeypatch, cheat, false_proof)
    liar.twist = lie_in("proofs")
    session.run(after=6)
    assert session.assert_exact().count == 5 and session.market.named == 1 << 2
    assert everywhere(session) == {f"{liar.address.hex()} wrong-opening", f"{cheat.address.hex()} proof-failed"}
    assert liar is not session.committee()[0]
    assert session.index_of(cheat) in session.committee()[0].machine.status()["refused"]


def test_a_second_upload_is_refused_and_the_first_one_stands() -> None:
    session = verified(43)

    def again(node: Node, effects: Effects) -> Effects:
        sent = [(e.to, e.message) for e in effects if isinstance(e, fx.Send)]
        uploads = [(to, message) for to, message in sent if isinstance(message, msg.Upload)]
        twice = [fx.Send(to, replace(message, root=bytes(32))) for to, message in uploads]
        other = [fx.Send(to, replace(message, sealed=message.sealed[:-1] + b"?")) for to, message in uploads]
        return [*effects, *twice, *other]

    session.owners[5].twist = again
    session.run()
    assert session.assert_exact().count == 6
    rules = {rule for rule, _ in session.owners[5].refused}
    assert rules <= {"wrong-root", "roots-differ", "upload-twice", "bad-piece", "late"} and rules


@pytest.mark.parametrize("how", ["withheld", "wrong"])
def test_an_output_share_that_is_withheld_or_wrong(how: str) -> None:
    session = verified(44)
    session.run_until(Phase.REGISTER)
    liar = session.committee()[1]

    def bend(node: Node, effects: Effects) -> Effects:
        out: Effects = []
        for e in effects:
            if isinstance(e, fx.Reply) and isinstance(e.message, msg.OutputShare):
                if how == "wrong":
                    out.append(replace(e, message=replace(e.message, values=bytes(len(e.message.values)))))
                continue
            out.append(e)
        return out

    liar.twist = bend
    session.run()
    assert session.assert_exact().count == 6
    assert {b.peer for b in session.owner.blames} <= {liar.address}


def test_provers_that_post_no_bitmap_are_slashed_and_change_nothing() -> None:
    session = verified(45)
    session.run_until(Phase.REGISTER)
    session.committee()[3].twist = without_calls("postBitmap")
    session.run()
    assert session.assert_exact().count == 6 and session.market.slashed == {3}
