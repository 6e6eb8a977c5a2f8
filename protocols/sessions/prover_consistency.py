"""First of all: are a data owner's pieces on one polynomial? Openings, outliers, published pieces, and the bitmap U."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocols.fields import goldilocks as gl
from protocols.secagg.upload import unpack_piece, verify_upload
from protocols.sessions.effects import Blame, Effect, Note, Remember, Transact
from protocols.sessions.params import Beacon, Bitmap, Phase
from protocols.sessions.prover_decode import name_liars, read_values, settled
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sharing.consistency import Status, Verdict, check, combine_share, weights
from protocols.sharing.shamir import open_piece
from protocols.wire.messages import Opening, ShareOpening

LABEL = "consistency"


@dataclass
class Consistency:
    """off: data owners whose piece for us, though committed, is not on the others' polynomial (we rebuild it)."""

    desk: Desk
    uploads: UploadDesk
    off: set[int] = field(default_factory=set)
    _ours: set[int] = field(default_factory=set)  # checked, and on it
    _opened: dict[int, dict[int, int]] = field(default_factory=dict)  # point -> data owner -> value
    _verdicts: dict[int, Verdict] | None = None
    _published: dict[tuple[int, int], bool] = field(default_factory=dict)  # (data owner, point) -> opened what it holds
    _posted: bool = False

    # -- messages ---------------------------------------------------------------------------------------------------

    def receive(self, message: Opening) -> list[Effect]:
        """The combinations of another prover. Its first word counts; late ones only tell about our own pieces."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.VALID, message)
        owners = bits(message.present)
        values = read_values(desk, message, len(owners))
        if message.present & ~desk.view.sets[Bitmap.DELIVERED]:
            raise desk.refuse("wrong-set", message, "combinations of data owners that did not deliver")
        opened = dict(zip(owners, values.tolist(), strict=True))
        if self._opened.setdefault(point, opened) != opened:
            raise desk.refuse("opened-twice", message, "another opening came before")
        return []

    def share_opening(self, message: ShareOpening) -> list[Effect]:
        """The committed piece of an outlier: did it open what it holds?"""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.VALID, message)
        if self._verdicts is None:  # we may know less than the sender; it tries again
            raise desk.refuse("too-early", message, "not judged yet")
        value = self._opened.get(point, {}).get(message.index)
        verdict = self._verdicts.get(message.index)
        if (message.index, point) in self._published:
            return []
        if self._posted or value is None or verdict is None or point not in verdict.outliers:
            return []
        self._published[message.index, point] = self._combine(message, point) == value
        return []

    def _combine(self, message: ShareOpening, point: int) -> int:
        """The combination of a published piece. RemoteProtocolError unless it is the committed one."""
        desk, view = self.desk, self.desk.view
        member, length = view.members[message.index], view.p.dimension + 1
        root = view.upload_roots[message.index]
        if message.root != root or not verify_upload(
            desk.context, member.address, point, root, message.proof, desk.n, message.blind, message.piece
        ):
            raise desk.refuse("bad-proof", message, "not the piece committed for the sender")
        try:
            share = open_piece(unpack_piece(message.piece, length), length)
        except ValueError as error:
            raise desk.refuse("bad-piece", message, str(error)) from None
        return combine_share(share, self._weights(message.index))

    # -- steps ------------------------------------------------------------------------------------------------------

    def progress(self) -> list[Effect]:
        """Open when the beacon is known, judge when everybody has opened, vote when every outlier has spoken."""
        effects: list[Effect] = []
        if self.desk.settling:
            self._check_ours()
        if self.desk.view.phase != Phase.VALID or self._posted:
            return effects
        if self.desk.point not in self._opened:
            effects += self._open()
        if self._verdicts is None and len(self._opened) == self.desk.n:
            effects += self._judge()
        if self._verdicts is not None and not self._waiting():
            effects += self._vote()
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Judge with what is there when half of the time is over; vote at the cut; later doubt our own pieces."""
        if self.desk.view.phase == Phase.BATCH and block > self.desk.view.phase_block:
            return self._give_up_ours()
        if self.desk.view.phase != Phase.VALID or self._posted or self.desk.point not in self._opened:
            return []
        effects: list[Effect] = []
        if self._verdicts is None and block >= self.desk.share_of_window(1, 2):
            effects += self._judge()
        if self._verdicts is not None and (block >= self.desk.cut() or not self._waiting()):
            effects += self._vote()
        return effects

    def _weights(self, index: int) -> gl.Vector:
        view = self.desk.view
        label = self.desk.context.bind(LABEL, view.members[index].address)
        return weights(view.beacons[Beacon.QUERY], label, view.p.dimension)

    def _open(self) -> list[Effect]:
        desk = self.desk
        owners = [k for k in desk.members(Bitmap.DELIVERED) if k in self.uploads.held]
        values = [combine_share(self.uploads.held[k].share, self._weights(k)) for k in owners]
        self._opened[desk.point] = dict(zip(owners, values, strict=True))
        message = Opening(desk.identity.address, LABEL, bitmap(owners), gl.to_bytes(gl.vector(values)))
        return [Remember("query-beacon", desk.view.beacons[Beacon.QUERY]), *desk.broadcast(message)]

    def _judge(self) -> list[Effect]:
        desk = self.desk
        verdicts = {k: self._verdict(k) for k in desk.members(Bitmap.DELIVERED)}
        self._verdicts = {k: verdict for k, verdict in verdicts.items() if verdict is not None}
        ours = self._opened[desk.point]
        self.off = {k for k, verdict in self._verdicts.items() if desk.point in verdict.outliers}
        bad = {k for k, verdict in self._verdicts.items() if verdict.status == Status.INCONSISTENT and k in ours}
        counts = ("openings", len(self._opened)), ("owners", len(verdicts)), ("judged", len(self._verdicts))
        effects: list[Effect] = [Note("consistency_judged", counts)]
        for k in sorted(self.off | bad):  # nobody honest is ever seen so: nothing of anybody honest is published
            effects += desk.broadcast(self.uploads.held[k].opening(desk.identity.address, k))
            self._published[k, desk.point] = True
        return effects

    def _verdict(self, index: int) -> Verdict | None:
        """None: too few openings to say anything."""
        values = {point: opened[index] for point, opened in self._opened.items() if index in opened}
        if len(values) >= 3 * self.desk.t + 1:
            return check(values, self.desk.t)
        agreeing = max(len(values), 2 * self.desk.t + 1)  # liars cannot be told from others: all must agree
        fits = settled({x: gl.vector([y]) for x, y in values.items()}, self.desk.t, agreeing)
        return Verdict(Status.CONSISTENT) if fits else None

    def trusted(self, index: int) -> bool:
        """Whether our piece of this data owner is known to be on the others' polynomial."""
        return index in self._ours

    def _check_ours(self) -> None:
        """U is fixed: is our own piece on the polynomial that the others vouch for?

        With a bad piece we would look like a liar in every later opening. 2t + 1 others that agree hold t + 1 honest
        ones, which fix the polynomial; our own value must not help to choose it.
        """
        desk = self.desk
        ours = self._opened.get(desk.point, {})
        for k in sorted((ours.keys() - self._ours - self.off).intersection(desk.members(Bitmap.VALID))):
            others = {x: gl.vector([o[k]]) for x, o in self._opened.items() if k in o and x != desk.point}
            decoded = settled(others, desk.t, 2 * desk.t + 1, desk.point)
            if decoded is not None:
                (self._ours if int(decoded.values[0]) == ours[k] else self.off).add(k)

    def _give_up_ours(self) -> list[Effect]:
        """A block into the batch phase: pieces that the others' openings do not vouch for are rebuilt as well."""
        doubtful = self._opened.get(self.desk.point, {}).keys() - self._ours - self.off
        doubtful &= set(self.desk.members(Bitmap.VALID))
        self.off |= doubtful
        return [Note("pieces_doubted", (("data_owners", tuple(sorted(doubtful))),))] if doubtful else []

    def _waiting(self) -> bool:
        """Whether an outlier has not spoken of whom that would change something."""
        verdicts = self._verdicts or {}
        return any((k, x) not in self._published for k, v in verdicts.items() for x in v.outliers if self._in_doubt(k))

    def _in_doubt(self, index: int) -> bool:
        """Not yet shown to have dealt a piece that is off."""
        return not any(shown for (k, _), shown in self._published.items() if k == index)

    def _vote(self) -> list[Effect]:
        self._posted = True
        desk, effects = self.desk, list[Effect]()
        good: set[int] = set()
        for k, verdict in (self._verdicts or {}).items():
            if verdict.status == Status.INCONSISTENT or not self._in_doubt(k):
                effects.append(Blame(desk.view.members[k].address, "inconsistent-sharing"))
                continue
            good.add(k)
            lied = {x for x in verdict.outliers if (k, x) in self._published}  # silent ones may have been lied to
            effects += name_liars(desk, lied, LABEL)
        vote = Transact("postBitmap", (int(Bitmap.VALID), bitmap(good)), key="postBitmap-VALID")
        return [*effects, vote]
