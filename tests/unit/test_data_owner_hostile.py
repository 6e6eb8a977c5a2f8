"""What many sessions at once, a reorganisation, a restart or a bad disk may do to a data owner."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from omninode.learning.jobs import Job, Result
from omninode.learning.service import TrainingLate
from omninode.net.errors import BlobUnavailable
from omninode.roles import session_files, session_task
from omninode.roles.chainlog import ChainLog
from omninode.roles.data_owner import DataOwner
from omninode.roles.onchain_data_owner import OnchainDataOwner
from omninode.roles.session_files import SessionFiles
from omninode.roles.session_task import Task
from omninode.store.blobs import FileBlobStore
from omninode.store.holds import Holds
from protocols.onchain.view import Member
from protocols.sessions import events as ev
from protocols.sessions.params import Phase, SessionParams
from protocols.sessions.view import SessionView
from tests.unit.test_data_owner_files import node, onchain_view, refused, serve, view_for  # noqa: F401
from tests.unit.test_data_owner_split import INITIAL, PUBLISHED, split
from tests.unit.test_roles_verified import services  # noqa: F401


def created(session: int, block: int, params: SessionParams) -> ev.SessionCreated:
    return ev.SessionCreated(session, block, params)


def phase(session: int, block: int, reached: Phase) -> ev.PhaseChanged:
    return ev.PhaseChanged(session, block, reached, block + 10)


@pytest.mark.parametrize("onchain", [False, True])
async def test_sessions_looked_at_together_are_no_more_than_the_budget(
    node: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    onchain: bool,
) -> None:
    documents = [split(min_samples=40 + k) for k in range(4)]
    serve(monkeypatch, *(document.encode() for document in documents), PUBLISHED, INITIAL)
    node.config = replace(node.config, data_owner=replace(node.config.data_owner, max_sessions=2))
    role, joined = DataOwner(node), []
    other = OnchainDataOwner(node, SimpleNamespace(chain_id=1), role)  # type: ignore[arg-type]
    for check in ("check_chain", "check_weights"):
        monkeypatch.setattr(other._policy, check, lambda *_: trio.lowlevel.checkpoint())

    async def look(k: int) -> None:
        if onchain and k % 2:
            chain = onchain_view(documents[k])
            chain.session = k
            joined.append(await other.join(chain))
        else:
            view = view_for(documents[k])
            view.session = 10 + k
            joined.append(await role.join(view))

    async with trio.open_nursery() as nursery:
        for k in range(4):
            nursery.start_soon(look, k)
    assert sum(driver is not None for driver in joined) == 2
    said = [*role.refusals.values(), *other.refusals.values()]
    assert len(said) == 2 and all("max_sessions = 2" in reason for reason in said)
    for session in list(role.files._live):
        await role.files.drop(session)  # nothing came of them
    await look(3)
    assert joined[-1] is not None


async def test_a_reorganisation_reaches_a_look_that_is_under_way(
    node: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(monkeypatch, split().encode())  # the weights never come
    log, said = ChainLog(), view_for(split()).p
    log.fold(5, [created(4, 5, said), phase(4, 5, Phase.COMMITTEE)])
    log.fold(7, [phase(4, 7, Phase.REGISTER)])

    async def reorganise() -> None:
        await trio.sleep(0.1)
        log.roll_back(6)
        log.fold(7, [phase(4, 7, Phase.ABORTED)])

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reorganise)
            assert "registration was over before" in await refused(node, log.views[4])


async def test_files_stay_where_the_chain_takes_the_end_back(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    serve(monkeypatch, split().encode(), PUBLISHED, INITIAL)
    log, role = ChainLog(), DataOwner(node)
    log.fold(5, [created(4, 5, view_for(split()).p), phase(4, 5, Phase.REGISTER)])
    assert await role.join(log.views[4]) is not None
    log.fold(9, [phase(4, 9, Phase.FINISHED)])
    await role.files.collect()
    log.roll_back(8)
    for _ in range(3):
        await role.files.collect()
    assert role.files._holds.sessions() == {4}
    log.fold(9, [phase(4, 9, Phase.FINISHED)])
    for _ in range(2):
        await role.files.collect()
    assert role.files._holds.sessions() == set()


async def test_another_session_in_its_place_is_not_joined(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    document = split()
    serve(monkeypatch, document.encode(), PUBLISHED, INITIAL)
    view, node.keys = view_for(document), SimpleNamespace(configured=True)
    role = DataOwner(node)
    task = role._task

    async def replaced(seen: SessionView) -> Task:
        found = await task(seen)
        seen.params = replace(seen.p, deposit=seen.p.deposit + 1)
        return found

    monkeypatch.setattr(role, "_task", replaced)
    assert await role.join(view) is None
    assert "put another session in the place" in role.refusals[4]


async def test_an_owner_whose_model_was_late_waits(
    node: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is one place for trials: an owner with many sessions has it once, then never for a while."""
    documents = [split(min_samples=40 + k) for k in range(5)]
    serve(monkeypatch, *(document.encode() for document in documents), PUBLISHED, INITIAL)
    role, at_once = DataOwner(node), [0, 0]

    async def run(jobs: Sequence[Job], *, trial: bool, limit_s: float) -> list[Result]:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await trio.sleep(0.02)
        at_once[0] -= 1
        node.trainer.tried += jobs
        raise TrainingLate("too long")

    monkeypatch.setattr(node.trainer, "run", run)

    async def look(k: int, owner: bytes) -> None:
        view = view_for(documents[k])
        view.session, view.params = 10 + k, replace(view.p, owner=owner)
        assert await role.join(view) is None

    async with trio.open_nursery() as nursery:
        for k in range(5):
            nursery.start_soon(look, k, b"o" * 20)
    assert (len(node.trainer.tried), at_once[1]) == (1, 1)
    assert sum("took longer than 30 s" in reason for reason in role.refusals.values()) == 4
    await look(0, b"x" * 20)
    assert len(node.trainer.tried) == 2  # another owner's is tried
    role.tasks._late[b"o" * 20] -= session_task.LATE_S
    await look(1, b"o" * 20)
    assert len(node.trainer.tried) == 3
    assert role.tasks._trials == {}


async def test_what_is_here_needs_no_room(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    serve(monkeypatch, split().encode(), PUBLISHED, INITIAL)
    assert await DataOwner(node).join(view_for(split())) is not None
    node.blobs.max_total = node.blobs.used
    assert (await DataOwner(node)._task(view_for(split()))).weights == PUBLISHED


async def test_a_promise_is_kept_without_another_trial(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A restart in the middle of a session, with less room than before."""
    serve(monkeypatch, split().encode(), PUBLISHED, INITIAL)
    node.store.begin(4, "data_owner", bytes(32))
    node.config = replace(node.config, data_owner=replace(node.config.data_owner, max_download=0))
    view = view_for(split())
    view.phase = Phase.UPLOAD
    assert (await DataOwner(node)._task(view)).weights == PUBLISHED
    document = onchain_view(split())
    document.members.append(Member(node.wallet.address, 0, b""))
    onchain = OnchainDataOwner(node, SimpleNamespace(chain_id=1), DataOwner(node))  # type: ignore[arg-type]
    assert (await onchain._task(document)).initial == INITIAL
    assert node.trainer.tried == []


async def test_an_owner_that_is_away_for_hours(
    node: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: Any,
) -> None:
    tries = 0

    async def fetch(*args: Any, **more: Any) -> Path:
        nonlocal tries
        tries += 1
        if tries < 1500:
            raise BlobUnavailable(bytes(32), {})
        return node.data_dir / "data.npz"

    monkeypatch.setattr(session_task, "fetch_blob", fetch)
    await DataOwner(node).tasks.blob(view_for(split()), bytes(32), 10)
    assert tries == 1500


async def test_looks_at_the_same_time_share_one_lock(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    files, made = SessionFiles(node, "data_owner"), []

    class Counted(Holds):
        def __init__(self, blobs: FileBlobStore) -> None:
            made.append(threading.current_thread())
            super().__init__(blobs)

    monkeypatch.setattr(session_files, "Holds", Counted)
    async with trio.open_nursery() as nursery:
        for session in range(8):
            nursery.start_soon(lambda s: files.take(s, bytes(32), document=False), session)
    assert made == [threading.current_thread()]
    assert files._holds.sessions() == set(range(8))


async def test_a_disk_that_fails_once_does_not_end_the_node(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(session_files, "COLLECT_S", 0.0)
    files, errors = SessionFiles(node, "data_owner"), [OSError("input/output error"), ValueError("no number")]
    collect, done = files._holds.collect, trio.Event()

    def broken(live: Callable[[], Any]) -> list[int]:
        if errors:
            raise errors.pop()
        trio.from_thread.run_sync(done.set)
        return collect(live)

    monkeypatch.setattr(files._holds, "collect", broken)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
        with trio.fail_after(20):
            await done.wait()
        nursery.cancel_scope.cancel()
    assert errors == []
