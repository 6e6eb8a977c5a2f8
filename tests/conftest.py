"""Fixtures that every suite shares. ``OMNINODE_SEED`` replays a failing run; every run prints its own."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from omninode.chain.devchain import DevChain
    from tests.integration.market_kit import LocalMarket

ROOT = Path(__file__).resolve().parent.parent
SEED = int(os.environ.get("OMNINODE_SEED") or random.SystemRandom().randrange(2**32))
VECTORS = Path(os.environ.get("OMNINODE_VECTORS") or ROOT.parent / "shared" / "vectors")

os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".cache" / "numba"))  # before anything imports numba
settings.register_profile("omninode", deadline=None, max_examples=25, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "omninode"))


def pytest_report_header() -> str:
    """How to see the same random numbers again."""
    return f"OMNINODE_SEED={SEED}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share the market of daemons come last: it starts late, and takes no time from the others."""
    items.sort(key=lambda item: "whole_market" in getattr(item, "fixturenames", ()))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> bytes:
    """32 bytes, different per test and per run; the same again under the same ``OMNINODE_SEED``."""
    return random.Random(f"{SEED}/{request.node.nodeid}").randbytes(32)


@pytest.fixture
def rng(seed: bytes) -> np.random.Generator:
    """A NumPy generator grown from ``seed``."""
    return np.random.default_rng(int.from_bytes(seed, "little"))


@pytest.fixture
def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch on all cores is slower for models as small as in tests, and takes the cores from other tests."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Folder of test vectors made by other implementations; the test is skipped where it is absent."""
    if not VECTORS.is_dir():
        pytest.skip(f"no test vectors at {VECTORS}: set OMNINODE_VECTORS to their folder")
    return VECTORS


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it."""
    kept = {"OMNINODE_SEED", "OMNINODE_VECTORS", "OMNINODE_ANVIL"}
    for key in [key for key in os.environ if key.startswith("OMNINODE_") and key not in kept]:
        monkeypatch.delenv(key)


@pytest.fixture(scope="session")
def anvil() -> Iterator[DevChain]:
    """One dev chain for the whole run, on a free port: a block per transaction."""
    from omninode.chain.devchain import DevChainError, find_anvil, start_anvil

    try:
        find_anvil()
    except DevChainError as error:
        pytest.skip(str(error))
    with start_anvil(block_time=None) as chain:
        yield chain


@pytest.fixture(scope="session")
def whole_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMarket]:
    """Chain, contracts and 14 daemons, for all tests of whole sessions. Tests take ``local_market``."""
    from omninode.chain.devchain import DevChainError, find_anvil

    try:
        find_anvil()
    except DevChainError as error:
        pytest.skip(str(error))
    from tests.integration.market_kit import LocalMarket

    market = LocalMarket(tmp_path_factory.mktemp("market") / "m")
    try:
        market.start()
        yield market
    finally:
        market.end()


@pytest.fixture
def local_market(whole_market: LocalMarket) -> LocalMarket:
    """The shared market with all of its nodes up."""
    whole_market.heal()
    return whole_market
