"""Certificate zk: the proof of a batch, made by all provers together in six openings, none of which reveals a share.

    values --> S --> q --> A --> E --> W        (labels "zk-values" .. "zk-W"; A and E leave together)

An opening counts as soon as D + 1 + t messages agree, D being its degree: then no later message changes it. Messages
off it are lies, whenever they come. Who lacks a share says nothing, but learns the proof like everybody.

One attempt: its digest is remembered before anything is opened, posted or summed, and all sharings of zero and of
random elements have labels made of it. Two different values under one label would leak their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocols.bn254 import fr
from protocols.sessions.effects import Effect, Note, Remember
from protocols.sessions.params import REFERENCE, Bitmap, Phase
from protocols.sessions.prover_decode import name_liars
from protocols.sessions.prover_desk import Desk
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.setup import SeedSetup
from protocols.sessions.zk_judgement import by_address, judge, statement_of
from protocols.sessions.zk_pieces import ZkPieces
from protocols.sessions.zk_records import Records
from protocols.wire.messages import Opening
from protocols.zk.committee import REFERENCE as REFERENCE_SHARE
from protocols.zk.committee import Prover, Seat
from protocols.zk.decode import Table
from protocols.zk.errors import Refused
from protocols.zk.opening import Step, steps_of
from protocols.zk.params import Statement
from protocols.zk.statement import encode_values

LABEL = "zk-"
NAMES = ("values", "S", "q", "A", "E", "W")
AT_Z, MASKED = NAMES.index("A"), NAMES.index("E")


@dataclass
class Openings:
    """values: what is decoded, step by step.  failed: it is what no honest provers open; there is no batch then."""

    desk: Desk
    pieces: ZkPieces
    records: Records
    rebuild: Rebuild
    setup: SeedSetup
    values: list[Table] = field(default_factory=list)
    failed: bool = False
    _received: dict[int, dict[int, Table]] = field(default_factory=dict)  # step -> point -> message
    _counted: dict[int, int] = field(default_factory=dict)  # step -> messages when it was last decoded
    _prover: Prover | None = field(default=None, repr=False)
    _remembered: bool = False

    # -- what is proved ---------------------------------------------------------------------------------------------

    @property
    def statement(self) -> Statement:
        """Once U is fixed."""
        return statement_of(self.desk.view.p, self.desk.view.sets.get(Bitmap.VALID, 0))

    @property
    def owners(self) -> list[int]:
        """Valid data owners by increasing address: the order of the batch."""
        members = self.desk.members(Bitmap.VALID)
        return by_address({k: self.desk.view.uploader(k) for k in members if k != REFERENCE})

    @property
    def enough(self) -> bool:
        """Whether there are valid data owners for an output; if not there is nothing to prove."""
        return len(self.owners) >= self.desk.view.p.min_accepted

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is opened."""
        statement = self.statement
        opens = self.enough and statement != Statement.NONE
        return steps_of(statement, len(self.owners), self.desk.t) if opens else ()

    @property
    def ready(self) -> bool:
        """Whether U is fixed and every record of it is here."""
        members = self.desk.members(Bitmap.VALID)
        return self.desk.settling and all(self.records.public(k) is not None for k in members)

    @property
    def done(self) -> bool:
        """Whether everything is opened."""
        return self.ready and not self.failed and len(self.values) == len(self.steps)

    @property
    def products(self) -> tuple[int, ...]:
        """The opened inner products, as signed integers; empty while they are not."""
        return tuple(fr.signed(x) for x in fr.integers(self.values[0])) if self.values else ()

    @property
    def mask(self) -> int:
        """Who is accepted, in the order of ``owners``."""
        return self._select(self.products)

    def _select(self, values: Sequence[int]) -> int:
        view = self.desk.view
        return judge(view.p, self.statement, self.owners, len(view.members), values).mask

    # -- messages ---------------------------------------------------------------------------------------------------

    def receive(self, message: Opening) -> list[Effect]:
        """Another prover's message of a step, kept if it is early. Its first word counts; late ones only show lies."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        index, steps = NAMES.index(message.label.removeprefix(LABEL)), self.steps
        if not steps:
            raise desk.refuse("unknown-label", message, "nothing is opened in this session")
        if message.present != desk.view.sets[Bitmap.VALID]:
            raise desk.refuse("wrong-set", message, "an opening of another batch")
        try:
            table = steps[index].read(message.values)
        except ValueError as error:
            raise desk.refuse("bad-values", message, str(error)) from None
        known = self._received.setdefault(index, {}).setdefault(point, table)
        if (known != table).any():
            raise desk.refuse("opened-twice", message, "another opening came before")
        return []

    def progress(self) -> list[Effect]:
        """Open what can be opened, decode what has come, until neither gives anything."""
        desk, effects = self.desk, list[Effect]()
        if not self.ready or self.failed:
            return effects
        effects += self._remember()
        while not self.failed:
            effects += self._speak()
            found = self._decode()
            if found is None:
                break
            effects += found
        if desk.view.batch is not None:
            self._prover = None
        return effects

    def _decode(self) -> list[Effect] | None:
        """The first step of which more has come: decoded, its liars named. None if there is none."""
        desk = self.desk
        for index, step in enumerate(self.steps[: len(self.values) + 1]):
            received = self._received.get(index, {})
            if len(received) == self._counted.get(index, 0):
                continue
            self._counted[index] = len(received)
            decoded = step.decode(received, step.degree + 1 + desk.t)
            if decoded is None:
                continue
            if index == len(self.values):
                self.values.append(decoded.values)
                if index == 0 and (refused := self._refused()):
                    return refused
            return name_liars(desk, set(decoded.liars), LABEL + step.name)
        return None

    def _refused(self) -> list[Effect]:
        """Inner products beyond 128 bits are none: more than t provers lie, and nothing follows from what they say."""
        try:
            encode_values(self.products)
        except Refused as error:
            self.failed, self._prover = True, None
            return [Note("opening_failed", (("check", str(error.check)),))]
        return []

    # -- our part ---------------------------------------------------------------------------------------------------

    def _speak(self) -> list[Effect]:
        """Our messages of the steps that are possible by now, each once."""
        desk, effects = self.desk, list[Effect]()
        spoken = sum(desk.point in received for received in self._received.values())
        if desk.view.phase != Phase.BATCH or spoken == len(self.steps) or not self._able():
            return effects
        if self._prover is None:
            self._prover = self._make()
        try:
            return effects + self._advance(self._prover, spoken)
        except Refused as error:
            self.failed, self._prover = True, None
            return [*effects, Note("opening_failed", (("check", str(error.check)),))]

    def _advance(self, prover: Prover, spoken: int) -> list[Effect]:
        desk, effects = self.desk, list[Effect]()
        for index in range(len(self.steps)):
            reached = len(self.values)
            if index >= spoken and (index <= reached or (index, reached) == (MASKED, AT_Z)):
                effects += self._say(index, prover.message(index))
            if index < reached and index == prover.position:
                prover.accept(index, self.values[index])
        if desk.point in self._received.get(len(self.steps) - 1, {}):
            self._prover = None  # vectors of the size of an update: nothing of them is needed any more
        return effects

    def _say(self, index: int, data: bytes) -> list[Effect]:
        desk, step = self.desk, self.steps[index]
        self._received.setdefault(index, {})[desk.point] = step.read(data)
        valid = desk.view.sets[Bitmap.VALID]
        return desk.broadcast(Opening(desk.identity.address, LABEL + step.name, valid, data))

    def _able(self) -> bool:
        """Whether every seed and every share is here."""
        return self.setup.complete and all(self.rebuild.has(k) for k in self.desk.members(Bitmap.VALID))

    @property
    def remembered(self) -> bool:
        """Whether it is written down what this session proves: before that nothing may be opened, posted or summed."""
        return self._remembered

    def _remember(self) -> list[Effect]:
        """Under every statement: sums over two sets would show what is in one of them only."""
        if self._remembered or not self.enough:
            return []
        self._remembered = True
        return [Remember("zk-attempt", self._attempt())]

    def _attempt(self) -> bytes:
        """What may be proved once only: these records, under this session's key."""
        desk, owners = self.desk, self.desk.members(Bitmap.VALID)
        valid = desk.view.sets[Bitmap.VALID].to_bytes(32, "big")
        return desk.context.bind("zk-attempt", self.pieces.sess, valid, *(self.records.seen(k).t3 for k in owners))

    def _make(self) -> Prover:
        desk, owners, statement = self.desk, self.owners, self.statement
        label = desk.label("zk", self._attempt(), bytes([statement]))
        seat = Seat(desk.point, desk.n, desk.t, self.setup.seeds(), label)

        def share(k: int) -> fr.Vector:
            found = self.rebuild.share(REFERENCE if k == REFERENCE_SHARE else owners[k])
            assert found is not None
            return found

        seen = [self.records.seen(k) for k in owners]
        reference = self.records.seen(REFERENCE) if statement == Statement.SCORE else None
        return Prover(self.pieces.key, self.pieces.sess, seen, share, seat, self._select, reference)
