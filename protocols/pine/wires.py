"""Wire seeds that are shared without being sent (pseudo-random secret sharing, Cramer, Damgard, Ishai, TCC 2005).

A third to half of a proof is wire seeds: uniform elements that nobody needs to choose. So the data owner makes one key
for every set A of n - t provers and hands it to the members of A. With f_A the polynomial of degree t that is 1 at 0
and 0 at the points outside A, the seeds are sum_A PRG(key_A), and the share at point i is the sum over the sets that
hold i of f_A(i) PRG(key_A). Any t provers lack the key of the set of the others, so the seeds stay uniform to them.
Keys that differ between provers give shares off the polynomial, as any other wrong share; the consistency check sees
it. For n = 5, t = 1 this replaces 15 kB per prover at d = 10^5 by 128 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import SEED_BYTES, expand
from protocols.sharing.shamir import lagrange
from protocols.sharing.zero import Seeds, subsets
from protocols.wire.context import tagged_hash

_LABEL = b"pine wires"


def make_keys(seed: bytes, committee: int, threshold: int) -> Seeds:
    """The key of each set of n - t of the points 1 .. n. seed: 32 secret bytes. ValueError unless 0 <= t < n."""
    return {
        members: tagged_hash("omninode/pine/wires", seed, bytes(members)) for members in subsets(committee, threshold)
    }


def wire_seeds(keys: Seeds, length: int) -> Vector:
    """(length,) the shared value: what the data owner proves with."""
    total = gl.zeros(length)
    for key in keys.values():
        gl.add_into(total, expand(key, length, _LABEL))
    return total


def keys_length(committee: int, threshold: int) -> int:
    """Bytes that one prover gets. ValueError unless 0 <= t < n."""
    if not 0 <= threshold < committee:
        raise ValueError(f"no sets of n - t for n = {committee}, t = {threshold}")
    return SEED_BYTES * comb(committee - 1, threshold)


def pack_keys(keys: Seeds, point: int) -> bytes:
    """The keys of the sets that hold ``point``, in the order of ``zero.subsets``."""
    return b"".join(key for members, key in keys.items() if point in members)


def unpack_keys(data: bytes, point: int, committee: int, threshold: int) -> Seeds:
    """Inverse of ``pack_keys``. ValueError for another length or a point that is not in 1 .. n."""
    if len(data) != keys_length(committee, threshold) or not 1 <= point <= committee:
        raise ValueError(f"{len(data)} bytes are not the wire keys of point {point}")
    mine = [members for members in subsets(committee, threshold) if point in members]
    return {members: data[SEED_BYTES * i : SEED_BYTES * (i + 1)] for i, members in enumerate(mine)}


def wire_share(keys: Mapping[tuple[int, ...], bytes], point: int, committee: int, length: int) -> Vector:
    """(length,) the share of the wire seeds at ``point``. keys: those of the sets that hold it."""
    total = gl.zeros(length)
    for members, key in keys.items():
        outside = [x for x in range(1, committee + 1) if x not in members]
        gl.axpy(total, lagrange([0, *outside], point)[0], expand(key, length, _LABEL))
    return total
