"""Whether a session's bound and server learning rate are those that the published rule gives: for data owners before
they join, and for `session verify`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from omninode.chain.errors import ChainError
from omninode.learning.document import MAX_BYTES, UNIT_LR, SessionDocument
from omninode.learning.precision import LEAST_BOUND
from omninode.net.blobs import fetch_blob
from omninode.net.errors import NetError
from omninode.roles.tuning import Followed, Next, next_of, read_followed, settled
from omninode.store.blobs import BlobError

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from omninode.roles.verify_public import Findings
    from protocols.sessions.params import SessionParams
    from protocols.sessions.view import SessionView

CHECK = "bound and server learning rate follow from the session before"
FETCH_DEADLINE = 15.0
Fetch = Callable[[bytes], Awaitable[bytes]]
"""Digest of a blob -> the blob; raises NetError."""


def impossible(session: int, params: SessionParams, document: SessionDocument) -> str:
    """What is wrong with a document before anything is looked up, "" if nothing."""
    if document.digest() != params.doc_digest:
        return "the document is not that of the session"
    if (document.frac_bits, document.bound) != (params.frac_bits, params.bound):
        return "fixed point or bound of the document differ from the chain"
    if document.follows >= session:
        which = "itself" if document.follows == session else f"session {document.follows}, which comes after it"
        return f"session {session} says that it follows {which}"
    return ""


def unfit(params: SessionParams, created: int, followed: Followed) -> str:
    """Why this session cannot be followed, "" if it can. created: block of the session that follows it."""
    view = followed.view
    what = f"follows session {view.session}, "
    if view.params is None:
        return what + "which does not exist"
    if view.p.owner != params.owner:
        return what + "which is another owner's"
    if not settled(view):
        return what + "which has no output"
    assert view.batch is not None
    if view.batch.block >= created:
        return what + "which was not settled when it was created"
    if view.p.dimension != params.dimension:
        return what + f"whose updates have {view.p.dimension} coordinates, not {params.dimension}"
    if followed.rival:
        return what + f"though session {followed.rival} was settled since"
    return ""


def same_updates(before: SessionDocument, document: SessionDocument) -> bool:
    """Whether what one session says of its updates means anything for the other's."""
    plain = before.perturbation is None and document.perturbation is None
    return plain and (before.model, before.public_layers) == (document.model, document.public_layers)


def differs(document: SessionDocument, expected: Next) -> str:
    """How the document's terms differ from the rule's, "" if they do not. It may choose another fixed point."""
    bound = expected.bound_at(document.frac_bits)
    if bound < min(LEAST_BOUND, expected.bound):
        return f"{document.frac_bits} fractional bits are too few for the bound {expected.bound}/2^{expected.frac_bits}"
    if document.bound != bound:
        return f"the bound is {document.bound}, the rule gives {bound} (from {expected.kind} of {expected.follows})"
    if document.server_lr != expected.server_lr:
        return f"the server learning rate is {document.server_lr}/65536, the rule gives {expected.server_lr}/65536"
    return ""


async def problem(services: Services, view: SessionView, document: SessionDocument, fetch: Fetch) -> tuple[str, str]:
    """(what is wrong with the terms of a document that follows a session, "" if nothing; what the rule says).

    Raises ChainError, NetError where something cannot be had, ValueError for a document that is none.
    """
    if wrong := impossible(view.session, view.p, document):
        return wrong, ""
    if not document.follows:
        return "", ""
    followed, created = await read_followed(services.market, document.follows, view)
    if wrong := unfit(view.p, created, followed):
        return wrong, ""
    before = SessionDocument.decode(await fetch(followed.view.p.doc_digest))
    if not same_updates(before, document):
        return f"follows session {document.follows}, whose updates are of another model or other layers", ""
    expected = next_of(followed, before)
    rate = document.server_lr / UNIT_LR
    said = f"follows session {document.follows}, from {expected.kind}: B = {document.norm_bound:.4g}, rate {rate:.4g}"
    return differs(document, expected), said


async def check_tuning(found: Findings, services: Services, view: SessionView) -> None:
    """Note whether bound and server learning rate are the published rule's; nothing where the document follows none.

    Raises ChainError.
    """

    async def fetch(digest: bytes) -> bytes:
        peers = [] if services.blobs.has(digest) else [view.p.owner_peer]
        path = await fetch_blob(
            services.net, services.blobs, digest, peers, max_size=MAX_BYTES, deadline=FETCH_DEADLINE
        )
        return await trio.to_thread.run_sync(path.read_bytes)

    try:
        document = SessionDocument.decode(await fetch(view.p.doc_digest))
        wrong, said = await problem(services, view, document, fetch)
    except (NetError, BlobError, OSError) as error:
        found.skip(CHECK, f"not checked: a session document cannot be had ({error})")
        return
    except ValueError as error:
        found.add(CHECK, False, str(error))
        return
    if wrong or document.follows:  # else they are the owner's own choice
        found.add(CHECK, not wrong, wrong or said)


async def refuse_unless_by_rule(services: Services, view: SessionView, document: SessionDocument, fetch: Fetch) -> None:
    """For a data owner that is asked to join. Raises ValueError with a sentence, or NetError."""
    if not document.follows:
        return
    try:
        wrong, _ = await problem(services, view, document, fetch)
    except ChainError as error:
        raise ValueError(f"the session that it follows cannot be read from the chain: {error}") from error
    if wrong:
        raise ValueError(f"the document's terms do not hold: {wrong}")
