"""What pseudo-random sharings are bound to: after a reorganisation nothing stands twice under one seed and label."""

from __future__ import annotations

from typing import Any, cast

import pytest

from omninode.reproduce.stage.node import rule_of
from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions import prover_rebuild
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_rebuild import ANSWERS, Rebuild
from protocols.sessions.setup import SeedSetup
from protocols.sessions.shelf import MemoryShelf
from protocols.sessions.verified_prover import VerifiedProverMachine
from protocols.sharing.shamir import share
from protocols.wire import messages as msg
from tests.unit.test_prover_proofs import Seeds, desk
from tests.unit.verified import CONTEXT, PROVERS, World


def deals(committee: list[Identity]) -> tuple[dict[tuple[tuple[int, ...], int], bytes], list[fx.Effect]]:
    """Seeds that the first prover deals in this committee, and all that it asks for."""
    world = World(lambda: VerifiedProverMachine(CONTEXT, PROVERS[0], bytes(32), MemoryShelf()))
    world.committee = committee
    effects = world.draw()
    sent = [e.message for e in effects if isinstance(e, fx.Send)]
    return {(m.points, m.attempt): m.seed for m in sent if isinstance(m, msg.SeedDeal)}, effects


def test_seeds_of_sets_belong_to_one_committee() -> None:
    """A chain that is reorganised draws others, who must not know what a former member knows."""
    before, effects = deals(PROVERS[:5])
    after, others = deals([PROVERS[0], *PROVERS[2:5], PROVERS[1]])
    assert before.keys() == after.keys() and not set(before.values()) & set(after.values())
    assert not any(isinstance(e, fx.Remember) for e in [*effects, *others])  # another draw is no crime


def test_a_deal_of_another_committee_is_refused() -> None:
    """The same five in another order: the signature does not fit."""
    world = World(lambda: VerifiedProverMachine(CONTEXT, PROVERS[1], bytes(32), MemoryShelf()))
    world.committee = [PROVERS[0], PROVERS[1], PROVERS[3], PROVERS[2], PROVERS[4]]
    world.draw()
    seeds, effects = deals(PROVERS[:5])
    deal = next(e.message for e in effects if isinstance(e, fx.Send) and e.to == PROVERS[1].address)
    assert isinstance(deal, msg.SeedDeal) and seeds
    assert rule_of(lambda: world.send(deal)) == "bad-signature"


def other(made: Desk, change: str) -> Desk:
    """The same session, told a little differently."""
    view = made.view
    match change:
        case "committee":
            view.committee = (view.committee[1], view.committee[0], *view.committee[2:])
        case "set":
            view.sets[Bitmap.VALID] &= ~2
        case "root":
            view.upload_roots[1] = b"\x99" * 32
        case "groups":
            view.groups = [[0, 2], [1, 3]]
    return made


@pytest.mark.parametrize("change", ["committee", "set", "root", "groups"])
def test_labels_bind_all_that_values_depend_on(change: str) -> None:
    plain, changed = desk(Phase.BATCH)[0], desk(Phase.BATCH)[0]
    plain.view.groups = changed.view.groups = [[0, 1], [2, 3]]
    assert plain.label("gram") == changed.label("gram")
    assert len({plain.label("gram"), plain.label("gram", b"1"), plain.label("products")}) == 3
    assert plain.label("gram") != other(changed, change).label("gram")


class Trusting:
    """Every piece is good."""

    def trusted(self, index: int) -> bool:
        return True


class Doubting:
    """No piece is."""

    def trusted(self, index: int) -> bool:
        return False


def helper(members: int = 1) -> Rebuild:
    """The prover at point 1, with a piece of each data owner and all seeds."""
    made, _ = desk(Phase.BATCH, members)
    held = {k: type("Piece", (), {"share": gl.vector([3, 4])}) for k in range(members)}
    uploads = type("Uploads", (), {"held": held, "pieces": type("Pieces", (), {"length": 2})})
    setup = SeedSetup(made)
    setup.start()
    seeds: dict[tuple[int, ...], bytes] = {m: bytes(m) * 8 for m in setup._known}
    return Rebuild(made, cast(Any, uploads), cast(Any, Trusting()), cast(Any, Seeds(seeds)))


def help_for(rebuild: Rebuild, point: int, index: int = 0) -> Vector:
    (reply,) = rebuild.request(msg.RebuildRequest(rebuild.desk.address(point), index))
    assert isinstance(reply, fx.Reply) and isinstance(reply.message, msg.RebuildShare)
    return gl.from_bytes(reply.message.values)


def test_help_is_the_same_while_nothing_changes_and_never_otherwise() -> None:
    first = help_for(helper(), 2)
    assert first.tolist() == help_for(helper(), 2).tolist()
    changed = helper()
    changed.desk.view.apply(ev.UploadCommitted(7, 6, 0, b"\x77" * 32))
    assert (help_for(changed, 2) != first).all() and (help_for(helper(), 3) != first).all()


def test_the_first_help_of_a_prover_counts() -> None:
    """More of it would cost a whole vector each time, and honest help does not change."""
    lacking = helper()
    lacking.consistency = cast(Any, Doubting())
    lacking.desk.view.sets[Bitmap.VALID] = 1
    assert len(lacking.progress()) == 4
    dealt = share(gl.vector([7, 8]), 1, range(1, 6), bytes(32))  # what helpers send is a sharing, too

    def help_of(point: int, values: Vector) -> list[fx.Effect]:
        return lacking.receive(msg.RebuildShare(lacking.desk.address(point), 0, gl.to_bytes(values)))

    assert help_of(2, dealt[1]) == help_of(2, gl.vector([0, 0])) == help_of(3, dealt[2]) == []
    assert [type(e) for e in help_of(4, dealt[3])] == [fx.Note]
    rebuilt = lacking.share(0)
    assert rebuilt is not None and rebuilt.tolist() == dealt[0].tolist()


def test_help_is_given_a_few_times_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer costs a whole vector. The newest are kept, in so many bytes, and the others computed again."""
    monkeypatch.setattr(prover_rebuild, "KEPT", 2 * 16)
    rebuild = helper(3)
    shelf = rebuild.shelf = MemoryShelf()
    answers: dict[int, list[int]] = {}
    for _ in range(ANSWERS):  # everything again and again: a node that starts again asks for all that it lacks
        for index in range(3):
            again = help_for(rebuild, 2, index).tolist()
            assert answers.setdefault(index, again) == again
            assert len(shelf._items) <= 2
    with pytest.raises(RemoteProtocolError, match="too-many"):
        help_for(rebuild, 2)
    assert help_for(rebuild, 3).tolist() != answers[0]
