"""Bad bundles, complaints about them, and complaints that are lies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Effects, Node
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.complaints import complaint_digest
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import messages as msg
from tests.simulation.attacks import rewrite, swallow
from tests.simulation.session import Session


def spoil(data: bytes) -> bytes:
    """One bit flipped."""
    return data[:-1] + bytes([data[-1] ^ 1])


def bad_bundles(recipient: int) -> object:
    """The bundle for one peer is broken, wherever it goes."""

    def change(node: Node, effect: fx.Send) -> fx.Send:
        message = effect.message
        if isinstance(message, msg.Bundle) and message.recipient == recipient:
            return replace(effect, message=replace(message, sealed=spoil(message.sealed)))
        if isinstance(message, msg.BundleSet):
            place = node.machine.status()["members"].index(recipient)
            sealed = list(message.sealed)
            sealed[place] = spoil(sealed[place]) if sealed[place] else b""
            return replace(effect, message=replace(message, sealed=tuple(sealed)))
        return effect

    return change


def deal_badly(session: Session, stubborn: bool) -> tuple[Node, int]:
    """A dealer whose bundle for one peer is broken; stubborn: it never opens it."""
    session.run_until(Phase.GROUPS)
    dealer = session.owners[0]

    def twist(node: Node, effects: Effects) -> Effects:
        members = node.machine.status()["members"]
        peers = [k for k in members if k != node.machine.status()["index"]]
        out = rewrite(bad_bundles(peers[0]))(node, effects) if peers else effects  # type: ignore[arg-type]
        return swallow(msg.BundleOpening)(node, out) if stubborn else out

    dealer.twist = twist
    return dealer, session.index_of(dealer)


def test_a_bad_bundle_is_opened_after_a_complaint() -> None:
    session = Session(50, upload_blocks=30)
    _, index = deal_badly(session, stubborn=False)
    session.run()
    assert session.assert_exact().count == 6 and index in session.accepted()
    assert any(kind == "bundle-opening" for kind, _, _ in session.network.delivered)


def test_a_dealer_that_does_not_answer_a_complaint_is_out() -> None:
    session = Session(51, upload_blocks=30)
    _, index = deal_badly(session, stubborn=True)
    session.run()
    assert session.assert_exact().count == 5
    assert index not in session.in_set(Bitmap.BUNDLES)


@pytest.mark.parametrize("told", [1, 4])
def test_a_complaint_that_the_dealer_does_not_hear_is_handed_on_to_it(told: int) -> None:
    """A member complains about good bundles, to provers only; one prover more keeps it to itself and votes against."""
    session = Session(52, upload_blocks=30)
    session.run_until(Phase.KEYS)
    plaintiff, victim, _ = session.market.groups[0]
    node, dealer = session.registered()[plaintiff], session.registered()[victim]
    sign = node.machine._core.identity.sign  # type: ignore[attr-defined]
    signature = sign(complaint_digest(node.context, dealer.address, node.address))
    complaint = msg.Complaint(node.address, victim, plaintiff, signature)
    committee = session.committee()
    accomplice = committee[4]
    accomplice.twist = lambda _, effects: [
        replace(e, args=(e.args[0], 0)) if isinstance(e, fx.Transact) and e.call == "postBitmap" else e
        for e in effects
        if not (isinstance(e, fx.Send) and isinstance(e.message, msg.Complaint))
    ]
    session.network.act(node, [fx.Send(p.address, complaint) for p in committee[:told]])
    session.run()
    assert victim in session.in_set(Bitmap.BUNDLES)
    assert session.assert_exact().count == 6


def test_a_complaint_at_the_last_moment_comes_too_late() -> None:
    session = Session(53)
    session.owners[0].twist = swallow(msg.BundleSet)  # so the bitmaps wait for the cut
    session.run_until(Phase.KEYS)
    slow = session.index_of(session.owners[0])
    victim, plaintiff, _ = next(group for group in session.market.groups if slow not in group)
    node, dealer = session.registered()[plaintiff], session.registered()[victim]
    sign = node.machine._core.identity.sign  # type: ignore[attr-defined]
    signature = sign(complaint_digest(node.context, dealer.address, node.address))
    session.run_until(Phase.BUNDLES)
    prover = session.committee()[0]
    while session.market.phase == Phase.BUNDLES and not any(n.name == "complaints_closed" for n in prover.notes):
        session.step()
    assert not any(getattr(e, "key", "") == "postBitmap-BUNDLES" for e in prover.effects)
    with pytest.raises(RemoteProtocolError, match="late"):
        prover.machine.receive(msg.Complaint(node.address, victim, plaintiff, signature))
    session.run()
    assert victim in session.in_set(Bitmap.BUNDLES) and session.market.phase == Phase.FINISHED
