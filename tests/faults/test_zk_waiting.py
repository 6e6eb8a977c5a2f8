"""Certificate zk: what provers do while they wait for an upload that never comes."""

from __future__ import annotations

import pytest

from protocols.sessions.params import Bitmap, Payout, Phase, Rule
from protocols.wire.messages import Upload
from tests.simulation import zk_attacks as attacks
from tests.simulation.attacks import swallow
from tests.simulation.session import Session, proved

TRUST: dict[str, object] = {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks.quick_pairings(monkeypatch)


def one_is_late(seed: int, settle_blocks: int = 60) -> Session:
    """A data owner commits to an upload that it sends to nobody."""
    session = proved(seed, settle_blocks=settle_blocks, **TRUST)
    session.owners[1].twist = swallow(Upload)
    return session


def early(session: Session) -> list[list[int]]:
    """How many records each prover had left, block by block, when it judged one of them."""
    return [[int(dict(note.fields)["records"]) for note in node.notes if note.name == "judging_early"]
            for node in session.committee()]  # fmt: skip


def test_they_judge_one_record_now_and_then() -> None:
    session = one_is_late(4).run_until(Phase.VALID)
    for left in early(session):
        assert left == [6, 5], "of five updates and the reference, in twelve blocks"
    session.run()
    session.assert_exact()
    assert len(session.accepted()) == 5
    assert not session.market.slashed


def test_nobody_judges_early_where_all_is_there() -> None:
    session = proved(4, **TRUST).run()
    assert early(session) == [[]] * 5
    session.assert_exact()


def test_the_vote_does_not_wait() -> None:
    """Every prover has said what was delivered in time, although it still had records to judge."""
    session = one_is_late(4, settle_blocks=45).run_until(Phase.VALID)  # delivered: nine blocks
    assert set(session.market.posted[Bitmap.DELIVERED]) == set(range(5))
    assert all(len(left) == 1 for left in early(session))


def test_a_forged_record_is_found_early_and_stays_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    session = one_is_late(4)
    forged = session.owners[2]
    attacks.forge(monkeypatch, forged, attacks.of_another_session)
    session.run()
    session.assert_exact()
    for node in session.committee():
        assert [blame.rule for blame in node.blames if blame.peer == forged.address] == ["proof-failed"]
    assert len(session.accepted()) == 4
