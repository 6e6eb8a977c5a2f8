"""The published rule for the next terms, from the chain: what is public of a settled session, and what follows from it.

The owner computes its next document with it, data owners and `session verify` hold documents against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from omninode.learning import precision
from omninode.learning.document import SessionDocument
from omninode.roles.outcome import bits, owners_in
from omninode.roles.verify_chain import calls
from omninode.roles.verify_scores import DISTANCE_RULES, LOW
from protocols.gram.distances import from_upper
from protocols.selection import tuning
from protocols.sessions.limits import most_bound
from protocols.sessions.params import REFERENCE, Bitmap, Mode
from protocols.sessions.view import SessionView
from protocols.zk.params import Statement

if TYPE_CHECKING:
    from omninode.chain.market import Market

RACE_BLOCKS = 16
"""A session that was settled so shortly before the next one was created need not be the one that is followed."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A session and when it was created. call: arguments of the transaction that settled it, None if not found.

    rival: the owner's latest session, after this one, that was settled in time to be followed instead; 0 for none.
    """

    view: SessionView
    call: Mapping[str, Any] | None = None
    rival: int = 0

    @property
    def outcome(self) -> tuning.Outcome:
        """What is public of it. Only with a batch."""
        return outcome_of(self.view, self.call)


@dataclass(frozen=True, slots=True)
class Next:
    """Terms of a session that follows another: bound in units of 2^-frac_bits, those of the followed session."""

    follows: int
    bound: int
    frac_bits: int
    server_lr: int
    kind: str

    def bound_at(self, frac_bits: int) -> int:
        """The bound in units of 2^-frac_bits: floor(B 2^frac_bits), at least 1."""
        return precision.rescaled(self.bound, self.frac_bits, frac_bits)


def outcome_of(view: SessionView, call: Mapping[str, Any] | None) -> tuning.Outcome:
    """What anybody can read of a session with a batch: events, and arguments of its postBatch or postProof.

    Values that do not have the form of this session's are as good as none.
    """
    assert view.batch is not None
    valid, accepted = owners_in(view.sets.get(Bitmap.VALID, 0)), owners_in(view.batch.accepted)
    bare = tuning.Outcome(valid, accepted, most_bound(view.p))
    try:
        return replace(bare, **_values(view, call, valid))
    except ValueError:
        return bare


def _values(view: SessionView, call: Mapping[str, Any] | None, valid: int) -> dict[str, Any]:
    """Fields of ``Outcome``. ValueError for values of another form."""
    assert view.batch is not None
    p = view.p
    if p.mode == Mode.GROUPED and call is not None:
        passed = [r for r in bits(view.batch.passed) if r < len(view.groups)]
        apart = from_upper(len(passed), call["values"])
        sizes = tuple(len(view.within(Bitmap.VALID, r)) for r in passed)
        return {"distances": tuple(map(tuple, apart)), "sizes": sizes}
    if p.zk and call is not None:
        return _proved(view, call["values"], valid)
    if view.scores:
        known = [value & LOW for value in view.scores]
        # whom the reference refuses has no positive score; whom distances refuse may have any
        refused = 0 if p.rule in DISTANCE_RULES else valid - len(known)
        return {"scores": (*known, *[0] * refused)}
    return {}


def _proved(view: SessionView, data: bytes, valid: int) -> dict[str, Any]:
    from protocols.zk.statement import decode_values  # behind it is the arithmetic of the curve

    if view.p.statement is Statement.GRAM and len(data) == 16 * (valid * (valid + 1) // 2):
        values = decode_values(data)
        return {"norms": tuple(values[k * (k + 3) // 2] for k in range(valid))}
    referenced = view.in_set(Bitmap.VALID, REFERENCE)
    if view.p.statement is Statement.SCORE and referenced and len(data) == 16 * valid:
        return {"scores": decode_values(data)}
    return {}


def next_of(followed: Followed, document: SessionDocument) -> Next:
    """What the rule says. document: of the followed session."""
    p, outcome = followed.view.p, followed.outcome
    bound, rate = tuning.next_terms(p.bound, document.server_lr, p.frac_bits, outcome)
    return Next(followed.view.session, bound, p.frac_bits, rate, outcome.kind)


def settled(view: SessionView) -> bool:
    """Whether a session has an output, on chain."""
    return view.params is not None and view.batch is not None and view.aborted is None and bool(view.batch.accepted)


async def read_view(market: Market, session: int) -> SessionView:
    """A session from the chain; without parameters if there is none. Raises ChainError."""
    view = SessionView(session)
    for event in await market.session_events(session):
        view.apply(event)
    return view


async def read_followed(market: Market, session: int, follower: SessionView) -> tuple[Followed, int]:
    """Session ``session`` as one that ``follower`` follows, and the block in which that one was created.

    Raises ChainError.
    """
    owner = follower.p.owner
    created = await market.created_by(owner)
    block = created.get(follower.session, 0)
    view = await read_view(market, session)
    if not settled(view) or view.p.owner != owner:
        return Followed(view), block
    between = [k for k in created if session < k < follower.session]
    rival = await _latest(market, between, block - RACE_BLOCKS)
    return Followed(view, await settling_call(market, view), rival.session if rival else 0), block


async def last_of(market: Market, owner: bytes) -> Followed | None:
    """What the owner's next session has to follow; None where it has no settled session. Raises ChainError."""
    view = await _latest(market, list(await market.created_by(owner)), None)
    return Followed(view, await settling_call(market, view)) if view is not None else None


async def _latest(market: Market, sessions: list[int], before: int | None) -> SessionView | None:
    """The one with the highest number that is settled, in a block below ``before`` if that is given."""
    for session in sorted(sessions, reverse=True):
        view = await read_view(market, session)
        if settled(view) and (before is None or (view.batch is not None and view.batch.block < before)):
            return view
    return None


async def settling_call(market: Market, view: SessionView) -> Mapping[str, Any] | None:
    """Arguments of the transaction that settled a session; None if it was no call of the market itself."""
    assert view.batch is not None
    posted = await calls(market, view.session, "postProof" if view.p.zk else "postBatch", view.batch.block)
    return posted[0] if posted else None
