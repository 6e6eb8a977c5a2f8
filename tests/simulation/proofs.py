"""Keys for simulated sessions of certificate zk, made of the test string: everybody knows its secret."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from protocols.bn254 import srs
from protocols.sessions.params import SessionParams
from protocols.zk.key import Key, make_key
from protocols.zk.params import NB_G, Statement, ZkParams, choose, norm_bits

LABEL = "simulation"
TAU = srs.insecure_secret(LABEL)


def key_of(params: SessionParams) -> Key:
    """The key of a session: the same object for the same numbers."""
    bits = None if params.statement == Statement.GRAM else norm_bits(params.bound)
    return _key(choose(params.dimension, params.bound), bits)


@lru_cache(maxsize=8)
def _key(size: ZkParams, bits: int | None) -> Key:
    return make_key(size, srs.insecure(LABEL, size.powers), bits, srs.known_basis(TAU, size.size, NB_G))


def proved(params: SessionParams) -> SessionParams:
    """The session with its key."""
    return replace(params, proof_key=key_of(params).digest)
