"""What a model owner does before a session of certificate ``zk``: make its key, and see that the chain can check it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from omninode.errors import RefusedError
from omninode.roles.session_keys import check_market, key_of, warn_insecure
from protocols.errors import LocalProtocolError

if TYPE_CHECKING:
    from omninode.roles.services import Services
    from protocols.sessions.params import SessionParams


def insecure(label: str) -> str:
    """What its owner reads about a session under the test string of this label."""
    return f"INSECURE: the reference string is the test string {label!r}; everybody can forge proofs under it"


async def certify(services: Services, params: SessionParams) -> SessionParams:
    """The parameters with their proof_key, whose verifier is on the chain from now on: one transaction if it was not.

    Raises RefusedError, with what to do, where this node has no reference string or one too short, and where the market
    takes no proofs.
    """
    verifiers = services.market.verifiers
    if verifiers is None:
        raise RefusedError("this market takes no proofs", "choose --certificate attested")
    try:
        await check_market(services)
    except LocalProtocolError as error:
        raise RefusedError(str(error), "or choose --certificate attested") from error
    try:
        key = await key_of(services, params, named=False)
    except LocalProtocolError as error:
        raise RefusedError(str(error), "give the node a reference string: omninode srs --help") from error
    warn_insecure(services)
    if await verifiers.of(key) is None:
        receipt = await verifiers.create(key, services.keys.label)
        services.events.write("verifier_created", key=key.digest.hex(), gas=receipt.gas_used)
    return replace(params, proof_key=key.digest)
