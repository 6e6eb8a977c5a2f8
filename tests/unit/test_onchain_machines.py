"""Machines of the on-chain baseline on a fake chain: the good path, silence, restarts, strangers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.onchain import events as ev
from protocols.onchain import lanes
from protocols.onchain.data_owner import OnchainDataOwner
from protocols.onchain.limits import settle_needed
from protocols.onchain.owner import SETUP_BLOCKS
from protocols.onchain.params import State
from protocols.onchain.view import OnchainView
from protocols.sessions.effects import Note, Remember, Transact
from tests.unit import onchain_kit
from tests.unit.onchain_kit import CONTEXT, OWNER, WINDOW, Play, seed_of, terms

pytestmark = pytest.mark.filterwarnings("error")


def mean_of(play: Play, rounds: list[int]) -> np.ndarray:
    size = play.chain.view.training.group_size  # type: ignore[union-attr]
    members = [m.address for m in play.chain.view.members if m.place // size in rounds]
    return np.mean([play.models[m] for m in members], axis=0)


def test_a_session_ends_with_the_mean_of_the_kept_rounds() -> None:
    play = Play(rounds=4, size=3, chosen=terms(dimension=511, m_krum=2))
    view = play.run()
    assert view.state == State.FINISHED
    kept = view.rounds(view.selected)
    assert len(kept) == 2
    total = sum((play.chain.round_sum(r) for r in kept), np.zeros(511, dtype=np.uint64))
    assert np.allclose(lanes.decode_mean(total, 6), mean_of(play, kept), atol=2e-8)
    assert set(view.claimed) == set(play.wallets)
    assert all(machine.over for machine in play.machines.values())


def test_every_transaction_is_asked_for_once() -> None:
    play = Play()
    play.run()
    for who, effects in play.effects.items():
        keys = [e.key for e in effects if isinstance(e, Transact)]
        assert len(keys) == len(set(keys)), who.hex()
    assert play.chain.calls.count((OWNER, "start")) == 1


def test_what_is_uploaded_is_remembered_first_and_hides_the_model() -> None:
    play = Play()
    play.run()
    for wallet in play.wallets:
        first, *uploads = play.uploaded(wallet)
        assert isinstance(first, Remember)
        assert len(uploads) == 2
        sent = lanes.join([play.chain.uploads[wallet][c] for c in range(2)], 300)
        assert not np.intersect1d(sent, lanes.encode(play.models[wallet], 4)).size


def test_a_silent_data_owner_empties_its_round_only() -> None:
    play = Play(rounds=3, size=2, keep=lambda who, e, _: not (e.call == "upload" and who == quiet))
    quiet = play.wallets[0]
    view = play.run()
    mine = view.round_of(view.member_of(quiet).place)  # type: ignore[union-attr]
    assert view.state == State.FINISHED
    assert mine not in view.rounds(view.complete)
    assert mine not in view.rounds(view.selected)
    assert len(view.rounds(view.complete)) == 2


def test_half_an_upload_is_no_upload() -> None:
    play = Play(rounds=2, keep=lambda who, e, _: not (e.call == "upload" and who == quiet and e.args[0] == 1))
    quiet = play.wallets[1]
    view = play.run()
    assert view.rounds(view.complete) == [1 - view.round_of(view.member_of(quiet).place)]  # type: ignore[union-attr]


def test_a_round_without_all_keys_is_not_live_and_uploads_nothing() -> None:
    play = Play(rounds=2, keep=lambda who, e, _: not (e.call == "postKey" and who == quiet))
    quiet = play.wallets[0]
    view = play.run()
    place = view.member_of(quiet).place  # type: ignore[union-attr]
    assert view.rounds(view.live) == [1 - place // 2]
    for member in view.members:
        assert bool(play.uploaded(member.address)) == (view.live >> view.round_of(member.place) & 1 == 1)
    assert set(view.claimed) == set(play.wallets)  # their gas


def test_nobody_uploads_no_output() -> None:
    play = Play(keep=lambda who, e, _: e.call != "upload")
    view = play.run()
    assert (view.state, view.selected) == (State.FINISHED, 0)


def test_too_few_register_the_rest_goes_on() -> None:
    play = Play(rounds=3, size=2, keep=lambda who, e, _: not (e.call == "register" and who in quiet))
    quiet = set(play.wallets[:3])
    view = play.run()
    assert len(view.members) == 3
    assert view.rounds(view.selected) == [0]


def test_without_their_owner_the_data_owners_end_and_judge_the_session() -> None:
    def keep(who: bytes, effect: Transact, block: int) -> bool:
        return who != OWNER or effect.call in ("postModel", "start")

    play = Play(rounds=3, size=2, keep=keep, chosen=terms(m_krum=2))
    view = play.run()
    assert view.state == State.PAYMENT
    assert len(view.rounds(view.selected)) == 2
    assert set(view.claimed) == set(play.wallets)


def test_a_deadline_is_ended_by_the_owner_first_and_only_once() -> None:
    play = Play(keep=lambda who, e, _: e.call != "postKey")
    view = play.run()
    pokes = [who for who, call in play.chain.calls if call == "poke"]
    assert pokes == [OWNER]
    assert view.selected == 0


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 60))
def test_a_machine_made_again_says_the_same_whenever_its_model_comes(cut: int) -> None:
    play = Play(rounds=2, size=3)
    play.run()
    for wallet in play.wallets[:2]:
        again, first = play.data_owner(wallet), play.uploaded(wallet)
        said = [e for event in play.history[:cut] for e in again.chain(event)]
        said += again.model_ready(play.models[wallet])
        said += [e for event in play.history[cut:] for e in again.chain(event)]
        sent = [e for e in said if isinstance(e, Remember) or getattr(e, "call", "") == "upload"]
        uploading = next(i for i, e in enumerate(play.history) if isinstance(e, ev.SuppressionOpened | ev.Selected))
        assert sent == (first if cut <= uploading else [])  # too late for anything: the state is over


def test_another_model_after_a_restart_is_another_memory_so_the_driver_refuses() -> None:
    play = Play()
    play.run()
    wallet = play.wallets[0]
    again = play.data_owner(wallet)
    again.model_ready(play.models[wallet] + 1)
    said = [e for event in play.history for e in again.chain(event) if isinstance(e, Remember)]
    before = [e for e in play.uploaded(wallet) if isinstance(e, Remember)]
    assert said[0].key == before[0].key
    assert said[0].value != before[0].value


def test_another_peers_key_is_another_memory_too() -> None:
    play = Play(rounds=1)
    play.run()
    wallet, other = play.wallets
    again = play.data_owner(wallet)
    again.model_ready(play.models[wallet])
    forged = play.data_owner(other)._key.public[::-1]
    history = [replace(e, key=forged) if isinstance(e, ev.KeyPosted) and e.who == other else e for e in play.history]
    said = [e for event in history for e in again.chain(event) if isinstance(e, Remember)]
    assert said[0].value != play.uploaded(wallet)[0].value  # type: ignore[union-attr]


def test_events_of_another_session_are_not_looked_at() -> None:
    play = Play()
    play.run()
    machine = play.data_owner(play.wallets[0])
    for event in play.history:
        moved = type(event)(**{**{f: getattr(event, f) for f in event.__dataclass_fields__}, "session": 2})
        assert machine.chain(moved) == []
    assert machine.view.terms is None


def test_strangers_and_other_rounds_change_no_mask() -> None:
    alone, crowded = Play(rounds=1), Play(rounds=1)
    alone.run()
    machine = crowded.data_owner(alone.wallets[0])
    machine.model_ready(alone.models[alone.wallets[0]])
    said = []
    for event in alone.history:
        if isinstance(event, ev.AggregationOpened):  # a third data owner of a second round, just before
            stranger = seed_of("stranger")[:20]
            machine.chain(ev.Registered(1, event.block, stranger, 2, b"\x05" * 32))
            machine.chain(ev.KeyPosted(1, event.block, stranger, 2, b"\x09" * 32))
        said += [e for e in machine.chain(event) if isinstance(e, Remember) or getattr(e, "call", "") == "upload"]
    assert said == alone.uploaded(alone.wallets[0])


def test_an_unusable_key_of_a_peer_leaves_the_round_empty_with_a_note() -> None:
    play = Play(rounds=1)
    play.run()
    machine = play.data_owner(play.wallets[0])
    machine.model_ready(play.models[play.wallets[0]])
    said = []
    for event in play.history:
        if isinstance(event, ev.KeyPosted) and event.who == play.wallets[1]:
            event = ev.KeyPosted(1, event.block, event.who, event.place, bytes(32))
        said += machine.chain(event)
    assert [e.name for e in said if isinstance(e, Note)] == ["update_refused"]
    assert not [e for e in said if getattr(e, "call", "") == "upload"]
    assert machine.refused


def test_a_model_that_could_overflow_is_not_uploaded() -> None:
    play = Play()
    play.models[play.wallets[0]][5] = 1e12
    play.run()
    assert not play.uploaded(play.wallets[0])
    assert "overflow" in play.machines[play.wallets[0]].refused  # type: ignore[union-attr]


def test_a_model_of_another_length_is_an_error() -> None:
    play = Play()
    play.run(1)
    with pytest.raises(ValueError, match="300 parameters"):
        play.machines[play.wallets[0]].model_ready(np.zeros(299))  # type: ignore[union-attr]


def test_the_owner_whitelists_before_it_starts() -> None:
    play = Play(rounds=1, whitelist=[seed_of("wallet", k)[:20] for k in range(2)])
    view = play.run()
    calls = [call for who, call in play.chain.calls if who == OWNER]
    assert calls.index("whitelist") < calls.index("start")
    assert view.whitelist == set(play.wallets)


def test_more_than_64_chunks_are_added_first() -> None:
    play = Play(rounds=1, chosen=terms(dimension=65 * 250))
    wanted = [e for e in play.feed(OWNER, play.machines[OWNER], play.chain.take()) if isinstance(e, Transact)]
    assert (wanted[0].call, wanted[0].args) == ("addChunks", (1,))
    assert len(wanted) == 66


def test_status_is_plain() -> None:
    play = Play()
    play.run()
    status = play.machines[play.wallets[0]].status()
    assert status["uploaded"] == 2
    assert status["claimed"] == 1
    assert play.machines[OWNER].status()["refund"] == 1
    assert CONTEXT.session == 1 and WINDOW > 3


def test_data_owners_measure_within_the_shortest_window_that_limits_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(who: bytes, effect: Transact, block: int) -> bool:
        return who != OWNER or effect.call in ("postModel", "start")

    window = settle_needed(300, 3, 2, 36_000_000)
    monkeypatch.setattr(onchain_kit, "WINDOW", window)
    play = Play(rounds=3, size=2, keep=keep, chosen=terms(m_krum=2))
    view = play.run()
    opened = next(e.block for e in play.history if isinstance(e, ev.SuppressionOpened))
    settled = next(e.block for e in play.history if isinstance(e, ev.Selected))
    assert view.selected
    assert settled - opened <= window


def test_an_empty_whitelist_admits_nobody() -> None:
    play = Play()
    view = play.chain.view
    assert view.admits(play.wallets[0])
    view.apply(ev.Whitelisted(1, 1, ()))
    assert not view.admits(play.wallets[0])
    view.apply(ev.Whitelisted(1, 1, (play.wallets[0],)))
    assert view.admits(play.wallets[0]) and not view.admits(play.wallets[1])


def test_a_key_on_chain_that_is_not_ours_leaves_the_round_empty() -> None:
    play = Play(rounds=1)
    play.run()
    wallet = play.wallets[0]
    machine = OnchainDataOwner(CONTEXT, wallet, seed_of("peer", wallet), seed_of("another seed"))
    machine.model_ready(play.models[wallet])
    said = [effect for event in play.history for effect in machine.chain(event)]
    assert [e.name for e in said if isinstance(e, Note)] == ["update_refused"]
    assert not [e for e in said if getattr(e, "call", "") == "upload"]
    assert "not this node's" in machine.refused


def test_a_setup_that_leads_nowhere_is_given_up() -> None:
    play = Play(keep=lambda who, e, _: e.call != "start")
    machine = play.machines[OWNER]
    play.feed(OWNER, machine, play.chain.take())
    assert machine.tick(1 + SETUP_BLOCKS) == []
    assert [e.call for e in machine.tick(2 + SETUP_BLOCKS) if isinstance(e, Transact)] == ["exit"]
    assert machine.tick(3 + SETUP_BLOCKS) == []


def test_a_view_that_is_cleared_is_as_new() -> None:
    play = Play()
    play.run()
    view = play.chain.view
    view.clear()
    assert vars(view) == vars(OnchainView(1))
