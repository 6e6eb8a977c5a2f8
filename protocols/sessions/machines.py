"""Which class plays a role in a session of this mode."""

from __future__ import annotations

from protocols.sessions.data_owner import DataOwnerMachine, Policy, accept_all
from protocols.sessions.identity import Identity
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Mode
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.wire.context import Context


def data_owner(
    mode: Mode,
    context: Context,
    identity: Identity,
    seed: bytes,
    *,
    peer_key: bytes,
    whitelist_proof: tuple[bytes, ...] = (),
    policy: Policy = accept_all,
) -> DataOwnerMachine | VerifiedDataOwnerMachine:
    """The data owner's machine; arguments as of the classes."""
    kind = VerifiedDataOwnerMachine if mode == Mode.VERIFIED else DataOwnerMachine
    return kind(context, identity, seed, peer_key=peer_key, whitelist_proof=whitelist_proof, policy=policy)


def owner(mode: Mode, context: Context, identity: Identity, seed: bytes) -> OwnerMachine:
    """The model owner's machine; in mode verified a VerifiedOwnerMachine. seed: 32 secret bytes."""
    kind = VerifiedOwnerMachine if mode == Mode.VERIFIED else OwnerMachine
    return kind(context, identity, seed)
