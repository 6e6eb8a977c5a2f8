"""A chain that plays SecModelUpdate well enough to feed machines; the real contract has its own tests."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.onchain import events as ev
from protocols.onchain import krum, lanes
from protocols.onchain.data_owner import OnchainDataOwner
from protocols.onchain.owner import OnchainOwner
from protocols.onchain.params import OnchainTerms, State, Training
from protocols.onchain.view import OnchainView
from protocols.sessions.effects import Effect, Remember, Train, Transact
from protocols.wire.context import Context

OWNER = b"\xee" * 20
HEAD = b"\x11" * 20
CONTEXT = Context(31337, HEAD, 1)
WINDOW = 12


def seed_of(*words: object) -> bytes:
    return hashlib.sha256(repr(words).encode()).digest()


def terms(dimension: int = 300, m_krum: int = 1, mu_bps: int = 0) -> OnchainTerms:
    return OnchainTerms(OWNER, b"\x01" * 32, b"\x02" * 32, dimension, 10**18, 1, mu_bps, m_krum, WINDOW, WINDOW, WINDOW)


class FakeChain:
    """Transactions in, events out; one block for every ``mine``."""

    def __init__(self, chosen: OnchainTerms) -> None:
        self.view = OnchainView(1)
        self.block = 1
        self.sums: dict[tuple[int, int], lanes.Lanes] = {}
        self.uploads: dict[bytes, dict[int, tuple[int, ...]]] = defaultdict(dict)
        self.calls: list[tuple[bytes, str]] = []
        self._new: list[ev.OnchainEvent] = []
        self.say(ev.Created(1, self.block, HEAD, chosen))

    def say(self, event: ev.OnchainEvent) -> None:
        self.view.apply(event)
        self._new.append(event)

    def take(self) -> list[ev.OnchainEvent]:
        new, self._new = self._new, []
        return new

    def transact(self, who: bytes, effect: Transact) -> None:
        """As the contract: what it would refuse does nothing."""
        self.calls.append((who, effect.call))
        getattr(self, "_" + effect.call)(who, *effect.args)

    def _late(self) -> bool:
        return self.block > self.view.deadline

    def _postModel(self, who: bytes, chunk: int, words: tuple[int, ...]) -> None:
        if chunk not in self.view.posted:
            self.say(ev.ModelPosted(1, self.block, chunk))

    def _whitelist(self, who: bytes, allowed: tuple[bytes, ...]) -> None:
        self.say(ev.Whitelisted(1, self.block, allowed))

    def _start(self, who: bytes, told: dict[str, int]) -> None:
        if self.view.state == State.SETUP and len(self.view.posted) == self.view.p.chunks:
            self.say(ev.Started(1, self.block, Training(*told.values()), self.block + WINDOW))

    def _register(self, who: bytes, peer_key: bytes) -> None:
        training = self.view.training
        if self.view.state != State.REGISTER or training is None or self._late() or self.view.member_of(who):
            return
        if len(self.view.members) < training.places:
            self.say(ev.Registered(1, self.block, who, len(self.view.members), peer_key))

    def _postKey(self, who: bytes, key: bytes) -> None:
        member = self.view.member_of(who)
        if member is None or member.key or self._late():
            return
        self.say(ev.KeyPosted(1, self.block, who, member.place, key))
        assert self.view.training is not None
        if self._live().bit_count() == self.view.training.rounds:
            self._open_aggregation()

    def _live(self) -> int:
        size, members = self.view.training.group_size, self.view.members  # type: ignore[union-attr]
        full = [r for r in range(len(members) // size) if all(m.key for m in members[r * size : (r + 1) * size])]
        return sum(1 << r for r in full)

    def _open_aggregation(self) -> None:
        if self._live():
            self.say(ev.AggregationOpened(1, self.block, self._live(), self.block + WINDOW))
        else:
            self._settle(0)

    def _upload(self, who: bytes, chunk: int, words: tuple[int, ...]) -> None:
        member = self.view.member_of(who)
        if member is None or chunk in member.uploaded or self._late() or self.view.state != State.MODEL_AGGREGATE:
            return
        self.uploads[who][chunk] = words
        number = self.view.round_of(member.place)
        more = lanes.unpack(words, lanes.chunk_size(self.view.p.dimension, chunk))
        self.sums[number, chunk] = self.sums.get((number, chunk), np.zeros_like(more)) + more
        self.say(ev.Uploaded(1, self.block, who, member.place, chunk))
        group = [member, *self.view.peers_of(member)]
        if all(len(m.uploaded) == self.view.p.chunks for m in group):
            self.say(ev.RoundComplete(1, self.block, number))
            if self.view.complete == self.view.live:
                self._open_suppression()

    def _open_suppression(self) -> None:
        if self.view.complete.bit_count() <= self.view.p.m_krum:
            self._settle(self.view.complete)
        else:
            self.say(ev.SuppressionOpened(1, self.block, self.view.complete, self.block + WINDOW))

    def _measure(self, who: bytes, chunk: int) -> None:
        if self.view.state == State.OUTLIER_SUPPRESSION and chunk not in self.view.measured:
            self.say(ev.Measured(1, self.block, chunk))

    def round_sum(self, number: int) -> lanes.Lanes:
        return np.concatenate([self.sums[number, c] for c in range(self.view.p.chunks)])

    def _select(self, who: bytes) -> None:
        if len(self.view.measured) == self.view.p.chunks and self.view.state == State.OUTLIER_SUPPRESSION:
            rounds, p = self.view.rounds(self.view.complete), self.view.p
            table = krum.distances([self.round_sum(r) for r in rounds])
            kept = krum.kept_rounds(rounds, table, self.view.training.rounds, p.mu_bps, p.m_krum)  # type: ignore[union-attr]
            self._settle(sum(1 << r for r in kept))

    def _settle(self, selected: int) -> None:
        self.say(ev.Selected(1, self.block, selected, 1))

    def _poke(self, who: bytes) -> None:
        if not self._late():
            return
        if self.view.state == State.REGISTER:
            self._open_aggregation()
        elif self.view.state == State.MODEL_AGGREGATE:
            self._open_suppression()
        elif self.view.state == State.OUTLIER_SUPPRESSION:
            self._settle(self.view.complete)

    def _claim(self, who: bytes) -> None:
        self.say(ev.Claimed(1, self.block, who, 1))

    def _exit(self, who: bytes) -> None:
        self.say(ev.Exited(1, self.block, 1))


Machine = OnchainDataOwner | OnchainOwner
Filter = Callable[[bytes, Transact, int], bool]


class Play:
    """A session with machines on a fake chain. keep: which transactions reach the chain (who, effect, block)."""

    def __init__(
        self, rounds: int = 2, size: int = 2, chosen: OnchainTerms | None = None, keep: Filter = lambda *_: True,
        whitelist: Sequence[bytes] = (),
    ) -> None:  # fmt: skip
        self.chain = FakeChain(chosen or terms())
        rng = np.random.default_rng(7)
        d = self.chain.view.p.dimension
        training = Training(10, 2, 10, rounds, size)
        self.wallets = [seed_of("wallet", k)[:20] for k in range(rounds * size)]
        self.models: dict[bytes, NDArray[np.float64]] = {w: rng.normal(0, 1, d) for w in self.wallets}
        self.machines: dict[bytes, Machine] = {
            OWNER: OnchainOwner(1, rng.normal(0, 1, d), training, whitelist=tuple(whitelist))
        }
        self.machines |= {w: self.data_owner(w) for w in self.wallets}
        self.effects: dict[bytes, list[Effect]] = defaultdict(list)
        self.history: list[ev.OnchainEvent] = []
        self._keep = keep

    def data_owner(self, wallet: bytes) -> OnchainDataOwner:
        return OnchainDataOwner(CONTEXT, wallet, seed_of("peer", wallet), seed_of("seed", wallet))

    def run(self, blocks: int = 90) -> OnchainView:
        """Until nothing more happens, or so many blocks."""
        for _ in range(blocks):
            events = self.chain.take()
            self.history += events
            wanted: list[tuple[bytes, Transact]] = []
            for who, machine in self.machines.items():
                wanted += [(who, e) for e in self.feed(who, machine, events) if isinstance(e, Transact)]
            if all(machine.over for machine in self.machines.values()):
                break
            self.chain.block += 1
            for who, effect in wanted:
                if self._keep(who, effect, self.chain.block):
                    self.chain.transact(who, effect)
        return self.chain.view

    def feed(self, who: bytes, machine: Machine, events: Sequence[Any]) -> list[Effect]:
        effects: list[Effect] = []
        for event in events:
            effects += machine.chain(event)
        effects += machine.tick(self.chain.block)
        if isinstance(machine, OnchainDataOwner) and any(isinstance(e, Train) for e in effects):
            effects += machine.model_ready(self.models[who])
        self.effects[who] += effects
        return effects

    def uploaded(self, who: bytes) -> list[Effect]:
        """What left this data owner of its model."""
        return [e for e in self.effects[who] if isinstance(e, Remember) or getattr(e, "call", "") == "upload"]
