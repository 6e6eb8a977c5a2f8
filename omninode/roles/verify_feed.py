"""One journaled input on its way into a machine: what it is called, what is in it, what the machine makes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from omninode.chain.wallet import recover
from omninode.errors import StoreError
from omninode.roles.events_codec import unpack_events
from omninode.roles.machine import Machine
from omninode.roles.verify_entry import Input
from protocols.errors import RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.sessions.events import ChainEvent
from protocols.wire import codec, eip712
from protocols.wire.context import Context
from protocols.wire.messages import Announcement, Message


def genuine(context: Context, message: Announcement) -> bool:
    """Whether the sender's wallet signed this announcement."""
    unsigned = Announcement(
        message.sender, message.seq, message.peer_key, message.addrs, message.enc_key, message.mask_key,
        message.self_hash, b"",
    )  # fmt: skip
    try:
        return recover(eip712.announcement_digest(context, unsigned), message.signature) == message.sender
    except ValueError:
        return False


def step(item: Input, feed: Callable[[], list[fx.Effect]]) -> list[fx.Effect]:
    """What follows from an entry. Raises BadEntry for whatever the machine makes of a damaged one.

    A full disk (the machine's shelf) is a StoreError, and no fault of the entry.
    """
    try:
        return feed()
    except StoreError:
        raise
    except RemoteProtocolError as error:
        raise item.bad(error.rule, error.detail) from error
    except Exception as error:
        raise item.bad("refused", f"{type(error).__name__}: {error}") from error


def decode(machine: Machine, payload: bytes, context: Context) -> Message:
    """As the driver decodes: within the session's limits. Raises RemoteProtocolError."""
    view = machine.view
    limits = codec.limits_for(view.p) if view.params is not None else codec.Limits.generous()
    return codec.decode(payload, context, limits)


def update(machine: Machine, payload: bytes) -> list[fx.Effect]:
    """Feed the update that this node had trained."""
    values = np.frombuffer(payload, dtype="<i8").astype(np.int64)
    effects: list[fx.Effect] = machine.update_ready(values)  # type: ignore[attr-defined]
    return effects


def try_again(machine: Machine, payload: bytes, context: Context) -> None:
    """Feed a message that held before a reorganisation, and may be too early now: then it came again later."""
    try:
        machine.receive(decode(machine, payload, context))
    except RemoteProtocolError:
        return


def heading(kind: str, payload: bytes) -> tuple[str, str]:
    """What an entry is called: its kind, for messages their type and sender (hex), as far as they can be read."""
    if kind != "message":
        return kind, ""
    try:
        return codec.peek(payload)[3], codec.peek_sender(payload).hex()
    except RemoteProtocolError:
        return kind, ""


def chain_entry(item: Input) -> tuple[int, list[ChainEvent]]:
    """Block and events of an entry. Raises BadEntry."""
    try:
        block, events = unpack_events(item.payload)
    except Exception as error:  # whatever damaged bytes do to a decoder that is only fed with our own journal
        raise item.bad("malformed", f"{type(error).__name__}: {error}") from None
    if not isinstance(block, int) or not all(isinstance(event, ChainEvent) for event in events):
        raise item.bad("malformed", "no events of one block")
    return block, events
