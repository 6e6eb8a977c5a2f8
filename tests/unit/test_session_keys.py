"""Keys of sessions on a node: which strings it takes, when its keys are made, and what it says of test strings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import structlog
import trio

from omninode.errors import StoreError
from omninode.roles import data_owner, model_owner, prover
from omninode.roles.certificate import certify
from omninode.roles.keyring import keyring, said_label
from omninode.roles.session_keys import Beforehand, key_of, warn_insecure
from omninode.roles.session_task import Refused
from omninode.roles.sessions import Sessions
from omninode.srs import files
from protocols.bn254 import srs
from protocols.errors import LocalProtocolError
from protocols.sessions.events import CommitteeDrawn, ProverInfo, Registered
from protocols.sessions.params import Phase
from tests.simulation import proofs
from tests.unit.test_bn254_srs import file_of
from tests.unit.test_roles_verified import OWN, services  # noqa: F401
from tests.unit.test_roles_zk import events_of, node, view_of  # noqa: F401
from tests.unit.test_srs_files import checks, contributed, labelled, saved, session, standard  # noqa: F401

STRANGER = b"x" * 20


# -------------------------------------------------------------------------------------------------------- keyring


@pytest.mark.parametrize("label", ["omninode", "foo"])
def test_test_strings_are_refused_on_every_chain_but_one(tmp_path: Path, checks: list[int], label: str) -> None:  # noqa: F811
    path = saved(tmp_path, files.File(srs.insecure(label, 136), label, ()))
    for chain_id in (1, 1337, 11155111):
        with pytest.raises(LocalProtocolError, match=f"INSECURE-{label}: everybody can forge"):
            keyring(str(path), tmp_path, 1, chain_id).make(session())
    keys = keyring(str(path), tmp_path, 1, 31337)
    assert keys.make(session()).params.size == 32
    assert keys.label == label


def test_the_label_is_known_before_anything_is_made(tmp_path: Path) -> None:
    assert keyring(str(saved(tmp_path, labelled())), tmp_path, 1, 1).label == "omninode"
    for data in (contributed(), file_of(77), b"", b"omnisrs\x01", b"omnisrs\x01" + bytes(6)):
        assert said_label(saved(tmp_path, data)) == ""
    assert said_label(tmp_path / "none") == said_label(tmp_path) == keyring("", tmp_path, 1, 1).label == ""


# ---------------------------------------------------------------------------------------------------- one at a time


async def test_keys_are_made_apart_from_machine_steps(node: Any) -> None:  # noqa: F811
    """Many ask; one key is made, and neither a step of a machine nor a thread waits for it."""
    at_once: list[int] = []
    node.compute, node.key_making = trio.CapacityLimiter(1), trio.CapacityLimiter(1)

    class Slow:
        label = ""

        def __call__(self, params: Any) -> Any:
            at_once.append(node.key_making.borrowed_tokens)
            trio.from_thread.run(node.step)
            return proofs.key_of(params)

    async def step() -> None:
        await trio.to_thread.run_sync(lambda: None, limiter=node.compute)

    node.step, node.keys = step, Slow()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(key_of, node, view_of().p)
    assert at_once == [1] * 5


async def test_a_data_owner_looks_at_the_document_first(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    said: list[str] = []

    class Keys:
        configured, label = True, ""

        def __call__(self, params: Any) -> Any:
            said.append("key")
            raise LocalProtocolError("none")

    role, node.keys = data_owner.DataOwner(node), Keys()

    async def task(view: Any) -> Any:
        said.append("document")
        if len(said) == 1:
            raise Refused("another document")
        return None, b""

    monkeypatch.setattr(role, "_task", task)
    for expected in (["document"], ["document", "document", "key"]):
        assert await role.join(view_of(owner=STRANGER)) is None
        assert said == expected


# -------------------------------------------------------------------------------------------------------- beforehand


def drawn(*members: bytes) -> CommitteeDrawn:
    return CommitteeDrawn(4, 9, tuple(ProverInfo(address, b"p" * 32, b"e" * 32) for address in members))


class Counted:
    """Keys of the simulations; how often they were asked for."""

    label, asked = "", 0

    def __call__(self, params: Any) -> Any:
        self.asked += 1
        return proofs.key_of(params)


async def test_a_prover_makes_its_key_when_it_is_drawn(node: Any) -> None:  # noqa: F811
    node.keys = Counted()
    driver = await prover.Prover(node).join(view_of(owner=STRANGER))
    assert driver is not None and driver._before is not None
    for events, asked in (([], 0), ([drawn(STRANGER)], 0), ([drawn(STRANGER, OWN)], 1), ([drawn(OWN)], 1)):
        await driver._before(events)
        assert node.keys.asked == asked


async def test_owners_make_theirs_at_once(node: Any) -> None:  # noqa: F811
    node.keys = Counted()
    driver = await model_owner.ModelOwner(node).join(view_of())
    assert driver is not None and driver._before is not None
    for _ in range(2):
        await driver._before([])
        assert node.keys.asked == 1


async def test_nothing_is_made_for_sessions_without_proofs_or_twice(node: Any) -> None:  # noqa: F811
    node.keys, view = Counted(), view_of()
    view.params = replace(view.p, proof_key=bytes(32))
    await Beforehand(node, view)([])
    await Beforehand(node, view_of(), key=proofs.key_of(view_of().p))([])
    assert node.keys.asked == 0


async def test_where_there_is_no_key_the_machine_says_so(node: Any) -> None:  # noqa: F811
    class None_:
        label = ""

        def __call__(self, params: Any) -> Any:
            raise LocalProtocolError("none")

    node.keys = None_()
    await Beforehand(node, view_of())([])


@pytest.mark.parametrize("changes", [{"bound": 1 << 30}, {"dimension": 1 << 24}, {"settle_blocks": 1}], ids=str)
async def test_nothing_is_made_for_numbers_that_no_session_may_have(node: Any, changes: dict[str, int]) -> None:  # noqa: F811
    """Anybody can write them into a market, and some make keys without end."""
    node.keys, view = Counted(), view_of(owner=STRANGER)
    view.params = replace(view.p, **changes)  # type: ignore[arg-type]
    await Beforehand(node, view)([])
    with pytest.raises(LocalProtocolError, match=next(iter(changes))):
        await key_of(node, view.p)
    assert node.keys.asked == 0


# ------------------------------------------------------------------------------------------------------- warnings


async def test_a_test_string_is_named_in_log_and_events(node: Any) -> None:  # noqa: F811
    with structlog.testing.capture_logs() as logs:
        await certify(node, replace(view_of().p, proof_key=bytes(32)))
        assert warn_insecure(node, 7) == proofs.LABEL
        await Beforehand(node, view_of())([])
    assert [(e["event"], e["session"]) for e in logs if e["log_level"] == "warning"] == [
        ("insecure_string", None), ("insecure_string", 7), ("insecure_string", 4),
    ]  # fmt: skip
    lines = [json.loads(line) for line in events_of(node).splitlines()]
    assert [e["label"] for e in lines if e["event"] == "insecure_string"] == [proofs.LABEL] * 3


def test_nothing_is_said_of_other_strings(node: Any) -> None:  # noqa: F811
    node.keys = Counted()
    with structlog.testing.capture_logs() as logs:
        assert warn_insecure(node) == ""
    assert logs == []


# --------------------------------------------------------------------------------------------------------- joining


@pytest.mark.parametrize("error", [ZeroDivisionError("defect"), ExceptionGroup("", [np.linalg.LinAlgError("x")])])
async def test_a_defect_while_joining_ends_no_other_session(node: Any, error: Exception) -> None:  # noqa: F811
    class Broken:
        name = "broken"

        async def join(self, view: Any) -> Any:
            raise error

    sessions: Any = Sessions(node, [])
    sessions.chain = SimpleNamespace(views={4: SimpleNamespace(phase=Phase.COMMITTEE)})
    with structlog.testing.capture_logs() as logs:
        await sessions._join(Broken(), 4)
    assert [(e["event"], e["session"], e["role"]) for e in logs] == [("session_failed", 4, "broken")]
    assert '"session_failed"' in events_of(node)


async def test_a_full_disk_while_joining_ends_the_node(node: Any) -> None:  # noqa: F811
    class Full:
        name = "full"

        async def join(self, view: Any) -> Any:
            raise StoreError("full")

    sessions: Any = Sessions(node, [])
    sessions.chain = SimpleNamespace(views={4: None})
    with pytest.raises(StoreError):
        await sessions._join(Full(), 4)


def test_events_that_are_none_of_a_prover_s(node: Any) -> None:  # noqa: F811
    role = prover.Prover(node)
    assert not role._drawn(Registered(4, 9, 0, OWN, b"k" * 32, b"p" * 32))
