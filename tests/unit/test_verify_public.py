"""What anybody checks of a settled session: honest ones hold in both modes, and each lie fails its check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from omninode.chain.market import RawEvent
from omninode.roles import verify_scores
from omninode.roles.verify import check_public
from omninode.roles.verify_public import Findings, Public
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Payout, Rule
from protocols.sessions.view import SessionView
from tests.simulation.attacks import lie_in
from tests.simulation.recorded import chain_events
from tests.simulation.session import Session

GROUPED: dict[str, Any] = {"mode": Mode.GROUPED}
TRUST: dict[str, Any] = {"mode": Mode.VERIFIED, "rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}
KRUM: dict[str, Any] = {**TRUST, "rule": Rule.MULTI_KRUM, "mu_bps": 1700}
PLAIN: dict[str, Any] = {"mode": Mode.VERIFIED}
Change = Callable[[Public], Public]


def batch_of(session: Session) -> dict[str, Any]:
    """The arguments of the postBatch that was mined: all of them say the same."""
    asked = [e for node in session.committee() for e in node.effects if isinstance(e, fx.Transact)]
    names = ("passed", "values", "digest", "signers", "signatures")
    return dict(zip(names, next(e.args for e in asked if e.call == "postBatch"), strict=True))


def attests_of(session: Session) -> list[dict[str, Any]]:
    asked = [e for node in session.committee() for e in node.effects if isinstance(e, fx.Transact)]
    names = ("provers", "dataOwners", "signers", "signatures")
    return [dict(zip(names, e.args, strict=True)) for e in asked if e.call == "attest"][:1]


def public_of(session: Session) -> Public:
    """The session as a node of nobody would ask the chain about it."""
    view = SessionView(7)
    for event in chain_events(session.owner):
        view.apply(event)
    p, market = session.params, session.market
    raws = [RawEvent(7, 0, "ReceiptPosted", {"prover": prover, "index": k})
            for prover, bits in market.receipts.items() for k in range(256) if bits >> k & 1]  # fmt: skip
    equal = dict.fromkeys(session.accepted(), p.reward // len(market.owners))
    due = market.payouts if p.mode == Mode.VERIFIED else equal
    payouts = {k: due.get(k, 0) for k in range(len(market.owners))}
    owed = {k: wei + p.deposit for k, wei in payouts.items() if k}
    claimed = {"who": market.owners[0], "amount": payouts[0] + p.deposit}
    raws.append(RawEvent(7, 0, "Claimed", claimed))
    return Public(
        session.context, view, raws, batch_of(session), session.owner.machine._identity.recover, attests_of(session),
        payouts, owed, p.reward,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trusted() -> Public:
    return public_of(Session(11, **TRUST).run())


def failed(public: Public) -> list[str]:
    found = Findings()
    check_public(found, public)
    return [check["name"] for check in found.checks if not check["ok"]]


@pytest.mark.parametrize("changes", [GROUPED, TRUST, KRUM, PLAIN], ids=["grouped", "trust", "krum", "plain"])
def test_an_honest_session_holds(changes: dict[str, Any]) -> None:
    session = Session(12, **changes)
    session.provers[2].twist = lie_in("gram", "products")
    public = public_of(session.run())
    found = Findings()
    check_public(found, public)
    assert all(check["ok"] for check in found.checks), found.checks
    assert len(found.checks) >= 9
    lied = changes is not PLAIN  # nothing is opened there that it lies about
    assert ("attestations are signed by n - t of the committee" in str(found.checks)) == lied


def test_who_is_not_valid_is_not_paid_and_is_told_why() -> None:
    session = Session(13, **TRUST)
    session.owners[1].update = -session.owners[1].update  # type: ignore[operator]
    public = public_of(session.run())
    assert failed(public) == []
    place = next(m.index for m in public.view.members if m.address == session.owners[1].address)
    rows = verify_scores.rows(public)
    assert [row["index"] for row in rows] == [0, 1, 2, 3, 4, 5, REFERENCE]
    assert rows[place]["valid"]
    assert not rows[place]["accepted"]
    assert (rows[place]["score"], rows[place]["paid"]) == (None, 0)
    assert rows[place]["why"]
    others = [row for row in rows[:-1] if row is not rows[place]]
    assert all(row["score"] > 0 and row["paid"] > 0 and row["copies"] == 1 for row in others)
    assert sum(row["paid"] for row in others) <= session.params.reward


def test_without_a_reference_trust_is_none_and_pay_is_equal() -> None:
    session = Session(14, **TRUST)
    session.owner.update = None
    public = public_of(session.run())
    assert failed(public) == []
    rows = verify_scores.rows(public)
    assert rows[-1]["why"] == "not delivered"
    assert {row["paid"] for row in rows[:-1]} == {session.params.reward // 6}


def test_where_nothing_is_opened_anybody_knows_the_digest() -> None:
    public = public_of(Session(17, **PLAIN).run())
    found = Findings()
    check_public(found, public)
    assert NOTHING in [check["name"] for check in found.checks if check["ok"]]
    assert public.batch is not None
    assert NOTHING in failed(replace(public, batch={**public.batch, "digest": bytes(32)}))


# -- lies -------------------------------------------------------------------------------------------------------------


def with_view(change: Callable[[SessionView], object]) -> Change:
    """The chain tells something else."""

    def changed(public: Public) -> Public:
        view = replace(public.view, sets=dict(public.view.sets), bitmaps=dict(public.view.bitmaps))
        change(view)
        return replace(public, view=view)

    return changed


def with_batch(**changes: Callable[[Any], Any]) -> Change:
    """The batch that was posted says something else."""

    def changed(public: Public) -> Public:
        assert public.batch is not None
        other = {name: change(public.batch[name]) for name, change in changes.items()}
        return replace(public, batch={**public.batch, **other})

    return changed


def batch_final(**changes: Callable[[int], int]) -> Change:
    def change(view: SessionView) -> None:
        assert view.batch is not None
        view.batch = replace(view.batch, **{name: f(getattr(view.batch, name)) for name, f in changes.items()})

    return with_view(change)


def set_bits(kind: Bitmap, bits: int) -> Change:
    return with_view(lambda view: view.sets.__setitem__(kind, view.sets[kind] ^ bits))


def scores_of(change: Callable[[int], int]) -> Change:
    """The first score, in the batch and in the event alike."""

    def both(public: Public) -> Public:
        values = (change(public.view.scores[0]), *public.view.scores[1:])
        assert public.batch is not None
        return replace(public, view=replace(public.view, scores=values), batch={**public.batch, "values": values})

    return both


HASH, SIGNED = "batch hash on chain is that of the batch posted", "batch is signed by n - t of the committee"
RANGE, PAID = "scores are within range", "payouts on chain are those recomputed"
SHORT, SCORES = "every data owner has or can claim its payout and deposit", "scores on chain are those of the batch"
NOTHING = "digest is that of a batch for which nothing was opened"
SETS = {kind: f"set {kind.name.lower()} follows from the bitmaps" for kind in Bitmap}
VALID, COUNT = "accepted data owners are valid", "as many are accepted as the rule says"
LIES: dict[str, tuple[Change, set[str]]] = {
    "registered": (set_bits(Bitmap.BUNDLES, 1), {"set bundles is who registered"}),
    "delivered": (set_bits(Bitmap.DELIVERED, 2), {SETS[Bitmap.DELIVERED], SETS[Bitmap.VALID]}),
    "valid": (set_bits(Bitmap.VALID, 4), {SETS[Bitmap.VALID], HASH, SIGNED, VALID}),
    "reference": (
        set_bits(Bitmap.VALID, 1 << REFERENCE),
        {SETS[Bitmap.VALID], HASH, SIGNED, RANGE, PAID, NOTHING},
    ),
    "bitmap": (
        with_view(lambda view: view.bitmaps.__setitem__(Bitmap.VALID, dict.fromkeys(range(5), 1))),
        {SETS[Bitmap.VALID]},
    ),
    "digest": (with_batch(digest=lambda d: bytes(32)), {HASH, SIGNED}),
    "values": (with_batch(values=lambda v: (v[0] + 1, *v[1:])), {HASH, SIGNED, SCORES}),
    "a signature": (with_batch(signatures=lambda s: (bytes(65), *s[1:])), {SIGNED}),
    "a signature too many": (with_batch(signatures=lambda s: (*s, s[0])), {SIGNED}),
    "too few": (
        with_batch(signatures=lambda s: s[1:], signers=lambda bits: bits & (bits - 1)),
        {SIGNED},
    ),
    "the same twice": (with_batch(signatures=lambda s: (s[0],) * len(s)), {SIGNED}),
    "accepted": (
        batch_final(accepted=lambda bits: bits ^ 1),
        {VALID, "batch accepts who the chain says", RANGE, PAID},
    ),
    "no member": (
        batch_final(accepted=lambda b: b | 1 << 9, passed=lambda b: b | 1 << 9, selected=lambda b: b | 1 << 9),
        {VALID, "batch accepts who the chain says", RANGE, PAID},
    ),
    "no copies": (scores_of(lambda v: v & verify_scores.LOW), {HASH, SIGNED, RANGE, PAID}),
    "many copies": (scores_of(lambda v: v + (1 << 128)), {HASH, SIGNED, RANGE, PAID}),
    "beyond the bound": (scores_of(lambda v: v | 1 << 126), {HASH, SIGNED, RANGE, PAID}),
    "nothing": (scores_of(lambda v: 1 << 128), {HASH, SIGNED, RANGE, PAID}),
    "payout": (lambda public: replace(public, payouts={**public.payouts, 1: 1}), {PAID}),
    "owed": (
        lambda public: replace(public, owed={**public.owed, 1: 1}),
        {SHORT},
    ),
    "claimed": (
        lambda public: replace(public, history=[RawEvent(7, 0, "Claimed", {"who": bytes(20), "amount": 1 << 90})]),
        {"claims stay within the escrow", SHORT},
    ),
    "no batch": (lambda public: replace(public, batch=None), {"batch found"}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(LIES))
def test_each_lie_fails_its_check(trusted: Public, name: str) -> None:
    assert failed(trusted) == []
    change, expected = LIES[name]
    found = set(failed(change(trusted)))
    assert expected <= found <= expected | ({SHORT} if PAID in expected else set())


def test_too_few_accepted(trusted: Public) -> None:
    params = replace(trusted.view.p, min_accepted=7)
    assert COUNT in failed(replace(trusted, view=replace(trusted.view, params=params)))


@pytest.mark.parametrize(
    ("rule", "kept"), [(Rule.NONE, {6}), (Rule.MULTI_KRUM, {5}), (Rule.OUTLIER, {5, 6}), (Rule.M_KRUM, {3})]
)
def test_a_rule_keeps_as_many_as_it_keeps(trusted: Public, rule: Rule, kept: set[int]) -> None:
    """6 valid of 6, f = 1: how many a rule keeps is known although its distances are not."""
    params = replace(trusted.view.p, rule=rule, mu_bps=1700, m_krum=3)
    for count in range(3, 7):
        bits = (1 << count) - 1
        batch = ev.BatchFinal(7, 1, bytes(32), bits, bits, bits)
        ok = COUNT not in failed(replace(trusted, view=replace(trusted.view, params=params, batch=batch)))
        assert ok == (count in kept), count


def test_families_of_copies_are_whole() -> None:
    """Two share: both say so. One alone cannot."""
    session = Session(15, **KRUM)
    public = public_of(session.run())
    assert failed(public) == []
    values = list(public.view.scores)
    values[0] = (values[0] & verify_scores.LOW) + (2 << 128)
    one = replace(public, view=replace(public.view, scores=tuple(values)), batch={**public.batch, "values": values})  # type: ignore[dict-item]
    assert RANGE in failed(one)
    values[1] = (values[1] & verify_scores.LOW) + (2 << 128)
    two = replace(public, view=replace(public.view, scores=tuple(values)), batch={**public.batch, "values": values})  # type: ignore[dict-item]
    assert RANGE not in failed(two)


def test_attestations() -> None:
    session = Session(16, **TRUST)
    session.provers[3].twist = lie_in("products")
    public = public_of(session.run())
    name = "attestations are signed by n - t of the committee"
    assert failed(public) == []
    (attest,) = public.attests
    for lie in (
        {"provers": attest["provers"] << 1},
        {"signatures": attest["signatures"][1:]},
        {"signers": attest["signers"] | attest["provers"]},
    ):
        assert failed(replace(public, attests=[{**attest, **lie}])) == [name]
