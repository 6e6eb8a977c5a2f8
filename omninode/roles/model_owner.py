"""The model owner: pays for sessions, opens the sum of what was accepted, and goes on training with it."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from omninode.errors import RefusedError, UsageError
from omninode.learning.document import SessionDocument
from omninode.roles.driver import SessionDriver
from omninode.roles.machine import Machine
from omninode.roles.owner_model import OwnerModel
from protocols.selection import rules
from protocols.sessions.limits import check_params
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Mode, Rule, SessionParams

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView

RULES = {"none": Rule.NONE, "outlier": Rule.OUTLIER, "multi-krum": Rule.MULTI_KRUM, "m-krum": Rule.M_KRUM}
GAS_RESERVE = 5 * 10**16  # wei kept for the owner's own transactions
OVERRIDES = frozenset({
    "reward", "prover_fee", "deposit", "groups", "group_size", "committee", "threshold", "rule", "mu", "m_krum",
    "min_accepted", "register_blocks", "upload_blocks", "settle_blocks", "gas_price_cap", "public_sums",
})  # fmt: skip


class ModelOwner:
    """Role "model_owner"."""

    name = "model_owner"

    def __init__(self, services: Services) -> None:
        self._services = services
        self.model = OwnerModel(services)
        self._creating = trio.Lock()
        self._applying: set[int] = set()

    async def run(self) -> None:
        """Have a model: the saved one, or a first one trained on the owner's own data."""
        await self.model.load_or_pretrain()
        await trio.sleep_forever()

    def wants(self, view: SessionView) -> bool:
        """Our own sessions."""
        return view.params is not None and view.params.owner == self._services.wallet.address

    async def join(self, view: SessionView) -> SessionDriver | None:
        """A driver that opens the sum as soon as the batch is final."""
        context = self._services.context(view.session)
        return SessionDriver(
            self.name, context, self._services, lambda seed: self.machine(view.session, seed), after=self._look
        )

    def machine(self, session: int, seed: bytes) -> Machine:
        """The protocol machine of one session."""
        return OwnerMachine(self._services.context(session), self._services.identity(), seed)

    def model_status(self) -> dict[str, Any]:
        """For `status`."""
        return self.model.status()

    # -- output ---------------------------------------------------------------------------------------------------

    def _look(self, driver: SessionDriver) -> None:
        """After every input: has the machine opened the sum?"""
        machine = driver.machine
        assert isinstance(machine, OwnerMachine)
        ours = driver.session not in self._applying and not self.model.has(driver.session)
        if machine.result is not None and ours:
            self._applying.add(driver.session)
            driver.start_work(partial(self._apply, driver, machine))

    async def _apply(self, driver: SessionDriver, machine: OwnerMachine) -> None:
        try:
            await self._apply_result(driver, machine)
        finally:
            self._applying.discard(driver.session)  # cut short by a restart: the next input starts it again

    async def _apply_result(self, driver: SessionDriver, machine: OwnerMachine) -> None:
        result = machine.result
        assert result is not None
        blobs = self._services.blobs
        document = SessionDocument.decode(blobs.read(machine.view.p.doc_digest))
        await self.model.ready.wait()
        await self.model.apply(
            driver.session, document, result.total, result.count, list(result.norms), list(result.sizes)
        )

    # -- creation -------------------------------------------------------------------------------------------------

    async def create_session(self, overrides: dict[str, Any]) -> dict[str, Any]:
        """Escrow and open a session on the current model. Raises RefusedError or UsageError with what to change."""
        if unknown := set(overrides) - OVERRIDES:
            raise UsageError(f"unknown option {sorted(unknown)[0]!r}", "see omninode session create --help")
        async with self._creating:
            params = await self._params(overrides)
            try:
                check_params(params)
            except ValueError as error:
                raise RefusedError(str(error), "change the numbers of the session") from error
            market = self._services.market
            escrow = await market.required_escrow(params)
            balance = await market.client.balance(self._services.wallet.address)
            if balance < escrow + GAS_RESERVE:
                raise RefusedError(
                    f"the wallet holds {balance} wei, the session needs {escrow} and gas", "send ether to the wallet"
                )
            session = await market.create_session(params, key=f"create/{secrets.token_hex(8)}")
        holds, why = rules.guarantees(params.rule, params.groups, params.mu_bps, params.m_krum)
        self._services.events.write("session_created", session=session, escrow=escrow)
        return {"session": session, "escrow": escrow, "guarantee": holds, "why": why, "bound": params.bound}

    async def _params(self, overrides: dict[str, Any]) -> SessionParams:
        chosen = self._services.config.model_owner

        def pick(name: str) -> Any:
            return overrides[name] if overrides.get(name) is not None else getattr(chosen, name)

        if pick("rule") not in RULES:
            raise UsageError(f"unknown rule {pick('rule')!r}", "choose one of " + ", ".join(RULES))
        document = await self._document()
        return SessionParams(
            doc_digest=document.digest(), owner=self._services.wallet.address, owner_peer=self._services.net.peer_key,
            mode=Mode.GROUPED, dimension=document.parameters, frac_bits=document.frac_bits, bound=document.bound,
            group_size=pick("group_size"), groups=pick("groups"), committee=pick("committee"),
            threshold=pick("threshold"), rule=RULES[pick("rule")], mu_bps=round(pick("mu") * 10_000),
            m_krum=pick("m_krum"), min_accepted=pick("min_accepted"), public_sums=pick("public_sums"),
            reward=pick("reward"), prover_fee=pick("prover_fee"), deposit=pick("deposit"),
            gas_price_cap=pick("gas_price_cap"), whitelist_root=bytes(32), register_blocks=pick("register_blocks"),
            upload_blocks=pick("upload_blocks"), settle_blocks=pick("settle_blocks"),
        )  # fmt: skip

    async def _document(self) -> SessionDocument:
        """The session document of the current model, put where data owners can fetch it."""
        state, preset = self.model.require(), self.model.preset
        document = SessionDocument(
            model=preset.model, weights=bytes.fromhex(state.weights), train=preset.train,
            min_samples=preset.min_samples, frac_bits=preset.frac_bits, bound=state.bound,
            seed=secrets.randbits(63),
        )  # fmt: skip
        await trio.to_thread.run_sync(lambda: self._services.blobs.put(document.encode(), public=True))
        return document
