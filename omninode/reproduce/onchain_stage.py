"""One session of the on-chain baseline in one process: real machines, real contracts, blocks mined when they have news.

Wallets sign, a local chain executes, every transaction's gas is written down (``stage.blocks``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omninode.chain.client import ChainClient
from omninode.chain.onchain import Onchain, head_interface, terms_to_struct
from omninode.chain.transaction import MAX_TX_GAS
from omninode.chain.wallet import Wallet
from omninode.chain.wire import quantity
from omninode.reproduce.stage.blocks import Blocks, Gas, Sent, Timings
from protocols.onchain.data_owner import OnchainDataOwner
from protocols.onchain.lanes import Lanes
from protocols.onchain.owner import OnchainOwner
from protocols.onchain.params import OnchainTerms, State, Training
from protocols.onchain.view import OnchainView
from protocols.sessions.effects import Effect, Train, Transact
from protocols.wire.context import Context, tagged_hash

GWEI = 10**9
CREATE_GAS = MAX_TX_GAS
MOST_BLOCKS = 400
RETRIES = 5  # blocks in which a transaction may be refused because another one is not mined yet


@dataclass(frozen=True)
class OnchainPlay:
    """How a session came out. gas: by function, sender and block, see ``stage.blocks.Gas``.

    view: of the owner, at the end.  total, count: sum over P' (d,) as lanes mod 2^64 and how many models are in it;
    None and 0 without output.  blocks: mined after the creation's.  owner, data_owners: wallets.
    """

    session: int
    gas: Gas
    view: OnchainView
    total: Lanes | None
    count: int
    blocks: int
    owner: bytes
    data_owners: tuple[bytes, ...]

    @property
    def per_data_owner(self) -> list[int]:
        """Gas that each data owner paid, in their order."""
        return [self.gas.by_sender[who] for who in self.data_owners]


class _Party:
    """A machine with its wallet; the data owner's model, None for the session's owner or whoever falls silent."""

    def __init__(self, address: bytes, machine: OnchainDataOwner | OnchainOwner, model: NDArray[np.float64] | None):
        self.address, self.machine, self.model = address, machine, model

    def take(self, events: Sequence[Any], block: int) -> list[Transact]:
        effects: list[Effect] = []
        for event in events:
            effects += self.machine.chain(event)
        effects += self.machine.tick(block)
        if isinstance(self.machine, OnchainDataOwner) and any(isinstance(e, Train) for e in effects):
            effects += self.machine.model_ready(self.model) if self.model is not None else []
        return [effect for effect in effects if isinstance(effect, Transact)]


async def play(
    client: ChainClient,
    factory: bytes,
    wallets: Sequence[Wallet],
    dimension: int,
    rounds: int,
    group_size: int,
    *,
    m_krum: int = 1,
    mu_bps: int = 2500,
    models: Mapping[int, NDArray[np.float64]] | None = None,
    silent: frozenset[int] = frozenset(),
    upload_blocks: int = 200,
    timings: Timings | None = None,
    seed: int = 0,
) -> OnchainPlay:
    """Play a whole session on a chain that mines only when asked (``DevChain.set_automine(client, False)``).

    wallets: funded; the first is the owner's, the next R N are data owners. models: by data owner, random small numbers
    where absent. silent: data owners who upload nothing.  timings: see ``Blocks``.
    """
    owner, workers = wallets[0], list(wallets[1 : 1 + rounds * group_size])
    chain_id = await client.chain_id()
    onchain = Onchain(client, None, factory, chain_id=chain_id)
    blocks = Blocks(client, chain_id, wallets, timings)
    training = Training(50, 2, 10, rounds, group_size)
    terms = OnchainTerms(
        owner.address, b"\x01" * 32, tagged_hash("omninode/onchain-stage", bytes([seed % 256])), dimension,
        reward=GWEI * 10**6, gas_price_cap=100 * GWEI, mu_bps=mu_bps, m_krum=m_krum, register_blocks=50,
        upload_blocks=upload_blocks, settle_blocks=50,
    )  # fmt: skip
    stage = _Stage(client, onchain, blocks)
    session = await stage.create(terms, await onchain.quote(terms, training))
    head = await onchain.head_of(session)
    rng = np.random.default_rng(seed)
    start = rng.normal(0, 0.1, dimension)
    parties = [_Party(owner.address, OnchainOwner(session, start, training), None)]
    for k, wallet in enumerate(workers):
        key = tagged_hash("omninode/onchain-stage-seed", seed.to_bytes(8, "big"), wallet.address)
        machine = OnchainDataOwner(Context(chain_id, head, session), wallet.address, key, key)
        given = (models or {}).get(k)
        model = start + rng.normal(0, 0.01, dimension) if given is None else given
        parties.append(_Party(wallet.address, machine, None if k in silent else model))
    count = await stage.run(parties)
    view = parties[0].machine.view
    total, models_in = await onchain.result(session) if view.selected else (None, 0)
    return OnchainPlay(
        session, blocks.gas, view, total, models_in, count, owner.address, tuple(w.address for w in workers)
    )


class _Stage:
    """Blocks and events of one session."""

    def __init__(self, client: ChainClient, onchain: Onchain, blocks: Blocks) -> None:
        self._client, self._onchain, self._blocks = client, onchain, blocks
        self._session, self._head, self._read = 0, b"", 0
        self._waiting: list[Sent] = []
        self._refused: list[tuple[bytes, Transact, int]] = []

    async def create(self, terms: OnchainTerms, deposit: int) -> int:
        """The owner's first transaction, in a block of its own; the session's number."""
        self._read = await self._client.read(quantity, "eth_blockNumber")
        data = self._onchain.contract.interface.function("create").call_data((terms_to_struct(terms),))
        tx_hash = await self._blocks.submit(terms.owner, self._onchain.address, data, deposit, CREATE_GAS)
        if not tx_hash:
            raise RuntimeError("the factory refuses these terms")
        await self._blocks.mine([Sent("create", (), terms.owner, len(data), tx_hash)])
        self._session = await self._onchain.count()
        self._head = await self._onchain.head_of(self._session)
        return self._session

    async def run(self, parties: Sequence[_Party]) -> int:
        """Blocks until everybody has been paid. RuntimeError if it takes too many."""
        for number in range(MOST_BLOCKS):
            block, events = await self._news()
            wanted = self._refused
            self._refused = []
            wanted += [(party.address, effect, RETRIES) for party in parties for effect in party.take(events, block)]
            if all(party.machine.over for party in parties):
                return number
            for sender, effect, tries in wanted:
                await self._send(sender, effect, tries, parties[0].machine.view.state)
            self._waiting = await self._blocks.mine(self._waiting)
        raise RuntimeError(f"session {self._session} is not over after {MOST_BLOCKS} blocks")

    async def _send(self, sender: bytes, effect: Transact, tries: int, state: State) -> None:
        data = head_interface().function(effect.call).call_data(effect.args)
        tx_hash = await self._blocks.submit(sender, self._head, data, effect.value)
        if tx_hash:
            self._blocks.gas.calldata[effect.call].append(len(data))
            self._waiting.append(Sent(effect.call, effect.args, sender, len(data), tx_hash, int(state)))
        elif tries and effect.call != "claim":
            self._refused.append((sender, effect, tries - 1))

    async def _news(self) -> tuple[int, list[Any]]:
        latest = await self._client.read(quantity, "eth_blockNumber")
        logs = await self._client.logs([self._onchain.address, self._head], self._read + 1, latest)
        self._read = latest
        decoded = [await self._onchain.decode(log) for log in logs]
        return latest, [e for e in decoded if e is not None and e.session == self._session]
