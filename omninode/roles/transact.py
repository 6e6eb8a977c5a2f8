"""One machine effect as one transaction: retried while the RPC is down, never sent twice, never after its phase."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from omninode.chain.errors import ChainError, TransactionFailed
from protocols.sessions.effects import Transact
from protocols.sessions.params import Phase

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from omninode.roles.services import Services

TRIES = 6  # an RPC that is down is retried by the queue itself; this bounds what is left
DEADLINE_S = 60.0
BEHIND_S = 1.0


async def transact(
    services: Services, log: BoundLogger, role: str, session: int, effect: Transact, phase: Callable[[], Phase]
) -> bool:
    """Send ``effect`` and wait for its receipt. Returns whether it was mined with success.

    A revert is final where the phase has moved on or somebody else did the same (poke, postGroups, postBatch).
    """
    what = hashlib.sha256(repr((effect.args, effect.value)).encode()).hexdigest()[:16]
    key = f"{session}/{role}/{effect.key or effect.call}/{what}"  # after a reorganisation the same step may say more
    for attempt in range(TRIES):
        started = phase()
        try:
            receipt = await services.market.transact(
                effect.call, session, effect.args, value=effect.value, key=key, deadline_s=DEADLINE_S
            )
        except TransactionFailed as error:
            if error.sent or error.error != "WrongPhase" or phase() != started:
                log.info("transaction_refused", call=effect.call, reason=str(error))
                return False
            await trio.sleep(BEHIND_S)  # the node that we ask lags behind what it told us
        except ChainError as error:
            log.warning("transaction_delayed", call=effect.call, error=str(error), attempt=attempt)
            if phase() != started and effect.call != "claim":
                return False
            await trio.sleep(min(2.0**attempt / 2, 8))
        else:
            services.events.write(
                "transaction", session=session, role=role, call=effect.call, gas=receipt.gas_used,
                block=receipt.block, ok=receipt.ok,
            )  # fmt: skip
            return bool(receipt.ok)
    return False
