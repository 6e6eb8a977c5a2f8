"""The model owner's side of the published rule: bound and server learning rate of its next session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from omninode.errors import RefusedError
from omninode.learning.document import SessionDocument
from omninode.roles.tuning import Next, last_of, next_of
from omninode.store.blobs import BlobError
from protocols.sessions.params import Mode, Payout
from protocols.zk.params import Statement

if TYPE_CHECKING:
    from omninode.learning.model_spec import Model
    from omninode.learning.public_part import PublicPart
    from omninode.roles.services import Services
    from protocols.sessions.params import SessionParams


SILENT = (
    "this session will show no norms and no scores, so that under the published rule the bound stays as it is, however "
    "much updates shrink, and who uploads vectors as long as it gains by that: choose --payout contribution"
)


def note(asked: bool, document: SessionDocument, params: SessionParams) -> str:
    """For people: whether the published rule made the terms, and whether it can go on. asked: whether it should."""
    if not asked:
        return ""
    said = "no settled session of this model to follow: bound and server learning rate are your own"
    if document.follows:
        said = f"bound and server learning rate by the published rule, from session {document.follows}"
    return f"{said}\n{SILENT}" if silent(params) else said


def silent(params: SessionParams) -> bool:
    """Whether nothing that the rule could use will be on chain."""
    if params.mode == Mode.GROUPED:
        return params.groups < 2
    if params.zk:
        return params.statement is Statement.NONE
    return params.payout == Payout.EQUAL


async def by_rule(services: Services, model: Model, part: PublicPart) -> Next | None:
    """Terms that follow this owner's last session with output.

    None where there is no such session, or its updates were of another model or other layers: then the terms are the
    owner's own choice, and the document follows nothing. Raises RefusedError, ChainError.
    """
    followed = await last_of(services.market, services.wallet.address)
    if followed is None:
        return None
    session, digest = followed.view.session, followed.view.p.doc_digest
    try:
        before = SessionDocument.decode(await trio.to_thread.run_sync(services.blobs.read, digest))
    except (BlobError, ValueError, OSError) as error:
        raise RefusedError(
            f"the document of session {session}, which the next one has to follow, cannot be read: {error}",
            "choose --tuning own",
        ) from error
    if (before.model, before.public_layers) != (model, part.listed) or before.perturbation is not None:
        return None
    return next_of(followed, before)
