"""Which class plays a role in a session of this mode."""

from __future__ import annotations

from protocols.sessions.data_owner import DataOwnerMachine
from protocols.sessions.identity import Identity
from protocols.sessions.membership import Policy, accept_all
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Mode
from protocols.sessions.prover import ProverMachine
from protocols.sessions.shelf import Shelf
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.sessions.verified_prover import VerifiedProverMachine
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


def prover(
    mode: Mode, context: Context, identity: Identity, seed: bytes, shelf: Shelf | None = None
) -> ProverMachine | VerifiedProverMachine:
    """The prover's machine. shelf: for mode verified, memory if none is given; mode grouped needs none."""
    if mode == Mode.VERIFIED:
        return VerifiedProverMachine(context, identity, seed, shelf)
    return ProverMachine(context, identity, seed)
