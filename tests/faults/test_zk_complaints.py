"""Sessions of certificate zk: provers that say different things of a data owner to different provers stall nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omninode.reproduce.stage.node import Effects, Node, Twist
from protocols.sessions import effects as fx
from protocols.sessions.params import Bitmap, Phase, Rule
from protocols.wire import messages as msg
from tests.simulation import zk_attacks as attacks
from tests.simulation.attacks import rewrite
from tests.simulation.session import Session, proved

SIZES = {1: (5, 1), 2: (9, 2)}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks.quick_pairings(monkeypatch)


def drawn(t: int, seed: int = 77) -> Session:
    """A session of 4t + 1 provers. The first t seats are liars', the others honest."""
    n, t = SIZES[t]
    return proved(seed, rule=Rule.MULTI_KRUM, committee=n, threshold=t).run_until(Phase.REGISTER)


def deal(session: Session, monkeypatch: pytest.MonkeyPatch, bad: set[int], none: set[int]) -> int:
    """One data owner commits to bad pieces for these seats, and sends nothing to those. Its registration index."""
    cheat, committee = session.owners[2], session.committee()
    attacks.forge(monkeypatch, cheat, attacks.bad_shares(*(seat + 1 for seat in bad)))
    without = {committee[seat].address for seat in none}
    cheat.twist = rewrite(lambda _, e: None if isinstance(e.message, msg.Upload) and e.to in without else e)
    session.run_until(Phase.UPLOAD)
    return session.index_of(cheat)


def liar(index: int, said: dict[bytes, int], shown: set[bytes]) -> Twist:
    """Complains to some (said: receiver -> bitmap; nothing bad to the others), shows its pieces to some, votes for the
    data owner, and opens and helps with nothing.
    """

    def send(node: Node, effect: fx.Effect) -> fx.Effect | None:
        if isinstance(effect, fx.Transact) and effect.call == "postBitmap" and effect.args[0] == Bitmap.VALID:
            return replace(effect, args=(effect.args[0], int(effect.args[1]) | 1 << index))  # type: ignore[call-overload]
        if isinstance(effect, fx.Reply) and isinstance(effect.message, msg.RebuildShare):
            return None
        if not isinstance(effect, fx.Send):
            return effect
        match effect.message:
            case msg.PieceComplaint():
                return replace(effect, message=replace(effect.message, bad=said.get(effect.to, 0)))
            case msg.ShareOpening():
                return effect if effect.to in shown else None
            case msg.Opening():
                return None
        return effect

    def twist(node: Node, effects: Effects) -> Effects:
        return [changed for e in effects if (changed := send(node, e)) is not None]

    return twist


def lie(session: Session, twist: Twist) -> list[Node]:
    """The liars' seats lie. Who is honest."""
    t = session.params.threshold
    for node in session.committee()[:t]:
        node.twist = twist
    return session.committee()[t:]


def assert_nobody_honest_pays(session: Session) -> None:
    assert session.market.phase == Phase.FINISHED and not session.market.slashed and not session.market.named
    honest = {node.address for node in session.committee()[session.params.threshold :]}
    assert not {b.peer for node in session.committee() for b in node.blames} & honest


@pytest.mark.parametrize("complaining", [False, True])
@pytest.mark.parametrize("t", [1, 2])
def test_a_complaint_for_one_pair_of_eyes(t: int, complaining: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad piece for one prover, none for t others: 2t good holders are too few. Liars tell the victim alone that they
    complain, too: it counts more than t, and publishes all the same.
    """
    session = drawn(t)
    index = deal(session, monkeypatch, bad={t}, none=set(range(3 * t + 1, 4 * t + 1)))
    victim = session.committee()[t].address
    lie(session, liar(index, {victim: 1 << index} if complaining else {}, set()))
    session.run()
    assert session.assert_exact().count == 5 and index not in session.in_set(Bitmap.VALID)
    assert_nobody_honest_pays(session)


@pytest.mark.parametrize(("t", "seen_by"), [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)])
def test_a_bad_piece_for_some_pairs_of_eyes(t: int, seen_by: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The liars hold bad pieces, t honest provers none. Some honest ones are shown a bad one and vote otherwise than
    the rest. Up to t of them do not put the data owner out, if liars vote for it; all that is needed is there then.
    """
    session = drawn(t)
    index = deal(session, monkeypatch, bad=set(range(t)), none=set(range(3 * t + 1, 4 * t + 1)))
    shown = {node.address for node in session.committee()[t : t + seen_by]}
    honest = lie(session, liar(index, {}, shown))
    session.run()
    for node in honest:
        convicted = [index] if node.address in shown else []
        assert node.machine.status()["convicted"] == convicted
    inside = seen_by <= t
    assert (index in session.in_set(Bitmap.VALID)) == inside and session.assert_exact().count >= 4
    if inside:
        lacking = {n for n in honest if any(note.name == "share_rebuilt" for note in n.notes)}
        assert lacking == set(honest[-t:])
    assert_nobody_honest_pays(session)


@pytest.mark.parametrize("t", [1, 2])
def test_a_bad_piece_for_more_than_t(t: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All victims publish, although the number of complaints alone would do."""
    session = drawn(t)
    victims = set(range(t, 2 * t + 1))
    index = deal(session, monkeypatch, bad=victims, none=set())
    lie(session, liar(index, {}, set()))
    session.run()
    assert index not in session.in_set(Bitmap.VALID) and session.assert_exact().count == 5
    for seat in victims:
        sent = [e for e in session.committee()[seat].effects if isinstance(e, fx.Send)]
        assert len([e for e in sent if isinstance(e.message, msg.ShareOpening)]) == 4 * t
    assert_nobody_honest_pays(session)


def test_who_complains_and_shows_nothing_is_waited_for_until_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as for one that says nothing, and no longer."""
    session = drawn(1)
    everybody = {node.address: 0b100 for node in session.committee()}
    lie(session, liar(2, everybody, set()))
    session.run_until(Phase.VALID)
    view = session.committee()[1].machine.view
    half = view.phase_block + (view.deadline - 2 - view.phase_block) // 2
    session.run_until(Phase.BATCH)
    assert session.market.block <= half + 2
    session.run()
    assert session.assert_exact().count >= 4
    assert_nobody_honest_pays(session)
