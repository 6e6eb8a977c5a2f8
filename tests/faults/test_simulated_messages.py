"""Messages that are forged, replayed or from another session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Node
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.params import Phase
from protocols.wire import codec
from protocols.wire.context import Context
from tests.simulation.session import Session


def everything_sent(session: Session) -> list[tuple[Node, fx.Send]]:
    """All messages of an honest session, with their senders."""
    nodes = session.network.nodes.values()
    return [(node, e) for node in nodes for e in node.effects if isinstance(e, fx.Send)]


def test_messages_of_another_session_are_refused_as_such() -> None:
    session = Session(60).run()
    other = Context(31337, bytes(range(20)), 8)
    for _, effect in everything_sent(session)[:200]:
        with pytest.raises(RemoteProtocolError) as caught:
            session.network.nodes[effect.to].receive(codec.encode(effect.message, other))
        assert caught.value.rule == "wrong-session"


def test_messages_with_a_false_sender_raise_and_change_nothing() -> None:
    session = Session(61).run()
    stranger = bytes(20)
    for _, effect in everything_sent(session):
        node = session.network.nodes[effect.to]
        before = node.machine.status()
        with pytest.raises(RemoteProtocolError):
            node.machine.receive(replace(effect.message, sender=stranger))
        assert node.machine.status() == before


def test_replayed_messages_do_nothing_new() -> None:
    session = Session(62)
    session.run_until(Phase.BATCH)
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


def test_a_prover_refuses_what_provers_may_not_say_for_others() -> None:
    """Every kind of message, taken over by a participant of another role."""
    session = Session(63).run()
    data_owner, prover = session.owners[0].address, session.committee()[0]
    for node, effect in everything_sent(session):
        target = session.network.nodes[effect.to]
        if node in session.provers and target in session.provers and target is not prover:
            with pytest.raises(RemoteProtocolError):
                target.machine.receive(replace(effect.message, sender=data_owner))
