"""Opens the market of a configuration: is it the right chain, is there a contract, which registry does it use?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omninode.chain.client import Contract
from omninode.chain.market import Market, market_interface
from omninode.chain.registry import Registry
from omninode.chain.verifiers import Verifiers

if TYPE_CHECKING:
    from omninode.chain.client import ChainClient
    from omninode.chain.txqueue import TxQueue


async def open_market(
    client: ChainClient, queue: TxQueue | None, address: bytes, chain_id: int, *, start_block: int = 0
) -> Market:
    """The market at ``address`` with its registry and its factory of verifiers.

    Raises WrongChain, NoContract or RpcUnavailable.
    """
    await client.check_chain(chain_id)
    await client.check_contract(address)
    contract = Contract(address, market_interface())
    registry, factory = await client.call(contract, "registry"), await client.call(contract, "verifiers")
    return Market(
        client, queue, address, Registry(client, queue, registry), chain_id=chain_id, start_block=start_block,
        verifiers=Verifiers(client, queue, factory) if any(factory) else None,
    )  # fmt: skip
