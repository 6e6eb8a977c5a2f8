"""What must never leave a data owner, and how it defends its upload."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from protocols.errors import LocalProtocolError
from protocols.fields.goldilocks import from_signed
from protocols.secagg.shares import MASK_KEY, SELF_SEED
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap, Phase
from protocols.wire import messages as msg
from tests.unit.grouped import COMMITTEE, DIMENSION, World, owner, prover, rule_of, sign


def unmasks(effects: list[fx.Effect]) -> list[msg.Unmask]:
    return [e.message for e in effects if isinstance(e, fx.Send) and isinstance(e.message, msg.Unmask)]


def uploaded(size: int = 5, valid: set[int] | None = None) -> World:
    world = World(size)
    world.to_upload(valid or set(range(size)))
    return world


@pytest.mark.parametrize("alive", [set(c) for n in (3, 4, 5) for c in itertools.combinations(range(5), n) if 0 in c])
def test_never_both_secrets_of_one_peer(alive: set[int]) -> None:
    world = uploaded()
    world.phase(Phase.VALID)
    world.fix(Bitmap.VALID, alive)
    messages = unmasks(world.effects[0])
    assert len(messages) == COMMITTEE
    assert len(set(messages)) == 1
    (message,) = set(messages)
    assert message.valid_set == sum(1 << k for k in alive)
    kinds = dict(zip(message.dealers, message.kinds, strict=True))
    assert len(message.dealers) == len(kinds)
    assert kinds == {k: SELF_SEED if k in alive else MASK_KEY for k in range(5)}


def test_a_second_u_is_refused_by_the_machine() -> None:
    world = uploaded()
    world.fix(Bitmap.VALID, {0, 1, 2})
    assert world.machines[0].chain(ev.SetFixed(7, world.block, Bitmap.VALID, 0b00111)) == []
    with pytest.raises(LocalProtocolError, match="second"):
        world.machines[0].chain(ev.SetFixed(7, world.block, Bitmap.VALID, 0b01111))
    assert len(unmasks(world.effects[0])) == COMMITTEE


def test_also_one_that_we_were_not_in() -> None:
    world = uploaded()
    world.fix(Bitmap.VALID, {1, 2, 3})
    assert unmasks(world.effects[0]) == []
    with pytest.raises(LocalProtocolError):
        world.machines[0].chain(ev.SetFixed(7, world.block, Bitmap.VALID, 0b11111))


@pytest.mark.parametrize(("valid", "alive"), [({0, 1, 2, 3, 4}, {0, 1}), ({0, 1}, {0, 1}), ({1, 2, 3}, {0, 1, 2})])
def test_a_failed_group_gets_no_shares(valid: set[int], alive: set[int]) -> None:
    """Too few of U, too few of V, or we were not in V ourselves."""
    world = uploaded(valid=valid)
    world.fix(Bitmap.VALID, alive)
    assert unmasks(world.effects[0]) == []
    assert not any(isinstance(e, fx.Remember) and e.key == "U" for e in world.effects[0])


def test_missing_bundles_are_said_and_left_out() -> None:
    world = uploaded()
    world.machines[0]._bundles.held.pop(3)
    world.fix(Bitmap.VALID, {0, 1, 2, 3})
    assert [m.dealers for m in unmasks(world.effects[0])] == [tuple(k for k in world.order if k != 3)] * COMMITTEE
    assert fx.Note("shares_missing", (("count", 1),)) in world.effects[0]


def test_nothing_but_the_mask_hides_the_same_update() -> None:
    """Two members with one update send unrelated vectors; so do two sessions' worth of pieces."""
    world = World(3)
    world.updates = dict.fromkeys(range(3), np.ones(DIMENSION, dtype=np.int64))
    world.to_upload({0, 1, 2})
    masked = [world.masked(k) for k in range(3)]
    plain = from_signed(world.updates[0])
    for a, b in itertools.combinations([*masked, plain], 2):
        assert not np.any(a == b)


def test_pieces_agree_whoever_opens_them() -> None:
    world = uploaded(3)
    for pair in itertools.combinations(range(COMMITTEE), 2):
        assert np.array_equal(world.masked(1, pair), world.masked(1))


def test_pads_are_uniform_and_differ() -> None:
    world = uploaded(5)
    pads = set()
    for k in range(5):
        shares = [world.share_of(k, i)[-1:] for i in (0, 1)]
        pads.add(int(shares[0][0]))
    assert len(pads) == 5


def test_bad_receipts() -> None:
    world = uploaded(3)
    machine, good = world.machines[0], world.receipt(0, 1)
    assert rule_of(machine, dataclasses.replace(good, root=bytes(32))) == "wrong-receipt"
    assert rule_of(machine, dataclasses.replace(good, data_owner=owner(1))) == "wrong-receipt"
    assert rule_of(machine, dataclasses.replace(good, signature=bytes(65))) == "bad-signature"
    assert rule_of(machine, dataclasses.replace(good, sender=prover(2))) == "bad-signature"
    assert rule_of(machine, dataclasses.replace(good, sender=owner(1))) == "wrong-role"
    forged = dataclasses.replace(good, signature=sign(prover(2), b"something else"))
    assert rule_of(machine, forged) == "bad-signature"
    assert world.send(0, good) == []
    assert world.send(0, good) == []
    assert machine.status()["receipts"] == [1]


def test_receipts_before_the_upload_are_for_something_else() -> None:
    world = World(3)
    world.register()
    world.draw()
    receipt = msg.Receipt(prover(0), owner(0), bytes(32), sign(prover(0), bytes(32)))
    assert rule_of(world.machines[0], receipt) == "wrong-receipt"


def posted(world: World) -> list[str]:
    return [key for key in world.transactions[0] if key.startswith("postReceipt")]


def delivered(receipts: tuple[int, ...]) -> World:
    world = uploaded(3)
    for i in receipts:
        world.send(0, world.receipt(0, i))
    world.phase(Phase.DELIVERED, world.block + 10)
    return world


def test_a_prover_that_leaves_us_out_is_shown_its_receipt() -> None:
    world = delivered((0, 1))
    world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, 0, 0b111))
    assert posted(world) == []
    world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, 1, 0b110))
    world.tick(1)
    assert world.transactions[0]["postReceipt/1"].args == (0, 1, world.receipt(0, 1).signature)
    world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, 2, 0b110))  # no receipt of this one
    world.tick(3)
    assert posted(world) == ["postReceipt/1"]


def test_a_receipt_that_comes_after_the_bitmap_counts_too() -> None:
    world = delivered(())
    world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, 3, 0))
    world.send(0, world.receipt(0, 3))
    world.tick(1)
    assert posted(world) == ["postReceipt/3"]


def test_a_prover_only_seems_silent_in_the_middle_of_a_block() -> None:
    world = delivered((0, 1, 2, 3, 4))
    world.phase(Phase.DELIVERED, world.block + 1)
    for i in range(5):
        world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, i, 0b111))
    world.tick(1)
    assert posted(world) == []


def test_receipts_of_silent_provers_are_posted_when_they_are_needed() -> None:
    world = delivered((0, 1, 2, 3, 4))
    for i in (0, 1, 2):
        world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, i, 0b111))
    world.tick(7)
    assert posted(world) == []
    world.tick(1)  # two blocks before the deadline: one bit short of n - t
    assert posted(world) == ["postReceipt/3"]
    world.tick(2)
    assert posted(world) == ["postReceipt/3"]


def test_no_receipt_is_posted_where_the_bits_suffice() -> None:
    world = delivered((0, 1, 2, 3, 4))
    for i in range(4):
        world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, i, 0b111))
    world.tick(10)
    assert posted(world) == []


def test_receipts_are_posted_only_while_they_count() -> None:
    world = delivered((1,))
    world.phase(Phase.QUERY)
    world.emit(ev.BitmapPosted(7, world.block, Bitmap.DELIVERED, 1, 0))
    assert posted(world) == []
