"""Sessions that the contract takes and the proof system does not: nobody uploads, and nobody else is disturbed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import trio

from omninode.roles.driver import SessionDriver
from omninode.roles.sessions import Sessions
from protocols.sessions import events as ev
from protocols.sessions.params import Beacon, Bitmap, Mode, Phase
from protocols.sessions.shelf import MemoryShelf
from protocols.sessions.verified_prover import VerifiedProverMachine
from protocols.sessions.view import SessionView
from tests.simulation.session import small_params
from tests.unit.verified import CONTEXT, PROVERS, World

UNPROVABLE = 10**9


def test_provers_do_all_that_they_would_be_slashed_for() -> None:
    world = World(lambda: VerifiedProverMachine(CONTEXT, PROVERS[0], bytes(32), MemoryShelf()))
    world.params = replace(world.params, bound=UNPROVABLE)
    world.draw()
    world.register(0, 1, 2)
    world.fix(Bitmap.BUNDLES, 0, 1, 2)
    for phase in (Phase.UPLOAD, Phase.DELIVERED):
        world.phase(phase)
        world.tick(6)
    world.fix(Bitmap.DELIVERED)
    world.phase(Phase.QUERY)
    world.emit(ev.BeaconSet, Beacon.QUERY, bytes(32))
    world.phase(Phase.VALID)
    world.tick(6)
    assert [e.args for e in world.calls("postBitmap")] == [(1, 0), (2, 0)]
    assert [e.args for e in world.calls("postOpenings")] == [(0, b"")]
    world.assert_replays()


def driver(bound: int) -> SessionDriver:
    """Of a verified session whose owner's peer key is all ones."""
    view = SessionView(7)
    view.params = small_params(mode=Mode.VERIFIED, owner=bytes(20), owner_peer=b"\x01" * 32, bound=bound)
    made = object.__new__(SessionDriver)
    made._ready = trio.Event()
    made._ready.set()
    made.machine = cast(Any, SimpleNamespace(view=view))
    return made


async def test_its_peers_are_not_kept_out_of_other_sessions() -> None:
    """A node asks all its drivers how much a peer may send, whatever session a message is for."""
    good, bad = driver(5000), driver(UNPROVABLE)

    def most(drivers: dict[int, SessionDriver]) -> int:
        views = {session: made.machine.view for session, made in drivers.items()}
        sessions = SimpleNamespace(drivers=drivers, _joining={}, chain=SimpleNamespace(views=views))
        return Sessions._most_bytes(cast(Any, sessions), b"\x01" * 32)

    assert most({7: good, 8: bad}) == most({7: good}) > 0
