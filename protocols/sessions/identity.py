"""Who we are, as a machine may know it: an address and two pure functions over digests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """address: 20 bytes. sign: 32-byte digest -> 65-byte signature (deterministic, RFC 6979).

    recover: digest, signature -> 20-byte address; raises ValueError on a signature that is none.
    enc_secret: 32-byte X25519 secret key of a prover (what pieces are sealed to), b"" for others.
    """

    address: bytes
    sign: Callable[[bytes], bytes]
    recover: Callable[[bytes, bytes], bytes]
    enc_secret: bytes = b""
