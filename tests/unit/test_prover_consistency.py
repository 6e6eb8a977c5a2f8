"""The consistency check of one prover: what counts, when it judges, whom it trusts, what it publishes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any, cast

import pytest

from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import P, Vector
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_consistency import Consistency
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_vote import Vote
from protocols.sharing.consistency import Status, Verdict
from protocols.sharing.shamir import share
from protocols.wire.messages import ShareOpening
from tests.unit.test_prover_proofs import desk

BEGAN, HALF, CUT = 50, 59, 68  # of phase VALID, deadline 70


@dataclass
class Piece:
    """A share as it was committed."""

    share: Vector

    def opening(self, sender: bytes, index: int) -> ShareOpening:
        return ShareOpening(sender, index, bytes(32), (), bytes(32), gl.to_bytes(self.share))


@dataclass
class Pieces:
    """Everything that is published was committed; pieces are a single coordinate and the pad."""

    length: int = 2

    def published(self, message: ShareOpening, point: int) -> Vector:
        return gl.from_bytes(message.piece)


@dataclass
class Uploads:
    held: dict[int, Piece]
    pieces: Pieces = field(default_factory=Pieces)


class Bench:
    """The prover at point 1 of n, in phase VALID; data owners 0 .. are delivered, it holds the pieces ``ours``."""

    def __init__(self, n: int = 5, t: int = 1, members: int = 1, ours: dict[int, Vector] | None = None) -> None:
        self.desk: Desk
        self.desk, self.infos = desk(Phase.VALID, members, n, threshold=t)
        self.desk.view.sets[Bitmap.DELIVERED] = (1 << members) - 1
        self.dealt = share(gl.vector([5, 6]), t, range(1, n + 1), bytes(32))
        held = {0: self.dealt[0]} if ours is None else ours
        self.made = Consistency(self.desk, cast(Any, Uploads({k: Piece(v) for k, v in held.items()})))
        self.vote = Vote(self.desk, self.made)
        self.effects = self.made.progress()

    def value(self, point: int, owner: int = 0) -> int:
        """What an honest prover opens of a data owner; all dealt the same."""
        piece = self.dealt[point - 1]
        return (gl.dot(piece[:1], self.made._weights(owner)) + int(piece[1])) % P

    def post(self, point: int, *values: int, block: int = BEGAN + 1, present: int | None = None) -> list[fx.Effect]:
        """A posting is on chain: honest if no values are given."""
        shown = b"" if present == 0 else gl.to_bytes(gl.vector(values or [self.value(point)]))
        self.desk.view.apply(ev.OpeningsPosted(7, block, point - 1, 1 if present is None else present, shown))
        return self.made.progress()

    def publish(self, point: int, piece: Vector) -> list[fx.Effect]:
        return self.made.share_opening(Piece(piece).opening(self.infos[point - 1].address, 0))


def sent(effects: list[fx.Effect]) -> list[ShareOpening]:
    return [e.message for e in effects if isinstance(e, fx.Send) and isinstance(e.message, ShareOpening)]


def blames(effects: list[fx.Effect]) -> list[tuple[bytes, str]]:
    return [(e.peer, e.rule) for e in effects if isinstance(e, fx.Blame)]


# ----------------------------------------------------------------------------------------------------- what counts


def test_combinations_are_posted_once_when_the_beacon_falls() -> None:
    bench = Bench()
    remember, opening = bench.effects
    assert isinstance(remember, fx.Remember) and remember.key == "query-beacon"
    assert opening == fx.Transact("postOpenings", (1, gl.to_bytes(gl.vector([bench.value(1)]))), key="postOpenings")
    assert bench.made.progress() == []


def test_who_holds_nothing_says_so() -> None:
    assert Bench(ours={}).effects[1] == fx.Transact("postOpenings", (0, b""), key="postOpenings")


@pytest.mark.parametrize("order", list(permutations(range(1, 6)))[::17], ids=str)
def test_all_judge_when_the_last_one_has_posted(order: tuple[int, ...]) -> None:
    bench = Bench()
    for point in order[:-1]:
        assert bench.post(point) == [] and bench.made.verdicts is None
    assert [type(e) for e in bench.post(order[-1])] == [fx.Note]
    assert bench.made.verdicts == {0: Verdict(Status.CONSISTENT)} and bench.made.trusted(0)
    assert bench.made.progress() == bench.made.tick(CUT) == []


def test_half_of_the_time_is_enough_for_all_that_count() -> None:
    """Whoever is behind and reads later blocks first comes to the same verdict."""
    for late in (False, True):
        bench = Bench()
        for point in (2, 3, 4):
            bench.post(point)
        if late:
            bench.post(1, block=HALF)
            bench.post(5, 1, block=HALF + 1)
        else:
            bench.post(1, block=HALF)
            assert bench.made.tick(HALF - 1) == [] and bench.made.tick(HALF) != []
        assert bench.made.verdicts == {0: Verdict(Status.CONSISTENT)}
        assert bench.made.fitting(0) == {1, 2, 3, 4} and bench.desk.faulty == set()


@pytest.mark.parametrize(("deadline", "until"), [(54, 51), (55, 51), (56, 52), (57, 53), (58, 53), (60, 54), (70, 59)])
def test_postings_have_half_of_the_time_or_three_blocks(deadline: int, until: int) -> None:
    """And two blocks are left before the vote, where the phase has its eight blocks or nearly."""
    made, _ = desk(Phase.VALID, 1)
    made.view.apply(ev.PhaseChanged(7, BEGAN, Phase.VALID, deadline))
    consistency = Consistency(made, cast(Any, Uploads({})))
    consistency.progress()
    assert consistency.tick(until - 1) == [] and consistency.tick(until) != []
    assert until <= made.cut() - (1 if deadline < BEGAN + 5 else 2)


def test_who_wakes_up_after_the_vote_judges_the_same_and_publishes_nothing() -> None:
    bench = Bench(ours={0: gl.vector([1, 1])})
    for point in (1, 2, 3, 4):
        bench.post(point, *([gl.dot(gl.vector([1]), bench.made._weights(0)) + 1] if point == 1 else []))
    bench.desk.view.apply(ev.PhaseChanged(7, 69, Phase.BATCH, 90))
    effects = bench.made.progress()
    assert bench.made.verdicts == {0: Verdict(Status.OUTLIERS, (1,))} and not bench.made.trusted(0)
    assert sent(effects) == [] and bench.vote.progress() == []


@pytest.mark.parametrize("values", [b"\xff" * 8, bytes(16), b"\x01"])
def test_a_posting_that_is_no_list_of_elements_counts_as_none_and_names_its_prover(values: bytes) -> None:
    bench = Bench()
    bench.desk.view.apply(ev.OpeningsPosted(7, 51, 4, 1, values))
    effects = [e for point in (1, 2, 3, 4) for e in bench.post(point)]
    assert blames(effects) == [(bench.infos[4].address, "wrong-opening")] and bench.desk.faulty == {5}
    assert bench.made.verdicts == {0: Verdict(Status.CONSISTENT)} and bench.made.fitting(0) == {1, 2, 3, 4}


def test_the_first_posting_counts() -> None:
    bench = Bench()
    bench.post(2)
    bench.post(2, 77)
    for point in (1, 3, 4, 5):
        bench.post(point)
    assert bench.made.verdicts == {0: Verdict(Status.CONSISTENT)}


def test_too_few_openings_say_nothing_and_blame_nobody() -> None:
    bench = Bench(members=2)
    for point in (1, 2):
        bench.post(point)
    for point in (3, 4, 5):
        bench.post(point, present=0)
    assert bench.made.verdicts == {} and not bench.made.trusted(0) and bench.made.fitting(0) == set()
    effects = bench.vote.progress()
    assert [e.args for e in effects if isinstance(e, fx.Transact)] == [(int(Bitmap.VALID), 0)] and not blames(effects)


# ------------------------------------------------------------------------------------------------- honest data owners


@pytest.mark.parametrize(("n", "t"), [(5, 1), (9, 2)])
def test_at_most_t_liars_change_nothing_for_an_honest_data_owner(n: int, t: int) -> None:
    """Whoever lies, omits or holds nothing: n - t say that they hold a piece, at most t of all are not honest."""
    without = range(n - t + 1, n + 1)
    for liars in combinations(range(2, n - t + 1), t):
        for how in range(3):
            bench = Bench(n, t)
            for point in range(1, n + 1):
                lies = point in liars
                if point in without or (lies and how == 0):
                    bench.post(point, present=0)
                elif lies:
                    bench.post(point, 1000 * point if how == 1 else bench.value(point) + 1)
                else:
                    bench.post(point)
            verdict = (bench.made.verdicts or {})[0]
            assert verdict.outliers == (liars if how else ())
            assert bench.made.trusted(0)
            effects = bench.vote.progress() + bench.vote.tick(CUT)
            batch(bench)
            assert bench.desk.faulty == (set(liars) if how else set())
            assert [e.args for e in effects if isinstance(e, fx.Transact)] == [(int(Bitmap.VALID), 1)]


def test_where_nothing_fits_nothing_is_published() -> None:
    bench = Bench()
    effects = [e for point in range(1, 6) for e in bench.post(point, *([point] if point in (2, 4) else []))]
    assert bench.made.verdicts == {0: Verdict(Status.INCONSISTENT)} and sent(effects) == []
    assert bench.publish(2, bench.dealt[1]) == [] and bench.made.in_doubt(0)  # nobody asked for it
    assert blames(bench.vote.progress()) == [(bench.desk.view.uploader(0), "inconsistent-sharing")]
    assert bench.desk.faulty == set()


# ---------------------------------------------------------------------------------------------------- outliers


def outlier(bench: Bench, point: int) -> list[fx.Effect]:
    """Everybody posts; this one is off."""
    return [e for x in range(1, 6) for e in bench.post(x, *([77] if x == point else []))]


def batch(bench: Bench, block: int = CUT + 1) -> list[fx.Effect]:
    """U is fixed."""
    bench.desk.view.apply(ev.PhaseChanged(7, block, Phase.BATCH, 99))
    return bench.vote.progress()


def test_an_outlier_is_waited_for_until_the_cut_and_named_when_u_is_fixed() -> None:
    bench = Bench()
    outlier(bench, 4)
    assert bench.made.waiting and bench.vote.progress() == [] and bench.vote.tick(CUT - 1) == []
    (vote,) = bench.vote.tick(CUT)
    assert isinstance(vote, fx.Transact) and vote.args == (int(Bitmap.VALID), 1) and bench.desk.faulty == set()
    assert blames(batch(bench)) == [(bench.infos[3].address, "wrong-opening")] and bench.desk.faulty == {4}
    bench.publish(4, gl.vector([1, 1]))
    assert bench.made.in_doubt(0) and bench.vote.progress() == []  # too late


@pytest.mark.parametrize("honest", [True, False])
def test_a_piece_that_comes_after_the_vote_is_heard(honest: bool) -> None:
    bench = Bench()
    piece = gl.vector([3, 4])
    value = (gl.dot(piece[:1], bench.made._weights(0)) + 4) % P
    for x in range(1, 6):
        bench.post(x, *([value] if x == 4 else []))
    bench.vote.tick(CUT)
    bench.publish(4, piece if honest else bench.dealt[3])
    assert bool(blames(bench.vote.progress())) is not honest
    batch(bench)
    assert bench.desk.faulty == (set() if honest else {4})


@pytest.mark.parametrize(("judged", "named"), [(CUT - 1, {4}), (CUT, set())])
def test_who_judged_just_before_u_is_fixed_names_nobody_silent(judged: int, named: set[int]) -> None:
    """It has not had the time to hear anybody."""
    bench = Bench()
    for point in (1, 2, 3, 4):
        bench.post(point, *([77] if point == 4 else []))
    bench.made.tick(judged)
    bench.vote.tick(CUT)
    batch(bench)
    assert bench.desk.faulty == named


def test_who_did_not_vote_names_nobody_silent() -> None:
    bench = Bench()
    outlier(bench, 4)
    batch(bench)
    assert bench.desk.faulty == set()


def test_who_is_shown_right_about_one_data_owner_is_not_silent_about_others() -> None:
    """However many data owners deal it a bad piece: one that arrives is enough."""
    bench = Bench(members=3, ours={})
    piece = gl.vector([3, 4])
    bad = [(gl.dot(piece[:1], bench.made._weights(k)) + 4) % P for k in range(3)]
    for x in range(1, 6):
        good = [bench.value(x, k) for k in range(3)]
        bench.post(x, *(bad if x == 4 else good), present=0 if x == 1 else 7)
    bench.publish(4, piece)
    bench.vote.tick(CUT)
    assert blames(batch(bench)) == [] and bench.desk.faulty == set() and bench.made.in_doubt(1)


def test_pieces_are_published_lowest_index_first() -> None:
    bench = Bench(members=3, ours={k: gl.vector([3, 4]) for k in range(3)})
    opened = bench.effects[1]
    assert isinstance(opened, fx.Transact)
    ours = gl.from_bytes(cast(bytes, opened.args[1])).tolist()
    effects: list[fx.Effect] = []
    for x in range(1, 6):
        good = [bench.value(x, k) for k in range(3)]
        effects += bench.post(x, *(ours if x == 1 else good), present=7)
    assert [m.index for m in sent(effects)] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_piece_on_the_polynomial_convicts_its_publisher_at_once() -> None:
    bench = Bench()
    outlier(bench, 4)
    bench.publish(4, bench.dealt[3])
    effects = bench.vote.progress()
    assert blames(effects) == [(bench.infos[3].address, "wrong-opening")]
    assert isinstance(effects[-1], fx.Transact) and effects[-1].args == (int(Bitmap.VALID), 1)


def test_a_piece_off_the_polynomial_clears_its_publisher() -> None:
    bench = Bench()
    piece = gl.vector([3, 4])
    value = (gl.dot(piece[:1], bench.made._weights(0)) + 4) % P
    for x in range(1, 6):
        bench.post(x, *([value] if x == 4 else []))
    bench.publish(4, piece)
    bench.publish(4, bench.dealt[3])  # the first one counts
    effects = bench.vote.progress()
    assert blames(effects) == [(bench.desk.view.uploader(0), "inconsistent-sharing")] and bench.desk.faulty == set()
    assert isinstance(effects[-1], fx.Transact) and effects[-1].args == (int(Bitmap.VALID), 0)


def test_our_own_bad_piece_is_published_and_not_trusted() -> None:
    bench = Bench(ours={0: gl.vector([3, 4])})
    opened = bench.effects[1]
    assert isinstance(opened, fx.Transact)
    (value,) = gl.from_bytes(cast(bytes, opened.args[1])).tolist()
    effects = [e for x in range(1, 6) for e in bench.post(x, *([value] if x == 1 else []))]
    assert len(sent(effects)) == 4 and not bench.made.trusted(0) and not bench.made.waiting
    assert blames(bench.vote.progress()) == [(bench.desk.view.uploader(0), "inconsistent-sharing")]


def test_our_piece_is_trusted_although_our_posting_was_late() -> None:
    bench = Bench()
    for point in (2, 3, 4):
        bench.post(point)
    bench.made.tick(HALF)
    bench.post(1, block=HALF + 1)
    assert bench.made.fitting(0) == {2, 3, 4} and bench.made.trusted(0)


def test_pieces_are_taken_from_outliers_after_the_judgement_only() -> None:
    bench = Bench()
    with pytest.raises(RemoteProtocolError, match="too-early"):
        bench.publish(4, bench.dealt[3])
    outlier(bench, 4)
    bench.publish(3, gl.vector([9, 9]))
    assert bench.made.in_doubt(0)
    with pytest.raises(RemoteProtocolError, match="wrong-sender"):
        bench.made.share_opening(Piece(bench.dealt[0]).opening(bench.desk.identity.address, 0))
