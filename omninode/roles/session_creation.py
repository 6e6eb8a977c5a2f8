"""Creation of sessions: what of the current model is put out, on which terms, and what the owner must hold for it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import trio

from omninode.errors import RefusedError, UsageError
from omninode.learning import precision
from omninode.learning.document import UNIT_LR, SessionDocument
from omninode.learning.service import TrainingFailed
from omninode.roles import owner_perturb, owner_tuning
from omninode.roles.certificate import certify, insecure
from omninode.roles.owner_publish import Publication
from omninode.roles.terms import check_proved, guarantee, perturbed, proved, public_part, published_rule, terms
from omninode.store.blobs import BlobError, BlobMissing, StoreFull
from protocols.sessions.limits import check_params
from protocols.sessions.params import SessionParams

if TYPE_CHECKING:
    from omninode.learning.public_part import PublicPart
    from omninode.roles.owner_model import OwnerModel
    from omninode.roles.services import Services

GAS_RESERVE = 5 * 10**16  # wei kept for the owner's own transactions


class SessionCreation:
    """One session after the other, each on the model as it is then."""

    def __init__(self, services: Services, model: OwnerModel) -> None:
        self._services, self._model = services, model
        self._creating = trio.Lock()

    async def create(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Escrow and open a session on the current model. Raises RefusedError or UsageError with what to change."""
        async with self._creating:
            self._model.require()  # before that its layers are not known
            zk = proved(self._services.config.model_owner, overrides)
            by_rule = published_rule(self._services.config.model_owner, overrides)
            await self._escrow(self._params(overrides, await self._outline(zk, overrides), zk))
            document, note, says = await self._offered(zk, overrides)
            params = self._params(overrides, document, zk)
            if zk:
                params = await certify(self._services, params)
            escrow = await self._escrow(params)
            if params.uses_reference:
                await self._prepare_reference(document)
            session = await self._services.market.create_session(params, key=f"create/{secrets.token_hex(8)}")
        holds, why = guarantee(params)
        self._services.events.write("session_created", session=session, escrow=escrow)
        tuned = owner_tuning.note(by_rule, document, params)
        return {
            "session": session, "escrow": escrow, "guarantee": holds, "why": why, "bound": params.bound,
            "note": "\n".join(filter(None, [note, tuned])), "published": says,
            **({"warning": insecure(self._services.keys.label)} if zk and self._services.keys.label else {}),
        }  # fmt: skip

    async def _escrow(self, params: SessionParams) -> int:
        """What the session takes in wei. Raises RefusedError if that is not there."""
        market = self._services.market
        escrow = await market.required_escrow(params)
        balance = await market.client.balance(self._services.wallet.address)
        if balance < escrow + GAS_RESERVE:
            raise RefusedError(
                f"the wallet holds {balance} wei, the session needs {escrow} and gas", "send ether to the wallet"
            )
        return escrow

    async def _prepare_reference(self, document: SessionDocument) -> None:
        """Before there is a session that would have to wait for it. Raises RefusedError."""
        with _refusing("the reference update cannot be made", "look at the owner's data"):
            await self._model.reference(document)

    def _params(self, overrides: dict[str, Any], document: SessionDocument, zk: bool) -> SessionParams:
        """What the session will be. Raises UsageError, or RefusedError where its numbers do not go together."""
        services = self._services
        params = terms(services.config.model_owner, overrides, document, services.wallet.address, services.net.peer_key)
        if zk:
            check_proved(params)
        try:
            check_params(params)
        except ValueError as error:
            raise RefusedError(str(error), "change the numbers of the session") from error
        if params.uses_reference and not self._model.has_root_set:
            raise RefusedError(
                "rule trust and payout by contribution need a reference update, and this node holds no root set out",
                'set model_owner.mode = "verified" and model_owner.root_images, and restart it',
            )
        return params

    async def offer(self, overrides: dict[str, Any]) -> tuple[SessionDocument, Publication]:
        """Put the current model out for a session of another kind than the market's. Raises as ``create``."""
        published = await self._publish(self._plain_part(overrides))
        return await self._document(False, published, False), published

    async def outlined(self, overrides: dict[str, Any]) -> SessionDocument:
        """As long as the document that ``offer`` makes, but of no weights. Puts nothing out; raises as ``create``."""
        return await self._drawn(False, self._unpublished(self._plain_part(overrides)), False)

    def _plain_part(self, overrides: dict[str, Any]) -> PublicPart:
        self._model.require()
        chosen = self._services.config.model_owner
        if perturbed(chosen, overrides):
            raise UsageError(
                "a perturbed model goes with sessions of mode verified only", "choose --model-privacy none"
            )
        return public_part(chosen, overrides, self._model.model)

    def _unpublished(self, part: PublicPart) -> Publication:
        """Of no weights; where its bound is not known yet, with that of the last session, of about the same size."""
        state = self._model.require()
        bound = state.bound_of(part.listed) or state.bound
        return Publication(part, bytes(32), b"" if part.whole else bytes(32), bound, "")

    async def _outline(self, zk: bool, overrides: dict[str, Any]) -> SessionDocument:
        """A document that gives the session's terms: nothing is put out, or served, that is not paid for.

        Raises UsageError or RefusedError.
        """
        chosen = self._services.config.model_owner
        if perturbed(chosen, overrides):
            return owner_perturb.unhidden(self._model.model, self._model.preset.min_samples)
        part = public_part(chosen, overrides, self._model.model)
        return await self._drawn(zk, self._unpublished(part), published_rule(chosen, overrides))

    async def _offered(self, zk: bool, overrides: dict[str, Any]) -> tuple[SessionDocument, str, str]:
        """The session document, notes for the owner ("" for none), and a sentence on what is published."""
        chosen = self._services.config.model_owner
        if perturbed(chosen, overrides):
            with _refusing("the perturbed model cannot be put out", "try again"):
                document, note = await self._model.hide()
                await trio.to_thread.run_sync(lambda: self._services.blobs.put(document.encode(), public=True))
            return document, note, f"{document.part.sentence}, perturbed"
        published = await self._publish(public_part(chosen, overrides, self._model.model))
        document = await self._document(zk, published, published_rule(chosen, overrides))
        notes = [precision.difference(document, self._model.preset.frac_bits), published.note]
        return document, "\n".join(filter(None, notes)), published.part.sentence

    async def _publish(self, part: PublicPart) -> Publication:
        with _refusing("the model cannot be put out", "try again"):
            return await self._model.publish(part)

    async def _document(self, zk: bool, published: Publication, by_rule: bool) -> SessionDocument:
        """``_drawn``, put where data owners can fetch it."""
        document = await self._drawn(zk, published, by_rule)
        with _refusing("the session document cannot be put out", "try again"):
            await trio.to_thread.run_sync(lambda: self._services.blobs.put(document.encode(), public=True))
        return document

    async def _drawn(self, zk: bool, published: Publication, by_rule: bool) -> SessionDocument:
        """The session document of the current model.

        zk: with a fixed point for that certificate. UsageError where there is none.  by_rule: with the terms that
        follow from the last session, if there is one.
        """
        preset, part = self._model.preset, published.part
        following = await owner_tuning.by_rule(self._services, self._model.model, part) if by_rule else None
        frac_bits = preset.frac_bits
        bound = published.bound if following is None else following.bound_at(frac_bits)
        if zk:
            try:
                frac_bits, bound = precision.proved(part.dimension, bound, frac_bits)
            except ValueError as error:
                raise UsageError(str(error), "use --certificate attested") from error
        return SessionDocument(
            model=self._model.model, weights=published.weights, train=preset.train, min_samples=preset.min_samples,
            frac_bits=frac_bits, bound=bound, seed=secrets.randbits(63), public_layers=part.listed,
            initial=published.initial, server_lr=following.server_lr if following else UNIT_LR,
            follows=following.follows if following else 0,
        )  # fmt: skip


@contextmanager
def _refusing(what: str, cure: str) -> Iterator[None]:
    """RefusedError instead of what training and the blob store raise."""
    try:
        yield
    except StoreFull as error:
        raise RefusedError(
            f"{what}: {error}", "make room on its disk, or raise node.blob_space, and try again"
        ) from error
    except BlobMissing as error:
        raise RefusedError(f"{what}: blob {error} is not here", "restore node.data_dir from a copy") from error
    except (TrainingFailed, BlobError, ValueError) as error:
        raise RefusedError(f"{what}: {error}", cure) from error
