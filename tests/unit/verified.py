"""A machine of mode verified in memory: the chain's events by hand, and the provers' keys to open what it sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from omninode.reproduce.stage.node import Machine
from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.params import choose
from protocols.pine.transcript import Layout
from protocols.pine.upload import open_upload
from protocols.secagg.seal import open_sealed, upload_associated
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap, Mode, Phase
from protocols.sharing.shamir import combine
from protocols.wire import codec, eip712
from protocols.wire import messages as msg
from protocols.wire.context import Context
from tests.simulation.session import small_params
from tests.simulation.wallets import Wallets, enc_public

CONTEXT = Context(31337, b"\xcc" * 20, 7)
WALLETS = Wallets()
OWNER = WALLETS.new("owner")
DATA_OWNERS = [WALLETS.new(f"data owner {k}") for k in range(4)]
PROVERS = [WALLETS.new(f"prover {i}") for i in range(10)]
N, T = 5, 1


class World:
    """One machine and everything that it asked for. ``committee``: which of PROVERS are drawn."""

    def __init__(self, make: Callable[[], Machine], first: int = 0, **changes: Any) -> None:
        self.make, self.machine = make, make()
        self.params = small_params(mode=Mode.VERIFIED, owner=OWNER.address, groups=4, **changes)
        self.pine = choose(self.params.dimension, self.params.bound)
        self.committee = PROVERS[first : first + N]
        self.inputs: list[tuple[str, Any]] = []
        self.effects: list[fx.Effect] = []
        self.block = 100
        rng = np.random.default_rng(7)
        self.update: npt.NDArray[np.int64] = rng.integers(-700, 700, self.params.dimension)

    # -- inputs -----------------------------------------------------------------------------------------------------

    def feed(self, kind: str, value: Any) -> list[fx.Effect]:
        """One input; kept for a replay unless it raises."""
        effects = feed(self.machine, kind, value)
        self.inputs.append((kind, value))
        self.effects += effects
        return effects

    def emit(self, kind: type[ev.ChainEvent], *fields: object) -> list[fx.Effect]:
        return self.feed("chain", kind(7, self.block, *fields))

    def phase(self, phase: Phase, deadline: int = 0) -> list[fx.Effect]:
        return self.emit(ev.PhaseChanged, phase, deadline or self.block + 6)

    def fix(self, kind: Bitmap, *members: int) -> list[fx.Effect]:
        return self.emit(ev.SetFixed, kind, sum(1 << k for k in members))

    def tick(self, blocks: int = 1) -> list[fx.Effect]:
        out = []
        for _ in range(blocks):
            self.block += 1
            out += self.feed("tick", self.block)
        return out

    def train(self) -> list[fx.Effect]:
        return self.feed("update", self.update)

    def send(self, message: msg.Message) -> list[fx.Effect]:
        """A message to the machine, through the codec."""
        data = codec.encode(message, CONTEXT)
        return self.feed("message", codec.decode(data, CONTEXT, codec.limits_for(self.params)))

    # -- the story --------------------------------------------------------------------------------------------------

    def draw(self) -> list[fx.Effect]:
        """Up to phase REGISTER."""
        out = self.emit(ev.SessionCreated, self.params)
        out += self.phase(Phase.COMMITTEE)
        infos = tuple(ev.ProverInfo(p.address, bytes(32), enc_public(p)) for p in self.committee)
        return out + self.emit(ev.CommitteeDrawn, infos) + self.phase(Phase.REGISTER)

    def register(self, *members: int) -> None:
        for index, k in enumerate(members or range(4)):
            self.emit(ev.Registered, index, DATA_OWNERS[k].address, bytes(32), bytes(32))

    def to_upload(self) -> list[fx.Effect]:
        """Registration is over."""
        self.draw()
        self.register()
        self.fix(Bitmap.BUNDLES, 0, 1, 2, 3)
        return self.phase(Phase.UPLOAD)

    def receipt(self, i: int, root: bytes, address: bytes) -> msg.Receipt:
        """The receipt of the prover with committee index i."""
        prover = self.committee[i]
        digest = eip712.receipt_digest(CONTEXT, address, root, i)
        return msg.Receipt(prover.address, address, root, prover.sign(digest))

    # -- what came out ----------------------------------------------------------------------------------------------

    def calls(self, name: str = "") -> list[fx.Transact]:
        return [e for e in self.effects if isinstance(e, fx.Transact) and name in ("", e.call)]

    def notes(self, name: str) -> list[dict[str, object]]:
        return [dict(e.fields) for e in self.effects if isinstance(e, fx.Note) and e.name == name]

    def uploads(self) -> dict[bytes, msg.Upload]:
        """By receiver."""
        return {e.to: e.message for e in self.effects if isinstance(e, fx.Send) and isinstance(e.message, msg.Upload)}

    def share(self, i: int) -> Vector:
        """What the prover with committee index i finds in its piece."""
        prover = self.committee[i]
        upload = self.uploads()[prover.address]
        associated = upload_associated(upload.sender, prover.address)
        plain = open_sealed(CONTEXT, prover.enc_secret, upload.enc_key, associated, upload.sealed)
        return open_upload(
            self.pine, CONTEXT, upload.sender, i + 1, N, upload.root, upload.proof, upload.public, plain
        ).share

    def secret(self, *points: int) -> Vector:
        """The shared vector, from the shares at t + 1 of the points."""
        return combine(list(points), [self.share(x - 1) for x in points])

    def uploaded_vector(self) -> npt.NDArray[np.int64]:
        return gl.to_signed(self.secret(2, 5)[Layout(self.pine).x])

    def assert_replays(self) -> None:
        """A fresh machine asks for the same again, and needs no tick that had no effects."""
        full, sparse = self.make(), self.make()
        again: list[fx.Effect] = []
        for kind, value in self.inputs:
            effects = feed(full, kind, value)
            again += effects
            if effects or kind != "tick":
                assert feed(sparse, kind, value) == effects
        assert again == self.effects
        assert full.status() == sparse.status() == self.machine.status()


def feed(machine: Machine, kind: str, value: Any) -> list[fx.Effect]:
    """One journaled input."""
    match kind:
        case "chain":
            return machine.chain(value)
        case "tick":
            return machine.tick(value)
        case "message":
            return machine.receive(value)
    effects: list[fx.Effect] = machine.update_ready(value)  # type: ignore[attr-defined]
    return effects


def rule_of(machine: Machine, message: msg.Message) -> str:
    """The rule that a message breaks; it must break one, and change nothing."""
    before = machine.status()
    try:
        machine.receive(message)
    except RemoteProtocolError as error:
        assert machine.status() == before and error.peer == message.sender.hex()
        return error.rule
    raise AssertionError("accepted")
