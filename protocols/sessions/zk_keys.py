"""Where machines of certificate ``zk`` get the public key of their session's proofs from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from protocols.errors import LocalProtocolError
from protocols.sessions.params import SessionParams

if TYPE_CHECKING:
    from protocols.zk.key import Key  # its arithmetic is loaded by sessions that need it only

Keys = Callable[[SessionParams], "Key"]
"""The key of a session's proofs; the same object each time while it is kept. LocalProtocolError, with what to do, if
this node has no reference string, one that is too short, or another than the session's ``proof_key`` was made of."""


def no_keys(params: SessionParams) -> Key:
    """For nodes without a reference string."""
    raise LocalProtocolError("this session's proofs need a reference string, and none is configured ([proofs] string)")
