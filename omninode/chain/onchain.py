"""The on-chain baseline's contracts, typed: the factory SecModelUpdates and its sessions' heads SecModelUpdate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from contracts import loader
from omninode.chain.abi import AbiError
from omninode.chain.client import Contract
from omninode.chain.cursor import Batch, EventCursor
from omninode.chain.errors import ChainError, RpcUnavailable
from omninode.chain.interface import Interface, Log
from omninode.chain.transaction import Receipt
from protocols.errors import LocalProtocolError
from protocols.onchain import events as ev
from protocols.onchain.lanes import Lanes, join
from protocols.onchain.params import OnchainTerms, Training

if TYPE_CHECKING:
    from omninode.chain.client import ChainClient
    from omninode.chain.txqueue import TxQueue
    from omninode.chain.wire import Block

MOST_ADDRESSES = 500
MIN_GAS = 400_000
MIN_GAS_OF = {"create": 6_000_000, "upload": 2_500_000, "postKey": 800_000, "measure": 1_500_000, "poke": 1_500_000}
"""Whoever acts last in a state also ends it, and the first to write a chunk pays most: an estimate may be of the cheap
path."""


class NotAFactory(ChainError):
    """There is a contract at the address, but no factory of the on-chain baseline."""

    def __init__(self, address: bytes) -> None:
        super().__init__(
            f"the contract at 0x{address.hex()} is no factory of the on-chain baseline; correct chain.onchain"
        )


@cache
def factory_interface() -> Interface:
    """SecModelUpdates' ABI, with the errors of what it makes."""
    interface = Interface(loader.load("SecModelUpdates").abi)
    interface.errors.update(head_interface().errors)
    return interface


@cache
def head_interface() -> Interface:
    """SecModelUpdate's ABI."""
    return Interface(loader.load("SecModelUpdate").abi)


class _Split:
    """A client whose requests for logs name at most ``MOST_ADDRESSES`` contracts each: nodes take no more than 1000."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Log]:
        return await self._all(addresses, lambda some: self._client.logs(some, first, last))

    async def logs_of(self, addresses: Sequence[bytes], block_hash: bytes) -> list[Log]:
        return await self._all(addresses, lambda some: self._client.logs_of(some, block_hash))

    async def _all(
        self, addresses: Sequence[bytes], ask: Callable[[Sequence[bytes]], Awaitable[list[Log]]]
    ) -> list[Log]:
        found: list[Log] = []
        for start in range(0, len(addresses), MOST_ADDRESSES):
            found += await ask(addresses[start : start + MOST_ADDRESSES])
        return sorted(found, key=lambda log: (log.block, log.index))


class HeadsCursor(EventCursor[ev.OnchainEvent]):
    """Follows the factory and every head that it names, from the block of its creation on."""

    def follow(self, head: bytes) -> None:
        """Read the events of this contract too."""
        if head not in self._addresses:
            self._addresses.append(head)

    def leave(self, head: bytes) -> None:
        """The session is over and nobody needs its events any more."""
        if head in self._addresses:
            self._addresses.remove(head)

    async def _read(self, head: Block, last: int) -> Batch[ev.OnchainEvent] | None:
        """Where the blocks name a new head they are read once more, its events among the others."""
        while True:
            known, trail = len(self._addresses), self._trail
            batch = await super()._read(head, last)
            if batch is None or len(self._addresses) == known:
                return batch
            self._trail = trail


class Onchain:
    """One deployed factory and its sessions. Without a queue it can only be read.

    heads: address of each session's contract, by number, as far as it was seen or asked for.
    """

    def __init__(
        self, client: ChainClient, queue: TxQueue | None, address: bytes, *, chain_id: int, start_block: int = 0
    ) -> None:
        self.client, self.queue, self.address = client, queue, address
        self.chain_id, self.start_block = chain_id, start_block
        self.contract = Contract(address, factory_interface())
        self.heads: dict[int, bytes] = {}
        self._terms: dict[int, tuple[object, OnchainTerms]] = {}  # and what they were read for
        if queue is not None:
            queue.learn(self.contract.interface)

    # -- reading ------------------------------------------------------------------------------------------------

    async def count(self) -> int:
        """Sessions created so far; their numbers are 1..count."""
        return int(await self.client.call(self.contract, "count"))

    async def head_of(self, session: int) -> bytes:
        """Address of a session's contract. ChainError where there is no such session."""
        if session not in self.heads:
            head: bytes = await self.client.call(self.contract, "headOf", session)
            if not any(head):
                raise ChainError(f"the factory 0x{self.address.hex()} knows no session {session}")
            self.heads[session] = head
        return self.heads[session]

    async def quote(self, terms: OnchainTerms, training: Training) -> int:
        """Wei that a session needs in all: reward, and what is paid back for gas at most."""
        return int(
            await self.client.call(self.contract, "quote", terms_to_struct(terms), training.rounds, training.group_size)
        )

    async def view(self, session: int, fn: str, *args: object, block: int | str = "latest") -> Any:
        """Any view function of a head."""
        contract = Contract(await self.head_of(session), head_interface())
        return await self.client.call(contract, fn, *args, block=block)

    async def terms(self, session: int) -> OnchainTerms:
        """What was fixed at the session's deployment."""
        if session not in self._terms:
            struct, state = await self.view(session, "terms"), await self.view(session, "stateView")
            self._terms[session] = (None, terms_from_struct(struct, state["owner"]))
        return self._terms[session][1]

    async def check(self) -> None:
        """NotAFactory where the contract is something else; other ChainErrors where nothing can be learnt."""
        try:
            await self.count()
        except RpcUnavailable:
            raise
        except ChainError as error:
            raise NotAFactory(self.address) from error

    def forget(self, session: int) -> None:
        """Nobody needs this session any more; it can still be asked about."""
        self.heads.pop(session, None)
        self._terms.pop(session, None)

    async def owed(self, session: int, who: bytes) -> int:
        """Wei that ``claim`` would pay."""
        return int(await self.view(session, "owed", who))

    async def result(self, session: int) -> tuple[Lanes, int]:
        """Sum over P' (d,) and how many models are in it; only from Payment on, only with output."""
        terms, parts, count = await self.terms(session), [], 0
        for chunk in range(terms.chunks):
            words, count = await self.view(session, "result", chunk)
            parts.append(words)
        return join(parts, terms.dimension), int(count)

    async def model(self, session: int) -> Lanes:
        """W^p (d,) as it was posted."""
        terms = await self.terms(session)
        return join([await self.view(session, "model", c) for c in range(terms.chunks)], terms.dimension)

    async def round_sum(self, session: int, number: int) -> Lanes:
        """The running sum of one round (d,)."""
        terms = await self.terms(session)
        return join([await self.view(session, "sum", number, c) for c in range(terms.chunks)], terms.dimension)

    # -- transactions -------------------------------------------------------------------------------------------

    async def create(self, terms: OnchainTerms, deposit: int, *, key: str, deadline_s: float = 60) -> int:
        """Deploy a session and its deposit; its number."""
        receipt = await self._send(
            self.address, self.contract.interface, "create", (terms_to_struct(terms),), deposit, key, deadline_s
        )
        for log in receipt.logs:
            decoded = self.contract.interface.decode_log(log) if log.address == self.address else None
            if decoded and decoded[0] == "Created":
                return int(decoded[1]["id"])
        raise LocalProtocolError("create without Created: the ABI is of another version")

    async def transact(
        self, call: str, session: int, args: Sequence[object] = (), value: int = 0, key: str | None = None,
        *, deadline_s: float = 60, expected_noop: Collection[str] = (),
    ) -> Receipt:  # fmt: skip
        """One function of a session's head. See TxQueue.submit. A key holds for this head only."""
        head = await self.head_of(session)
        return await self._send(head, head_interface(), call, args, value, key, deadline_s, expected_noop)

    async def _send(
        self, to: bytes, interface: Interface, call: str, args: Sequence[object], value: int, key: str | None,
        deadline_s: float, expected_noop: Collection[str] = (),
    ) -> Receipt:  # fmt: skip
        if self.queue is None:
            raise LocalProtocolError(f"{call}: the factory was opened for reading")
        return await self.queue.submit(
            to, interface.function(call).call_data(args), value, key=None if key is None else f"{to.hex()}/{key}",
            min_gas=MIN_GAS_OF.get(call, MIN_GAS), deadline_s=deadline_s, fn=call, expected_noop=expected_noop,
        )  # fmt: skip

    # -- events -------------------------------------------------------------------------------------------------

    async def decode(self, log: Log) -> ev.OnchainEvent | None:
        """The typed event; None for what is neither the factory's nor the head's that it stands for."""
        interface = self.contract.interface if log.address == self.address else head_interface()
        try:
            decoded = interface.decode_log(log)
        except AbiError as error:
            raise ChainError(f"a log in block {log.block}: a contract of another version: {error}") from None
        if decoded is None:
            return None
        name, args = decoded
        at = (int(args["id"]), log.block)
        if log.address == self.address:
            if name != "Created":
                return None
            return await self._created(at, log, args)
        build = _PLAIN.get(name)
        return build(at, args) if build and self.heads.get(at[0]) == log.address else None

    async def _created(self, at: At, log: Log, args: dict[str, Any]) -> ev.Created:
        """Terms are read once for each creation: after a reorganisation the number may stand for another session."""
        session, seen = at[0], (args["head"], log.block_hash)
        self.heads[session] = args["head"]
        if self._terms.get(session, (None,))[0] != seen:
            self._terms.pop(session, None)
            self._terms[session] = (seen, terms_from_struct(await self.view(session, "terms"), args["owner"]))
        return ev.Created(*at, args["head"], self._terms[session][1])

    def cursor(self, start_block: int | None = None, *, confirmations: int = 0) -> HeadsCursor:
        """Events of the factory from ``start_block`` (default: its deployment) and of the heads made since."""
        start = self.start_block if start_block is None else start_block

        async def decode(log: Log) -> ev.OnchainEvent | None:
            event = await self.decode(log)
            if isinstance(event, ev.Created):
                cursor.follow(event.head)
            return event

        cursor = HeadsCursor(
            cast("ChainClient", _Split(self.client)), [self.address], start, decode, confirmations=confirmations
        )
        return cursor


def terms_to_struct(terms: OnchainTerms) -> dict[str, object]:
    """``Terms`` by field name."""
    return {
        "docDigest": terms.doc_digest, "ownerPeer": terms.owner_peer, "reward": terms.reward,
        "gasPriceCap": terms.gas_price_cap, "dimension": terms.dimension, "muBps": terms.mu_bps,
        "mKrum": terms.m_krum, "registerBlocks": terms.register_blocks, "uploadBlocks": terms.upload_blocks,
        "settleBlocks": terms.settle_blocks,
    }  # fmt: skip


def terms_from_struct(struct: dict[str, Any], owner: bytes) -> OnchainTerms:
    """The inverse of ``terms_to_struct``."""
    return OnchainTerms(
        owner, struct["ownerPeer"], struct["docDigest"], struct["dimension"], struct["reward"], struct["gasPriceCap"],
        struct["muBps"], struct["mKrum"], struct["registerBlocks"], struct["uploadBlocks"], struct["settleBlocks"],
    )  # fmt: skip


def _training(args: dict[str, Any]) -> Training:
    return Training(args["samples"], args["epochs"], args["batch"], args["rounds"], args["groupSize"])


At = tuple[int, int]
_PLAIN: dict[str, Callable[[At, dict[str, Any]], ev.OnchainEvent]] = {
    "ModelPosted": lambda at, a: ev.ModelPosted(*at, a["chunk"]),
    "Whitelisted": lambda at, a: ev.Whitelisted(*at, tuple(a["who"])),
    "Started": lambda at, a: ev.Started(*at, _training(a), a["deadline"]),
    "Registered": lambda at, a: ev.Registered(*at, a["who"], a["place"], a["peerKey"]),
    "KeyPosted": lambda at, a: ev.KeyPosted(*at, a["who"], a["place"], a["x25519"]),
    "AggregationOpened": lambda at, a: ev.AggregationOpened(*at, a["live"], a["deadline"]),
    "Uploaded": lambda at, a: ev.Uploaded(*at, a["who"], a["place"], a["chunk"]),
    "RoundComplete": lambda at, a: ev.RoundComplete(*at, a["round"]),
    "SuppressionOpened": lambda at, a: ev.SuppressionOpened(*at, a["complete"], a["deadline"]),
    "Measured": lambda at, a: ev.Measured(*at, a["chunk"]),
    "Selected": lambda at, a: ev.Selected(*at, a["selected"], a["share"]),
    "Claimed": lambda at, a: ev.Claimed(*at, a["who"], a["amount"]),
    "Exited": lambda at, a: ev.Exited(*at, a["amount"]),
}
