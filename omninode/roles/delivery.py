"""Getting a message to a peer and its reply back into the machine, however long that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from omninode.errors import StoreError
from omninode.net.errors import NetError, PeerRefused
from omninode.roles.directory import peer_of
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.sessions import effects as fx
from protocols.wire import codec
from protocols.wire.messages import Message

if TYPE_CHECKING:
    from omninode.roles.driver import SessionDriver

SESSION_PROTOCOL = "/omninode/session/1"
SEND_DEADLINE = 30.0  # seconds for one attempt; attempts go on until the session is over
SLOWEST = 1 << 20  # bytes a second: what a long message, or the time to work through it, has besides
PATIENT_RULES = frozenset({"too-early", "not-ready"})  # the receiver is behind us on the chain
FINAL_RULES = frozenset({"session-over", "late"})  # said again after a restart, when its time is over
NO_FAULTS = PATIENT_RULES | {"session-over"}  # of a message: its sender did nothing wrong
NET_RULES = frozenset({"busy", "internal-error", "unknown-protocol"})  # it is loaded or starting: nobody's fault
MAX_REFUSALS = 6


async def deliver(driver: SessionDriver, to: bytes, message: Message) -> None:
    """Until acknowledged, refused for good, or the session is over (then the nursery ends us)."""
    data = codec.encode(message, driver.context)
    deadline = SEND_DEADLINE + len(data) / SLOWEST
    delay, refusals = 0.2, 0
    while True:
        peer = peer_of(driver.machine.view, to)
        if peer is None:
            raise LocalProtocolError(f"message for a stranger: {to.hex()}")
        try:
            reply = await driver.services.net.request(
                peer, SESSION_PROTOCOL, data, deadline=deadline, max_reply=driver.limits().largest
            )
        except PeerRefused as error:
            if error.rule in FINAL_RULES:
                return
            refusals += error.rule not in PATIENT_RULES | NET_RULES
            if refusals >= MAX_REFUSALS:
                kind = type(message).__name__
                driver.log.warning("message_refused", to=to.hex(), kind=kind, rule=error.rule, detail=error.detail)
                return
        except NetError as error:
            driver.log.debug("send_failed", to=to.hex(), kind=type(message).__name__, error=str(error))
        else:
            if reply:
                await _on_reply(driver, to, peer, reply)
            return
        await trio.sleep(delay)
        delay = min(delay * 1.6, 3.0)


async def _on_reply(driver: SessionDriver, to: bytes, peer: bytes, reply: bytes) -> None:
    """A reply is a message like any other, but its fault is only logged: nobody waits for our answer."""
    try:
        await driver.on_message(peer, reply)
    except RemoteProtocolError as error:
        driver.blame(fx.Blame(to, error.rule, error.detail))
    except PeerRefused as error:
        driver.log.info("reply_too_early", peer=to.hex(), rule=error.rule)
    except (StoreError, trio.Cancelled):
        raise
    except Exception as error:  # our defect, met on their words: as for requests, it must not end the session
        driver.log.error("reply_failed", peer=to.hex(), exc_info=error)
