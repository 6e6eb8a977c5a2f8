"""What can go wrong between two nodes, as one tree of exceptions."""

from __future__ import annotations


class NetError(Exception):
    """Root of everything that the network raises."""


class NetDown(NetError):
    """Our own host is not running (not started, stopping, or being restarted for too long)."""


class AddressTaken(NetError):
    """The listen address is in use: another process has the port, perhaps an earlier run of this node."""


class StreamBroken(NetError):
    """The stream ended or was reset before everything was said. Safe to try again on a new stream."""


class PeerUnreachable(NetError):
    """No connection to the peer: no address is known, none answers, or it was banned.

    peer_key: 32 bytes, the peer that was meant.
    """

    def __init__(self, peer_key: bytes, detail: str = "") -> None:
        self.peer_key = peer_key
        self.detail = detail
        super().__init__(f"peer {peer_key.hex()[:16]} cannot be reached" + (f": {detail}" if detail else ""))


class RequestTimeout(NetError):
    """The peer did not answer within the deadline (seconds, for dialling, sending and the reply together)."""

    def __init__(self, peer_key: bytes, protocol: str, deadline: float) -> None:
        self.peer_key = peer_key
        self.protocol = protocol
        self.deadline = deadline
        super().__init__(f"peer {peer_key.hex()[:16]} did not answer {protocol} within {deadline:g} s")


class PeerRefused(NetError):
    """The peer answered with an error frame: it says that we broke ``rule`` (or that it failed itself: internal-error).

    rule: short kebab-case name; ``busy`` and ``internal-error`` are the network's own.
    """

    def __init__(self, rule: str, detail: str = "") -> None:
        self.rule = rule
        self.detail = detail
        super().__init__(f"refused by the peer: {rule}" + (f": {detail}" if detail else ""))


class ReplyTooLarge(NetError):
    """The peer announced a reply larger than what was asked for; nothing of it was kept. Sizes in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(f"reply of {size} bytes is larger than {limit}")


class BlobUnavailable(NetError):
    """No peer that was asked gave the whole blob. ``reasons``: what each of them did, by peer key in hex."""

    def __init__(self, digest: bytes, reasons: dict[str, str]) -> None:
        self.digest = digest
        self.reasons = reasons
        said = "; ".join(f"{peer[:16]}: {why}" for peer, why in reasons.items()) or "no peer to ask"
        super().__init__(f"blob {digest.hex()[:16]} could not be fetched ({said})")


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception inside nested groups of one; the group itself if there are several."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
