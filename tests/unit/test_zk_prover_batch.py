"""Provers of certificate zk make a proof: openings, rebuilding, posting, output; what is refused on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from protocols.bn254 import fr, g1
from protocols.bn254.field import Q, R
from protocols.bn254.fr import Vector
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions import zk_batch
from protocols.sessions.params import REFERENCE, Bitmap, Payout, Phase, Rule, SessionParams
from protocols.sessions.prover_rebuild import ANSWERS
from protocols.sessions.zk_judgement import by_address, judge
from protocols.sessions.zk_rebuild import FrHelp
from protocols.sessions.zk_upload import session_of
from protocols.wire import messages as msg
from protocols.zk.batch import Batch, check_batch
from protocols.zk.decode import decode_scalars
from protocols.zk.errors import Check, Refused
from protocols.zk.params import Statement
from protocols.zk.sharing import Dealing, commit, deal
from tests.simulation import proofs
from tests.simulation.zk_attacks import quick_pairings
from tests.unit.zk_committee import CONTEXT, DATA_OWNERS, GRAM, OWNER, PROVERS, SCORE, Committee, params, update

NONE = params(rule=Rule.NONE)
BOTH = params(rule=Rule.TRUST, payout=Payout.CONTRIBUTION)
LABELS = ["zk-values", "zk-S", "zk-q", "zk-A", "zk-E", "zk-W"]
FIRST = CONTEXT.session % 5  # whose turn it is


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_pairings(monkeypatch)


def posted(committee: Committee) -> tuple[bytes, bytes, bytes]:
    ((i, args),) = committee.calls("postProof")
    assert i == FIRST
    return args  # type: ignore[return-value]


def inner(k: int, j: int) -> int:
    return int(update(k) @ update(j))


# ---------------------------------------------------------------------------------------------------- whole batches


@pytest.mark.parametrize(
    ("p", "statement"),
    [(GRAM, Statement.GRAM), (SCORE, Statement.SCORE), (BOTH, Statement.SCORE), (NONE, Statement.NONE)],
    ids=["gram", "score", "contribution", "none"],
)
def test_a_batch_is_proved_and_posted_once(p: SessionParams, statement: Statement) -> None:
    committee = Committee(p).to_batch()
    dos, values, proof = posted(committee)
    order = by_address({k: DATA_OWNERS[k].address for k in range(3)})
    match statement:
        case Statement.GRAM:
            opened = [inner(order[k], order[j]) for k in range(3) for j in range(k + 1)]
        case Statement.SCORE:
            opened = [inner(k, REFERENCE) for k in order]
        case _:
            opened = []
    assert values == b"".join(v.to_bytes(16, "big", signed=True) for v in opened)
    mask = judge(p, statement, order, 3, opened).mask
    checked = check_batch(
        proofs.key_of(p), session_of(CONTEXT, p), Batch(statement, dos, mask, values, proof), p.bound**2
    )
    assert [r.address.to_bytes(20, "big") for r in checked.records] == [DATA_OWNERS[k].address for k in order]
    accepted = sorted(k for place, k in enumerate(order) if mask >> place & 1)
    assert all(m.status()["accepted"] == accepted and m.status()["signed"] for m in committee.machines)
    assert committee.machines[0].status()["opened"] == ([x.removeprefix("zk-") for x in LABELS] if opened else [])
    committee.assert_replays()


def test_the_next_in_turn_posts_two_blocks_later() -> None:
    committee = Committee(GRAM).to_batch()
    began = committee.block + 1
    for _ in range(3):
        committee.tick()
    assert [i for i, _ in committee.calls("postProof")] == [FIRST, (FIRST + 1) % 5]
    assert committee.block == began + 2
    committee.chain(ev.BatchFinal, bytes(32), 7, 7, 7)
    committee.chain(ev.PhaseChanged, Phase.OUTPUT, committee.block + 9)
    for _ in range(9):
        committee.tick()
    assert len(committee.calls("postProof")) == 2


def test_without_the_reference_in_the_set_nothing_is_opened() -> None:
    committee = Committee(SCORE).to_batch(0b111)
    _, values, proof = posted(committee)
    assert values == proof == b"" and not any(committee.sent(i, msg.Opening) for i in range(5))
    opening = msg.Opening(PROVERS[1].address, "zk-S", 0b111, bytes(64))
    assert committee.rule_of(0, opening) == "unknown-label"


def test_too_few_valid_need_no_proof() -> None:
    committee = Committee(GRAM).to_batch(0b11)
    assert posted(committee) == (b"", b"", b"")
    assert all(m.status()["accepted"] == [] for m in committee.machines)


def test_a_batch_that_does_not_hold_is_not_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise Refused(Check.PAIRING, 2)

    monkeypatch.setattr(zk_batch, "check_batch", refuse)
    committee = Committee(GRAM).to_batch()
    for _ in range(12):
        committee.tick()
    assert committee.calls("postProof") == []
    notes = [e for e in committee.effects[0] if isinstance(e, fx.Note) and e.name == "batch_refused"]
    assert notes == [fx.Note("batch_refused", (("check", "pairing"), ("record", 2)))]


def test_what_is_opened_beyond_128_bits_ends_it() -> None:
    """More than t liars; nobody goes on."""
    committee = Committee(GRAM)
    huge = fr.to_bytes(fr.vector([1 << 200] * 6))

    def swap(to: bytes, m: msg.Message) -> msg.Message:
        return replace(m, values=huge) if isinstance(m, msg.Opening) and m.label == "zk-values" else m

    committee.passing = swap
    committee.to_batch()
    assert all(not m.status()["signed"] for m in committee.machines) and committee.calls("postProof") == []
    assert all(m._proof.failed for m in committee.machines)


@pytest.mark.parametrize("p", [GRAM, BOTH], ids=["gram", "contribution"])
def test_who_opens_nothing_does_not_break_on_it_either(p: SessionParams) -> None:
    """A prover that lacks a share learns values beyond 128 bits from the others and makes no batch of them."""
    committee = Committee(p, {1: {4}})
    honest = committee.passing

    def swap(to: bytes, m: msg.Message) -> msg.Message | None:
        if isinstance(m, msg.RebuildShare):
            return None
        if to != PROVERS[4].address or not isinstance(m, msg.Opening) or m.label != "zk-values":
            return honest(to, m)
        return replace(m, values=fr.to_bytes(fr.vector([1 << 200] * (len(m.values) // 32))))

    committee.passing = swap
    committee.to_batch()
    behind = committee.machines[4]
    assert behind._proof.failed and not behind.status()["signed"] and behind.status()["digest"] is None
    assert fx.Note("opening_failed", (("check", "shape"),)) in committee.effects[4]
    for _ in range(12):
        committee.tick()
    posting = {i for i, _ in committee.calls("postProof")}
    assert FIRST in posting and 4 not in posting
    committee.assert_replays()


# ------------------------------------------------------------------------------------------------------- one attempt


def test_the_attempt_is_remembered_before_anything_is_opened() -> None:
    committee = Committee(GRAM).to_batch()
    for effects in committee.effects:
        said = [e for e in effects if not isinstance(e, fx.Remember) or e.key == "zk-attempt"]
        kinds = [type(e) if not isinstance(e, fx.Send) else type(e.message) for e in said]
        assert kinds.index(fx.Remember) < kinds.index(msg.Opening) and kinds.count(fx.Remember) == 1
    remembered = [e for effects in committee.effects for e in effects if isinstance(e, fx.Remember)]
    values = {e.value for e in remembered if e.key == "zk-attempt"}
    assert len(values) == 1


def test_another_set_is_another_attempt_with_other_masks() -> None:
    """The same shares under another set: nothing that is opened repeats."""
    p = params(rule=Rule.OUTLIER, groups=4, min_accepted=3)
    first, second = Committee(p), Committee(p)
    first.to_valid(), second.to_valid()
    labels = set()
    for committee, valid in ((first, 0b111), (second, 0b011)):
        committee.chain(ev.SetFixed, Bitmap.VALID, valid)
        machine = committee.machines[0]
        labels.add((machine._proof._attempt(), machine._desk.label("zk", machine._proof._attempt())))
    assert len({attempt for attempt, _ in labels}) == len({label for _, label in labels}) == 2


# ---------------------------------------------------------------------------------------------------------- openings


def waiting(p: SessionParams = GRAM) -> Committee:
    """Machine 4 has heard nobody's openings yet."""
    committee = Committee(p)
    committee.passing = lambda to, m: None if isinstance(m, msg.Opening) and to == PROVERS[4].address else m
    return committee.to_batch()


CHANGES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "nothing": ("zk-values", lambda d: b""),
    "one less": ("zk-values", lambda d: d[:-32]),
    "one more": ("zk-values", lambda d: d + bytes(32)),
    "a byte more": ("zk-A", lambda d: d + b"\0"),
    "a scalar of r": ("zk-E", lambda d: d[:-32] + R.to_bytes(32, "big")),
    "two scalars": ("zk-A", lambda d: d * 2),
    "off the curve": ("zk-S", lambda d: d[:-1] + bytes([d[-1] ^ 1])),
    "a coordinate of q": ("zk-q", lambda d: Q.to_bytes(32, "big") + bytes(32)),
    "one point": ("zk-W", lambda d: d[:64]),
    "three points": ("zk-W", lambda d: d + d[:64]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_openings_of_wrong_form_are_refused(name: str) -> None:
    committee, (label, change) = waiting(), CHANGES[name]
    good = committee.opening(0, label)
    assert committee.rule_of(4, replace(good, values=change(good.values))) == "bad-values"
    assert committee.hand(4, good) == committee.hand(4, good) == []


def test_openings_of_others_or_of_another_set_are_refused() -> None:
    committee = waiting()
    good = committee.opening(0, "zk-q")
    for present in (0, 0b11, 0b1111, good.present | 1 << REFERENCE):
        assert committee.rule_of(4, replace(good, present=present)) == "wrong-set"
    assert committee.rule_of(4, replace(good, sender=DATA_OWNERS[0].address)) == "wrong-sender"
    assert committee.rule_of(4, replace(good, sender=PROVERS[4].address)) == "wrong-sender"
    committee.hand(4, good)
    other = replace(good, values=g1.to_bytes(g1.generator()))
    assert committee.rule_of(4, other) == "opened-twice"


def test_messages_may_come_in_any_order() -> None:
    """The last step first: they are kept until it is their turn."""
    committee = waiting()
    assert committee.machines[4].status()["opened"] == []
    for label in reversed(LABELS):
        for i in (2, 0, 3, 1):
            committee.hand(4, committee.opening(i, label))
    assert committee.machines[4].status()["signed"]
    assert committee.machines[4].status()["digest"] == committee.machines[0].status()["digest"]
    assert [m.label for m in committee.sent(4, msg.Opening)[::4]] == LABELS


def test_d_plus_one_plus_t_must_agree() -> None:
    """Three of degree 2 are a value that t could have chosen; with one lie among five the other four are enough."""
    committee = waiting()
    for i in (0, 1):
        committee.hand(4, committee.opening(i, "zk-values"))
    lie = replace(committee.opening(2, "zk-values"), values=bytes(32 * 6))
    assert committee.hand(4, lie) == [] and committee.machines[4].status()["opened"] == []
    effects = committee.hand(4, committee.opening(3, "zk-values"))
    assert effects[-4:] == [e for e in effects if isinstance(e, fx.Send)][-4:]
    assert fx.Blame(PROVERS[2].address, "wrong-opening", "zk-values") in effects
    assert committee.machines[4].status()["opened"] == ["values"]


def test_a_late_lie_is_named_when_the_batch_is_made() -> None:
    committee = Committee(SCORE)
    committee.passing = lambda to, m: None if isinstance(m, msg.Opening) and m.sender == PROVERS[1].address else m
    committee.to_batch()
    machine = committee.machines[0]
    assert machine.status()["signed"]
    honest = committee.opening(1, "zk-A")
    assert committee.hand(0, honest) == []
    lie = replace(committee.opening(1, "zk-E"), values=bytes(96))
    assert committee.hand(0, lie)[0] == fx.Blame(PROVERS[1].address, "wrong-opening", "zk-E")
    assert machine.status()["faulty"] == [PROVERS[1].address.hex()]


# ------------------------------------------------------------------------------------------------ rebuilding, output


def lacking(answers: bool = True) -> Committee:
    """Machine 3 got no upload of data owner 1; nobody answers it, if so wished."""
    committee = Committee(GRAM, {1: {3}})
    if not answers:
        committee.passing = lambda to, m: None if isinstance(m, msg.RebuildShare) else m
    return committee.to_batch()


def test_a_share_is_rebuilt_and_fits() -> None:
    committee = lacking()
    machine = committee.machines[3]
    share = machine._rebuild.share(1)
    assert share is not None
    record = committee.machines[0]._records.known(1)
    expected = sum_of(record.dealing.points, 4)
    assert commit(proofs.key_of(GRAM), share) == expected
    assert len(committee.sent(3, msg.Opening)) == 4 * 6 and machine.status()["signed"]
    committee.assert_replays()


def sum_of(points: tuple[g1.Point, ...], at: int) -> g1.Point:
    scalars = fr.vector([pow(at, e, R) for e in range(len(points))])
    return g1.to_integers(g1.total(g1.multiply(g1.from_integers(points), scalars)))[0]


def help_of(committee: Committee, i: int) -> msg.RebuildShare:
    """The masked share that a helper sends to machine 3."""
    (reply,) = committee.hand(i, msg.RebuildRequest(PROVERS[3].address, 1))
    assert isinstance(reply, fx.Reply) and isinstance(reply.message, msg.RebuildShare)
    return reply.message


def test_help_shows_nothing_but_the_share_that_is_asked_for() -> None:
    """It is no share of the helper, other askers get other help, and the same asker the same."""
    committee = lacking(answers=False)
    first = help_of(committee, 0)
    assert first == help_of(committee, 0)
    own = committee.machines[0]._rebuild.share(1)
    assert own is not None and fr.to_bytes(own) != first.values
    (other,) = committee.hand(0, msg.RebuildRequest(PROVERS[2].address, 1))
    assert isinstance(other, fx.Reply) and other.message != first


def test_help_that_is_none_is_refused() -> None:
    committee = lacking(answers=False)
    good = help_of(committee, 0)
    assert committee.rule_of(3, replace(good, values=good.values[:-32])) == "bad-values"
    assert committee.rule_of(3, replace(good, values=good.values[:-1])) == "bad-values"
    assert committee.rule_of(3, replace(good, values=R.to_bytes(32, "big") + good.values[32:])) == "bad-values"
    assert committee.rule_of(3, replace(good, index=0)) == "unasked"
    assert committee.rule_of(2, good) == "unasked"
    assert committee.rule_of(3, replace(good, sender=DATA_OWNERS[0].address)) == "wrong-sender"
    assert committee.rule_of(0, msg.RebuildRequest(PROVERS[3].address, 9)) == "not-in-set"
    assert committee.rule_of(3, msg.RebuildRequest(PROVERS[0].address, 1)) == "not-ready"


def test_one_liar_among_the_helpers_is_named() -> None:
    committee = lacking(answers=False)
    lie = replace(help_of(committee, 4), values=bytes(32 * 46))
    blame = fx.Blame(PROVERS[4].address, "wrong-rebuild-share")
    assert committee.hand(3, lie) == []
    assert committee.hand(3, help_of(committee, 1)) == []
    effects = committee.hand(3, help_of(committee, 2))
    assert effects[:2] == [fx.Note("share_rebuilt", (("data_owner", 1),)), blame]
    assert committee.machines[3]._rebuild.has(1) and committee.hand(3, help_of(committee, 0)) == []


def test_two_that_help_rightly_are_enough() -> None:
    """What they give is what is committed to."""
    committee = lacking(answers=False)
    assert committee.hand(3, help_of(committee, 0)) == []
    assert fx.Note("share_rebuilt", (("data_owner", 1),)) in committee.hand(3, help_of(committee, 4))
    lie = replace(help_of(committee, 1), values=bytes(32 * 46))
    assert committee.hand(3, lie) == []  # nothing more is looked at


def test_who_helped_wrongly_once_is_not_heard_again() -> None:
    """A lie costs a commitment to each help, once."""
    committee = Committee(GRAM, {1: {3}, 2: {3}})
    committee.passing = lambda to, m: None if isinstance(m, msg.RebuildShare) else m
    committee.to_batch()
    rebuild, search = committee.machines[3]._rebuild, committee.machines[3]._rebuild.help._searches
    for index in (1, 2):
        helps = [committee.hand(i, msg.RebuildRequest(PROVERS[3].address, index))[0].message for i in (0, 1, 4)]
        committee.hand(3, replace(helps[2], values=bytes(32 * 46)))
        committee.hand(3, helps[0])
        assert rebuild._helpers[index] == ({1, 5} if index == 1 else {1}) and not rebuild.has(index)
        committee.hand(3, helps[1])
        assert rebuild.has(index) and not search
    assert not [name for name in rebuild.shelf._items if name.startswith("help-")]
    blames = [e for e in committee.effects[3] if isinstance(e, fx.Blame)]
    assert blames == [fx.Blame(PROVERS[4].address, "wrong-rebuild-share")]


def test_two_of_nine_that_help_wrongly() -> None:
    """No set of t + 1 is theirs alone. They are named when five agree, the one that is helped included."""
    key = proofs.key_of(GRAM)
    sharing = deal(fr.vector(range(1, 47)), 2, bytes(32))
    committed = key.commit_values(fr.vector(range(1, 41)), fr.vector(range(41, 47)))
    dealing = Dealing(committed, sharing.commitments(key), ())
    at = cast(Any, type("Desk", (), {"point": 4, "t": 2}))
    records = type("Records", (), {"known": lambda self, k: type("Public", (), {"dealing": dealing})})()
    help_, found = FrHelp(cast(Any, type("Pieces", (), {"key": key})), cast(Any, records)), dict[int, fr.Vector]()
    lies = {x: fr.shift(sharing.share(x), x) for x in (1, 2)}
    results = []
    share: fr.Vector | None = None
    for x in (1, 5, 2, 9, 8, 7):
        found[x] = lies.get(x, sharing.share(x))
        if len(found) >= help_.least(2):
            results.append(help_.rebuilt(found, x, at, 0, share))
            share = results[-1][0] if results[-1] else None
    assert results[:2] == [None, None]
    assert [liars for _, liars in results[2:]] == [None, (1, 2)]  # type: ignore[misc]
    assert share is not None and (share == sharing.share(4)).all()


@pytest.mark.parametrize("p", [NONE, GRAM, SCORE], ids=["none", "gram", "score"])
def test_what_is_proved_is_remembered_first(p: SessionParams) -> None:
    """Under every statement: before a proof is posted, or anything opened."""
    committee = Committee(p).to_batch()
    for effects in committee.effects:
        told = [i for i, e in enumerate(effects) if isinstance(e, fx.Remember) and e.key == "zk-attempt"]
        later = [i for i, e in enumerate(effects) if isinstance(e, fx.Transact) and e.call == "postProof"]
        later += [i for i, e in enumerate(effects) if isinstance(e, fx.Send) and isinstance(e.message, msg.Opening)]
        assert len(told) == 1 and told[0] < min(later, default=len(effects))


def test_no_sum_of_a_set_that_is_not_remembered() -> None:
    """A record is missing here, though not one of those whose sum is wanted."""
    committee = Committee(GRAM, {1: {3}})
    committee.passing = lambda to, m: None if isinstance(m, msg.PublicPart) else m
    committee.to_batch()
    committee.chain(ev.BatchFinal, bytes(32), 0b101, 0b101, 0b101)
    committee.chain(ev.PhaseChanged, Phase.OUTPUT, committee.block + 9)
    request = msg.OutputRequest(OWNER.address)
    assert committee.rule_of(3, request) == "not-ready" and len(committee.hand(2, request)) == 1
    assert not [e for e in committee.effects[3] if isinstance(e, fx.Remember) and e.key == "zk-attempt"]


def test_help_is_made_once_and_given_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    committee, made = lacking(answers=False), list[int]()
    honest = FrHelp.make
    monkeypatch.setattr(FrHelp, "make", lambda self, *rest: made.append(rest[3]) or honest(self, *rest))
    first = help_of(committee, 0)
    assert all(help_of(committee, 0) == first for _ in range(3)) and made == []
    asked = [msg.RebuildRequest(PROVERS[4].address, k) for k in (0, 1, 2)]
    for request in asked * ANSWERS:  # whoever starts again asks for all that it lacks
        assert len(committee.hand(0, request)) == 1
    assert made == [5, 5, 5] and committee.rule_of(0, asked[2]) == "too-many"


def test_help_that_agrees_on_another_share_is_not_believed() -> None:
    """2t + 1 liars: what they agree on does not fit the commitment."""
    committee = lacking(answers=False)
    one = fr.vector([1] * 46)
    for i in (0, 1, 2):
        wrong = fr.to_bytes(fr.add(fr.from_bytes(help_of(committee, i).values), one))
        assert committee.hand(3, replace(help_of(committee, i), values=wrong)) == []
    assert not committee.machines[3]._rebuild.has(1)


def finished(p: SessionParams, accepted: int) -> Committee:
    committee = Committee(p).to_batch()
    committee.chain(ev.BatchFinal, bytes(32), accepted, accepted, accepted)
    committee.chain(ev.PhaseChanged, Phase.OUTPUT, committee.block + 9)
    return committee


def test_the_owner_gets_shares_of_the_sum_with_its_blinders() -> None:
    committee = finished(GRAM, 0b101)
    found: dict[int, Vector] = {}
    for i in range(5):
        (reply,) = committee.hand(i, msg.OutputRequest(OWNER.address))
        assert isinstance(reply, fx.Reply) and isinstance(reply.message, msg.OutputShare)
        assert reply.message.norms == () and committee.hand(i, msg.OutputRequest(OWNER.address)) == [reply]
        found[i + 1] = fr.from_bytes(reply.message.values)
    decoded = decode_scalars(found, 1, 3)
    assert decoded is not None and decoded.liars == ()
    assert np.array_equal(fr.to_signed(decoded.values[:-6]), update(0) + update(2))
    records = [committee.machines[0]._records.known(k).record for k in (0, 2)]
    total = g1.total(g1.from_integers([r.c for r in records]))
    assert commit(proofs.key_of(GRAM), decoded.values) == g1.to_integers(total)[0]


def test_nothing_of_the_size_of_an_update_is_left_in_memory() -> None:
    committee = finished(GRAM, 0b111)
    for machine in committee.machines:
        assert machine._proof._prover is None and max(len(v) for v in machine._proof.values) == 6


def test_only_the_owner_gets_it_and_only_then() -> None:
    committee = Committee(GRAM).to_batch()
    assert committee.rule_of(0, msg.OutputRequest(OWNER.address)) == "too-early"
    done = finished(GRAM, 0b111)
    for stranger in (DATA_OWNERS[0].address, PROVERS[1].address):
        assert done.rule_of(0, msg.OutputRequest(stranger)) == "wrong-sender"
