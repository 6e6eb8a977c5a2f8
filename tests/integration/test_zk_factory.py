"""Whether the factory that a market names is ours: on a chain, against what the artifact would deploy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from omninode.chain.client import ChainClient
from omninode.chain.devchain import DevChain, DevChainError, find_anvil, start_anvil
from omninode.chain.errors import ForeignCode
from omninode.chain.verifiers import Verifiers
from tests.integration.contract_kit import connect, deploy_market
from tests.integration.zk_chain import make_factory

try:
    find_anvil()
except DevChainError as error:
    pytestmark = pytest.mark.skip(reason=str(error))
else:
    pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    with start_anvil(block_time=None) as chain:
        yield chain


@pytest.fixture
async def client(chain: DevChain) -> AsyncIterator[ChainClient]:
    async with ChainClient(chain.url) as client:
        yield client


def deployed(chain: DevChain) -> tuple[bytes, bytes]:
    """Factory and market."""
    w3 = connect(chain)
    factory = make_factory(w3)
    market = deploy_market(w3, exit_delay=1 << 16, verifiers=factory.address)
    return bytes.fromhex(factory.address[2:]), bytes.fromhex(market.address[2:])


async def test_our_factory_is_known_and_no_other(chain: DevChain, client: ChainClient) -> None:
    factory, market = deployed(chain)
    ours = Verifiers(client, None, factory)
    await ours.check()
    for address in (market, b"\x77" * 20):  # another contract, and none
        foreign = Verifiers(client, None, address)
        for _ in range(2):
            with pytest.raises(ForeignCode, match="not that of this version"):
                await foreign.check()


async def test_one_byte_is_enough(chain: DevChain, client: ChainClient) -> None:
    factory, _ = deployed(chain)
    code = await client.rpc("eth_getCode", "0x" + factory.hex(), "latest")
    changed = code[:-2] + format(int(code[-2:], 16) ^ 1, "02x")
    await client.rpc("anvil_setCode", "0x" + "88" * 20, code)
    await Verifiers(client, None, b"\x88" * 20).check()
    await client.rpc("anvil_setCode", "0x" + "88" * 20, changed)
    with pytest.raises(ForeignCode):
        await Verifiers(client, None, b"\x88" * 20).check()


async def test_the_chain_is_asked_once(chain: DevChain, client: ChainClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Verifiers(client, None, deployed(chain)[0])
    await ours.check()
    monkeypatch.setattr(client, "rpc", None)
    await ours.check()
