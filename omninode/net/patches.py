"""Corrections to libp2p 0.8.1 that no subclass can reach, because the code looks the name up in its own module.

Each is one assignment with its reason. ``apply`` is called before the first host is built, once per process.
"""

from __future__ import annotations

import functools
import logging
from types import ModuleType
from typing import Any

import libp2p.io.msgio as msgio
import libp2p.network.connection.swarm_connection as swarm_connection
import libp2p.pubsub.gossipsub as gossipsub
import libp2p.pubsub.pubsub as pubsub
import libp2p.stream_muxer.yamux.yamux as yamux
from libp2p.io.abc import Reader
from libp2p.io.exceptions import IncompleteReadError
from libp2p.pubsub.rpc_queue import RpcQueue

from omninode.net.muxer import SafeStream

OUTBOUND_QUEUE = 256


async def read_exactly(reader: Reader, n: int, retry_count: int = 0) -> bytes:
    """Exactly ``n`` bytes, in however many pieces they come. IncompleteReadError at the end of the stream.

    The original gives up after 100 pieces, and reads 100 times more from a stream that has ended.
    """
    data = bytearray()
    while len(data) < n:
        piece = await reader.read(n - len(data))
        if not piece:
            raise IncompleteReadError("stream ended", expected_bytes=n, received_bytes=len(data))
        data += piece
    return bytes(data)


def _no_record(host: Any) -> tuple[bytes, bool]:
    """No signed peer record inside gossip: the original compares all our addresses for every message it sends."""
    return b"", False


@functools.cache
def apply(window: int) -> None:
    """Correct libp2p in this process. window: bytes a stream's receive window may grow to (16 MB in the original)."""
    corrections: list[tuple[ModuleType, str, Any]] = [
        (msgio, "read_exactly", read_exactly),
        (yamux, "read_exactly", read_exactly),
        (yamux, "MAX_WINDOW_SIZE", window),
        (yamux, "YamuxStream", SafeStream),
        (gossipsub, "env_to_send_in_RPC", _no_record),
        (pubsub, "env_to_send_in_RPC", _no_record),
        # 32 messages to one peer, then silence: a burst of announcements from 20 nodes does not fit.
        (pubsub, "RpcQueue", functools.partial(RpcQueue, max_size=OUTBOUND_QUEUE)),
        # It logs to the root logger, which installs a handler on stderr as a side effect.
        (swarm_connection, "logging", logging.getLogger("libp2p.network.connection")),
    ]
    for module, name, value in corrections:
        if not hasattr(module, name):
            raise ImportError(f"{module.__name__} has no {name} any more: look at this correction again")
        setattr(module, name, value)
    logger = logging.getLogger("libp2p")
    if logger.level == logging.WARNING and not logger.handlers:
        # Its warnings can be caused by any stranger; what matters is counted and logged by our own guards.
        logger.setLevel(logging.CRITICAL)
