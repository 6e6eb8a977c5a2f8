"""First of all: are the pieces of a data owner on one polynomial? Openings, verdicts, published pieces of outliers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from protocols.fields import goldilocks as gl
from protocols.sessions.effects import Effect, Note, Remember
from protocols.sessions.params import Beacon, Bitmap, Phase
from protocols.sessions.prover_decode import read_values, settled
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sharing.consistency import Status, Verdict, check, combine_share, weights
from protocols.wire.messages import Opening, ShareOpening

LABEL = "consistency"
CLAIMS = "outliers"


@dataclass
class Consistency:
    """off: data owners whose piece for us, though committed, is not on the others' polynomial (we rebuild it).

    verdicts: by data owner, where there are enough openings to say anything; None before we judge.  closed: we have
    voted, published pieces change nothing any more.

    thorough (mode verified): who was not judged when half of the time was over still can be; and provers tell each
    other whom they see off ("outliers"). t + 1 who see us off hold an honest one, who never does so with an honest data
    owner: then, and when we see it ourselves, we publish our piece, and never else. So liars that show two faces to
    different provers cannot keep a data owner in U whose pieces are on two polynomials: t + 1 honest ones on one of
    them would make each honest one on the other publish; fewer are not enough to ever open anything there.
    """

    desk: Desk
    uploads: UploadDesk[Any]
    thorough: bool = False
    off: set[int] = field(default_factory=set)
    verdicts: dict[int, Verdict] | None = None
    closed: bool = False
    _heard: int = 0  # openings when we last judged
    _ours: set[int] = field(default_factory=set)  # checked, and on it
    _opened: dict[int, dict[int, int]] = field(default_factory=dict)  # point -> data owner -> value
    _published: dict[tuple[int, int], bool] = field(default_factory=dict)  # (data owner, point) -> opened what it holds
    _claims: dict[int, dict[int, set[int]]] = field(default_factory=dict)  # data owner -> sender -> whom it sees off

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
        if self.verdicts is None:  # we may know less than the sender; it tries again
            raise desk.refuse("too-early", message, "not judged yet")
        value = self._opened.get(point, {}).get(message.index)
        verdict = self.verdicts.get(message.index)
        if (message.index, point) in self._published:
            return []
        if self.closed or value is None or verdict is None or point not in verdict.outliers:
            return []
        share = self.uploads.pieces.published(message, point)
        self._published[message.index, point] = combine_share(share, self._weights(message.index)) == value
        return []

    # -- steps ------------------------------------------------------------------------------------------------------

    def progress(self) -> list[Effect]:
        """Open when the beacon is known, judge when everybody has opened."""
        effects: list[Effect] = []
        if self.desk.settling:
            self._check_ours()
        if self.desk.view.phase != Phase.VALID or self.closed:
            return effects
        if self.desk.point not in self._opened:
            effects += self._open()
        heard = len(self._opened)
        more = self.thorough and self.verdicts is not None and bool(self.undecided) and heard > self._heard
        if more or (self.verdicts is None and heard == self.desk.n):
            effects += self._judge()
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Judge with what is there when half of the time is over; later doubt our own pieces."""
        view = self.desk.view
        served = self.thorough and view.phase == Phase.OUTPUT  # nothing had to be opened for the batch
        if served or (view.phase == Phase.BATCH and block > view.phase_block):
            return self._give_up_ours()
        if view.phase != Phase.VALID or self.closed or self.desk.point not in self._opened:
            return []
        if self.verdicts is None and block >= self.desk.share_of_window(1, 2):
            return self._judge()
        return []

    def _weights(self, index: int) -> gl.Vector:
        view = self.desk.view
        label = self.desk.context.bind(LABEL, view.uploader(index))
        return weights(view.beacons[Beacon.QUERY], label, self.uploads.pieces.length - 1)

    def _open(self) -> list[Effect]:
        desk = self.desk
        owners = [k for k in desk.members(Bitmap.DELIVERED) if k in self.uploads.held]
        values = [combine_share(self.uploads.held[k].share, self._weights(k)) for k in owners]
        self._opened[desk.point] = dict(zip(owners, values, strict=True))
        message = Opening(desk.identity.address, LABEL, bitmap(owners), gl.to_bytes(gl.vector(values)))
        return [Remember("query-beacon", desk.view.beacons[Beacon.QUERY]), *desk.broadcast(message)]

    @property
    def undecided(self) -> list[int]:
        """Delivered, and not judged yet."""
        return [k for k in self.desk.members(Bitmap.DELIVERED) if k not in (self.verdicts or {})]

    def _judge(self) -> list[Effect]:
        desk, ours, self._heard = self.desk, self._opened[self.desk.point], len(self._opened)
        found = {k: self._verdict(k) for k in self.undecided}
        fresh = {k: verdict for k, verdict in found.items() if verdict is not None}
        self.verdicts = (self.verdicts or {}) | fresh
        off = {k for k, verdict in fresh.items() if desk.point in verdict.outliers}
        bad = {k for k, verdict in fresh.items() if verdict.status == Status.INCONSISTENT and k in ours}
        self.off |= off
        counts = ("openings", len(self._opened)), ("owners", len(found)), ("judged", len(fresh))
        effects: list[Effect] = [Note("consistency_judged", counts)]
        effects += self._claim(fresh)
        for k in sorted(off if self.thorough else off | bad):  # nobody honest is ever seen so
            effects += self._publish(k)
        return effects

    def claims(self, message: Opening) -> list[Effect]:
        """Whom another prover sees off the polynomial: per data owner a bitmap of committee members."""
        desk, point = self.desk, self.desk.prover(message)
        desk.not_before(Phase.VALID, message)
        owners = bits(message.present)
        values = read_values(desk, message, len(owners))
        if message.present & ~desk.view.sets[Bitmap.DELIVERED] or any(value >> desk.n for value in values.tolist()):
            raise desk.refuse("wrong-set", message, "data owners that did not deliver, or no members of the committee")
        for k, value in zip(owners, values.tolist(), strict=True):
            self._claims.setdefault(k, {}).setdefault(point, {i + 1 for i in bits(value)})
        return self._answer()

    def _claim(self, fresh: dict[int, Verdict]) -> list[Effect]:
        """Tell everybody whom we see off."""
        off = {k: bitmap([x - 1 for x in verdict.outliers]) for k, verdict in fresh.items() if verdict.outliers}
        if not self.thorough or not off:
            return []
        values = gl.to_bytes(gl.vector([off[k] for k in sorted(off)]))
        return self.desk.broadcast(Opening(self.desk.identity.address, CLAIMS, bitmap(list(off)), values))

    def _answer(self) -> list[Effect]:
        """Publish what t + 1 others see off."""
        desk, effects = self.desk, list[Effect]()
        if desk.view.phase != Phase.VALID or self.closed:
            return effects
        for k in sorted(self._claims.keys() & self._opened.get(desk.point, {}).keys()):
            against = sum(desk.point in seen for seen in self._claims[k].values())
            if against > desk.t and (k, desk.point) not in self._published:
                effects += self._publish(k)
        return effects

    def _publish(self, index: int) -> list[Effect]:
        self._published[index, self.desk.point] = True
        return self.desk.broadcast(self.uploads.held[index].opening(self.desk.identity.address, index))

    def _values(self, index: int) -> dict[int, int]:
        return {point: opened[index] for point, opened in self._opened.items() if index in opened}

    def _verdict(self, index: int) -> Verdict | None:
        """None: too few openings to say anything.

        All honest provers that hold a piece of an honest data owner agree, and they are 2t + 1 at least (n - t say that
        it delivered): with 3t + 1 openings or more there are at most t errors, with fewer no more than are beyond
        2t + 1. Two different polynomials with 2t + 1 each would share more than t points.
        """
        values = self._values(index)
        if len(values) >= 3 * self.desk.t + 1:
            return check(values, self.desk.t)
        shares = {x: gl.vector([y]) for x, y in values.items()}
        fits = settled(shares, self.desk.t, 2 * self.desk.t + 1)
        if fits is None:
            return None
        return Verdict(Status.OUTLIERS if fits.error_points else Status.CONSISTENT, fits.error_points)

    @property
    def spoken(self) -> int:
        """How many provers have opened their combinations."""
        return len(self._opened)

    def fitting(self, index: int) -> set[int]:
        """Points that have opened the combination of this data owner and are on the polynomial of the others, by now.

        With them any t + 1 honest ones fix a polynomial that all honest ones among them are on, in every coordinate.
        """
        verdict = self._verdict(index)
        if verdict is None or verdict.status == Status.INCONSISTENT:
            return set()
        return self._values(index).keys() - set(verdict.outliers)

    # -- our own pieces ---------------------------------------------------------------------------------------------

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
        """A block into the batch phase: pieces that the others' openings do not vouch for are rebuilt as well.

        Unless nobody can help: 2t + 1 openings with ours are all that agree if t provers hold no piece and t others lie
        or say nothing. Without claims (see ``thorough``) all that there are must be alike.
        """
        doubtful = self._opened.get(self.desk.point, {}).keys() - self._ours - self.off
        doubtful &= set(self.desk.members(Bitmap.VALID))
        alike = {k for k in doubtful if self._good_enough(k)}
        self._ours |= alike
        self.off |= doubtful - alike
        notes = {"pieces_doubted": doubtful - alike, "pieces_trusted": alike}
        return [Note(name, (("data_owners", tuple(sorted(found))),)) for name, found in notes.items() if found]

    def _good_enough(self, index: int) -> bool:
        if self.thorough:
            return self.desk.point in self.fitting(index)
        values, t = self._values(index), self.desk.t
        shares = {x: gl.vector([y]) for x, y in values.items()}
        return settled(shares, t, max(len(values), 2 * t + 1)) is not None

    # -- for the vote -----------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether an outlier has not spoken of whom that would change something."""
        verdicts = self.verdicts or {}
        return any((k, x) not in self._published for k, v in verdicts.items() for x in v.outliers if self.in_doubt(k))

    def in_doubt(self, index: int) -> bool:
        """Not yet shown to have dealt a piece that is off."""
        return not any(shown for (k, _), shown in self._published.items() if k == index)

    def convicted(self, index: int) -> set[int]:
        """Outliers whose published piece is not what they opened. Silent ones may have been lied to."""
        return {x for (k, x), shown in self._published.items() if k == index and not shown}
