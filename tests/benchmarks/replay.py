"""Plays a finished run of the demo again as a plain simulation: same data, groups, training seeds and drop-outs.

Everything is read from the run's folder: result.json, the data files, and the model owner's journal, which holds what
the chain said. What is left between the two is the cost of masks, fixed point, sharing, contract and network: nothing.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omninode.learning import data
from omninode.learning.document import SessionDocument, training_seed
from omninode.learning.presets import PRESETS, Preset
from omninode.learning.simulate import OWNER, Options, Plan, Run, simulate
from omninode.roles.events_codec import unpack_events
from omninode.roles.replay import without_rolled_back
from omninode.store.blobs import FileBlobStore
from omninode.store.db import Store
from protocols.sessions.params import Bitmap
from protocols.sessions.view import SessionView

MODEL_OWNER = "model-owner"
_PARTY = re.compile(r"data-owner-(\d+)")


@dataclass(frozen=True)
class Finished:
    """A finished run. plans, documents: one per session; wallets: addresses by party; accuracies: after each session.

    accepted: groups accepted in each session, as the simulation counts them.
    """

    preset: Preset
    seed: int
    split: data.Split
    plans: tuple[Plan, ...]
    documents: tuple[SessionDocument, ...]
    wallets: tuple[bytes, ...]
    owner_alone: float
    accuracies: tuple[float, ...]
    accepted: tuple[tuple[int, ...], ...]

    def seed_of(self) -> Callable[[int, int], int]:
        """Training seeds as the nodes derived them."""

        def seed(session: int, party: int) -> int:
            document = self.documents[session]
            return document.seed if party == OWNER else training_seed(document, self.wallets[party])

        return seed

    def simulate(self, *, faults: bool = True, integers: bool = False) -> Run:
        """The same sessions in float64 (or the protocol's integers). ``faults=False``: nobody drops out or attacks."""
        plans = self.plans if faults else [replace(p, dropped=frozenset(), hostile=frozenset()) for p in self.plans]
        return simulate(self.preset, self.split, self.seed, plans, Options(integers=integers), self.seed_of())


def read(folder: Path) -> Finished:
    """The run in ``folder``. ValueError if a session of it has no groups or no document."""
    result = json.loads((folder / "result.json").read_text())
    settings = tomllib.loads((folder / "nodes" / MODEL_OWNER / "config.toml").read_text())["model_owner"]
    names = {bytes.fromhex(p["address"][2:]): name for name, p in result["parties"].items()}
    parties = {address: int(m[1]) - 1 for address, name in names.items() if (m := _PARTY.fullmatch(name))}
    store, blobs = _open(folder / "nodes" / MODEL_OWNER)
    try:
        views = [_view(store, entry["id"]) for entry in result["sessions"]]
        documents = tuple(SessionDocument.decode(blobs.read(view.p.doc_digest)) for view in views)
    finally:
        store.close()
    return Finished(
        preset=PRESETS[result["data"]],
        seed=settings["seed"],
        split=_split(folder / "data", len(parties)),
        plans=tuple(_plan(view, parties, _attackers(folder, names, view.session)) for view in views),
        documents=documents,
        wallets=tuple(sorted(parties, key=parties.__getitem__)),
        owner_alone=result["accuracy"]["owner_alone"],
        accuracies=tuple(result["accuracy"]["sessions"]),
        accepted=tuple(_accepted(view) for view in views),
    )


def _open(node: Path) -> tuple[Store, FileBlobStore]:
    return Store.open(node), FileBlobStore(node / "blobs")


def _view(store: Store, session: int) -> SessionView:
    """The session as the model owner saw it on the chain."""
    view = SessionView(session)
    for kind, payload in without_rolled_back(store.inputs(session, "model_owner")):
        if kind == "chain":
            for event in unpack_events(payload)[1]:
                view.apply(event)
    if not view.groups:
        raise ValueError(f"session {session} never drew its groups")
    return view


def _plan(view: SessionView, parties: dict[bytes, int], attackers: set[bytes]) -> Plan:
    """Registration indices become party numbers; who is not among the valid in the end dropped out."""
    party = [parties[member.address] for member in view.members]
    gone = [k for k in range(len(party)) if not view.in_set(Bitmap.VALID, k)]
    return Plan(
        tuple(tuple(party[k] for k in group) for group in view.groups),
        dropped=frozenset(party[k] for k in gone),
        hostile=frozenset(parties[address] for address in attackers),
    )


def _accepted(view: SessionView) -> tuple[int, ...]:
    selected = view.batch.selected if view.batch else 0
    return tuple(r for r in range(len(view.groups)) if selected >> r & 1)


def _attackers(folder: Path, names: dict[bytes, str], session: int) -> set[bytes]:
    """Wallets of those whom the hostile run ordered to send random vectors in this session."""

    def order(name: str) -> dict[str, Any]:
        path = folder / "nodes" / name / "fault.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    wanted = {"session": session, "kind": "garbage"}
    return {address for address, name in names.items() if order(name) == wanted}


def _split(files: Path, parties: int) -> data.Split:
    owners = [data.load(files / f"data-owner-{k + 1:02}.npz") for k in range(parties)]
    return data.Split(data.load(files / "owner.npz"), owners, data.load(files / "test.npz"))
