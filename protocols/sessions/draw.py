"""The group draw, as the contract checks it."""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak


def group_order(beacon: bytes, addresses: Sequence[bytes]) -> tuple[int, ...]:
    """Registration indices sorted by keccak256(beacon || address). beacon: 32 bytes, addresses: 20 bytes each."""
    return tuple(sorted(range(len(addresses)), key=lambda index: keccak(beacon + addresses[index])))
