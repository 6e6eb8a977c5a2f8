"""The owner: asks after the batch, decodes at 2t + 1 that agree, blames the rest, gets its money back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.sessions import events as ev
from protocols.sessions.effects import Blame, Effect, Send, Transact
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Bitmap, Phase
from protocols.sharing.shamir import share
from protocols.wire.context import Context
from protocols.wire.messages import Announcement, Opening, OutputRequest, OutputShare
from tests.simulation.session import small_params
from tests.simulation.wallets import Wallets

D = 40
TOTAL = np.arange(-20, 20, dtype=np.int64)
CONTEXT = Context(1, bytes(20), 7)
WALLETS = Wallets()
OWNER = WALLETS.new("owner")
PROVERS = [WALLETS.new(f"prover {i}") for i in range(5)]


def in_output_phase() -> tuple[OwnerMachine, list[Effect]]:
    """The owner of a session of two groups of three, both selected; one member of the second is missing in U."""
    machine = OwnerMachine(CONTEXT, OWNER, bytes(32))
    machine.chain(ev.SessionCreated(7, 1, small_params(owner=OWNER.address)))
    machine.chain(ev.CommitteeDrawn(7, 2, tuple(ev.ProverInfo(p.address, bytes(32), bytes(32)) for p in PROVERS)))
    for k in range(6):
        machine.chain(ev.Registered(7, 3, k, bytes([k]) * 20, bytes(32), bytes(32)))
    machine.chain(ev.GroupsDrawn(7, 4, (0, 1, 2, 3, 4, 5), 2))
    machine.chain(ev.SetFixed(7, 5, Bitmap.VALID, 0b011111))
    return machine, machine.chain(ev.BatchFinal(7, 6, bytes(32), 0b11, 0b11, 0b011111))


def answers(norms: tuple[int, ...] = (100, 90)) -> list[OutputShare]:
    """What honest provers reply."""
    shares = share(gl.from_signed(TOTAL), 1, range(1, 6), bytes(32))
    return [OutputShare(p.address, gl.to_bytes(s), norms) for p, s in zip(PROVERS, shares, strict=True)]


def test_it_asks_every_prover_once_the_batch_is_final() -> None:
    _, effects = in_output_phase()
    assert effects == [Send(p.address, OutputRequest(OWNER.address)) for p in PROVERS]


def test_three_of_five_that_agree_are_enough() -> None:
    machine, _ = in_output_phase()
    shares = answers()
    for message in shares[:2]:
        assert machine.receive(message) == [] and machine.result is None
    effects = machine.receive(shares[2])
    assert Transact("acknowledge", (), key="acknowledge") in effects
    result = machine.result
    assert result is not None and np.array_equal(result.total, TOTAL)
    assert (result.count, result.sizes, result.norms) == (5, (3, 2), (100, 90))
    assert machine.receive(shares[4]) == [] and machine.receive(shares[2]) == []


def test_a_liar_and_a_prover_without_a_share_are_put_up_with_together() -> None:
    machine, _ = in_output_phase()
    shares = answers()
    machine.receive(replace(shares[1], values=bytes(8 * D)))
    effects = [e for i in (0, 3, 4) for e in machine.receive(shares[i])]  # point 3 lacks a group and stays silent
    assert machine.result is not None and np.array_equal(machine.result.total, TOTAL)
    assert Blame(PROVERS[1].address, "wrong-output-share") in effects


@pytest.mark.parametrize("liar", range(5))
def test_a_liar_is_corrected_and_blamed_once(liar: int) -> None:
    machine, _ = in_output_phase()
    shares = answers()
    shares[liar] = replace(shares[liar], values=bytes(8 * D), norms=(1, 2))
    order = [liar, *(i for i in range(5) if i != liar)]
    effects = [e for i in order for e in machine.receive(shares[i])]
    assert machine.result is not None and np.array_equal(machine.result.total, TOTAL)
    assert machine.result.norms == (100, 90)
    assert [e for e in effects if isinstance(e, Blame)] == [Blame(PROVERS[liar].address, "wrong-output-share")]


def test_a_late_lie_is_blamed_too_and_changes_nothing() -> None:
    machine, _ = in_output_phase()
    shares = answers()
    for message in shares[:4]:
        machine.receive(message)
    late = machine.receive(replace(shares[4], values=bytes(8 * D)))
    assert late == [Blame(PROVERS[4].address, "wrong-output-share")]
    assert machine.result is not None and np.array_equal(machine.result.total, TOTAL)


def test_norms_on_which_provers_disagree_are_not_made_up() -> None:
    machine, _ = in_output_phase()
    for i, message in enumerate(answers()[:4]):
        machine.receive(replace(message, norms=(i, 90)))
    assert machine.result is not None and machine.result.norms == (-1, 90)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"sender": bytes(20)}, "wrong-sender"),
        ({"values": bytes(8 * D - 1)}, "bad-values"),
        ({"values": bytes(8 * D - 8)}, "bad-values"),
        ({"values": b"\xff" * 8 * D}, "bad-values"),
        ({"norms": (1,)}, "bad-values"),
    ],
    ids=str,
)
def test_malformed_shares_name_their_sender(change: dict[str, object], rule: str) -> None:
    machine, _ = in_output_phase()
    message = replace(answers()[0], **change)  # type: ignore[arg-type]
    with pytest.raises(RemoteProtocolError) as caught:
        machine.receive(message)
    assert caught.value.rule == rule and caught.value.peer == message.sender.hex()
    assert machine.status()["shares"] == 0


def test_other_messages_are_refused_and_gossip_is_not() -> None:
    machine, _ = in_output_phase()
    with pytest.raises(RemoteProtocolError):
        machine.receive(Opening(PROVERS[0].address, "gram", 0, b""))
    gossip = Announcement(PROVERS[0].address, 1, bytes(32), (), b"", b"", b"", bytes(65))
    assert machine.receive(gossip) == []


def test_shares_before_the_batch_are_refused() -> None:
    machine = OwnerMachine(CONTEXT, OWNER, bytes(32))
    machine.chain(ev.SessionCreated(7, 1, small_params(owner=OWNER.address)))
    machine.chain(ev.CommitteeDrawn(7, 2, tuple(ev.ProverInfo(p.address, bytes(32), bytes(32)) for p in PROVERS)))
    with pytest.raises(RemoteProtocolError) as caught:
        machine.receive(answers()[0])
    assert caught.value.rule == "unasked"


def test_the_end_is_claimed_once() -> None:
    machine, _ = in_output_phase()
    assert machine.chain(ev.PhaseChanged(7, 9, Phase.FINISHED, 0)) == [Transact("claim", (), key="claim")]
    assert machine.chain(ev.PhaseChanged(7, 9, Phase.FINISHED, 0)) == []


def test_it_pokes_when_all_provers_are_gone() -> None:
    machine = OwnerMachine(CONTEXT, OWNER, bytes(32))
    machine.chain(ev.SessionCreated(7, 1, small_params(owner=OWNER.address)))
    machine.chain(ev.PhaseChanged(7, 1, Phase.COMMITTEE, 16))
    pokes = [block for block in range(1, 40) if machine.tick(block)]
    assert pokes == [24, 28, 32, 36]
