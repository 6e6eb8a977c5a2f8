"""Who is where: wallet -> peer key from the chain, peer key -> addresses from signed announcements."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgpack
import trio

from omninode.chain.wallet import recover
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
PEERS_PROTOCOL = "peers"
KEPT = 4096  # announcements remembered; the oldest goes first
REPLY_LIMIT = 512  # announcements in one answer
REFRESH_S = 60.0


class Directory:
    """Signed announcements: ours go out by gossip, others' are checked, kept and handed on when asked for."""

    def __init__(self, net: Network, wallet: Wallet, context: Context, log: BoundLogger) -> None:
        self._net, self._wallet, self._context, self._log = net, wallet, context, log
        self._known: OrderedDict[tuple[bytes, int], tuple[int, bytes]] = OrderedDict()
        self._seq = 0
        self._listeners: list[Callable[[Context, Announcement], None]] = []

    def listen(self, listener: Callable[[Context, Announcement], None]) -> None:
        """``listener(context, announcement)`` is called for every new session announcement that checks out."""
        self._listeners.append(listener)

    async def run(self, bootstrap: list[bytes]) -> None:
        """Serve and learn addresses until cancelled: gossip from all, and one question to the bootstrap peers."""
        self._net.subscribe(TOPIC, self._on_gossip)
        self._net.on_request(PEERS_PROTOCOL, self._on_peers, max_request=64)
        async with trio.open_nursery() as nursery:
            for peer in bootstrap:
                nursery.start_soon(self.ask, peer)
            while True:
                await self.announce(Announcement(self._wallet.address, 0, b"", (), b"", b"", b"", b""), 0)
                await trio.sleep(REFRESH_S)

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
        await self._net.publish(TOPIC, data)

    async def ask(self, peer: bytes) -> None:
        """Fetch the announcements that ``peer`` knows; retries until it answers once."""
        delay = 0.5
        while True:
            try:
                reply = await self._net.request(peer, PEERS_PROTOCOL, b"", deadline=10, max_reply=4 << 20)
                self._take_all(peer, reply)
                return
            except Exception as error:  # a bootstrap peer that is down or lies must not end the node
                self._log.debug("bootstrap_failed", peer=peer.hex(), error=str(error))
            await trio.sleep(delay)
            delay = min(delay * 2, 15)

    def _take_all(self, peer: bytes, reply: bytes) -> None:
        for data in msgpack.unpackb(reply, max_array_len=REPLY_LIMIT, max_bin_len=8192):
            try:
                self.take(data)
            except RemoteProtocolError as error:
                self._log.warning("bad_announcement", peer=peer.hex(), rule=error.rule)

    async def _on_gossip(self, peer_key: bytes, data: bytes) -> None:
        self.take(data)

    async def _on_peers(self, peer_key: bytes, payload: bytes) -> bytes:
        newest = [data for _, data in list(self._known.values())[-REPLY_LIMIT:]]
        return bytes(msgpack.packb(newest))

    def take(self, data: bytes) -> None:
        """Check one announcement and learn from it. Raises RemoteProtocolError; an old one is silently dropped."""
        chain_id, contract, session, _ = codec.peek(data)
        if (chain_id, contract) != (self._context.chain_id, self._context.contract):
            raise RemoteProtocolError("wrong-contract", "?", "announcement for another market")
        context = Context(chain_id, contract, session)
        message = codec.decode(data, context, codec.Limits.generous())
        if not isinstance(message, Announcement):
            raise RemoteProtocolError("unknown-type", message.sender.hex(), "only announcements are gossiped")
        self._check_signature(context, message)
        key = (message.sender, session)
        if key in self._known and self._known[key][0] >= message.seq:
            return
        self._keep(key, message.seq, data)
        self._net.know(message.peer_key, message.addrs)
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

