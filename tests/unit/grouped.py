"""One group of data-owner machines in memory, and a collector that holds the provers' keys: no chain, no net, no
provers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.secagg.keys import PublicKeys, public_of
from protocols.secagg.masks import unmask_vector
from protocols.secagg.rebuild import rebuild_mask_secret, rebuild_self_seed
from protocols.secagg.seal import open_sealed, upload_associated
from protocols.secagg.shares import verify_share
from protocols.secagg.upload import split_plain, unpack_piece, verify_upload
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.data_owner import DataOwnerMachine
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Mode, Phase, Rule, SessionParams, mask_threshold
from protocols.sharing.shamir import combine, open_piece
from protocols.wire import codec, eip712
from protocols.wire import messages as msg
from protocols.wire.context import Context

CONTEXT = Context(31337, b"\xcc" * 20, 7)
DIMENSION = 40
COMMITTEE, FAULTY = 5, 1


def owner(k: int) -> bytes:
    """Wallet of the data owner registered k-th."""
    return bytes([0xD0, k]) * 10


def prover(i: int) -> bytes:
    """Wallet of the prover with committee index i."""
    return bytes([0xA0, i]) * 10


def prover_secret(i: int) -> bytes:
    """Its encryption secret."""
    return hashlib.sha256(b"prover %d" % i).digest()


def sign(address: bytes, digest: bytes) -> bytes:
    """A signature that everybody can forge; good enough where nobody is out to."""
    return address + hashlib.sha256(address + digest).digest() + bytes(13)


def recover(digest: bytes, signature: bytes) -> bytes:
    """Inverse of ``sign``; ValueError where it is none."""
    if len(signature) != 65 or sign(signature[:20], digest) != signature:
        raise ValueError("no signature")
    return signature[:20]


def params(size: int) -> SessionParams:
    """A session of one group of ``size``."""
    return SessionParams(
        bytes(32), b"\x0e" * 20, bytes(32), Mode.GROUPED, DIMENSION, 16, 1 << 20, size, 1, COMMITTEE, FAULTY,
        Rule.NONE, 0, 0, 3, True, 100, 1, 5, 0, bytes(32), 15, 20, 25,
    )  # fmt: skip


Key = tuple[str, bytes]
Step = tuple[str, object]


@dataclass
class World:
    """Machines by registration index (order of the draw: ``order``), everything sent to provers, everything put on
    chain.
    """

    size: int
    order: tuple[int, ...] = ()
    dead: set[int] = field(default_factory=set)
    deaf: set[int] = field(default_factory=set)
    block: int = 100

    def __post_init__(self) -> None:
        self.order = self.order or tuple(reversed(range(self.size)))
        self.machines = {k: self.machine(k) for k in range(self.size)}
        self.steps: dict[int, list[Step]] = {k: [] for k in self.machines}
        self.effects: dict[int, list[fx.Effect]] = {k: [] for k in self.machines}
        self.to_provers: dict[int, list[tuple[int, msg.Message]]] = {i: [] for i in range(COMMITTEE)}
        self.transactions: dict[int, dict[str, fx.Transact]] = {k: {} for k in self.machines}
        self.updates = {k: np.arange(DIMENSION, dtype=np.int64) * (k - 2) - 7 for k in self.machines}
        self.view = self.machines[0].view

    @staticmethod
    def machine(k: int) -> DataOwnerMachine:
        """A fresh machine of data owner k, always with the same seed."""
        identity = Identity(owner(k), lambda digest: sign(owner(k), digest), recover)
        return DataOwnerMachine(CONTEXT, identity, bytes([k + 1]) * 32, peer_key=bytes([k]) * 32)

    # ---------------------------------------------------------------------------------------------------- inputs

    def step(self, k: int, kind: str, value: object) -> list[fx.Effect]:
        """Feed one input to one machine, journal it, act on what comes out."""
        effects = self._feed(k, kind, value)
        for effect in effects:
            self._act(k, effect)
        return effects

    def _feed(self, k: int, kind: str, value: object) -> list[fx.Effect]:
        effects = feed(self.machines[k], (kind, value))
        self.steps[k].append((kind, value))
        self.effects[k] += effects
        return effects

    def emit(self, *events: ev.ChainEvent) -> None:
        """Chain events, seen by all that live before anybody acts on them."""
        for event in events:
            caused = [(k, self._feed(k, "chain", event)) for k in self.machines if k not in self.dead]
            for k, effects in caused:
                for effect in effects:
                    self._act(k, effect)

    def tick(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.block += 1
            for k in self.machines:
                if k not in self.dead:
                    self.step(k, "tick", self.block)

    def phase(self, phase: Phase, deadline: int = 0) -> None:
        self.emit(ev.PhaseChanged(7, self.block, phase, deadline or self.block + 6))

    def send(self, k: int, message: msg.Message) -> list[fx.Effect]:
        """A message to data owner k, through the codec."""
        data = codec.encode(message, CONTEXT)
        return self.step(k, "message", codec.decode(data, CONTEXT, codec.limits_for(params(self.size))))

    def _act(self, k: int, effect: fx.Effect) -> None:
        match effect:
            case fx.Send(to=to, message=message):
                self._send(k, to, message)
            case fx.Publish(message=msg.Announcement() as draft):
                filled = msg.Announcement(
                    draft.sender, 1, bytes([k]) * 32, ("/ip4/127.0.0.1",), draft.enc_key, draft.mask_key,
                    draft.self_hash, b"s" * 65,
                )  # fmt: skip
                for peer in self.machines:
                    if peer != k and peer not in self.dead | self.deaf:
                        self.send(peer, filled)
            case fx.Transact():
                assert effect.key and effect.key not in self.transactions[k]
                self.transactions[k][effect.key] = effect

    def _send(self, k: int, to: bytes, message: msg.Message) -> None:
        indices = [i for i in range(COMMITTEE) if prover(i) == to]
        if indices:
            self.to_provers[indices[0]].append((k, message))
            return
        (peer,) = (p for p in self.machines if owner(p) == to)
        if peer not in self.dead | self.deaf:
            self.send(peer, message)

    # --------------------------------------------------------------------------------------------------- the story

    def register(self) -> None:
        """Up to the committee and all registrations."""
        infos = tuple(ev.ProverInfo(prover(i), bytes(32), public_of(prover_secret(i))) for i in range(COMMITTEE))
        self.emit(ev.SessionCreated(7, self.block, params(self.size)), ev.CommitteeDrawn(7, self.block, infos))
        self.phase(Phase.REGISTER)
        for k in range(self.size):
            peer_key, digest, _ = self.transactions[k]["register"].args
            assert isinstance(peer_key, bytes) and isinstance(digest, bytes)
            self.emit(ev.Registered(7, self.block, k, owner(k), peer_key, digest))

    def draw(self) -> None:
        """The draw and phase KEYS: keys and bundles are exchanged."""
        self.phase(Phase.GROUPS)
        self.emit(ev.GroupsDrawn(7, self.block, self.order, 1))
        self.phase(Phase.KEYS)

    def commit_roots(self) -> None:
        """Share roots of all that live, then phase BUNDLES."""
        for k in self.machines:
            if k not in self.dead:
                (root,) = self.transactions[k]["commitShares"].args
                assert isinstance(root, bytes)
                self.emit(ev.ShareRootCommitted(7, self.block, k, root))
        self.phase(Phase.BUNDLES)

    def fix(self, kind: Bitmap, members: Iterable[int]) -> None:
        self.emit(ev.SetFixed(7, self.block, kind, sum(1 << k for k in members)))

    def train(self) -> None:
        for k in self.machines:
            if k not in self.dead:
                self.step(k, "update", self.updates[k])

    def to_upload(self, valid: Iterable[int]) -> None:
        """Everything up to the uploads of V."""
        self.register()
        self.draw()
        self.commit_roots()
        self.fix(Bitmap.BUNDLES, valid)
        self.phase(Phase.UPLOAD)
        self.train()

    def root(self, k: int) -> bytes:
        (root,) = self.transactions[k]["commitUpload"].args
        assert isinstance(root, bytes)
        return root

    def receipt(self, k: int, i: int) -> msg.Receipt:
        """The receipt of prover i for data owner k."""
        digest = eip712.receipt_digest(CONTEXT, owner(k), self.root(k), i)
        return msg.Receipt(prover(i), owner(k), self.root(k), sign(prover(i), digest))

    # ------------------------------------------------------------------------------------------------- the collector

    def said(self, i: int, kind: type[msg.Message]) -> dict[int, msg.Message]:
        """The last message of a type that each data owner sent prover i."""
        return {k: message for k, message in self.to_provers[i] if type(message) is kind}

    def share_of(self, k: int, i: int) -> Vector:
        """Prover i's verified share of data owner k's padded, masked update."""
        upload = self.said(i, msg.Upload)[k]
        assert isinstance(upload, msg.Upload)
        associated = upload_associated(owner(k), prover(i))
        plain = open_sealed(CONTEXT, prover_secret(i), upload.enc_key, associated, upload.sealed)
        blind, data = split_plain(plain)
        assert upload.root == self.root(k)
        assert verify_upload(CONTEXT, owner(k), i + 1, upload.root, upload.proof, COMMITTEE, blind, data)
        return open_piece(unpack_piece(data, DIMENSION + 1), DIMENSION + 1)

    def masked(self, k: int, provers: tuple[int, ...] = (1, 4)) -> Vector:
        """y_k, from the shares of any t + 1 provers."""
        return combine([i + 1 for i in provers], [self.share_of(k, i) for i in provers])[:DIMENSION]

    def collect(self, valid: set[int], alive: set[int], i: int = 0) -> Vector:
        """The sum of the updates of U = ``alive``, from what data owners sent prover i for unmasking."""
        threshold = mask_threshold(self.size)
        keys = self._announced(i)
        own, gone = {}, {}
        for k in valid:
            shares = self._shares(i, k, 0 if k in alive else 1)
            assert len(shares) >= threshold
            if k in alive:
                own[self.place(k)] = rebuild_self_seed(CONTEXT, owner(k), keys[k].self_hash, shares, threshold)
            else:
                gone[self.place(k)] = rebuild_mask_secret(keys[k].mask, shares, threshold)
        addresses = {self.place(k): owner(k) for k in valid}
        publics = {self.place(k): keys[k].mask for k in valid}
        total = gl.lincomb([1] * len(alive), [self.masked(k) for k in sorted(alive)])
        return gl.sub(total, unmask_vector(CONTEXT, DIMENSION, addresses, publics, own, gone))

    def place(self, k: int) -> int:
        return self.order.index(k)

    def _announced(self, i: int) -> dict[int, PublicKeys]:
        sets = self.said(i, msg.BundleSet)
        return {
            k: PublicKeys(m.enc_key, m.mask_key, m.self_hash) for k, m in sets.items() if isinstance(m, msg.BundleSet)
        }

    def _shares(self, i: int, dealer: int, kind: int) -> dict[int, bytes]:
        """Verified shares of one kind by position of their holders."""
        found = {}
        for holder, message in self.said(i, msg.Unmask).items():
            assert isinstance(message, msg.Unmask)
            at = message.dealers.index(dealer) if dealer in message.dealers else -1
            if at >= 0 and message.kinds[at] == kind:
                (root,) = self.transactions[dealer]["commitShares"].args
                assert isinstance(root, bytes)
                proven = (message.salts[at], message.shares[at], message.proofs[at])
                assert verify_share(CONTEXT, owner(dealer), root, self.size, self.place(holder), kind, *proven)
                found[self.place(holder)] = message.shares[at]
        return found

    def expected(self, alive: Iterable[int]) -> Vector:
        """What the sum must be."""
        return gl.from_signed(np.sum([self.updates[k] for k in alive], axis=0))


def feed(machine: DataOwnerMachine, step: Step) -> list[fx.Effect]:
    """One journaled input."""
    kind, value = step
    if kind == "chain":
        assert isinstance(value, ev.ChainEvent)
        return machine.chain(value)
    if kind == "message":
        assert isinstance(value, msg.Message)
        return machine.receive(value)
    if kind == "tick":
        assert isinstance(value, int)
        return machine.tick(value)
    assert isinstance(value, np.ndarray)
    return machine.update_ready(value)


def rule_of(machine: DataOwnerMachine, message: msg.Message) -> str:
    """The rule that a message breaks; it must break one."""
    try:
        machine.receive(message)
    except RemoteProtocolError as error:
        return error.rule
    raise AssertionError("accepted")
