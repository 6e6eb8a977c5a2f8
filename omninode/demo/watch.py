"""Follows the chain for the demo: events, gas of every transaction, who claimed and who was slashed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omninode.chain.client import failure
from omninode.chain.errors import RpcError
from omninode.demo.blocks import BlockWatch
from omninode.demo.record import SessionRecord
from protocols.sessions.events import ChainEvent
from protocols.sessions.view import SessionView

if TYPE_CHECKING:
    from omninode.chain.market import Market

TOO_LATE = "WrongPhase"
"""Somebody else's proof was there before: nothing is wrong with this one."""


class ChainWatch(BlockWatch):
    """``records`` by session number. ``on_event`` hears every event after it is folded."""

    def __init__(self, market: Market, start_block: int, on_event: Callable[[SessionRecord, ChainEvent], None]) -> None:
        super().__init__(market.client, start_block)
        self.records: dict[int, SessionRecord] = {}
        self._market, self._on_event = market, on_event
        self._functions = {f.selector: f.name for f in market.contract.interface.functions.values()}

    async def take_block(self, block: dict[str, Any], receipts: dict[str, Any]) -> None:
        """Fold the market's events; charge every transaction."""
        watched = [self._market.address, self._market.registry.address]
        logs = await self._market.client.logs_of(watched, _bytes(block["hash"]))
        now = time.monotonic()
        for log in logs:
            event = await self._market.decode(log)
            if event is not None:
                record = self.records.setdefault(
                    event.session, SessionRecord(event.session, SessionView(event.session))
                )
                record.apply(event, now)
                self._on_event(record, event)
            else:
                self._take_money(log)
        for transaction in block["transactions"]:
            receipt = receipts[transaction["hash"]]
            self._count_gas(transaction, receipt)
            if receipt["status"] == "0x0":
                await self._explain(transaction, int(block["number"], 16))

    def _take_money(self, log: Any) -> None:
        raw = self._market.raw(log)
        if raw is not None and raw.name == "Claimed":
            claimed, who = self.records[raw.session].claimed, raw.args["who"]
            claimed[who] = claimed.get(who, 0) + raw.args["amount"]
        registry = self._market.registry
        decoded = registry.contract.interface.decode_log(log) if log.address == registry.address else None
        if decoded is not None and decoded[0] == "Slashed":
            self.records[decoded[1]["session"]].slashed[decoded[1]["prover"]] = decoded[1]["amount"]

    def _count_gas(self, transaction: dict[str, Any], receipt: dict[str, Any]) -> None:
        """Charge a transaction to its function and session; createSession's session is the newest one."""
        data, fn = self._called(transaction)
        if fn is None:
            return
        session = max(self.records, default=0) if fn == "createSession" else int.from_bytes(data[4:36], "big")
        record = self.records.get(session)
        if record is not None:
            record.gas[fn] += int(receipt["gasUsed"], 16)
            record.calls[fn] += 1
            if fn == "postProof" and receipt["status"] == "0x1":  # who is too late pays for its call data all the same
                record.proof_gas = int(receipt["gasUsed"], 16)
            if fn == "createSession":
                record.escrow = int(transaction["value"], 16)

    def _called(self, transaction: dict[str, Any]) -> tuple[bytes, str | None]:
        """Call data, and the function of the market that it calls, None for another contract's."""
        data, to = _bytes(transaction["input"]), _bytes(transaction["to"] or "0x")
        return data, self._functions.get(data[:4]) if to == self._market.address else None

    async def _explain(self, transaction: dict[str, Any], block: int) -> None:
        """A proof was refused: the chain says why when it runs it again on the state before that block."""
        data, fn = self._called(transaction)
        record = self.records.get(int.from_bytes(data[4:36], "big"))
        if fn != "postProof" or record is None:
            return
        call = {name: transaction[name] for name in ("from", "to", "input", "value", "gas")}
        try:
            await self._market.client.rpc("eth_call", call, hex(block - 1))
        except RpcError as error:
            said = failure(self._market.contract.interface, fn, error)
            reason = (said.error if said else "") or error.message
            if reason == TOO_LATE:
                return
            record.reverted.setdefault(_bytes(transaction["from"]), []).append(reason)


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))
