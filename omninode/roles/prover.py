"""The prover: stakes once, then takes part in every session whose beacon draws it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from omninode.chain.errors import ChainError
from omninode.roles.driver import SessionDriver
from omninode.roles.machine import Machine
from omninode.roles.prover_keys import decided, provers_keys
from omninode.roles.session_keys import Beforehand, wait_for_market
from omninode.store import shelf
from protocols.errors import LocalProtocolError
from protocols.sessions import machines
from protocols.sessions.events import ChainEvent, CommitteeDrawn
from protocols.sessions.params import Phase

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from protocols.sessions.params import SessionParams
    from protocols.sessions.view import SessionView
    from protocols.zk.key import Key


RETRY_S, LONGEST_RETRY_S = 2.0, 60.0


class Prover:
    """Role "prover"."""

    name = "prover"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._unproved: dict[int, str] = {}  # sessions in which we do not rely on proofs, and why
        shelf.clear(services.data_dir)

    async def run(self) -> None:
        """Stake and register the keys of this node if the registry does not know them yet; then nothing more."""
        self._warn_without_string()
        pause = RETRY_S
        while True:
            try:
                await self._enter()
                break
            except ChainError as error:  # out of money, keys locked by a running session, RPC down: it may pass
                self._services.log.warning("prover_not_registered", reason=str(error), again_in_s=pause)
                self._services.events.write("prover_not_registered", reason=str(error))
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_S)
        await trio.sleep_forever()

    def _warn_without_string(self) -> None:
        """A committee is drawn whatever its members can do: better known before the first session than in it."""
        services = self._services
        if services.market.verifiers is not None and not services.keys.configured:
            services.log.warning(
                "no_reference_string", market="takes sessions of certificate zk",
                means="if this prover is drawn for one it can only vote for nobody",
                do="set [proofs] string, see omninode srs --help",
            )  # fmt: skip
            services.events.write("no_reference_string")

    async def _enter(self) -> None:
        services = self._services
        known = await services.registry.prover(services.wallet.address)
        keys = (services.net.peer_key, services.enc_public)
        if known.stake == 0:
            stake = services.config.prover.stake or await services.registry.min_stake()
            await services.registry.register(*keys, stake=stake)
            services.events.write("prover_registered", stake=stake)
        elif (known.peer_key, known.enc_key) != keys:
            await services.registry.register(*keys, stake=0)
            services.events.write("prover_keys_changed")

    def wants(self, view: SessionView) -> bool:
        """Every session before its committee is drawn (all provers poke), later only ours."""
        if view.params is None or view.params.owner == self._services.wallet.address:
            return False
        return view.phase == Phase.COMMITTEE or view.prover_index(self._services.wallet.address) is not None

    async def join(self, view: SessionView) -> SessionDriver | None:
        """A driver around a fresh prover machine. On a market whose verifiers are foreign it abstains."""
        if view.p.zk:
            await self._look_at_market(view)
        context = self._services.context(view.session)

        def leave_if_not_drawn(driver: SessionDriver) -> None:
            drawn = driver.machine.view.committee
            if drawn and driver.machine.view.prover_index(self._services.wallet.address) is None:
                driver.leave()

        return SessionDriver(
            self.name, context, self._services, lambda seed: self.machine(view, seed),
            after=leave_if_not_drawn, before=Beforehand(self._services, view, self._drawn),
            close=lambda: shelf.shelf_of(self._services.data_dir, view.session).close(),
        )  # fmt: skip

    async def _look_at_market(self, view: SessionView) -> None:
        """Where it is not decided yet whether we play. A chain that does not answer is asked until votes are due: zeros
        in time cost no stake.
        """
        self._unproved.pop(view.session, None)
        if decided(self._services.store, view.session):
            return
        try:
            await wait_for_market(self._services, view, Phase.UPLOAD)
        except LocalProtocolError as error:
            self._unproved[view.session] = str(error)
            self._services.log.warning("market_not_trusted", session=view.session, reason=str(error))

    def _keys(self, session: int, params: SessionParams) -> Key:
        if why := self._unproved.get(session):
            raise LocalProtocolError(why)
        return self._services.keys(params)

    def _drawn(self, event: ChainEvent) -> bool:
        """Whether it makes us a member: every prover of the market looks on until then, and needs no key for that."""
        members = (p.address for p in event.provers) if isinstance(event, CommitteeDrawn) else ()
        return self._services.wallet.address in members

    def machine(self, view: SessionView, seed: bytes) -> Machine:
        """The protocol machine of one session; overridden where a test wants another behaviour.

        Each begins with an empty shelf: what a machine before it kept there, its journal puts there again.
        """
        services, session = self._services, view.session
        kept = shelf.shelf_of(services.data_dir, session)
        keys = provers_keys(partial(self._keys, session), services.store, session) if view.p.zk else services.keys
        return machines.prover(view.p, services.context(session), services.identity(), seed, kept, keys)
