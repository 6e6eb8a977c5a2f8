"""Gas of a whole session on anvil: the real contracts, machines and signatures; only the network is simulated.

What a session costs must not depend on how large the model is: nothing of it ever goes on chain.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable

import numpy as np
import structlog
import trio

from omninode.chain.client import ChainClient
from omninode.chain.deployment import deploy
from omninode.chain.devchain import start_anvil
from omninode.chain.market import Market
from omninode.chain.registry import Registry
from omninode.chain.wallet import Wallet, recover
from protocols.secagg.keys import public_of
from protocols.sessions.data_owner import DataOwnerMachine
from protocols.sessions.identity import Identity
from protocols.sessions.limits import check_params
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Mode, Phase, Rule, SessionParams
from protocols.sessions.prover import ProverMachine
from protocols.wire.context import Context, tagged_hash
from tests.benchmarks.real_market import Gas, RealMarket
from tests.benchmarks.rows import Row, row
from tests.simulation.network import Network
from tests.simulation.node import Machine, Node

DIMENSIONS = (1_000, 100_000)
PROVERS, GROUPS, GROUP_SIZE = 5, 4, 3
DATA_OWNERS = GROUPS * GROUP_SIZE
ETHER = 10**18
MOST_BLOCKS = 120
CLAIM_BLOCKS = 4
LIMIT_S = 600.0


def wallet(label: str, number: int = 0) -> Wallet:
    """Always the same for the same name."""
    return Wallet(tagged_hash("benchmark wallet", label.encode(), bytes([number])))


def enc_secret(number: int) -> bytes:
    """What a prover's pieces are sealed to."""
    return tagged_hash("benchmark enc key", bytes([number]))


def numbers(dimension: int) -> SessionParams:
    """A session as in the demo; small models must say that sums are public."""
    params = SessionParams(
        doc_digest=b"\1" * 32, owner=wallet("owner").address, owner_peer=b"\2" * 32, mode=Mode.GROUPED,
        dimension=dimension, frac_bits=16, bound=1 << 17, group_size=GROUP_SIZE, groups=GROUPS, committee=PROVERS,
        threshold=1, rule=Rule.OUTLIER, mu_bps=2500, m_krum=0, min_accepted=3, public_sums=dimension < 4096,
        reward=ETHER, prover_fee=ETHER // 100, deposit=ETHER // 10, gas_price_cap=10**9, whitelist_root=bytes(32),
        register_blocks=15, upload_blocks=20, settle_blocks=25,
    )  # fmt: skip
    check_params(params)
    return params


def update(params: SessionParams, number: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Random, within the bound."""
    noise = np.random.default_rng(number).standard_normal(params.dimension)
    return np.trunc(noise * (0.99 * params.bound / np.linalg.norm(noise))).astype(np.int64)


def data_owner(context: Context, who: Identity, seed: bytes) -> DataOwnerMachine:
    """Peer keys must differ; nobody connects to them."""
    return DataOwnerMachine(context, who, seed, peer_key=tagged_hash("benchmark peer", seed))


def nodes(context: Context, params: SessionParams) -> list[Node]:
    """Every participant's machine with its real wallet; the owner last."""

    def identity(who: Wallet, secret: bytes = b"") -> Identity:
        return Identity(who.address, who.sign_digest, recover, secret)

    def node(label: str, number: int, make: Callable[[Identity, bytes], Machine], secret: bytes = b"") -> Node:
        who = identity(wallet(label, number), secret)
        seed = tagged_hash("benchmark machine", label.encode(), bytes([number]))
        return Node(f"{label} {number}", who.address, context, lambda: make(who, seed))

    provers = [node("prover", i, lambda who, s: ProverMachine(context, who, s), enc_secret(i)) for i in range(PROVERS)]
    owners = [node("data owner", k, lambda who, s: data_owner(context, who, s)) for k in range(DATA_OWNERS)]
    for k, each in enumerate(owners):
        each.update = update(params, k)
    return [*provers, *owners, node("owner", 0, lambda who, s: OwnerMachine(context, who, s))]


def play(network: Network, market: RealMarket, params: SessionParams) -> None:
    """To the end, in a worker thread. RuntimeError unless the owner's sum is right and everybody was accepted."""
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
    expected = np.sum([update(params, k) for k in range(DATA_OWNERS)], axis=0)
    if owner.result is None or not np.array_equal(owner.result.total, expected):
        raise RuntimeError(f"the owner has no sum, or a wrong one: {owner.view.phase.name} {owner.view.aborted}")


async def session_gas(dimension: int) -> Gas:
    """One session on a chain of its own."""
    params = numbers(dimension)
    wallets = [wallet("owner"), *(wallet("prover", i) for i in range(PROVERS))]
    wallets += [wallet("data owner", k) for k in range(DATA_OWNERS)]
    fund = {w.address: 1000 * ETHER for w in wallets}
    with start_anvil(fund=fund, block_time=None) as chain, trio.fail_after(LIMIT_S):
        async with ChainClient(chain.url) as client:
            placed = await deploy(client, wallets[0], min_stake=ETHER, exit_delay=30)
            await chain.set_automine(client, False)
            registry = Registry(client, None, placed.registry)
            market = Market(client, None, placed.market, registry, chain_id=placed.chain_id, start_block=placed.block)
            real = RealMarket(client, market, wallets)
            for i in range(PROVERS):
                keys = bytes([i + 1]) * 32, public_of(enc_secret(i))
                await real.stake(wallet("prover", i).address, *keys, ETHER)
            context = await real.create(params)
            network = Network(nodes(context, params), real, seed=1)  # type: ignore[arg-type]
            await trio.to_thread.run_sync(play, network, real, params)
            return real.gas


def own_gas(gas: Gas) -> float:
    """Mean of what the data owners paid themselves; who is first in a block pays more than the next."""
    return statistics.fmean(gas.by_sender[wallet("data owner", k).address] for k in range(DATA_OWNERS))


def run() -> list[Row]:
    """Rows for ``make bench``. Ours: the large model; peer: the small one."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    small, large = (trio.run(session_gas, dimension) for dimension in DIMENSIONS)
    sizes = {"d": DIMENSIONS[1], "peer_d": DIMENSIONS[0], "data_owners": DATA_OWNERS, "provers": PROVERS}
    ours, peer = large.session / DATA_OWNERS, small.session / DATA_OWNERS
    rows = [
        row("gas of a session per data owner, by dimension", sizes, ours, peer, "gas"),
        row("gas that a data owner pays itself, by dimension", sizes, own_gas(large), own_gas(small), "gas"),
    ]
    for call in sorted(large.by_call.keys() | small.by_call.keys()):
        used, other = (gas.by_call.get(call, [0]) for gas in (large, small))
        calls = {"calls": len(used), "peer_calls": len(other), "least": min(used), "most": max(used)}
        rows.append(row(f"gas, {call}", calls, statistics.fmean(used), statistics.fmean(other), "gas"))
    return rows
