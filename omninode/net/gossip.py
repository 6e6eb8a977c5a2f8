"""GossipSub for small signed announcements, with the remote crashes of the stock library cured.

What is read from a stream is bounded before it is looked at, every message is checked before the library sees it, and
no exception leaves the stream that caused it. Messages are signed by their origin's ed25519 key and nothing else.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub

from omninode.net.errors import NetError
from omninode.net.guard import Report
from omninode.net.keys import key_of
from omninode.net.limits import Limits, TokenBucket
from omninode.net.wire import Wire

MAX_MESSAGES = 64
MAX_CONTROL = 2000
MAX_TOPIC = 128
MAX_SUBSCRIPTIONS = 64

Deliver = Callable[[str, bytes, bytes], None]
Fault = Callable[[str, bytes | None, str], None]


class BadGossip(NetError):
    """A gossip frame or message that breaks a rule; names the rule."""


class SafeGossipSub(GossipSub):
    """The router with its measured settings; a failing heartbeat is reported and the next one runs."""

    def __init__(self, limits: Limits, report: Report) -> None:
        super().__init__(
            protocols=[PROTOCOL_ID_V11],
            degree=limits.gossip_degree,
            degree_low=limits.gossip_degree_low,
            degree_high=limits.gossip_degree_high,
            heartbeat_initial_delay=0.5,
            heartbeat_interval=limits.gossip_heartbeat,  # type: ignore[arg-type]
            gossip_window=10,
            gossip_history=20,
            prune_back_off=10,
            adaptive_gossip_enabled=False,
            spam_protection_enabled=False,
            eclipse_protection_enabled=False,
        )
        self._report = report

    async def heartbeat(self) -> None:
        """The stock loop, started again when it fails: a router without heartbeat mends no mesh."""
        while True:
            try:
                await super().heartbeat()
            except Exception as error:
                self._report("gossip heartbeat", error)
            await trio.sleep(self.heartbeat_interval)

    async def publish(self, msg_forwarder: ID, pubsub_msg: rpc_pb2.Message) -> None:
        """As in the original, without its delivery statistics, which grow for ever when nobody adapts to them."""
        await super().publish(msg_forwarder, pubsub_msg)
        self.recent_message_deliveries.clear()


class SafePubsub(Pubsub):
    """Pubsub that survives its peers. deliver(topic, origin key, data) is called for every new message of others."""

    def __init__(self, host: object, router: SafeGossipSub, limits: Limits, fault: Fault, report: Report) -> None:
        super().__init__(
            host,  # type: ignore[arg-type]
            router,
            strict_signing=True,
            max_inbound_rpc_size=limits.gossip_frame,
            max_subscriptions_per_rpc=MAX_SUBSCRIPTIONS,
            max_subscriptions_per_peer=MAX_SUBSCRIPTIONS,
        )
        # Stock numbers count from the start's second: after a quick restart they repeat and are dropped as seen.
        self.counter = time.time_ns()
        self.deliver: Deliver = lambda topic, origin, data: None
        self._limits = limits
        self._fault = fault
        self._report = report
        self._buckets: OrderedDict[ID, TokenBucket] = OrderedDict()

    async def stream_handler(self, stream: INetStream) -> None:
        """Read one peer's gossip until its stream ends; whatever goes wrong ends the stream, not the node."""
        await self.continuously_read_stream(stream)

    async def continuously_read_stream(self, stream: INetStream) -> None:
        """Replaces the stock loop, in which a frame of random bytes ends the process (cure 1)."""
        peer_id = stream.muxed_conn.peer_id
        key = key_of(peer_id.to_bytes())
        wire = Wire(stream, key, "gossip")
        try:
            while self.manager.is_running:
                await self._take_frame(peer_id, await self._read_frame(wire))
        except BadGossip as error:
            self._fault(str(error), key, "")
        except NetError:
            pass  # the stream ended
        except Exception as error:
            self._report("gossip stream", error)
        await wire.abort()

    async def _read_frame(self, wire: Wire) -> rpc_pb2.RPC:
        size = shift = 0
        while True:
            byte = (await wire.read_exact(1))[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 28:
                raise BadGossip("gossip-frame-size")
        if size > self._limits.gossip_frame:
            raise BadGossip("gossip-frame-size")
        rpc = rpc_pb2.RPC()
        try:
            rpc.ParseFromString(await wire.read_exact(size))
        except NetError:
            raise
        except Exception as error:
            raise BadGossip("gossip-frame") from error
        return rpc

    async def _take_frame(self, peer_id: ID, rpc: rpc_pb2.RPC) -> None:
        control = rpc.control
        listed: list[Any] = [*control.ihave, *control.iwant, *control.idontwant]
        ids = sum(len(entry.messageIDs) for entry in listed)
        entries = len(control.ihave) + len(control.iwant) + len(control.graft) + len(control.prune)
        if len(rpc.publish) > MAX_MESSAGES or ids > MAX_CONTROL or entries > MAX_SUBSCRIPTIONS:
            raise BadGossip("gossip-frame-contents")
        if len(rpc.subscriptions) > MAX_SUBSCRIPTIONS or any(len(s.topicid) > MAX_TOPIC for s in rpc.subscriptions):
            raise BadGossip("gossip-subscriptions")
        for subscription in rpc.subscriptions:
            self.handle_subscription(peer_id, subscription)
        for message in rpc.publish:
            if self._is_subscribed_to_msg(message):
                await self.push_msg(peer_id, message)
        if rpc.HasField("control"):
            rpc.ClearField("senderRecord")
            for prune in control.prune:
                prune.backoff = min(prune.backoff, 60)  # a peer may not lock itself out of our mesh for ever
                del prune.peers[:]
            await self.router.handle_rpc(rpc, peer_id)

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Check, deliver and forward one message; bad ones are counted against whoever handed them on (cure 2, 4)."""
        ours = msg_forwarder == self.my_id
        try:
            if not ours and not self._bucket(msg_forwarder).take():
                raise BadGossip("gossip-rate")
            self._check(msg)
            await super().push_msg(msg_forwarder, msg)
        except BadGossip as error:
            self._fault(str(error), key_of(msg_forwarder.to_bytes()), "")
        except Exception as error:
            self._report("gossip message", error)

    def _bucket(self, peer_id: ID) -> TokenBucket:
        bucket = self._buckets.get(peer_id)
        if bucket is None:
            bucket = self._buckets[peer_id] = TokenBucket(self._limits.forward_rate, self._limits.forward_burst)
            if len(self._buckets) > 2 * self._limits.max_connections:
                self._buckets.popitem(last=False)
        return bucket

    def _check(self, msg: rpc_pb2.Message) -> None:
        if len(msg.data) > self._limits.gossip_size:
            raise BadGossip("gossip-size")
        if len(msg.topicIDs) != 1 or len(msg.seqno) != 8 or len(msg.signature) != 64:
            raise BadGossip("gossip-form")
        try:
            key_of(msg.from_id)
        except ValueError as error:
            raise BadGossip("gossip-origin") from error
        msg.ClearField("key")  # the origin's key is in its peer id; this one would be decoded without a guard

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        """Hand a new message of another node to the application."""
        if publish_message.from_id != self.my_id.to_bytes():
            self.deliver(publish_message.topicIDs[0], key_of(publish_message.from_id), publish_message.data)

    def get_hello_packet(self) -> rpc_pb2.RPC:
        """Our subscriptions, for a new peer."""
        packet = super().get_hello_packet()
        packet.ClearField("senderRecord")
        return packet

    async def write_msg(self, stream: INetStream, rpc_msg: rpc_pb2.RPC) -> bool:
        """Send one frame, without the empty record that ``patches`` leaves in it."""
        rpc_msg.ClearField("senderRecord")
        return await super().write_msg(stream, rpc_msg)
