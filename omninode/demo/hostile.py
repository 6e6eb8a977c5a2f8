"""Stand-ins for the demo's attackers. No honest node loads this module.

`python -m omninode.demo.hostile start --config FILE` runs a node that is honest until the file fault.json in its data
directory names a session and a kind of misbehaviour.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omninode.roles.machine import Machine
from protocols.fields import goldilocks as gl
from protocols.sessions import effects as fx
from protocols.sessions.params import Phase
from protocols.wire.messages import Opening, ShareOpening

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.roles.services import Services
    from omninode.roles.sessions import Role
    from protocols.sessions.events import ChainEvent
    from protocols.sessions.view import SessionView
    from protocols.wire.messages import Message

GARBAGE_FACTOR = 10  # how many times the bound the random vector is long


def fault_of(data_dir: Path, session: int) -> str:
    """The kind of misbehaviour ordered for ``session``, or ""."""
    try:
        order = json.loads((data_dir / "fault.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(order["kind"]) if order.get("session") == session else ""


def order_fault(data_dir: Path, session: int, kind: str) -> None:
    """Tell the node in ``data_dir`` to misbehave in ``session``."""
    (data_dir / "fault.json").write_text(json.dumps({"session": session, "kind": kind}))


class _Twisted:
    """A machine with something changed on its way in or out."""

    def __init__(self, inner: Machine, data_dir: Path) -> None:
        self._inner, self._data_dir = inner, data_dir

    @property
    def view(self) -> SessionView:
        return self._inner.view

    @property
    def _fault(self) -> str:
        return fault_of(self._data_dir, self.view.session)

    def chain(self, event: ChainEvent) -> list[fx.Effect]:
        return self._twist(self._inner.chain(event))

    def receive(self, message: Message) -> list[fx.Effect]:
        return self._twist(self._inner.receive(message))

    def tick(self, block: int) -> list[fx.Effect]:
        return self._twist(self._inner.tick(block))

    def status(self) -> dict[str, Any]:
        return self._inner.status()

    def _twist(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        return effects


class LyingProver(_Twisted):
    """With "lie": adds one to every share it opens, and never shows the piece that would convict it."""

    def _twist(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        if self._fault != "lie":
            return effects
        kept = [e for e in effects if not (isinstance(e, fx.Send) and isinstance(e.message, ShareOpening))]
        return [_lie(effect) for effect in kept]


def _lie(effect: fx.Effect) -> fx.Effect:
    if not (isinstance(effect, fx.Send) and isinstance(effect.message, Opening)):
        return effect
    values = gl.from_bytes(effect.message.values)
    lied = gl.add(values, gl.vector([1] * len(values)))
    return replace(effect, message=replace(effect.message, values=gl.to_bytes(lied)))


class BadDataOwner(_Twisted):
    """With "garbage": a random vector ten times as long as the bound. With "hold": stops after key sharing."""

    _update: NDArray[np.int64] | None = None

    def update_ready(self, update: NDArray[np.int64]) -> list[fx.Effect]:
        """Keep the update until the upload phase: by then the demo has chosen its targets."""
        self._update = update
        return self._release()

    def _twist(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        return effects + self._release()

    def _release(self) -> list[fx.Effect]:
        if self._update is None or self.view.phase < Phase.UPLOAD or self._fault == "hold":
            return []
        update, self._update = self._update, None
        if self._fault == "garbage":
            update = _garbage(len(update), self.view.p.bound, self.view.session)
        effects: list[fx.Effect] = self._inner.update_ready(update)  # type: ignore[attr-defined]
        return effects


def _garbage(length: int, bound: int, seed: int) -> NDArray[np.int64]:
    noise = np.random.default_rng(seed).standard_normal(length)
    scaled: NDArray[np.float64] = noise * (GARBAGE_FACTOR * bound / np.linalg.norm(noise))
    return np.rint(scaled).astype(np.int64)


def hostile_roles(services: Services) -> Sequence[Role]:
    """The roles of ``omninode.node`` with twisted machines."""
    roles: list[Role] = []
    for name in services.config.node.roles:
        if name == "prover":
            from omninode.roles.prover import Prover

            class HostileProver(Prover):
                def machine(self, session: int, seed: bytes) -> Machine:
                    return LyingProver(super().machine(session, seed), services.data_dir)

            roles.append(HostileProver(services))
        else:
            from omninode.roles.data_owner import DataOwner

            class HostileDataOwner(DataOwner):
                def machine(self, session: int, seed: bytes) -> Machine:
                    return BadDataOwner(super().machine(session, seed), services.data_dir)

            roles.append(HostileDataOwner(services))
    return roles


def main() -> None:
    """Run a node like `omninode start`, with hostile roles."""
    import sys

    from omninode import node
    from omninode.cli import main as cli

    node.build_roles = hostile_roles  # type: ignore[assignment]
    cli(sys.argv[1:])


if __name__ == "__main__":
    main()
