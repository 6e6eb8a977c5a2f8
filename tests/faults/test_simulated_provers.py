"""One prover of five crashes or lies, at every step and in every opening; the sum is right and the liar is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Node
from protocols.fields import goldilocks as gl
from protocols.sessions import effects as fx
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import codec
from protocols.wire import messages as msg
from tests.simulation.attacks import cheat_with_pieces, lie_in, mute_from, rewrite, swallow, without_calls
from tests.simulation.session import Session

LABELS = ("consistency", "projections", "gram")
STEPS = [phase for phase in Phase if Phase.REGISTER <= phase <= Phase.OUTPUT]


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
@pytest.mark.parametrize("seat", [0, 3])
def test_a_prover_that_dies_at_any_step_changes_nothing(phase: Phase, seat: int) -> None:
    session = Session(int(phase) * 10 + seat)
    session.run_until(phase)
    session.network.kill(session.committee()[seat])
    session.run()
    assert session.assert_exact().count == 6
    assert session.market.slashed <= {seat}


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_a_prover_that_falls_silent_at_any_step_changes_nothing(phase: Phase) -> None:
    session = Session(200 + phase)
    session.provers[2].twist = mute_from(phase)
    session.run()
    assert session.assert_exact().count == 6


@pytest.mark.parametrize("phase", STEPS, ids=lambda p: p.name)
def test_a_prover_comes_back_from_its_journal_at_any_step(phase: Phase) -> None:
    session = Session(300 + phase, loss=0.2)
    session.run_until(phase)
    victim = session.committee()[1]
    session.network.kill(victim)
    session.step()
    session.network.restart(victim)
    session.run()
    assert session.assert_exact().count == 6
    assert victim.blames == [] and session.market.named == 0
    assert victim.machine.view.phase == Phase.FINISHED


@pytest.mark.parametrize("labels", [LABELS, ("projections",), ("gram",)], ids="-".join)
def test_a_lying_prover_is_corrected_named_and_slashed(labels: tuple[str, ...]) -> None:
    session = Session(sum(map(len, labels)))
    session.run_until(Phase.REGISTER)
    liar = session.committee()[2]
    liar.twist = lie_in(*labels)
    session.run()
    assert session.assert_exact().count == 6
    assert session.market.named == 1 << 2 and session.market.slashed == {2}
    honest = [p for p in session.committee() if p is not liar]
    assert all(("wrong-opening", liar.address) in {(b.rule, b.peer) for b in p.blames} for p in honest)
    assert all(b.peer == liar.address for p in honest for b in p.blames)


def test_an_outlier_that_does_not_publish_is_faulty() -> None:
    """Who was lied to could show its piece."""
    session = Session(11)
    session.run_until(Phase.REGISTER)
    session.committee()[2].twist = lie_in("consistency")
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert session.market.named == 1 << 2 and session.market.slashed == {2}


@pytest.mark.parametrize("settle_blocks", [25, 60])
@pytest.mark.parametrize("lies", [("consistency",), LABELS], ids="-".join)
def test_a_data_owner_and_a_prover_cannot_frame_another_prover(
    lies: tuple[str, ...], settle_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad piece for the victim, and lies of the prover: nothing fits, nobody publishes, the cheat is out."""
    session = Session(1, settle_blocks=settle_blocks)
    session.run_until(Phase.REGISTER)
    victim, liar = session.committee()[3], session.committee()[4]
    cheat_with_pieces(monkeypatch, session.params.dimension, session.owners[0], [4])
    liar.twist = lie_in(*lies)
    session.run(after=6)
    assert not session.market.named & 1 << 3 and 3 not in session.market.slashed
    assert all(b.peer != victim.address for p in session.committee() for b in p.blames)
    assert session.assert_exact().count == 5


def test_a_prover_with_a_bad_piece_rebuilds_it_before_it_opens_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The victim's published piece reaches nobody (that is the fault here), so the cheat gets into U; still the victim
    opens no lie.
    """
    session = Session(1, settle_blocks=60)
    session.run_until(Phase.REGISTER)
    victim = session.committee()[3]
    cheat_with_pieces(monkeypatch, session.params.dimension, session.owners[0], [4])
    victim.twist = swallow(msg.ShareOpening)
    session.run(after=6)
    assert session.market.owners.index(session.owners[0].address) in session.in_set(Bitmap.VALID)
    assert session.assert_exact().count == 6 and session.market.named == 1 << 3
    assert victim.machine.status()["sums"] == [0, 1]


def test_a_published_piece_that_contradicts_its_opening_convicts() -> None:
    session = Session(5)
    session.run_until(Phase.REGISTER)
    liar = session.committee()[0]
    liar.twist = lie_in("consistency", publish=True)
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named == 1


def test_two_liars_of_nine() -> None:
    session = Session(6, committee=9, threshold=2)
    session.run_until(Phase.REGISTER)
    session.committee()[1].twist = lie_in(*LABELS)
    session.committee()[7].twist = lie_in("gram")
    session.run()
    assert session.assert_exact().count == 6 and session.market.named == 1 << 1 | 1 << 7


def test_a_wrong_output_share_is_corrected_and_blamed() -> None:
    def lie(node: Node, effects: list[fx.Effect]) -> list[fx.Effect]:
        return [fx.Reply(wrong(e.message)) if isinstance(e, fx.Reply) else e for e in effects]

    def wrong(message: msg.Message) -> msg.Message:
        if not isinstance(message, msg.OutputShare):
            return message
        values = gl.from_bytes(message.values)
        values[3] ^= 1
        return replace(message, values=gl.to_bytes(values), norms=tuple(n + 1 for n in message.norms))

    session = Session(7)
    liar = session.provers[4]
    liar.twist = lie
    session.run()
    result = session.assert_exact()
    assert (liar.address, "wrong-output-share") in {(b.peer, b.rule) for b in session.owner.blames}
    machine = session.provers[0].machine.status()
    assert len(result.norms) == len(machine["passed"]) and all(norm > 0 for norm in result.norms)


def test_a_prover_without_a_piece_rebuilds_it() -> None:
    session = Session(8)
    session.run_until(Phase.KEYS)
    poor = session.committee()[3]
    for node in session.owners[:2]:
        node.twist = swallow(msg.Upload, to=poor.address)
    session.run()
    assert session.assert_exact().count == 6 and session.market.slashed == set()
    assert sum(note.name == "share_rebuilt" for note in poor.notes) == 2
    assert poor.machine.status()["sums"] == [0, 1]


def test_a_liar_cannot_spoil_a_rebuilt_piece() -> None:
    def lie(node: Node, effects: list[fx.Effect]) -> list[fx.Effect]:
        return [
            fx.Reply(replace(e.message, values=bytes(len(e.message.values))))
            if isinstance(e, fx.Reply) and isinstance(e.message, msg.RebuildShare)
            else e
            for e in effects
        ]

    session = Session(9)
    session.run_until(Phase.KEYS)
    poor, liar = session.committee()[3], session.committee()[0]
    session.owners[0].twist, liar.twist = swallow(msg.Upload, to=poor.address), lie
    session.run()
    assert session.assert_exact().count == 6
    assert {b.rule for b in poor.blames} <= {"wrong-rebuild-share"}


def test_two_signed_batches_slash_their_signer() -> None:
    def twice(node: Node, effects: list[fx.Effect]) -> list[fx.Effect]:
        out = list(effects)
        for e in effects:
            if isinstance(e, fx.Send) and isinstance(e.message, msg.BatchSignature):
                other = replace(e.message, passed=0, values=())
                digest = eip712.batch_digest(node.context, other.valid_set, 0, (), other.digest)
                out.append(replace(e, message=replace(other, signature=sign(digest))))
        return out

    from protocols.wire import eip712

    session = Session(10)
    session.run_until(Phase.REGISTER)
    criminal = session.committee()[4]
    sign = criminal.machine._desk.identity.sign  # type: ignore[attr-defined]
    criminal.twist = twice
    session.run()
    session.assert_exact()
    assert session.market.slashed == {4}


def common_seeds(nodes: list[Node]) -> dict[tuple[int, ...], set[bytes]]:
    """Set -> what these members hold as its seed."""
    seeds: dict[tuple[int, ...], set[bytes]] = {}
    for node in nodes:
        for members, seed in node.machine._setup.seeds().items():  # type: ignore[attr-defined]
            seeds.setdefault(members, set()).add(seed)
    return seeds


def second_deal(node: Node, deal: msg.SeedDeal, seed: bytes) -> msg.SeedDeal:
    """Another seed of the same attempt, signed by its dealer."""
    wallets = node.machine._desk.wallets  # type: ignore[attr-defined]
    digest = node.context.bind("seed-deal", wallets, bytes(deal.points), bytes([deal.attempt]), seed)
    sign = node.machine._desk.identity.sign  # type: ignore[attr-defined]
    return replace(deal, seed=seed, signatures=(sign(digest),))


def test_a_dealer_with_two_seeds_is_replaced() -> None:
    session = Session(11)

    def two_faced(node: Node, effect: fx.Send) -> fx.Send:
        message = effect.message
        if not isinstance(message, msg.SeedDeal) or effect.to != session.provers[1].address:
            return effect
        return replace(effect, message=second_deal(node, message, bytes(32)))

    session.provers[0].twist = rewrite(two_faced)
    session.run()
    session.assert_exact()
    seeds = common_seeds(session.committee())
    assert len(seeds) == 5 and all(len(values) == 1 and bytes(32) not in values for values in seeds.values())


@pytest.mark.parametrize("seed", range(3))
def test_a_second_seed_at_the_last_moment_does_not_stop_the_session(seed: int) -> None:
    """It reaches one member that is still in UPLOAD while the others have gone on."""
    session = Session(seed, settle_blocks=60)
    session.run_until(Phase.UPLOAD)
    dealer, *others = session.committee()
    victim = others[-1]
    read = victim.read_block
    told: list[msg.SeedDeal] = []

    def read_late() -> list[fx.Effect]:
        if not told and any(getattr(e, "phase", 0) == Phase.DELIVERED for e in victim.blocks[0][1]):
            for node in others[:-1]:
                while node.blocks:
                    session.network.act(node, node.read_block())
            deal = msg.SeedDeal(dealer.address, (1, 2, 3, 5), 0, b"", ())
            told.append(second_deal(dealer, deal, b"9" * 32))
            session.network.act(victim, victim.receive(codec.encode(told[0], victim.context)))
        return read()

    victim.read_block = read_late  # type: ignore[method-assign]
    session.run()
    assert told and session.assert_exact().count == 6
    assert session.market.named & ~1 == 0  # the dealer itself still opens with its first seed
    assert all(len(values) == 1 and b"9" * 32 not in values for values in common_seeds(others).values())


@pytest.mark.parametrize("call", ["postGroups", "postBatch", "poke", "attest"])
def test_nobody_depends_on_one_prover_for_a_transaction(call: str) -> None:
    session = Session(12)
    session.run_until(Phase.REGISTER)
    first = session.committee()[session.context.session % 5]  # rank 0
    first.twist = without_calls(call)
    liar = session.committee()[(session.context.session + 1) % 5]
    liar.twist = lie_in("gram")
    session.run(after=6)
    assert session.assert_exact().count == 6 and session.market.named


def test_bitmaps_leave_before_the_deadline_when_an_upload_is_missing() -> None:
    session = Session(13)
    session.run_until(Phase.KEYS)
    silent = session.owners[1]
    silent.twist = swallow(msg.Upload)
    session.run()
    session.assert_exact()
    index = session.market.owners.index(silent.address)
    assert index not in session.in_set(Bitmap.DELIVERED) and session.market.slashed == set()


def test_a_slow_prover_is_not_framed_by_a_bad_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sleeps through the check; back in the batch phase it finds its committed piece off and rebuilds it."""
    session = Session(14, settle_blocks=60)
    session.run_until(Phase.REGISTER)
    slow = session.committee()[1]
    cheat_with_pieces(monkeypatch, session.params.dimension, session.owners[2], [2])
    session.run_until(Phase.QUERY)
    session.network.kill(slow)
    session.run_until(Phase.BATCH)
    index = session.market.owners.index(session.owners[2].address)
    assert index in session.in_set(Bitmap.VALID)  # nobody else could see it
    session.network.restart(slow)
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert session.market.named == 0 and all(p.blames == [] for p in session.provers)
    assert slow.machine.status()["sums"] == [0, 1]
