"""Key sharing under loss and malice: lost gossip, bad bundles, lying provers, complaints."""

from __future__ import annotations

import dataclasses

import pytest

from protocols.secagg import shares
from protocols.secagg.keys import PublicKeys, SessionKeys
from protocols.secagg.seal import bundle_associated, seal
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.complaints import complaint_digest
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import messages as msg
from tests.unit.grouped import COMMITTEE, CONTEXT, World, owner, prover, rule_of, sign


def keys_of(k: int) -> SessionKeys:
    return SessionKeys.derive(bytes([k + 1]) * 32, CONTEXT, owner(k))


def announcement(k: int, keys: PublicKeys | None = None) -> msg.Announcement:
    public = keys or keys_of(k).public
    return msg.Announcement(owner(k), 1, bytes([k]) * 32, (), public.enc, public.mask, public.self_hash, b"s" * 65)


def bundles_reply(world: World, asker: int, i: int = 0) -> msg.Bundles:
    """What an honest prover answers."""
    sets = {k: m for k, m in world.said(i, msg.BundleSet).items() if k != asker}
    dealers = sorted(sets)
    public = [keys_of(k).public for k in dealers]
    sealed = tuple(sets[k].sealed[world.place(asker)] for k in dealers)  # type: ignore[attr-defined]
    return msg.Bundles(
        prover(i), tuple(dealers), tuple(p.enc for p in public), tuple(p.mask for p in public),
        tuple(p.self_hash for p in public), sealed,
    )  # fmt: skip


def complaint(recipient: int, dealer: int, sender: bytes = b"") -> msg.Complaint:
    """Signed by the recipient, sent by itself unless somebody hands it on."""
    signature = sign(owner(recipient), complaint_digest(CONTEXT, owner(dealer), owner(recipient)))
    return msg.Complaint(sender or owner(recipient), dealer, recipient, signature)


def sent(effects: list[fx.Effect], kind: type[msg.Message]) -> list[fx.Send]:
    return [e for e in effects if isinstance(e, fx.Send) and isinstance(e.message, kind)]


def blamed(effects: list[fx.Effect]) -> list[tuple[bytes, str]]:
    return [(e.peer, e.rule) for e in effects if isinstance(e, fx.Blame)]


def drawn(size: int = 3) -> World:
    world = World(size)
    world.register()
    world.draw()
    return world


def test_lost_gossip_is_made_up_for_by_the_provers() -> None:
    """Data owner 1 hears nobody; the others reach the provers. It asks them for keys and bundles, and uploads."""
    world = World(3, deaf={1})
    world.register()
    world.draw()
    assert world.said(0, msg.BundleSet).keys() == {0, 2}
    world.commit_roots()
    world.tick(2)
    assert world.said(0, msg.BundleSet).keys() == {0, 1, 2}
    assert len(sent(world.effects[1], msg.BundleRequest)) == COMMITTEE
    effects = world.send(1, bundles_reply(world, 1))
    assert world.machines[1].status()["bundles"] == [0, 2]
    assert {e.to for e in sent(effects, msg.Bundle)} == {owner(0), owner(2)}
    fuller = sent(effects, msg.BundleSet)[0].message
    assert isinstance(fuller, msg.BundleSet)
    assert sum(len(s) > 0 for s in fuller.sealed) == 2
    assert world.send(1, bundles_reply(world, 1)) == []
    world.fix(Bitmap.BUNDLES, {0, 1, 2})
    world.phase(Phase.UPLOAD)
    world.train()
    assert all("commitUpload" in world.transactions[k] for k in range(3))


def test_requests_are_repeated_while_something_of_v_is_missing() -> None:
    world = World(3, deaf={1})
    world.to_upload({0, 1, 2})
    before = len(sent(world.effects[1], msg.BundleRequest))
    world.tick(4)
    assert len(sent(world.effects[1], msg.BundleRequest)) == before + 2 * COMMITTEE
    assert "commitUpload" not in world.transactions[1]
    world.send(1, bundles_reply(world, 1))
    assert "commitUpload" in world.transactions[1]
    world.tick(4)
    assert len(sent(world.effects[1], msg.BundleRequest)) == before + 2 * COMMITTEE


def test_announcements_before_the_draw_are_kept() -> None:
    world = World(2)
    world.register()
    assert world.send(0, announcement(1)) == []
    assert world.send(0, announcement(1)) == []
    world.draw()
    assert world.machines[0].status()["keys"] == [1]


def test_our_own_announcement_is_no_news() -> None:
    world = drawn()
    assert world.send(0, announcement(0)) == []
    assert world.machines[0].status()["keys"] == [1, 2]


def test_keys_that_were_not_registered_are_refused() -> None:
    world = World(3, deaf={0})
    world.register()
    world.draw()
    machine = world.machines[0]
    assert rule_of(machine, announcement(1, keys_of(2).public)) == "bad-keys"
    assert (
        rule_of(machine, dataclasses.replace(announcement(1), enc_key=b"", mask_key=b"", self_hash=b"")) == "bad-keys"
    )
    assert rule_of(machine, dataclasses.replace(announcement(1), sender=b"x" * 20)) == "not-ready"
    assert machine.status()["keys"] == []


def test_messages_before_the_draw_come_too_early() -> None:
    world = World(3)
    world.register()
    machine = world.machines[0]
    for message in (
        msg.Bundle(owner(1), 0, b"x"),
        complaint(1, 0),
        msg.Bundles(prover(0), (), (), (), (), ()),
        msg.BundleOpening(prover(0), 1, 0, b"x"),
    ):
        assert rule_of(machine, message) == "not-ready"


def test_who_may_say_what() -> None:
    world = drawn()
    machine = world.machines[0]
    stranger = b"x" * 20
    assert rule_of(machine, msg.Bundle(stranger, 0, b"x")) == "wrong-role"
    assert rule_of(machine, msg.Bundle(prover(0), 0, b"x")) == "wrong-role"
    assert rule_of(machine, msg.Bundle(owner(0), 0, b"x")) == "wrong-role"
    assert rule_of(machine, msg.Bundle(owner(1), 2, b"x")) == "wrong-recipient"
    assert rule_of(machine, complaint(1, 0, stranger)) == "wrong-role"
    assert rule_of(machine, complaint(1, 2)) == "wrong-dealer"
    assert rule_of(machine, complaint(0, 0)) == "wrong-dealer"
    assert rule_of(machine, msg.Bundles(owner(1), (), (), (), (), ())) == "wrong-role"
    assert rule_of(machine, msg.BundleOpening(owner(1), 1, 0, b"x")) == "wrong-role"
    assert rule_of(machine, msg.BundleOpening(prover(0), 1, 2, b"x")) == "wrong-recipient"
    assert rule_of(machine, msg.BundleOpening(prover(0), 0, 0, b"x")) == "wrong-recipient"
    assert rule_of(machine, msg.BundleOpening(prover(0), 1, 0, b"x")) == "not-ready"
    assert rule_of(machine, msg.Receipt(owner(1), owner(0), bytes(32), bytes(65))) == "wrong-role"
    assert rule_of(machine, msg.OutputRequest(owner(1))) == "unexpected-type"


def test_a_second_bundle_is_equivocation_and_a_repeated_one_is_not() -> None:
    world = drawn()
    bundle = next(m for k, s in world.steps.items() for kind, m in s if isinstance(m, msg.Bundle) and k == 0)
    assert isinstance(bundle, msg.Bundle)
    assert world.send(0, bundle) == []
    other = dataclasses.replace(bundle, sealed=bundle.sealed + b"x")
    assert rule_of(world.machines[0], other) == "equivocation"


def spoiled(world: World, dealer: int, recipient: int, good: bool = False) -> msg.Bundle:
    """A bundle that opens, with a share that the dealer did not commit (or, ``good``, the committed ones)."""
    dealt = world.machines[dealer]._keys.dealt
    assert dealt is not None
    plain = shares.pack_bundle(dealt.bundles[world.place(recipient)])
    if not good:
        plain = bytes([plain[0] ^ 1]) + plain[1:]
    keys = keys_of(dealer)
    associated = bundle_associated(owner(dealer), owner(recipient))
    return msg.Bundle(
        owner(dealer), recipient, seal(CONTEXT, keys.enc_secret, keys_of(recipient).enc_public, associated, plain)
    )


def with_bad_dealer() -> World:
    """Data owner 2's bundle for 0 is bad; 0 was deaf to the good one."""
    world = World(3, deaf={0})
    world.register()
    world.draw()
    world.send(0, announcement(1))
    world.send(0, announcement(2))
    world.send(0, spoiled(world, 2, 0))
    assert blamed(world.effects[0]) == []  # no root on chain yet: nothing to hold it against
    return world


def test_a_bad_bundle_is_complained_about_and_opened() -> None:
    world = with_bad_dealer()
    world.deaf = set()
    world.commit_roots()
    effects = world.effects[0]
    assert blamed(effects) == [(owner(2), "bad-bundle")]
    assert {e.to for e in sent(effects, msg.Complaint)} == {owner(2), *map(prover, range(COMMITTEE))}
    opening = sent(world.effects[2], msg.BundleOpening)
    assert {e.to for e in opening} == set(map(prover, range(COMMITTEE)))
    assert world.send(2, complaint(0, 2)) == []  # once is enough
    plain = opening[0].message
    assert isinstance(plain, msg.BundleOpening)
    handed = dataclasses.replace(plain, sender=prover(3))
    assert rule_of(world.machines[0], dataclasses.replace(handed, plain=plain.plain[:-1])) == "bad-share"
    assert world.send(0, handed) == []
    assert world.machines[0].status()["bundles"] == [2]
    assert world.send(0, handed) == []


def test_after_v_is_fixed_nobody_opens_and_nobody_complains() -> None:
    world = with_bad_dealer()
    world.emit(ev.SetFixed(7, world.block, Bitmap.BUNDLES, 0b111))
    assert rule_of(world.machines[2], complaint(0, 2)) == "late"
    root = world.transactions[2]["commitShares"].args[0]
    assert isinstance(root, bytes)
    world.emit(ev.ShareRootCommitted(7, world.block, 2, root))
    assert blamed(world.effects[0]) == [(owner(2), "bad-bundle")]
    assert sent(world.effects[0], msg.Complaint) == []


def test_a_prover_hands_on_a_complaint_but_cannot_make_one_up() -> None:
    world = drawn(5)
    forged = msg.Complaint(prover(0), 0, 1, sign(prover(0), complaint_digest(CONTEXT, owner(0), owner(1))))
    assert rule_of(world.machines[0], forged) == "bad-signature"
    assert rule_of(world.machines[0], dataclasses.replace(complaint(2, 0), recipient=1)) == "wrong-role"
    assert rule_of(world.machines[0], dataclasses.replace(complaint(2, 0, prover(0)), recipient=1)) == "bad-signature"
    assert sent(world.send(0, complaint(1, 0, prover(0))), msg.BundleOpening)
    assert world.send(0, complaint(1, 0)) == []


def test_fewer_than_t_shares_are_ever_opened() -> None:
    world = drawn(5)  # T = 3
    assert sent(world.send(0, complaint(1, 0)), msg.BundleOpening)
    assert sent(world.send(0, complaint(2, 0)), msg.BundleOpening)
    assert rule_of(world.machines[0], complaint(3, 0)) == "too-many-complaints"


def test_one_lying_prover_cannot_make_us_complain() -> None:
    world = World(3, deaf={0})
    world.register()
    world.draw()
    world.commit_roots()
    honest = bundles_reply(world, 0)
    lie = dataclasses.replace(honest, sealed=tuple(b"x" * len(s) for s in honest.sealed))
    world.send(0, dataclasses.replace(lie, sender=prover(4)))
    world.send(0, dataclasses.replace(lie, sender=prover(4)))
    assert blamed(world.effects[0]) == []
    world.send(0, honest)
    assert world.machines[0].status()["bundles"] == [1, 2]
    assert sent(world.effects[0], msg.Complaint) == []


def test_what_more_than_t_provers_say_counts_as_the_dealer_s_word() -> None:
    world = World(3, deaf={0})
    world.register()
    world.draw()
    world.commit_roots()
    honest = bundles_reply(world, 0)
    lie = dataclasses.replace(honest, sealed=tuple(b"x" * len(s) for s in honest.sealed))
    for i in range(2):
        world.send(0, dataclasses.replace(lie, sender=prover(i)))
    assert {peer for peer, _ in blamed(world.effects[0])} == {owner(1), owner(2)}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"dealers": (1, 1)}, "wrong-dealer"),
        ({"dealers": (1, 9)}, "wrong-dealer"),
        ({"dealers": (2, 1)}, "bad-keys"),
        ({"enc_keys": (b"k" * 32,) * 2}, "bad-keys"),
        ({"sender": b"x" * 20}, "wrong-role"),
    ],
)
def test_a_reply_with_a_fault_is_refused_whole(changes: dict[str, object], rule: str) -> None:
    world = World(3, deaf={0})
    world.register()
    world.draw()
    world.commit_roots()
    world.tick(2)
    reply = dataclasses.replace(bundles_reply(world, 0), **changes)  # type: ignore[arg-type]
    assert rule_of(world.machines[0], reply) == rule
    assert world.machines[0].status()["keys"] == []


def test_a_peer_with_a_useless_key_is_blamed_and_left_out() -> None:
    """It registered an encryption key of small order: nothing can be sealed to it."""
    world = World(3)
    world.register()
    bad = PublicKeys(bytes(32), keys_of(1).mask_public, keys_of(1).self_hash)
    for machine in world.machines.values():
        member = machine.view.members[1]
        machine.view.members[1] = dataclasses.replace(member, key_digest=bad.digest(CONTEXT, owner(1)))
    machine = world.machines[0]
    machine.chain(ev.GroupsDrawn(7, world.block, world.order, 1))
    machine.chain(ev.PhaseChanged(7, world.block, Phase.KEYS, world.block + 6))
    effects = machine.receive(announcement(1, bad))
    assert blamed(effects) == [(owner(1), "bad-keys")]
    effects = machine.receive(announcement(2))
    sets = sent(effects, msg.BundleSet)
    assert len(sets) == COMMITTEE
    assert [len(s) > 0 for s in sets[0].message.sealed] == [k == 2 for k in world.order]  # type: ignore[attr-defined]


def test_the_set_goes_out_before_the_deadline_with_what_is_there() -> None:
    world = World(3)
    world.register()
    world.dead = {1}
    world.draw()
    assert world.said(0, msg.BundleSet) == {}
    world.tick(4)
    assert world.said(0, msg.BundleSet) == {}
    world.tick(1)  # one block before the deadline
    assert world.said(0, msg.BundleSet).keys() == {0, 2}
    count = len(sent(world.effects[0], msg.BundleSet))
    world.tick(2)
    assert len(sent(world.effects[0], msg.BundleSet)) == count
