"""The DataMarket contract, typed: views, transactions, and its logs as the events of `protocols.sessions.events`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from contracts import loader
from omninode.chain.abi import AbiError
from omninode.chain.client import Contract
from omninode.chain.convert import params_from_struct, params_to_struct
from omninode.chain.cursor import CursorStore, EventCursor
from omninode.chain.errors import ChainError, RpcError, TransactionFailed
from omninode.chain.interface import Interface, Log
from omninode.chain.registry import Registry
from omninode.chain.transaction import Receipt
from protocols.errors import LocalProtocolError
from protocols.sessions import events as ev
from protocols.sessions.params import Beacon, Bitmap, Phase, SessionParams

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from omninode.chain.client import ChainClient
    from omninode.chain.txqueue import TxQueue
    from omninode.chain.verifiers import Verifiers

# Whoever acts last in a phase also closes it: the estimate of a moment ago may be that of the cheap path.
MIN_GAS = 900_000
MIN_GAS_OF = {
    "poke": 2_500_000, "postGroups": 2_000_000, "postBatch": 3_000_000, "postProof": 4_000_000, "attest": 2_000_000,
}  # fmt: skip


@cache
def market_interface() -> Interface:
    """DataMarket's ABI with the custom errors of everything that it calls."""
    return Interface(loader.load("DataMarket").abi)


@dataclass(frozen=True, slots=True)
class RawEvent:
    """Any event of the contract by name. args: as decoded from the log; session 0 where it has no id."""

    session: int
    block: int
    name: str
    args: dict[str, Any]


class Market:
    """One deployed DataMarket. Without a queue it can only be read.

    chain_id, start_block: where it was deployed; the cursor begins at start_block.
    """

    def __init__(
        self,
        client: ChainClient,
        queue: TxQueue | None,
        address: bytes,
        registry: Registry,
        *,
        chain_id: int,
        start_block: int = 0,
        log: FilteringBoundLogger | None = None,
        verifiers: Verifiers | None = None,
    ) -> None:
        """verifiers: the factory of the market's verifiers of proofs, None where only reading is meant."""
        self.client, self.queue, self.address, self.registry = client, queue, address, registry
        self.verifiers = verifiers
        self.chain_id, self.start_block = chain_id, start_block
        self.contract = Contract(address, market_interface())
        self._log = log or client.log
        if queue is not None:
            queue.learn(self.contract.interface)

    async def check(self) -> None:
        """WrongChain, NoContract, or ChainError where the market works with another registry than configured."""
        await self.client.check_chain(self.chain_id)
        await self.client.check_contract(self.address)
        await self.client.check_contract(self.registry.address)
        if (theirs := await self._view("registry")) != self.registry.address:
            raise ChainError(
                f"the market at 0x{self.address.hex()} uses the registry 0x{theirs.hex()}; correct chain.market"
            )

    async def _view(self, fn: str, *args: object, block: int | str = "latest") -> Any:
        return await self.client.call(self.contract, fn, *args, block=block)

    async def session_count(self) -> int:
        """Sessions created so far; ids are 1..count."""
        return int(await self._view("sessionCount"))

    async def params(self, session: int, *, block: int | str = "latest") -> SessionParams:
        """The numbers of a session."""
        struct = await self._view("params", session, block=block)
        view = await self._view("sessionView", session, block=block)
        return params_from_struct(struct, view["owner"])

    async def view(self, session: int) -> dict[str, Any]:
        """The contract's SessionView by field name, ``phase`` as Phase."""
        view: dict[str, Any] = await self._view("sessionView", session)
        return {**view, "phase": Phase(view["phase"])}

    async def committee(self, session: int) -> tuple[ev.ProverInfo, ...]:
        """The committee with its keys, in committee order; () before the draw."""
        return await self.registry.infos(await self._view("committeeOf", session))

    async def data_owners(self, session: int) -> tuple[bytes, ...]:
        """Registered data owners' addresses by registration index."""
        owners: tuple[bytes, ...] = await self._view("dataOwnersOf", session)
        return owners

    async def owed(self, session: int, who: bytes) -> int:
        """Wei that ``claim`` would pay."""
        return int(await self._view("owed", session, who))

    async def payout_of(self, session: int, index: int) -> int:
        """Wei of the reward that go to the data owner registered index-th; 0 before the session is finished."""
        return int(await self._view("payoutOf", session, index))

    async def required_escrow(self, params: SessionParams) -> int:
        """Wei that the owner must send along. TransactionFailed names what the contract refuses about ``params``."""
        return int(await self._view("requiredEscrow", params_to_struct(params)))

    async def create_session(self, params: SessionParams, *, key: str | None = None, deadline_s: float = 60) -> int:
        """Create and fund a session; its id."""
        escrow = await self.required_escrow(params)
        receipt = await self.send("createSession", (params_to_struct(params),), escrow, key, deadline_s)
        for log in receipt.logs:
            decoded = self.contract.interface.decode_log(log) if log.address == self.address else None
            if decoded and decoded[0] == "SessionCreated":
                return int(decoded[1]["id"])
        raise LocalProtocolError("createSession without SessionCreated: the ABI is of another version")

    async def transact(
        self,
        call: str,
        session: int,
        args: Sequence[object] = (),
        value: int = 0,
        key: str | None = None,
        *,
        deadline_s: float = 60,
        expected_noop: Collection[str] = (),
    ) -> Receipt:
        """One of the contract's functions about a session; args without the id. See TxQueue.submit.

        A key holds for this contract only.
        """
        return await self.send(call, (session, *args), value, key, deadline_s, expected_noop)

    async def send(
        self,
        call: str,
        args: Sequence[object],
        value: int,
        key: str | None,
        deadline_s: float,
        expected_noop: Collection[str] = (),
    ) -> Receipt:
        """Any function of the contract as a transaction."""
        if self.queue is None:
            raise LocalProtocolError(f"{call}: this market was opened for reading")
        return await self.queue.submit(
            self.address,
            self.contract.interface.function(call).call_data(args),
            value,
            key=None if key is None else f"{self.address.hex()}/{key}",
            min_gas=MIN_GAS_OF.get(call, MIN_GAS),
            deadline_s=deadline_s,
            fn=call,
            expected_noop=expected_noop,
        )

    def raw(self, log: Log) -> RawEvent | None:
        """Any event of the contract; None for what is not its own."""
        try:
            decoded = self.contract.interface.decode_log(log) if log.address == self.address else None
        except AbiError as error:
            raise ChainError(f"a log in block {log.block}: a market of another version: {error}") from None
        if decoded is None:
            return None
        name, args = decoded
        return RawEvent(int(args.get("id", 0)), log.block, name, args)

    async def decode(self, log: Log) -> ev.ChainEvent | None:
        """The typed event, None for logs that session machines do not need. May ask the chain (parameters, keys)."""
        event = self.raw(log)
        if event is None:
            return None
        head = (event.session, event.block)
        match event.name:
            case "SessionCreated":
                return ev.SessionCreated(*head, await self._params_at(event.session, event.block))
            case "CommitteeDrawn":
                return ev.CommitteeDrawn(*head, await self.registry.infos(event.args["provers"], block=event.block))
        build = _PLAIN.get(event.name)
        try:
            return build(head, event.args) if build else None
        except ValueError as error:  # a phase, bitmap or beacon that this version does not know
            raise ChainError(
                f"{event.name} in block {event.block}: the market is of another version: {error}"
            ) from None

    async def _params_at(self, session: int, block: int) -> SessionParams:
        """Parameters never change: where the node has no state of that block any more, the latest serves."""
        try:
            return await self.params(session, block=block)
        except (RpcError, TransactionFailed):
            return await self.params(session)

    def cursor(
        self, start_block: int | None = None, *, confirmations: int = 0, store: CursorStore | None = None
    ) -> EventCursor[ev.ChainEvent]:
        """All sessions' events from ``start_block`` (default: the deployment) on."""
        start = self.start_block if start_block is None else start_block
        return EventCursor(
            self.client, [self.address], start, self.decode, confirmations=confirmations, store=store, log=self._log
        )

    async def history(self, session: int, first: int | None = None, last: int | None = None) -> list[RawEvent]:
        """Every event of one session between two blocks (default: deployment and latest), typed or not."""
        return [e for log in await self._logs_of(session, first, last) if (e := self.raw(log)) is not None]

    async def session_events(self, session: int) -> list[ev.ChainEvent]:
        """Everything typed that ever happened in one session, in order; [] for one that does not exist."""
        return [e for log in await self._logs_of(session) if (e := await self.decode(log)) is not None]

    async def created_by(self, owner: bytes) -> dict[int, int]:
        """Every session of this owner -> the block that created it."""
        event, who = self.contract.interface.topic("SessionCreated"), owner.rjust(32, b"\0")
        topics = ["0x" + event.hex(), None, "0x" + who.hex()]
        high = await self.client.block_number()
        logs = await self.client.logs([self.address], self.start_block, high, topics)
        return {raw.args["id"]: raw.block for log in logs if (raw := self.raw(log)) is not None}

    async def _logs_of(self, session: int, first: int | None = None, last: int | None = None) -> list[Log]:
        low = self.start_block if first is None else first
        high = await self.client.block_number() if last is None else last
        topics = [None, "0x" + session.to_bytes(32, "big").hex()]
        return await self.client.logs([self.address], low, high, topics)


Head = tuple[int, int]
_PLAIN: dict[str, Callable[[Head, dict[str, Any]], ev.ChainEvent]] = {
    "PhaseChanged": lambda h, a: ev.PhaseChanged(*h, Phase(a["phase"]), a["deadline"]),
    "BeaconSet": lambda h, a: ev.BeaconSet(*h, Beacon(a["purpose"]), a["value"]),
    "Registered": lambda h, a: ev.Registered(*h, a["index"], a["dataOwner"], a["peerKey"], a["keyDigest"]),
    "GroupsDrawn": lambda h, a: ev.GroupsDrawn(*h, a["order"], a["groupCount"]),
    "ShareRootCommitted": lambda h, a: ev.ShareRootCommitted(*h, a["index"], a["root"]),
    "BitmapPosted": lambda h, a: ev.BitmapPosted(*h, Bitmap(a["kind"]), a["prover"], a["bits"]),
    "OpeningsPosted": lambda h, a: ev.OpeningsPosted(*h, a["prover"], a["present"], a["values"]),
    "SetFixed": lambda h, a: ev.SetFixed(*h, Bitmap(a["kind"]), a["bits"]),
    "UploadCommitted": lambda h, a: ev.UploadCommitted(*h, a["index"], a["root"]),
    "ReferenceCommitted": lambda h, a: ev.ReferenceCommitted(*h, a["root"]),
    "Scored": lambda h, a: ev.Scored(*h, a["values"]),
    "Proved": lambda h, a: ev.Proved(*h, (a["aggX"], a["aggY"]), a["valuesHash"]),
    "BatchFinal": lambda h, a: ev.BatchFinal(*h, a["batchHash"], a["passed"], a["selected"], a["accepted"]),
    "Attested": lambda h, a: ev.Attested(*h, a["provers"], a["dataOwners"]),
    "SessionAborted": lambda h, a: ev.SessionAborted(*h, a["reason"]),
}
