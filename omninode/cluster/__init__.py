"""A local cluster: real nodes as processes of this machine, on a development chain.

`up` starts one that stays until `down`; the demo plays in one of its own.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from omninode.errors import AlreadyRunningError, NotRunningError, OmninodeError, RefusedError

STATE = "cluster.json"
READY_S = 120.0


def up(root: Path, *, owners: int, provers: int, block_time: int, seed: int, onchain: bool = False) -> dict[str, Any]:
    """Start a chain, the contracts, one model owner, ``owners`` data owners and ``provers`` provers.

    onchain: with the factory of the on-chain baseline, which all nodes then follow. Returns when all nodes answer.
    Raises AlreadyRunningError if a cluster of this folder runs, OmninodeError if a node ends.
    """
    from omninode.cluster.deploy import lay_out

    root = root.resolve()
    if (root / STATE).exists() and _alive(json.loads((root / STATE).read_text())["chain_pid"]):
        raise AlreadyRunningError(f"a cluster runs in {root}", f"omninode cluster down --dir {root}")
    if (root / "nodes").exists():
        raise RefusedError(f"{root} holds an earlier cluster", "remove the folder, or choose another with --dir")
    cluster, state = lay_out(root, owners=owners, provers=provers, block_time=block_time, seed=seed, onchain=onchain)
    (root / STATE).write_text(json.dumps(state, indent=1))
    for node in cluster.nodes:
        node.start()
    _wait_ready(root)
    return status(root)


def status(root: Path) -> dict[str, Any]:
    """The chain and every node: name, pid (None: not running), folder."""
    state = _state(root)
    nodes = [{"name": node.name, "pid": node.pid, "folder": str(node.directory)} for node in _nodes(root, state)]
    chain_pid = state["chain_pid"] if _alive(state["chain_pid"]) else None
    said: dict[str, Any] = {key: state[key] for key in ("rpc", "market", "onchain", "string") if key in state}
    return {**said, "chain_pid": chain_pid, "nodes": nodes}


def down(root: Path) -> dict[str, Any]:
    """End all nodes (SIGTERM, then SIGKILL after a grace period) and the chain."""
    from omninode.cluster.processes import stop_all

    state = _state(root)
    running = [node for node in _nodes(root, state) if node.pid is not None]
    stop_all(running)
    if _alive(state["chain_pid"]):
        os.kill(state["chain_pid"], signal.SIGTERM)
    (Path(root).resolve() / STATE).unlink()
    return {"stopped": len(running), "folder": str(Path(root).resolve())}


def _state(root: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((Path(root) / STATE).read_text())
    except FileNotFoundError:
        raise NotRunningError(f"no cluster in {root}", "start one with: omninode cluster up") from None
    return state


def _nodes(root: Path, state: dict[str, Any]) -> list[Any]:
    from omninode.cluster.processes import NodeProcess

    return [NodeProcess(name, Path(root).resolve() / "nodes" / name) for name in state["nodes"]]


def _wait_ready(root: Path) -> None:
    """Until every node answers on its control socket."""
    from omninode import control

    waiting = _nodes(root, _state(root))
    deadline = time.monotonic() + READY_S
    while waiting:
        node = waiting[0]
        if node.pid is None:
            raise OmninodeError(f"{node.name} ended at once", f"read {node.directory}/node.log")
        try:
            control.call(node.socket, "status", timeout=5)
            waiting.pop(0)
        except OmninodeError as error:
            if time.monotonic() > deadline:
                raise OmninodeError(f"{node.name} does not answer", f"read {node.directory}/node.log") from error
            time.sleep(0.2)


def _alive(pid: int) -> bool:
    """Whether the chain of a cluster runs."""
    from omninode.cluster.processes import runs

    return runs(pid, "anvil")
