"""The owner of a verified session: its reference in time or not at all, then the sum of the accepted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.pine.encode import OutOfBound
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.sharing.shamir import share
from protocols.wire import messages as msg
from tests.unit.verified import CONTEXT, DATA_OWNERS, OWNER, N, World, rule_of

TOTAL = np.arange(-20, 20, dtype=np.int64)
REFERENCED = [{"rule": Rule.TRUST}, {"payout": Payout.CONTRIBUTION}, {"rule": Rule.OUTLIER, "payout": 1}]


def world(seed: int = 3, first: int = 0, **changes: object) -> World:
    return World(lambda: VerifiedOwnerMachine(CONTEXT, OWNER, bytes([seed]) * 32), first, **changes)


def referenced(**changes: object) -> World:
    """Phase REGISTER, the reference under way."""
    made = world(**(changes or {"rule": Rule.TRUST}))
    made.draw()
    made.train()
    return made


def root_of(made: World) -> bytes:
    (call,) = made.calls("commitReference")
    (root,) = call.args
    assert isinstance(root, bytes)
    return root


# ------------------------------------------------------------------------------------------------------- reference


@pytest.mark.parametrize("changes", REFERENCED, ids=str)
def test_it_trains_once_the_committee_is_drawn_and_uploads_while_others_register(changes: dict[str, object]) -> None:
    made = world(**changes)
    made.emit(ev.SessionCreated, made.params)
    made.phase(Phase.COMMITTEE)
    assert made.effects == []
    infos = tuple(ev.ProverInfo(p.address, bytes(32), p.enc_secret) for p in made.committee)
    assert made.emit(ev.CommitteeDrawn, infos) == [fx.Train()]
    made.phase(Phase.REGISTER)
    effects = made.train()
    assert isinstance(effects[0], fx.Remember) and effects[0].value == root_of(made)
    assert effects[1] == fx.Transact("commitReference", (root_of(made),), key="commitReference")
    assert [e.to for e in effects[2:] if isinstance(e, fx.Send)] == [p.address for p in made.committee]


def test_the_pieces_open_to_the_reference() -> None:
    made = referenced()
    assert np.array_equal(made.uploaded_vector(), made.update)
    assert {upload.sender for upload in made.uploads().values()} == {OWNER.address}


@pytest.mark.parametrize("rule", [Rule.NONE, Rule.OUTLIER, Rule.M_KRUM])
def test_without_need_of_a_reference_there_is_none(rule: Rule) -> None:
    made = world(rule=rule)
    made.to_upload()
    assert made.effects == []
    with pytest.raises(LocalProtocolError):
        made.machine.update_ready(made.update)  # type: ignore[attr-defined]
    assert made.machine.status()["why"] == ""


def test_a_reference_that_comes_before_registration_opens_waits() -> None:
    made = world(rule=Rule.TRUST)
    made.emit(ev.SessionCreated, made.params)
    made.emit(ev.CommitteeDrawn, tuple(ev.ProverInfo(p.address, bytes(32), p.enc_secret) for p in made.committee))
    assert made.train() == [] and made.calls() == []
    made.phase(Phase.REGISTER)
    assert len(made.uploads()) == N and root_of(made) == root_of(referenced())


def test_a_reference_after_registration_closed_stays_here() -> None:
    made = world(rule=Rule.TRUST)
    made.to_upload()
    assert made.train() == [fx.Note("update_late", (("phase", "upload"),))]
    assert made.uploads() == {} and made.calls("commitReference") == []
    assert made.machine.status()["why"] == "our update was not ready in time"
    made.assert_replays()


def test_a_reference_out_of_bounds_is_our_own_fault() -> None:
    made = world(rule=Rule.TRUST)
    made.draw()
    with pytest.raises(OutOfBound):
        made.machine.update_ready(np.full(40, made.params.bound, np.int64))  # type: ignore[attr-defined]
    assert made.machine.status()["why"].startswith("our update is out of bounds")
    made.train()
    assert made.machine.status()["why"] == "" and np.array_equal(made.uploaded_vector(), made.update)


def test_a_second_reference_never_leaves() -> None:
    made = referenced()
    with pytest.raises(LocalProtocolError):
        made.machine.update_ready(made.update)  # type: ignore[attr-defined]


def test_the_reference_comes_from_one_seed() -> None:
    one, two, other = referenced(), referenced(), world(4, rule=Rule.TRUST)
    other.draw()
    other.train()
    assert one.effects == two.effects and root_of(one) != root_of(other)


def test_receipts_of_the_reference_go_on_chain_under_its_own_bit() -> None:
    made = referenced()
    root = root_of(made)
    for i in (0, 1, 2, 3):
        made.send(made.receipt(i, root, OWNER.address))
    assert made.notes("upload_safe") == [{"receipts": 4}]
    made.phase(Phase.DELIVERED, made.block + 10)
    made.emit(ev.BitmapPosted, Bitmap.DELIVERED, 0, 1 << REFERENCE)
    made.emit(ev.BitmapPosted, Bitmap.DELIVERED, 1, 0b1111)
    made.tick()
    (call,) = made.calls("postReceipt")
    assert call.args == (REFERENCE, 1, made.receipt(1, root, OWNER.address).signature)
    made.tick(8)
    assert [c.args[1] for c in made.calls("postReceipt")] == [1, 2, 3]


def test_receipts_for_others_are_refused() -> None:
    made = referenced()
    good = made.receipt(0, root_of(made), OWNER.address)
    assert rule_of(made.machine, replace(good, data_owner=DATA_OWNERS[0].address)) == "wrong-receipt"
    assert rule_of(made.machine, replace(good, sender=made.committee[1].address)) == "bad-signature"
    assert rule_of(made.machine, replace(good, sender=DATA_OWNERS[0].address)) == "wrong-role"


@pytest.mark.parametrize(
    ("committed", "in_delivered", "in_valid", "why"),
    [
        (False, False, False, "no reference was committed in time"),
        (True, False, False, "our reference did not reach the provers in time"),
        (True, True, False, "the provers found the reference's shares inconsistent or its proof wrong"),
        (True, True, True, ""),
    ],
)
def test_why_the_reference_does_not_count(committed: bool, in_delivered: bool, in_valid: bool, why: str) -> None:
    made = referenced()
    assert made.machine.status()["why"] == ""
    if committed:
        made.emit(ev.ReferenceCommitted, root_of(made))
    made.phase(Phase.UPLOAD)
    made.fix(Bitmap.DELIVERED, 0, 1, *([REFERENCE] if in_delivered else []))
    made.fix(Bitmap.VALID, 0, 1, *([REFERENCE] if in_valid else []))
    assert made.machine.status()["why"] == why


# ------------------------------------------------------------------------------------------------------------- sum


def in_output_phase(**changes: object) -> World:
    """Four registered, three valid and accepted, and the reference valid if there is one."""
    made = referenced(**changes) if changes else world()
    if not changes:
        made.draw()
    made.register()
    made.phase(Phase.UPLOAD)
    made.fix(Bitmap.VALID, 0, 1, 3, *([REFERENCE] if changes else []))
    made.emit(ev.BatchFinal, bytes(32), 0b1011, 0b1011, 0b1011)
    return made


def answers(made: World) -> list[msg.OutputShare]:
    shares = share(gl.from_signed(TOTAL), 1, range(1, N + 1), bytes(32))
    return [msg.OutputShare(p.address, gl.to_bytes(s), ()) for p, s in zip(made.committee, shares, strict=True)]


@pytest.mark.parametrize("changes", [{}, *REFERENCED], ids=str)
def test_the_sum_is_opened_from_three_that_agree(changes: dict[str, object]) -> None:
    made = in_output_phase(**changes)
    asked = [e.to for e in made.effects if isinstance(e, fx.Send) and isinstance(e.message, msg.OutputRequest)]
    assert asked == [p.address for p in made.committee]
    shares = answers(made)
    assert made.send(shares[0]) == [] and made.send(shares[4]) == []
    assert fx.Transact("acknowledge", (), key="acknowledge") in made.send(shares[2])
    result = made.machine.result  # type: ignore[attr-defined]
    assert np.array_equal(result.total, TOTAL)
    assert (result.count, result.norms, result.sizes) == (3, (), (1, 1, 1))


@pytest.mark.parametrize("liar", range(N))
def test_a_liar_is_corrected_and_blamed(liar: int) -> None:
    made = in_output_phase()
    shares = answers(made)
    shares[liar] = replace(shares[liar], values=bytes(8 * 40))
    for message in shares:
        made.send(message)
    assert np.array_equal(made.machine.result.total, TOTAL)  # type: ignore[attr-defined]
    blames = [e for e in made.effects if isinstance(e, fx.Blame)]
    assert blames == [fx.Blame(made.committee[liar].address, "wrong-output-share")]
    made.assert_replays()


@pytest.mark.parametrize("change", [{"norms": (1,)}, {"norms": (1, 2, 3)}, {"values": bytes(8 * 39)}], ids=str)
def test_malformed_shares_name_their_sender(change: dict[str, object]) -> None:
    made = in_output_phase()
    assert rule_of(made.machine, replace(answers(made)[0], **change)) == "bad-values"  # type: ignore[arg-type]


def test_it_pokes_and_claims_as_the_grouped_owner_does() -> None:
    verified, grouped = world(), World(lambda: OwnerMachine(CONTEXT, OWNER, bytes(32)))
    for made in (verified, grouped):
        made.emit(ev.SessionCreated, made.params)
        made.phase(Phase.COMMITTEE, made.block + 15)
        made.tick(40)
        made.emit(ev.SessionAborted, "too few provers")
        made.phase(Phase.ABORTED)
        made.phase(Phase.ABORTED)
    assert verified.effects == grouped.effects and len(verified.calls("poke")) == 5
    assert [call.key for call in verified.calls("claim")] == ["claim"]


def test_a_whole_session_replays() -> None:
    made = in_output_phase(rule=Rule.TRUST)
    made.tick(5)
    for message in answers(made)[:4]:
        made.send(message)
    made.phase(Phase.FINISHED)
    assert [call.key for call in made.calls()] == ["commitReference", "acknowledge", "claim"]
    made.assert_replays()


def test_other_messages_are_refused() -> None:
    made = in_output_phase()
    with pytest.raises(RemoteProtocolError, match="unexpected-type"):
        made.machine.receive(msg.Opening(made.committee[0].address, "proofs", 0, b""))
