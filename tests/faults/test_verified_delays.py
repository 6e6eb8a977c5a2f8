"""Honest provers that are slow together, or have much to publish, are not taken for liars; liars still are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Effects, Node
from protocols.sessions import effects as fx
from protocols.sessions.params import Bitmap, Phase, Rule
from protocols.wire import messages as msg
from tests.simulation.attacks import lie_in, plus_one, rewrite, swallow, without_calls
from tests.simulation.session import Session, verified
from tests.simulation.verified_attacks import forge, inconsistent


def read_late(session: Session, after: int, width: int) -> None:
    """So many blocks of phase VALID are read by nobody until they are over, and then back to back."""
    settle, market, network = session.network.settle, session.market, session.network
    began: list[int] = []

    def late() -> None:
        if market.phase == Phase.VALID and not began:
            began.append(market.block + after)
        waiting: dict[bytes, list[tuple[int, list[object]]]] = {}
        if began and began[0] <= market.block < began[0] + width:
            waiting = {address: node.blocks for address, node in network.nodes.items()}  # type: ignore[misc]
            for node in network.nodes.values():
                node.blocks = []
        settle()
        for address, blocks in waiting.items():
            network.nodes[address].blocks = blocks  # type: ignore[assignment]

    network.settle = late  # type: ignore[method-assign]
    for node in network.nodes.values():
        node.read_block = lambda node=node: back_to_back(node)  # type: ignore[method-assign, misc]


def back_to_back(node: Node) -> Effects:
    """All blocks that are there, and no message in between."""
    return [effect for _ in range(len(node.blocks)) for effect in Node.read_block(node)]


@pytest.mark.parametrize(("settle", "after", "width"), [(10, 1, 1), (10, 3, 1), (10, 2, 2), (25, 1, 4), (25, 4, 1)])
def test_a_cheated_prover_is_heard_although_everybody_is_late(
    settle: int, after: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = verified(5, settle_blocks=settle, rule=Rule.TRUST)
    forge(monkeypatch, session.owners[0], inconsistent([4]))
    read_late(session, after, width)
    session.run(after=6)
    assert session.market.named == 0 and session.market.slashed == set()
    assert session.assert_exact().count == 5 and session.index_of(session.owners[0]) not in session.accepted()


@pytest.mark.parametrize("seed", range(3))
def test_who_reads_everything_at_the_cut_names_nobody(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proof is opened in time then, and the session is refunded; but no honest prover pays for it."""
    session = verified(seed, settle_blocks=25, rule=Rule.TRUST)
    forge(monkeypatch, session.owners[0], inconsistent([4]))
    read_late(session, 1, 8)
    session.run(after=6)
    assert session.market.named == 0 and session.market.slashed == set()


@pytest.mark.parametrize("settle", [10, 25])
def test_a_silent_liar_is_named_although_everybody_is_late(settle: int) -> None:
    session = verified(6, settle_blocks=settle, rule=Rule.TRUST)
    session.run_until(Phase.REGISTER)
    session.committee()[1].twist = lie_in("consistency")
    read_late(session, 1, 1)
    session.run(after=6)
    assert session.assert_exact().count == 6
    assert session.market.named == 0b10 and session.market.slashed == {1}


def test_many_cheats_that_make_one_prover_publish_much_do_not_frame_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first piece arrives, the others do not: it was shown to be right."""
    session = verified(7)
    for node in session.owners[:3]:
        forge(monkeypatch, node, inconsistent([4]))
    session.run_until(Phase.REGISTER)
    victim, seen = session.committee()[3], set[int]()

    def first(_: Node, effect: fx.Send) -> fx.Send | None:
        message = effect.message
        if not isinstance(message, msg.ShareOpening):
            return effect
        seen.add(message.index)
        return effect if message.index == min(seen) else None

    victim.twist = rewrite(first)
    session.run(after=6)
    assert len(seen) == 3 and session.market.named == 0 and session.market.slashed == set()
    out = min(session.index_of(node) for node in session.owners[:3])
    assert session.in_set(Bitmap.VALID) == [k for k in range(6) if k != out]
    assert session.assert_exact().count == 5


def test_a_liar_seen_by_one_prover_only_does_not_save_another() -> None:
    """Statements are of one prover each: all seven honest ones say the same of the first liar."""
    session = verified(5, committee=9, threshold=2, rule=Rule.TRUST)
    session.run_until(Phase.REGISTER)
    first, second, victim = (session.committee()[seat] for seat in (0, 1, 5))

    def to_one(_: Node, effect: fx.Send) -> fx.Send:
        message = effect.message
        if effect.to != victim.address or not isinstance(message, msg.Opening) or message.label != "proofs":
            return effect
        return replace(effect, message=replace(message, values=plus_one(message.values)))

    lies, mute, idle = rewrite(to_one), swallow(msg.AttestationSignature), without_calls("attest")
    on_chain = lie_in("consistency")
    first.twist = lambda node, effects: idle(node, mute(node, on_chain(node, effects)))
    second.twist = lambda node, effects: idle(node, mute(node, lies(node, effects)))
    session.run(after=10)
    assert victim.machine.status()["faulty"] == sorted(liar.address.hex() for liar in (first, second))
    assert session.market.named == 1 and session.market.slashed == {0}
    assert session.assert_exact().count == 6
