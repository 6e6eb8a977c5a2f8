"""A whole session in one process: provers, data owners, the owner, a chain; honest unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from protocols.sessions import events as ev
from protocols.sessions.data_owner import DataOwnerMachine
from protocols.sessions.owner import Output, OwnerMachine
from protocols.sessions.params import Bitmap, Mode, Phase, Rule, SessionParams
from protocols.sessions.prover import ProverMachine
from protocols.wire.context import Context, tagged_hash
from tests.simulation.market import FakeMarket
from tests.simulation.network import Network
from tests.simulation.node import Machine, Node
from tests.simulation.wallets import Wallets, enc_public

ENDS = (Phase.FINISHED, Phase.ABORTED)


def small_params(**changes: object) -> SessionParams:
    """A session of 2 groups of 3, d = 40, five provers, rule none; windows as in the demo."""
    numbers: dict[str, object] = {
        "doc_digest": bytes(32), "owner": b"", "owner_peer": bytes(32), "mode": Mode.GROUPED, "dimension": 40,
        "frac_bits": 8, "bound": 5000, "group_size": 3, "groups": 2, "committee": 5, "threshold": 1, "rule": Rule.NONE,
        "mu_bps": 0, "m_krum": 0, "min_accepted": 3, "public_sums": True, "reward": 10**18, "prover_fee": 10**16,
        "deposit": 10**16, "gas_price_cap": 10**9, "whitelist_root": bytes(32), "register_blocks": 15,
        "upload_blocks": 20, "settle_blocks": 25,
    }  # fmt: skip
    return SessionParams(**{**numbers, **changes})  # type: ignore[arg-type]


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
        **changes: object,
    ) -> None:
        self.seed, wallets = seed, Wallets()
        owner = wallets.new("owner")
        self.params = small_params(owner=owner.address, **changes)
        self.context = Context(31337, bytes(range(20)), 7)
        self.provers: list[Node] = []
        infos = []
        for i in range(pool or self.params.committee):
            identity = wallets.new(f"prover {i}")
            infos.append(ev.ProverInfo(identity.address, bytes(32), enc_public(identity)))
            self.provers.append(self._node(f"prover {i}", identity.address, self._prover(identity, i)))
        self.market = FakeMarket(self.context, self.params, infos, identity.recover, seed)
        self.owners: list[Node] = []
        for i in range(data_owners or self.params.groups * self.params.group_size):
            identity = wallets.new(f"data owner {i}")
            node = self._node(f"data owner {i}", identity.address, self._data_owner(identity, i))
            node.update = self.honest_update(i)
            self.owners.append(node)
        self.owner = self._node("owner", owner.address, lambda: OwnerMachine(self.context, owner, bytes(32)))
        self.network = Network([*self.provers, *self.owners, self.owner], self.market, seed, loss, gossip)
        self.on_block: Callable[[Session], None] = lambda session: None
        self._began = False

    def _node(self, name: str, address: bytes, make: Callable[[], Machine]) -> Node:
        return Node(name, address, self.context, make)

    def _secret(self, label: str, i: int) -> bytes:
        return tagged_hash(label, self.seed.to_bytes(8, "big"), i.to_bytes(4, "big"))

    def _prover(self, identity: object, i: int) -> Callable[[], Machine]:
        return lambda: ProverMachine(self.context, identity, self._secret("prover", i))  # type: ignore[arg-type]

    def _data_owner(self, identity: object, i: int) -> Callable[[], Machine]:
        seed, peer = self._secret("data owner", i), self._secret("peer", i)
        return lambda: DataOwnerMachine(self.context, identity, seed, peer_key=peer)  # type: ignore[arg-type]

    def honest_update(self, i: int) -> npt.NDArray[np.int64]:
        """Random, as long as the bound allows."""
        rng = np.random.default_rng([self.seed, i])
        noise = rng.standard_normal(self.params.dimension)
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

    def accepted(self) -> list[int]:
        """Registration indices of the accepted data owners."""
        bits = self.market.batch.accepted if self.market.batch else 0
        return [k for k in range(len(self.market.owners)) if bits >> k & 1]

    def in_set(self, kind: Bitmap) -> list[int]:
        """Registration indices in a fixed set."""
        return [k for k in range(len(self.market.owners)) if self.market.sets[kind] >> k & 1]

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
