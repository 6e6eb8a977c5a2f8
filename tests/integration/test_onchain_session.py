"""Sessions of the on-chain baseline with the real contracts: machines, sums, m-Krum, gas, and the chain's binding."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from omninode.chain import devchain
from omninode.chain.client import ChainClient
from omninode.chain.deployment import deploy
from omninode.chain.errors import ChainError
from omninode.chain.onchain import Onchain
from omninode.chain.wallet import Wallet
from omninode.reproduce.onchain_stage import OnchainPlay, play
from protocols.onchain import events as ev
from protocols.onchain import krum, lanes
from protocols.onchain.limits import session_gas
from protocols.onchain.params import State
from tests.integration.chain_support import ETHER, needs_anvil

pytestmark = needs_anvil
WALLETS = [Wallet(bytes([k + 1]) * 32) for k in range(17)]


@asynccontextmanager
async def factory() -> AsyncIterator[tuple[ChainClient, bytes]]:
    """A chain that mines when asked, with the baseline's factory."""
    fund = {wallet.address: 1000 * ETHER for wallet in WALLETS}
    with devchain.start_anvil(block_time=None, fund=fund) as chain:
        async with ChainClient(chain.url) as client:
            deployed = await deploy(client, WALLETS[0], min_stake=1, exit_delay=1, onchain=True)
            await chain.set_automine(client, False)
            yield client, deployed.onchain


def models(count: int, dimension: int) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(3)
    return {k: rng.normal(0, 1, dimension) for k in range(count)}


def place_of(played: OnchainPlay, k: int) -> int:
    member = played.view.member_of(played.data_owners[k])
    assert member is not None
    return member.place


async def test_the_chain_has_the_mean_of_the_rounds_that_m_krum_keeps() -> None:
    dimension, rounds, size = 333, 4, 3
    given = models(rounds * size, dimension)
    given[5] = given[5] + 50  # one bad data owner spoils its round
    async with factory() as (client, address):
        played = await play(client, address, WALLETS, dimension, rounds, size, m_krum=2, mu_bps=2500, models=given)
        onchain = Onchain(client, None, address, chain_id=await client.chain_id())
        sums = [await onchain.round_sum(played.session, r) for r in range(rounds)]
        triangle = await onchain.view(played.session, "distances")
        posted = await onchain.model(played.session)
    places = {k: place_of(played, k) for k in given}
    for r, total in enumerate(sums):
        inside = [given[k] for k, place in places.items() if place // size == r]
        assert np.allclose(lanes.decode_mean(total, size), np.mean(inside, axis=0), atol=2e-8)
    table = krum.distances(sums)
    assert list(triangle) == [table[r][s] for r in range(rounds) for s in range(r + 1, rounds)]
    kept = krum.kept_rounds(range(rounds), table, rounds, 2500, 2)
    assert played.view.rounds(played.view.selected) == list(kept)
    assert places[5] // size not in kept
    assert played.total is not None
    inside = [given[k] for k, place in places.items() if place // size in kept]
    assert played.count == 6
    assert np.allclose(lanes.decode_mean(played.total, 6), np.mean(inside, axis=0), atol=2e-8)
    assert played.view.state == State.FINISHED
    assert set(played.view.claimed) == set(played.data_owners)
    assert len(posted) == dimension


async def test_the_contract_measures_full_lanes_as_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    any_lanes = lambda model, parties: rng.integers(0, 2**64, len(model), dtype=np.uint64)  # noqa: E731
    async with factory() as (client, address):
        monkeypatch.setattr(lanes, "encode", any_lanes)
        played = await play(client, address, WALLETS, 7, 5, 2, m_krum=2, mu_bps=2500)
        onchain = Onchain(client, None, address, chain_id=await client.chain_id())
        sums = [await onchain.round_sum(played.session, r) for r in range(5)]
        triangle = await onchain.view(played.session, "distances")
    table = krum.distances(sums)
    assert max(max(row) for row in table) > 7 * 2**126  # differences beyond 64 bits
    assert list(triangle) == [table[r][s] for r in range(5) for s in range(r + 1, 5)]
    assert played.view.rounds(played.view.selected) == list(krum.kept_rounds(range(5), table, 5, 2500, 2))


async def test_a_silent_data_owner_empties_its_round() -> None:
    async with factory() as (client, address):
        played = await play(client, address, WALLETS, 100, 3, 2, m_krum=2, silent=frozenset({0}), upload_blocks=6)
    mine = place_of(played, 0) // 2
    assert played.view.rounds(played.view.complete) == [r for r in range(3) if r != mine]
    assert played.count == 4
    assert not any(name.endswith("reverted") for name in played.gas.by_call)


async def test_several_sessions_of_one_factory_and_no_output_where_all_are_silent() -> None:
    async with factory() as (client, address):
        first = await play(client, address, WALLETS, 10, 1, 2, silent=frozenset({0, 1}), upload_blocks=4)
        second = await play(client, address, WALLETS, 10, 1, 2, seed=1)
        onchain = Onchain(client, None, address, chain_id=await client.chain_id())
        assert await onchain.count() == 2
        with pytest.raises(ChainError, match="knows no session 3"):
            await onchain.head_of(3)
    assert (first.view.selected, first.total) == (0, None)
    assert (second.session, second.count) == (2, 2)


async def test_a_cursor_reads_heads_from_their_first_event_on() -> None:
    async with factory() as (client, address):
        played = await play(client, address, WALLETS, 300, 2, 2)
        onchain = Onchain(client, None, address, chain_id=await client.chain_id())
        cursor = onchain.cursor(0)
        batch = await anext(cursor)  # all at once: the head is named in the middle of what is read
        cursor.leave(onchain.heads[played.session])
    assert isinstance(batch.events[0], ev.Created)
    assert [type(e) for e in batch.events].count(ev.Created) == 1
    assert [type(e) for e in batch.events].count(ev.Uploaded) == 8
    assert isinstance(batch.events[-1], ev.Claimed | ev.Exited)
    assert batch.events[0].terms.owner == WALLETS[0].address


@pytest.mark.parametrize(("dimension", "rounds", "size"), [(250, 4, 4), (1_000, 2, 2), (300, 8, 2)])
async def test_gas_is_what_the_formula_says(dimension: int, rounds: int, size: int) -> None:
    async with factory() as (client, address):
        played = await play(client, address, WALLETS, dimension, rounds, size)
    said = session_gas(dimension, rounds, size)
    used = {name: sum(gas) for name, gas in played.gas.by_call.items()}
    for name, gas in said.by_function.items():
        assert abs(used.get(name, 0) - gas) <= 0.1 * gas, (name, used.get(name), gas)
    assert abs(played.gas.session - said.total) < 0.02 * said.total
    mean = sum(played.per_data_owner) / len(played.per_data_owner)
    assert abs(mean - said.data_owner) < 0.03 * mean
