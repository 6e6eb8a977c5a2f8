"""`session verify`: checks a settled session again, from the chain and, for who took part, from its own journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omninode.errors import RefusedError
from omninode.roles import verify_chain, verify_own, verify_public, verify_scores, verify_tuning
from omninode.roles.session_keys import key_of
from omninode.roles.verify_public import Findings
from protocols.errors import LocalProtocolError
from protocols.sessions.params import Mode

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from omninode.roles.verify_public import Public
    from protocols.sessions.view import SessionView
    from protocols.zk.key import Key


async def verify_session(services: Services, view: SessionView) -> dict[str, Any]:
    """Check what can be checked. Raises RefusedError for a session without a batch, ChainError if the chain is gone.

    Returns session, mode, checks (name, ok, detail), in mode verified data_owners (a line each), and own: what the
    replayed machine of this node says, None for who took no part.
    """
    if view.batch is None:
        raise RefusedError(f"session {view.session} has no batch", "only settled sessions can be verified")
    found = Findings()
    public = await verify_chain.ask(services, view)
    check_public(found, public, await _key(services, view))
    await verify_tuning.check_tuning(found, services, view)
    own = await verify_own.check_own(found, services, public)
    answer: dict[str, Any] = {"session": view.session, "mode": view.p.mode.name.lower(), "checks": found.checks}
    if view.p.mode == Mode.VERIFIED:
        answer["data_owners"] = verify_scores.rows(public)
        verify_own.explain(answer["data_owners"], view, own)
    return {**answer, "own": own}


async def _key(services: Services, view: SessionView) -> Key | None:
    """Of certificate zk, if this node has the string for it."""
    if not view.p.zk or not services.keys.configured:
        return None
    try:
        return await key_of(services, view.p)
    except LocalProtocolError as error:
        services.log.warning("proof_not_checked", session=view.session, reason=str(error))
        return None


def check_public(found: Findings, public: Public, key: Key | None = None) -> None:
    """Everything that anybody can check. key: of a session of certificate zk, None without its reference string."""
    verify_public.check_sets(found, public)
    if public.view.p.zk:
        from omninode.roles.verify_proof import check_proof  # loads the arithmetic of the curve

        check_proof(found, public, key)
    else:
        _check_certified(found, public)
    verify_public.check_attestations(found, public)
    verify_public.check_money(found, public)


def _check_certified(found: Findings, public: Public) -> None:
    """A batch that the committee has signed."""
    if found.add("batch found", public.batch is not None, "" if public.batch else "no postBatch call in its block"):
        verify_public.check_batch(found, public)
    if public.view.p.mode == Mode.VERIFIED:
        verify_scores.check_verified(found, public)
    else:
        verify_public.check_grouped(found, public)
