"""A simulated node's journal as a real store holds it: appended entry by entry, with what the machine remembered."""

from __future__ import annotations

from typing import Any

from omninode.reproduce.stage.node import Effects, Machine, Node
from omninode.roles.events_codec import pack_events
from omninode.store.db import Store
from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent
from protocols.wire import codec


def encoded(node: Node, kind: str, payload: Any) -> bytes:
    """An entry of ``Node.journal`` as the daemon's driver writes it."""
    match kind:
        case "chain":
            return pack_events(payload[0].block, payload)
        case "tick":
            return int(payload).to_bytes(8, "big")
        case "update":
            return bytes(payload.astype("<i8").tobytes())
    return codec.encode(payload, node.context)


def fed(machine: Machine, kind: str, payload: Any) -> Effects:
    """What the machine asks for when it is fed with this entry."""
    match kind:
        case "chain":
            return [effect for event in payload for effect in machine.chain(event)]
        case "tick":
            return machine.tick(payload)
        case "update":
            return machine.update_ready(payload)  # type: ignore[attr-defined,no-any-return]
    return machine.receive(payload)


def record(node: Node, store: Store, role: str, seed: bytes, *, done: bool = True) -> Machine:
    """Write the whole journal of ``node`` in the order in which the driver does it. Returns the machine at its end."""
    session, machine = node.context.session, node._make()
    store.begin(session, role, seed)
    for kind, payload in node.journal:
        effects = fed(machine, kind, payload)
        store.append(session, role, kind, encoded(node, kind, payload))
        remember(store, session, role, effects)
    if done:
        store.set_state(session, role, {"done": True, **machine.status()})
    return machine


def remember(store: Store, session: int, role: str, effects: Effects) -> None:
    """The safety records among the effects."""
    for effect in effects:
        if isinstance(effect, fx.Remember):
            store.record_once(session, f"{role}/{effect.key}", effect.value)


def chain_events(node: Node) -> list[ChainEvent]:
    """Everything that this node read from the chain."""
    return [event for kind, payload in node.journal if kind == "chain" for event in payload]
