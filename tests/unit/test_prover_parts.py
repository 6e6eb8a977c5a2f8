"""Small parts of the prover: decoding as openings arrive, turns at transactions, pokes, bitmaps."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions.effects import Note, Transact
from protocols.sessions.params import Beacon, Mode, Phase
from protocols.sessions.prover import ProverMachine
from protocols.sessions.prover_bundles import sealed_bytes
from protocols.sessions.prover_decode import settled
from protocols.sessions.prover_desk import Desk, bitmap, bits
from protocols.sessions.prover_turns import STEP, Turn
from protocols.sessions.setup import SeedSetup
from protocols.sharing.shamir import share
from protocols.wire.context import Context
from protocols.wire.messages import OutputRequest, SeedDeal
from tests.simulation.session import small_params
from tests.simulation.wallets import Wallets, enc_public

CONTEXT = Context(1, bytes(20), 7)


def committee(count: int = 5, threshold: int = 1) -> tuple[list[Desk], list[ev.ProverInfo]]:
    """Desks of a drawn committee in phase BATCH (began in block 50, deadline 70)."""
    wallets = Wallets()
    identities = [wallets.new(str(i)) for i in range(count)]
    infos = [ev.ProverInfo(i.address, bytes(32), enc_public(i)) for i in identities]
    desks = []
    for identity in identities:
        desk = Desk(CONTEXT, identity, bytes(32))
        desk.view.apply(ev.SessionCreated(7, 1, small_params(owner=bytes(20), committee=count, threshold=threshold)))
        desk.view.apply(ev.CommitteeDrawn(7, 2, tuple(infos)))
        desk.view.apply(ev.PhaseChanged(7, 50, Phase.BATCH, 70))
        desks.append(desk)
    return desks, infos


# ------------------------------------------------------------------------------------------------------- decoding


def test_settled_waits_for_enough_that_agree() -> None:
    secret = gl.vector([5, 6, 7])
    shares = dict(zip(range(1, 6), share(secret, 2, range(1, 6), bytes(32)), strict=True))
    for count in range(4):
        assert settled({x: shares[x] for x in range(1, count + 1)}, 2, 4) is None
    for chosen in itertools.combinations(shares, 4):
        decoded = settled({x: shares[x] for x in chosen}, 2, 4)
        assert decoded is not None and np.array_equal(decoded.values, secret)


@pytest.mark.parametrize("liar", range(1, 6))
def test_settled_never_accepts_a_lie(liar: int) -> None:
    secret = gl.vector([5, 6, 7])
    shares = dict(zip(range(1, 6), share(secret, 2, range(1, 6), bytes(32)), strict=True))
    shares[liar] = gl.add(shares[liar], gl.vector([0, 1, 0]))
    for chosen in itertools.combinations(shares, 4):
        decoded = settled({x: shares[x] for x in chosen}, 2, 4)
        assert (decoded is None) == (liar in chosen)
    decoded = settled(shares, 2, 4)
    assert decoded is not None and np.array_equal(decoded.values, secret) and decoded.error_points == (liar,)


def test_settled_at_another_point() -> None:
    shares = dict(zip(range(1, 6), share(gl.vector([9]), 1, range(1, 6), bytes(32)), strict=True))
    decoded = settled({x: shares[x] for x in (1, 2, 4)}, 1, 3, at=5)
    assert decoded is not None and np.array_equal(decoded.values, shares[5])


def test_bitmaps() -> None:
    assert bitmap([0, 3]) == 9 and bitmap({0, 3}) == 9 and bitmap([]) == 0
    assert bits(9) == [0, 3] and bits(0) == []


# ---------------------------------------------------------------------------------------------------------- turns


def test_exactly_one_prover_is_first_and_the_others_follow_in_steps() -> None:
    desks, _ = committee()
    transaction = Transact("postBatch", (), key="postBatch")
    assert sorted(desk.rank for desk in desks) == [0, 1, 2, 3, 4]
    for desk in desks:
        turn = Turn(desk, "batch")
        assert turn.now(transaction) == ([transaction] if desk.rank == 0 else [])
        sent = [block for block in range(60, 80) if transaction in turn.tick(block, transaction)]
        assert sent == ([] if desk.rank == 0 else [60 + STEP * desk.rank])


def test_who_lies_has_no_turn() -> None:
    desks, _ = committee()
    first, second = sorted(desks, key=lambda d: d.rank)[:2]
    transaction = Transact("postBatch", ())
    turn = Turn(second, "batch")
    assert turn.now(transaction) == []
    second.faulty.add(first.point)
    assert turn.now(transaction) == [transaction]


@pytest.mark.parametrize(("since", "step"), [(60, 2), (64, 2), (65, 1), (66, 1), (67, 0), (69, 0)])
def test_turns_of_a_phase_come_before_its_end(since: int, step: int) -> None:
    """Two faulty ones first: the third still posts at the cut, block 68, or at once. What has time is not hurried."""
    desks, _ = committee(9, threshold=2)
    for desk in desks:
        for in_phase, blocks in ((True, step), (False, STEP)):
            turn = Turn(desk, "batch", in_phase=in_phase)
            sent = Transact("postBatch", ())
            ticks = [block for block in range(since, 99) if sent in turn.tick(block, sent)]
            assert ticks == [max(since + 1, since + blocks * desk.rank)]


def test_a_turn_says_when_its_clock_starts() -> None:
    desks, _ = committee()
    turn = Turn(next(d for d in desks if d.rank == 2), "batch")
    first = turn.tick(60, Transact("postBatch", ()))
    assert [type(e) for e in first] == [Note]  # journaled: after a restart the clock is where it was


# ----------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(("window", "before"), [(1, 1), (2, 1), (3, 1), (4, 2), (25, 2)])
def test_bitmaps_leave_in_time(window: int, before: int) -> None:
    desk = committee()[0][0]
    desk.view.apply(ev.PhaseChanged(7, 100, Phase.VALID, 100 + window))
    assert desk.cut() == 100 + window - before
    assert 100 < desk.share_of_window(1, 2) <= max(101, desk.cut())


def machine(i: int = 0) -> tuple[ProverMachine, list[ev.ProverInfo]]:
    """A prover that knows its session, before the draw."""
    wallets = Wallets()
    identities = [wallets.new(str(k)) for k in range(6)]
    infos = [ev.ProverInfo(x.address, bytes(32), enc_public(x)) for x in identities]
    prover = ProverMachine(CONTEXT, identities[i], bytes(32))
    assert prover.chain(ev.SessionCreated(7, 1, small_params(owner=bytes(20)))) == []
    return prover, infos


def test_all_provers_poke_for_the_committee() -> None:
    prover, _ = machine()
    assert prover.chain(ev.PhaseChanged(7, 1, Phase.COMMITTEE, 15)) == [Transact("poke", (), key="poke-COMMITTEE")]
    assert prover.tick(2) == [] and prover.tick(3) == []
    assert prover.tick(4) == [Transact("poke", (), key="poke-COMMITTEE-4")]


def test_a_prover_that_is_not_drawn_does_nothing_more() -> None:
    prover, infos = machine(5)
    prover.chain(ev.PhaseChanged(7, 1, Phase.COMMITTEE, 15))
    assert prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5]))) == []
    for phase in (Phase.DRAW, Phase.QUERY, Phase.FINISHED):
        assert prover.chain(ev.PhaseChanged(7, 9, phase, 20)) == []
    with pytest.raises(RemoteProtocolError) as caught:
        prover.receive(OutputRequest(bytes(20)))
    assert caught.value.rule == "not-ready"
    assert prover.status()["point"] is None


def test_beacon_phases_are_poked_at_once_and_again_when_they_hang() -> None:
    prover, infos = machine()
    prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
    for phase in (Phase.DRAW, Phase.QUERY):
        poke = Transact("poke", (), key=f"poke-{phase.name}")
        assert prover.chain(ev.PhaseChanged(7, 30, phase, 60)) == [poke]
        again = [block for block in range(30, 50) if any(isinstance(e, Transact) for e in prover.tick(block))]
        assert len(again) >= 3 and min(again) >= 33 and {b - a for a, b in itertools.pairwise(again)} == {5}


def test_time_outs_are_poked_by_all_at_once_and_then_by_one_per_block() -> None:
    pokes: dict[int, int] = {}
    for i in range(5):
        prover, infos = machine(i)
        prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
        prover.chain(ev.PhaseChanged(7, 30, Phase.REGISTER, 40))
        for block in range(38, 51):
            pokes[block] = pokes.get(block, 0) + sum(isinstance(e, Transact) for e in prover.tick(block))
    assert pokes == {38: 0, 39: 0, 40: 5} | dict.fromkeys(range(41, 51), 1)  # mined in 41, the first block that is late


def test_the_drawn_order_is_posted_once_each_in_turn() -> None:
    first: list[int] = []
    for i in range(5):
        prover, infos = machine(i)
        prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
        prover.chain(ev.BeaconSet(7, 30, Beacon.GROUPS, bytes(32)))
        prover.chain(ev.PhaseChanged(7, 30, Phase.GROUPS, 40))
        posts = [block for block in range(30, 40) for e in prover.tick(block) if getattr(e, "call", "") == "postGroups"]
        first += posts
        assert len(posts) == 1
    assert sorted(first) == [30, 31, 32, 33, 34]


def test_the_end_is_claimed() -> None:
    prover, infos = machine()
    prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
    assert prover.chain(ev.PhaseChanged(7, 90, Phase.ABORTED, 0)) == [Transact("claim", (), key="claim")]
    assert prover.tick(91) == []


def test_events_of_another_session_are_our_bug() -> None:
    prover, _ = machine()
    with pytest.raises(LocalProtocolError):
        prover.chain(ev.PhaseChanged(8, 1, Phase.COMMITTEE, 15))


def drawn(count: int = 5, threshold: int = 1) -> tuple[list[ProverMachine], list[list[fx.Effect]]]:
    """A committee after its draw, and what each dealt; nothing of it is delivered yet."""
    wallets = Wallets()
    identities = [wallets.new(str(k)) for k in range(count)]
    infos = tuple(ev.ProverInfo(x.address, bytes(32), enc_public(x)) for x in identities)
    machines = [ProverMachine(CONTEXT, identity, bytes([i]) * 32) for i, identity in enumerate(identities)]
    params = small_params(owner=bytes(20), committee=count, threshold=threshold)
    dealt = []
    for machine in machines:
        machine.chain(ev.SessionCreated(7, 1, params))
        dealt.append(machine.chain(ev.CommitteeDrawn(7, 3, infos)))
        machine.chain(ev.PhaseChanged(7, 3, Phase.REGISTER, 18))
    return machines, dealt


def deal_of(machine: ProverMachine, members: tuple[int, ...], seed: bytes, *signers: ProverMachine) -> SeedDeal:
    """A seed that ``machine`` says, signed by others (the dealer first)."""
    first = signers[0]._desk.point
    digest = CONTEXT.bind("seed-deal", machine._desk.wallets, bytes(members), bytes([members.index(first)]), seed)
    signatures = tuple(s._desk.identity.sign(digest) for s in signers)
    return SeedDeal(machine._desk.identity.address, members, members.index(first), seed, signatures)


def hand_round(machines: list[ProverMachine], effects: list[fx.Effect]) -> None:
    """Deliver deals to honest machines, and what follows from them."""
    by_address = {m._desk.identity.address: m for m in machines}
    while effects:
        effect = effects.pop()
        if isinstance(effect, fx.Send) and effect.to in by_address:
            effects += by_address[effect.to].receive(effect.message)


def test_seeds_go_to_every_set_among_whose_first_we_are() -> None:
    prover, infos = machine()
    effects = prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
    deals = [e for e in effects if isinstance(e, fx.Send)]
    assert len(deals) == 4 * 3 and all(e.to != infos[0].address for e in deals)  # point 1 is first in 4 of the 5 sets
    again, _ = machine()
    assert again.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5]))) == effects  # deterministic
    second = machine(1)[0].chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
    deals_of_2 = {
        (m.points, m.attempt) for m in (getattr(e, "message", None) for e in second) if isinstance(m, SeedDeal)
    }
    assert deals_of_2 == {((1, 2, 3, 4), 1), ((1, 2, 3, 5), 1), ((1, 2, 4, 5), 1), ((2, 3, 4, 5), 0)}


def test_a_silent_dealer_is_made_up_for_by_the_next() -> None:
    provers, _ = drawn()
    members = (1, 2, 3, 4)
    assert members not in provers[2]._setup.seeds()
    hand_round(provers[2:4], provers[2].receive(deal_of(provers[1], members, bytes(32), provers[1])))
    assert provers[2]._setup.seeds()[members] == provers[3]._setup.seeds()[members] == bytes(32)
    hand_round(provers[2:4], provers[3].receive(deal_of(provers[0], members, b"x" * 32, provers[0])))
    assert provers[2]._setup.seeds()[members] == provers[3]._setup.seeds()[members] == b"x" * 32  # not silent after all


def test_forged_and_foreign_deals_are_refused() -> None:
    dealer, infos = machine(0)
    deals = [e for e in dealer.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5]))) if isinstance(e, fx.Send)]
    deal = next(e.message for e in deals if e.to == infos[1].address)
    assert isinstance(deal, SeedDeal)
    prover, _ = machine(1)
    prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
    for wrong, rule in [
        (replace(deal, seed=bytes(32)), "bad-signature"),
        (replace(deal, attempt=0, signatures=()), "bad-signature"),
        (replace(deal, attempt=9), "wrong-attempt"),
        (replace(deal, points=(1, 2)), "wrong-set"),
        (replace(deal, signatures=(bytes(65),)), "bad-signature"),
        (replace(deal, signatures=deal.signatures * 2), "bad-signature"),
        (replace(deal, sender=infos[5].address), "wrong-sender"),
    ]:
        with pytest.raises(RemoteProtocolError) as caught:
            prover.receive(wrong)
        assert caught.value.rule == rule
    relays = prover.receive(deal)
    assert len(relays) == len(deal.points) - 2 and prover.receive(deal) == []
    prover, _ = machine(1)
    prover.chain(ev.CommitteeDrawn(7, 3, tuple(infos[:5])))
    prover.view.phase = Phase.DELIVERED
    with pytest.raises(RemoteProtocolError) as caught:
        prover.receive(deal)
    assert caught.value.rule == "late"  # another member would have to vouch for it now


@pytest.mark.parametrize(("count", "threshold"), [(5, 1), (9, 2)])
@pytest.mark.parametrize("phase", [Phase.REGISTER, *range(Phase.UPLOAD, Phase.BATCH)], ids=lambda p: Phase(p).name)
def test_honest_members_agree_on_a_seed_whatever_its_dealers_do(count: int, threshold: int, phase: Phase) -> None:
    """A second seed appears at one member only, with as many signatures as t liars can put under it."""
    provers, dealt = drawn(count, threshold)
    members = tuple(range(1, count - threshold + 1))
    liars, honest = provers[:threshold], provers[threshold : count - threshold]
    early = [e for k, m in enumerate(honest) for e in m.receive(deal_of(liars[0], members, b"a" * 32, liars[0]))]
    hand_round(honest, early)
    hand_round(honest, [e for effects in dealt[threshold:] for e in effects])
    for m in honest:
        m.view.phase = Phase(phase)
    late = deal_of(liars[-1], members, b"b" * 32, *liars)
    try:
        relays = honest[0].receive(late)
    except RemoteProtocolError as error:
        assert error.rule == "late" and phase >= Phase.UPLOAD + threshold
        relays = []
    for m in honest[1:]:
        m.view.phase = Phase(min(phase + 1, Phase.VALID))  # the others are one phase ahead
    hand_round(honest, relays)
    assert len({m._setup.seeds()[members] for m in honest}) == 1


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_sealed_bundles_have_the_length_that_dealers_make(size: int) -> None:
    from protocols.secagg.keys import SessionKeys
    from protocols.secagg.seal import SEAL_OVERHEAD
    from protocols.secagg.shares import deal_key_shares, pack_bundle

    keys = SessionKeys.derive(bytes(32), CONTEXT, bytes(20))
    dealt = deal_key_shares(CONTEXT, bytes(20), keys, size, bytes(32))
    for position, bundle in enumerate(dealt.bundles):
        assert sealed_bytes(size, position) == len(pack_bundle(bundle)) + SEAL_OVERHEAD


# ------------------------------------------------------------------------------------------------- rounds of seeds


def seed_setups(n: int, t: int) -> list[tuple[Desk, SeedSetup]]:
    """A committee of certificate zk."""
    wallets = Wallets()
    identities = [wallets.new(str(i)) for i in range(n)]
    infos = tuple(ev.ProverInfo(i.address, bytes(32), enc_public(i)) for i in identities)
    made = []
    for i, identity in enumerate(identities):
        desk = Desk(CONTEXT, identity, bytes([i]) * 32)
        params = small_params(owner=bytes(20), mode=Mode.VERIFIED, committee=n, threshold=t)
        desk.view.apply(ev.SessionCreated(7, 1, replace(params, proof_key=b"\1" * 32)))
        desk.view.apply(ev.CommitteeDrawn(7, 2, infos))
        made.append((desk, SeedSetup(desk)))
    return made


def test_two_faulty_dealers_cannot_make_honest_provers_differ_without_phase_query() -> None:
    """A second seed reaches one honest prover at the very end of DELIVERED. It still tells all others, in VALID."""
    members, made = (1, 2, 3, 4, 5, 6, 7), seed_setups(9, 2)
    for _, setup in made:
        setup.start()
    (liar, dealer), (accomplice, _), (_, unlucky) = made[:3]
    first = dealer._known[members][0][0]
    signed = [liar.identity.sign(dealer._digest(members, 0, first))]
    for _, setup in made[2:7]:
        setup.receive(SeedDeal(liar.identity.address, members, 0, first, tuple(signed)))
    other = [desk.identity.sign(dealer._digest(members, 0, b"\x99" * 32)) for desk in (liar, accomplice)]
    for desk, _ in made:
        desk.view.apply(ev.PhaseChanged(7, 20, Phase.DELIVERED, 30))
    told = unlucky.receive(SeedDeal(accomplice.identity.address, members, 0, b"\x99" * 32, tuple(other)))
    for desk, _ in made:
        desk.view.apply(ev.PhaseChanged(7, 30, Phase.VALID, 40))
    for effect in told:
        assert isinstance(effect, fx.Send) and isinstance(effect.message, SeedDeal)
        to = next(setup for desk, setup in made if desk.identity.address == effect.to)
        assert to.receive(effect.message) == []  # three signed it: nobody has to hand it on
    assert {len(setup._known[members][0]) for _, setup in made[2:7]} == {2}  # all skip the attempt


def test_more_faulty_provers_get_no_session_of_certificate_zk() -> None:
    _, setup = seed_setups(13, 3)[0]
    with pytest.raises(LocalProtocolError, match="no round"):
        setup.start()
