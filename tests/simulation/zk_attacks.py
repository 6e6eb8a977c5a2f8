"""Data owners of certificate zk that cheat with what they prove and share: everything else about them is honest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from eth_hash.auto import keccak

from omninode.reproduce.stage.node import Node, Twist
from protocols.bn254 import fr, g1
from protocols.bn254.field import R
from protocols.bn254.fr import Vector
from protocols.bn254.g1 import Point
from protocols.sessions import zk_upload
from protocols.sessions.zk_upload import ZkUpload
from protocols.wire import messages as msg
from protocols.zk import range_check
from protocols.zk.hashing import h
from protocols.zk.key import Key
from protocols.zk.pieces import derive, expand, leaf
from protocols.zk.range_proof import prove
from protocols.zk.record import Record
from protocols.zk.sharing import commit, deal, seeds_of, share_digest
from tests.simulation.attacks import rewrite
from tests.simulation.proofs import TAU
from tests.unit.zk_kit import Forger as Prover
from tests.unit.zk_kit import plus, times

OTHER_SEED = b"\x66" * 32


@dataclass(frozen=True)
class Task:
    """What ``protocols.zk.upload.make_upload`` is asked for."""

    key: Key
    sess: bytes
    address: int
    values: npt.NDArray[np.int64]
    seed: bytes
    committee: int
    threshold: int
    bound_squared: int

    @property
    def blinders(self) -> Vector:
        return expand(derive(self.seed, "blinders"), 6)

    @property
    def secret(self) -> Vector:
        return np.concatenate([fr.from_signed(self.values), self.blinders])


@dataclass(frozen=True)
class Made:
    """As an Upload: what the machine sends."""

    root: bytes
    public: bytes
    pieces: list[bytes]

    def plains(self) -> Iterator[bytes]:
        return iter(self.pieces)


Forger = Callable[[Task], Made]
ProveFor = Callable[[bytes], Record]
"""Digest of the shares -> the record."""


def forge(monkeypatch: pytest.MonkeyPatch, node: Node, forger: Forger) -> None:
    """``node`` makes its upload in another way, and does not mind the bound."""
    honest, own, checked = zk_upload.make_upload, int.from_bytes(node.address, "big"), ZkUpload._check

    def make(*args: object) -> object:
        return forger(Task(*args)) if args[2] == own else honest(*args)  # type: ignore[arg-type]

    def unminded(self: ZkUpload, update: npt.NDArray[np.int64]) -> None:
        if self._address != node.address:
            checked(self, update)

    monkeypatch.setattr(zk_upload, "make_upload", make)
    monkeypatch.setattr(ZkUpload, "_check", unminded)


def quick_pairings(monkeypatch: pytest.MonkeyPatch) -> None:
    """e(L, [1]) = e(R, [tau]) without a pairing: we know tau. It saves a third of a second each time."""

    def paired(key: Key, left: g1.Points, right: g1.Points) -> bool:
        return bool((g1.multiply(right, fr.vector([TAU])) == left).all())

    monkeypatch.setattr(range_check, "paired", paired)


def pairings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What all provers and the contract compute, once."""
    real, known = range_check.paired, dict[bytes, bool]()

    def paired(key: Key, left: g1.Points, right: g1.Points) -> bool:
        what = left.tobytes() + right.tobytes()
        if what not in known:
            known[what] = real(key, left, right)
        return known[what]

    monkeypatch.setattr(range_check, "paired", paired)


# ----------------------------------------------------------------------------------------------------------- building


def honest_record(task: Task, values: npt.NDArray[np.int64] | None = None) -> ProveFor:
    """Proves the task's values, or others."""
    chosen = task.values if values is None else values

    def make(dg: bytes) -> Record:
        seed = derive(task.seed, "proof")
        return prove(task.key, task.sess, task.address, chosen, task.blinders, dg, seed, task.bound_squared)

    return make


def forged_record(task: Task, rows: list[int]) -> ProveFor:
    """Claims what is not true of the rows on H, as well as who does not know tau can: the identity holds, by force."""

    def make(dg: bytes) -> Record:
        return Prover(
            task.key, task.sess, rows, task.address, dg, task.bound_squared, force=True, tau=TAU,
            blinders={"g": fr.integers(task.blinders)},
        ).record()  # fmt: skip

    return make


def assemble(
    task: Task, record: ProveFor, c_e: list[Point] | None = None, pieces: Mapping[int, bytes | Vector] | None = None
) -> Made:
    """An honest sharing of the task's vector, but for what is given: commitments, a seed or a share at some points."""
    sharing_seed = derive(task.seed, "sharing")
    sharing = deal(task.secret, task.threshold, sharing_seed)
    first, given, plains, leaves = seeds_of(task.threshold, sharing_seed), pieces or {}, [], []
    for point in range(1, task.committee + 1):
        usual = first[point - 1] if point <= task.threshold else sharing.share(point)
        piece = given.get(point, usual)
        words = fr.to_bytes(expand(piece, len(task.secret)) if isinstance(piece, bytes) else piece)
        blind = derive(task.seed, "blind", point)
        leaves.append(leaf(task.sess, task.address, point, blind, words))
        plains.append(blind + (piece if isinstance(piece, bytes) else words))
    committed = list(sharing.commitments(task.key)) if c_e is None else c_e
    data = record(share_digest(committed, leaves)).encode()
    return Made(keccak(data), data + g1.to_bytes(g1.from_integers(committed)) + b"".join(leaves), plains)


# ------------------------------------------------------------------------------------------------------------ forgers


def bad_shares(*points: int) -> Forger:
    """The provers at these points get something else, committed to by the leaves."""

    def forger(task: Task) -> Made:
        other = fr.scale(7, task.secret)
        return assemble(
            task, honest_record(task), pieces={x: OTHER_SEED if x <= task.threshold else other for x in points}
        )

    return forger


def wrong_commitments(task: Task) -> Made:
    """C_1 is not of the sharing, for everybody."""
    return assemble(task, honest_record(task), c_e=[times(12345)])


def high_degree(task: Task) -> Made:
    """A dealing of degree 2t = 2 of the proved vector, with the commitment of its first coefficient."""
    first = expand(seeds_of(1, derive(task.seed, "sharing"))[0], len(task.secret))
    second = expand(derive(task.seed, "second"), len(task.secret))
    slope = fr.sub(fr.sub(first, task.secret), second)
    pieces = {
        x: fr.combine([1, x, x * x], [task.secret, slope, second]) for x in range(2, task.committee + 1)
    }  # fmt: skip
    return assemble(task, honest_record(task), [commit(task.key, slope)], pieces)


def padded(fitting: int = 0) -> Forger:
    """C has something in the padding, which no share has. fitting: the point of a prover that cannot tell, or 0."""

    def forger(task: Task) -> Made:
        rows = [int(v) for v in task.values] + [1]
        (c_1,) = deal(task.secret, 1, derive(task.seed, "sharing")).commitments(task.key)
        if fitting:
            excess = commit_rows(task.key, [0] * len(task.values) + [1])
            c_1 = plus(c_1, times(-pow(fitting, -1, R) % R, excess))
        return assemble(task, forged_record(task, rows), [c_1])

    return forger


def commit_rows(key: Key, rows: list[int]) -> Point:
    """[interp(rows)] without blinders."""
    return key.commit_values(fr.vector([*rows, *([0] * (key.params.size - len(rows)))]), fr.zeros(0))


def beyond(value: int) -> Forger:
    """One coordinate is out of range, and so claimed to be in it."""

    def forger(task: Task) -> Made:
        values = task.values.copy()
        values[0] = value
        return assemble(replace(task, values=values), forged_record(task, [int(v) for v in values]))

    return forger


def too_long(task: Task) -> Made:
    """Every coordinate is in range, but the norm is above the bound. Under GRAM the record is a good one."""
    task = replace(task, values=np.full_like(task.values, 31))
    if task.key.norms:
        return assemble(task, forged_record(task, [31] * len(task.values)))
    return assemble(task, honest_record(task))


def of_another_session(task: Task) -> Made:
    """The record would be good in another session; the leaves are of this one."""
    return assemble(task, honest_record(replace(task, sess=h(task.sess))))


def under_another_address(task: Task) -> Made:
    """The record names somebody else."""
    return assemble(task, honest_record(replace(task, address=task.address ^ 1)))


def different_commitments(*provers: bytes) -> Twist:
    """These provers get another C_1 than the others, with the same record."""
    other = g1.to_bytes(g1.from_integers([times(999)]))

    def change(node: Node, effect: object) -> object:
        message = effect.message  # type: ignore[attr-defined]
        if not isinstance(message, msg.Upload) or effect.to not in provers:  # type: ignore[attr-defined]
            return effect
        at = len(message.public) - 32 * 5 - g1.BYTES
        public = message.public[:at] + other + message.public[at + g1.BYTES :]
        return replace(effect, message=replace(message, public=public))  # type: ignore[type-var]

    return rewrite(change)  # type: ignore[arg-type]
