"""Reading the baseline's factory: terms after a reorganisation, many heads, an address that is something else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from omninode.chain.errors import ChainError, RpcUnavailable
from omninode.chain.interface import Log
from omninode.chain.onchain import MOST_ADDRESSES, NotAFactory, Onchain, _Split, factory_interface, terms_to_struct
from protocols.onchain import events as ev
from tests.unit.onchain_kit import OWNER, terms

FACTORY = b"\x01" * 20


def log_at(block: int, index: int = 0, block_hash: bytes = bytes(32)) -> Log:
    return Log(FACTORY, (), b"", block, block_hash, index)


class Heads:
    """A factory of one session, which a reorganisation may replace."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.onchain = Onchain(SimpleNamespace(), None, FACTORY, chain_id=1)  # type: ignore[arg-type]
        self.head, self.reward, self.read = b"\x05" * 20, 7, 0
        monkeypatch.setattr(factory_interface(), "decode_log", self._decoded)
        monkeypatch.setattr(self.onchain, "view", self._view)

    def _decoded(self, log: Log) -> tuple[str, dict[str, Any]]:
        return "Created", {"id": 1, "owner": OWNER, "head": self.head, "docDigest": bytes(32)}

    async def _view(self, session: int, fn: str, *args: object) -> dict[str, Any]:
        self.read += 1
        return {**terms_to_struct(terms()), "reward": self.reward}


async def test_terms_are_read_again_for_another_creation_only(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = Heads(monkeypatch)
    for _ in range(2):
        first = await heads.onchain.decode(log_at(3))
    assert isinstance(first, ev.Created)
    assert (first.terms.reward, first.terms.owner, heads.read) == (7, OWNER, 1)
    heads.reward = 8
    second = await heads.onchain.decode(log_at(3, block_hash=b"\x09" * 32))
    assert isinstance(second, ev.Created)
    assert (second.terms.reward, heads.read) == (8, 2)
    assert (await heads.onchain.terms(1)).reward == 8
    heads.onchain.forget(1)
    assert heads.onchain.heads == {}


async def test_logs_of_many_heads_are_asked_for_in_parts() -> None:
    asked: list[int] = []

    async def logs_of(addresses: list[bytes], block_hash: bytes) -> list[Log]:
        asked.append(len(addresses))
        return [log_at(5, 10 - len(asked))]

    split = _Split(SimpleNamespace(logs_of=logs_of))  # type: ignore[arg-type]
    found = await split.logs_of([bytes([k % 256]) * 20 for k in range(2 * MOST_ADDRESSES + 3)], bytes(32))
    assert asked == [MOST_ADDRESSES, MOST_ADDRESSES, 3]
    assert [log.index for log in found] == [7, 8, 9]


async def test_an_address_that_is_no_factory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    onchain = Onchain(SimpleNamespace(), None, FACTORY, chain_id=1)  # type: ignore[arg-type]
    answers: list[Exception] = [ChainError("another contract or version"), RpcUnavailable("http://x", "down")]

    async def count() -> int:
        raise answers.pop(0)

    monkeypatch.setattr(onchain, "count", count)
    with pytest.raises(NotAFactory, match="is no factory of the on-chain baseline"):
        await onchain.check()
    with pytest.raises(RpcUnavailable):
        await onchain.check()
