"""Delivery between the nodes of a simulation: any order, losses with another try, receivers that are down or behind."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from omninode.reproduce.stage.node import Effects, Node
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent
from protocols.wire import codec
from protocols.wire.messages import Announcement, Message

PATIENT = frozenset({"too-early", "not-ready", "wrong-phase"})
TRIES = 6


class Chain(Protocol):
    """Where transactions go: a real chain or one of the tests' own."""

    @property
    def block(self) -> int: ...
    def send(self, sender: bytes, call: str, args: tuple[object, ...]) -> None: ...
    def mine(self) -> list[ChainEvent]: ...


@dataclass
class Parcel:
    """Bytes on their way."""

    sender: Node
    to: Node
    data: bytes
    kind: str
    tries: int = 0
    is_reply: bool = False


class Network:
    """Runs one session to its end."""

    def __init__(self, nodes: Iterable[Node], market: Chain, seed: int, loss: float = 0.0, gossip: bool = True) -> None:
        self.nodes = {node.address: node for node in nodes}
        self.market, self.loss, self.gossip = market, loss, gossip
        self._rng = random.Random(seed)
        self.parcels: list[Parcel] = []
        self.delayed: list[Parcel] = []  # next attempt in the next block
        self._sent: set[tuple[bytes, str]] = set()
        self._training: dict[bytes, int] = {}
        self.delivered: list[tuple[str, str, str]] = []  # (type, sender, receiver)

    # -- effects ----------------------------------------------------------------------------------------------------

    def act(self, node: Node, effects: Effects) -> Message | None:
        """Do what a machine asked for. Returns the reply, if there is one."""
        reply = None
        for effect in effects:
            match effect:
                case fx.Send(to=to, message=message):
                    self._post(node, self.nodes[to], message)
                case fx.Reply(message=message):
                    reply = message
                case fx.Publish(message=message):
                    self._publish(node, message)
                case fx.Transact(call=call, args=args, key=key):
                    if (node.address, key or call) not in self._sent:
                        self._sent.add((node.address, key or call))
                        self.market.send(node.address, call, args)
                case fx.Train() if not node.trained:
                    self._training.setdefault(node.address, self.market.block + self._rng.randrange(1, 4))
        return reply

    def _post(self, node: Node, to: Node, message: Message, is_reply: bool = False) -> None:
        data = codec.encode(message, node.context)
        self.parcels.append(Parcel(node, to, data, codec.type_name(message), is_reply=is_reply))

    def _publish(self, node: Node, draft: Message) -> None:
        assert isinstance(draft, Announcement)
        full = replace(draft, seq=1, peer_key=bytes(32), signature=bytes(65))
        for other in self.nodes.values() if self.gossip else ():
            if other is not node:
                self._post(node, other, full)

    # -- time -------------------------------------------------------------------------------------------------------

    def mine(self) -> None:
        """One block, and everything that happens before the next one."""
        events = self.market.mine()
        for node in self.nodes.values():
            node.blocks.append((self.market.block, events))
        for address, due in list(self._training.items()):
            node = self.nodes[address]
            if due <= self.market.block and node.alive and node.update is not None and not node.trained:
                self.act(node, node.train())
        self.settle()

    def settle(self) -> None:
        """Deliver and read blocks, in random order, until nothing more can happen in this block."""
        while True:
            behind = [n for n in self.nodes.values() if n.alive and n.blocks]
            if not behind and not self.parcels:
                break
            if behind and (not self.parcels or self._rng.random() < 0.5):
                node = self._rng.choice(behind)
                self.act(node, node.read_block())
            else:
                self._deliver(self._take())
        self.parcels, self.delayed = self.delayed, []

    def _take(self) -> Parcel:
        """Any parcel."""
        i = self._rng.randrange(len(self.parcels))
        self.parcels[i], self.parcels[-1] = self.parcels[-1], self.parcels[i]
        return self.parcels.pop()

    def _deliver(self, parcel: Parcel) -> None:
        if not parcel.sender.alive:
            return  # it sends again after its restart
        if not parcel.to.alive or self._rng.random() < self.loss:
            return self._later(parcel)
        try:
            effects = parcel.to.receive(parcel.data)
        except RemoteProtocolError as error:
            if error.rule in PATIENT and not parcel.is_reply:
                return self._later(parcel)
            if parcel.tries < TRIES and not parcel.is_reply and parcel.kind != "announcement":
                parcel.tries += 1
                return self._later(parcel)
            return parcel.sender.refused.append((error.rule, parcel.kind))
        self.delivered.append((parcel.kind, parcel.sender.name, parcel.to.name))
        reply = self.act(parcel.to, effects)
        if reply is not None and parcel.to.alive:
            self._post(parcel.to, parcel.sender, reply, is_reply=True)
        return None

    def _later(self, parcel: Parcel) -> None:
        behind = parcel.to.alive and parcel.to.blocks  # it catches up within this block
        (self.parcels if behind else self.delayed).append(parcel)

    # -- crashes ----------------------------------------------------------------------------------------------------

    def kill(self, node: Node) -> None:
        """The node dies; what it had not delivered yet is gone."""
        node.kill()
        self.parcels = [p for p in self.parcels if p.sender is not node]
        self.delayed = [p for p in self.delayed if p.sender is not node]

    def restart(self, node: Node) -> None:
        """The node comes back and does everything again; transactions and training are not repeated."""
        self.act(node, node.restart())
