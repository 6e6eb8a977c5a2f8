"""A whole verified session: 32 data owners, five provers, the owner; real machines, wallets and contracts, one process.

What everybody's work takes, by part and by phase, in CPU seconds; what travels; the memory of one prover. The network
is simulated: no time is lost on it, and what a node does for its connections and its journal does not count.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import structlog

from omninode.reproduce.stage.session import Cast, Played, perform, verified
from omninode.store.shelf import DiskShelf
from protocols.pine import upload
from protocols.pine.params import choose
from protocols.pine.staging import StagedUpload
from protocols.sessions import delivery
from protocols.sessions import events as ev
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Phase, Rule, SessionParams
from protocols.sessions.prover_batch import BatchDesk
from protocols.sessions.prover_consistency import Consistency
from protocols.sessions.prover_output import OutputDesk
from protocols.sessions.prover_proofs import Proofs
from protocols.sessions.prover_rebuild import Rebuild
from protocols.sessions.prover_scores import Scores
from protocols.sessions.prover_uploads import UploadDesk
from protocols.sessions.setup import SeedSetup
from protocols.wire import codec
from tests.benchmarks.clock import Clock, MeteredNetwork, TimedNode, public, role
from tests.benchmarks.replayed import growth
from tests.benchmarks.rows import Row, row

DIMENSION, DATA_OWNERS, FEW = 100_000, 32, 8
RULES = (Rule.TRUST, Rule.OUTLIER)
ROLES = ("data owner", "prover", "owner")
PROVERS_PARTS = {
    SeedSetup: "seeds", UploadDesk: "receive uploads", Consistency: "consistency", Proofs: "proofs",
    Rebuild: "rebuild", Scores: "products", BatchDesk: "batch", OutputDesk: "output",
}  # fmt: skip
WATCHED = [
    *((upload, name, "prove") for name in ("wr_results", "encode_bits", "prove")),
    *public(StagedUpload, "share and commit"), (delivery, "seal", "seal"), (OwnerMachine, "receive", "open the sum"),
    *((codec, name, "encode, decode") for name in ("encode", "decode")),
    *(watched for desk, part in PROVERS_PARTS.items() for watched in public(desk, part)),
]  # fmt: skip
NEGLIGIBLE_S = 0.0005


def of_all(spent: dict[tuple[str, str], float], whose: str, what: str) -> list[float]:
    """Of every participant in this role."""
    return [seconds for (name, item), seconds in spent.items() if role(name) == whose and item == what]


def names(spent: dict[tuple[str, str], float], whose: str) -> list[str]:
    """What this role did, in the order in which it began."""
    return list(dict.fromkeys(item for name, item in spent if role(name) == whose))


def cpu(played: Played, clock: Clock) -> Iterator[Row]:
    """By role: all of it, its parts, its phases; means per participant. And the sum over everybody."""
    for whose in ROLES:
        people = len(played.of(whose))
        phases = {f", phase {phase}": of_all(clock.phases, whose, phase) for phase in names(clock.phases, whose)}
        parts = {f": {part}": of_all(clock.parts, whose, part) for part in names(clock.parts, whose)}
        total, known = (sum(map(sum, spent.values())) for spent in (phases, parts))
        said = {"participants": people, "together_s": round(total, 2)}
        yield row(f"CPU, {whose}", said, total / people, None, "s")
        for name, spent in (parts | {": rest": [total - known]} | phases).items():
            if sum(spent) / people >= NEGLIGIBLE_S:
                said = {"together_s": round(sum(spent), 2)} | ({"most": round(max(spent), 3)} if len(spent) > 1 else {})
                yield row(f"CPU, {whose}{name}", said, sum(spent) / people, None, "s")
    for phase in dict.fromkeys(phase for _, phase in clock.phases):
        together = {whose: sum(of_all(clock.phases, whose, phase)) for whose in ROLES}
        said = {f"{whose.replace(' ', '_')}": round(seconds, 3) for whose, seconds in together.items()}
        yield row(f"CPU, everybody, phase {phase}", said, sum(together.values()), None, "s")
    yield row("CPU, everybody", {"participants": len(played.nodes)}, sum(clock.phases.values()), None, "s")


def traffic(played: Played) -> Iterator[Row]:
    """What a data owner uploads to all provers; what else goes from one to one, by kind; what goes on chain."""
    assert isinstance(played.network, MeteredNetwork)
    for (sender, receiver, kind), sizes in sorted(played.network.sent.items()):
        senders, receivers = len(played.of(sender)), len(played.of(receiver)) - (sender == receiver)
        said = {"messages": len(sizes), "together_MB": round(sum(sizes) / 1e6, 3)}
        if kind == "upload":
            yield row(f"bytes, {sender} to all provers, upload", said, sum(sizes) / senders / 1e6, None, "MB")
        else:
            each = sum(sizes) / senders / receivers
            yield row(f"bytes, {sender} to each {receiver}, {kind}", said, each / 1e3, None, "kB")
    for call, sizes in sorted(played.gas.calldata.items()):
        used = played.gas.by_call[call]
        said = {"calls": len(used), "calldata_bytes": round(statistics.fmean(sizes)), "most": max(used)}
        yield row(f"gas, {call}", said, statistics.fmean(used), None, "gas")
    yield row("gas of the session per data owner", {}, played.gas.session / played.params.groups, None, "gas")


def blocks(played: Played) -> Iterator[Row]:
    """From one phase to the next; with a network of no delay and updates that take one to three blocks."""
    events = [event for kind, payload in played.nodes[-1].journal if kind == "chain" for event in payload]
    entered = [event for event in events if isinstance(event, ev.PhaseChanged)]
    for this, following in pairwise(entered):
        yield row(f"blocks, phase {this.phase.name}", {}, following.block - this.block, None, "blocks")
    total = entered[-1].block - entered[0].block
    yield row("blocks, all", {"until": Phase(entered[-1].phase).name}, total, None, "blocks")


def memory(played: Played) -> Row:
    """Of the prover at the last point, which gets full vectors. Peer: holding all share vectors.

    Mapped pages of files count: the kernel takes them back when it needs them.
    """
    last = played.nodes[-1].machine.view.committee[-1].address
    (node,) = [node for node in played.nodes if node.address == last]
    params, owners = choose(played.params.dimension, played.params.bound), played.params.groups
    vector = 8e-6 * params.share_length
    said = {"peer": "all share vectors", "vector_MB": round(vector, 2)}
    name = f"memory, growth of a prover's peak, {owners} data owners"
    return row(name, said, growth(node, played.params), vector * (owners + 1), "MB")


def of_session(params: SessionParams) -> list[Row]:
    """All rows of one session. RuntimeError unless it ends with the right sum and the right pay."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder, clock.watching(WATCHED):
        cast = Cast(
            partial(TimedNode, clock), partial(MeteredNetwork, clock), lambda i: DiskShelf(Path(folder) / f"shelf-{i}")
        )
        began = time.perf_counter()
        played = perform(params, cast)
        wall = time.perf_counter() - began
    batch = played.nodes[-1].machine.view.batch
    assert batch is not None
    told = {"d": params.dimension, "data_owners": params.groups, "accepted": batch.accepted.bit_count()}
    first = row("session, share length", told, choose(params.dimension, params.bound).share_length, None, "elements")
    lasted = row("wall time in one process, chain included", {}, wall, None, "s")
    rows = [first, *cpu(played, clock), lasted, *traffic(played), *blocks(played), memory(played)]
    rows.append(memory(perform(verified(params.dimension, FEW, params.rule))))
    return [entry | {"name": f"{entry['name']} ({params.rule.name.lower()})"} for entry in rows]


def run() -> list[Row]:
    """Rows for ``make bench``."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return [entry for rule in RULES for entry in of_session(verified(DIMENSION, DATA_OWNERS, rule))]
