"""Secure aggregation, crypto only: CPU seconds of all clients and one collector, beside Flower's SecAgg+ on the same
sizes.

n clients in one group, T = n // 2 + 1; ``dropout`` of them share their keys and then never deliver. Ours is run in full
and the sum is checked; it includes what the peer has no counterpart for (committed shares, verified by every recipient
and by the collector; uniform 64-bit masks). Left out on both sides: quantisation, serialisation of vectors, transport,
sharing to a committee.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.secagg import shares
from protocols.secagg.keys import SessionKeys
from protocols.secagg.masks import mask_update, pair_seed, unmask_vector
from protocols.secagg.rebuild import rebuild_mask_secret, rebuild_self_seed
from protocols.secagg.seal import bundle_associated, open_sealed, seal
from protocols.sessions.params import mask_threshold
from protocols.wire.context import Context

HERE = Path(__file__).resolve().parent
VENV = HERE.parent.parent / "runs" / "bench" / "flwr-venv"
N = 100
DROPOUTS = (0, 10, 30)
SIZES = {100_000: {"clients": 3, "pairs": 12}, 1_000_000: {"clients": 3, "pairs": 5}}
CONTEXT = Context(1, b"\x11" * 20, 1)


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of all threads of this process, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def address(k: int) -> bytes:
    """Wallet of client k."""
    return k.to_bytes(20, "big")


class Round:
    """One round of ours: keys, shares and bundles of all clients, then masked updates, summed as they come."""

    def __init__(self, n: int, d: int) -> None:
        self.n, self.d = n, d
        self.threshold = mask_threshold(n)
        self.held: list[dict[int, shares.Bundle]] = [{} for _ in range(n)]

    def share_keys(self) -> None:
        """Everything before the update exists; sealed bundles go straight to who opens them."""
        self.keys = [SessionKeys.derive(bytes([k]) * 32, CONTEXT, address(k)) for k in range(self.n)]
        self.dealt = [
            shares.deal_key_shares(CONTEXT, address(k), self.keys[k], self.n, bytes(32)) for k in range(self.n)
        ]
        for dealer in range(self.n):
            self.held[dealer][dealer] = self.dealt[dealer].bundles[dealer]
            for recipient in range(self.n):
                if recipient != dealer:
                    self.held[recipient][dealer] = self._deliver(dealer, recipient)

    def _deliver(self, dealer: int, recipient: int) -> shares.Bundle:
        ours, theirs = self.keys[dealer], self.keys[recipient]
        associated = bundle_associated(address(dealer), address(recipient))
        plain = shares.pack_bundle(self.dealt[dealer].bundles[recipient])
        sealed = seal(CONTEXT, ours.enc_secret, theirs.enc_public, associated, plain)
        opened = open_sealed(CONTEXT, theirs.enc_secret, ours.enc_public, associated, sealed)
        return shares.open_bundle(CONTEXT, address(dealer), self.dealt[dealer].root, self.n, recipient, opened)

    def masked(self, k: int, update: Vector) -> Vector:
        """Client k's masked update: n - 1 key agreements, n masks."""
        secret = self.keys[k].mask_secret
        seeds = {
            peer: pair_seed(CONTEXT, secret, address(k), self.keys[peer].mask_public, address(peer))
            for peer in range(self.n)
            if peer != k
        }
        return mask_update(update, k, self.keys[k].self_seed, seeds)

    def unmask(self, alive: list[int]) -> Vector:
        """The collector: verify every share that the living send, rebuild, expand."""
        own = {k: self._rebuilt(k, alive, shares.SELF_SEED) for k in alive}
        gone = {k: self._rebuilt(k, alive, shares.MASK_KEY) for k in range(self.n) if k not in own}
        addresses = {k: address(k) for k in range(self.n)}
        publics = {k: self.keys[k].mask_public for k in range(self.n)}
        return unmask_vector(CONTEXT, self.d, addresses, publics, own, gone)

    def _rebuilt(self, dealer: int, alive: list[int], kind: int) -> bytes:
        root, found = self.dealt[dealer].root, {}
        for holder in alive:
            s = self.held[holder][dealer].of(kind)
            if shares.verify_share(CONTEXT, address(dealer), root, self.n, holder, kind, s.salt, s.share, s.proof):
                found[holder] = s.share
        if kind == shares.MASK_KEY:
            return rebuild_mask_secret(self.keys[dealer].mask_public, found, self.threshold)
        return rebuild_self_seed(CONTEXT, address(dealer), self.keys[dealer].self_hash, found, self.threshold)


def ours(n: int, d: int, dropouts: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """CPU seconds by number of dropped clients. The last clients drop out; sums are checked."""
    group = Round(n, d)
    warm = Round(2, 10)
    warm.share_keys()
    warm.masked(0, gl.zeros(10))
    sharing, _ = cpu(group.share_keys)
    rng = np.random.default_rng(0)
    plain, summed = gl.zeros(d), gl.zeros(d)
    masking = adding = 0.0
    results: dict[int, dict[str, float]] = {}
    for k in range(n):
        update = gl.from_signed(rng.integers(-(1 << 21), 1 << 21, d, dtype=np.int64))
        seconds, y = cpu(lambda k=k, update=update: group.masked(k, update))
        masking += seconds
        adding += cpu(lambda y=y: gl.add_into(summed, y))[0]
        gl.add_into(plain, update)
        if n - 1 - k in dropouts:
            alive = list(range(k + 1))
            seconds, mask = cpu(lambda alive=alive: group.unmask(alive))
            taken, total = cpu(lambda mask=mask: gl.sub(summed, mask))
            if not np.array_equal(total, plain):
                raise SystemExit("the unmasked sum is wrong")
            collector = adding + seconds + taken
            results[n - 1 - k] = {"clients": sharing + masking, "collector": collector, "masking": masking}
    return results


def peer_python() -> Path | None:
    """The interpreter of an environment with ``flwr``; made on first use. None, with a word why, if that fails."""
    python = VENV / "bin" / "python"
    if not (VENV / "ready").exists():
        print("making an environment for flwr ...", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True, timeout=120)
            subprocess.run([str(python), "-m", "pip", "install", "-q", "flwr"], check=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"no peer to compare with: {error}", file=sys.stderr)
            return None
        (VENV / "ready").touch()
    return python


def ask_peer(python: Path, **arguments: Any) -> dict[str, Any]:
    """One run of the peer's script."""
    command = [str(python), str(HERE / "peers" / "flower_secagg.py"), json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def peer(python: Path | None, d: int) -> dict[int, dict[str, float]]:
    """The peer's CPU seconds by number of dropped clients; empty without a peer."""
    if python is None:
        return {}
    answer = ask_peer(python, n=N, d=d, dropouts=list(DROPOUTS), **SIZES[d])
    return {row["dropped"]: row for row in answer["rows"]}


def run() -> list[dict[str, Any]]:
    """One row per size and dropout."""
    python = peer_python()
    if python and not ask_peer(python, check=True, n=5, dropped=2, d=1000)["ok"]:
        raise SystemExit("the peer's script does not sum correctly")
    rows = []
    for d, sample in SIZES.items():
        theirs, mine = peer(python, d), ours(N, d, DROPOUTS)
        for dropped in DROPOUTS:
            own = mine[dropped]["clients"] + mine[dropped]["collector"]
            other = theirs[dropped]["total"] if theirs else None
            params = {
                "n": N, "d": d, "dropout": dropped, "T": mask_threshold(N),
                "clients": round(mine[dropped]["clients"], 2), "collector": round(mine[dropped]["collector"], 2),
                "masking": round(mine[dropped]["masking"], 2),
            }  # fmt: skip
            if theirs:
                params["peer_clients"] = round(theirs[dropped]["clients"], 1)
                params["peer_collector"] = round(theirs[dropped]["collector"], 1)
                params["peer_masking"] = round(theirs[dropped]["masking"], 1)
                params["peer_sample"] = f"{sample['clients']} clients, {sample['pairs']} masks of each kind, by counts"
            rows.append(
                {
                    "name": "secure aggregation, all clients + collector (Flower SecAgg+)",
                    "params": params,
                    "ours": own,
                    "peer": other,
                    "unit": "CPU s",
                    "ratio": other / own if other else None,
                }
            )
    return rows
