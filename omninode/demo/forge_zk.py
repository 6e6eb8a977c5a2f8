"""How an attacker makes an upload of certificate ``zk`` that its own node would refuse to make.

No honest node loads this module. Every forgery passes all that it can pass: it is delivered, under a digest that stands
on chain, and only what it claims is not true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
from eth_hash.auto import keccak

from protocols.bn254 import fr, g1
from protocols.bn254.fr import Vector
from protocols.sessions.delivery import Piece
from protocols.zk.columns import Collision
from protocols.zk.hashing import h
from protocols.zk.key import Key
from protocols.zk.params import NB_G
from protocols.zk.pieces import derive, expand, leaf, seeded
from protocols.zk.range_proof import Claim, draws, prove_blinded
from protocols.zk.record import Record
from protocols.zk.sharing import commit, deal, seeds_of, share_digest

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """What ``protocols.zk.upload.make_upload`` is asked for, by the same names."""

    key: Key
    sess: bytes
    address: int
    values: Integers
    seed: bytes
    committee: int
    threshold: int
    bound_squared: int


def forged(task: Task, claimed: Integers | None = None, off: Sequence[int] = ()) -> tuple[bytes, list[Piece]]:
    """Root and pieces of an upload of ``task.values``, whatever they are.

    claimed: the vector that the record is true of; what is committed to and shared is ``task.values`` all the same.
    off: points whose provers get a share with one added everywhere, committed to by its leaf.
    """
    secret = np.concatenate([fr.from_signed(task.values), expand(derive(task.seed, "blinders"), NB_G)])
    sharing_seed = derive(task.seed, "sharing")
    sharing, seeds = deal(secret, task.threshold, sharing_seed), seeds_of(task.threshold, sharing_seed)
    plains, leaves = [], []
    for point in range(1, task.committee + 1):
        share = sharing.share(point)
        words = fr.to_bytes(fr.shift(share, 1) if point in off else share)
        blind = derive(task.seed, "blind", point)
        leaves.append(leaf(task.sess, task.address, point, blind, words))
        plains.append(blind + (seeds[point - 1] if seeded(point, task.threshold) and point not in off else words))
    c_e = sharing.commitments(task.key)
    record = _record(task, task.values if claimed is None else claimed, secret, share_digest(c_e, leaves))
    data = record.encode()
    public = data + g1.to_bytes(g1.from_integers(c_e)) + b"".join(leaves)
    return keccak(data), [(plain, (), public) for plain in plains]


def _record(task: Task, claimed: Integers, secret: Vector, dg: bytes) -> Record:
    """Its identity holds, since its columns are those of ``claimed``; its openings are of another commitment."""
    c = commit(task.key, secret)
    claim = Claim(
        task.key, task.sess, task.address, claimed, secret[-NB_G:], c, dg, task.bound_squared if task.key.norms else 0
    )
    for attempt in count():
        try:
            return prove_blinded(claim, draws(h(task.seed, dg), attempt))
        except Collision:
            continue
    raise AssertionError("unreachable")


def huge(update: Integers, bound: int, seed: int) -> Integers:
    """A random vector sqrt(d) times as long as the bound, every coordinate of which is in range."""
    signs = np.random.default_rng(seed).integers(0, 2, len(update), dtype=np.int64)
    return (2 * signs - 1) * bound


def wrapped(update: Integers, bound: int, seed: int) -> Integers:
    """The honest update with one coordinate far out of the table: what a wrapped-around vector looks like."""
    out = update.copy()
    out[seed % len(out)] += 1 << 40
    return out
