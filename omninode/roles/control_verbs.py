"""What a running node answers on its control socket: the read verbs of the CLI, and `session create`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import trio

from omninode.config_schema import AGGREGATIONS
from omninode.errors import RefusedError, UsageError
from omninode.learning.document import MAX_BYTES, SessionDocument
from omninode.roles import outcome
from omninode.roles.outcome import bits, hexed
from omninode.store.blobs import BlobError
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Phase
from protocols.sessions.view import SessionView

if TYPE_CHECKING:
    from omninode.roles.model_owner import ModelOwner
    from omninode.roles.onchain_sessions import OnchainSessions
    from omninode.roles.services import Services
    from omninode.roles.sessions import Role, Sessions


class ControlVerbs:
    """One method per verb; every answer is plain JSON."""

    def __init__(
        self, services: Services, sessions: Sessions, roles: Sequence[Role], onchain: OnchainSessions | None = None
    ) -> None:
        self._services, self._sessions, self._onchain = services, sessions, onchain
        self._roles = {role.name: role for role in roles}

    async def handle(self, verb: str, args: dict[str, Any]) -> dict[str, Any]:
        """Dispatch. Raises UsageError for a verb that does not exist."""
        match verb:
            case "status":
                return await self.status()
            case "session_list":
                known = [summary(view) for view in self._sessions.chain.views.values()]
                return {"sessions": known + (self._onchain.list() if self._onchain else [])}
            case "session_show":
                return self.show_onchain(_number(args)) if args.get("onchain") else await self.show(_number(args))
            case "session_create":
                return await self.create(args)
            case "model_show":
                from omninode.roles import model_verbs

                return model_verbs.show(self._owner().model, self._services.config)
            case "model_save":
                from omninode.roles import model_verbs

                return await model_verbs.save(self._owner().model, args)
            case "session_verify":
                from omninode.roles.verify import verify_session

                return await verify_session(self._services, await self._view(_number(args)))
        raise UsageError(f"unknown verb {verb!r}", "see omninode --help")

    async def status(self) -> dict[str, Any]:
        """The node in one glance: who, where, how much money, which sessions, what moved."""
        services = self._services
        result: dict[str, Any] = {
            "name": services.config.node.name,
            "pid": os.getpid(),
            "roles": list(services.config.node.roles),
            "address": "0x" + services.wallet.address.hex(),
            "peer_id": services.net.peer_id,
            "addrs": list(services.net.addrs),
            "block": self._sessions.block,
            "balance": await services.market.client.balance(services.wallet.address),
            "sessions": self._sessions.status() + (self._onchain.status() if self._onchain else []),
            "net": services.net.stats(),
        }
        owner = self._roles.get("model_owner")
        if owner is not None:
            result["model"] = owner.model_status()  # type: ignore[attr-defined]
        data_owner = self._roles.get("data_owner")
        if data_owner is not None:
            result["warm"] = data_owner.warm  # type: ignore[attr-defined]
            result["refusals"] = {str(k): v for k, v in data_owner.refusals.items()}  # type: ignore[attr-defined]
        return result

    async def show(self, session: int) -> dict[str, Any]:
        """Everything this node knows about one session."""
        view = await self._view(session)
        driver = self._sessions.drivers.get(session)
        ours = driver.machine.status() if driver is not None and hasattr(driver, "machine") else None
        if ours is None:
            ours = next((state for s, _, state in self._services.store.sessions() if s == session), None)
        learning = await self._learning(view)
        return {**summary(view), **({"learning": learning} if learning else {}), **detail(view), "ours": ours}

    async def _learning(self, view: SessionView) -> str | None:
        """Which layers the session publishes; None where its document is not here."""
        blobs = self._services.blobs
        try:
            data = await trio.to_thread.run_sync(blobs.read, view.p.doc_digest, MAX_BYTES)
            document = SessionDocument.decode(data)
        except (BlobError, ValueError):
            return None
        return document.part.sentence + (", perturbed" if document.perturbation is not None else "")

    def show_onchain(self, session: int) -> dict[str, Any]:
        """Everything this node knows about one session of the on-chain baseline."""
        found = self._onchain.show(session) if self._onchain else None
        if found is None:
            raise RefusedError(f"no session {session} of the on-chain baseline is known here", "see session list")
        return found

    async def create(self, args: dict[str, Any]) -> dict[str, Any]:
        """Create a session as its model owner."""
        given = dict(args)
        aggregation = given.pop("aggregation", None) or self._services.config.model_owner.aggregation
        if aggregation not in AGGREGATIONS:
            raise UsageError(f"unknown aggregation {aggregation!r}", "choose one of " + ", ".join(AGGREGATIONS))
        if aggregation == "onchain":
            if self._onchain is None:
                raise RefusedError("this node knows no factory of the on-chain baseline", "set chain.onchain")
            return await self._onchain.create(given)
        return await self._create(given)

    async def _create(self, args: dict[str, Any]) -> dict[str, Any]:
        created: dict[str, Any] = await self._owner().create_session(args)
        return created

    def _owner(self) -> ModelOwner:
        owner = self._roles.get("model_owner")
        if owner is None:
            raise RefusedError("this node is no model owner", "add model_owner to node.roles and restart it")
        return cast("ModelOwner", owner)

    async def _view(self, session: int) -> SessionView:
        """The session as we followed it; one that ended before our last start is read from the chain again."""
        view = self._sessions.chain.views.get(session)
        if view is None or view.params is None:
            view = SessionView(session)
            for event in await self._services.market.session_events(session):
                view.apply(event)
        if view.params is None:
            raise RefusedError(f"no session {session} is known here", "omninode session list shows what there is")
        return view


def _number(args: dict[str, Any]) -> int:
    session = args.get("session")
    if not isinstance(session, int) or not 0 < session < 2**64:
        raise UsageError("which session?", "give its number")
    return session


def summary(view: SessionView) -> dict[str, Any]:
    """One line of `session list`."""
    params = view.params
    return {
        "session": view.session,
        "mode": params.mode.name.lower() if params else None,
        "phase": view.phase.name,
        "deadline": view.deadline,
        "owner": hexed(params.owner) if params else None,
        "registered": len(view.members),
        "places": params.groups * params.group_size if params else 0,
        "reward": params.reward if params else 0,
        "aborted": view.aborted,
    }


def detail(view: SessionView) -> dict[str, Any]:
    """Sets, the batch, and what became of everybody, as the chain has them."""
    params, batch = view.p, view.batch
    verified = params.mode == Mode.VERIFIED
    return {
        "rule": params.rule.name.lower().replace("_", "-"),
        "payout": params.payout.name.lower(),
        "committee": [hexed(prover.address) for prover in view.committee],
        "members": _verified_members(view) if verified else _grouped_members(view),
        **({"reference": _reference(view)} if verified else {"groups": view.groups}),
        "passed": bits(batch.passed) if batch else [],
        "selected": bits(batch.selected) if batch else [],
        "named_provers": bits(view.named_provers),
        "silent_owners": bits(view.silent_owners),
        "ended": view.phase in (Phase.FINISHED, Phase.ABORTED),
    }


def _grouped_members(view: SessionView) -> list[dict[str, Any]]:
    paid = outcome.payouts(view)
    return [
        {
            "index": m.index,
            "address": hexed(m.address),
            "group": view.group_of(m.index) if view.groups else None,
            "in_v": view.in_set(Bitmap.BUNDLES, m.index),
            "in_u": view.in_set(Bitmap.VALID, m.index),
            "accepted": bool(view.batch and view.batch.accepted >> m.index & 1),
            "why": _why_not(view, m.index),
            "paid": paid[m.index],
        }
        for m in view.members
    ]


def _why_not(view: SessionView, index: int) -> str:
    what = outcome.fate(view, index)
    return "" if what == "accepted" else what


def _verified_members(view: SessionView) -> list[dict[str, Any]]:
    return [{"index": index, **entry} for index, entry in enumerate(outcome.data_owners(view))]


def _reference(view: SessionView) -> str:
    """What became of the owner's reference update."""
    if not view.p.uses_reference:
        return "not used"
    if view.in_set(Bitmap.VALID, REFERENCE):
        return "valid"
    if Bitmap.VALID in view.sets:
        return "not valid"
    return "committed" if REFERENCE in view.upload_roots else "not committed"
