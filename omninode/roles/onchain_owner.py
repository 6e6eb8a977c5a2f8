"""The model owner in sessions of the on-chain baseline: opens them, judges rounds, takes the mean from the chain."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from omninode.chain.fees import FeePolicy, block_prices
from omninode.errors import RefusedError, UsageError
from omninode.learning.document import SessionDocument
from omninode.learning.service import TrainingDiverged, TrainingFailed
from omninode.roles.model_owner import APPLY_TRIES
from omninode.roles.onchain_driver import OnchainDriver, stored
from omninode.roles.session_creation import GAS_RESERVE
from omninode.roles.terms import OVERRIDES, pick_option
from omninode.store.blobs import StoreFull
from protocols.onchain import lanes
from protocols.onchain.limits import misfit, session_gas
from protocols.onchain.owner import OnchainOwner as Machine
from protocols.onchain.params import OnchainTerms, Training
from protocols.onchain.view import UNSELECTED, OnchainView
from protocols.selection.rules import BPS, M_KRUM, guarantees

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from omninode.chain.onchain import Onchain
    from omninode.roles.model_owner import ModelOwner
    from omninode.roles.services import Services

RETRY_S = 1.0
WAIT_S = 30.0
"""Between two tries to write the next model where there is no room."""
MOST_GROWTH = 100
"""A mean whose norm is so many times that of the published weights is poison: one member can upload any number."""
MEANT = frozenset({
    "reward", "gas_price_cap", "groups", "group_size", "m_krum", "mu", "register_blocks", "upload_blocks",
    "settle_blocks", "public_layers", "public_count", "model_privacy",
})  # fmt: skip
"""Options that mean something here; the others are refused where they are given."""
PLAN = "onchain/plan/"
"""Key of what ``start`` will say, by the document's digest: the session's number is not known before its creation."""


class OnchainOwner:
    """Works beside the role ``ModelOwner``, whose model it improves."""

    def __init__(self, services: Services, onchain: Onchain, model_owner: ModelOwner) -> None:
        self._services, self._onchain, self._owner = services, onchain, model_owner
        self._creating = trio.Lock()

    def wants(self, view: OnchainView) -> bool:
        """Our own sessions."""
        return view.terms is not None and view.terms.owner == self._services.wallet.address

    async def join(self, view: OnchainView) -> OnchainDriver | None:
        """A driver that plays the session and has the result adopted; None for one that another node opened."""
        services = self._services
        plan = await trio.to_thread.run_sync(services.store.meta_get, PLAN + view.p.doc_digest.hex())
        if plan is None:
            services.log.warning("session_unknown", session=view.session, onchain=True)
            return None
        training = Training(**json.loads(plan))

        async def make(seed: bytes) -> Machine:
            return Machine(view.session, await self._published(view), training)

        return OnchainDriver(
            "model_owner", view.session, services, self._onchain, make, after=partial(self._adopt),
        )  # fmt: skip

    async def _document(self, view: OnchainView) -> SessionDocument:
        return SessionDocument.decode(await trio.to_thread.run_sync(self._services.blobs.read, view.p.doc_digest))

    async def _published(self, view: OnchainView) -> NDArray[np.float64]:
        """W^p (d,), as data owners fetch it."""
        document = await self._document(view)
        blob = await trio.to_thread.run_sync(self._services.blobs.read, document.weights)
        return np.frombuffer(blob, dtype="<f4").astype(np.float64)

    async def _adopt(self, view: OnchainView) -> None:
        """Read the sum over the selected rounds from the chain, and go on with their mean."""
        if not view.selected:
            self._services.events.write("no_output", session=view.session, onchain=True)
            return
        if view.unselected:
            return self._drop(view, UNSELECTED)
        total, count = await self._onchain.client.retry(
            lambda: self._onchain.result(view.session), float("inf"), "reading the result"
        )
        mean, tries = lanes.decode_mean(total, count), 0
        while True:
            try:
                document, published = await self._document(view), await self._published(view)
                if reason := poisoned(mean, published):
                    return self._drop(view, reason)
                await self._owner.model.ready.wait()
                return await self._owner.model.adopt(stored(view.session), document, mean, count)
            except (TrainingDiverged, ValueError) as error:
                return self._drop(view, str(error))
            except (StoreFull, OSError) as error:  # what was paid for waits until there is room
                self._services.log.error("adopt_waits", session=view.session, onchain=True, reason=str(error))
                await trio.sleep(WAIT_S)
            except TrainingFailed as error:
                tries += 1
                self._services.log.warning("adopt_failed", session=view.session, reason=str(error), attempt=tries)
                if tries == APPLY_TRIES:
                    raise
                await trio.sleep(RETRY_S * 2**tries)

    def _drop(self, view: OnchainView, reason: str) -> None:
        """The model stays as it is; the session still ends and is paid for."""
        self._services.events.write("sum_dropped", session=view.session, onchain=True, reason=reason)
        self._services.log.error("sum_dropped", session=view.session, onchain=True, reason=reason)

    # -- creation -------------------------------------------------------------------------------------------------

    async def create(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Deposit and open a session on the current model. Raises RefusedError or UsageError with what to change."""
        check_options(overrides)
        async with self._creating:
            outline = await self._owner.creation.outlined(overrides)  # nothing is put out for what is refused
            terms, training = self._terms(overrides, outline)
            reserve = await self._check(terms, training)
            escrow = await self._onchain.quote(terms, training)
            balance = await self._onchain.client.balance(self._services.wallet.address)
            if balance < escrow + reserve:
                raise RefusedError(
                    f"the wallet holds {balance} wei, the session needs {escrow} and about {reserve} for gas",
                    "send ether to the wallet",
                )
            document, published = await self._owner.creation.offer(overrides)
            terms = replace(terms, doc_digest=document.digest())
            plan = json.dumps(asdict(training))
            await trio.to_thread.run_sync(self._services.store.meta_put, PLAN + terms.doc_digest.hex(), plan)
            session = await self._onchain.create(terms, escrow, key=f"create/{secrets.token_hex(8)}")
        self._services.events.write("session_created", session=session, onchain=True, escrow=escrow)
        holds, why = guarantees(M_KRUM, training.rounds, terms.mu_bps, terms.m_krum, "rounds")
        gas = session_gas(terms.dimension, training.rounds, training.group_size)
        return {
            "session": session, "onchain": True, "escrow": escrow, "guarantee": holds, "why": why,
            "published": published.part.sentence, "gas": gas.total, "gas_data_owner": gas.data_owner,
            "note": f"on chain: about {gas.total:,} gas in all, {gas.data_owner:,} for each data owner",
        }  # fmt: skip

    def _terms(self, overrides: Mapping[str, Any], document: SessionDocument) -> tuple[OnchainTerms, Training]:
        """What the session will be. Raises UsageError."""
        pick = partial(pick_option, self._services.config.model_owner, overrides)
        rounds, mu_bps = pick("groups"), round(pick("mu") * BPS)
        training = Training(
            document.min_samples, document.train.epochs, document.train.batch, rounds, pick("group_size")
        )
        terms = OnchainTerms(
            owner=self._services.wallet.address, owner_peer=self._services.net.peer_key, doc_digest=document.digest(),
            dimension=document.parameters, reward=pick("reward"), gas_price_cap=pick("gas_price_cap"), mu_bps=mu_bps,
            m_krum=pick("m_krum") or usual_m(rounds, mu_bps), register_blocks=pick("register_blocks"),
            upload_blocks=pick("upload_blocks"), settle_blocks=pick("settle_blocks"),
        )  # fmt: skip
        return terms, training

    async def _check(self, terms: OnchainTerms, training: Training) -> int:
        """Wei to keep for our own transactions. RefusedError, with the gas it would take, for what does not fit."""
        base_fee, limit = await block_prices(self._onchain.client)
        size = (terms.dimension, training.rounds, training.group_size)
        said = misfit(*size, terms.upload_blocks, limit, terms.settle_blocks)
        if said:
            cure = "publish fewer layers, widen --upload-blocks, or aggregate off chain (--aggregation offchain)"
            if "settle window" in said:
                cure = "widen --settle-blocks, or publish fewer layers"
            raise RefusedError(said, cure if "gas" in said or "window" in said else "change --groups and --group-size")
        if terms.m_krum > training.rounds or terms.mu_bps * 2 >= BPS:
            raise RefusedError(
                f"m-Krum cannot keep {terms.m_krum} of {training.rounds} rounds with mu = {terms.mu_bps / BPS:g}",
                "choose --m-krum at most the number of rounds, and --mu below 0.5",
            )
        if terms.gas_price_cap < base_fee:
            raise RefusedError(
                f"gas costs {base_fee} wei now, and the session would pay back {terms.gas_price_cap} at most: data "
                "owners refuse that", "raise --gas-price-cap, or wait",
            )  # fmt: skip
        return max(GAS_RESERVE, session_gas(*size).owner * FeePolicy().first(base_fee)[1] * 3 // 2)


def poisoned(mean: NDArray[np.float64], published: NDArray[np.float64]) -> str:
    """Why the mean (d,) of what was uploaded is none to go on with; "" where it is."""
    size, usual = float(np.linalg.norm(mean)), max(float(np.linalg.norm(published)), 1.0)
    if np.isfinite(size) and size <= MOST_GROWTH * usual:
        return ""
    return f"the mean has norm {size:.4g}, the published weights {usual:.4g}: somebody uploaded something else"


def check_options(overrides: Mapping[str, Any]) -> None:
    """UsageError for what there is not, and for what would be silently without effect."""
    if unknown := set(overrides) - OVERRIDES:
        raise UsageError(f"unknown option {sorted(unknown)[0]!r}", "see omninode session create --help")
    if idle := sorted(name for name in set(overrides) - MEANT if overrides[name] is not None):
        raise UsageError(f"{idle[0]} means nothing with aggregation onchain", "leave it out")


def usual_m(rounds: int, mu_bps: int) -> int:
    """The largest m with m < (1 - 2 mu) R - 2, the paper's condition; 1 where there is none."""
    return max(1, -(-((BPS - 2 * mu_bps) * rounds) // BPS) - 3)
