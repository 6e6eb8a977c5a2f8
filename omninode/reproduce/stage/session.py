"""Whole sessions: real machines, wallets and contracts on anvil; only the network is simulated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import trio

from omninode.chain.client import ChainClient
from omninode.chain.deployment import deploy
from omninode.chain.devchain import start_anvil
from omninode.chain.market import Market
from omninode.chain.registry import Registry
from omninode.chain.wallet import Wallet, recover
from omninode.reproduce.stage.blocks import Gas, Timings
from omninode.reproduce.stage.network import Network
from omninode.reproduce.stage.node import Machine, Node
from omninode.reproduce.stage.outcome import check
from omninode.reproduce.stage.real_market import RealMarket
from protocols.secagg.keys import public_of
from protocols.sessions import machines
from protocols.sessions.identity import Identity
from protocols.sessions.limits import check_params
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import REFERENCE, Mode, Payout, Phase, Rule, SessionParams
from protocols.sessions.shelf import MemoryShelf, Shelf
from protocols.wire.context import Context, tagged_hash

PROVERS = 5
ETHER = 10**18
MOST_BLOCKS = 120
CLAIM_BLOCKS = 4
LIMIT_S = 900.0
Update = npt.NDArray[np.int64]


def wallet(label: str, number: int = 0) -> Wallet:
    """Always the same for the same name."""
    return Wallet(tagged_hash("benchmark wallet", label.encode(), bytes([number])))


def enc_secret(number: int) -> bytes:
    """What a prover's pieces are sealed to."""
    return tagged_hash("benchmark enc key", bytes([number]))


def grouped(dimension: int, groups: int = 4, group_size: int = 3) -> SessionParams:
    """A session as in the demo; small models must say that sums are public."""
    return SessionParams(
        doc_digest=b"\1" * 32, owner=wallet("owner").address, owner_peer=b"\2" * 32, mode=Mode.GROUPED,
        dimension=dimension, frac_bits=16, bound=1 << 17, group_size=group_size, groups=groups, committee=PROVERS,
        threshold=1, rule=Rule.OUTLIER, mu_bps=2500, m_krum=0, min_accepted=3, public_sums=dimension < 4096,
        reward=ETHER, prover_fee=ETHER // 100, deposit=ETHER // 10, gas_price_cap=10**9, whitelist_root=bytes(32),
        register_blocks=15, upload_blocks=20, settle_blocks=25,
    )  # fmt: skip


def verified(dimension: int, data_owners: int = 12, rule: Rule = Rule.TRUST) -> SessionParams:
    """The same with proofs, the owner's reference and pay by contribution, of which an eighth of B^2 counts."""
    params = grouped(dimension, data_owners, 1)
    return replace(
        params, mode=Mode.VERIFIED, rule=rule, mu_bps=0 if rule == Rule.TRUST else params.mu_bps, public_sums=False,
        payout=Payout.CONTRIBUTION, score_cap=params.bound**2 // 8,
    )  # fmt: skip


def update(params: SessionParams, number: int) -> Update:
    """Random, within the bound. Mode verified: at 60 degrees to each other, more or less."""
    noise = np.random.default_rng(number).standard_normal(params.dimension)
    if params.mode == Mode.VERIFIED:
        noise += np.random.default_rng(1 << 16).standard_normal(params.dimension)
    return np.trunc(noise * (0.99 * params.bound / np.linalg.norm(noise))).astype(np.int64)


@dataclass(frozen=True)
class Cast:
    """How the participants are made. shelf: of the prover with this number."""

    node: Callable[[str, bytes, Context, Callable[[], Machine]], Node] = Node
    network: Callable[..., Network] = Network
    shelf: Callable[[int], Shelf] = lambda number: MemoryShelf()

    def nodes(self, context: Context, params: SessionParams) -> list[Node]:
        """Every participant's machine with its real wallet; the owner last."""
        made = []
        owners = params.groups * params.group_size
        for label, count in (("prover", PROVERS), ("data owner", owners), ("owner", 1)):
            for i in range(count):
                make = partial(machine, params, context, label, i, self.shelf)
                node = self.node(f"{label} {i}", wallet(label, i).address, context, make)
                node.update = {"data owner": update(params, i), "owner": update(params, REFERENCE)}.get(label)
                made.append(node)
        return made


def machine(params: SessionParams, context: Context, label: str, number: int, shelf: Callable[[int], Shelf]) -> Machine:
    """Always with the same secrets for the same name."""
    who = wallet(label, number)
    seed = tagged_hash("benchmark machine", label.encode(), bytes([number]))
    if label == "prover":
        identity = Identity(who.address, who.sign_digest, recover, enc_secret(number))
        return machines.prover(params, context, identity, seed, shelf(number))
    identity = Identity(who.address, who.sign_digest, recover, b"")
    if label == "data owner":  # peer keys must differ; nobody connects to them
        return machines.data_owner(params, context, identity, seed, peer_key=tagged_hash("benchmark peer", seed))
    return machines.owner(params, context, identity, seed)


@dataclass(frozen=True)
class Played:
    """A session that ended well. nodes: provers, data owners, the owner."""

    params: SessionParams
    context: Context
    nodes: list[Node]
    network: Network
    gas: Gas

    def of(self, label: str) -> list[Node]:
        """The nodes of this role."""
        return [node for node in self.nodes if node.name.rpartition(" ")[0] == label]


def play(network: Network, market: RealMarket) -> None:
    """To the end, in a worker thread. RuntimeError if that does not come."""
    first = trio.from_thread.run(market.news)
    everybody = list(network.nodes.values())
    for node in everybody:
        node.blocks.append((market.block, first))
    network.settle()
    owner, start = everybody[-1].machine, market.block
    assert isinstance(owner, OwnerMachine)
    while owner.view.phase not in (Phase.FINISHED, Phase.ABORTED):
        network.mine()
        if market.block > start + MOST_BLOCKS:
            raise RuntimeError(f"still {owner.view.phase.name} after {MOST_BLOCKS} blocks")
    for _ in range(CLAIM_BLOCKS):
        network.mine()


@dataclass(frozen=True)
class Place:
    """A chain with our contracts and staked provers, where nothing is mined unless somebody asks for it.

    wallets: the owner's, the provers', the data owners'.  factory: of the on-chain baseline, b"" where not asked for.
    pid: of the chain.
    """

    client: ChainClient
    market: Market
    wallets: list[Wallet]
    staked: Gas
    factory: bytes
    pid: int

    def timings(self, times: int) -> Timings | None:
        """For blocks that are mined so many times to be timed; 0: they are not."""
        return Timings(times, self.pid) if times else None


@asynccontextmanager
async def place(data_owners: int, onchain: bool = False) -> AsyncIterator[Place]:
    """For sessions of up to so many data owners, one after the other. Ends with its chain."""
    wallets = [wallet("owner"), *(wallet("prover", i) for i in range(PROVERS))]
    wallets += [wallet("data owner", k) for k in range(data_owners)]
    fund = {w.address: 1000 * ETHER for w in wallets}
    with start_anvil(fund=fund, block_time=None) as chain, trio.fail_after(LIMIT_S):
        async with ChainClient(chain.url) as client:
            placed = await deploy(client, wallets[0], min_stake=ETHER, exit_delay=30, onchain=onchain)
            await chain.set_automine(client, False)
            registry = Registry(client, None, placed.registry)
            market = Market(client, None, placed.market, registry, chain_id=placed.chain_id, start_block=placed.block)
            real = RealMarket(client, market, wallets)
            for i in range(PROVERS):
                keys = bytes([i + 1]) * 32, public_of(enc_secret(i))
                await real.stake(wallet("prover", i).address, *keys, ETHER)
            yield Place(client, market, wallets, real.gas, placed.onchain, chain.pid)


async def perform_at(where: Place, params: SessionParams, cast: Cast, times: int = 0) -> Played:
    """One session with everybody whom it has room for. times: see ``Place``. Errors: see ``perform``."""
    real = RealMarket(where.client, where.market, where.wallets, where.timings(times))
    context = await real.create(params)
    nodes = cast.nodes(context, params)
    network = cast.network(nodes, real, seed=1)
    await trio.to_thread.run_sync(play, network, real)
    owners = params.groups * params.group_size
    paid = [await where.market.payout_of(context.session, k) for k in range(owners)]
    owner = nodes[-1].machine
    assert isinstance(owner, OwnerMachine)
    check(owner, {node.address: node.update for node in nodes if node.update is not None}, paid)
    return Played(params, context, nodes, network, real.gas)


async def _perform(params: SessionParams, cast: Cast) -> Played:
    async with place(params.groups * params.group_size) as where:
        played = await perform_at(where, params, cast)
        played.gas.by_call |= where.staked.by_call
        for sender, used in where.staked.by_sender.items():
            played.gas.by_sender[sender] += used
        return played


def perform(params: SessionParams, cast: Cast | None = None) -> Played:
    """One session on a chain of its own. RuntimeError unless it ends with the right sum and the right pay."""
    check_params(params)
    return trio.run(_perform, params, cast or Cast())
