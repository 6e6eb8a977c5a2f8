"""What hostile sessions can make a data owner fetch, keep and wait for; what it refuses before it fetches anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trio

from omninode.learning.document import MAX_BYTES, Perturbation, SessionDocument
from omninode.learning.jobs import Job, Result
from omninode.learning.model_spec import ForeignModel
from omninode.learning.presets import DIGITS, MNIST
from omninode.learning.service import TrainingFailed, TrainingLate
from omninode.net.errors import BlobUnavailable
from omninode.roles import data_owner, session_files, session_task
from omninode.roles.data_owner import DataOwner
from omninode.roles.onchain_data_owner import OnchainDataOwner
from omninode.roles.onchain_driver import stored
from omninode.roles.session_files import SessionFiles, unless
from omninode.roles.session_task import Refused, Task
from omninode.store.blobs import BlobTooLarge
from protocols.onchain import events as ev
from protocols.onchain.params import State, Training
from protocols.onchain.view import OnchainView
from protocols.sessions.params import Mode, Phase, Rule
from protocols.sessions.view import SessionView
from tests.unit.onchain_kit import terms
from tests.unit.test_data_owner_split import INITIAL, PUBLISHED, split
from tests.unit.test_roles_verified import OWN, services, view_of  # noqa: F401


class Trials:
    """Counts what is tried; says what it was told to."""

    def __init__(self) -> None:
        self.tried: list[Job] = []
        self.trained = 0
        self.says: Exception | None = None

    async def run(self, jobs: Sequence[Job], *, trial: bool, limit_s: float) -> list[Result]:
        assert trial
        assert limit_s == session_task.CHECK_S
        self.tried += jobs
        if self.says is not None:
            raise self.says
        return [Result()]

    async def train(self, *args: Any, initial: bytes | None, limit_s: float) -> np.ndarray[Any, Any]:
        assert len(args) == 4  # no deadline: waiting for a place is no training
        assert limit_s == data_owner.TRAIN_S
        self.trained += 1
        if self.says is not None:
            raise self.says
        return np.zeros(DIGITS.model.parameters, np.float32)

    async def warm(self) -> None:
        """At once."""


class Served:
    """``fetch_blob`` of a node that serves these blobs, and how large each was allowed to be."""

    def __init__(self, *blobs: bytes) -> None:
        self.blobs, self.limits = list(blobs), []  # type: ignore[var-annotated]

    async def __call__(
        self, net: Any, store: Any, digest: bytes, peers: Any, *, max_size: int, deadline: float
    ) -> Path:
        self.limits.append(max_size)
        await trio.lowlevel.checkpoint()
        if store.has(digest):
            return store.check_size(digest, max_size)  # type: ignore[no-any-return]
        for blob in self.blobs:
            with store.writer(digest, max_size=max_size) as writer:
                writer.write(blob)
                if writer._hash.digest() == digest:
                    return writer.commit()  # type: ignore[no-any-return]
        raise BlobUnavailable(digest, {})


@pytest.fixture
def node(services: Any) -> Any:  # noqa: F811
    services.trainer = Trials()
    policy = replace(services.config.data_owner, max_download=100)
    services.config = replace(services.config, data_owner=policy)
    services.wallet.address = b"d" * 20
    return services


def serve(monkeypatch: pytest.MonkeyPatch, *blobs: bytes) -> Served:
    served = Served(*blobs)
    monkeypatch.setattr(session_task, "fetch_blob", served)
    return served


def view_for(document: SessionDocument, **changes: Any) -> SessionView:
    named = {"doc_digest": document.digest(), "dimension": document.parameters, "bound": document.bound}
    view = view_of(changes.pop("mode", Mode.VERIFIED), **{**named, "frac_bits": document.frac_bits, **changes})
    view.phase = Phase.REGISTER
    return view


async def refused(node: Any, view: SessionView) -> str:
    role = DataOwner(node)
    node.keys = SimpleNamespace(configured=True)
    assert await role.join(view) is None
    return role.refusals[view.session]


PERTURBED = replace(
    split(), public_layers=(), initial=b"", model=replace(DIGITS.model, bias=False),
    perturbation=Perturbation((1.0,) * 10, (1.0, 1.0, 1.0)),
)  # fmt: skip
HUGE = ForeignModel("export", "ab" * 32, 1 << 29, (64,), 10, (("fc.weight", (10, 64)),))


@pytest.mark.parametrize(
    ("document", "changes", "words"),
    [
        (split(model=MNIST.model, public_layers=("fc3",)), {}, "64 features per sample, the model takes 784"),
        (split(min_samples=61), {}, "60 samples"),
        (split(), {"frac_bits": 17}, "fixed point or bound"),
        (
            replace(split(), model=HUGE, public_layers=(), initial=b""),
            {},
            "more than data_owner.max_download = 100 MiB",
        ),
        (PERTURBED, {"mode": Mode.GROUPED, "rule": Rule.NONE}, "only goes with mode verified and rule none"),
        (PERTURBED, {"rule": Rule.OUTLIER}, "only goes with mode verified and rule none"),
    ],
)
async def test_what_cannot_be_joined_is_refused_before_anything_large_is_fetched(
    node: Any, monkeypatch: pytest.MonkeyPatch, document: SessionDocument, changes: dict[str, Any], words: str
) -> None:
    served = serve(monkeypatch, document.encode())
    assert words in await refused(node, view_for(document, **dict(changes)))
    assert served.limits == [MAX_BYTES]
    assert node.blobs.used == 0
    assert node.trainer.tried == []


async def test_a_perturbed_model_where_it_belongs(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = bytes(4 * PERTURBED.model.parameters)
    document = replace(PERTURBED, weights=hashlib.sha256(weights).digest())
    serve(monkeypatch, document.encode(), weights)
    view = view_for(document, rule=Rule.NONE)
    assert await DataOwner(node)._task(view) == Task(document, weights, None)


async def test_files_of_a_refused_session_are_deleted(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = node.blobs.put(b"our own")
    serve(monkeypatch, split().encode(), PUBLISHED, INITIAL)
    node.trainer.says = TrainingFailed("the weights are no numbers")
    assert "cannot be used: the weights are no numbers" in await refused(node, view_for(split()))
    assert len(node.trainer.tried) == 1
    assert node.blobs.used == len(b"our own")
    assert node.blobs.has(own)


async def test_files_of_an_ended_session_are_deleted_but_for_the_document(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, other = split(), split(min_samples=49)
    serve(monkeypatch, document.encode(), other.encode(), PUBLISHED, INITIAL)
    role, view, second = DataOwner(node), view_for(document), view_for(other)
    second.session = 5
    assert await role.join(view) is not None
    assert await role.join(second) is not None
    await role.files.collect()
    assert node.blobs.used == len(document.encode()) + len(other.encode()) + len(PUBLISHED) + len(INITIAL)
    view.phase = Phase.FINISHED
    await role.files.collect()
    assert role.files._holds.sessions() == {4, 5}  # the chain may take the end back
    await role.files.collect()
    assert role.files._holds.sessions() == {5}
    assert node.blobs.has(document.weights)  # the other session's too
    second.phase = Phase.ABORTED
    for _ in range(2):
        await role.files.collect()
    assert not node.blobs.has(document.weights) and not node.blobs.has(document.initial)
    assert node.blobs.has(document.digest())  # for `session verify` and `session show`


async def test_after_a_crash_only_sessions_that_we_are_in_keep_their_files(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, split().encode(), PUBLISHED, INITIAL)
    killed = DataOwner(node)
    assert await killed.join(view_for(split())) is not None
    node.store.begin(4, "data_owner", bytes(32))
    again = SessionFiles(node, "data_owner")
    await again.collect()
    assert node.blobs.has(split().weights)
    node.store.set_state(4, "data_owner", {"done": True})
    await again.collect()
    assert not node.blobs.has(split().weights)


async def test_our_own_file_that_is_larger_than_expected_is_not_read(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that knows the digest of a large file of ours names it as its document."""
    serve(monkeypatch)
    large = node.blobs.put(bytes(MAX_BYTES + 1))
    with pytest.raises(BlobTooLarge, match="more than 65536"):
        await DataOwner(node).tasks.blob(view_for(split()), large, MAX_BYTES)
    assert "more than 65536" in await refused(node, view_for(split(), doc_digest=large))
    assert node.blobs.has(large)


async def test_no_room(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, split().encode())
    node.blobs.max_total = len(split().encode()) + 100
    assert "no room for the session's files" in await refused(node, view_for(split()))


async def test_looking_ends_with_registration(node: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: Any) -> None:
    serve(monkeypatch, split().encode())  # the weights never come
    view = view_for(split())

    async def close() -> None:
        await trio.sleep(100)
        view.phase = Phase.DRAW

    async with trio.open_nursery() as nursery:
        nursery.start_soon(close)
        assert "registration was over before" in await refused(node, view)
    assert node.blobs.used == 0


async def test_training_ends_with_the_window_for_uploads(node: Any, autojump_clock: Any) -> None:
    closed = False

    async def close() -> None:
        nonlocal closed
        await trio.sleep(50)
        closed = True

    async def learn() -> np.ndarray[Any, Any] | None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(close)
        assert await DataOwner(node).in_time(4, lambda: closed, learn) is None
    assert "the window for uploads closed" in (node.data_dir / "events.jsonl").read_text()


async def test_what_was_late_is_not_tried_again(node: Any, autojump_clock: Any) -> None:
    task = Task(split(), PUBLISHED, INITIAL)
    node.trainer.says = TrainingLate("too long")
    assert await DataOwner(node)._train(4, task) is None
    assert node.trainer.trained == 1
    node.trainer.says = TrainingFailed("killed")
    assert await DataOwner(node)._train(4, task) is None
    assert node.trainer.trained == 1 + data_owner.TRAIN_TRIES


@pytest.mark.parametrize("late", [lambda: True, lambda: False])
async def test_unless(late: Callable[[], bool], autojump_clock: Any) -> None:
    async def work() -> int:
        await trio.sleep(1)
        return 3

    assert await unless(late, work) == ([] if late() else [3])

    async def bad() -> int:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        await unless(late, bad)


def onchain_view(document: SessionDocument) -> OnchainView:
    view = OnchainView(1)
    said = replace(terms(), owner=OWN, doc_digest=document.digest(), dimension=document.parameters)
    view.apply(ev.Created(1, 1, b"\x11" * 20, said))
    view.apply(ev.Started(1, 2, Training(10, document.train.epochs, document.train.batch, 2, 4), 20))
    return view


async def test_sessions_of_the_baseline(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same node, its files by the number in the database."""
    document = split()
    serve(monkeypatch, document.encode(), PERTURBED.encode(), PUBLISHED, INITIAL)
    role = DataOwner(node)
    onchain = OnchainDataOwner(node, SimpleNamespace(chain_id=1), role)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="perturbed"):
        await onchain._task(onchain_view(PERTURBED))
    await role.files.drop(stored(1))
    assert node.blobs.used == 0
    view = onchain_view(document)
    role.files.begin(stored(1), lambda: view.ended)
    assert (await onchain._task(view)).document == document
    assert role.files._holds.sessions() == {stored(1)}
    view.state = State.PAYMENT
    for _ in range(2):
        await role.files.collect()
    assert not node.blobs.has(document.weights)


async def test_the_role_collects_by_itself(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_files, "COLLECT_S", 0.01)
    serve(monkeypatch, split().encode(), PUBLISHED, INITIAL)
    role, view = DataOwner(node), view_for(split())
    assert await role.join(view) is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(role.run)
        view.phase = Phase.FINISHED
        with trio.fail_after(20):
            while node.blobs.has(split().weights) or not role.warm:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
