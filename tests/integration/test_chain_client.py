"""The client against nodes that misbehave, and against anvil."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from omninode.chain.client import ChainClient, Contract
from omninode.chain.devchain import start_anvil
from omninode.chain.errors import DeadlineExceeded, NoContract, RpcError, RpcUnavailable, WrongChain
from omninode.chain.interface import Interface
from omninode.chain.market import market_interface
from tests.integration.chain_support import ALICE, FUND, needs_anvil

Talk = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def node(talk: Talk) -> AsyncIterator[str]:
    """An RPC node that treats every connection with ``talk``; its URL."""

    async def handle(stream: trio.SocketStream) -> None:
        try:
            await talk(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def _silent(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _drip(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(0.05)


async def _hang_up(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.aclose()


async def _no_http(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"SSH-2.0-OpenSSH_9.6\r\n")
    await stream.aclose()


def _answers(body: bytes, status: bytes = b"200 OK") -> Talk:
    async def talk(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            await stream.send_all(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))

    return talk


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (_silent, "no answer within 0.3 s"),
        (_drip, "no answer within 0.3 s"),
        (_hang_up, "disconnected"),
        (_no_http, "no answer from the Ethereum RPC"),
        (_answers(b"<html>login</html>"), "no JSON"),
        (_answers(b"{}", b"502 Bad Gateway"), "HTTP status 502"),
        (_answers(b"{}", b"429 Too Many Requests"), "HTTP status 429"),
        (_answers(b"{}"), "no answer to eth_blockNumber"),
        (_answers(b"[]"), "no JSON-RPC"),
        (_answers(b'{"id": 0}'), "no JSON-RPC"),
        (_answers(b'{"id": 0, "result": "potato"}'), "nonsense"),
        (_answers(b'{"id": 0, "result": null}'), "nonsense"),
        (_answers(b'{"id": 0, "result": {"a": 1}}'), "nonsense"),
    ],
)
async def test_a_node_that_misbehaves_costs_one_deadline_and_says_what_it_did(talk: Talk, why: str) -> None:
    with trio.fail_after(5):
        async with node(talk) as url, ChainClient(url, timeout=0.3) as client:
            with pytest.raises(RpcUnavailable, match=why) as caught:
                await client.block_number()
            assert url in str(caught.value) and client.trouble


async def test_a_node_that_never_answers_does_not_hold_up_others_for_ever() -> None:
    failed = []
    with trio.fail_after(8):
        async with node(_silent) as url, ChainClient(url, timeout=0.2) as client, trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(RpcUnavailable):
                    await client.block_number()
                failed.append(1)

            for _ in range(40):
                nursery.start_soon(ask)
    assert len(failed) == 40


async def test_a_refusal_is_not_an_outage() -> None:
    body = json.dumps({"id": 0, "error": {"code": -32601, "message": "Method not found"}}).encode()
    async with node(_answers(body)) as url, ChainClient(url) as client:
        with pytest.raises(RpcError, match="Method not found"):
            await client.block_number()


async def test_nobody_listens(free_port: int) -> None:
    async with ChainClient(f"http://user:secret@127.0.0.1:{free_port}/key?k=hidden") as client:
        with pytest.raises(RpcUnavailable, match="check that the node runs") as caught:
            await client.block_number()
        assert "secret" not in str(caught.value) and "hidden" not in str(caught.value)
        with pytest.raises(DeadlineExceeded, match="fetch"):
            await client.retry(client.block_number, 0.5, "fetch")


async def test_retry_outlives_an_outage() -> None:
    tries = []

    async def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise RpcUnavailable("http://x", "down")
        return 5

    async with ChainClient("http://127.0.0.1:1") as client:
        assert await client.retry(flaky, 5, "flaky") == 5


@pytest.mark.parametrize("url", ["", "localhost:8545", "ftp://x", "http://", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="no RPC address"):
        ChainClient(url)


@needs_anvil
async def test_against_a_real_node() -> None:
    with start_anvil(fund=FUND, block_time=None) as chain, trio.fail_after(20):
        async with ChainClient(chain.url) as client:
            await client.check_chain(31337)
            with pytest.raises(WrongChain):
                await client.check_chain(1)
            with pytest.raises(NoContract):
                await client.check_contract(b"\x0c" * 20)
            with pytest.raises(NoContract):
                await client.call(Contract(b"\x0c" * 20, market_interface()), "sessionCount")
            assert await client.balance(ALICE.address) == FUND[ALICE.address]
            block = await client.block()
            assert block is not None and block.number == 0 and block.base_fee > 0
            assert await client.block(99) is None
            assert await client.rpc_many([("eth_chainId", ()), ("eth_blockNumber", ())]) == ["0x7a69", "0x0"]
            with pytest.raises(RpcError):
                await client.rpc_many([("eth_chainId", ()), ("eth_nonsense", ())])
            assert Interface(()).functions == {}
