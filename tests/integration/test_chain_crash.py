"""kill -9 between writing a transaction down and sending it, and right after sending it: it happens exactly once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from omninode.chain.client import ChainClient
from omninode.chain.devchain import start_anvil
from tests.integration.chain_support import ALICE, BOB, FUND, needs_anvil, running_queue

pytestmark = needs_anvil
ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import os, signal, sys
from pathlib import Path
import trio
from omninode.chain.client import ChainClient
from omninode.chain.txstore import SqliteTxStore
from tests.integration.chain_support import BOB, running_queue

url, path, moment = sys.argv[1:]

class Store(SqliteTxStore):
    def save(self, scope, record):
        super().save(scope, record)
        if moment == "written":
            os.kill(os.getpid(), signal.SIGKILL)

class Client(ChainClient):
    async def rpc(self, method, *params):
        answer = await super().rpc(method, *params)
        if moment == "sent" and method == "eth_sendRawTransaction":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

async def main():
    async with Client(url) as client, running_queue(client, store=Store(Path(path))) as queue:
        await queue.submit(BOB.address, b"", 5, key="k")

trio.run(main)
"""


@pytest.mark.parametrize(("moment", "sent"), [("written", 0), ("sent", 1)])
async def test_killed_and_started_again(tmp_path: Path, moment: str, sent: int) -> None:
    path = tmp_path / "tx.sqlite"
    with start_anvil(fund=FUND, block_time=None, automine=False) as chain, trio.fail_after(25):
        command = [sys.executable, "-c", CHILD, chain.url, str(path), moment]
        died = await trio.to_thread.run_sync(lambda: subprocess.run(command, cwd=ROOT, timeout=20, check=False))
        assert died.returncode == -signal.SIGKILL
        async with ChainClient(chain.url) as client:
            assert int((await client.rpc("txpool_status"))["pending"], 16) == sent
            async with running_queue(client, path) as queue, trio.open_nursery() as nursery:
                done = trio.Event()

                async def again() -> None:
                    assert (await queue.submit(BOB.address, b"", 5, key="k")).ok
                    done.set()

                nursery.start_soon(again)
                while not done.is_set():
                    await chain.mine(client)
                    await trio.sleep(0.2)
            await chain.mine(client, 5)
            assert await client.balance(BOB.address) == 5
            assert await client.nonce(ALICE.address) == 1


async def test_what_was_written_is_sent_after_a_restart_without_being_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "tx.sqlite"
    with start_anvil(fund=FUND) as chain, trio.fail_after(25):
        command = [sys.executable, "-c", CHILD, chain.url, str(path), "written"]
        await trio.to_thread.run_sync(lambda: subprocess.run(command, cwd=ROOT, timeout=20, check=False))
        async with ChainClient(chain.url) as client, running_queue(client, path):
            while await client.balance(BOB.address) != 5:
                await trio.sleep(0.2)


async def test_a_chain_started_anew_under_the_same_id_is_another_chain(tmp_path: Path) -> None:
    path = tmp_path / "tx.sqlite"
    for _ in range(2):
        with start_anvil(fund=FUND) as chain, trio.fail_after(25):
            async with ChainClient(chain.url) as client, running_queue(client, path) as queue:
                assert (await queue.submit(BOB.address, b"", 5, key="k")).ok
                assert await client.balance(BOB.address) == 5
        await trio.sleep(1.1)  # genesis blocks differ by their second
