"""The contract bindings against the real contracts: a session is opened, drawn and joined; its logs become events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import trio

from omninode.chain.client import ChainClient
from omninode.chain.deployment import deploy
from omninode.chain.devchain import DevChain, start_anvil
from omninode.chain.errors import NoContract, TransactionFailed, WrongChain
from omninode.chain.market import Market
from omninode.chain.registry import Registry
from omninode.chain.wallet import Wallet
from protocols.errors import LocalProtocolError
from protocols.selection import scores
from protocols.sessions import events as ev
from protocols.sessions.params import REFERENCE, Beacon, Bitmap, Mode, Payout, Phase, Rule, SessionParams
from protocols.sessions.view import SessionView
from protocols.wire import eip712
from protocols.wire.context import Context
from tests.integration.chain_support import ALICE, BOB, ETHER, FUND, needs_anvil, running_queue

pytestmark = needs_anvil

OWNERS = [Wallet(bytes([0x20 + k]) * 32) for k in range(3)]
PARAMS = SessionParams(
    doc_digest=b"\1" * 32, owner=ALICE.address, owner_peer=b"\2" * 32, mode=Mode.GROUPED, dimension=5090, frac_bits=16,
    bound=65536, group_size=3, groups=4, committee=5, threshold=1, rule=Rule.OUTLIER, mu_bps=2500, m_krum=0,
    min_accepted=3, public_sums=False, reward=ETHER, prover_fee=ETHER // 100, deposit=ETHER // 10, gas_price_cap=10**9,
    whitelist_root=bytes(32), register_blocks=15, upload_blocks=20, settle_blocks=25,
)  # fmt: skip

VERIFIED = replace(
    PARAMS, mode=Mode.VERIFIED, group_size=1, groups=3, rule=Rule.TRUST, payout=Payout.CONTRIBUTION, score_cap=1000,
    settle_blocks=30,
)  # fmt: skip


@dataclass
class World:
    """A chain with contracts and five staked provers. Alice is the owner, wallets act through their own queues."""

    chain: DevChain
    client: ChainClient
    market: Market
    gas: dict[str, int]

    @asynccontextmanager
    async def as_(self, wallet: Wallet) -> AsyncIterator[Market]:
        """The market in the hands of another wallet."""
        await self.chain.set_balance(self.client, wallet.address, 100 * ETHER)
        async with running_queue(self.client, wallet=wallet) as queue:
            registry = Registry(self.client, queue, self.market.registry.address)
            yield Market(self.client, queue, self.market.address, registry, chain_id=self.chain.chain_id)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    gas: dict[str, int] = {}
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(28):
        async with ChainClient(chain.url) as client:
            deployment = await deploy(client, ALICE, min_stake=ETHER, exit_delay=30)

            def count(fn: str, used: int, price: int) -> None:
                gas[fn] = used

            async with running_queue(client, on_receipt=count) as queue:
                registry = Registry(client, queue, deployment.registry)
                market = Market(
                    client, queue, deployment.market, registry, chain_id=chain.chain_id, start_block=deployment.block
                )
                await market.check()
                yield World(chain, client, market, gas)


async def stake_provers(world: World, count: int = 5) -> None:
    async def one(number: int) -> None:
        async with world.as_(Wallet(bytes([0x10 + number]) * 32)) as market:
            await market.registry.register(bytes([number + 1]) * 32, bytes([number + 101]) * 32, stake=ETHER)

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)


async def test_registry_roundtrip() -> None:
    async with world() as w, w.as_(BOB) as market:
        registry = market.registry
        assert (await registry.prover(BOB.address)).stake == 0
        with pytest.raises(TransactionFailed) as caught:
            await registry.register(b"\1" * 32, b"\2" * 32, stake=5)
        assert caught.value.error == "StakeTooLow" and not caught.value.sent
        await registry.register(b"\1" * 32, b"\2" * 32, stake=ETHER)
        known = await registry.prover(BOB.address)
        assert (known.peer_key, known.enc_key, known.stake, known.drawable) == (b"\1" * 32, b"\2" * 32, ETHER, True)
        assert await registry.drawable_count() == 1 and await registry.min_stake() == ETHER
        await registry.request_exit()
        assert not (await registry.prover(BOB.address)).drawable
        await w.chain.mine(w.client, 40)
        before = await w.client.balance(BOB.address)
        await registry.withdraw()
        assert await w.client.balance(BOB.address) > before + ETHER // 2


async def test_a_session_from_creation_to_the_groups() -> None:
    async with world() as w:
        await stake_provers(w)
        session = await w.market.create_session(PARAMS, key="create/1")
        assert session == 1 == await w.market.session_count()
        assert await w.market.params(session) == PARAMS
        assert await w.market.create_session(PARAMS, key="create/1") == session, "the same key is the same session"
        assert (await w.market.view(session))["phase"] is Phase.COMMITTEE

        receipt = await w.market.transact("poke", session, key="1/poke")
        while (await w.market.view(session))["phase"] is Phase.COMMITTEE:
            await w.chain.mine(w.client)
            receipt = await w.market.transact("poke", session)
        assert receipt.ok and w.gas["poke"] == receipt.gas_used > 0 and w.gas["createSession"] > 0

        async def join(wallet: Wallet) -> None:
            async with w.as_(wallet) as market:
                args = (wallet.address + bytes(12), b"\5" * 32, ())
                await market.transact("register", session, args, PARAMS.deposit)

        async with trio.open_nursery() as nursery:
            for wallet in OWNERS:
                nursery.start_soon(join, wallet)

        committee = await w.market.committee(session)
        assert len(committee) == 5 and {p.peer_key for p in committee} == {bytes([n + 1]) * 32 for n in range(5)}
        assert set(await w.market.data_owners(session)) == {o.address for o in OWNERS}
        assert await w.market.owed(session, ALICE.address) == 0
        await _check_events(w, session, committee)


async def _check_events(w: World, session: int, committee: tuple[ev.ProverInfo, ...]) -> None:
    """The cursor's events fold into what the contract says."""
    view, latest = SessionView(session), await w.client.block_number()
    async for batch in w.market.cursor():
        for event in batch.events:
            view.apply(event)
        if batch.block >= latest:
            break
    assert view.p == PARAMS and view.phase is Phase.REGISTER and view.committee == committee
    assert {m.address for m in view.members} == {o.address for o in OWNERS}
    assert [m.index for m in view.members] == [0, 1, 2] and view.members[0].key_digest == b"\5" * 32
    raw = await w.market.view(session)
    assert view.beacons == {Beacon.COMMITTEE: raw["beacons"][0]} and view.deadline == raw["deadline"]
    names = [event.name for event in await w.market.history(session)]
    assert names[0] == "SessionCreated" and names.count("Registered") == 3 and "CommitteeDrawn" in names


async def test_a_verified_session_from_creation_to_the_payouts() -> None:
    async with world() as w:
        await stake_provers(w)
        session = await w.market.create_session(VERIFIED)
        assert await w.market.params(session) == VERIFIED
        await w.chain.mine(w.client)
        await w.market.transact("poke", session)
        await w.market.transact("commitReference", session, (b"\3" * 32,))
        await _each(w, OWNERS, "register", session, b"\1" * 32, b"\5" * 32, (), value=VERIFIED.deposit)
        await _each(w, OWNERS, "commitUpload", session, b"\6" * 32)
        provers = {p.address: p for p in (Wallet(bytes([0x10 + n]) * 32) for n in range(5))}
        committee = [provers[info.address] for info in await w.market.committee(session)]
        valid = 0b111 | 1 << REFERENCE
        await _each(w, committee, "postBitmap", session, Bitmap.DELIVERED, valid)
        await w.chain.mine(w.client)
        await w.market.transact("poke", session)
        await _each(w, committee[1:3], "postOpenings", session, valid, bytes(range(32)))
        await _each(w, committee, "postBitmap", session, Bitmap.VALID, valid)
        view = await _fold(w, session)
        assert (
            view.phase is Phase.BATCH
            and view.sets[Bitmap.VALID] == valid
            and view.upload_roots[REFERENCE] == b"\3" * 32
        )
        assert view.groups == [[0], [1], [2]] and Beacon.GROUPS not in view.beacons
        assert sorted(view.openings) == [1, 2], "committee indices"
        assert all((o.present, o.values) == (valid, bytes(range(32))) for o in view.openings.values())

        phi = [70, 5000, 30]
        values = tuple(score | 1 << 128 for score in phi)
        digest = eip712.batch_digest(Context(w.chain.chain_id, w.market.address, session), valid, 7, values, b"\7" * 32)
        signatures = [wallet.sign_digest(digest) for wallet in committee[:4]]
        await w.market.transact("postBatch", session, (7, values, b"\7" * 32, 0b1111, signatures))
        assert await w.market.payout_of(session, 0) == 0, "not before the end"
        await w.market.transact("acknowledge", session)
        view = await _fold(w, session)
        assert view.phase is Phase.FINISHED and view.scores == values
        assert view.batch is not None and view.batch.accepted == view.batch.passed == view.batch.selected == 7
        payouts = scores.payouts(VERIFIED.reward, scores.weights(phi, [1, 1, 1], VERIFIED.score_cap))
        assert [await w.market.payout_of(session, k) for k in range(3)] == payouts
        for member, payout in zip(view.members, payouts or (), strict=True):
            assert await w.market.owed(session, member.address) >= payout + VERIFIED.deposit
        assert await w.market.payout_of(session, REFERENCE) == 0


async def _each(w: World, wallets: list[Wallet], call: str, session: int, *args: object, value: int = 0) -> None:
    for wallet in wallets:
        async with w.as_(wallet) as market:
            await market.transact(call, session, args, value)


async def _fold(w: World, session: int) -> SessionView:
    view = SessionView(session)
    for event in await w.market.session_events(session):
        view.apply(event)
    return view


async def test_what_the_contract_refuses_has_a_name() -> None:
    async with world() as w:
        with pytest.raises(TransactionFailed, match="BadCommittee") as caught:
            await w.market.create_session(replace(PARAMS, committee=4))
        assert caught.value.error == "BadCommittee" and caught.value.error_args == (4, 1)
        with pytest.raises(TransactionFailed, match="BadScoreCap") as caught:
            await w.market.create_session(replace(VERIFIED, score_cap=0))
        with pytest.raises(TransactionFailed, match="UnknownSession"):
            await w.market.transact("poke", 77)
        receipt = await w.market.transact("poke", 77, expected_noop={"UnknownSession"})
        assert receipt.ok and not receipt.sent
        with pytest.raises(ValueError, match="postBitmap"):
            await w.market.transact("postBitmap", 1, (0, -1))
        with pytest.raises(ValueError, match="no function 'nonsense'"):
            await w.market.transact("nonsense", 1)


async def test_a_revert_on_chain_is_explained() -> None:
    """Two transactions, each fine at estimation; the second one meets what the first did."""
    async with world() as w:
        await stake_provers(w)
        async with w.as_(BOB) as market:
            await market.registry.register(b"\1" * 31 + b"\7", b"\2" * 32, stake=ETHER)
            await w.chain.set_automine(w.client, False)
            outcomes: list[str] = []

            async def leave() -> None:
                try:
                    await market.registry.request_exit()
                    outcomes.append("")
                except TransactionFailed as error:
                    assert error.sent
                    outcomes.append(error.error)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(leave)
                nursery.start_soon(leave)
                while int((await w.client.rpc("txpool_status"))["pending"], 16) < 2:
                    await trio.sleep(0.05)
                await w.chain.mine(w.client)
            assert sorted(outcomes) == ["", "AlreadyLeaving"]


async def test_a_market_that_is_none() -> None:
    async with world() as w:
        registry = w.market.registry
        with pytest.raises(NoContract, match="no contract at 0x0c0c"):
            await Market(w.client, None, b"\x0c" * 20, registry, chain_id=w.chain.chain_id).check()
        with pytest.raises(WrongChain):
            await Market(w.client, None, w.market.address, registry, chain_id=5).check()
        reader = Market(w.client, None, w.market.address, registry, chain_id=w.chain.chain_id)
        await reader.check()
        with pytest.raises(LocalProtocolError, match="for reading"):
            await reader.transact("poke", 1)
