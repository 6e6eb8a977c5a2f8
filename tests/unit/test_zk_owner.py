"""The owner of a session with certificate zk: its reference, then a sum that is the proved one or none at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest

from protocols.bn254 import fr
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions import machines
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule, SessionParams
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.sessions.zk_keys import Keys, no_keys
from protocols.sessions.zk_owner import ZkOwnerMachine
from protocols.wire import messages as msg
from protocols.zk.key import Key
from protocols.zk.proved_sum import ProvedSum
from protocols.zk.sharing import deal
from tests.simulation import proofs
from tests.unit.verified import CONTEXT, DATA_OWNERS, OWNER, N, T, rule_of
from tests.unit.zk_world import ZkWorld

TOTAL = np.arange(-20, 20, dtype=np.int64)
BLINDERS = fr.vector(range(1000, 1006))
SECRET = np.concatenate([fr.from_signed(TOTAL), BLINDERS])
REFERENCED = [{"rule": Rule.TRUST}, {"payout": Payout.CONTRIBUTION}]


def world(seed: int = 3, keys: Keys = proofs.key_of, **changes: object) -> ZkWorld:
    return ZkWorld(lambda: ZkOwnerMachine(CONTEXT, OWNER, bytes([seed]) * 32, keys), **changes)


def referenced(**changes: object) -> ZkWorld:
    """Phase REGISTER, the reference under way."""
    made = world(**(changes or {"rule": Rule.TRUST}))  # type: ignore[arg-type]
    made.draw()
    made.train()
    return made


# ------------------------------------------------------------------------------------------------------- reference


@pytest.mark.parametrize("changes", REFERENCED, ids=str)
def test_the_reference_is_a_record_under_the_owners_wallet(changes: dict[str, object]) -> None:
    made = referenced(**changes)
    made.assert_sound()
    assert np.array_equal(made.uploaded_vector(), made.update)
    record = made.opened(0).record
    assert record.address == int.from_bytes(OWNER.address, "big") and record.norms
    (call,) = made.calls("commitReference")
    assert {upload.root for upload in made.uploads().values()} == {call.args[0]} == {record.digest()}


def test_without_need_of_a_reference_there_is_none() -> None:
    for rule in (Rule.NONE, Rule.OUTLIER, Rule.MULTI_KRUM):
        made = world(rule=rule)
        made.to_upload()
        assert made.effects == []


def test_without_the_key_there_is_no_reference_and_why_says_so() -> None:
    made = world(keys=no_keys, rule=Rule.TRUST)
    made.draw()
    assert [type(e) for e in made.train()] == [fx.Note] and made.calls() == []
    assert "[proofs] string" in made.machine.status()["why"]
    made.assert_replays()


def test_receipts_of_the_reference_are_taken() -> None:
    made = referenced()
    (call,) = made.calls("commitReference")
    for i in range(4):
        made.send(made.receipt(i, call.args[0], OWNER.address))  # type: ignore[arg-type]
    assert made.notes("upload_safe") == [{"receipts": 4}]
    made.assert_replays()


def test_why_the_reference_does_not_count() -> None:
    made = referenced()
    made.emit(ev.ReferenceCommitted, bytes(32))
    made.phase(Phase.UPLOAD)
    made.fix(Bitmap.DELIVERED, 0, 1, REFERENCE)
    made.fix(Bitmap.VALID, 0, 1)
    assert made.machine.status()["why"].startswith("the reference's proof was refused, or a share")


# ------------------------------------------------------------------------------------------------------------- sum


def in_output_phase(
    keys: Keys = proofs.key_of, secret: Vector = SECRET, order: Sequence[int] = (0, 1), **changes: object
) -> ZkWorld:
    """Four registered, three valid and accepted. order: of the events Proved and BatchFinal (0, 1)."""
    made = world(keys=keys, **changes)  # type: ignore[arg-type]
    made.draw()
    made.register()
    made.phase(Phase.UPLOAD)
    made.fix(Bitmap.VALID, 0, 1, 3)
    aggregate = made.key.commit_values(secret[:-6], secret[-6:])
    events = [(ev.Proved, aggregate, bytes(32)), (ev.BatchFinal, bytes(32), 0b1011, 0b1011, 0b1011)]
    for i in order:
        made.emit(*events[i])
    return made


def shares(secret: Vector = SECRET, degree: int = T) -> list[Vector]:
    sharing = deal(secret, degree, bytes(32))
    return [sharing.share(point) for point in range(1, N + 1)]


def answers(made: ZkWorld, wrong: Sequence[int] = (), secret: Vector = SECRET) -> list[msg.OutputShare]:
    """From every prover; those in ``wrong`` (committee indices) are off by the same, and so agree with each other."""
    off = np.concatenate([fr.zeros(7), fr.vector([1]), fr.zeros(38)])
    vectors = [fr.add(share, off) if i in wrong else share for i, share in enumerate(shares(secret))]
    return [
        msg.OutputShare(prover.address, fr.to_bytes(vector), ())
        for prover, vector in zip(made.committee, vectors, strict=True)
    ]


def total_of(made: ZkWorld) -> np.ndarray | None:
    result = made.machine.result  # type: ignore[attr-defined]
    return None if result is None else result.total


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["proved-first", "final-first"])
def test_two_shares_that_give_the_proved_sum_are_enough(order: tuple[int, int]) -> None:
    made = in_output_phase(order=order)
    asked = [e.to for e in made.effects if isinstance(e, fx.Send) and isinstance(e.message, msg.OutputRequest)]
    assert asked == [prover.address for prover in made.committee]
    messages = answers(made)
    assert made.send(messages[3]) == []
    effects = made.send(messages[1])
    assert [type(e) for e in effects] == [fx.Remember, fx.Note, fx.Transact]
    assert effects[0].key == "output/" + bytes(32).hex()  # type: ignore[union-attr]
    result = made.machine.result  # type: ignore[attr-defined]
    assert np.array_equal(result.total, TOTAL) and result.total.dtype == np.int64
    assert (result.count, result.norms, result.sizes) == (3, (), (1, 1, 1))
    for i in (0, 2, 4):
        assert made.send(messages[i]) == []
    made.assert_replays()


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("liar", [0, 1, 2])
def test_one_liar_among_three_changes_nothing_and_is_named_by_a_fourth(liar: int, order: tuple[int, ...]) -> None:
    made = in_output_phase()
    messages = answers(made, [liar])
    for i in order:
        made.send(messages[i])
    assert np.array_equal(total_of(made), TOTAL)
    assert made.machine.status()["faulty"] == []  # three that are not on one line: two honest ones, or one
    made.send(messages[3])
    lied = made.committee[liar].address
    assert [e for e in made.effects if isinstance(e, fx.Blame)] == [fx.Blame(lied, "wrong-output-share")]
    assert made.machine.status()["faulty"] == [lied.hex()]
    made.assert_replays()


@pytest.mark.parametrize("liars", list(combinations(range(N), 3)), ids=str)
def test_more_liars_than_allowed_cannot_pass_another_sum(liars: tuple[int, ...]) -> None:
    """Three agree on a polynomial of their own; two honest provers are enough to open what was proved."""
    made = in_output_phase()
    messages = answers(made, liars)
    for i in [*liars, *(i for i in range(N) if i not in liars)]:
        made.send(messages[i])
    assert np.array_equal(total_of(made), TOTAL)
    made.assert_replays()


def test_too_few_honest_shares_give_nothing() -> None:
    made = in_output_phase()
    for message in answers(made, (0, 1, 2, 3)):
        made.send(message)
    assert total_of(made) is None and made.calls("acknowledge") == []
    assert made.machine.status()["done"] is False
    made.assert_replays()


def test_a_sum_of_other_blinders_is_not_the_proved_one() -> None:
    made = in_output_phase()
    other = SECRET.copy()
    other[-1] = fr.single(7)
    for message in answers(made, secret=other):
        made.send(message)
    assert total_of(made) is None


def test_a_negative_total_at_the_edge_is_read_and_one_beyond_is_refused() -> None:
    edge, beyond = SECRET.copy(), SECRET.copy()
    edge[3], beyond[3] = fr.single(R - 96), fr.single(97)  # three updates of 6 bits: at most 3 * 2^5
    made = in_output_phase(secret=edge)
    for message in answers(made, secret=edge):
        made.send(message)
    assert total_of(made)[3] == -96  # type: ignore[index]
    for secret in (beyond, np.concatenate([fr.vector([1 << 70]), SECRET[1:]])):
        made = in_output_phase(secret=secret)
        for message in answers(made, secret=secret):
            made.send(message)
        assert total_of(made) is None and "out of range" in made.machine.status()["why"]


def other_key(params: SessionParams) -> Key:
    return proofs.key_of(replace(params, dimension=params.dimension + 1))


@pytest.mark.parametrize("keys", [no_keys, other_key])
def test_without_the_key_it_opens_nothing_until_a_restart_with_it(keys: Keys) -> None:
    made = in_output_phase(keys=keys)
    for message in answers(made):
        made.send(message)
    assert total_of(made) is None and "string" in made.machine.status()["why"]
    again = world()
    for kind, value in made.inputs:
        again.feed(kind, value)
    assert np.array_equal(total_of(again), TOTAL) and len(again.calls("acknowledge")) == 1


@pytest.mark.parametrize(
    "change",
    [{"norms": (1,)}, {"values": bytes(32 * 45)}, {"values": b"\xff" * 32 * 46}, {"values": bytes(32 * 46 - 8)}],
    ids=["norms", "short", "not-canonical", "no-scalars"],
)
def test_malformed_shares_name_their_sender(change: dict[str, object]) -> None:
    made = in_output_phase()
    assert rule_of(made.machine, replace(answers(made)[0], **change)) == "bad-values"  # type: ignore[arg-type]


def test_nobody_is_heard_before_the_batch_is_proved_nor_who_is_no_prover() -> None:
    early = in_output_phase(order=(1,))
    assert rule_of(early.machine, answers(early)[0]) == "unasked"
    made = in_output_phase()
    assert rule_of(made.machine, replace(answers(made)[0], sender=DATA_OWNERS[0].address)) == "wrong-sender"


def test_the_blinders_stay_in_the_machine() -> None:
    """Neither effects nor status hold a scalar that is no coordinate."""
    made = in_output_phase()
    for message in answers(made)[:3]:
        made.send(message)
    said = repr([e for e in made.effects if not isinstance(e, fx.Send)]) + repr(made.machine.status())
    assert all(str(value) not in said for value in fr.integers(BLINDERS))
    assert made.machine.result.total.shape == (40,)  # type: ignore[attr-defined]


# ----------------------------------------------------------------------------------------------------------- pieces


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_sum_is_found_among_any_shares_once_enough_are_right(degree: int) -> None:
    params = world().params
    key = proofs.key_of(params)
    sharing = deal(SECRET, degree, bytes([degree]) * 32)
    commitment = key.commit_values(SECRET[:-6], SECRET[-6:])
    lies = {x: fr.scale(x + 2, SECRET) for x in range(1, 9)}
    for right in ([2, 5, 6, 7], [1, 2, 3, 4], [5, 6, 7, 8]):
        search, held = ProvedSum(key, degree, commitment), {}
        honest = 0
        for x in range(1, 9):
            held[x] = sharing.share(x) if x in right else lies[x]
            honest += x in right
            found = search.find(held, x)
            assert (found is not None) == (x in right and honest > degree)
            if found is not None:
                assert np.array_equal(found, SECRET)
                break


def test_the_session_decides_which_machine() -> None:
    params = world().params
    assert isinstance(machines.owner(params, CONTEXT, OWNER, bytes(32), proofs.key_of), ZkOwnerMachine)
    attested = replace(params, proof_key=bytes(32))
    assert type(machines.owner(attested, CONTEXT, OWNER, bytes(32))) is VerifiedOwnerMachine
