"""Messages of verified sessions that are forged, replayed or from another session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Node
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.params import Payout, Phase, Rule
from protocols.wire import codec
from protocols.wire import messages as msg
from protocols.wire.context import Context
from tests.simulation.session import Session, verified


def everything_sent(session: Session) -> list[tuple[Node, fx.Send]]:
    """All messages of an honest session, with their senders."""
    return [(node, e) for node in session.network.nodes.values() for e in node.effects if isinstance(e, fx.Send)]


def receipts(session: Session) -> list[tuple[Node, msg.Receipt]]:
    """All receipts, with those that they were made for."""
    return [
        (session.network.nodes[e.message.data_owner], e.message)
        for prover in session.provers
        for e in prover.effects
        if isinstance(e, fx.Reply) and isinstance(e.message, msg.Receipt)
    ]


def test_messages_of_another_session_are_refused_as_such() -> None:
    session = verified(1, rule=Rule.TRUST).run()
    other = Context(31337, bytes(range(20)), 8)
    for _, effect in everything_sent(session):
        with pytest.raises(RemoteProtocolError) as caught:
            session.network.nodes[effect.to].receive(codec.encode(effect.message, other))
        assert caught.value.rule == "wrong-session"


def test_messages_with_a_false_sender_raise_and_change_nothing() -> None:
    session = verified(2, payout=Payout.CONTRIBUTION).run()
    for _, effect in everything_sent(session):
        node = session.network.nodes[effect.to]
        before = node.machine.status()
        with pytest.raises(RemoteProtocolError):
            node.machine.receive(replace(effect.message, sender=bytes(20)))
        assert node.machine.status() == before


@pytest.mark.parametrize("phase", [Phase.UPLOAD, Phase.VALID, Phase.BATCH, Phase.OUTPUT], ids=lambda p: p.name)
def test_replayed_messages_do_nothing_new(phase: Phase) -> None:
    session = verified(3, rule=Rule.TRUST, payout=Payout.CONTRIBUTION)
    session.run_until(phase)
    for _, effect in everything_sent(session):
        node = session.network.nodes[effect.to]
        before = node.machine.status()
        try:
            again = node.machine.receive(effect.message)
        except RemoteProtocolError:
            again = []
        assert all(isinstance(e, fx.Reply) for e in again) and node.machine.status() == before
    session.run()
    session.assert_exact()


def test_an_upload_does_not_pass_for_one_of_somebody_else() -> None:
    session = verified(4, rule=Rule.TRUST)
    session.run_until(Phase.DELIVERED)
    thief = session.owners[0]
    sent = [(e.to, e.message) for node, e in everything_sent(session) if isinstance(e.message, msg.Upload)
            and node is not thief]  # fmt: skip
    assert len(sent) == 5 * 6
    for to, upload in sent:
        with pytest.raises(RemoteProtocolError):
            session.network.nodes[to].machine.receive(replace(upload, sender=thief.address))
    session.run()
    assert session.assert_exact().count == 6


def test_a_receipt_serves_only_whom_it_was_made_for() -> None:
    session = verified(5, rule=Rule.TRUST).run()
    uploaders = [*session.owners, session.owner]
    assert len(receipts(session)) >= 5 * len(uploaders)
    for maker, receipt in receipts(session):
        assert maker.machine.receive(receipt) == []
        for node in uploaders:
            if node is not maker:
                with pytest.raises(RemoteProtocolError, match="wrong-receipt"):
                    node.machine.receive(receipt)


def test_provers_refuse_what_others_may_not_say() -> None:
    """Every message of a prover to a prover, taken over by a data owner and by the owner."""
    session = verified(6, payout=Payout.CONTRIBUTION).run()
    for node, effect in everything_sent(session):
        target = session.network.nodes[effect.to]
        if node in session.provers and target in session.provers:
            for pretender in (session.owners[0], session.owner):
                with pytest.raises(RemoteProtocolError):
                    target.machine.receive(replace(effect.message, sender=pretender.address))


def test_only_the_owner_gets_the_sum() -> None:
    session = verified(7).run()
    for prover in session.committee():
        for node in [*session.owners, *session.provers]:
            with pytest.raises(RemoteProtocolError):
                prover.machine.receive(msg.OutputRequest(node.address))
