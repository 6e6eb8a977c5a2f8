"""Attackers of certificate ``zk``. No honest node loads this module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omninode.demo import forge_zk
from omninode.demo.forge_zk import Task
from omninode.demo.hostile_prover import HostileProver
from omninode.demo.loot import Loot
from omninode.demo.orders import Orders
from omninode.roles.machine import Machine
from protocols.bn254 import fr, g1
from protocols.sessions import effects as fx
from protocols.sessions.delivery import Piece
from protocols.sessions.identity import Identity
from protocols.sessions.params import Phase
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_upload import Uploads
from protocols.sessions.view import SessionView
from protocols.sessions.zk_keys import Keys
from protocols.sessions.zk_prover import ZkProverMachine
from protocols.sessions.zk_upload import ZkUpload, session_key, session_of
from protocols.wire.context import Context
from protocols.wire.messages import Opening, OutputShare, PieceComplaint

if TYPE_CHECKING:
    from collections.abc import Iterable

OFF_POINTS = (3,)
"""Provers that get a share which fits nothing: t of them, so that one complaint has to convict the data owner."""
POINTS = ("zk-S", "zk-q", "zk-W")
"""Labels under which points are opened, 64 bytes each; under the others scalars, 32 bytes each."""


class HostileZkUpload(ZkUpload):
    """The update of an attacker. Kinds: "zk-norm" (sqrt(d) times the bound), "zk-range" (a coordinate out of range),
    "zk-long" (as "zk-norm", but the record, which says nothing of norms, is right),
    "zk-share" (a share for the provers at OFF_POINTS that does not fit), "zk-copy" (what is public of ``victim``'s
    upload, with "keep" ordered there).
    """

    loot: Loot
    orders: Orders

    def update_ready(self, update: NDArray[np.int64]) -> list[fx.Effect]:
        self.loot.put(self._name(self._address, "update"), update.astype("<i8").tobytes())
        return super().update_ready(update)

    def advance(self) -> list[fx.Effect]:
        """As usual, but a copier waits for what it copies."""
        order = self.orders(self._view.session)
        if order.kind == "zk-copy" and self.loot.get(self._name(order.victim, "public")) is None:
            return []
        return super().advance()

    def _make(self, update: NDArray[np.int64]) -> tuple[bytes, Iterable[Piece]]:
        order = self.orders(self._view.session)
        task, bound = self._task(update), self._view.p.bound
        if order.kind in ("zk-norm", "zk-range", "zk-long"):
            change = forge_zk.wrapped if order.kind == "zk-range" else forge_zk.huge
            sent = change(update, bound, self._view.session)
            return forge_zk.forged(replace(task, values=sent), claimed=sent if order.kind == "zk-long" else update)
        if order.kind == "zk-share":
            return forge_zk.forged(task, off=OFF_POINTS)
        root, pieces = super()._make(update)
        pieces = list(pieces)
        if order.kind == "keep":
            self.loot.put(self._name(self._address, "public"), root + pieces[0][2])
        if order.kind == "zk-copy":
            stolen = self.loot.get(self._name(order.victim, "public"))
            assert stolen is not None
            return stolen[:32], [(plain, (), stolen[32:]) for plain, _, _ in pieces]
        return root, pieces

    def _task(self, update: NDArray[np.int64]) -> Task:
        params = self._view.p
        sess = session_of(self._context, params)
        return Task(
            session_key(self._keys, params), sess, int.from_bytes(self._address, "big"), update,
            self._drawn(sess, update), params.committee, params.threshold, params.bound**2,
        )  # fmt: skip

    def _name(self, address: bytes, what: str) -> str:
        return f"{self._view.session}-{address.hex()}.{what}"


class HostileZkDataOwner(VerifiedDataOwnerMachine):
    """A data owner that uploads something else than it should, see ``HostileZkUpload``."""

    def tick(self, block: int) -> list[fx.Effect]:
        """Also looks again whether what it copies is there."""
        return [*super().tick(block), *self._advance()]


def hostile_data_owner(
    context: Context, identity: Identity, seed: bytes, *, peer_key: bytes, keys: Keys, orders: Orders, loot: Loot
) -> HostileZkDataOwner:
    """Honest until it is ordered otherwise."""

    def make(
        context: Context, identity: Identity, view: SessionView, seed: bytes, phase: Phase, call: str
    ) -> HostileZkUpload:
        upload = HostileZkUpload(context, identity, view, seed, phase, call, keys)
        upload.orders, upload.loot = orders, loot
        return upload

    uploads: Uploads = make
    return HostileZkDataOwner(context, identity, seed, peer_key=peer_key, uploads=uploads)


class HostileZkProver(HostileProver):
    """A prover's machine with something changed on its way out.

    "zk-lie": one added to everything that it opens.  "zk-lie-LABEL": only under that label ("output": to its share of
    the sum).  "zk-frame": it complains of ``victim``, whose piece is fine, and publishes that piece.  "zk-batch": one
    added to the values of the batch that it posts, as the first.  "crash": as of ``HostileProver``.
    """

    def __init__(self, inner: ZkProverMachine, address: bytes, orders: Orders, die: Callable[[], None]) -> None:
        super().__init__(inner, address, orders, die)
        self._machine = inner

    def _twist(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        order = self.order
        if order.kind.startswith("zk-lie"):
            only = order.kind.removeprefix("zk-lie").removeprefix("-")
            return [_lied(e, only) for e in effects]
        if order.kind == "zk-batch":
            return [_wrong_batch(e) for e in effects]
        return self._framing(effects) if order.kind == "zk-frame" else effects

    def _framing(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        """With what it found of its own pieces it names one more, and publishes that one."""
        member, held = self.view.member_of(self.order.victim), self._machine._uploads.held
        told = [e.to for e in effects if isinstance(e, fx.Send) and isinstance(e.message, PieceComplaint)]
        if not told or member is None or member.index not in held:
            return effects
        opening = held[member.index].opening(self._address, member.index)
        framed = [_complaining(effect, 1 << member.index) for effect in effects]
        return [*framed, *(fx.Send(to, opening) for to in told)]


def hostile_prover(inner: Machine, address: bytes, orders: Orders, die: Callable[[], None]) -> HostileZkProver:
    """Around the real machine of a prover."""
    assert isinstance(inner, ZkProverMachine)
    return HostileZkProver(inner, address, orders, die)


def _complaining(effect: fx.Effect, also: int) -> fx.Effect:
    if isinstance(effect, fx.Send) and isinstance(effect.message, PieceComplaint):
        return replace(effect, message=replace(effect.message, bad=effect.message.bad | also))
    return effect


def _lied(effect: fx.Effect, only: str) -> fx.Effect:
    if not isinstance(effect, fx.Send | fx.Reply):
        return effect
    match effect.message:
        case Opening(label=label, values=values) if only in ("", label.removeprefix("zk-")):
            changed = _plus_generator(values) if label in POINTS else _plus_one(values)
            return replace(effect, message=replace(effect.message, values=changed))
        case OutputShare(values=values) if only == "output":
            return replace(effect, message=replace(effect.message, values=_plus_one(values)))
    return effect


def _wrong_batch(effect: fx.Effect) -> fx.Effect:
    """One score (or entry of the matrix) more than what was opened."""
    if not isinstance(effect, fx.Transact) or effect.call != "postProof":
        return effect
    dos, values, proof = effect.args
    assert isinstance(values, bytes)
    first = int.from_bytes(values[:16], "big", signed=True) + 1
    return replace(effect, args=(dos, first.to_bytes(16, "big", signed=True) + values[16:], proof))


def _plus_one(values: bytes) -> bytes:
    return fr.to_bytes(fr.shift(fr.from_bytes(values), 1))


def _plus_generator(values: bytes) -> bytes:
    points = g1.from_bytes(values)
    return g1.to_bytes(g1.add(points, np.repeat(g1.generator(), len(points), axis=0)))
