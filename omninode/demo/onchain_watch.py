"""Follows the on-chain baseline for the demo: events, gas of every transaction by function and by who paid it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from omninode.chain.onchain import Onchain, head_interface
from omninode.chain.wire import data, parse_log, quantity
from omninode.demo.blocks import BlockWatch
from protocols.onchain import events as ev
from protocols.onchain.params import State
from protocols.onchain.view import OnchainView


@dataclass
class OnchainRecord:
    """One session. gas, calls: by function.  senders: gas by wallet.  blocks: that held any of its transactions."""

    view: OnchainView
    gas: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    senders: Counter[bytes] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    blocks: int = 0
    accuracy: float | None = None
    since: float = 0.0

    @property
    def total(self) -> int:
        """Gas of everybody."""
        return self.gas.total()

    @property
    def all_paid(self) -> bool:
        """Whether every data owner has claimed."""
        return {m.address for m in self.view.members} <= set(self.view.claimed)

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return self.view.state == State.FINISHED and self.all_paid

    @property
    def per_data_owner(self) -> int:
        """Mean gas of a data owner."""
        return sum(self.senders[m.address] for m in self.view.members) // max(1, len(self.view.members))

    def as_json(self) -> dict[str, Any]:
        """The session's part of result.json."""
        view = self.view
        return {
            "id": view.session, "accuracy": self.accuracy, "chunks": view.p.chunks,
            "complete": view.rounds(view.complete), "selected": view.rounds(view.selected), "share": view.share,
            "data_owners": {"0x" + m.address.hex(): self.senders[m.address] for m in view.members},
            "paid": {"0x" + who.hex(): wei for who, wei in view.claimed.items()},
            "refund": view.refund, "gas": dict(self.gas), "calls": dict(self.calls), "total_gas": self.total,
            "blocks": self.blocks, "seconds": {name: round(s, 2) for name, s in self.seconds.items()},
        }  # fmt: skip


class OnchainWatch(BlockWatch):
    """``records`` by session number. ``tell`` hears every event after it is folded."""

    def __init__(self, onchain: Onchain, start_block: int, tell: Callable[[OnchainRecord, ev.OnchainEvent], None]):
        super().__init__(onchain.client, start_block)
        self.records: dict[int, OnchainRecord] = {}
        self._onchain, self._tell = onchain, tell
        interfaces = (onchain.contract.interface, head_interface())
        self._names = {f.selector: f.name for i in interfaces for f in i.functions.values()}

    async def take_block(self, block: dict[str, Any], receipts: dict[str, Any]) -> None:
        """Fold the baseline's events; charge every transaction."""
        touched = set()
        for transaction in block["transactions"]:
            receipt = receipts[transaction["hash"]]
            for log in receipt["logs"]:
                event = await self._onchain.decode(parse_log(log))
                if event is not None:
                    self._take(event)
            if (session := self._session_of(receipt)) in self.records:
                touched.add(session)
                self._count(self.records[session], transaction, receipt)
        for session in touched:
            self.records[session].blocks += 1

    def _take(self, event: ev.OnchainEvent) -> None:
        if event.session not in self.records:
            self.records[event.session] = OnchainRecord(OnchainView(event.session), since=time.monotonic())
        record = self.records[event.session]
        before, now = record.view.state, time.monotonic()
        record.view.apply(event)
        if record.view.state != before:
            record.seconds[before.name.lower()] = now - record.since
            record.since = now
        self._tell(record, event)

    def _session_of(self, receipt: dict[str, Any]) -> int:
        """0 for a transaction that is none of the baseline's."""
        to = data(receipt["to"])
        if to == self._onchain.address:
            return max(self.records, default=0)
        return next((session for session, head in self._onchain.heads.items() if head == to), 0)

    def _count(self, record: OnchainRecord, transaction: dict[str, Any], receipt: dict[str, Any]) -> None:
        name, used = self._names.get(data(transaction["input"])[:4], "?"), quantity(receipt["gasUsed"])
        record.gas[name] += used
        record.calls[name] += 1
        record.senders[data(transaction["from"])] += used
