"""Putting the contracts on a chain, and remembering where they are (deployment.json)."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from contracts import loader
from omninode.chain.abi import encode
from omninode.chain.errors import ChainError
from omninode.chain.hashing import checksum_address, parse_address
from omninode.chain.interface import Interface
from omninode.chain.transaction import Receipt
from omninode.chain.txqueue import TxQueue
from omninode.chain.txstore import SqliteTxStore

if TYPE_CHECKING:
    from omninode.chain.client import ChainClient
    from omninode.chain.wallet import Wallet


_SINGLE = ("market", "registry", "verifiers")
ONCHAIN_FACTORY = "SecModelUpdates"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contracts are. verifiers: factory of the keys of proofs.

    block: the first that holds any of them. gas: used, by contract.  onchain: factory of the on-chain baseline, b""
    where it was not asked for.
    """

    market: bytes
    registry: bytes
    verifiers: bytes
    libraries: dict[str, bytes]
    chain_id: int
    block: int
    gas: dict[str, int]
    onchain: bytes = b""

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        plain = asdict(self)
        plain |= {name: checksum_address(plain[name]) for name in _SINGLE}
        plain["libraries"] = {name: checksum_address(address) for name, address in self.libraries.items()}
        plain["onchain"] = checksum_address(self.onchain) if self.onchain else ""
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(json.dumps(plain, indent=2) + "\n")
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Read it. ChainError says which file and what is wrong with it."""
        try:
            plain = json.loads(path.read_text())
            if "verifiers" not in plain and {"market", "registry"} <= set(plain):
                raise ChainError(f"{path} was made by an older version; deploy again")
            plain |= {name: parse_address(plain[name]) for name in _SINGLE}
            plain["libraries"] = {name: parse_address(text) for name, text in plain["libraries"].items()}
            plain["onchain"] = parse_address(plain["onchain"]) if plain.get("onchain") else b""
            return cls(**plain)
        except OSError as error:
            raise ChainError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ChainError(f"{path} is no deployment file: {error!r}") from None


async def deploy(
    client: ChainClient, wallet: Wallet, *, min_stake: int, exit_delay: int, onchain: bool = False
) -> Deployment:
    """Deploy libraries, registry, factory and market from ``wallet`` and tie them together. Raises ChainError.

    min_stake: wei per prover. exit_delay: blocks between asking to leave and being paid.  onchain: the factory of the
    on-chain baseline as well.
    """
    store = SqliteTxStore(Path(":memory:"))  # nothing to resume: what was begun is left and deployed anew
    queue = TxQueue(client, wallet, store, client.log)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(queue.run)
            try:
                deployment = await _deploy(client, queue, min_stake, exit_delay, onchain)
            finally:
                nursery.cancel_scope.cancel()
    finally:
        store.close()
    return deployment


async def _deploy(client: ChainClient, queue: TxQueue, min_stake: int, exit_delay: int, onchain: bool) -> Deployment:
    """What stands alone goes out together: three blocks in all."""
    receipts: dict[str, Receipt] = {}

    async def create(name: str, *args: object) -> None:
        artifact = loader.load(name)
        libraries = (
            {lib: checksum_address(receipts[lib].contract) for lib in loader.LIBRARIES}
            if artifact.link_references
            else {}
        )
        code = bytes.fromhex(loader.link(artifact, libraries).removeprefix("0x"))
        code += encode(Interface(artifact.abi).constructor, args)
        receipts[name] = await queue.submit(b"", code, fn=f"deploy {name}")

    async with trio.open_nursery() as nursery:
        for library in loader.LIBRARIES:
            nursery.start_soon(create, library)
        nursery.start_soon(create, "ProverRegistry", min_stake, exit_delay)
        nursery.start_soon(create, "ZkVerifiers")
        if onchain:
            nursery.start_soon(create, ONCHAIN_FACTORY)
    registry = receipts["ProverRegistry"].contract
    verifiers = receipts["ZkVerifiers"].contract
    await create("DataMarket", registry, verifiers)
    market = receipts["DataMarket"].contract
    tie = Interface(loader.load("ProverRegistry").abi).function("setMarket").call_data((market,))
    receipts["setMarket"] = await queue.submit(registry, tie, fn="setMarket")
    libraries = {lib: receipts[lib].contract for lib in loader.LIBRARIES}
    first, gas = min(r.block for r in receipts.values()), {name: r.gas_used for name, r in receipts.items()}
    factory = receipts[ONCHAIN_FACTORY].contract if onchain else b""
    return Deployment(market, registry, verifiers, libraries, await client.chain_id(), first, gas, factory)
