"""Documents that follow a session: the chain alone says what their terms must be, and who lies is told how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isqrt
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode.chain.errors import ChainError
from omninode.learning import precision
from omninode.learning.document import UNIT_LR, SessionDocument
from omninode.learning.presets import DIGITS
from omninode.net.errors import NetError
from omninode.roles import owner_tuning, tuning, verify_tuning
from omninode.roles.tuning import Next, outcome_of
from omninode.roles.verify_public import Findings
from omninode.roles.verify_tuning import CHECK, check_tuning, differs, problem, refuse_unless_by_rule
from protocols.selection.tuning import next_terms
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap, Mode, Payout, Rule
from protocols.sessions.view import SessionView
from tests.simulation.recorded import chain_events
from tests.simulation.session import Session, small_params

GROUPED: dict[str, Any] = {"mode": Mode.GROUPED}
TRUST: dict[str, Any] = {"mode": Mode.VERIFIED, "rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}
BITS, LAST = 8, 7
DOCUMENT = SessionDocument(
    model=DIGITS.model, weights=bytes(32), train=DIGITS.train, min_samples=50, frac_bits=BITS, bound=5000
)


def posted(session: Session) -> dict[str, Any]:
    """Arguments of the call that settled it, as far as the rule reads them."""
    asked = [e for node in session.committee() for e in node.effects if isinstance(e, fx.Transact)]
    at = {"postBatch": 1, "postProof": 1}
    return next({"values": e.args[at[e.call]]} for e in asked if e.call in at)


def view_of(events: list[ev.ChainEvent]) -> SessionView:
    view = SessionView(events[0].session)
    for event in events:
        view.apply(event)
    return view


# -- what is public -------------------------------------------------------------------------------------------------


def updates_of(session: Session) -> dict[int, np.ndarray[Any, np.dtype[np.int64]]]:
    """By registration index."""
    view = view_of(chain_events(session.owner))
    found = {}
    for node in session.owners:
        member = view.member_of(node.address)
        assert member is not None and node.update is not None
        found[member.index] = node.update
    return found


def test_a_grouped_session_shows_distances_of_group_means() -> None:
    session = Session(31, **GROUPED).run()
    view = view_of(chain_events(session.owner))
    outcome = outcome_of(view, posted(session))
    assert (outcome.kind, outcome.sizes, outcome.valid, outcome.accepted) == ("distances", (3, 3), 6, 6)
    updates = updates_of(session)
    sums = [np.sum([updates[k] for k in group], axis=0) for group in view.groups]
    apart = sums[0] - sums[1]
    assert outcome.distances[0][1] == int(apart @ apart)  # L = 3: 9 |A_0/3 - A_1/3|^2
    assert outcome_of(view, None).kind == "nothing"
    assert outcome_of(view, {"values": (1, 2, 3)}).kind == "nothing"


def test_scores_are_public_where_pay_goes_by_them_and_who_is_refused_has_none() -> None:
    session = Session(32, **TRUST)
    session.owners[1].update = -session.owners[1].update  # type: ignore[operator]
    session.run()
    view = view_of(chain_events(session.owner))
    outcome = outcome_of(view, posted(session))
    assert (outcome.kind, outcome.valid, outcome.accepted) == ("scores", 6, 5)
    assert session.owner.update is not None
    products = [int(update @ session.owner.update) for update in updates_of(session).values()]
    assert sorted(outcome.scores) == sorted(max(0, phi) for phi in products)
    assert outcome_of(view, None) == outcome  # in the event


def test_equal_pay_under_signatures_shows_nothing() -> None:
    session = Session(33, mode=Mode.VERIFIED, rule=Rule.TRUST).run()
    assert outcome_of(view_of(chain_events(session.owner)), posted(session)).kind == "nothing"


@pytest.mark.parametrize(("rule", "kind"), [(Rule.MULTI_KRUM, "norms"), (Rule.TRUST, "scores")])
def test_a_proved_session_shows_norms_or_scores(rule: Rule, kind: str) -> None:
    session = Session(34, zk=True, mode=Mode.VERIFIED, rule=rule).run()
    view = view_of(chain_events(session.owner))
    outcome = outcome_of(view, posted(session))
    assert (outcome.kind, outcome.valid) == (kind, 6)
    updates = updates_of(session).values()
    if kind == "norms":
        assert sorted(outcome.norms) == sorted(int(update @ update) for update in updates)
    else:
        assert session.owner.update is not None
        assert sorted(outcome.scores) == sorted(int(update @ session.owner.update) for update in updates)
    assert outcome_of(view, {"values": bytes(16)}).kind == "nothing"


# -- documents ------------------------------------------------------------------------------------------------------


@dataclass
class Chain:
    """What the rule asks of a market, and the documents that can be fetched."""

    events: dict[int, list[ev.ChainEvent]]
    values: dict[int, Any]
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    gone: bool = False

    async def session_events(self, session: int) -> list[ev.ChainEvent]:
        if self.gone:
            raise ChainError("the chain is gone")
        return self.events.get(session, [])

    async def created_by(self, owner: bytes) -> dict[int, int]:
        if self.gone:
            raise ChainError("the chain is gone")
        firsts = [events[0] for events in self.events.values()]
        return {e.session: e.block for e in firsts if isinstance(e, ev.SessionCreated) and e.params.owner == owner}

    async def fetch(self, digest: bytes) -> bytes:
        if digest not in self.blobs:
            raise NetError("nobody has it")
        return self.blobs[digest]

    def put(self, document: SessionDocument) -> bytes:
        self.blobs[document.digest()] = document.encode()
        return document.digest()

    def has_session(self, number: int, document: SessionDocument, *, after: int = 0, **changes: Any) -> SessionView:
        """Another session of the same owner, played as the first one was. after: blocks from its end."""
        events = self.events[LAST]
        moved = [replace(event, session=number, block=event.block + after) for event in events]
        assert isinstance(moved[0], ev.SessionCreated)
        terms = {"doc_digest": self.put(document), "bound": document.bound, "frac_bits": document.frac_bits}
        moved[0] = replace(moved[0], params=replace(moved[0].params, **{**terms, **changes}))
        self.events[number], self.values[number] = moved, self.values[LAST]
        return view_of(moved)

    @property
    def end(self) -> int:
        return self.events[LAST][-1].block

    @property
    def services(self) -> Any:
        wallet = SimpleNamespace(address=view_of(self.events[LAST]).p.owner)
        blobs = SimpleNamespace(read=self.read, has=lambda digest: True)
        return SimpleNamespace(market=self, net=None, wallet=wallet, blobs=blobs)

    def read(self, digest: bytes) -> bytes:
        return self.blobs[digest]


@pytest.fixture(scope="module")
def played() -> tuple[list[ev.ChainEvent], Any]:
    session = Session(35, **GROUPED).run()
    return chain_events(session.owner), posted(session)


@pytest.fixture
def chain(played: tuple[list[ev.ChainEvent], Any], monkeypatch: pytest.MonkeyPatch) -> Chain:
    """Session 7 with its document, and how its settling call is found."""
    events, call = played
    chain = Chain({LAST: list(events)}, {LAST: call})
    first = events[0]
    assert isinstance(first, ev.SessionCreated)
    chain.events[LAST][0] = replace(first, params=replace(first.params, doc_digest=chain.put(DOCUMENT)))

    async def calls(market: Any, session: int, name: str, block: int) -> list[Any]:
        return [chain.values[session]] if chain.values[session] is not None else []

    async def fetch_blob(net: Any, store: Any, digest: bytes, peers: Any, **limits: Any) -> Any:
        data = await chain.fetch(digest)
        return SimpleNamespace(read_bytes=lambda: data)

    monkeypatch.setattr(tuning, "calls", calls)
    monkeypatch.setattr(verify_tuning, "fetch_blob", fetch_blob)
    return chain


def by_rule(chain: Chain, frac_bits: int = BITS, **changes: Any) -> SessionDocument:
    """What an honest owner publishes after session 7."""
    view = view_of(chain.events[LAST])
    bound, rate = next_terms(5000, UNIT_LR, BITS, outcome_of(view, chain.values[LAST]))
    shifted = bound << frac_bits - BITS if frac_bits >= BITS else bound >> BITS - frac_bits
    terms = {"follows": LAST, "bound": shifted, "server_lr": rate, "frac_bits": frac_bits}
    return replace(DOCUMENT, **{**terms, **changes})


async def said(chain: Chain, document: SessionDocument, number: int = 9, **changes: Any) -> str:
    """What is wrong with it; every honest one says from what its terms come."""
    view = chain.has_session(number, document, after=chain.end + 1, **changes)
    services = chain.services
    wrong, why = await problem(services, view, document, chain.fetch)
    assert wrong or why.startswith(f"follows session {LAST}, from ") or not document.follows
    found = Findings()
    await check_tuning(found, services, view)
    assert [check["ok"] for check in found.checks] == ([not wrong] if wrong or document.follows else [])
    if document.follows and wrong:
        with pytest.raises(ValueError, match="terms do not hold: "):
            await refuse_unless_by_rule(services, view, document, chain.fetch)
    else:
        await refuse_unless_by_rule(services, view, document, chain.fetch)
    return wrong


@pytest.mark.parametrize("frac_bits", [BITS, 12, 4])
async def test_terms_by_the_rule_hold_in_any_fixed_point(chain: Chain, frac_bits: int) -> None:
    document = by_rule(chain, frac_bits)
    assert document.bound != 5000
    assert await said(chain, document) == ""


@given(st.integers(1, 1 << 30), st.integers(1, 16), st.integers(2, 1 << 20))
def test_the_fixed_point_of_certificate_zk_keeps_the_bound(bound: int, frac_bits: int, dimension: int) -> None:
    """What ``precision.proved`` makes of it, by way of the owner's usual 16 bits, is what all compute."""
    expected = Next(LAST, bound, frac_bits, UNIT_LR, "norms")
    try:
        fewer, shorter = precision.proved(dimension, expected.bound_at(16), 16)
    except ValueError:
        return
    assert differs(replace(DOCUMENT, frac_bits=fewer, bound=shorter, follows=LAST), expected) == ""


async def test_the_owner_makes_what_others_expect(chain: Chain) -> None:
    part = DOCUMENT.part
    following = await owner_tuning.by_rule(chain.services, DOCUMENT.model, part)
    assert following is not None
    document = by_rule(chain, 16)
    assert (following.follows, following.bound_at(16), following.server_lr) == (LAST, document.bound, UNIT_LR)
    params = view_of(chain.events[LAST]).p
    assert owner_tuning.note(True, document, params).endswith("by the published rule, from session 7")
    assert owner_tuning.note(True, DOCUMENT, params).endswith("are your own")
    assert owner_tuning.note(False, document, params) == ""
    chain.has_session(8, replace(DOCUMENT, public_layers=("fc3",), initial=bytes(32)))
    assert await owner_tuning.by_rule(chain.services, DOCUMENT.model, part) is None  # its updates were others
    chain.events = {k: events[:1] for k, events in chain.events.items()}
    assert await owner_tuning.by_rule(chain.services, DOCUMENT.model, part) is None  # none is settled


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({}, False), ({"groups": 1}, True), (TRUST, False), ({**TRUST, "payout": Payout.EQUAL}, True),
        ({**TRUST, "zk": True}, False), ({"mode": Mode.VERIFIED, "zk": True}, True),
        ({"mode": Mode.VERIFIED, "zk": True, "rule": Rule.MULTI_KRUM}, False),
    ],
)  # fmt: skip
def test_the_owner_is_told_where_nothing_will_be_public(changes: dict[str, Any], silent: bool) -> None:
    params = small_params(**changes)
    assert owner_tuning.silent(params) == silent
    assert ("--payout contribution" in owner_tuning.note(True, DOCUMENT, params)) == silent


async def test_own_choice_needs_no_chain(chain: Chain) -> None:
    assert await said(chain, replace(DOCUMENT, bound=123)) == ""


LIES: dict[str, tuple[Callable[[SessionDocument], SessionDocument], str]] = {
    "bound": (lambda d: replace(d, bound=d.bound + 1), "the rule gives"),
    "rate": (lambda d: replace(d, server_lr=d.server_lr + 1), "server learning rate is 65537/65536, the rule gives"),
    "itself": (lambda d: replace(d, follows=9), "says that it follows itself"),
    "future": (lambda d: replace(d, follows=10), "which comes after it"),
    "nobody's": (lambda d: replace(d, follows=5), "session 5, which does not exist"),
    "coarse": (lambda d: replace(d, frac_bits=1, bound=1), "1 fractional bits are too few"),
    "layers": (lambda d: replace(d, public_layers=("fc3",), initial=bytes(32)), "another model or other layers"),
}


@pytest.mark.parametrize("name", LIES)
async def test_lies_are_told_in_a_sentence(chain: Chain, name: str) -> None:
    change, sentence = LIES[name]
    start = by_rule(chain)
    if name == "coarse":
        first = chain.events[LAST][0]
        assert isinstance(first, ev.SessionCreated)
        small = replace(DOCUMENT, bound=100)
        params = replace(first.params, bound=100, doc_digest=chain.put(small))
        chain.events[LAST][0] = replace(first, params=params)
    assert sentence in await said(chain, change(start))


async def test_only_the_owners_own_settled_session_before_can_be_followed(chain: Chain) -> None:
    document = by_rule(chain)
    assert "which is another owner's" in await said(chain, document, owner=b"x" * 20)
    assert "whose updates have 40 coordinates, not 41" in await said(chain, document, dimension=41)
    events = chain.events[LAST]
    chain.events[LAST] = [event for event in events if not isinstance(event, ev.BatchFinal)]
    assert "which has no output" in await said(chain, document)
    chain.events[LAST] = [*events, ev.SessionAborted(LAST, chain.end, "owner vanished")]
    assert "which has no output" in await said(chain, document)


async def test_a_session_that_was_not_settled_yet_cannot_be_followed(chain: Chain) -> None:
    document = by_rule(chain)
    view = chain.has_session(9, document)  # created when 7 was
    wrong, _ = await problem(chain.services, view, document, chain.fetch)
    assert "not settled when it was created" in wrong


async def test_the_latest_one_has_to_be_followed_but_for_a_race(chain: Chain) -> None:
    """An owner cannot pick the outcome that it likes best."""
    document = by_rule(chain)
    chain.has_session(8, DOCUMENT)  # settled in the same block as 7
    assert await said(chain, document, number=30) == ""
    late = chain.has_session(31, document, after=chain.end + tuning.RACE_BLOCKS + 1)
    wrong, _ = await problem(chain.services, late, document, chain.fetch)
    assert "though session 8 was settled since" in wrong


async def test_what_cannot_be_had_is_not_checked_and_not_joined(chain: Chain) -> None:
    document = by_rule(chain)
    view = chain.has_session(9, document, after=chain.end + 1)
    services = chain.services
    for missing in (DOCUMENT.digest(), document.digest()):
        kept = chain.blobs.pop(missing)
        found = Findings()
        await check_tuning(found, services, view)
        (check,) = found.checks
        assert (check["name"], check["ok"]) == (CHECK, None)
        assert "cannot be had" in check["detail"]
        if missing == DOCUMENT.digest():
            with pytest.raises(NetError):
                await refuse_unless_by_rule(services, view, document, chain.fetch)
        chain.blobs[missing] = kept
    chain.gone = True
    with pytest.raises(ValueError, match="cannot be read from the chain"):
        await refuse_unless_by_rule(services, view, document, chain.fetch)


async def test_values_that_were_posted_through_another_contract_are_not_public(chain: Chain) -> None:
    chain.values[LAST] = None
    assert await said(chain, replace(DOCUMENT, follows=LAST)) == ""


def test_the_spread_of_a_real_session_is_near_the_norm_of_its_updates(played: tuple[list[ev.ChainEvent], Any]) -> None:
    """Random updates as long as the bound: sigma is B but for the luck of one pair of groups."""
    events, call = played
    outcome = outcome_of(view_of(events), call)
    sigma = isqrt(outcome.distances[0][1] * 9 // (6 * 9))
    assert 5000 // 2 < sigma < 5000 * 3 // 2
    assert view_of(events).sets[Bitmap.VALID].bit_count() == 6
