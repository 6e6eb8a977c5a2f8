"""The data owner of a verified session: one proved upload, from one seed, and its defence by receipts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError
from protocols.fields import goldilocks as gl
from protocols.pine.encode import OutOfBound
from protocols.pine.transcript import Layout
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_upload import upload_key_digest
from protocols.wire import messages as msg
from tests.unit.verified import CONTEXT, DATA_OWNERS, PROVERS, N, T, World, rule_of

ME = DATA_OWNERS[1]
SEED = bytes([5]) * 32


def machine(seed: bytes = SEED, k: int = 1, **options: object) -> VerifiedDataOwnerMachine:
    return VerifiedDataOwnerMachine(CONTEXT, DATA_OWNERS[k], seed, peer_key=b"p" * 32, **options)  # type: ignore[arg-type]


def world(first: int = 0, seed: bytes = SEED, **changes: object) -> World:
    return World(lambda: machine(seed), first, **changes)


def uploaded(**changes: object) -> World:
    """In phase UPLOAD, the pieces under way."""
    made = world(**changes)
    made.to_upload()
    made.train()
    return made


def root_of(made: World) -> bytes:
    (call,) = made.calls("commitUpload")
    (root,) = call.args
    assert isinstance(root, bytes)
    return root


def receipts(made: World, *provers: int) -> None:
    for i in provers:
        made.send(made.receipt(i, root_of(made), ME.address))


# ---------------------------------------------------------------------------------------------------------- upload


def test_the_pieces_open_to_the_update_and_to_the_root_on_chain() -> None:
    made = uploaded()
    assert np.array_equal(made.uploaded_vector(), made.update)
    assert {upload.root for upload in made.uploads().values()} == {root_of(made)}
    assert list(made.uploads()) == [prover.address for prover in made.committee]
    for points in ((1, 2), (3, 4), (5, 1)):
        assert np.array_equal(made.secret(*points), made.secret(2, 5))


def test_what_is_registered_binds_the_key_that_seals() -> None:
    made = uploaded()
    session, train, register = made.effects[:3]
    assert (session, train) == (fx.Remember("session", made.params.digest), fx.Train())
    assert isinstance(register, fx.Transact) and register.value == made.params.deposit
    peer_key, digest, proof = register.args
    keys = {upload.enc_key for upload in made.uploads().values()}
    assert (peer_key, proof, len(keys)) == (b"p" * 32, (), 1)
    assert digest == upload_key_digest(CONTEXT, ME.address, keys.pop())


def test_the_root_is_remembered_before_anything_leaves() -> None:
    made = uploaded()
    effects = made.effects[3:]
    assert isinstance(effects[0], fx.Remember)
    assert effects[0].key.startswith("commitUpload/") and effects[0].value == root_of(made)
    assert effects[1] == fx.Transact("commitUpload", (root_of(made),), key="commitUpload")
    assert len(effects) == 2 + N and all(isinstance(e, fx.Send) for e in effects[2:])


def test_an_update_that_comes_early_waits_for_the_end_of_registration() -> None:
    early = world()
    early.draw()
    assert early.train() == []
    early.register()
    early.fix(Bitmap.BUNDLES, 0, 1, 2, 3)
    assert early.calls("commitUpload") == []
    early.phase(Phase.UPLOAD)
    assert root_of(early) == root_of(uploaded())
    assert early.uploads() == uploaded().uploads()


def test_an_update_that_comes_late_stays_here() -> None:
    made = world()
    made.to_upload()
    made.phase(Phase.DELIVERED)
    assert made.train() == [fx.Note("update_late", (("phase", "delivered"),))]
    assert made.calls("commitUpload") == [] and made.machine.status()["why"] == "our update was not ready in time"
    made.assert_replays()


def test_only_the_registered_upload() -> None:
    made = world()
    made.draw()
    made.register(0, 2, 3)
    made.fix(Bitmap.BUNDLES, 0, 1, 2)
    made.phase(Phase.UPLOAD)
    assert made.train() == [] and made.machine.status()["why"] == "not registered"
    assert made.phase(Phase.FINISHED) == []


@pytest.mark.parametrize("first", [np.zeros(39, np.int64), np.zeros(40, np.int32), np.zeros((40, 1), np.int64)])
def test_updates_of_another_shape_are_our_own_fault(first: np.ndarray) -> None:
    made = uploaded_not_yet()
    with pytest.raises(ValueError, match="shape"):
        made.machine.update_ready(first)  # type: ignore[attr-defined]
    made.train()
    assert np.array_equal(made.uploaded_vector(), made.update)


def uploaded_not_yet() -> World:
    made = world()
    made.to_upload()
    return made


@pytest.mark.parametrize("factor", [2, 1000, 2**40])
def test_an_update_out_of_bounds_is_refused_and_never_clipped(factor: int) -> None:
    made = uploaded_not_yet()
    bad = np.zeros(40, np.int64)
    bad[3] = made.params.bound * factor
    with pytest.raises(OutOfBound):
        made.machine.update_ready(bad)  # type: ignore[attr-defined]
    assert made.machine.status()["why"].startswith("our update is out of bounds")
    assert made.tick(3) == [] and made.calls("commitUpload") == []
    made.train()
    assert made.machine.status()["why"] == "" and np.array_equal(made.uploaded_vector(), made.update)


def test_the_longest_update_is_taken() -> None:
    made = uploaded_not_yet()
    made.update = np.zeros(40, np.int64)
    made.update[7] = -made.params.bound
    made.train()
    assert np.array_equal(made.uploaded_vector(), made.update)


def test_a_second_update_never_leaves() -> None:
    made = uploaded()
    before = list(made.effects)
    with pytest.raises(LocalProtocolError):
        made.machine.update_ready(made.update + 1)  # type: ignore[attr-defined]
    made.tick(4)
    assert made.effects == before


def test_a_prover_with_a_useless_key_gets_nothing() -> None:
    made = world()
    made.emit(ev.SessionCreated, made.params)
    good = [ev.ProverInfo(p.address, bytes(32), p.enc_secret) for p in made.committee]
    bad = [replace(info, enc_key=bytes(32)) if i == 3 else info for i, info in enumerate(good)]
    made.emit(ev.CommitteeDrawn, tuple(bad))
    made.phase(Phase.REGISTER)
    made.register()
    made.phase(Phase.UPLOAD)
    made.train()
    blames = [e for e in made.effects if isinstance(e, fx.Blame)]
    assert [(b.peer, b.rule) for b in blames] == [(made.committee[3].address, "bad-keys")]
    assert len(made.uploads()) == 4


# -------------------------------------------------------------------------------------------------------- one seed


@settings(max_examples=6)
@given(seed=st.binary(min_size=32, max_size=32))
def test_everything_comes_from_one_seed(seed: bytes) -> None:
    one, two = (world(seed=seed) for _ in range(2))
    for made in (one, two):
        made.to_upload()
        made.train()
    assert one.effects == two.effects
    other = uploaded(seed=bytes(a ^ 1 for a in seed))
    assert root_of(other) != root_of(one)
    mine, its = one.share(4), other.share(4)
    assert not (mine == its).any()


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="seed"):
        machine(bytes(31))


def test_another_committee_or_update_gets_an_unrelated_sharing() -> None:
    made, elsewhere = uploaded(), uploaded(first=5)
    another = world()
    another.to_upload()
    another.update = made.update.copy()
    another.update[0] += 1
    another.train()
    pad = Layout(made.pine).pad
    pads = [int(w.secret(2, 5)[pad][0]) for w in (made, elsewhere, another)]
    assert len(set(pads)) == 3
    differences = gl.sub(made.share(0), another.share(0))[1:40]
    assert remembered(made) == remembered(another) != remembered(elsewhere)
    assert differences.any()  # a related sharing would give the difference of the updates away


def remembered(made: World) -> list[str]:
    return [e.key for e in made.effects if isinstance(e, fx.Remember)]


def test_a_replay_gives_the_same_effects() -> None:
    made = uploaded()
    receipts(made, 0, 2, 4)
    made.tick(3)
    made.phase(Phase.DELIVERED)
    made.emit(ev.BitmapPosted, Bitmap.DELIVERED, 2, 0b1101)
    made.tick(7)
    receipts(made, 1)
    made.fix(Bitmap.DELIVERED, 0, 1, 2)
    made.fix(Bitmap.VALID, 0, 1, 2)
    made.emit(ev.BatchFinal, bytes(32), 7, 7, 7)
    made.phase(Phase.FINISHED)
    assert {call.key for call in made.calls()} >= {"register", "commitUpload", "postReceipt/2", "claim"}
    made.assert_replays()


# -------------------------------------------------------------------------------------------------------- receipts


def test_bad_receipts() -> None:
    made = uploaded()
    good = made.receipt(1, root_of(made), ME.address)
    bent = {
        "wrong-receipt": [replace(good, root=bytes(32)), replace(good, data_owner=DATA_OWNERS[0].address)],
        "bad-signature": [
            replace(good, signature=bytes(65)), replace(good, sender=made.committee[2].address),
            replace(good, signature=made.committee[1].sign(bytes(32))),
        ],
        "wrong-role": [replace(good, sender=DATA_OWNERS[0].address), replace(good, sender=PROVERS[7].address)],
        "unexpected-type": [msg.Opening(made.committee[0].address, "proofs", 0, b"")],
    }  # fmt: skip
    for rule, messages in bent.items():
        assert [rule_of(made.machine, message) for message in messages] == [rule] * len(messages)
    assert made.send(good) == [] and made.send(good) == []
    assert made.machine.status()["receipts"] == [1]


def test_a_receipt_of_another_session_or_before_the_upload_is_for_something_else() -> None:
    made = uploaded_not_yet()
    assert rule_of(made.machine, made.receipt(0, bytes(32), ME.address)) == "wrong-receipt"


def test_with_n_minus_t_receipts_it_may_leave() -> None:
    made = uploaded()
    receipts(made, 0, 1, 4)
    assert made.machine.status()["may_leave"] is False
    receipts(made, 2)
    receipts(made, 2, 3)
    assert made.notes("upload_safe") == [{"receipts": N - T}] and made.machine.status()["may_leave"] is True


def test_gossip_is_not_refused() -> None:
    gossip = msg.Announcement(PROVERS[0].address, 1, bytes(32), (), b"", b"", b"", bytes(65))
    assert uploaded().machine.receive(gossip) == []


def posted(made: World) -> list[str]:
    return [call.key for call in made.calls("postReceipt")]


def delivered(*provers: int) -> World:
    made = uploaded()
    receipts(made, *provers)
    made.phase(Phase.DELIVERED, made.block + 10)
    return made


def test_a_prover_that_leaves_us_out_is_shown_its_receipt() -> None:
    made = delivered(0, 1)
    made.emit(ev.BitmapPosted, Bitmap.DELIVERED, 0, 0b0010)
    made.emit(ev.BitmapPosted, Bitmap.DELIVERED, 1, 0b1101)
    assert posted(made) == []
    made.tick()
    (call,) = made.calls("postReceipt")
    assert call.args == (1, 1, made.receipt(1, root_of(made), ME.address).signature)
    made.emit(ev.BitmapPosted, Bitmap.DELIVERED, 2, 0b1101)  # no receipt of this one
    made.tick(3)
    assert posted(made) == ["postReceipt/1"]


def test_receipts_of_silent_provers_are_posted_when_they_are_needed() -> None:
    made = delivered(0, 1, 2, 3, 4)
    for i in (0, 1):
        made.emit(ev.BitmapPosted, Bitmap.DELIVERED, i, 0b0010)
    made.tick(7)
    assert posted(made) == []
    made.tick()  # two blocks before the deadline: two bits short of n - t
    assert posted(made) == ["postReceipt/2", "postReceipt/3"]
    made.tick(2)
    assert len(posted(made)) == 2


def test_receipts_are_posted_only_while_they_count() -> None:
    made = delivered(1)
    made.phase(Phase.QUERY)
    made.emit(ev.BitmapPosted, Bitmap.DELIVERED, 1, 0)
    made.tick(3)
    assert posted(made) == []


# --------------------------------------------------------------------------------------------------------- outcome


def test_the_policy_is_asked_when_all_are_known() -> None:
    made = World(lambda: machine(policy=lambda view: f"{len(view.members)} members are too few"))
    assert [type(e) for e in made.to_upload()] == [fx.Note]
    assert made.train() == [] and made.calls("commitUpload") == []
    assert made.machine.status()["why"] == "4 members are too few"
    made.phase(Phase.ABORTED)
    assert [call.key for call in made.calls()] == ["register", "claim"]
    made.assert_replays()


def outcome(made: World, bits: int) -> str:
    made.emit(ev.BatchFinal, bytes(32), bits, bits, bits)
    notes = made.notes("settled")
    why = made.machine.status()["why"]
    assert notes == [{"accepted": bool(bits >> 1 & 1), "why": why}]
    assert isinstance(why, str)
    return why


@pytest.mark.parametrize(
    ("committed", "in_delivered", "in_valid", "accepted", "why"),
    [
        (False, False, False, False, "our update was not committed in time"),
        (True, False, False, False, "our update did not reach the provers in time"),
        (True, True, False, False, "the provers found our shares inconsistent or our proof wrong"),
        (True, True, True, False, "our update was not selected"),
        (True, True, True, True, ""),
    ],
)
def test_the_outcome_is_said(committed: bool, in_delivered: bool, in_valid: bool, accepted: bool, why: str) -> None:
    made = uploaded()
    if committed:
        made.emit(ev.UploadCommitted, 1, root_of(made))
    made.fix(Bitmap.DELIVERED, 0, 2, 3, *([1] if in_delivered else []))
    made.fix(Bitmap.VALID, 0, 2, 3, *([1] if in_valid else []))
    assert outcome(made, 0b1111 if accepted else 0b1101) == why


def test_what_our_own_record_knows_comes_first() -> None:
    made = uploaded_not_yet()
    made.phase(Phase.DELIVERED)
    made.train()
    made.fix(Bitmap.DELIVERED, 0, 2, 3)
    assert made.machine.status()["why"] == "our update was not ready in time"


def test_under_trust_who_is_not_selected_is_still_paid() -> None:
    made = uploaded(rule=Rule.TRUST, payout=Payout.EQUAL)
    made.fix(Bitmap.VALID, 0, 1, 2, 3, REFERENCE)
    assert outcome(made, 0b1101) == "our update was not selected, but is paid: it is valid"
    made = uploaded(rule=Rule.TRUST, payout=Payout.CONTRIBUTION)
    made.fix(Bitmap.VALID, 0, 1, 2, 3, REFERENCE)
    assert outcome(made, 0b1101) == "our update was not selected"


def test_an_aborted_session_is_claimed_and_said() -> None:
    made = uploaded()
    made.emit(ev.SessionAborted, "no output")
    made.phase(Phase.ABORTED)
    made.phase(Phase.ABORTED)
    assert made.notes("session_aborted") == [{"why": "no output"}]
    assert [call.key for call in made.calls()].count("claim") == 1
    assert made.machine.status()["why"] == "session aborted: no output"
