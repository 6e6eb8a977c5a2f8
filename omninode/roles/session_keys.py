"""Keys of certificate ``zk`` are made here: apart from the steps of machines, one at a time, and before a machine asks.

Making one takes from a second to minutes. Who waits for it holds no thread and none of the few places of machine steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio

from omninode.chain.errors import ChainError, ForeignCode
from protocols.errors import LocalProtocolError
from protocols.sessions.limits import check_params
from protocols.sessions.params import Phase

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from protocols.sessions.events import ChainEvent
    from protocols.sessions.params import SessionParams
    from protocols.sessions.view import SessionView
    from protocols.zk.key import Key

RETRY_S, LONGEST_RETRY_S = 1.0, 10.0


async def key_of(services: Services, params: SessionParams, *, named: bool = True) -> Key:
    """The key of a session. LocalProtocolError, with what to do, where this node has none.

    named: it must be the one of ``params.proof_key``; else whatever the string gives for these numbers.
    Nothing is made for numbers that no session may have: anybody can write them into a market.
    """
    try:
        check_params(params)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from error
    ask = services.keys if named else services.keys.make
    return await trio.to_thread.run_sync(ask, params, limiter=services.key_making)


async def check_market(services: Services) -> None:
    """Whether proofs mean anything on this market: LocalProtocolError, with what to do, if verifiers are not ours.

    Any other ChainError says nothing about the market.
    """
    verifiers = services.market.verifiers
    if verifiers is None:
        raise LocalProtocolError("this market takes no proofs: choose --certificate attested")
    try:
        await verifiers.check()
    except ForeignCode as error:
        raise LocalProtocolError(str(error)) from error


async def wait_for_market(services: Services, view: SessionView, last: Phase) -> None:
    """As ``check_market``, again and again where the chain does not say, while the session is not beyond ``last``.

    LocalProtocolError also where it has not said by then.
    """
    pause = RETRY_S
    while True:
        try:
            return await check_market(services)
        except ChainError as error:
            if view.phase > last:
                raise LocalProtocolError(f"whether its verifiers are ours could not be seen: {error}") from error
            services.log.warning("market_not_checked", session=view.session, reason=str(error), again_in_s=pause)
        await trio.sleep(pause)
        pause = min(2 * pause, LONGEST_RETRY_S)


def warn_insecure(services: Services, session: int | None = None) -> str:
    """Say, in log and events, that this node proves under a test string. Returns its label, "" for another string."""
    label = services.keys.label
    if label:
        services.log.warning(
            "insecure_string", label=label, session=session,
            means="everybody can compute the secret of this reference string and forge proofs under it",
        )  # fmt: skip
        services.events.write("insecure_string", label=label, session=session)
    return label


class Beforehand:
    """Called with a session's events before its machine sees them: makes the key when it is wanted, and holds it."""

    def __init__(
        self,
        services: Services,
        view: SessionView,
        wanted: Callable[[ChainEvent], bool] | None = None,
        key: Key | None = None,
    ) -> None:
        """wanted: at which event; None: at once. key: where it was made already."""
        self._services, self._session, self._params, self._wanted = services, view.session, view.p, wanted
        self._done = key is not None or not view.p.zk
        self._key = key

    async def __call__(self, events: Sequence[ChainEvent]) -> None:
        """Once only: where there is no key the machine asks again, and says why."""
        if self._done or not (self._wanted is None or any(map(self._wanted, events))):
            return
        self._done = True
        try:
            self._key = await key_of(self._services, self._params)
        except LocalProtocolError as error:
            self._services.log.info("no_key", reason=str(error))
            return
        warn_insecure(self._services, self._session)
