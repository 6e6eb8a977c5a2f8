"""`session verify`: checks a settled session again, from the chain and, on a committee member, from its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from omninode.chain.abi import decode_list
from omninode.chain.errors import ChainError
from omninode.chain.wallet import recover
from omninode.errors import RefusedError
from omninode.roles.events_codec import unpack_events
from omninode.roles.replay import without_rolled_back
from protocols.errors import ProtocolError
from protocols.gram.distances import from_upper
from protocols.selection import rules
from protocols.sessions.draw import group_order
from protocols.sessions.params import Beacon, Bitmap, Phase
from protocols.sessions.view import split_groups
from protocols.wire import codec, eip712

if TYPE_CHECKING:
    from omninode.chain.market import RawEvent
    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView


class Findings:
    """Checks in order, each with its result."""

    def __init__(self) -> None:
        self.checks: list[dict[str, Any]] = []

    def add(self, name: str, ok: bool, detail: str = "") -> bool:
        """Note one check."""
        self.checks.append({"name": name, "ok": ok, "detail": detail})
        return ok


async def verify_session(services: Services, view: SessionView) -> dict[str, Any]:
    """Check what can be checked. Raises RefusedError for a session without a batch."""
    if view.batch is None:
        raise RefusedError(f"session {view.session} has no batch", "only settled sessions can be verified")
    found = Findings()
    history = await services.market.history(view.session)
    _check_groups(found, view)
    _check_sets(found, view, history)
    batch = await _posted_batch(services, view)
    if found.add("batch found", batch is not None, "" if batch else "no postBatch transaction in its block"):
        assert batch is not None
        _check_signatures(found, services, view, batch)
        _check_selection(found, view, batch)
    _check_money(found, view, history)
    await _check_own_part(found, services, view, batch)
    return {"session": view.session, "checks": found.checks}


def _check_groups(found: Findings, view: SessionView) -> None:
    order = group_order(view.beacons[Beacon.GROUPS], [m.address for m in view.members])
    groups = split_groups(order, view.p.group_size, len(view.groups))
    found.add("groups follow from the beacon", groups == view.groups)


def _check_sets(found: Findings, view: SessionView, history: list[RawEvent]) -> None:
    """Each fixed set, again from the bitmaps: in iff at least n - t provers say so (and the commitment is there)."""
    quorum = view.p.committee - view.p.threshold
    receipts = [(e.args["prover"], e.args["index"]) for e in history if e.name == "ReceiptPosted"]
    roots = {Bitmap.BUNDLES: set(view.share_roots), Bitmap.DELIVERED: set(view.upload_roots)}
    for kind in Bitmap:
        votes = dict(view.bitmaps.get(kind, {}))
        if kind == Bitmap.DELIVERED:
            for prover, index in receipts:
                votes[prover] = votes.get(prover, 0) | 1 << index
        counted = {m.index for m in view.members if sum(b >> m.index & 1 for b in votes.values()) >= quorum}
        allowed = roots.get(kind, {m.index for m in view.members if view.in_set(Bitmap.DELIVERED, m.index)})
        expected = sum(1 << k for k in counted & allowed)
        found.add(f"set {kind.name.lower()} follows from the bitmaps", expected == view.sets.get(kind))


async def _posted_batch(services: Services, view: SessionView) -> dict[str, Any] | None:
    """The arguments of the postBatch transaction whose event finalised the session."""
    assert view.batch is not None
    client, interface = services.market.client, services.market.contract.interface
    block = await client.rpc("eth_getBlockByNumber", hex(view.batch.block), True)
    post = interface.function("postBatch")
    for transaction in block["transactions"]:
        data = bytes.fromhex(transaction["input"].removeprefix("0x"))
        to = bytes.fromhex((transaction["to"] or "0x").removeprefix("0x"))
        if to == services.market.address and data[:4] == post.selector:
            args = dict(zip(post.inputs.names, decode_list(post.inputs, data[4:]), strict=True))
            receipt = await client.rpc("eth_getTransactionReceipt", transaction["hash"])
            if args["id"] == view.session and int(receipt["status"], 16) == 1:
                return args
    return None


def _check_signatures(found: Findings, services: Services, view: SessionView, batch: dict[str, Any]) -> None:
    digest = eip712.batch_digest(
        services.context(view.session), view.sets[Bitmap.VALID], batch["passed"], batch["values"], batch["digest"]
    )
    seats = [i for i in range(view.p.committee) if batch["signers"] >> i & 1]
    good = 0
    for seat, signature in zip(seats, batch["signatures"], strict=False):
        try:
            good += recover(digest, signature) == view.committee[seat].address
        except ValueError:
            continue
    quorum = view.p.committee - view.p.threshold
    found.add("batch is signed by n - t of the committee", good == len(seats) >= quorum, f"{good} good signatures")


def _check_selection(found: Findings, view: SessionView, batch: dict[str, Any]) -> None:
    assert view.batch is not None
    passed = [r for r in range(len(view.groups)) if batch["passed"] >> r & 1]
    distances = from_upper(len(passed), batch["values"])
    kept = rules.select(int(view.p.rule), distances, len(view.groups), len(passed), view.p.mu_bps, view.p.m_krum)
    selected = sum(1 << passed[i] for i in kept or ())
    found.add("selection follows from the posted distances", selected == view.batch.selected)
    valid = view.sets[Bitmap.VALID]
    members = [k for r, group in enumerate(view.groups) if selected >> r & 1 for k in group if valid >> k & 1]
    accepted = sum(1 << k for k in members)
    found.add("accepted data owners are the survivors of selected groups", accepted == view.batch.accepted)


def _check_money(found: Findings, view: SessionView, history: list[RawEvent]) -> None:
    """Nobody accepted claimed less than its share of the reward, and nobody claimed twice."""
    assert view.batch is not None
    if view.phase != Phase.FINISHED:
        return
    share = view.p.reward // len(view.members)
    claims = [(e.args["who"], e.args["amount"]) for e in history if e.name == "Claimed"]
    paid = dict(claims)
    short = [
        m.index for m in view.members
        if view.batch.accepted >> m.index & 1 and m.address in paid and paid[m.address] < share
    ]  # fmt: skip
    found.add("claims pay the reward in equal shares", not short, f"{len(claims)} claims, {share} wei each")
    found.add("nobody claimed twice", len(paid) == len(claims))


async def _check_own_part(found: Findings, services: Services, view: SessionView, batch: dict[str, Any] | None) -> None:
    """A member of the committee plays its journal again and compares what it decoded with what was posted."""
    if view.prover_index(services.wallet.address) is None or batch is None:
        return
    from protocols.sessions.prover import ProverMachine

    entries = await trio.to_thread.run_sync(services.store.inputs, view.session, "prover")
    if not entries:
        found.add("own journal", False, "the inputs of this session are not kept any more")
        return
    seed = await trio.to_thread.run_sync(services.store.begin, view.session, "prover", bytes(32))
    machine = ProverMachine(services.context(view.session), services.identity(), seed)

    def replay() -> None:
        for kind, payload in without_rolled_back(entries):
            if kind == "chain":
                for event in unpack_events(payload)[1]:
                    machine.chain(event)
            elif kind == "tick":
                machine.tick(int.from_bytes(payload, "big"))
            else:
                limits = codec.limits_for(machine.view.p)
                machine.receive(codec.decode(payload, services.context(view.session), limits))

    try:
        await trio.to_thread.run_sync(replay)
    except (ProtocolError, ChainError, ValueError) as error:
        found.add("own journal plays again", False, str(error))
        return
    own = machine.status().get("digest")
    found.add("every opening of the own journal gives the posted digest", own == batch["digest"].hex())
