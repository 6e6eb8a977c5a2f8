"""What became of everybody, from the view alone: fates, scores and payouts as the contract computes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from omninode.demo.record import SessionRecord
from omninode.roles import outcome
from omninode.roles.control_verbs import detail, summary
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Payout, Phase, Rule, SessionParams
from protocols.sessions.view import SessionView
from tests.simulation.session import small_params

ALL = 0b1111
REF = 1 << REFERENCE


def address(k: int) -> bytes:
    return bytes([k + 1]) * 20


def terms(**changes: Any) -> SessionParams:
    return small_params(owner=bytes(20), **{"mode": Mode.VERIFIED, "groups": 4, "reward": 1000, **changes})


def played(params: SessionParams, *, uploads: int = ALL, delivered: int = ALL | REF, valid: int = ALL | REF,
           accepted: int | None = ALL, values: tuple[int, ...] = ()) -> SessionView:  # fmt: skip
    """A session of four data owners, as far as its events tell."""
    view = SessionView(1)
    events: list[Any] = [
        ev.SessionCreated(1, 1, params),
        *(ev.Registered(1, 2, k, address(k), bytes(32), bytes(32)) for k in range(4)),
        ev.SetFixed(1, 3, Bitmap.BUNDLES, ALL | REF),
        ev.PhaseChanged(1, 3, Phase.UPLOAD, 9),
        *(ev.UploadCommitted(1, 4, k, bytes(32)) for k in range(4) if uploads >> k & 1),
        ev.SetFixed(1, 5, Bitmap.DELIVERED, delivered),
        ev.SetFixed(1, 6, Bitmap.VALID, valid),
    ]
    if accepted is not None:
        events += [
            ev.BatchFinal(1, 7, bytes(32), accepted, accepted, accepted),
            ev.PhaseChanged(1, 8, Phase.FINISHED, 0),
        ]
        events += [ev.Scored(1, 7, values)] if values else []
    for event in events:
        view.apply(event)
    return view


def fates(view: SessionView) -> list[str]:
    return [outcome.fate(view, k) for k in range(4)]


def test_why_an_update_is_not_in_the_sum() -> None:
    view = played(terms(rule=Rule.TRUST), uploads=0b1110, delivered=0b1100, valid=0b1000, accepted=0b1000)
    assert fates(view) == ["no upload", "not delivered", "proof refused", "accepted"]
    assert fates(played(terms(rule=Rule.TRUST), accepted=0b0111))[3] == "against reference"
    assert fates(played(terms(rule=Rule.MULTI_KRUM), accepted=0b0111))[3] == "not selected"


def test_nobody_has_a_fate_before_the_batch() -> None:
    view = played(terms(), accepted=None)
    assert fates(view) == [""] * 4
    assert outcome.payouts(view) == [0] * 4
    view.apply(ev.SessionAborted(1, 9, "no output"))
    assert fates(view) == ["no batch"] * 4


@pytest.mark.parametrize(
    ("changes", "accepted", "valid", "paid"),
    [
        ({"rule": Rule.NONE}, 0b0111, 0b0111 | REF, [250, 250, 250, 0]),
        ({"rule": Rule.OUTLIER}, 0b0011, ALL, [250, 250, 0, 0]),
        ({"rule": Rule.TRUST}, 0b0011, 0b0111 | REF, [250, 250, 250, 0]),  # each valid one
    ],
)
def test_equal_pay(changes: dict[str, Any], accepted: int, valid: int, paid: list[int]) -> None:
    assert outcome.payouts(played(terms(**changes), accepted=accepted, valid=valid)) == paid


def test_pay_by_contribution() -> None:
    params = terms(rule=Rule.TRUST, payout=Payout.CONTRIBUTION, score_cap=60)
    values = (90 + (1 << 128), 30 + (1 << 128), 30 + (2 << 128))
    view = played(params, accepted=0b1011, values=values)
    assert outcome.scores_of(view) == {0: (90, 1), 1: (30, 1), 3: (30, 2)}
    assert outcome.payouts(view) == [571, 285, 0, 142]  # weights 60, 30, 15 of 105
    assert [entry["copies"] for entry in outcome.data_owners(view)] == [1, 1, None, 2]
    assert [entry["paid"] for entry in outcome.data_owners(view)] == [571, 285, 0, 142]


def test_without_a_valid_reference_pay_is_equal() -> None:
    params = terms(rule=Rule.TRUST, payout=Payout.CONTRIBUTION, score_cap=60)
    view = played(params, valid=ALL)
    assert not outcome.reference_counts(view)
    assert outcome.payouts(view) == [250] * 4
    assert [entry["score"] for entry in outcome.data_owners(view)] == [None] * 4


def test_the_reference_is_no_data_owner() -> None:
    assert outcome.owners_in(ALL | REF) == 4
    assert outcome.owners_in(REF) == 0


def test_show_and_list() -> None:
    view = played(terms(rule=Rule.TRUST), accepted=0b0111)
    assert (summary(view)["mode"], summary(view)["places"]) == ("verified", 4)
    shown = detail(view)
    assert (shown["rule"], shown["payout"], shown["reference"], shown["ended"]) == ("trust", "equal", "valid", True)
    assert "groups" not in shown
    assert [member["accepted"] for member in shown["members"]] == [True, True, True, False]
    assert shown["members"][3]["why"] == "against reference"
    assert shown["members"][3]["paid"] == 250
    assert detail(played(terms(rule=Rule.NONE)))["reference"] == "not used"
    assert detail(played(terms(rule=Rule.TRUST), valid=ALL))["reference"] == "not valid"
    assert detail(played(terms(rule=Rule.TRUST), accepted=None, valid=0))["reference"] == "not valid"


def grouped() -> SessionView:
    view = SessionView(1)
    for event in (
        ev.SessionCreated(1, 1, replace(small_params(owner=bytes(20)), groups=2, group_size=2, reward=1000)),
        *(ev.Registered(1, 2, k, address(k), bytes(32), bytes(32)) for k in range(4)),
        ev.GroupsDrawn(1, 3, (2, 0, 3, 1), 2),
        ev.SetFixed(1, 4, Bitmap.BUNDLES, ALL),
        *(ev.UploadCommitted(1, 5, k, bytes(32)) for k in range(4)),
        ev.SetFixed(1, 6, Bitmap.DELIVERED, ALL),
        ev.SetFixed(1, 7, Bitmap.VALID, 0b0111),
        ev.BatchFinal(1, 8, bytes(32), 0b11, 0b01, 0b0101),
    ):
        view.apply(event)
    return view


def test_grouped_sessions_are_told_as_before() -> None:
    view = grouped()
    assert fates(view) == ["accepted", "group not selected", "accepted", "inconsistent shares"]
    assert outcome.payouts(view) == [250, 0, 250, 0]
    first = [outcome.hexed(address(k)) for k in (2, 0)]
    assert outcome.groups(view)[0] == {"members": first, "survivors": first, "accepted": True}
    shown = detail(view)
    assert shown["groups"] == [[2, 0], [3, 1]]
    assert [member["group"] for member in shown["members"]] == [0, 1, 0, 1]
    assert [member["in_u"] for member in shown["members"]] == [True, True, True, False]


@pytest.mark.parametrize(
    ("view", "wanted", "absent"), [(grouped(), "groups", "data_owners"), (played(terms()), "data_owners", "groups")]
)
def test_result_json(view: SessionView, wanted: str, absent: str) -> None:
    entry = SessionRecord(1, view).as_json()
    assert entry["mode"] == view.p.mode.name.lower()
    assert wanted in entry
    assert absent not in entry
