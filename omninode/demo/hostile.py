"""Stand-ins for the demo's attackers. No honest node loads this module.

`python -m omninode.demo.hostile start --config FILE` runs a node that is honest until the file fault.json in its data
directory names a session and a kind of misbehaviour (``orders.Order``).
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omninode.demo.hostile_data_owner import HostileDataOwner
from omninode.demo.hostile_grouped import BadDataOwner
from omninode.demo.hostile_prover import HostileProver
from omninode.demo.loot import LOOT, REWIND, Folder
from omninode.demo.orders import order_of
from omninode.learning import data as local_data
from omninode.learning import poison
from omninode.roles.machine import Machine
from protocols.sessions import effects as fx
from protocols.sessions.events import PhaseChanged
from protocols.sessions.params import Mode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.chain.transaction import Receipt
    from omninode.roles.services import Services
    from omninode.roles.session_task import Task
    from omninode.roles.sessions import Role
    from protocols.sessions.events import ChainEvent
    from protocols.sessions.view import SessionView


FORCED_GAS = 8_000_000
"""For a transaction that nobody asked the chain about."""
REWOUND = ("weights", "bound", "accuracy")
"""What a rewound model has of the state that it goes back to."""


def die() -> None:
    """SIGKILL to this very process: nothing is finished, nothing is written any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def hostile_roles(services: Services) -> Sequence[Role]:
    """The roles of ``omninode.node`` with hostile machines."""
    makers = {"prover": _prover, "data_owner": _data_owner, "model_owner": _model_owner}
    return [makers[name](services) for name in services.config.node.roles]


def _prover(services: Services) -> Role:
    from omninode.roles.prover import Prover

    _force_wrong_batches(services)

    class Hostile(Prover):
        def machine(self, view: SessionView, seed: bytes) -> Machine:
            inner = super().machine(view, seed)
            if view.p.zk:
                from omninode.demo.hostile_zk import hostile_prover

                return hostile_prover(inner, services.wallet.address, partial(order_of, services.data_dir), die)
            return HostileProver(inner, services.wallet.address, partial(order_of, services.data_dir), die)

    return Hostile(services)


def _force_wrong_batches(services: Services) -> None:
    """What is ordered to be wrong goes out without asking first whether the contract will take it."""
    market = services.market
    transact = market.transact

    async def forced(call: str, session: int, args: Sequence[object] = (), *rest: Any, **named: Any) -> Receipt:
        wrong = call == "postProof" and order_of(services.data_dir, session).kind == "zk-batch"
        if not wrong or market.queue is None:
            return await transact(call, session, args, *rest, **named)
        data = market.contract.interface.function(call).call_data((session, *args))
        return await market.queue.submit(market.address, data, key=named.get("key"), gas=FORCED_GAS, fn=call)

    market.transact = forced  # type: ignore[method-assign]


def _data_owner(services: Services) -> Role:
    from omninode.roles.data_owner import DataOwner

    data_dir, loot = services.data_dir, Folder(services.data_dir.parent.parent / LOOT)

    class Hostile(DataOwner):
        _flip = False

        def machine(self, view: SessionView, seed: bytes) -> Machine:
            if view.p.mode == Mode.GROUPED:
                return BadDataOwner(super().machine(view, seed), data_dir)
            if view.p.zk:
                from omninode.demo.hostile_zk import hostile_data_owner

                return hostile_data_owner(
                    services.context(view.session), services.identity(), seed, peer_key=services.net.peer_key,
                    keys=services.keys, orders=partial(order_of, data_dir), loot=loot,
                )  # fmt: skip
            return HostileDataOwner(
                services.context(view.session), services.identity(), seed, peer_key=services.net.peer_key,
                orders=partial(order_of, data_dir), loot=loot, die=die,
            )  # fmt: skip

        async def _train(self, session: int, task: Task) -> NDArray[np.int64] | None:
            """With "label-flip" a second training, on flipped labels."""
            if order_of(data_dir, session).kind == "label-flip":
                self._flip = True
                flipped = await super()._train(session, task)
                self._flip = False
                if flipped is not None:
                    loot.put(f"{session}-{services.wallet.address.hex()}.flipped", flipped.astype("<i8").tobytes())
            return await super()._train(session, task)

        def data_path(self) -> Path:
            path = super().data_path()
            if not self._flip:
                return path
            samples = local_data.load(path)
            local_data.save(data_dir / "flipped.npz", poison.flip_labels(samples, int(samples.y.max()) + 1))
            return data_dir / "flipped.npz"

    return Hostile(services)


def _model_owner(services: Services) -> Role:
    from omninode.roles.model_owner import ModelOwner

    loot = Folder(services.data_dir.parent.parent / LOOT)

    class Hostile(ModelOwner):
        async def create_session(self, overrides: dict[str, Any]) -> dict[str, Any]:
            """With a mark in the loot: every session but the first begins with the model as the first one left it."""
            if loot.get(REWIND) is not None:
                self._rewind()
            return await super().create_session(overrides)

        def _rewind(self) -> None:
            state, kept = self.model.require(), loot.get("model")
            if kept is not None:
                first = json.loads(kept)
                self.model.state = replace(state, **first)
            elif state.applied:
                loot.put("model", json.dumps({name: getattr(state, name) for name in REWOUND}).encode())

        def machine(self, *args: Any) -> Machine:
            """The real machine: its class matters to the role. It ends with a phase, or shows its reference."""
            machine: Any = super().machine(*args)
            chain, update_ready = machine.chain, getattr(machine, "update_ready", None)

            def crashing(event: ChainEvent) -> list[fx.Effect]:
                order = order_of(services.data_dir, event.session)
                if order.kind == "crash" and isinstance(event, PhaseChanged) and event.phase.name == order.phase:
                    die()
                effects: list[fx.Effect] = chain(event)
                return effects

            def shown(update: NDArray[np.int64]) -> list[fx.Effect]:
                name = f"{machine.view.session}-{services.wallet.address.hex()}.update"
                loot.put(name, update.astype("<i8").tobytes())
                assert update_ready is not None
                effects: list[fx.Effect] = update_ready(update)
                return effects

            machine.chain = crashing
            if update_ready is not None:
                machine.update_ready = shown
            result: Machine = machine
            return result

    return Hostile(services)


def main() -> None:
    """Run a node like `omninode start`, with hostile roles."""
    import sys

    from omninode import node
    from omninode.cli import main as cli

    node.build_roles = hostile_roles  # type: ignore[assignment]
    cli(sys.argv[1:])


if __name__ == "__main__":
    main()
