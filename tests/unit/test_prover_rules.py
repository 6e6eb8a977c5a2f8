"""Every rule that a prover holds against its peers: what breaks it is refused, named, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest

from omninode.reproduce.stage.node import Node
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.params import Phase
from protocols.wire import messages as msg
from tests.simulation.attacks import mute_from, swallow
from tests.simulation.session import Session


def stopped_at(phase: Phase, seed: int = 1) -> Session:
    """An honest session up to the first block of a phase. Nothing random in it depends on how far it is played."""
    session = Session(seed)
    session.run_until(phase)
    return session


@lru_cache
def finished() -> Session:
    """An honest session, to take messages from."""
    return Session(1).run()


def sent(kind: type[msg.Message], to: Node | None = None, name: str = "") -> Any:
    """Some message of this type of the finished session (to the same node there)."""
    for node in finished().network.nodes.values():
        for e in node.effects:
            if isinstance(e, fx.Send) and isinstance(e.message, kind) and (to is None or e.to == to.address):
                return e.message
    raise AssertionError(f"no {kind.__name__}")


def refused(session: Session, node: Node, message: msg.Message) -> str:
    """The rule under which the node refuses the message; its state must not have changed."""
    before = node.machine.status()
    with pytest.raises(RemoteProtocolError) as caught:
        node.machine.receive(message)
    assert node.machine.status() == before and caught.value.peer == message.sender.hex()
    return caught.value.rule


PROVER = 0


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        (msg.BundleSet, Phase.DRAW),
        (msg.Upload, Phase.KEYS),
        (msg.Opening, Phase.QUERY),
        (msg.Unmask, Phase.QUERY),
        (msg.BatchSignature, Phase.QUERY),
    ],
    ids=lambda x: getattr(x, "__name__", None) or x.name,
)
def test_messages_that_come_too_early_may_come_again(kind: type[msg.Message], phase: Phase) -> None:
    session = stopped_at(phase)
    node = session.provers[PROVER]
    assert session.market.phase == phase
    assert refused(session, node, sent(kind, node)) == "too-early"


def test_bundle_sets() -> None:
    session = stopped_at(Phase.KEYS)
    node = session.provers[PROVER]
    good = sent(msg.BundleSet, node)
    assert refused(session, node, replace(good, enc_key=bytes(32))) == "wrong-keys"
    assert refused(session, node, replace(good, sealed=good.sealed[:-1])) == "wrong-bundles"
    assert refused(session, node, replace(good, sealed=tuple(s + b"x" for s in good.sealed))) == "wrong-bundles"
    assert node.machine.receive(good) == []
    other = tuple(bytes(len(s)) for s in good.sealed)
    assert refused(session, node, replace(good, sealed=other)) == "bundles-twice"
    empty = replace(good, sealed=tuple(b"" for _ in good.sealed))
    assert node.machine.receive(empty) == [] and node.machine.receive(good) == []


def test_bundles_are_handed_to_members_of_the_group_only() -> None:
    session = finished()
    node, groups = session.provers[PROVER], session.market.groups
    asker = session.registered()[groups[0][0]]
    (reply,) = node.machine.receive(msg.BundleRequest(asker.address))
    assert isinstance(reply, fx.Reply) and isinstance(reply.message, msg.Bundles)
    assert sorted(reply.message.dealers) == sorted(groups[0][1:])
    stranger = groups[1][0]
    assert refused(session, node, msg.Complaint(asker.address, stranger, groups[0][0], bytes(65))) == "wrong-dealer"
    assert refused(session, node, msg.BundleOpening(asker.address, stranger, groups[0][1], b"")) == "wrong-dealer"
    opening = msg.BundleOpening(asker.address, groups[0][0], groups[0][1], bytes(300))
    assert refused(session, node, opening) == "wrong-share"
    assert refused(session, node, msg.BundleRequest(session.owner.address)) == "wrong-sender"


def test_uploads() -> None:
    session = Session(1)
    node = session.provers[PROVER]
    for owner in session.owners:
        owner.twist = swallow(msg.Upload, to=node.address)
    session.run_until(Phase.DELIVERED)
    good = sent(msg.Upload, node)
    assert refused(session, node, replace(good, root=bytes(32))) == "wrong-root"
    assert refused(session, node, replace(good, sealed=good.sealed[:-1])) == "bad-piece"
    assert refused(session, node, replace(good, sealed=bytes(20))) == "bad-piece"
    assert refused(session, node, replace(good, enc_key=bytes(32))) in ("bad-piece", "wrong-keys")
    assert refused(session, node, replace(good, proof=good.proof[:-1])) == "bad-proof"
    (receipt,) = node.machine.receive(good)[:1]
    assert isinstance(receipt, fx.Reply) and isinstance(receipt.message, msg.Receipt)
    assert node.machine.receive(good) == [receipt]
    assert refused(session, node, replace(good, sealed=bytes(len(good.sealed)))) == "upload-twice"
    assert refused(session, node, replace(good, enc_key=bytes(32))) == "upload-twice"


def test_announcements_of_strangers() -> None:
    stranger = msg.Announcement(b"x" * 20, 1, bytes(32), (), bytes(32), bytes(32), bytes(32), bytes(65))
    for phase, rule in ((Phase.REGISTER, "not-ready"), (Phase.KEYS, "not-in-set")):
        session = stopped_at(phase)
        assert session.market.phase == phase
        assert refused(session, session.provers[PROVER], stranger) == rule


def test_what_comes_twice_changes_nothing_and_is_answered_alike() -> None:
    session = finished()
    node = session.provers[PROVER]
    said = [m for kind, m in node.journal if kind == "message"]
    before = node.machine.status()
    for message in said:
        try:
            effects = node.machine.receive(message)
        except RemoteProtocolError as error:
            assert error.rule == "late"
            continue
        assert effects == [] or (len(effects) == 1 and isinstance(effects[0], fx.Reply)), message
    assert node.machine.status() == before


def test_a_piece_after_the_bitmap_is_kept_without_a_receipt() -> None:
    session = Session(2)
    node = session.provers[PROVER]
    slow = session.owners[0]
    slow.twist = swallow(msg.Upload, to=node.address)
    session.run_until(Phase.DELIVERED)
    while not any(getattr(e, "key", "") == "postBitmap-DELIVERED" for e in node.effects):
        session.step()
    late = next(
        e.message
        for e in slow.effects
        if isinstance(e, fx.Send) and isinstance(e.message, msg.Upload) and e.to == node.address
    )
    assert node.machine.view.phase <= Phase.QUERY
    assert not any(isinstance(e, fx.Reply) for e in node.machine.receive(late))
    assert session.market.owners.index(slow.address) in node.machine.status()["pieces"]


def test_openings() -> None:
    session = Session(3)
    mute = session.provers[1]
    mute.twist = mute_from(Phase.VALID)
    session.run_until(Phase.VALID)
    node, own = session.provers[PROVER], mute.address
    assert refused(session, node, msg.Opening(own, "projections", 1, bytes(512))) == "too-early"
    for label in ("consistency", "anything"):
        assert refused(session, node, msg.Opening(own, label, 0, b"")) == "unknown-label"
    session.run_until(Phase.BATCH)
    assert refused(session, node, msg.Opening(session.owners[0].address, "projections", 0, b"")) == "wrong-sender"
    for values in (bytes(504), b"\xff" * 512):
        assert refused(session, node, msg.Opening(own, "projections", 1, values)) == "bad-values"


def test_openings_over_groups() -> None:
    session = finished()
    node, peer = session.provers[PROVER], session.provers[1].address
    for label in ("projections", "gram"):
        assert refused(session, node, msg.Opening(peer, label, 4, b"")) == "wrong-set"
        assert refused(session, node, msg.Opening(peer, label, 3, bytes(8))) == "bad-values"


def test_unmask_shares() -> None:
    session = Session(1)
    for owner in session.owners:
        owner.twist = swallow(msg.Unmask)
    session.run_until(Phase.BATCH)
    node = session.provers[PROVER]
    good = sent(msg.Unmask, node)
    assert refused(session, node, replace(good, valid_set=good.valid_set ^ 1)) == "wrong-set"
    assert refused(session, node, replace(good, kinds=tuple(1 - k for k in good.kinds))) == "wrong-dealers"
    assert refused(session, node, replace(good, dealers=(good.dealers[0],) * len(good.dealers))) == "wrong-dealers"
    for change in ({"salts": tuple(bytes(32) for _ in good.salts)}, {"shares": tuple(bytes(40) for _ in good.shares)}):
        assert refused(session, node, replace(good, **change)) == "bad-unmask-share"
    stolen = next(m.address for m in node.machine.view.members if m.address != good.sender)
    assert refused(session, node, replace(good, sender=stolen)) in ("bad-unmask-share", "wrong-dealers")
    peer = session.provers[1].address
    assert refused(session, node, msg.UnmaskRelay(peer, (b"junk",))) == "bad-relay"
    assert refused(session, node, msg.RebuildShare(peer, 0, bytes(8))) == "unasked"
    assert refused(session, node, msg.RebuildRequest(peer, 200)) == "not-in-set"


def test_signatures() -> None:
    session = finished()
    node = session.provers[PROVER]
    good = sent(msg.BatchSignature, node)
    assert refused(session, node, replace(good, passed=good.passed ^ 1)) == "bad-signature"
    assert refused(session, node, replace(good, signature=bytes(65))) == "bad-signature"
    peer = session.provers[1].address
    assert refused(session, node, msg.AttestationSignature(peer, 1, 0, bytes(65))) == "bad-signature"


def test_only_the_owner_gets_the_sum_and_only_after_the_batch() -> None:
    session = stopped_at(Phase.BATCH)
    node = session.provers[PROVER]
    assert refused(session, node, msg.OutputRequest(session.owners[0].address)) == "wrong-sender"
    if session.market.phase == Phase.BATCH:
        assert refused(session, node, msg.OutputRequest(session.owner.address)) == "too-early"
    done = finished()
    (reply,) = done.provers[PROVER].machine.receive(msg.OutputRequest(done.owner.address))
    assert isinstance(reply, fx.Reply) and isinstance(reply.message, msg.OutputShare)


def test_what_provers_never_get_is_refused() -> None:
    session = finished()
    receipt = msg.Receipt(session.provers[1].address, bytes(20), bytes(32), bytes(65))
    assert refused(session, session.provers[PROVER], receipt) == "unexpected-type"
