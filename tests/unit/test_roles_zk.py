"""Roles and certificate zk, without chain and network: who has a string and who has not, keys, verifiers, documents."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from omninode.chain.errors import ChainError, DeadlineExceeded, ForeignCode, RpcError
from omninode.chain.transaction import Receipt
from omninode.chain.verifiers import key_terms
from omninode.errors import RefusedError, SafetyError, UsageError
from omninode.learning.document import SessionDocument
from omninode.learning.presets import DIGITS
from omninode.learning.public_part import choose
from omninode.roles import data_owner, model_owner, prover
from omninode.roles.certificate import certify
from omninode.roles.keyring import NoKeys
from omninode.roles.model_state import ModelState
from protocols.errors import LocalProtocolError
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.owner import Output
from protocols.sessions.params import Mode, Payout, Phase, Rule, SessionParams
from protocols.sessions.view import SessionView
from protocols.sessions.zk_owner import ZkOwnerMachine
from protocols.sessions.zk_prover import ZkProverMachine
from protocols.sessions.zk_upload import ZkUpload
from tests.simulation import proofs
from tests.simulation.session import small_params
from tests.unit.test_roles_verified import OWN, D, document, services, vars_of  # noqa: F401


class Keys:
    """As a node with the string of the simulations has them."""

    configured, label = True, proofs.LABEL

    def __call__(self, params: SessionParams) -> Any:
        key = proofs.key_of(params)
        if key.digest != params.proof_key:
            raise LocalProtocolError("this session is proved under another string")
        return key

    make = staticmethod(proofs.key_of)


class Factory:
    """Verifiers, in memory."""

    def __init__(self) -> None:
        self.made: dict[bytes, str] = {}
        self.foreign = False

    async def check(self) -> None:
        if self.foreign:
            raise ForeignCode("ZkVerifiers", b"f" * 20)

    async def of(self, key: Any) -> bytes | None:
        return b"v" * 20 if key.digest in self.made else None

    async def create(self, key: Any, label: str = "") -> Receipt:
        self.made[key.digest] = label
        return Receipt(tx_hash=b"", block=1, gas_used=5, price=0, ok=True)


@pytest.fixture
def node(services: Any) -> Any:  # noqa: F811
    services.keys = Keys()
    services.market = SimpleNamespace(verifiers=Factory())
    return services


def view_of(owner: bytes = OWN, **changes: Any) -> SessionView:
    view = SessionView(4)
    numbers = {"mode": Mode.VERIFIED, "rule": Rule.TRUST, "owner": owner, **changes}
    view.params = small_params(zk=True, **numbers)
    return view


def events_of(node: Any) -> str:
    text: str = (node.data_dir / "events.jsonl").read_text()
    return text


# ------------------------------------------------------------------------------------------------------------ machines


def test_machines_get_the_keys(node: Any) -> None:
    seed = bytes(32)
    assert isinstance(model_owner.ModelOwner(node).machine(view_of(), seed), ZkOwnerMachine)
    assert isinstance(prover.Prover(node).machine(view_of(), seed), ZkProverMachine)
    machine: Any = data_owner.DataOwner(node).machine(view_of(), seed)
    assert isinstance(machine._upload, ZkUpload)
    assert machine._upload._keys is node.keys


# ---------------------------------------------------------------------------------------------------- without a string


async def test_a_data_owner_without_a_string_does_not_join_and_says_why(node: Any) -> None:
    node.keys = NoKeys()
    role = data_owner.DataOwner(node)
    assert await role.join(view_of(owner=b"x" * 20)) is None
    assert "[proofs] string" in role.refusals[4]
    assert "[proofs] string" in events_of(node)


async def test_a_data_owner_with_another_string_does_not_join(node: Any) -> None:
    view = view_of(owner=b"x" * 20)
    view.params = replace(view.p, proof_key=b"k" * 32)
    role: Any = data_owner.DataOwner(node)

    async def task(view: SessionView) -> None:
        return None

    role._task = task
    assert await role.join(view) is None
    assert "another string" in role.refusals[4]


def drawn(node: Any, view: SessionView) -> Any:
    """The prover's machine, drawn; what it wants remembered is, as the driver does it."""
    machine: Any = prover.Prover(node).machine(view, bytes(32))
    others = tuple(ev.ProverInfo(bytes([i]) * 20, bytes(32), bytes(32)) for i in range(4))
    effects = machine.chain(ev.SessionCreated(4, 1, view.p))
    effects += machine.chain(ev.CommitteeDrawn(4, 2, (*others, ev.ProverInfo(OWN, bytes(32), bytes(32)))))
    for effect in effects:
        if isinstance(effect, fx.Remember):
            node.store.record_once(4, f"prover/{effect.key}", effect.value)
    return machine


@pytest.fixture
def judge(node: Any) -> Any:
    """A node whose wallet can sign."""
    node.wallet = SimpleNamespace(address=OWN, sign=lambda digest: bytes(65))
    return node


def test_a_prover_without_a_string_abstains(judge: Any) -> None:
    judge.keys = NoKeys()
    machine = drawn(judge, view_of(owner=b"x" * 20))
    assert "[proofs] string" in machine.status()["abstains"]


def test_a_string_that_comes_later_is_not_used(judge: Any) -> None:
    """Zeros were said, perhaps: to the end of the session they are all there is."""
    keys, judge.keys = judge.keys, NoKeys()
    drawn(judge, view_of(owner=b"x" * 20))
    judge.keys = keys
    machine = drawn(judge, view_of(owner=b"x" * 20))
    assert "when it was drawn" in machine.status()["abstains"]


def test_a_prover_that_lost_its_string_stops(judge: Any) -> None:
    """It may have signed receipts. With the string it goes on."""
    keys = judge.keys
    assert "abstains" not in drawn(judge, view_of(owner=b"x" * 20)).status()
    judge.keys = NoKeys()
    with pytest.raises(SafetyError, match="cannot make any more") as stopped:
        drawn(judge, view_of(owner=b"x" * 20))
    assert "need a reference string" in str(stopped.value) and "[proofs] string" in stopped.value.cure
    assert "start the node again" in stopped.value.cure
    judge.keys = keys
    assert "abstains" not in drawn(judge, view_of(owner=b"x" * 20)).status()


@pytest.mark.parametrize(
    ("string", "factory", "warned"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_prover_warns_at_its_start(node: Any, string: bool, factory: bool, warned: bool) -> None:
    node.keys = Keys() if string else NoKeys()
    node.market.verifiers = Factory() if factory else None
    prover.Prover(node)._warn_without_string()
    path = node.data_dir / "events.jsonl"
    assert ("no_reference_string" in (path.read_text() if path.exists() else "")) == warned


# ---------------------------------------------------------------------------------------------- another one's factory


async def test_on_a_market_with_foreign_verifiers_nobody_relies_on_proofs(node: Any) -> None:
    node.market.verifiers.foreign = True
    role = data_owner.DataOwner(node)
    assert await role.join(view_of(owner=b"x" * 20)) is None
    assert "not that of this version" in role.refusals[4]
    with pytest.raises(RefusedError, match="not that of this version") as caught:
        await certify(node, view_of().p)
    assert "attested" in caught.value.cure
    member = prover.Prover(node)
    driver = await member.join(view_of(owner=b"x" * 20))
    assert driver is not None
    machine: Any = driver._make(bytes(32))
    with pytest.raises(LocalProtocolError, match="not that of this version"):
        machine._pieces.keys(view_of().p)


class Unsteady(Factory):
    """Answers after some refusals: a limit of requests, a node that is down."""

    def __init__(self, *errors: ChainError, foreign: bool = False) -> None:
        super().__init__()
        self.errors, self.foreign = list(errors), foreign

    async def check(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().check()


LIMIT = RpcError("eth_call", -32005, "rate limit exceeded")
DOWN = DeadlineExceeded("comparing the factory of verifiers", 20.0)


@pytest.mark.parametrize("foreign", [False, True])
async def test_an_error_of_the_chain_says_nothing_about_its_market(
    node: Any, autojump_clock: Any, foreign: bool
) -> None:
    node.market.verifiers = Unsteady(LIMIT, DOWN, foreign=foreign)
    member, view = prover.Prover(node), view_of(owner=b"x" * 20)
    assert await member.join(view) is not None
    assert node.market.verifiers.errors == []
    assert bool(member._unproved) == foreign
    node.market.verifiers = Unsteady(LIMIT, DOWN, foreign=foreign)
    role: Any = data_owner.DataOwner(node)

    async def task(view: SessionView) -> None:
        return None

    role._task, view.phase = task, Phase.REGISTER
    assert (await role.join(view) is None) == foreign
    assert ("not that of this version" in role.refusals.get(4, "")) == foreign


async def test_a_market_that_was_foreign_is_looked_at_again(node: Any) -> None:
    node.market.verifiers.foreign = True
    member, view = prover.Prover(node), view_of(owner=b"x" * 20)
    await member.join(view)
    with pytest.raises(LocalProtocolError, match="not that of this version"):
        member._keys(4, view.p)
    node.market.verifiers.foreign = False
    await member.join(view)
    assert member._keys(4, view.p) == proofs.key_of(view.p)


async def test_a_chain_that_never_says_costs_no_stake(node: Any) -> None:
    """When votes are due there is no time left to ask: zeros, and the log says why."""
    node.market.verifiers = Unsteady(LIMIT)
    member, view = prover.Prover(node), view_of(owner=b"x" * 20)
    view.phase = Phase.DELIVERED
    await member.join(view)
    with pytest.raises(LocalProtocolError, match="rate limit exceeded"):
        member._keys(4, view.p)
    node.market.verifiers = Unsteady(LIMIT)
    role = data_owner.DataOwner(node)
    assert await role.join(view) is None
    assert "rate limit exceeded" in role.refusals[4]


async def test_what_is_decided_asks_no_chain(judge: Any) -> None:
    """A prover that plays goes on after a restart, whatever the RPC says then."""
    drawn(judge, view_of(owner=b"x" * 20))
    judge.market.verifiers = Unsteady(LIMIT)
    member = prover.Prover(judge)
    await member.join(view_of(owner=b"x" * 20))
    assert len(judge.market.verifiers.errors) == 1 and member._unproved == {}


async def test_an_owner_reads_what_the_chain_said(node: Any) -> None:
    """Nothing is said about the market, which may be good."""
    node.market.verifiers = Unsteady(LIMIT)
    with pytest.raises(RpcError, match="rate limit"):
        await certify(node, view_of().p)


# ------------------------------------------------------------------------------------------------------------ creation


async def test_the_first_session_of_a_key_makes_its_verifier(node: Any) -> None:
    params = replace(view_of().p, proof_key=bytes(32))
    certified = await certify(node, params)
    assert certified == proofs.proved(params)
    assert certified.zk
    assert node.market.verifiers.made == {certified.proof_key: proofs.LABEL}
    assert "verifier_created" in events_of(node)
    node.market.verifiers.create = None  # not asked for a second time
    assert await certify(node, params) == certified


async def test_no_session_without_a_string(node: Any) -> None:
    node.keys = NoKeys()
    with pytest.raises(RefusedError, match="reference string") as caught:
        await certify(node, view_of().p)
    assert "omninode srs" in caught.value.cure


async def test_no_session_where_the_market_takes_no_proofs(node: Any) -> None:
    node.market.verifiers = None
    with pytest.raises(RefusedError, match="takes no proofs"):
        await certify(node, view_of().p)


@pytest.mark.parametrize("rule", [Rule.TRUST, Rule.MULTI_KRUM])
def test_the_terms_of_a_key(rule: Rule) -> None:
    key = proofs.key_of(view_of(rule=rule).p)
    terms = key_terms(key, "x" * 40)
    assert (terms["dimension"], terms["size"], terms["normBits"]) == (40, key.params.size, key.norm_bits or 0)
    assert terms["label"] == b"x" * 32
    assert (terms["powers"] == (0, 0)) == (rule == Rule.MULTI_KRUM)
    x1, x0, y1, y0 = terms["tau2"]  # type: ignore[misc]
    assert (x0, x1, y0, y1) == tuple(key.tau2)
    assert key_terms(key)["label"] == bytes(32)


# ------------------------------------------------------------------------------------------------------------ documents


async def owner_of(node: Any) -> model_owner.ModelOwner:
    node.config = replace(node.config, model_owner=replace(node.config.model_owner, certificate="zk"))
    role = model_owner.ModelOwner(node)
    await role.model.load_or_pretrain()
    role.model.state = ModelState(**{**vars_of(role.model.require()), "bound": 489_210})
    return role


async def test_a_document_for_zk_has_fewer_bits(node: Any) -> None:
    role = await owner_of(node)
    published = await role.model.publish(choose(DIGITS.model))
    made = await role.creation._document(True, published, False)
    assert (made.frac_bits, made.bound) == (9, 489_210 >> 7)
    plain = await role.creation._document(False, published, False)
    assert (plain.frac_bits, plain.bound) == (16, 489_210)


async def test_a_bound_that_no_table_holds(node: Any) -> None:
    role = await owner_of(node)
    role.model.state = ModelState(**{**vars_of(role.model.require()), "bound": 1 << 40})
    with pytest.raises(UsageError, match="too short to be proved") as caught:
        await role.create_session({})
    assert "--certificate attested" in caught.value.cure


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"mode": "grouped"}, "mode verified only"),
        ({"data_owners": 65}, "at most 64 data owners"),
        ({"rule": "multi-krum", "payout": "contribution"}, "gives? no scores to pay by"),
    ],
)
async def test_terms_that_zk_does_not_take(node: Any, overrides: dict[str, Any], words: str) -> None:
    role = await owner_of(node)
    with pytest.raises(UsageError, match=words):
        await role.create_session(overrides)


async def test_the_next_bound_is_kept_in_the_presets_units(node: Any) -> None:
    """A session with 9 fractional bits leaves the same bound, as a real number, as one with 16."""
    import numpy as np

    real, bounds = 1000 / 2**16, {}
    for frac_bits in (16, 9):
        role = await owner_of(node)
        made: SessionDocument = replace(
            document(node, bytes(4 * D)), frac_bits=frac_bits, bound=489_210 >> 16 - frac_bits
        )
        params = replace(
            view_of(payout=Payout.EQUAL).p, dimension=D, frac_bits=frac_bits, bound=made.bound, doc_digest=made.digest()
        )
        opened = Output(np.full(D, round(4 * real * 2**frac_bits), dtype=np.int64), 4, (), (1, 1, 1, 1))
        role.model.state = ModelState(**{**vars_of(role.model.require()), "applied": ()})
        await role.model.apply(9, params, made, opened)
        bounds[frac_bits] = role.model.require().bound
    assert bounds[9] == pytest.approx(bounds[16], rel=0.02)
