"""Peers are named by their 32-byte ed25519 public key everywhere; libp2p's peer id is only its spelling.

The peer id of an ed25519 key is the identity multihash of its protobuf encoding, so it contains the key itself
(libp2p specification, peer-ids). Other key types are refused: a node has one key and it is short.
"""

from __future__ import annotations

import ipaddress
import re

import base58

KEY_BYTES = 32
_PREFIX = bytes([0x00, 0x24, 0x08, 0x01, 0x12, 0x20])  # identity multihash, 36 bytes; key type 1; 32 bytes of data
_ADDRESS = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/([^/]{1,253})/tcp/([0-9]{1,5})(?:/p2p/([1-9A-HJ-NP-Za-km-z]{1,64}))?")
_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def peer_id_bytes(key: bytes) -> bytes:
    """The binary peer id of a 32-byte ed25519 public key. ValueError for any other length."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"an ed25519 public key has {KEY_BYTES} bytes, not {len(key)}")
    return _PREFIX + key


def peer_id_of(key: bytes) -> str:
    """The peer id of a 32-byte ed25519 public key, as text (12D3KooW...)."""
    return base58.b58encode(peer_id_bytes(key)).decode()


def key_of(peer_id: str | bytes) -> bytes:
    """The 32-byte ed25519 public key inside a peer id (text or binary). ValueError for every other kind of key."""
    if isinstance(peer_id, str):
        if len(peer_id) > 64:
            raise ValueError("not an ed25519 peer id")
        try:
            peer_id = base58.b58decode(peer_id)
        except Exception as error:
            raise ValueError("not an ed25519 peer id") from error
    if len(peer_id) != len(_PREFIX) + KEY_BYTES or not peer_id.startswith(_PREFIX):
        raise ValueError("not an ed25519 peer id")
    return bytes(peer_id[len(_PREFIX) :])


def split_address(text: str) -> tuple[str, bytes | None]:
    """Split a TCP multiaddr into what is dialled and the key behind /p2p/ (None if absent).

    Accepts /ip4, /ip6, /dns, /dns4, /dns6 with /tcp/PORT. ValueError for anything else, port 0 and wild cards included.
    """
    match = _ADDRESS.fullmatch(text) if isinstance(text, str) and len(text) <= 400 else None
    if match is None:
        raise ValueError("not a TCP multiaddr")
    kind, host, port, peer = match.groups()
    if kind == "ip4":
        usable = not ipaddress.IPv4Address(host).is_unspecified
    elif kind == "ip6":
        usable = not ipaddress.IPv6Address(host).is_unspecified
    else:
        usable = _NAME.fullmatch(host) is not None
    if not usable or not 0 < int(port) < 65536:
        raise ValueError("not an address that can be dialled")
    return f"/{kind}/{host}/tcp/{int(port)}", None if peer is None else key_of(peer)
