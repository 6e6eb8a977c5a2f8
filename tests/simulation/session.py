"""A whole session in one process: provers, data owners, the owner, a chain; honest unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from omninode.reproduce.stage.network import Network
from omninode.reproduce.stage.node import Machine, Node
from protocols.sessions import events as ev
from protocols.sessions import machines
from protocols.sessions.identity import Identity
from protocols.sessions.owner import Output, OwnerMachine
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Payout, Phase, Rule, SessionParams
from protocols.sessions.prover import ProverMachine
from protocols.sessions.shelf import MemoryShelf
from protocols.wire.context import Context, tagged_hash
from tests.simulation import proofs
from tests.simulation.market import FakeMarket
from tests.simulation.verified_market import VerifiedMarket
from tests.simulation.wallets import Wallets, enc_public
from tests.simulation.zk_market import ZkMarket

ENDS = (Phase.FINISHED, Phase.ABORTED)
SMALL_BOUND = 31
"""B of sessions with certificate zk: coordinates of 6 bits, a table of 64."""


def small_params(*, zk: bool = False, **changes: object) -> SessionParams:
    """A session of 2 groups of 3 (mode verified: 6 data owners), d = 40, five provers, rule none; windows as in the
    demo. zk: certificate zk, with vectors of 64 rows.
    """
    numbers: dict[str, object] = {
        "doc_digest": bytes(32), "owner": b"", "owner_peer": bytes(32), "mode": Mode.GROUPED, "dimension": 40,
        "frac_bits": 8, "bound": 5000, "group_size": 3, "groups": 2, "committee": 5, "threshold": 1, "rule": Rule.NONE,
        "mu_bps": 0, "m_krum": 0, "min_accepted": 3, "public_sums": True, "reward": 10**18, "prover_fee": 10**16,
        "deposit": 10**16, "gas_price_cap": 10**9, "whitelist_root": bytes(32), "register_blocks": 15,
        "upload_blocks": 20, "settle_blocks": 25,
    }  # fmt: skip
    if changes.get("mode") == Mode.VERIFIED:
        numbers |= {"group_size": 1, "groups": 6, "public_sums": False}
    if zk:
        numbers["bound"] = SMALL_BOUND
    if changes.get("payout") == Payout.CONTRIBUTION:
        numbers["score_cap"] = int(numbers["bound"]) ** 2  # type: ignore[call-overload]
    params = SessionParams(**{**numbers, **changes})  # type: ignore[arg-type]
    return proofs.proved(params) if zk else params


class Session:
    """``run`` plays it to the end. Nodes: ``provers`` (the pool), ``owners`` (data owners), ``owner``."""

    def __init__(
        self,
        seed: int,
        *,
        pool: int | None = None,
        data_owners: int | None = None,
        loss: float = 0.0,
        gossip: bool = True,
        number: int = 7,
        **changes: object,
    ) -> None:
        self.seed, wallets = seed, Wallets()
        owner = wallets.new("owner")
        self.params = small_params(owner=owner.address, **changes)
        self.context = Context(31337, bytes(range(20)), number)
        self.provers: list[Node] = []
        infos = []
        for i in range(pool or self.params.committee):
            identity = wallets.new(f"prover {i}")
            infos.append(ev.ProverInfo(identity.address, bytes(32), enc_public(identity)))
            self.provers.append(self._node(f"prover {i}", identity.address, self._prover(identity, i)))
        market = VerifiedMarket if self.params.mode == Mode.VERIFIED else FakeMarket
        market = ZkMarket if self.params.zk else market
        self.market = market(self.context, self.params, infos, identity.recover, seed)
        self.owners: list[Node] = []
        for i in range(data_owners or self.params.groups * self.params.group_size):
            identity = wallets.new(f"data owner {i}")
            node = self._node(f"data owner {i}", identity.address, self._data_owner(identity, i))
            node.update = self.honest_update(i)
            self.owners.append(node)
        self.owner = self._node("owner", owner.address, self._owner(owner))
        self.owner.update = self.honest_update(REFERENCE)
        self.network = Network([*self.provers, *self.owners, self.owner], self.market, seed, loss, gossip)
        self.on_block: Callable[[Session], None] = lambda session: None
        self._began = False

    def _node(self, name: str, address: bytes, make: Callable[[], Machine]) -> Node:
        return Node(name, address, self.context, make)

    def _secret(self, label: str, i: int) -> bytes:
        return tagged_hash(label, self.seed.to_bytes(8, "big"), i.to_bytes(4, "big"))

    def _prover(self, identity: Identity, i: int) -> Callable[[], Machine]:
        secret = self._secret("prover", i)
        if self.params.mode == Mode.VERIFIED:
            return lambda: machines.prover(self.params, self.context, identity, secret, MemoryShelf(), proofs.key_of)
        return lambda: ProverMachine(self.context, identity, secret)

    def _data_owner(self, identity: Identity, i: int) -> Callable[[], Machine]:
        seed, peer = self._secret("data owner", i), self._secret("peer", i)
        return lambda: machines.data_owner(self.params, self.context, identity, seed, peer_key=peer, keys=proofs.key_of)

    def _owner(self, identity: Identity) -> Callable[[], Machine]:
        return lambda: machines.owner(self.params, self.context, identity, self._secret("owner", 0), proofs.key_of)

    def honest_update(self, i: int) -> npt.NDArray[np.int64]:
        """Random, as long as the bound allows. Mode verified: at 60 degrees to each other, more or less."""
        rng = np.random.default_rng([self.seed, i])
        noise = rng.standard_normal(self.params.dimension)
        if self.params.mode == Mode.VERIFIED:
            common = np.random.default_rng([self.seed, 1 << 16]).standard_normal(self.params.dimension)
            common /= np.linalg.norm(common)
            noise -= noise @ common * common
            noise = noise / np.linalg.norm(noise) + common
        scaled = noise * (0.99 * self.params.bound / np.linalg.norm(noise))
        return np.trunc(scaled).astype(np.int64)

    # -- running ----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One block."""
        if not self._began:
            self._began = True
            events = self.market.create()
            for node in self.network.nodes.values():
                node.blocks.append((self.market.block, events))
            self.network.settle()
        self.network.mine()
        self.on_block(self)

    def run(self, most: int = 120, after: int = 4) -> Session:
        """Until the session is over and some blocks more (claims, attestations)."""
        while self.market.phase not in ENDS:
            self.step()
            assert self.market.block < most, f"still {self.market.phase.name} in block {self.market.block}"
        for _ in range(after):
            self.step()
        return self

    def run_until(self, phase: Phase, most: int = 120) -> Session:
        """Until the chain is in this phase (or a later one)."""
        while self.market.phase < phase:
            self.step()
            assert self.market.block < most, f"still {self.market.phase.name} in block {self.market.block}"
        return self

    # -- what came out ----------------------------------------------------------------------------------------------

    @property
    def result(self) -> Output | None:
        """What the owner opened."""
        machine = self.owner.machine
        assert isinstance(machine, OwnerMachine)
        return machine.result

    def committee(self) -> list[Node]:
        """The drawn provers, in order of their points."""
        return [self.network.nodes[prover.address] for prover in self.market.committee]

    def registered(self) -> list[Node]:
        """The data owners by registration index."""
        return [self.network.nodes[address] for address in self.market.owners]

    def index_of(self, node: Node) -> int:
        """Registration index of a data owner."""
        return self.market.owners.index(node.address)

    def accepted(self) -> list[int]:
        """Registration indices of the accepted data owners."""
        bits = self.market.batch.accepted if self.market.batch else 0
        return [k for k in range(len(self.market.owners)) if bits >> k & 1]

    def in_set(self, kind: Bitmap) -> list[int]:
        """Registration indices in a fixed set."""
        return [k for k in range(len(self.market.owners)) if self.market.sets[kind] >> k & 1]

    @property
    def payouts(self) -> dict[int, int]:
        """Wei of the reward by registration index (mode verified, once finished)."""
        assert isinstance(self.market, VerifiedMarket)
        return self.market.payouts

    def products(self) -> dict[int, int]:
        """<g_k, ref> by registration index, in plain integers."""
        assert self.owner.update is not None
        reference = [int(v) for v in self.owner.update]
        return {k: sum(int(a) * b for a, b in zip(node.update, reference, strict=True))  # type: ignore[arg-type]
                for k, node in enumerate(self.registered())}  # fmt: skip

    def expected(self) -> npt.NDArray[np.int64]:
        """Plain integer sum of the accepted updates."""
        owners = self.registered()
        return np.sum([owners[k].update for k in self.accepted()], axis=0)

    def assert_exact(self) -> Output:
        """The owner's sum is the plain sum of the accepted updates, coordinate by coordinate."""
        result = self.result
        assert result is not None, f"no output; phase {self.market.phase.name}"
        assert result.count == len(self.accepted())
        assert np.array_equal(result.total, self.expected())
        return result


def verified(seed: int, **changes: object) -> Session:
    """A session of mode verified."""
    return Session(seed, mode=Mode.VERIFIED, **changes)  # type: ignore[arg-type]


def proved(seed: int, **changes: object) -> Session:
    """A session of mode verified with certificate zk."""
    return Session(seed, mode=Mode.VERIFIED, zk=True, **changes)  # type: ignore[arg-type]
