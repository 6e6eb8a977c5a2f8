"""Provers without the key of their session: their stake is safe, the session goes on without t of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Machine
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions import machines
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Mode, Payout, Phase, Rule, SessionParams
from protocols.sessions.zk_abstain import ABSTAINS, KEY, PLAYS
from protocols.sessions.zk_keys import Keys, no_keys
from protocols.wire.messages import OutputRequest
from protocols.zk.key import Key
from tests.simulation import proofs
from tests.simulation.session import Session
from tests.simulation.zk_attacks import quick_pairings

TERMS = {"mode": Mode.VERIFIED, "zk": True, "rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}


class Without(Session):
    """Some of the provers have no reference string. asked: by whom keys were asked for."""

    def __init__(self, without: set[int], **changes: object) -> None:
        self._without, self.asked = without, set[int]()
        super().__init__(5, **{**TERMS, **changes})  # type: ignore[arg-type]

    def _prover(self, identity: Identity, i: int) -> Callable[[], Machine]:
        def keys(params: SessionParams) -> Key:
            self.asked.add(i)
            return (no_keys if i in self._without else proofs.key_of)(params)

        return lambda: machines.prover(self.params, self.context, identity, bytes([i]) * 32, None, keys)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_pairings(monkeypatch)


def test_one_changes_nothing() -> None:
    session = Without({2}).run()
    session.assert_exact()
    assert session.market.phase == Phase.FINISHED
    assert not session.market.slashed
    assert len(session.accepted()) == 6
    node = session.provers[2]
    assert "[proofs] string" in node.machine.status()["abstains"]
    assert "abstains" in {note.name for note in node.notes}
    place = session.committee().index(node)
    assert session.market.posted[Bitmap.DELIVERED][place] == session.market.posted[Bitmap.VALID][place] == 0


def test_more_than_t_end_the_session_and_keep_their_stake() -> None:
    session = Without({0, 1, 2, 3, 4}).run()
    assert session.market.phase == Phase.ABORTED
    assert not session.market.slashed


def test_keys_are_asked_for_by_those_that_are_drawn_and_then() -> None:
    """Of a pool of nine, five."""
    session = Without(set(), pool=9)
    created = ev.SessionCreated(session.context.session, 1, session.params)
    assert [node.machine.chain(created) for node in session.provers] == [[]] * 9
    assert session.asked == set()
    session = Without(set(), pool=9).run_until(Phase.REGISTER)
    drawn = {session.provers.index(node) for node in session.committee()}
    assert session.asked == drawn and len(drawn) == 5
    session.run()
    session.assert_exact()
    assert session.asked == drawn


def drawn_machine(params: SessionParams, keys: Keys, session: Session) -> tuple[Machine, list[fx.Effect]]:
    """The first prover's, fed with what its node has read so far, but under these numbers."""
    node = session.committee()[0]
    identity = node.machine._desk.identity  # type: ignore[attr-defined]
    machine = machines.prover(params, session.context, identity, bytes(32), None, keys)
    events = [event for kind, payload in node.journal if kind == "chain" for event in payload]
    created = [replace(e, params=params) if hasattr(e, "params") else e for e in events]
    return machine, [effect for event in created for effect in machine.chain(event)]


@pytest.fixture(scope="module")
def early() -> Session:
    return Session(5, **TERMS).run_until(Phase.REGISTER)  # type: ignore[arg-type]


def test_the_key_of_another_string(early: Session) -> None:
    def other(params: SessionParams) -> Key:
        raise LocalProtocolError("another string")

    machine, _ = drawn_machine(early.params, other, early)
    assert machine.status()["abstains"] == "another string"
    with pytest.raises(RemoteProtocolError, match="session-over"):
        machine.receive(OutputRequest(early.owner.address))


def test_a_key_that_is_not_the_sessions(early: Session) -> None:
    machine, _ = drawn_machine(replace(early.params, proof_key=b"k" * 32), proofs.key_of, early)
    assert "configure the string" in machine.status()["abstains"]


@pytest.mark.parametrize("changes", [{"bound": 1 << 30}, {"dimension": 1 << 24}, {"settle_blocks": 1}], ids=str)
def test_numbers_that_no_session_may_have_make_no_key(early: Session, changes: dict[str, int]) -> None:
    def never(params: SessionParams) -> Key:
        raise AssertionError("a key is made")

    machine, _ = drawn_machine(replace(early.params, **changes), never, early)  # type: ignore[arg-type]
    assert next(iter(changes)) in machine.status()["abstains"]


def test_it_is_remembered_before_anything_else_is_done(early: Session) -> None:
    for keys, value in ((proofs.key_of, PLAYS), (no_keys, ABSTAINS)):
        _, effects = drawn_machine(early.params, keys, early)
        place = effects.index(fx.Remember(KEY, value))
        assert all(isinstance(e, fx.Transact) and e.call == "poke" for e in effects[:place])
        assert len(effects) > place + 1


@pytest.mark.parametrize("without", [set(), {2}], ids=["plays", "abstains"])
def test_another_key_after_a_restart_is_another_word(without: set[int]) -> None:
    """The node's safety journal stops it: zeros would contradict its receipts."""
    session = Without(without).run_until(Phase.UPLOAD)
    node = session.provers[2]
    session._without = without ^ {2}
    before = node.safe[KEY]
    node.machine = node._make()
    again = [e for kind, payload in node.journal if kind == "chain" for e in node._replay(kind, payload)]
    (said,) = [e for e in again if isinstance(e, fx.Remember) and e.key == KEY]
    assert {said.value, before} == {PLAYS, ABSTAINS}


def test_an_abstaining_prover_is_replayed_to_the_byte() -> None:
    session = Without({2}).run_until(Phase.DELIVERED)
    session.network.kill(session.provers[2])
    session.network.restart(session.provers[2])
    session.run()
    session.assert_exact()
    assert not session.market.slashed
