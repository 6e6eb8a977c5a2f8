"""What the demo tells and records of sessions of certificate zk, from a simulated chain."""

from __future__ import annotations

import io
from typing import Any

import pytest
from eth_hash.auto import keccak
from rich.console import Console

from omninode.chain.errors import RpcError
from omninode.chain.interface import Interface
from omninode.demo import report
from omninode.demo.narrate import Narrator
from omninode.demo.options import DemoOptions
from omninode.demo.record import SessionRecord
from omninode.demo.siege import sessions_of
from omninode.demo.stage import build
from omninode.demo.watch import ChainWatch
from omninode.errors import UsageError
from protocols.sessions.params import Payout, Rule
from protocols.sessions.view import SessionView
from tests.simulation import zk_attacks as attacks
from tests.simulation.recorded import chain_events
from tests.simulation.session import Session, proved

TRUST: dict[str, Any] = {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}
SENDER = b"s" * 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    attacks.quick_pairings(monkeypatch)


def told(session: Session) -> tuple[SessionRecord, str]:
    """The record of a session, and everything that was said."""
    out = io.StringIO()
    narrator = Narrator(Console(file=out, width=400))
    record = SessionRecord(7, SessionView(7))
    for number, event in enumerate(chain_events(session.owner)):
        record.apply(event, float(number))
        narrator.event(record, event)
    return record, out.getvalue()


def test_scores() -> None:
    session = proved(3, **TRUST).run()
    record, said = told(session)
    record.proof_gas = 900_000
    proof = record.proof()
    assert record.zk and proof is not None
    assert (proof["statement"], proof["data_owners"], proof["rows"], proof["gas"]) == ("score", 6, 64, 900_000)
    posted = session.market.proof_of  # type: ignore[attr-defined]
    assert proof["values_hash"] == "0x" + keccak(posted[1]).hex()
    assert record.as_json()["proof"] == proof
    assert record.as_json()["certificate"] == "zk"
    for words in (
        "certificate zk: ", "64 rows", "proofs of range and norm of 6 of 6 data owners and the owner's reference hold",
        "the contract itself has verified the proof: the scores of 6 updates",
    ):  # fmt: skip
        assert words in said
    assert {"records + shares", "prove + verify"} <= record.seconds.keys()


def test_distances() -> None:
    record, said = told(proved(3, rule=Rule.MULTI_KRUM).run())
    proof = record.proof()
    assert proof is not None and proof["statement"] == "gram"
    assert "all 21 inner products of 6 updates" in said
    assert "proofs of range of 6 of 6 data owners hold" in said


def test_without_a_reference_norms_alone_are_proved() -> None:
    session = proved(3, **TRUST)
    session.owner.update = None
    session.owner.twist = lambda node, effects: []
    record, said = told(session.run())
    proof = record.proof()
    assert proof is not None and proof["statement"] == "none"
    assert "the norms of 6 updates within the bound" in said


def test_a_session_without_proof() -> None:
    session = Session(3, **{"mode": proved(3).params.mode, "rule": Rule.NONE})
    record, said = told(session.run())
    assert record.proof() is None
    assert record.as_json()["certificate"] == "attested"
    assert "contract itself" not in said


def test_the_table_has_a_line_for_each_session() -> None:
    record, _ = told(proved(3, **TRUST).run())
    record.proof_gas = 1_200_000
    none = SessionRecord(8, record.view)
    none.view.proved = None
    table = report.proof_table([record, none])
    assert table.row_count == 2
    out = io.StringIO()
    record, _ = told(proved(3, **TRUST).run())
    record.proof_gas = 1_200_000
    Console(file=out, width=200).print(report.proof_table([record]))
    assert "1,200,000" in out.getvalue() and "200,000" in out.getvalue()


# ---------------------------------------------------------------------------------------------------------- options


def test_the_sessions_of_a_hostile_run() -> None:
    options = DemoOptions(certificate="zk", hostile=True, sessions=6)
    sessions = sessions_of(options)
    assert [len(attacks) for attacks in sessions] == [0, 4, 1, 1, 1, 0]
    assert "zk-norm" in sessions[1]
    assert "zk-long" in sessions_of(DemoOptions(certificate="zk", hostile=True, rule="multi-krum"))[1]
    with pytest.raises(UsageError, match="sessions 2 to 5"):
        DemoOptions(certificate="zk", hostile=True, sessions=4)


def test_windows_are_as_wide_as_proofs_need() -> None:
    assert DemoOptions(certificate="zk", hostile=True).windows["settle_blocks"] == 100
    assert DemoOptions(certificate="zk", upload_blocks=70).windows["upload_blocks"] == 70


def test_the_stage_has_a_test_string(tmp_path: Any) -> None:
    stage = build(DemoOptions(certificate="zk", owners=4, rule="multi-krum", out=tmp_path))
    assert stage.string == stage.root / "string.srs"
    assert b"omninode" in stage.string.read_bytes()[:100]
    terms = stage.plans[0].settings["model_owner"]
    assert (terms["certificate"], terms["payout"], terms["rule"]) == ("zk", "equal", "multi-krum")
    assert build(DemoOptions(owners=4, out=tmp_path)).string is None


# ------------------------------------------------------------------------------------------------------------ reverts

ABI = [
    {"type": "function", "name": "postProof", "inputs": [{"name": "id", "type": "uint256"}], "outputs": []},
    {"type": "error", "name": "WrongPhase", "inputs": []},
    {"type": "error", "name": "BadPairing", "inputs": []},
]


class Chain:
    """Runs a call again, and says with what it fails: "" for not at all."""

    def __init__(self, error: str) -> None:
        self.interface, self.error, self.asked = Interface(ABI), error, [("", {}, "")]
        self.contract, self.client, self.address = self, self, b"m" * 20

    async def rpc(self, method: str, call: dict[str, Any], block: str) -> None:
        self.asked.append((method, call, block))
        if self.error:
            selector = next(digest[:4] for digest, (name, _) in self.interface.errors.items() if name == self.error)
            raise RpcError(method, 3, "execution reverted", "0x" + selector.hex())


@pytest.mark.parametrize(("error", "noted"), [("BadPairing", ["BadPairing"]), ("WrongPhase", None), ("", None)])
async def test_why_a_proof_was_refused(error: str, noted: list[str] | None) -> None:
    chain: Any = Chain(error)
    watch = ChainWatch(chain, 0, lambda record, event: None)
    record = watch.records[5] = SessionRecord(5, SessionView(5))
    data = chain.interface.function("postProof").call_data((5,))
    await watch._explain(
        {"from": "0x" + SENDER.hex(), "to": "0x" + chain.address.hex(), "input": "0x" + data.hex(), "value": "0x0",
         "gas": "0x1"}, 9,
    )  # fmt: skip
    assert record.reverted.get(SENDER) == noted
    assert chain.asked[-1][0] == "eth_call" and chain.asked[-1][2] == "0x8"
