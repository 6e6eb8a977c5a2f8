"""Our own part of a verified session, from the store of each role: what is checked and said, which entry is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from omninode.errors import StoreError
from omninode.reproduce.stage.node import Node
from omninode.roles import verify_own, verify_scores
from omninode.roles.events_codec import unpack_events
from omninode.roles.owner_model import MODEL_KEY
from omninode.roles.verify_public import Findings, Public
from omninode.store.db import Store
from omninode.store.shelf import FOLDER, DiskShelf
from protocols.fields import goldilocks as gl
from protocols.sessions.identity import Identity
from protocols.sessions.params import REFERENCE, Phase
from protocols.sessions.zk_keys import no_keys
from protocols.wire import codec
from protocols.wire.messages import Opening, OutputShare
from tests.simulation.attacks import lie_in
from tests.simulation.recorded import chain_events, record
from tests.simulation.session import Session
from tests.simulation.wallets import Wallets
from tests.unit.test_verify_public import TRUST, public_of
from tests.unit.test_verify_transcript import messages, rewritten
from tests.unit.verify_kit import Kept

JOURNAL, NOTED = "own journal", "own journal leads to what this node noted"
DIGEST = "every opening of the own journal gives the posted digest"


@pytest.fixture(scope="module")
def played() -> Session:
    """One prover lies, one data owner goes against the reference, one cheats on its bound."""
    session = Session(21, **TRUST)
    session.provers[0].twist = lie_in("products")
    session.owners[2].update = -session.owners[2].update  # type: ignore[operator]
    return session.run()


class Part:
    """The node of a role with its store, and what `session verify` uses of its services. keys: of certificate zk."""

    keys: Any = staticmethod(no_keys)
    asked: Any = staticmethod(public_of)

    def __init__(self, folder: Path, session: Session, node: Node, role: str) -> None:
        place = {"prover": session.provers, "data_owner": session.owners}.get(role, [node]).index(node)
        label = {"prover": "prover", "data_owner": "data owner", "model_owner": "owner"}[role]
        store = Store.open(folder)
        record(node, store, role, session._secret(label, place))
        if role == "model_owner":
            store.meta_put(MODEL_KEY, json.dumps({"applied": [[7, 0.9]]}))
        store.close()
        self.folder, self.session, self.node, self.role = folder, session, node, role
        self.peer = session._secret("peer", place)
        self.kept = Kept(folder, node, role, 7, chain_events(session.owner))

    async def check(self, public: Public | None = None) -> tuple[Findings, dict[str, Any] | None]:
        found, store = Findings(), Store.open(self.folder)

        async def events(session: int) -> Any:
            return self.kept.events

        services: Any = SimpleNamespace(
            store=store, wallet=SimpleNamespace(address=self.node.address), data_dir=self.folder,
            market=SimpleNamespace(session_events=events), context=lambda session: self.session.context,
            identity=lambda: identity_of(self.node), net=SimpleNamespace(peer_key=self.peer), keys=self.keys,
            key_making=trio.CapacityLimiter(1),
        )  # fmt: skip
        try:
            return found, await verify_own.check_own(found, services, public or self.asked(self.session))
        finally:
            store.close()


def identity_of(node: Node) -> Identity:
    """Wallets of simulations follow from their names; they recognise those that were made together."""
    wallets = Wallets()
    names = ["owner", *(f"{role} {i}" for role in ("prover", "data owner") for i in range(6))]
    made = [wallets.new(name) for name in names]
    return next(identity for identity in made if identity.address == node.address)


@pytest.fixture
def prover(tmp_path: Path, played: Session) -> Part:
    return Part(tmp_path, played, next(n for n in played.committee() if n is not played.provers[0]), "prover")


def results(found: Findings) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in found.checks}


def detail(found: Findings, name: str) -> str:
    return next(str(check["detail"]) for check in found.checks if check["name"] == name)


async def test_a_committee_member_checks_everything(prover: Part, played: Session) -> None:
    found, own = await prover.check()
    assert results(found) == {JOURNAL: True, NOTED: True, DIGEST: True, "wrong openings were corrected": True}
    assert own is not None
    assert own == json.loads(json.dumps(prover.node.machine.status()))
    liar = played.provers[0].address.hex()
    assert detail(found, "wrong openings were corrected") == f"0x{liar} (named on chain)"
    assert not list((prover.folder / FOLDER).glob("*"))  # nothing of the replay stays


async def test_it_says_why_an_update_is_out(prover: Part, played: Session) -> None:
    _, own = await prover.check()
    public = public_of(played)
    rows = verify_scores.rows(public)
    verify_own.explain(rows, public.view, own)
    place = next(m.index for m in public.view.members if m.address == played.owners[2].address)
    assert rows[place]["product"] < 0
    assert rows[place]["why"] == "against reference"
    assert all(row["product"] == row["score"] for row in rows[:-1] if row["accepted"])
    assert "product" not in rows[-1]


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"inconsistent": [1], "refused": [], "proved": [1]}, "inconsistent shares"),
        ({"inconsistent": [], "refused": [1], "proved": []}, "proof failed"),
        ({"inconsistent": [], "refused": [], "proved": []}, "proof not decoded"),
    ],
)
def test_it_says_which_check_failed(played: Session, own: dict[str, Any], why: str) -> None:
    rows: list[dict[str, Any]] = [{"index": 1, "delivered": True, "valid": False, "why": "proof refused"}]
    verify_own.explain(rows, public_of(played).view, own)
    assert rows[0]["why"] == why
    reference: list[dict[str, Any]] = [{"index": REFERENCE, "delivered": True, "valid": True, "why": ""}]
    verify_own.explain(reference, public_of(played).view, own)
    assert reference[0]["why"] == ""


async def test_the_bad_entry_is_named(prover: Part) -> None:
    rows = prover.kept.rows()
    rows[17]["payload"] += b"\x00"
    prover.kept.write(rows)
    found, own = await prover.check()
    assert results(found) == {JOURNAL: False}
    assert detail(found, JOURNAL).startswith("entry 17 (")
    assert own is not None
    assert (own["bad_entry"]["seq"], own["bad_entry"]["rule"]) == (17, "wrong-link")


async def test_a_lie_that_was_none_then_is_named(prover: Part, played: Session) -> None:
    """The journal made anew in every place but the outcome that the node had noted at the end."""
    honest = {node.address for node in played.provers[1:]}
    seq, message = next(
        (seq, m) for seq, m in messages(prover.kept, Opening)
        if isinstance(m, Opening) and m.label == "proofs" and m.sender in honest
    )  # fmt: skip
    assert isinstance(message, Opening)
    lie = gl.to_bytes(gl.add(gl.from_bytes(message.values), gl.vector([1] * (len(message.values) // 8))))
    rewritten(prover.kept, seq, replace(message, values=lie))
    found, _ = await prover.check()
    assert not all(results(found).values())
    named = detail(found, NOTED) if NOTED in results(found) else detail(found, JOURNAL)
    assert named.startswith(f"entry {seq} (opening from 0x{message.sender.hex()})"), named


async def test_a_full_disk_is_no_bad_entry(prover: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: DiskShelf, name: str, data: bytes) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(DiskShelf, "put", full)
    with pytest.raises(StoreError, match="full"):
        await prover.check()


async def test_another_digest_on_the_chain(prover: Part, played: Session) -> None:
    public = public_of(played)
    assert public.batch is not None
    found, _ = await prover.check(replace(public, batch={**public.batch, "digest": bytes(32)}))
    assert not results(found)[DIGEST]


async def test_the_owner_checks_its_sum(tmp_path: Path, played: Session) -> None:
    part = Part(tmp_path, played, played.owner, "model_owner")
    found, own = await part.check()
    assert all(results(found).values()), found.checks
    assert detail(found, "output shares give the sum applied") == "5 updates"
    assert own is not None
    assert own["reference"]


async def test_an_output_share_that_was_changed_is_named(tmp_path: Path, played: Session) -> None:
    part = Part(tmp_path, played, played.owner, "model_owner")
    seq, message = messages(part.kept, OutputShare)[1]
    assert isinstance(message, OutputShare)
    values = gl.from_bytes(message.values)
    rewritten(part.kept, seq, replace(message, values=gl.to_bytes(gl.add(values, gl.vector([1] * len(values))))))
    found, _ = await part.check()
    assert not results(found)[NOTED]
    assert detail(found, NOTED).startswith(f"entry {seq} (output-share from 0x{message.sender.hex()})")
    assert message.sender.hex() in detail(found, "wrong output shares were corrected")


async def test_a_sum_that_nobody_opened_cannot_be_applied(tmp_path: Path, played: Session) -> None:
    part = Part(tmp_path, played, played.owner, "model_owner")
    rows = part.kept.rows()
    limits = codec.limits_for(played.params)
    kinds = {row["seq"]: codec.type_name(codec.decode(row["payload"], played.context, limits))
             for row in rows if row["kind"] == "message"}  # fmt: skip
    part.kept.write(
        [row for row in rows if kinds.get(row["seq"]) != "output-share"], number=True, link=True, count=True
    )
    part.kept.unseal()
    found, _ = await part.check()
    assert not results(found)["output shares give the sum applied"]


async def test_a_data_owner_checks_what_it_sent(tmp_path: Path, played: Session) -> None:
    part = Part(tmp_path, played, played.registered()[0], "data_owner")
    found, own = await part.check()
    assert results(found) == {JOURNAL: True, NOTED: True}
    assert own is not None
    assert own["uploaded"]


@pytest.mark.parametrize(("role", "checks"), [("prover", {JOURNAL: False}), ("data_owner", {})])
async def test_a_journal_that_is_not_kept(tmp_path: Path, played: Session, role: str, checks: dict[str, bool]) -> None:
    node = played.committee()[1] if role == "prover" else played.registered()[1]
    part = Part(tmp_path, played, node, role)
    with part.kept.store() as store:
        store.forget_inputs(7, role)
    found, own = await part.check()
    assert results(found) == checks
    assert own is None


async def test_who_took_no_part_has_nothing_to_check(prover: Part) -> None:
    prover.node = Node("stranger", bytes(20), prover.node.context, prover.node._make)
    found, own = await prover.check()
    assert (found.checks, own) == ([], None)


async def test_a_journal_of_an_earlier_version_is_said_to_be_one(prover: Part) -> None:
    prover.kept.write([{**row, "link": None} for row in prover.kept.rows()])
    prover.kept.unseal()
    prover.kept.execute("UPDATE sessions SET entries = NULL, link = NULL")
    found, _ = await prover.check()
    assert all(results(found).values())
    assert "of an earlier version and not linked" in detail(found, JOURNAL)


async def test_an_earlier_version_recorded_no_sum(tmp_path: Path, played: Session) -> None:
    part = Part(tmp_path, played, played.owner, "model_owner")
    part.kept.execute("DELETE FROM safety WHERE key LIKE 'model_owner/output/%'")
    found, _ = await part.check()
    assert "the safety journal holds nothing for output/" in detail(found, JOURNAL)
    part.kept.write([{**row, "link": None} for row in part.kept.rows()])
    part.kept.unseal()
    part.kept.execute("UPDATE sessions SET entries = NULL, link = NULL")
    found, _ = await part.check()
    assert all(results(found).values())


async def test_a_session_that_is_not_over_may_have_more_to_come(prover: Part, played: Session) -> None:
    """The node has the batch, but not yet the blocks after it, and has noted no end."""
    rows = prover.kept.rows()
    blocks = {row["seq"]: unpack_events(row["payload"])[1] for row in rows if row["kind"] == "chain"}
    last = next(seq for seq, events in blocks.items() if Phase.FINISHED in [getattr(e, "phase", 0) for e in events])
    prover.kept.write(rows[:last], link=True, count=True)
    prover.kept.execute("UPDATE safety SET entries = NULL, link = NULL")
    found, _ = await prover.check()
    assert not results(found)[JOURNAL]  # it says that it was done
    prover.kept.execute("UPDATE sessions SET state = NULL")
    found, _ = await prover.check()
    assert results(found)[JOURNAL]
