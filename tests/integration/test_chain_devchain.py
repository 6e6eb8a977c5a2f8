"""Starting and ending anvil."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import trio

from omninode.chain import devchain
from omninode.chain.client import ChainClient
from omninode.chain.deployment import Deployment, deploy
from omninode.chain.devchain import start_anvil
from omninode.chain.errors import ChainError, DevChainError
from tests.integration.chain_support import ALICE, BOB, ETHER, FUND, needs_anvil, until

ROOT = Path(__file__).resolve().parents[2]


@needs_anvil
def test_ends_with_the_block_and_twice_is_fine() -> None:
    with start_anvil() as chain:
        assert psutil.pid_exists(chain.pid)
        chain.stop()
    assert chain.process.poll() is not None


@needs_anvil
async def test_dies_with_its_parent() -> None:
    code = (
        "import time; from omninode.chain import devchain as d; print(d.start_anvil().pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=-1, stdout=-1) as parent:
        assert parent.stdout is not None
        pid = int(await trio.to_thread.run_sync(parent.stdout.readline))
        parent.kill()
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


@needs_anvil
async def test_state_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with start_anvil(state=state, fund={BOB.address: 3 * ETHER}):
        pass
    with start_anvil(state=state) as chain:
        async with ChainClient(chain.url) as client:
            assert await client.balance(BOB.address) == 3 * ETHER


@needs_anvil
def test_a_port_that_is_taken() -> None:
    with start_anvil() as chain, pytest.raises(DevChainError):
        start_anvil(port=int(chain.url.rsplit(":", 1)[1]), chain_id=5)


def test_a_binary_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMNINODE_ANVIL", str(tmp_path / "anvil"))
    with pytest.raises(DevChainError, match="no file"):
        start_anvil()
    monkeypatch.delenv("OMNINODE_ANVIL")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(devchain.contracts, "__path__", [str(tmp_path)])
    with pytest.raises(DevChainError, match="run: make setup"):
        start_anvil()


def test_a_binary_that_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNINODE_ANVIL", "/bin/false")
    with pytest.raises(DevChainError, match="ended with code 1"):
        start_anvil()


@needs_anvil
async def test_deploy_and_remember(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    with start_anvil(fund=FUND) as chain, trio.fail_after(20):
        async with ChainClient(chain.url) as client:
            deployment = await deploy(client, ALICE, min_stake=ETHER, exit_delay=5)
            await client.check_contract(deployment.market)
            await client.check_contract(deployment.registry)
    assert all(0 < gas <= 16_777_216 for gas in deployment.gas.values())
    deployment.save(path)
    assert Deployment.load(path) == deployment
    path.write_text("{}")
    with pytest.raises(ChainError, match="is no deployment file"):
        Deployment.load(path)
    with pytest.raises(ChainError, match="cannot read"):
        Deployment.load(tmp_path / "absent.json")


def test_a_deployment_of_an_older_version_is_named(tmp_path: Path) -> None:
    """Of before there was a factory of verifiers."""
    path = tmp_path / "deployment.json"
    old = {"market": "0x" + "11" * 20, "registry": "0x" + "22" * 20, "libraries": {}, "chain_id": 31337, "block": 1}
    path.write_text(json.dumps({**old, "gas": {}}))
    with pytest.raises(ChainError, match="made by an older version; deploy again"):
        Deployment.load(path)
    for text in ("[]", "3", '{"market": 1}', '["market", "registry"]'):
        path.write_text(text)
        with pytest.raises(ChainError):
            Deployment.load(path)


@needs_anvil
def test_interrupted_while_starting_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    pids = []

    def interrupted(chain: devchain.DevChain, command: list[str]) -> None:
        pids.append(chain.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(devchain, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_anvil()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], signal.SIGCONT)
