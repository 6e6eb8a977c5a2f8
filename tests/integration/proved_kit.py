"""Sessions of certificate zk on a development chain, in the hands of web3, up to the batch and its proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from web3.logs import DISCARD

from omninode.chain.convert import params_to_struct
from omninode.chain.devchain import DevChain
from protocols.bn254 import fr
from protocols.sessions.params import REFERENCE, Bitmap, SessionParams
from protocols.sessions.zk_judgement import Judgement, by_address, judge, statement_of
from protocols.zk import alone, params, range_check, range_proof
from protocols.zk.batch import Batch, make_batch, seen
from protocols.zk.key import Key, session_hash
from protocols.zk.params import NB_G, Statement
from protocols.zk.record import Record
from tests.integration.contract_kit import connect, deploy_market, funded, rpc
from tests.integration.zk_chain import make_factory, make_verifier
from tests.simulation.session import small_params
from tests.unit.zk_batch import proved
from tests.unit.zk_kit import scalars, small_key

CHAIN = 31337
OWNER = b"\xac" * 20
GAS = 16_777_216
Matrix = npt.NDArray[np.int64]


def address_of(index: int) -> bytes:
    """The wallet of the data owner registered ``index``-th: in another order than they register in."""
    return bytes([0x40 + index * 37 % 64]) + bytes(18) + bytes([1 + index])


def key_of(p: SessionParams) -> Key:
    """The key of such a session, of a known secret."""
    bits = None if p.statement is Statement.GRAM else params.norm_bits(p.bound)
    return small_key(params.choose(p.dimension, p.bound), bits)


class ProvedMarket:
    """A market with five provers, and the keys that its sessions want. Anybody's transactions are taken unsigned."""

    def __init__(self, chain: DevChain) -> None:
        self.url, self.w3 = chain.url, connect(chain)
        self.factory = make_factory(self.w3)
        self.market = deploy_market(self.w3, exit_delay=1 << 16, verifiers=self.factory.address)
        self.call = self.market.functions
        self.address = bytes.fromhex(self.market.address[2:])
        self.owner = funded(self.w3, OWNER, 1 << 100)

    def act(self, who: str, call: Any, value: int = 0) -> Any:
        """One transaction, in a block of its own; its receipt. AssertionError if it reverts."""
        sent = call.transact({"from": who, "value": value, "gas": GAS})
        receipt = self.w3.eth.wait_for_transaction_receipt(sent, timeout=60, poll_latency=0.002)
        assert receipt["status"] == 1
        return receipt

    def create(self, **changes: object) -> Session:
        """A session that has its committee; 24 coordinates within 31 unless it is said."""
        numbers: dict[str, Any] = {
            "owner": OWNER, "mode": 1, "dimension": 24, "bound": 31, "public_sums": False, "register_blocks": 999,
            "upload_blocks": 999, "settle_blocks": 999, "gas_price_cap": 10**10,
        }  # fmt: skip
        p = small_params(**{**numbers, **changes})
        key = key_of(p)
        make_verifier(self.w3, self.factory, key)
        p = replace(p, proof_key=key.digest)
        struct = params_to_struct(p)
        self.act(self.owner, self.call.createSession(struct), self.call.requiredEscrow(struct).call())
        number = int(self.call.sessionCount().call())
        rpc(self.w3, "anvil_mine", 1)
        self.act(self.owner, self.call.poke(number))
        return Session(self, number, p, key, self.call.committeeOf(number).call())


@dataclass
class Session:
    """One session. ``records``: by registration index."""

    on: ProvedMarket
    number: int
    params: SessionParams
    key: Key
    committee: list[str]
    registered: int = 0

    @property
    def sess(self) -> bytes:
        """What proofs are made for."""
        return session_hash(CHAIN, self.on.address, self.number, 0, self.key.digest, self.params.bound**2)

    def record(self, index: int, vector: Matrix) -> Record:
        """Of an update of this session."""
        address = OWNER if index == REFERENCE else address_of(index)
        return range_proof.prove(
            self.key, self.sess, int.from_bytes(address, "big"), vector, blinders(index), bytes([index]) * 32,
            bytes([index, 1]) * 16, self.params.bound**2,
        )  # fmt: skip

    def to_batch(self, roots: dict[int, bytes], invalid: Sequence[int] = ()) -> None:
        """Register, upload, deliver, vote: all valid but those in ``invalid``."""
        act, call, number = self.on.act, self.on.call, self.number
        owners = sorted(roots.keys() - {REFERENCE})
        self.registered = len(owners)
        if REFERENCE in roots:
            act(self.on.owner, call.commitReference(number, roots[REFERENCE]))
        people = [funded(self.on.w3, address_of(k)) for k in owners]
        for who in people:
            act(who, call.register(number, b"\4" * 32, b"\5" * 32, []), self.params.deposit)
        for who, k in zip(people, owners, strict=True):
            act(who, call.commitUpload(number, roots[k]))
        everything = sum(1 << k for k in roots)
        for kind, bits in ((Bitmap.DELIVERED, everything), (Bitmap.VALID, everything & ~sum(1 << k for k in invalid))):
            for prover in self.committee:
                act(prover, call.postBitmap(number, int(kind), bits))

    @property
    def valid(self) -> int:
        """The set VALID."""
        return int(self.on.call.sessionView(self.number).call()[7][2])

    @property
    def order(self) -> list[int]:
        """Valid data owners as their records are ordered."""
        return by_address({k: address_of(k) for k in range(self.registered) if self.valid >> k & 1})

    def judgement(self, values: Sequence[int]) -> Judgement:
        """What follows from proved values."""
        return judge(self.params, statement_of(self.params, self.valid), self.order, self.registered, values)

    def post(self, dos: bytes, values: bytes, proof: bytes, prover: int = 0) -> Any:
        """The receipt of postProof."""
        return self.on.act(self.committee[prover], self.on.call.postProof(self.number, dos, values, proof))


def blinders(index: int) -> fr.Vector:
    """Of the data owner's update."""
    return fr.vector(scalars(f"blinders {index}", NB_G))


def honest(session: Session, vectors: dict[int, Matrix], records: dict[int, Record]) -> tuple[Batch, Judgement]:
    """The batch as a committee would post it, made by one who knows all updates."""
    order, statement = session.order, statement_of(session.params, session.valid)

    def secret(k: int) -> fr.Vector:
        return np.concatenate([fr.from_signed(vectors[k]), blinders(k)])

    def see(k: int) -> Any:
        return seen(records[k], range_check.challenges(session.key, session.sess, records[k]))

    chosen = [records[k] for k in order]
    if statement is Statement.NONE:
        judged = session.judgement(())
        return make_batch(statement, chosen, judged.mask), judged
    reference = (see(REFERENCE), secret(REFERENCE)) if statement is Statement.SCORE else None
    prover = alone.committee_of_one(
        session.key, session.sess, [see(k) for k in order], [secret(k) for k in order], b"\1" * 32,
        lambda values: session.judgement(values).mask, reference,
    )  # fmt: skip
    proof = proved(prover)
    first = records[REFERENCE] if statement is Statement.SCORE else None
    judged = session.judgement(prover.values)
    return make_batch(statement, chosen, judged.mask, prover.values, proof, first), judged


def events(session: Session, receipt: Any) -> dict[str, dict[str, Any]]:
    """The market's events of a transaction by name."""
    found = {}
    for event in session.on.market.events:
        for log in event().process_receipt(receipt, errors=DISCARD):
            found[log["event"]] = dict(log["args"])
    return found
