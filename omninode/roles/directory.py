"""Who is where: wallet -> peer key from the chain, peer key -> addresses from signed announcements."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from omninode.chain.wallet import recover
from omninode.net.errors import NetError
from protocols.errors import RemoteProtocolError
from protocols.sessions.view import SessionView
from protocols.wire import codec, eip712
from protocols.wire.context import Context
from protocols.wire.messages import Announcement

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from omninode.chain.wallet import Wallet
    from omninode.net.service import Network

TOPIC = "omninode/announce/1"
PRESENCE_S = (1.0, 3.0, 10.0, 30.0)  # after the start: gossip may lose it, or have no mesh yet
PRESENCE_AGAIN_S = 600.0
KEPT = 4096  # announcements remembered; the oldest goes first


class Directory:
    """Signed round announcements: ours go out by gossip, others' are checked and given to the session's driver."""

    def __init__(self, net: Network, wallet: Wallet, context: Context, log: BoundLogger) -> None:
        self._net, self._wallet, self._context, self._log = net, wallet, context, log
        self._known: OrderedDict[tuple[bytes, int], tuple[int, bytes]] = OrderedDict()
        self._seq = 0
        self._listeners: list[Callable[[Context, Announcement], None]] = []

    def listen(self, listener: Callable[[Context, Announcement], None]) -> None:
        """``listener(context, announcement)`` is called for every new session announcement that checks out."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Listen to gossip."""
        self._net.subscribe(TOPIC, self._on_gossip)

    async def announce(self, draft: Announcement, session: int) -> None:
        """Fill in sequence number, addresses and signature, remember it and gossip it."""
        self._seq = max(self._seq + 1, time.time_ns() // 1_000_000)  # rises across restarts
        context = Context(self._context.chain_id, self._context.contract, session)
        filled = Announcement(
            self._wallet.address, self._seq, self._net.peer_key, tuple(self._net.addrs),
            draft.enc_key, draft.mask_key, draft.self_hash, b"",
        )  # fmt: skip
        signature = self._wallet.sign_digest(eip712.announcement_digest(context, filled))
        data = codec.encode(_signed(filled, signature), context)
        self._keep((filled.sender, session), filled.seq, data)
        try:
            await self._net.publish(TOPIC, data)
        except NetError as error:  # nothing promises that gossip arrives, and whoever has something to say repeats it
            self._log.info("announcement_lost", session=session, reason=str(error))

    async def stay_known(self) -> None:
        """Say where this node is, without keys, soon after the start and now and then: its port may be a new one."""
        presence = Announcement(self._wallet.address, 0, self._net.peer_key, (), b"", b"", b"", b"")
        for pause in itertools.chain(PRESENCE_S, itertools.repeat(PRESENCE_AGAIN_S)):
            await trio.sleep(pause)
            await self.announce(presence, 0)

    async def _on_gossip(self, peer_key: bytes, data: bytes) -> None:
        self.take(peer_key, data)

    def take(self, origin: bytes, data: bytes) -> None:
        """Check one announcement and learn from it. Raises RemoteProtocolError; an old one is silently dropped.

        origin: key of the node that gossiped it first (gossip is signed). Only a node itself may say where it is.
        """
        chain_id, contract, session, _ = codec.peek(data)
        if (chain_id, contract) != (self._context.chain_id, self._context.contract):
            raise RemoteProtocolError("wrong-contract", "?", "announcement for another market")
        context = Context(chain_id, contract, session)
        message = codec.decode(data, context, codec.Limits.generous())
        if not isinstance(message, Announcement):
            raise RemoteProtocolError("unknown-type", message.sender.hex(), "only announcements are gossiped")
        if message.peer_key != origin:
            raise RemoteProtocolError("wrong-origin", origin.hex(), "announcement for another node")
        self._check_signature(context, message)
        key = (message.sender, session)
        if key in self._known and self._known[key][0] >= message.seq:
            return
        self._keep(key, message.seq, data)
        self._net.book.know(message.peer_key, message.addrs, time.time())
        if session:
            for listener in self._listeners:
                listener(context, message)

    def announcements(self, session: int) -> list[Announcement]:
        """All checked announcements of one session, for a machine that starts late."""
        context = Context(self._context.chain_id, self._context.contract, session)
        found = []
        for (_, of_session), (_, data) in self._known.items():
            if of_session == session:
                message = codec.decode(data, context, codec.Limits.generous())
                if isinstance(message, Announcement):
                    found.append(message)
        return found

    def _check_signature(self, context: Context, message: Announcement) -> None:
        try:
            signer = recover(eip712.announcement_digest(context, _signed(message, b"")), message.signature)
        except ValueError as error:
            raise RemoteProtocolError("bad-signature", message.sender.hex(), str(error)) from error
        if signer != message.sender:
            raise RemoteProtocolError("bad-signature", message.sender.hex(), "announcement signed by another wallet")

    def _keep(self, key: tuple[bytes, int], seq: int, data: bytes) -> None:
        self._known[key] = (seq, data)
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)


def peer_of(view: SessionView, address: bytes) -> bytes | None:
    """The peer key that the chain binds to a participant's wallet, or None for a stranger."""
    if view.params is not None and view.params.owner == address:
        return view.params.owner_peer
    if (index := view.prover_index(address)) is not None:
        return view.committee[index].peer_key
    member = view.member_of(address)
    return member.peer_key if member else None


def _signed(message: Announcement, signature: bytes) -> Announcement:
    return Announcement(
        message.sender, message.seq, message.peer_key, message.addrs,
        message.enc_key, message.mask_key, message.self_hash, signature,
    )  # fmt: skip


def takes_part(view: SessionView, peer_key: bytes) -> bool:
    """Whether a node with this key is owner, prover or data owner of the session."""
    if view.params is not None and view.params.owner_peer == peer_key:
        return True
    return any(p.peer_key == peer_key for p in view.committee) or any(m.peer_key == peer_key for m in view.members)
