"""The factory of verifiers: one contract for each key under which batches of certificate ``zk`` are proved."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from contracts import loader
from omninode.chain.client import Contract
from omninode.chain.errors import ForeignCode
from omninode.chain.interface import Interface
from omninode.chain.wire import data as as_bytes
from protocols.errors import LocalProtocolError

if TYPE_CHECKING:
    from omninode.chain.client import ChainClient
    from omninode.chain.transaction import Receipt
    from omninode.chain.txqueue import TxQueue
    from protocols.zk.key import Key

INFINITY = (0, 0)
LABEL_BYTES = 32
MIN_GAS = 3_000_000
FACTORY = "ZkVerifiers"
PATIENCE_S = 600.0  # an RPC that is down is waited for: sessions are refused for good


@cache
def factory_interface() -> Interface:
    """ZkVerifiers' ABI, with the errors of the verifiers that it makes."""
    interface = Interface(loader.load(FACTORY).abi)
    interface.errors.update(Interface(loader.load("ZkVerifier").abi).errors)
    return interface


class Verifiers:
    """One deployed ZkVerifiers. Without a queue it can only be asked."""

    def __init__(self, client: ChainClient, queue: TxQueue | None, address: bytes) -> None:
        self.client, self.queue, self.address = client, queue, address
        self.contract = Contract(address, factory_interface())
        self._genuine = False
        if queue is not None:
            queue.learn(self.contract.interface)

    async def check(self) -> None:
        """Whether the factory is ours, so that its verifiers are as well: ForeignCode if not. Asks the chain once.

        The chain is asked for its code, and what code it would have if it was deployed now; the artifacts hold only
        what does that. A market may name any factory, and no session shows which.
        """
        if self._genuine:
            return
        made = {"data": loader.load(FACTORY).bytecode}

        async def ask() -> tuple[bytes, bytes]:
            there = await self.client.read(as_bytes, "eth_getCode", "0x" + self.address.hex(), "latest")
            return there, await self.client.read(as_bytes, "eth_call", made, "latest")

        there, expected = await self.client.retry(ask, PATIENCE_S, "comparing the factory of verifiers")
        if not there or there != expected:
            raise ForeignCode(FACTORY, self.address)
        self._genuine = True

    async def of(self, key: Key) -> bytes | None:
        """Address of the verifier of a key, None while nobody has made it."""
        address: bytes = await self.client.call(self.contract, "verifierOf", key.digest, key.norm_bits or 0)
        return address if any(address) else None

    async def create(self, key: Key, label: str = "", *, deadline_s: float = 60) -> Receipt:
        """Make the verifier of a key. label: of a test string; such a key is taken by the development chain only.

        Raises TransactionFailed with the contract's reason, and as ``TxQueue.submit``.
        """
        if self.queue is None:
            raise LocalProtocolError("this market was opened for reading")
        data = self.contract.interface.function("create").call_data((key_terms(key, label),))
        return await self.queue.submit(
            self.address, data, key=f"{self.address.hex()}/create/{key.digest.hex()}/{key.norm_bits or 0}",
            min_gas=MIN_GAS, deadline_s=deadline_s, fn="create verifier",
        )  # fmt: skip


def key_terms(key: Key, label: str = "") -> dict[str, object]:
    """``KeyTerms`` of a key by field name. The label is cut to 32 bytes: it only says that there is one."""
    from protocols.bn254.pairing import g2_to_bytes  # loads the arithmetic of the curve

    params, tau2 = key.params, g2_to_bytes(key.tau2)
    return {
        "dimension": params.dimension,
        "bits": params.bits,
        "size": params.size,
        "root": key.omega,
        "table": key.c_t,
        "padding": key.c_p,
        "powers": key.c_bits or INFINITY,
        "tau2": tuple(int.from_bytes(tau2[i : i + 32], "big") for i in range(0, len(tau2), 32)),
        "label": label.encode()[:LABEL_BYTES].ljust(LABEL_BYTES, b"\0"),
        "normBits": key.norm_bits or 0,
    }
