"""`session verify` of certificate zk: the posted batch once more, and journals of every role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omninode.chain.market import RawEvent
from omninode.reproduce.stage.node import Node
from omninode.roles import verify_own, verify_scores
from omninode.roles.verify import check_public
from omninode.roles.verify_public import Findings, Public
from omninode.store.shelf import FOLDER
from protocols.bn254 import fr, g1
from protocols.sessions.params import Payout, Rule
from protocols.sessions.view import SessionView
from protocols.sessions.zk_keys import no_keys
from protocols.wire.messages import Message, Opening, OutputShare
from tests.simulation import proofs, zk_attacks
from tests.simulation.attacks import rewrite
from tests.simulation.recorded import chain_events
from tests.simulation.session import Session, proved
from tests.simulation.zk_market import ZkMarket
from tests.unit import test_verify_own
from tests.unit.test_verify_own import DIGEST, JOURNAL, NOTED, detail, results
from tests.unit.test_verify_transcript import messages, rewritten
from tests.unit.test_zk_abstain import Without

GRAM: dict[str, Any] = {"rule": Rule.MULTI_KRUM}
SCORE: dict[str, Any] = {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}
NONE: dict[str, Any] = {"rule": Rule.NONE}
REPEATED = "the proof holds"
CORRECTED = "wrong openings were corrected"


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        zk_attacks.quick_pairings(patch)
        yield


def lies(label: str) -> Any:
    """A prover that opens something else under this label."""

    def change(node: Node, effect: Any) -> Any:
        message = effect.message
        if not isinstance(message, Opening) or message.label != label:
            return effect
        return replace(effect, message=replace(message, values=off_by_one(message)))

    return rewrite(change)


def off_by_one(message: Opening) -> bytes:
    if message.label in ("zk-S", "zk-q", "zk-W"):
        points = g1.from_bytes(message.values)
        return g1.to_bytes(g1.add(points, g1.multiply(points, fr.single(1))))
    return fr.to_bytes(fr.shift(fr.from_bytes(message.values), 1))


def public_of(session: Session) -> Public:
    """The session as a node of nobody would ask the chain about it."""
    view, market = SessionView(7), session.market
    for event in chain_events(session.owner):
        view.apply(event)
    assert isinstance(market, ZkMarket) and market.proof_of is not None
    deposit = session.params.deposit
    payouts = {k: market.payouts.get(k, 0) for k in range(len(market.owners))}
    claimed = RawEvent(7, 0, "Claimed", {"who": market.owners[0], "amount": payouts[0] + deposit})
    receipts = [RawEvent(7, 0, "ReceiptPosted", {"prover": prover, "index": k})
                for prover, bits in market.receipts.items() for k in range(256) if bits >> k & 1]  # fmt: skip
    return Public(
        session.context, view, [*receipts, claimed], None, session.owner.machine._identity.recover, (), payouts,  # type: ignore[attr-defined]
        {k: wei + deposit for k, wei in payouts.items() if k}, session.params.reward,
        dict(zip(("dos", "values", "proof"), market.proof_of, strict=True)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def played() -> Session:
    """One prover lies, one data owner goes against the reference."""
    session = proved(21, groups=4, min_accepted=3, **SCORE)
    session.provers[0].twist = lies("zk-S")
    session.owners[2].update = -session.owners[2].update  # type: ignore[operator]
    return session.run()


def failed(public: Public, key: bool = True) -> list[str]:
    found = Findings()
    check_public(found, public, proofs.key_of(public.view.p) if key else None)
    return [check["name"] for check in found.checks if not check["ok"]]


# ---------------------------------------------------------------------------------------------------------- public


@pytest.mark.parametrize("changes", [GRAM, SCORE, {"payout": Payout.CONTRIBUTION}, NONE], ids=str)
def test_an_honest_session_holds(changes: dict[str, Any]) -> None:
    public = public_of(proved(12, groups=4, **changes).run())
    found = Findings()
    check_public(found, public, proofs.key_of(public.view.p))
    assert all(check["ok"] for check in found.checks), found.checks
    names = [check["name"] for check in found.checks]
    assert REPEATED in names and "the sum is committed to as the chain says" in names and len(names) >= 14


def test_without_a_string_it_says_that_the_proof_was_not_repeated(played: Session) -> None:
    found = Findings()
    check_public(found, public_of(played), None)
    assert all(check["ok"] for check in found.checks)
    assert detail(found, "the contract has checked the proof").startswith("not repeated here")
    assert REPEATED not in results(found)


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Public], Public]:
    def of(public: Public) -> Public:
        assert public.proof is not None
        return replace(public, proof={**public.proof, name: change(public.proof[name])})

    return of


def with_view(public: Public, **changes: Any) -> Public:
    return replace(public, view=replace(public.view, **changes))


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


VALUES_HASH, BATCH_HASH = (
    "values hash on chain is that of the values posted",
    "batch hash on chain is that of the batch posted",
)
RECORDS, COUNT = (
    "records are those that were committed to, of all that are valid",
    "there is a value for everything that is proved",
)
FOLLOW, SCORES = "accepted data owners follow from the proved values", "scores on chain follow from the proved values"


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        (changed("dos", flip(400)), {RECORDS, REPEATED}),
        (changed("dos", lambda dos: dos[896:] + dos[:896]), {RECORDS, REPEATED}),
        (changed("dos", lambda dos: dos[:-896]), {RECORDS, REPEATED}),
        (changed("values", flip(15)), {VALUES_HASH, REPEATED, SCORES}),
        (changed("values", flip(32)), {VALUES_HASH, REPEATED, FOLLOW, SCORES}),
        (changed("values", lambda values: values[:-16]), {VALUES_HASH, COUNT}),
        (changed("values", lambda values: values[:-1]), {VALUES_HASH, COUNT}),
        (changed("proof", flip(200)), {REPEATED, BATCH_HASH}),
        (changed("proof", lambda proof: b""), {REPEATED, BATCH_HASH}),
    ],
    ids=["record", "order", "one-less", "value", "sign", "short", "odd", "proof", "no-proof"],
)
def test_each_part_of_the_transaction_counts(
    played: Session, change: Callable[[Public], Public], fails: set[str]
) -> None:
    wrong = set(failed(change(public_of(played))))
    assert fails - {SCORES, FOLLOW} <= wrong <= fails


def test_what_the_chain_says_is_held_against_the_batch(played: Session) -> None:
    public = public_of(played)
    view = public.view
    assert view.batch is not None and view.proved is not None
    everybody = replace(view.batch, accepted=0b1111, passed=0b1111, selected=0b1111)
    assert FOLLOW in failed(with_view(public, batch=everybody))
    other_sum = replace(view.proved, aggregate=g1.GENERATOR)
    assert failed(with_view(public, proved=other_sum)) == ["the sum is committed to as the chain says"]
    assert SCORES in failed(with_view(public, scores=(1 << 128,) * 3))


def test_a_proof_that_came_through_another_contract_is_not_wrong(played: Session) -> None:
    """The call is not in the form that we look for: then the event stands for what the contract has checked."""
    public = replace(public_of(played), proof=None)
    for key in (True, False):
        assert failed(public, key) == []
    found = Findings()
    check_public(found, public, None)
    assert "through another contract" in detail(found, "the contract has checked the proof")


def test_where_nothing_is_opened_values_and_proof_may_say_anything() -> None:
    """The contract does not look at them, so a prover can fill them; its hash still stands for what it said."""
    public = public_of(proved(13, groups=4, **NONE).run())
    assert public.proof is not None
    garbage = {**public.proof, "values": b"\x01" * 7}
    assert failed(replace(public, proof=garbage)) == []
    assert failed(replace(public, proof={**garbage, "proof": b"x"})) == [BATCH_HASH]


# -------------------------------------------------------------------------------------------------------------- own


class Part(test_verify_own.Part):
    """With the string of simulations."""

    keys = staticmethod(proofs.key_of)
    asked = staticmethod(public_of)


@pytest.fixture
def prover(tmp_path: Path, played: Session) -> Part:
    return Part(tmp_path, played, next(n for n in played.committee() if n is not played.provers[0]), "prover")


async def test_a_committee_member_checks_everything(prover: Part, played: Session) -> None:
    found, own = await prover.check()
    assert results(found) == {JOURNAL: True, NOTED: True, DIGEST: True, CORRECTED: True}
    assert own == json.loads(json.dumps(prover.node.machine.status()))
    assert detail(found, CORRECTED).startswith(f"0x{played.provers[0].address.hex()}")
    assert not list((prover.folder / FOLDER).glob("*"))  # nothing of the replay stays


@pytest.mark.parametrize("role", ["prover", "model_owner", "data_owner"])
async def test_without_the_string_nothing_is_replayed(tmp_path: Path, played: Session, role: str) -> None:
    """The node has another one by now, or none: the session is none the worse for it."""
    node = {"prover": played.committee()[1], "model_owner": played.owner, "data_owner": played.registered()[0]}[role]
    part = Part(tmp_path, played, node, role)
    part.keys = no_keys
    found, own = await part.check()
    assert own is None
    assert [check["ok"] for check in found.checks] == [None]
    said = detail(found, JOURNAL)
    assert said.startswith("not replayed: the session's reference string is not configured")
    assert "start the node again" not in said


@pytest.mark.parametrize("keys", [no_keys, proofs.key_of], ids=["without", "with a string by now"])
async def test_a_prover_that_abstained(tmp_path: Path, keys: Any) -> None:
    session = Without({2}, groups=4, min_accepted=3).run()
    part = Part(tmp_path, session, session.provers[2], "prover")
    part.keys = keys
    found, own = await part.check()
    assert all(results(found).values()), found.checks
    assert "this prover abstained" in results(found) and DIGEST not in results(found)
    assert own is not None and own["abstains"]


async def test_other_values_on_the_chain(prover: Part, played: Session) -> None:
    public = public_of(played)
    assert public.view.proved is not None
    found, _ = await prover.check(with_view(public, proved=replace(public.view.proved, values_hash=bytes(32))))
    assert not results(found)[DIGEST]


@pytest.mark.parametrize("label", ["zk-values", "zk-q", "zk-A", "zk-E", "zk-W"])
async def test_an_opening_that_was_changed_is_named(prover: Part, played: Session, label: str) -> None:
    """The journal made anew in every place but the outcome that the node had noted at the end."""
    honest = {node.address for node in played.provers[1:]}

    def chosen(message: Message) -> bool:
        return isinstance(message, Opening) and message.label == label and message.sender in honest

    seq, message = next((seq, m) for seq, m in messages(prover.kept, Opening) if chosen(m))
    assert isinstance(message, Opening)
    rewritten(prover.kept, seq, replace(message, values=off_by_one(message)))
    found, _ = await prover.check()
    assert not all(results(found).values())
    named = detail(found, NOTED) if NOTED in results(found) else detail(found, JOURNAL)
    assert named.startswith(f"entry {seq} (opening from 0x{message.sender.hex()})"), named


async def test_a_byte_that_was_changed_is_named(prover: Part) -> None:
    rows = prover.kept.rows()
    rows[17]["payload"] += b"\x00"
    prover.kept.write(rows)
    found, _ = await prover.check()
    assert detail(found, JOURNAL).startswith("entry 17 (")


async def test_the_owner_checks_its_sum(tmp_path: Path, played: Session) -> None:
    found, own = await Part(tmp_path, played, played.owner, "model_owner").check()
    assert all(results(found).values()), found.checks
    assert detail(found, "output shares give the sum applied") == "3 updates"
    assert own is not None and own["reference"]


async def test_an_output_share_that_was_changed_is_named(tmp_path: Path, played: Session) -> None:
    part = Part(tmp_path, played, played.owner, "model_owner")
    seq, message = messages(part.kept, OutputShare)[-1]
    assert isinstance(message, OutputShare)
    rewritten(part.kept, seq, replace(message, values=fr.to_bytes(fr.shift(fr.from_bytes(message.values), 1))))
    found, _ = await part.check()
    assert not results(found)[NOTED]
    assert detail(found, NOTED).startswith(f"entry {seq} (output-share from 0x{message.sender.hex()})")


async def test_a_data_owner_checks_what_it_sent(tmp_path: Path, played: Session) -> None:
    found, own = await Part(tmp_path, played, played.registered()[0], "data_owner").check()
    assert results(found) == {JOURNAL: True, NOTED: True} and own is not None and own["uploaded"]


def test_it_says_why_an_update_is_out(played: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session = proved(22, groups=5, **SCORE)
    zk_attacks.forge(monkeypatch, session.owners[0], zk_attacks.beyond(99))
    zk_attacks.forge(monkeypatch, session.owners[1], zk_attacks.bad_shares(3))
    public = public_of(session.run())
    rows = verify_scores.rows(public)
    verify_own.explain(rows, public.view, json.loads(json.dumps(session.committee()[1].machine.status())))
    why = [rows[session.index_of(node)]["why"] for node in session.owners]
    assert why == ["proof failed", "inconsistent shares", "", "", ""]
    assert failed(public) == []
