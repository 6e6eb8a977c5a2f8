"""The transaction queue against a real chain."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from omninode.chain.client import ChainClient
from omninode.chain.devchain import start_anvil
from omninode.chain.errors import DeadlineExceeded, InsufficientFunds, TransactionFailed, WrongChain
from omninode.chain.transaction import TxRecord, Unsigned
from omninode.chain.txmonitor import SETTLE_BLOCKS
from omninode.chain.txqueue import TxQueue
from omninode.chain.txstore import SqliteTxStore, StoreFailed
from tests.integration.chain_support import ALICE, BOB, ETHER, FUND, LOG, needs_anvil, running_queue, until

pytestmark = needs_anvil


async def test_fifty_transactions_in_flight_at_once() -> None:
    mined: list[tuple[str, int, int]] = []
    with start_anvil(fund=FUND) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client:
            async with running_queue(client, on_receipt=lambda *told: mined.append(told)) as queue:
                receipts = []

                async def pay(number: int) -> None:
                    receipts.append(await queue.submit(BOB.address, b"", number, key=f"pay/{number}", fn="pay"))

                async with trio.open_nursery() as nursery:
                    for number in range(50):
                        nursery.start_soon(pay, number)
            assert await client.nonce(ALICE.address) == 50
            assert await client.balance(BOB.address) == sum(range(50))
    assert len({r.tx_hash for r in receipts}) == 50 and all(r.ok for r in receipts)
    assert [fn for fn, _, _ in mined] == ["pay"] * 50 and all(gas == 21_000 and price > 0 for _, gas, price in mined)


async def test_a_key_is_sent_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "tx.sqlite"
    with start_anvil(fund=FUND) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client:
            hashes = []

            async def pay(queue: TxQueue) -> None:
                hashes.append((await queue.submit(BOB.address, b"", 7, key="once")).tx_hash)

            for _ in range(2):  # the second time around as after a restart
                async with running_queue(client, path) as queue, trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(pay, queue)
            assert len(hashes) == 6 and len(set(hashes)) == 1
            assert await client.balance(BOB.address) == 7


async def test_replaced_with_a_higher_fee_until_it_is_mined() -> None:
    with start_anvil(fund=FUND, block_time=None, automine=False) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue, trio.open_nursery() as nursery:
            receipts = []

            async def pay() -> None:
                receipts.append(await queue.submit(BOB.address, b"", 5, key="k"))

            nursery.start_soon(pay)
            await until(lambda: _waiting(client))
            first = (await client.block("latest")).base_fee  # type: ignore[union-attr]
            while not receipts:  # the base fee runs away from the first offer, ten times as high
                await chain.set_next_base_fee(client, 10 * first)
                await chain.mine(client)
                await trio.sleep(0.2)
            assert receipts[0].ok and receipts[0].price >= 10 * first
            assert await client.balance(BOB.address) == 5 and await client.nonce(ALICE.address) == 1


async def _waiting(client: ChainClient) -> int:
    status = await client.rpc("txpool_status")
    return int(status["pending"], 16) + int(status["queued"], 16)


async def test_sent_again_when_the_node_lost_its_pool() -> None:
    with start_anvil(fund=FUND, block_time=None, automine=False) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue, trio.open_nursery() as nursery:
            done = trio.Event()

            async def pay() -> None:
                assert (await queue.submit(BOB.address, b"", 5)).ok
                done.set()

            nursery.start_soon(pay)
            await until(lambda: _waiting(client))
            await chain.drop_transactions(client)
            assert not await _waiting(client)
            while not done.is_set():
                await chain.mine(client)
                await trio.sleep(0.2)
            assert await client.balance(BOB.address) == 5


async def test_a_nonce_that_somebody_else_used() -> None:
    """The same wallet in another program: our transaction gets a new nonce, and still happens once."""
    with start_anvil(fund=FUND, block_time=None, automine=False) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue, trio.open_nursery() as nursery:
            done = trio.Event()

            async def pay() -> None:
                assert (await queue.submit(BOB.address, b"", 5, key="k")).ok
                done.set()

            nursery.start_soon(pay)
            await until(lambda: _waiting(client))
            foreign = Unsigned(chain.chain_id, 0, 90 * 10**9, 99 * 10**9, 21_000, b"\x0c" * 20, 1, b"")
            await client.rpc("eth_sendRawTransaction", "0x" + foreign.sign(ALICE.sign_digest).hex())
            while not done.is_set():
                await chain.mine(client)
                await trio.sleep(0.2)
            assert await client.nonce(ALICE.address) == 2
            assert await client.balance(BOB.address) == 5 and await client.balance(b"\x0c" * 20) == 1


async def test_sent_again_after_a_reorg_took_its_block_away() -> None:
    with start_anvil(fund=FUND, block_time=None, automine=False) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue, trio.open_nursery() as nursery:
            done = trio.Event()

            async def pay() -> None:
                await queue.submit(BOB.address, b"", 5, key="k")
                done.set()

            nursery.start_soon(pay)
            await chain.mine(client, 3)
            await until(lambda: _waiting(client))
            await chain.mine(client)
            await done.wait()
            await chain.reorg(client, 2)
            assert await client.balance(BOB.address) == 0

            async def paid_again() -> bool:
                await chain.mine(client)
                return await client.balance(BOB.address) == 5

            await until(paid_again)
            assert await client.nonce(ALICE.address) == 1


async def test_a_reorg_beyond_all_memory_does_not_block_the_wallet() -> None:
    """Transactions that were settled and forgotten are gone: their nonces are used up by fillers."""
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue:
            for value in (1, 2):
                await queue.submit(BOB.address, b"", value)
            await chain.mine(client, SETTLE_BLOCKS + 2)
            await until(lambda: not queue._monitor.tracked)
            await chain.reorg(client, SETTLE_BLOCKS + 4)
            assert await client.nonce(ALICE.address) == 0
            assert (await queue.submit(BOB.address, b"", 5)).ok
            assert await client.nonce(ALICE.address) == 3 and await client.balance(BOB.address) == 5


async def test_money_that_is_not_there() -> None:
    with start_anvil(fund={ALICE.address: ETHER}) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue:
            for value, gas in ((5 * ETHER, None), (ETHER, 21_000)):
                with pytest.raises(InsufficientFunds, match="send it ether"):
                    await queue.submit(BOB.address, b"", value, gas=gas)
            assert await client.nonce(ALICE.address) == 0
            assert (await queue.submit(BOB.address, b"", 1)).ok


async def test_a_deadline_ends_the_waiting_not_the_transaction() -> None:
    with start_anvil(fund=FUND, block_time=None, automine=False) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue:
            with pytest.raises(DeadlineExceeded, match="not mined yet"):
                await queue.submit(BOB.address, b"", 5, key="k", deadline_s=1)
            await chain.mine(client)
            assert (await queue.submit(BOB.address, b"", 5, key="k")).ok
            assert await client.balance(BOB.address) == 5


async def test_the_wrong_chain_is_refused() -> None:
    with start_anvil() as chain:
        async with ChainClient(chain.url) as client:
            queue = TxQueue(client, ALICE, SqliteTxStore(Path(":memory:")), LOG, chain_id=1)
            with pytest.raises(WrongChain, match="serves chain 31337, the configuration says 1"):
                await queue.run()


class _FullDisk(SqliteTxStore):
    def save(self, scope: str, record: TxRecord) -> None:
        raise StoreFailed("database or disk is full")


async def test_nothing_is_sent_that_could_not_be_written_down() -> None:
    with start_anvil(fund=FUND) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client:
            async with running_queue(client, store=_FullDisk(Path(":memory:"))) as queue:
                with pytest.raises(StoreFailed):
                    await queue.submit(BOB.address, b"", 5)
                await trio.sleep(1.5)
            assert await client.nonce(ALICE.address) == 0


async def test_the_rpc_goes_away_and_comes_back(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with start_anvil(fund=FUND, state=state) as chain:
        port = int(chain.url.rsplit(":", 1)[1])
        async with ChainClient(chain.url) as client, running_queue(client) as queue:
            assert (await queue.submit(BOB.address, b"", 5, key="before")).ok
            chain.stop()
            with pytest.raises(DeadlineExceeded, match="no answer from the Ethereum RPC"):
                await queue.submit(BOB.address, b"", 6, key="during", deadline_s=1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(queue.submit, BOB.address, b"", 7)
                await trio.sleep(0.5)
                with start_anvil(port=port, state=state):
                    with trio.fail_after(20):
                        assert (await queue.submit(BOB.address, b"", 8)).ok
                    await until(lambda: _balance_is(client, 20))
                    nursery.cancel_scope.cancel()


async def _balance_is(client: ChainClient, wei: int) -> bool:
    return await client.balance(BOB.address) == wei


async def test_a_call_that_reverts_without_a_contract_function() -> None:
    """Creation code that reverts at once: refused at estimation, nothing sent."""
    with start_anvil(fund=FUND) as chain, trio.fail_after(25):
        async with ChainClient(chain.url) as client, running_queue(client) as queue:
            with pytest.raises(TransactionFailed, match="nothing was sent") as caught:
                await queue.submit(b"", bytes.fromhex("60006000fd"), fn="bad constructor")
            assert not caught.value.sent
            assert await client.nonce(ALICE.address) == 0
