"""The ProverRegistry contract, typed: provers, their keys and their stakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from contracts import loader
from omninode.chain.client import Contract
from omninode.chain.errors import RpcError, TransactionFailed
from omninode.chain.interface import Interface
from omninode.chain.transaction import Receipt
from protocols.errors import LocalProtocolError
from protocols.sessions.events import ProverInfo

if TYPE_CHECKING:
    from omninode.chain.client import ChainClient
    from omninode.chain.txqueue import TxQueue

MIN_GAS = 300_000


@cache
def registry_interface() -> Interface:
    """ProverRegistry's ABI."""
    return Interface(loader.load("ProverRegistry").abi)


@dataclass(frozen=True, slots=True)
class Prover:
    """A prover's entry; all zero for an address that never registered.

    stake: wei. exit_block: 0 while it stays, else after which block ``withdraw`` pays. locks: unfinished committees.
    """

    address: bytes
    peer_key: bytes
    enc_key: bytes
    stake: int
    exit_block: int
    locks: int
    drawable: bool


class Registry:
    """One deployed ProverRegistry. Without a queue it can only be read."""

    def __init__(self, client: ChainClient, queue: TxQueue | None, address: bytes) -> None:
        self.client, self.queue, self.address = client, queue, address
        self.contract = Contract(address, registry_interface())
        if queue is not None:
            queue.learn(self.contract.interface)

    async def prover(self, address: bytes, *, block: int | str = "latest") -> Prover:
        """What the registry knows about this wallet."""
        entry = await self.client.call(self.contract, "prover", address, block=block)
        names = ("peerKey", "encKey", "stake", "exitBlock", "locks", "drawable")
        return Prover(address, *(entry[name] for name in names))

    async def infos(self, addresses: Sequence[bytes], *, block: int | str = "latest") -> tuple[ProverInfo, ...]:
        """Keys of provers as of a block; as of now where the node has no state of that block any more."""
        found = []
        for address in addresses:
            try:
                entry = await self.prover(address, block=block)
            except (RpcError, TransactionFailed):
                entry = await self.prover(address)
            found.append(ProverInfo(address, entry.peer_key, entry.enc_key))
        return tuple(found)

    async def min_stake(self) -> int:
        """Wei that a prover must hold to be drawn."""
        return int(await self.client.call(self.contract, "minStake"))

    async def drawable_count(self) -> int:
        """Provers that can be drawn now."""
        return int(await self.client.call(self.contract, "drawableCount"))

    async def register(self, peer_key: bytes, enc_key: bytes, *, stake: int, key: str | None = None) -> Receipt:
        """Enter as a prover, or change keys and add stake (wei)."""
        return await self._send("register", (peer_key, enc_key), stake, key)

    async def request_exit(self, *, key: str | None = None) -> Receipt:
        """Announce to leave: no further committee."""
        return await self._send("requestExit", (), 0, key)

    async def withdraw(self, *, key: str | None = None) -> Receipt:
        """Take the stake back after the exit delay."""
        return await self._send("withdraw", (), 0, key)

    async def _send(self, call: str, args: Sequence[Any], value: int, key: str | None) -> Receipt:
        if self.queue is None:
            raise LocalProtocolError(f"{call}: this registry was opened for reading")
        data = self.contract.interface.function(call).call_data(args)
        return await self.queue.submit(
            self.address,
            data,
            value,
            key=None if key is None else f"{self.address.hex()}/{key}",
            min_gas=MIN_GAS,
            fn=call,
        )
