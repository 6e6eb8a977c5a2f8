"""Our own part in a session, from our journal: a prover's openings, the owner's sum, a data owner's upload."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from omninode.roles.machine import Machine
from omninode.roles.outcome import bits
from omninode.roles.owner_model import MODEL_KEY
from omninode.roles.prover_keys import decided, provers_keys
from omninode.roles.session_keys import key_of
from omninode.roles.verify_entry import BadEntry
from omninode.roles.verify_feed import genuine
from omninode.roles.verify_public import Findings, Public
from omninode.roles.verify_transcript import Replay, Source
from omninode.store.shelf import FOLDER, DiskShelf
from protocols.errors import LocalProtocolError
from protocols.sessions import machines
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import REFERENCE, Bitmap, Mode
from protocols.sessions.zk_abstain import ABSTAINS

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from omninode.store.transcript import Transcript
    from protocols.sessions.view import SessionView
    from protocols.sessions.zk_keys import Keys
    from protocols.zk.key import Key

JOURNAL = "own journal"


def role_in(view: SessionView, address: bytes) -> str | None:
    """The role in which this wallet takes part. No wallet has two in one session."""
    if view.p.owner == address:
        return "model_owner"
    if view.prover_index(address) is not None:
        return "prover"
    return "data_owner" if view.member_of(address) is not None else None


async def check_own(found: Findings, services: Services, public: Public) -> dict[str, Any] | None:
    """Play our journal again. Returns what our machine says at its end, for people; None if there is nothing of ours.

    A data owner whose journal is gone loses nothing: what is checked of it is its own alone.
    """
    view = public.view
    role = role_in(view, services.wallet.address)
    if role is None:
        return None
    transcript = await trio.to_thread.run_sync(services.store.transcript, view.session, role)
    if not transcript.entries or transcript.seed is None:
        if role != "data_owner":
            found.add(JOURNAL, False, "the inputs of this session are not kept any more")
        return None
    try:
        key = await _key(services, view, role)
    except LocalProtocolError as error:
        found.skip(JOURNAL, f"not replayed: the session's reference string is not configured ({error})")
        return None
    states = await trio.to_thread.run_sync(services.store.sessions)
    state = next((state for session, of, state in states if (session, of) == (view.session, role)), None)
    events = await services.market.session_events(view.session)
    shelf = DiskShelf(services.data_dir / FOLDER / f"verify-{view.session}-{os.urandom(4).hex()}")
    source = Source(
        services.context(view.session), transcript, partial(services.store.payload, view.session, role),
        lambda: _machine(services, view, role, transcript, shelf, key), events, services.wallet.address,
        state is not None, genuine,
    )  # fmt: skip
    try:
        return await trio.to_thread.run_sync(replayed, found, public, source, state, await _applied(services, view))
    finally:
        await trio.to_thread.run_sync(shelf.close)


async def _key(services: Services, view: SessionView, role: str) -> Key | None:
    """What the replay needs of certificate zk, None for nothing. LocalProtocolError where this node has it no more."""
    abstained = role == "prover" and decided(services.store, view.session) == ABSTAINS
    return await key_of(services, view.p) if view.p.zk and not abstained else None


async def _applied(services: Services, view: SessionView) -> bool:
    """Whether this session's sum is in the weights of our model."""
    saved = await trio.to_thread.run_sync(services.store.meta_get, MODEL_KEY)
    return saved is not None and any(session == view.session for session, _ in json.loads(saved)["applied"])


def _machine(
    services: Services, view: SessionView, role: str, transcript: Transcript, shelf: DiskShelf, key: Key | None
) -> Machine:
    """As the role makes it, with a shelf of its own: that of a session that still runs is not ours to empty."""
    context, identity, seed = services.context(view.session), services.identity(), transcript.seed
    keys: Keys = services.keys if key is None else lambda _: key
    assert seed is not None
    if role == "prover":
        shelf.close()
        kept = provers_keys(keys, services.store, view.session) if view.p.zk else keys
        return machines.prover(view.p, context, identity, seed, shelf, kept)
    if role == "model_owner":
        return machines.owner(view.p, context, identity, seed, keys)
    return machines.data_owner(view.p, context, identity, seed, peer_key=services.net.peer_key, keys=keys)


def replayed(
    found: Findings, public: Public, source: Source, state: dict[str, Any] | None, applied: bool
) -> dict[str, Any] | None:
    """Every entry, then what came out. state: what the node wrote down at the session's end, None before.

    applied: whether the model holds the session's sum.
    """
    replay = Replay(source)
    try:
        machine = replay.run()
    except BadEntry as last:
        bad = next((entry for entry in _new_lies(replay, state) if entry.seq < last.seq), last)
        found.add(JOURNAL, False, str(bad))
        return {"bad_entry": {"seq": bad.seq, "kind": bad.kind, "sender": bad.sender, "rule": bad.rule}}
    count, linked = len(source.transcript.entries), replay.links.linked
    older = f", the first {count - linked} of an earlier version and not linked" if linked < count else ""
    found.add(JOURNAL, True, f"{count} entries, {replay.links.sealed} seals{older}")
    status: dict[str, Any] = json.loads(json.dumps(machine.status()))
    _check_outcome(found, replay, status, state)
    if source.transcript.role == "prover":
        _check_prover(found, public, status)
    elif isinstance(machine, OwnerMachine):
        _check_owner(found, machine, applied)
    return status


def _new_lies(replay: Replay, state: dict[str, Any] | None) -> list[BadEntry]:
    """Entries with openings of provers that lie in the replay and did not when the node noted its outcome."""
    if state is None or "faulty" not in state:
        return []
    known = set(state["faulty"])
    return [fault.wrong for fault in replay.faults if fault.wrong and fault.blame.peer.hex() not in known]


def _check_outcome(found: Findings, replay: Replay, status: dict[str, Any], state: dict[str, Any] | None) -> None:
    """What the machine says in the end against what it said then; the entry of a new lie is named."""
    if state is None:
        return
    words = {"abstains"}  # why, for people: after a restart others are found for it
    changed = [key for key in status if key in state and status[key] != state[key] and key not in words]
    lies = _new_lies(replay, state) if "faulty" in changed else []
    differs = "; ".join(f"{key} is {status[key]}, was {state[key]}" for key in changed)
    found.add("own journal leads to what this node noted", not changed, str(lies[0]) if lies else differs)


def _check_prover(found: Findings, public: Public, status: dict[str, Any]) -> None:
    if why := status.get("abstains"):
        found.add("this prover abstained", True, why)
        return
    proved = public.view.proved
    if public.batch is not None or proved is not None:
        decided = proved.values_hash if proved is not None else (public.batch or {})["digest"]
        own, posted = status["digest"], decided.hex()
        differs = "this node had not decoded the batch" if own is None else f"{own[:16]} is not {posted[:16]}"
        same = own == posted
        found.add("every opening of the own journal gives the posted digest", same, "" if same else differs)
    named = {public.view.committee[i].address.hex() for i in bits(public.view.named_provers)}
    lied = [f"0x{address}" + (" (named on chain)" if address in named else "") for address in status["faulty"]]
    found.add("wrong openings were corrected", True, ", ".join(lied) or "none")


def _check_owner(found: Findings, machine: OwnerMachine, applied: bool) -> None:
    """The sum that was opened is that of the record made then (`OwnerMachine`), which the replay has compared."""
    if machine.result is None:
        found.add("output shares give the sum applied", not applied, "the sum was never opened")
        return
    detail = f"{machine.result.count} updates" + ("" if applied else ", not in the model yet")
    found.add("output shares give the sum applied", True, detail)
    liars = ", ".join(f"0x{address}" for address in machine.status()["faulty"])
    found.add("wrong output shares were corrected", True, liars or "none")


def explain(lines: list[dict[str, Any]], view: SessionView, own: dict[str, Any] | None) -> None:
    """Mode verified, on a committee member: why each update is out, from what was opened to this node."""
    if own is None or view.p.mode != Mode.VERIFIED or "proved" not in own:
        return
    products = own.get("products", {})
    for line in lines:
        index = line["index"]
        if line["delivered"] and not line["valid"]:
            if index in own.get("inconsistent", []) or index in own.get("convicted", []):
                line["why"] = "inconsistent shares"
            elif index in own["refused"]:
                line["why"] = "proof failed"
            elif index not in own["proved"]:
                line["why"] = "proof not decoded"
        elif index != REFERENCE and view.in_set(Bitmap.VALID, index):
            line["product"] = products.get(str(index))
