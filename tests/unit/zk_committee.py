"""Five provers of certificate zk in memory: the chain's events by hand, messages delivered at once, or held."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import RemoteProtocolError
from protocols.secagg.keys import public_of
from protocols.secagg.seal import seal, upload_associated
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.identity import Identity
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Phase, Rule, SessionParams
from protocols.sessions.shelf import MemoryShelf
from protocols.sessions.verified_upload import upload_key_digest
from protocols.sessions.zk_prover import ZkProverMachine
from protocols.sessions.zk_upload import session_of
from protocols.wire import codec
from protocols.wire import messages as msg
from protocols.wire.context import Context
from protocols.zk.upload import Upload, make_upload
from tests.simulation import proofs
from tests.simulation.session import small_params
from tests.simulation.wallets import Wallets, enc_public

CONTEXT = Context(31337, b"\xcc" * 20, 7)
WALLETS = Wallets()
OWNER, STRANGER = WALLETS.new("owner"), WALLETS.new("stranger")
DATA_OWNERS = [WALLETS.new(f"data owner {k}") for k in range(3)]
PROVERS = [WALLETS.new(f"prover {i}") for i in range(5)]
SEATS = {p.address: i for i, p in enumerate(PROVERS)}
SECRET = bytes(range(32))


def params(**changes: Any) -> SessionParams:
    """Three data owners, d = 40."""
    return small_params(**{"mode": Mode.VERIFIED, "zk": True, "owner": OWNER.address, "groups": 3, **changes})


GRAM, SCORE = params(rule=Rule.OUTLIER), params(rule=Rule.TRUST)


def update(k: int) -> npt.NDArray[np.int64]:
    """Of a data owner, or the reference: small, and not at right angles to the others."""
    return np.random.default_rng(k).integers(-3, 4, GRAM.dimension) + 1


@lru_cache
def made(p: SessionParams, index: int, salt: int = 0, context: Context = CONTEXT) -> Upload:
    """An honest upload."""
    identity = OWNER if index == REFERENCE else DATA_OWNERS[index]
    return make_upload(
        proofs.key_of(p), session_of(context, p), int.from_bytes(identity.address, "big"), update(index),
        bytes([salt]) * 32, 5, 1, p.bound**2,
    )  # fmt: skip


def sealed(index: int, i: int, root: bytes, public: bytes, plain: bytes) -> msg.Upload:
    """What this wallet sends to the prover with committee index i."""
    identity = OWNER if index == REFERENCE else DATA_OWNERS[index]
    data = seal(CONTEXT, SECRET, enc_public(PROVERS[i]), upload_associated(identity.address, PROVERS[i].address), plain)
    return msg.Upload(identity.address, root, (), public_of(SECRET), data, public)


def upload(p: SessionParams, index: int, i: int, salt: int = 0, context: Context = CONTEXT) -> msg.Upload:
    """The same, honest."""
    whole = made(p, index, salt, context)
    return sealed(index, i, whole.root, whole.public, whole.plain(i + 1))


def machine(
    i: int, p: SessionParams, shelf: MemoryShelf | None = None, identity: Identity | None = None
) -> ZkProverMachine:
    return ZkProverMachine(CONTEXT, identity or PROVERS[i], bytes([i]) * 32, shelf or MemoryShelf(), proofs.key_of)


Filter = Callable[[bytes, msg.Message], msg.Message | None]


class Committee:
    """``passing``: changes or holds back what is sent (receiver, message); replies go through it, too."""

    def __init__(self, p: SessionParams, lacking: dict[int, set[int]] | None = None) -> None:
        self.params, self.block = p, 1
        self.machines = [machine(i, p) for i in range(5)]
        self.effects: list[list[fx.Effect]] = [[] for _ in range(5)]
        self.inputs: list[list[tuple[str, Any]]] = [[] for _ in range(5)]
        self.passing: Filter = lambda to, message: message
        self._waiting: list[tuple[int, int, msg.Message, bool]] = []  # sender, receiver, message, whether a reply
        self._begin(lacking or {})

    def _begin(self, lacking: dict[int, set[int]]) -> None:
        """Up to phase DELIVERED. lacking: data owner -> committee indices that got no upload."""
        self.chain(ev.SessionCreated, self.params)
        self.chain(ev.PhaseChanged, Phase.COMMITTEE, 9)
        self.chain(ev.CommitteeDrawn, tuple(ev.ProverInfo(p.address, bytes(32), enc_public(p)) for p in PROVERS))
        self.chain(ev.PhaseChanged, Phase.REGISTER, 9)
        for k, identity in enumerate(DATA_OWNERS):
            digest = upload_key_digest(CONTEXT, identity.address, public_of(SECRET))
            self.chain(ev.Registered, k, identity.address, bytes(32), digest)
        self.uploaders = [0, 1, 2, REFERENCE] if self.params.uses_reference else [0, 1, 2]
        if self.params.uses_reference:
            self.chain(ev.ReferenceCommitted, made(self.params, REFERENCE).root)
        self.chain(ev.SetFixed, Bitmap.BUNDLES, 7)
        self.chain(ev.PhaseChanged, Phase.UPLOAD, 20)
        for k in self.uploaders:
            if k != REFERENCE:
                self.chain(ev.UploadCommitted, k, made(self.params, k).root)
            for i in set(range(5)) - lacking.get(k, set()):
                self.hand(i, upload(self.params, k, i))
        self.chain(ev.PhaseChanged, Phase.DELIVERED, 30)

    @property
    def everybody(self) -> int:
        return sum(1 << k for k in self.uploaders)

    def to_valid(self) -> Committee:
        """Everything is delivered."""
        self.chain(ev.SetFixed, Bitmap.DELIVERED, self.everybody)
        return self._enter(Phase.VALID)

    def to_batch(self, valid: int | None = None) -> Committee:
        """All, or these, are valid."""
        self.to_valid()
        self.chain(ev.SetFixed, Bitmap.VALID, self.everybody if valid is None else valid)
        return self._enter(Phase.BATCH)

    def _enter(self, phase: Phase) -> Committee:
        self.block += 1
        self.chain(ev.PhaseChanged, phase, self.block + 12)
        return self

    # -- inputs -----------------------------------------------------------------------------------------------------

    def chain(self, kind: type[ev.ChainEvent], *fields: object) -> None:
        """One event for everybody."""
        event = kind(7, self.block, *fields)
        for i in range(5):
            self._feed(i, "chain", event)
        self._settle()

    def tick(self) -> None:
        """The next block."""
        self.block += 1
        for i in range(5):
            self._feed(i, "tick", self.block)
        self._settle()

    def hand(self, i: int, message: msg.Message) -> list[fx.Effect]:
        """A message for one machine, through the codec."""
        data = codec.encode(message, CONTEXT)
        effects = self._feed(i, "message", codec.decode(data, CONTEXT, codec.limits_for(self.params)))
        self._settle()
        return effects

    def _feed(self, i: int, kind: str, value: Any) -> list[fx.Effect]:
        effects = feed(self.machines[i], kind, value)
        if effects or kind != "tick":
            self.inputs[i].append((kind, value))
        self.effects[i] += effects
        for effect in effects:
            if isinstance(effect, fx.Send):
                self._waiting.append((i, SEATS[effect.to], effect.message, False))
        return effects

    def _settle(self) -> None:
        """Deliver what can be delivered; who is not ready is asked again."""
        late: list[tuple[int, int, msg.Message, bool]] = []
        while self._waiting:
            sender, to, message, is_reply = parcel = self._waiting.pop(0)
            passed = self.passing(PROVERS[to].address, message)
            if passed is None:
                continue
            try:
                data = codec.encode(passed, CONTEXT)
                message = codec.decode(data, CONTEXT, codec.limits_for(self.params))
                effects = self._feed(to, "message", message)
            except RemoteProtocolError as error:
                if error.rule in ("too-early", "not-ready") and not is_reply:
                    late.append(parcel)
                continue
            for reply in effects:
                if isinstance(reply, fx.Reply):
                    self._waiting.append((to, sender, reply.message, True))
            self._waiting, late = self._waiting + late, []
        self._waiting = late

    # -- what came out ----------------------------------------------------------------------------------------------

    def calls(self, name: str) -> list[tuple[int, tuple[object, ...]]]:
        """(committee index, arguments)."""
        return [(i, e.args) for i in range(5) for e in self.effects[i] if isinstance(e, fx.Transact) and e.call == name]

    def sent(self, i: int, kind: type[msg.Message]) -> list[Any]:
        """What one machine sent, once for each receiver."""
        return [e.message for e in self.effects[i] if isinstance(e, fx.Send) and isinstance(e.message, kind)]

    def opening(self, i: int, label: str) -> msg.Opening:
        """What it opened under a label."""
        return next(m for m in self.sent(i, msg.Opening) if m.label == label)

    def rule_of(self, i: int, message: msg.Message) -> str:
        """The rule that a message breaks; it must break one, and change nothing."""
        before = self.machines[i].status()
        try:
            self.machines[i].receive(message)
        except RemoteProtocolError as error:
            assert self.machines[i].status() == before and error.peer == message.sender.hex()
            return error.rule
        raise AssertionError("accepted")

    def assert_replays(self) -> None:
        """Fresh machines ask for the same again."""
        for i in range(5):
            fresh = machine(i, self.params)
            again = [e for kind, value in self.inputs[i] for e in feed(fresh, kind, value)]
            assert again == self.effects[i] and fresh.status() == self.machines[i].status()


def feed(target: ZkProverMachine, kind: str, value: Any) -> list[fx.Effect]:
    """One journaled input."""
    match kind:
        case "chain":
            return target.chain(value)
        case "tick":
            return target.tick(value)
    return target.receive(value)
