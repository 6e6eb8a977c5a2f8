"""Provers without the key of their session: their stake is safe, the session goes on without t of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.sessions import machines
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Mode, Payout, Phase, Rule, SessionParams
from protocols.sessions.zk_abstain import AbstainingProver
from protocols.sessions.zk_keys import no_keys
from protocols.wire.messages import OutputRequest
from protocols.zk.key import Key
from tests.simulation import proofs
from tests.simulation.node import Machine
from tests.simulation.session import Session
from tests.simulation.zk_attacks import quick_pairings

TERMS = {"mode": Mode.VERIFIED, "zk": True, "rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}


class Without(Session):
    """Some of the provers have no reference string."""

    def __init__(self, without: set[int]) -> None:
        self._without = without
        super().__init__(5, **TERMS)

    def _prover(self, identity: Identity, i: int) -> Callable[[], Machine]:
        if i not in self._without:
            return super()._prover(identity, i)
        return lambda: machines.prover(self.params, self.context, identity, bytes(32), None, no_keys)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_pairings(monkeypatch)


def test_one_changes_nothing() -> None:
    session = Without({2}).run()
    session.assert_exact()
    assert session.market.phase == Phase.FINISHED
    assert not session.market.slashed
    assert len(session.accepted()) == 6
    machine = session.provers[2].machine
    assert isinstance(machine, AbstainingProver)
    assert "[proofs] string" in machine.status()["abstains"]
    place = session.market.committee.index(
        next(p for p in session.market.committee if p.address == session.provers[2].address)
    )
    assert session.market.posted[Bitmap.DELIVERED][place] == session.market.posted[Bitmap.VALID][place] == 0


def test_more_than_t_end_the_session_and_keep_their_stake() -> None:
    session = Without({0, 1, 2, 3, 4}).run()
    assert session.market.phase == Phase.ABORTED
    assert not session.market.slashed


def test_the_key_of_another_string() -> None:
    def other(params: SessionParams) -> Key:
        raise LocalProtocolError("another string")

    session = Session(5, **TERMS)
    machine = machines.prover(
        session.params, session.context, session.provers[0].machine._desk.identity, bytes(32), None, other
    )
    assert isinstance(machine, AbstainingProver)
    assert isinstance(
        machines.prover(
            session.params, session.context, session.provers[0].machine._desk.identity, bytes(32), None, proofs.key_of
        ),
        type(session.provers[0].machine),
    )
    with pytest.raises(RemoteProtocolError, match="not-ready"):
        machine.receive(OutputRequest(session.owner.address))
