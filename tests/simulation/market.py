"""The contract's phases as a small Python model: what `DataMarket` does to a session, without the money."""

from __future__ import annotations

import random
from collections.abc import Callable

from eth_hash.auto import keccak

from protocols.gram.distances import from_upper
from protocols.selection.rules import select
from protocols.sessions import events as ev
from protocols.sessions.params import Beacon, Bitmap, Phase, SessionParams, mask_threshold
from protocols.sessions.view import split_groups
from protocols.wire import eip712
from protocols.wire.context import Context

Recover = Callable[[bytes, bytes], bytes]
Header = tuple[int, int, bytes, bytes]  # U, passed, hash of the distances, digest


MIN_PHASE_BLOCKS, MIN_VALID_BLOCKS, MIN_BATCH_BLOCKS = 4, 8, 6
"""Blocks that a phase has at least, however late it begins."""


class Revert(Exception):
    """The transaction did nothing."""


class FakeMarket:
    """One session. ``mine`` executes what was queued, in random order, and returns the events of the new block."""

    def __init__(
        self, context: Context, params: SessionParams, provers: list[ev.ProverInfo], recover: Recover, seed: int
    ) -> None:
        self.context, self.p, self._recover = context, params, recover
        self._pool, self._rng = provers, random.Random(seed)
        self._beacon_seed = seed.to_bytes(8, "big")
        self.block = 1
        self.phase, self.deadline, self.closing, self.window = Phase.NONE, 0, 1, 1
        self.committee: list[ev.ProverInfo] = []
        self.owners: list[bytes] = []
        self.beacon: dict[Beacon, bytes] = {}
        self.groups: list[list[int]] = []
        self.roots: dict[int, bytes] = {}
        self.uploads: dict[int, bytes] = {}
        self.posted: dict[Bitmap, dict[int, int]] = {kind: {} for kind in Bitmap}
        self.receipts: dict[int, int] = {}
        self.openings: dict[int, tuple[int, bytes]] = {}
        self.sets: dict[Bitmap, int] = {}
        self.named = self.silent = 0
        self.slashed: set[int] = set()
        self.batch: ev.BatchFinal | None = None
        self.claimed: set[bytes] = set()
        self._queue: list[tuple[bytes, str, tuple[object, ...]]] = []
        self._events: list[ev.ChainEvent] = []
        self.log: list[tuple[int, bytes, str, bool]] = []

    # -- blocks -----------------------------------------------------------------------------------------------------

    def send(self, sender: bytes, call: str, args: tuple[object, ...]) -> None:
        """Queue a transaction for the next block."""
        self._queue.append((sender, call, args))

    def create(self) -> list[ev.ChainEvent]:
        """The owner's transaction."""
        self._events = [ev.SessionCreated(self.context.session, self.block, self.p)]
        self._enter(Phase.COMMITTEE, self.block)
        return self._take()

    def mine(self) -> list[ev.ChainEvent]:
        """One block."""
        self.block += 1
        queue, self._queue = self._queue, []
        self._rng.shuffle(queue)
        for sender, call, args in queue:
            try:
                self._execute(sender, call, args)
            except Revert:
                self.log.append((self.block, sender, call, False))
            else:
                self.log.append((self.block, sender, call, True))
        return self._take()

    def _execute(self, sender: bytes, call: str, args: tuple[object, ...]) -> None:
        """Only pokes and claims let time pass here: nobody may rely on others doing it by chance."""
        if call in ("poke", "claim"):
            self._advance()
        elif self.phase < Phase.FINISHED and self.block > self.deadline:
            raise Revert
        getattr(self, "_" + call)(sender, *args)

    def _take(self) -> list[ev.ChainEvent]:
        taken, self._events = self._events, []
        return taken

    def _emit(self, kind: type[ev.ChainEvent], *fields: object) -> None:
        self._events.append(kind(self.context.session, self.block, *fields))

    # -- phases -----------------------------------------------------------------------------------------------------

    def _enter(self, phase: Phase, when: int) -> None:
        self.phase = phase
        self.deadline = self._deadline(phase, when)
        self._emit(ev.PhaseChanged, phase, self.deadline)

    def _deadline(self, phase: Phase, when: int) -> int:
        p, start = self.p, self.window
        if phase in (Phase.COMMITTEE, Phase.REGISTER):
            return when + p.register_blocks
        if phase in (Phase.DRAW, Phase.OUTPUT):
            return when + p.settle_blocks
        up, settle = p.upload_blocks, p.settle_blocks
        fractions = {
            Phase.GROUPS: up // 5, Phase.KEYS: 2 * up // 5, Phase.BUNDLES: 3 * up // 5, Phase.UPLOAD: up,
            Phase.DELIVERED: settle // 5, Phase.QUERY: 3 * settle // 10, Phase.VALID: settle // 2, Phase.BATCH: settle,
        }  # fmt: skip
        least = {Phase.VALID: MIN_VALID_BLOCKS, Phase.BATCH: MIN_BATCH_BLOCKS}.get(phase, MIN_PHASE_BLOCKS)
        return max(start + fractions[phase], when + least) if phase in fractions else 0

    def _advance(self) -> None:
        while self.phase < Phase.FINISHED and self.block > self.deadline:
            self._expire(self.deadline)

    def _expire(self, when: int) -> None:
        match self.phase:
            case Phase.REGISTER:
                self._close_register(when)
            case Phase.OUTPUT:
                self._enter(Phase.FINISHED, when)
            case Phase.KEYS | Phase.BUNDLES | Phase.UPLOAD | Phase.DELIVERED | Phase.VALID:
                self._close(when)
            case _:
                self._abort(f"{self.phase.name} ran out of time", when)

    def _abort(self, reason: str, when: int) -> None:
        self._emit(ev.SessionAborted, reason)
        self._enter(Phase.ABORTED, when)

    def _close_register(self, when: int) -> None:
        if len(self.owners) < max(self.p.min_accepted, self.p.group_size):
            return self._abort("too few data owners", when)
        self.closing = when
        return self._enter(Phase.DRAW, when)

    def _close(self, when: int) -> None:
        """What follows begins in this block: nobody can act in a phase before it is there to be seen."""
        match self.phase:
            case Phase.KEYS:
                self._enter(Phase.BUNDLES, self.block)
            case Phase.BUNDLES:
                self._fix(Bitmap.BUNDLES, self.roots)
                if not self.sets[Bitmap.BUNDLES]:
                    return self._abort("no complete data owner", when)
                self._enter(Phase.UPLOAD, self.block)
            case Phase.UPLOAD:
                self.window = self.block
                self._enter(Phase.DELIVERED, self.block)
            case Phase.DELIVERED:
                self._fix(Bitmap.DELIVERED, self.uploads)
                self.closing = when
                self._enter(Phase.QUERY, self.block)
            case Phase.VALID:
                self._fix(Bitmap.VALID, dict.fromkeys(self._members(Bitmap.DELIVERED)))
                self._enter(Phase.BATCH, self.block)
        return None

    def _members(self, kind: Bitmap) -> list[int]:
        return [k for k in range(len(self.owners)) if self.sets[kind] >> k & 1]

    def _fix(self, kind: Bitmap, among: dict[int, object]) -> None:
        self.slashed |= set(range(self.p.committee)) - self.posted[kind].keys()
        self.sets[kind] = sum(1 << k for k in among if self._votes(kind, k) >= self.p.committee - self.p.threshold)
        self._emit(ev.SetFixed, kind, self.sets[kind])

    def _votes(self, kind: Bitmap, index: int) -> int:
        receipts = self.receipts if kind == Bitmap.DELIVERED else {}
        words = [self.posted[kind].get(i, 0) | receipts.get(i, 0) for i in range(self.p.committee)]
        return sum(word >> index & 1 for word in words)

    def _set_beacon(self, purpose: Beacon) -> None:
        self.beacon[purpose] = keccak(self._beacon_seed + bytes([purpose]))
        self._emit(ev.BeaconSet, purpose, self.beacon[purpose])

    # -- transactions -----------------------------------------------------------------------------------------------

    def _need(self, good: bool) -> None:
        if not good:
            raise Revert

    def _index(self, sender: bytes) -> int:
        self._need(sender in self.owners)
        return self.owners.index(sender)

    def _seat(self, sender: bytes) -> int:
        seats = [i for i, prover in enumerate(self.committee) if prover.address == sender]
        self._need(bool(seats))
        return seats[0]

    def _poke(self, sender: bytes) -> None:
        if self.block <= self.closing:
            return
        if self.phase == Phase.COMMITTEE:
            self._set_beacon(Beacon.COMMITTEE)
            self.committee = self._rng.sample(self._pool, self.p.committee)
            self._emit(ev.CommitteeDrawn, tuple(self.committee))
            self._enter(Phase.REGISTER, self.block)
        elif self.phase == Phase.DRAW:
            self._set_beacon(Beacon.GROUPS)
            self.window = self.block
            self._enter(Phase.GROUPS, self.block)
        elif self.phase == Phase.QUERY:
            self._set_beacon(Beacon.QUERY)
            self._enter(Phase.VALID, self.block)

    def _register(self, sender: bytes, peer_key: bytes, digest: bytes, proof: tuple[bytes, ...]) -> None:
        self._need(self.phase == Phase.REGISTER and sender not in self.owners)
        self._emit(ev.Registered, len(self.owners), sender, peer_key, digest)
        self.owners.append(sender)
        if len(self.owners) == self.p.groups * self.p.group_size:
            self._close_register(self.block)

    def _postGroups(self, sender: bytes, order: tuple[int, ...]) -> None:
        self._need(self.phase == Phase.GROUPS and sorted(order) == list(range(len(self.owners))))
        hashes = [keccak(self.beacon[Beacon.GROUPS] + self.owners[k]) for k in order]
        self._need(hashes == sorted(hashes))
        count = len(self.owners) // self.p.group_size
        self.groups = split_groups(order, self.p.group_size, count)
        self._emit(ev.GroupsDrawn, order, count)
        self._enter(Phase.KEYS, self.block)

    def _commitShares(self, sender: bytes, root: bytes) -> None:
        index = self._index(sender)
        self._need(self.phase == Phase.KEYS and index not in self.roots)
        self.roots[index] = root
        self._emit(ev.ShareRootCommitted, index, root)
        if len(self.roots) == len(self.owners):
            self._close(self.block)

    def _commitUpload(self, sender: bytes, root: bytes) -> None:
        index = self._index(sender)
        self._need(self.phase == Phase.UPLOAD and index in self._members(Bitmap.BUNDLES) and index not in self.uploads)
        self.uploads[index] = root
        self._emit(ev.UploadCommitted, index, root)
        if sorted(self.uploads) == self._members(Bitmap.BUNDLES):
            self._close(self.block)

    def _postBitmap(self, sender: bytes, kind: int, bits: int) -> None:
        seat = self._seat(sender)
        phase = {Bitmap.BUNDLES: Phase.BUNDLES, Bitmap.DELIVERED: Phase.DELIVERED, Bitmap.VALID: Phase.VALID}
        posted = self.posted[Bitmap(kind)]
        self._need(self.phase == phase[Bitmap(kind)] and seat not in posted and bits & ~self._allowed() == 0)
        posted[seat] = bits
        self._emit(ev.BitmapPosted, Bitmap(kind), seat, bits)
        if len(posted) == self.p.committee and (kind != Bitmap.DELIVERED or self._all_delivered()):
            self._close(self.block)

    def _postOpenings(self, sender: bytes, present: int, values: bytes) -> None:
        seat = self._seat(sender)
        self._need(self.phase == Phase.VALID and seat not in self.openings)
        self._need(present & ~self.sets[Bitmap.DELIVERED] == 0 and len(values) == 8 * present.bit_count())
        self.openings[seat] = present, values
        self._emit(ev.OpeningsPosted, seat, present, values)

    def _allowed(self) -> int:
        """The bits that a bitmap may have."""
        return (1 << len(self.owners)) - 1

    def _uploader(self, index: int) -> bytes:
        return self.owners[index]

    def _all_delivered(self) -> bool:
        quorum = self.p.committee - self.p.threshold
        return all(self._votes(Bitmap.DELIVERED, k) >= quorum for k in self.uploads)

    def _postReceipt(self, sender: bytes, index: int, prover: int, signature: bytes) -> None:
        self._need(self.phase == Phase.DELIVERED and index in self.uploads)
        digest = eip712.receipt_digest(self.context, self._uploader(index), self.uploads[index], prover)
        self._need(self._recover(digest, signature) == self.committee[prover].address)
        posted = self.posted[Bitmap.DELIVERED]
        if prover in posted and not posted[prover] >> index & 1:
            self.slashed.add(prover)
        self.receipts[prover] = self.receipts.get(prover, 0) | 1 << index
        if len(posted) == self.p.committee and self._all_delivered():
            self._close(self.block)

    def _quorum(self, digest: bytes, signers: int, signatures: tuple[bytes, ...]) -> None:
        seats = [i for i in range(self.p.committee) if signers >> i & 1]
        self._need(len(seats) == len(signatures) >= self.p.committee - self.p.threshold)
        for seat, signature in zip(seats, signatures, strict=True):
            self._need(self._recover(digest, signature) == self.committee[seat].address)

    def _postBatch(
        self, sender: bytes, passed: int, flat: tuple[int, ...], digest: bytes, signers: int, sigs: tuple[bytes, ...]
    ) -> None:
        self._need(self.phase == Phase.BATCH)
        valid = self.sets[Bitmap.VALID]
        signed = eip712.batch_digest(self.context, valid, passed, flat, digest)
        self._quorum(signed, signers, sigs)
        groups = [r for r in range(len(self.groups)) if passed >> r & 1]
        sizes = {r: sum(valid >> k & 1 for k in self.groups[r]) for r in groups}
        self._need(all(size >= max(2, mask_threshold(len(self.groups[r]))) for r, size in sizes.items()))
        chosen = select(
            self.p.rule, from_upper(len(groups), flat), len(self.groups), len(groups), self.p.mu_bps, self.p.m_krum
        )
        selected = [groups[i] for i in chosen or ()]
        accepted = [k for r in selected for k in self.groups[r] if valid >> k & 1]
        if chosen is None or len(accepted) < self.p.min_accepted:
            return self._abort("no output", self.block)
        struct = eip712.batch_struct(self.context, valid, passed, flat, digest)
        bitmaps = (sum(1 << r for r in selected), sum(1 << k for k in accepted))
        self.batch = ev.BatchFinal(self.context.session, self.block, struct, passed, *bitmaps)
        self._events.append(self.batch)
        return self._enter(Phase.OUTPUT, self.block)

    def _attest(self, sender: bytes, provers: int, owners: int, signers: int, signatures: tuple[bytes, ...]) -> None:
        self._need(self.phase >= Phase.BATCH and (self.named | provers).bit_count() <= self.p.threshold)
        self._need(not signers & (self.named | provers) and not owners & ~self.sets[Bitmap.VALID])
        self._quorum(eip712.attestation_digest(self.context, provers, owners), signers, signatures)
        fresh = provers & ~self.named, owners & ~self.silent
        self._need(fresh != (0, 0))
        self.named, self.silent = self.named | provers, self.silent | owners
        self.slashed |= {i for i in range(self.p.committee) if provers >> i & 1}
        self._emit(ev.Attested, *fresh)

    def _slashDoubleSign(self, sender: bytes, a: Header, sig_a: bytes, b: Header, sig_b: bytes) -> None:
        signers = {self._recover(header_digest(self.context, h), sig) for h, sig in ((a, sig_a), (b, sig_b))}
        self._need(a != b and len(signers) == 1)
        self.slashed.add(self._seat(sig_a[:20]))

    def _acknowledge(self, sender: bytes) -> None:
        self._need(sender == self.p.owner and self.phase == Phase.OUTPUT)
        self._enter(Phase.FINISHED, self.block)

    def _claim(self, sender: bytes) -> None:
        self._need(self.phase in (Phase.FINISHED, Phase.ABORTED) and sender not in self.claimed)
        self.claimed.add(sender)


def header_digest(context: Context, header: Header) -> bytes:
    """The EIP-712 digest of a batch header whose distances are already hashed."""
    valid, passed, hashed, digest = header
    words = [context.session, valid, passed]
    struct = keccak(
        keccak(b"Batch(uint256 session,uint256 validSet,uint256 passed,bytes32 valuesHash,bytes32 digest)")
        + b"".join(word.to_bytes(32, "big") for word in words)
        + hashed
        + digest
    )
    return keccak(b"\x19\x01" + eip712.domain_separator(context) + struct)
