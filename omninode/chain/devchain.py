"""A chain of one's own for demos and tests: starts anvil and stops it again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import contracts
from omninode.chain.client import ChainClient
from omninode.chain.deployment import Deployment, deploy
from omninode.chain.errors import DevChainError

__all__ = ["Deployment", "DevChain", "deploy", "find_anvil", "start_anvil"]

READY_S = 15.0
STOP_S = 5.0
GAS_LIMIT = 60_000_000  # per block, as on the main chain
ENV_BINARY = "OMNINODE_ANVIL"
_PR_SET_PDEATHSIG = 1


def find_anvil() -> Path:
    """$OMNINODE_ANVIL, else contracts/node_modules, else PATH. DevChainError says how to install it."""
    if named := os.environ.get(ENV_BINARY):
        if Path(named).is_file():
            return Path(named)
        raise DevChainError(f"${ENV_BINARY} is {named}, which is no file")
    machine = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    system = "win32" if sys.platform == "win32" else sys.platform
    suffix = ".exe" if system == "win32" else ""
    modules = Path(contracts.__path__[0]) / "node_modules" / "@foundry-rs"
    installed = modules / f"anvil-{system}-{machine}" / "bin" / f"anvil{suffix}"
    if installed.is_file():
        return installed
    if found := shutil.which("anvil"):
        return Path(found)
    raise DevChainError(
        f"anvil, the local Ethereum chain, is not installed (looked at ${ENV_BINARY}, {installed} and PATH); "
        "run: make setup"
    )


@dataclass
class DevChain:
    """A running anvil. The asynchronous methods are anvil's own calls, for tests."""

    url: str
    chain_id: int
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Process id of anvil."""
        return self.process.pid

    def __enter__(self) -> DevChain:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End anvil (which writes its state file, if it has one). Safe to call twice."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    async def set_balance(self, client: ChainClient, address: bytes, wei: int) -> None:
        """Give an address this balance."""
        await client.rpc("anvil_setBalance", "0x" + address.hex(), hex(wei))

    async def mine(self, client: ChainClient, blocks: int = 1) -> None:
        """Mine blocks now."""
        await client.rpc("anvil_mine", hex(blocks))

    async def set_automine(self, client: ChainClient, on: bool) -> None:
        """A block per transaction, or none."""
        await client.rpc("evm_setAutomine", on)

    async def set_interval(self, client: ChainClient, seconds: int) -> None:
        """A block every so many seconds; 0: none."""
        await client.rpc("evm_setIntervalMining", seconds)

    async def reorg(self, client: ChainClient, depth: int) -> None:
        """Replace the last ``depth`` blocks by as many empty ones."""
        await client.rpc("anvil_reorg", depth, [])

    async def set_next_base_fee(self, client: ChainClient, wei: int) -> None:
        """Base fee of the next block."""
        await client.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))

    async def drop_transactions(self, client: ChainClient) -> None:
        """Empty the pool of waiting transactions, as a restarted node would."""
        await client.rpc("anvil_dropAllTransactions")


def start_anvil(
    *,
    port: int | None = None,
    block_time: int | None = 1,
    automine: bool = True,
    chain_id: int = 31337,
    fund: Mapping[bytes, int] | None = None,
    mnemonic: str | None = None,
    state: Path | None = None,
    hardfork: str = "prague",
    log_file: Path | None = None,
    die_with_parent: bool = True,
) -> DevChain:
    """Start anvil on 127.0.0.1 and wait until it answers (about 50 ms). Call it from the main thread.

    port: None takes a free one. block_time: seconds, None with ``automine``: a block per transaction, without: only
    ``mine``. fund: balances to set. mnemonic: whose first ten accounts hold 10,000 ether (default: anvil's test words).
    state: file to load and to write at the end. die_with_parent: killed with this process, however that ends (Linux).
    """
    binary = find_anvil()
    port = port or _free_port()
    command = [
        str(binary), "--silent", "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id),
        "--hardfork", hardfork, "--gas-limit", str(GAS_LIMIT),
    ]  # fmt: skip
    if block_time is not None:
        command += ["--block-time", str(block_time)]
    elif not automine:
        command += ["--no-mining"]
    if mnemonic is not None:
        command += ["--mnemonic", mnemonic]
    if state is not None:
        command += ["--state", str(state)]
    with contextlib.ExitStack() as stack:
        output: IO[bytes] | int = stack.enter_context(log_file.open("ab")) if log_file else subprocess.DEVNULL
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log_file else subprocess.DEVNULL,
            preexec_fn=_die_with_parent if die_with_parent and sys.platform == "linux" else None,
            start_new_session=not die_with_parent,
        )
    chain = DevChain(f"http://127.0.0.1:{port}", chain_id, process)
    try:
        _wait(chain, command)
        for address, wei in (fund or {}).items():
            _rpc(chain.url, "anvil_setBalance", "0x" + address.hex(), hex(wei))
    except BaseException:
        chain.stop()
        raise
    return chain


if sys.platform == "linux":
    _libc = ctypes.CDLL(None)

    def _die_with_parent() -> None:
        """Runs in the child before anvil does."""
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(chain: DevChain, command: list[str]) -> None:
    """Until the chain answers with its id. DevChainError: it ended, or took too long."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if (code := chain.process.poll()) is not None:
            raise DevChainError(
                f"anvil ended with code {code} at once; see what it says: {' '.join(command[:1] + command[2:])}"
            )
        with contextlib.suppress(OSError, ValueError):
            if int(str(_rpc(chain.url, "eth_chainId")), 16) == chain.chain_id:
                return
        time.sleep(0.02)
    raise DevChainError(f"anvil (process {chain.pid}) did not answer at {chain.url} within {READY_S:g} s")


def _rpc(url: str, method: str, *params: object) -> Any:
    """One blocking call, before there is a Trio to run a client in. OSError or ValueError where it fails."""
    import json

    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=2) as response:
        answer = json.loads(response.read())
    if "result" not in answer:
        raise ValueError(str(answer))
    return answer["result"]
