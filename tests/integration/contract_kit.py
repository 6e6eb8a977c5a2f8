"""Contracts on a development chain, in the hands of web3: for tests that ask them the same thing a thousand times."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from web3 import Web3

from contracts import loader
from omninode.chain.devchain import DevChain

STAKE = 10**18
NOBODY = "0x" + "00" * 20


def connect(chain: DevChain) -> Web3:
    """A connection that may send in anybody's name."""
    w3 = Web3(Web3.HTTPProvider(chain.url, request_kwargs={"timeout": 20}))
    rpc(w3, "anvil_autoImpersonateAccount", True)
    return w3


def rpc(w3: Web3, method: str, *args: object) -> Any:
    """A method that web3 does not know."""
    answer = w3.provider.make_request(method, list(args))  # type: ignore[arg-type]
    assert "error" not in answer, answer
    return answer["result"]


def funded(w3: Web3, address: bytes, wei: int = 10 * STAKE) -> str:
    """The address as web3 writes it, with ``wei`` to spend."""
    who = Web3.to_checksum_address(address)
    rpc(w3, "anvil_setBalance", who, hex(wei))
    return who


def deploy(w3: Web3, name: str, *args: object, libraries: dict[str, str] | None = None) -> Any:
    """A contract from its artifact."""
    artifact = loader.load(name)
    factory = w3.eth.contract(abi=artifact.abi, bytecode=loader.link(artifact, libraries or {}))
    transaction = factory.constructor(*args).transact({"from": w3.eth.accounts[0]})
    receipt = w3.eth.wait_for_transaction_receipt(transaction, timeout=20)
    return w3.eth.contract(receipt["contractAddress"], abi=artifact.abi)


def deploy_market(w3: Web3, *, provers: int = 5, exit_delay: int = 100, verifiers: str | None = None) -> Any:
    """A market with registered provers that have wallets of their own. verifiers: factory of keys, else none."""
    libraries = {name: deploy(w3, name).address for name in loader.LIBRARIES}
    registry = deploy(w3, "ProverRegistry", STAKE, exit_delay)
    market = deploy(w3, "DataMarket", registry.address, verifiers or NOBODY, libraries=libraries)
    registry.functions.setMarket(market.address).transact({"from": w3.eth.accounts[0]})
    for number in range(provers):
        who = funded(w3, bytes(19) + bytes([0x80 + number]))
        registry.functions.register(b"\1" * 32, b"\2" * 32).transact({"from": who, "value": STAKE})
    return market


def calls(url: str, asked: Sequence[Mapping[str, object]]) -> list[tuple[bool, bytes]]:
    """Each ``eth_call`` of ``asked``, all in one request: whether it went through, and what it returned or threw."""
    body = [
        {"jsonrpc": "2.0", "id": number, "method": "eth_call", "params": [call, "latest"]}
        for number, call in enumerate(asked)
    ]
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        answers = sorted(json.load(reply), key=lambda answer: int(answer["id"]))
    return [
        (False, _bytes(answer["error"]["data"])) if "error" in answer else (True, _bytes(answer["result"]))
        for answer in answers
    ]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
