"""The data owner of a session with certificate zk: one record, shares that are committed to, all from one seed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions import machines, zk_upload
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule, SessionParams
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_upload import upload_key_digest
from protocols.sessions.zk_keys import Keys, no_keys
from protocols.zk.key import Key
from protocols.zk.record import BYTES, BYTES_NORMS
from tests.simulation import proofs
from tests.unit.verified import CONTEXT, DATA_OWNERS, N, rule_of
from tests.unit.zk_world import ZkWorld

ME = DATA_OWNERS[1]
SEED = bytes([5]) * 32
KINDS = [{"rule": Rule.MULTI_KRUM}, {"rule": Rule.TRUST}, {"payout": Payout.CONTRIBUTION}, {"rule": Rule.NONE}]


def world(first: int = 0, seed: bytes = SEED, keys: Keys = proofs.key_of, **changes: object) -> ZkWorld:
    uploads = zk_upload.uploads(keys)
    return ZkWorld(
        lambda: VerifiedDataOwnerMachine(CONTEXT, ME, seed, peer_key=b"p" * 32, uploads=uploads), first, **changes
    )


def uploaded(**changes: object) -> ZkWorld:
    """In phase UPLOAD, the pieces under way."""
    made = world(**changes)  # type: ignore[arg-type]
    made.to_upload()
    made.train()
    return made


def root_of(made: ZkWorld) -> bytes:
    (call,) = made.calls("commitUpload")
    (root,) = call.args
    assert isinstance(root, bytes)
    return root


# ---------------------------------------------------------------------------------------------------------- upload


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_the_pieces_open_to_the_update_and_the_record_to_the_root_on_chain(changes: dict[str, object]) -> None:
    made = uploaded(**changes)
    made.assert_sound()
    assert np.array_equal(made.uploaded_vector(), made.update)
    for points in ((1, 2), (3, 4), (5, 1)):
        assert np.array_equal(made.secret(*points), made.secret(2, 5))
    assert {upload.root for upload in made.uploads().values()} == {root_of(made)}
    assert list(made.uploads()) == [prover.address for prover in made.committee]
    assert len({upload.public for upload in made.uploads().values()}) == 1
    record = made.opened(0).record
    assert record.address == int.from_bytes(ME.address, "big")
    assert len(record.encode()) == (BYTES if changes == KINDS[0] else BYTES_NORMS)


def test_only_one_piece_is_a_seed() -> None:
    lengths = [len(upload.sealed) for upload in uploaded().uploads().values()]
    assert lengths[0] == lengths[1] - 32 * (40 + 6 - 1) and len(set(lengths[1:])) == 1


def test_what_is_registered_binds_the_key_that_seals() -> None:
    made = uploaded()
    session, train, register = made.effects[:3]
    assert (session, train) == (fx.Remember("session", made.params.digest), fx.Train())
    assert isinstance(register, fx.Transact) and register.value == made.params.deposit
    keys = {upload.enc_key for upload in made.uploads().values()}
    assert register.args[1] == upload_key_digest(CONTEXT, ME.address, keys.pop()) and not keys


def test_the_root_is_remembered_before_anything_leaves() -> None:
    effects = (made := uploaded()).effects[3:]
    assert isinstance(effects[0], fx.Remember)
    assert effects[0].key.startswith("commitUpload/") and effects[0].value == root_of(made)
    assert effects[1] == fx.Transact("commitUpload", (root_of(made),), key="commitUpload")
    assert len(effects) == 2 + N and all(isinstance(e, fx.Send) for e in effects[2:])


def test_everything_comes_from_the_seed_and_stays_the_same() -> None:
    made, again = uploaded(), uploaded()
    assert made.effects == again.effects
    made.send(made.receipt(2, root_of(made), ME.address))
    made.phase(Phase.DELIVERED)
    made.assert_replays()
    assert root_of(uploaded(seed=bytes([6]) * 32)) != root_of(made)


def test_what_is_hidden_under_is_used_once() -> None:
    """Another update, committee or session of the same number: another commitment, and shares with no common blind."""
    other = world()
    other.to_upload()
    other.update = -other.update
    other.train()
    longer = uploaded(bound=30)
    worlds = [uploaded(), uploaded(first=1), other, longer, uploaded(rule=Rule.OUTLIER)]
    records = [made.opened(0).record for made in worlds]
    assert len({record.c for record in records}) == len({record.dg for record in records}) == len(worlds)
    assert len({bytes(made.secret(2, 5)[-6:]) for made in worlds}) == len(worlds)


def test_an_update_that_comes_early_waits_and_one_that_comes_late_stays_here() -> None:
    early = world()
    early.draw()
    assert early.train() == []
    early.register()
    early.phase(Phase.UPLOAD)
    assert root_of(early) == root_of(uploaded())
    late = world()
    late.to_upload()
    late.phase(Phase.DELIVERED)
    assert late.train() == [fx.Note("update_late", (("phase", "delivered"),))]
    assert late.calls("commitUpload") == [] and late.machine.status()["why"] == "our update was not ready in time"


# ---------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize("changes", KINDS[:2], ids=str)
@pytest.mark.parametrize(("value", "at"), [(32, 1), (-33, 1), (2**40, 1), (31, 2), (5, 40)], ids=str)
def test_what_cannot_be_proved_is_refused_and_never_clipped(value: int, at: int, changes: dict[str, object]) -> None:
    """Coordinates out of range, and norms above the bound: under the distance rules the contract would see the norm."""
    made = world(**changes)  # type: ignore[arg-type]
    made.to_upload()
    bad = np.zeros(40, np.int64)
    bad[:at] = value
    with pytest.raises(ValueError):
        made.machine.update_ready(bad)  # type: ignore[attr-defined]
    assert made.machine.status()["why"].startswith("our update is out of bounds")
    assert made.tick(3) == [] and made.calls("commitUpload") == []
    made.train()
    assert made.machine.status()["why"] == "" and np.array_equal(made.uploaded_vector(), made.update)


@pytest.mark.parametrize("changes", KINDS[:2], ids=str)
@pytest.mark.parametrize("value", [31, -31])
def test_the_longest_update_is_taken(value: int, changes: dict[str, object]) -> None:
    made = world(**changes)  # type: ignore[arg-type]
    made.to_upload()
    made.update = np.zeros(40, np.int64)
    made.update[7] = value
    made.train()
    made.assert_sound()
    assert np.array_equal(made.uploaded_vector(), made.update)


@pytest.mark.parametrize("bad", [np.zeros(39, np.int64), np.zeros(40, np.int32), np.zeros((40, 1), np.int64)])
def test_updates_of_another_shape_are_our_own_fault(bad: np.ndarray) -> None:
    made = world()
    made.to_upload()
    with pytest.raises(ValueError, match="shape"):
        made.machine.update_ready(bad)  # type: ignore[attr-defined]


@settings(max_examples=6, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(st.integers(-4, 4), min_size=40, max_size=40))
def test_any_seed_and_update_make_a_sound_upload(seed: bytes, values: list[int]) -> None:
    made = world(seed=seed, rule=Rule.TRUST)
    made.to_upload()
    made.update = np.array(values, np.int64)
    made.train()
    made.assert_sound()
    assert np.array_equal(made.uploaded_vector(), made.update)


# ------------------------------------------------------------------------------------------------------------- keys


def another(params: SessionParams) -> Key:
    """A string of other powers, as a node with another file would have it."""
    return proofs.key_of(replace(params, dimension=params.dimension + 1))


@pytest.mark.parametrize(("keys", "said"), [(no_keys, "[proofs] string"), (another, "configure the string")])
def test_without_the_key_it_does_not_join(keys: Keys, said: str) -> None:
    made = world(keys=keys)
    made.draw()
    made.register(0, 2, 3)
    made.phase(Phase.UPLOAD)
    why = made.machine.status()["why"]
    assert made.effects == [fx.Note("session_left", (("why", why),))] and said in why
    assert made.train() == [] and made.calls() == [] and made.machine.status()["why"] == why
    made.phase(Phase.ABORTED)
    assert made.calls() == []
    made.assert_replays()


def test_a_key_that_is_gone_after_registration_lets_nothing_out_and_raises_nothing() -> None:
    """The same node after a restart with another configuration: its journal is read by a machine without the key."""
    made = uploaded()
    made.send(made.receipt(2, root_of(made), ME.address))
    other = world(keys=no_keys)
    for kind, value in made.inputs:
        if kind != "message":
            other.feed(kind, value)
    assert other.calls("commitUpload") == [] and other.uploads() == {}
    assert "[proofs] string" in other.machine.status()["why"]
    assert [call.call for call in other.calls()] == []
    other.emit(ev.PhaseChanged, Phase.ABORTED, 0)


def test_the_policy_does_not_wipe_out_why_it_left() -> None:
    uploads = zk_upload.uploads(no_keys)
    made = ZkWorld(
        lambda: VerifiedDataOwnerMachine(
            CONTEXT, ME, SEED, peer_key=b"p" * 32, policy=lambda view: "too few", uploads=uploads
        )
    )
    made.to_upload()
    assert len(made.notes("session_left")) == 1 and "[proofs] string" in made.machine.status()["why"]


# --------------------------------------------------------------------------------------------------------- outcome


def test_receipts_count_as_ever() -> None:
    made = uploaded()
    good = made.receipt(0, root_of(made), ME.address)
    assert rule_of(made.machine, replace(good, root=bytes(32))) == "wrong-receipt"
    for i in range(4):
        made.send(made.receipt(i, root_of(made), ME.address))
    assert made.notes("upload_safe") == [{"receipts": 4}] and made.machine.status()["may_leave"]


@pytest.mark.parametrize(
    ("committed", "in_delivered", "in_valid", "accepted", "why"),
    [
        (False, False, False, False, "our update was not committed in time"),
        (True, False, False, False, "our update did not reach the provers in time"),
        (True, True, False, False, "our record's proof was refused, or a share of ours does not fit its commitment"),
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
    bits = 0b1111 if accepted else 0b1101
    made.emit(ev.BatchFinal, bytes(32), bits, bits, bits)
    made.emit(ev.Proved, (1, 2), bytes(32))
    assert made.notes("settled") == [{"accepted": accepted, "why": why}] and made.machine.status()["why"] == why


def test_under_trust_who_is_not_selected_is_still_paid() -> None:
    made = uploaded(rule=Rule.TRUST)
    made.fix(Bitmap.VALID, 0, 1, 2, 3, REFERENCE)
    made.emit(ev.BatchFinal, bytes(32), 0b1101, 0b1101, 0b1101)
    assert made.machine.status()["why"] == "our update was not selected, but is paid: it is valid"


# --------------------------------------------------------------------------------------------------------- machines


def test_the_session_decides_how_updates_are_proved() -> None:
    proved, attested = world().params, replace(world().params, proof_key=bytes(32))
    for params, kind in ((proved, "ZkUpload"), (attested, "VerifiedUpload")):
        made = machines.data_owner(params, CONTEXT, ME, SEED, peer_key=bytes(32), keys=proofs.key_of)
        assert isinstance(made, VerifiedDataOwnerMachine) and type(made._upload).__name__ == kind


def test_who_plays_no_proved_session_loads_no_curve() -> None:
    code = (
        "import sys; from protocols.sessions import machines; from omninode.roles import data_owner, model_owner\n"
        "print([m for m in sys.modules if m.startswith('protocols.bn254')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "[]"
