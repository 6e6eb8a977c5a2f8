"""Which class plays a role in a session of these numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.sessions.data_owner import DataOwnerMachine
from protocols.sessions.identity import Identity
from protocols.sessions.membership import Policy, accept_all
from protocols.sessions.owner import OwnerMachine
from protocols.sessions.params import Mode, SessionParams
from protocols.sessions.prover import ProverMachine
from protocols.sessions.shelf import Shelf
from protocols.sessions.verified_data_owner import VerifiedDataOwnerMachine
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.sessions.verified_prover import VerifiedProverMachine
from protocols.sessions.verified_upload import Uploads, VerifiedUpload
from protocols.sessions.zk_keys import Keys, no_keys
from protocols.wire.context import Context

if TYPE_CHECKING:
    from protocols.sessions.zk_prover import ZkProverMachine


def data_owner(
    params: SessionParams,
    context: Context,
    identity: Identity,
    seed: bytes,
    *,
    peer_key: bytes,
    whitelist_proof: tuple[bytes, ...] = (),
    policy: Policy = accept_all,
    keys: Keys = no_keys,
) -> DataOwnerMachine | VerifiedDataOwnerMachine:
    """The data owner's machine; arguments as of the classes. keys: for certificate zk."""
    if params.mode != Mode.VERIFIED:
        return DataOwnerMachine(
            context, identity, seed, peer_key=peer_key, whitelist_proof=whitelist_proof, policy=policy
        )
    return VerifiedDataOwnerMachine(
        context, identity, seed, peer_key=peer_key, whitelist_proof=whitelist_proof, policy=policy,
        uploads=_uploads(params, keys),
    )  # fmt: skip


def _uploads(params: SessionParams, keys: Keys) -> Uploads:
    """How updates are proved in a session of mode verified."""
    if not params.zk:
        return VerifiedUpload
    from protocols.sessions import zk_upload  # loads the arithmetic of the curve

    return zk_upload.uploads(keys)


def owner(
    params: SessionParams, context: Context, identity: Identity, seed: bytes, keys: Keys = no_keys
) -> OwnerMachine:
    """The model owner's machine; in mode verified a VerifiedOwnerMachine. seed: 32 secret bytes."""
    if params.zk:
        from protocols.sessions.zk_owner import ZkOwnerMachine  # loads the arithmetic of the curve

        return ZkOwnerMachine(context, identity, seed, keys)
    kind = VerifiedOwnerMachine if params.mode == Mode.VERIFIED else OwnerMachine
    return kind(context, identity, seed)


def prover(
    params: SessionParams,
    context: Context,
    identity: Identity,
    seed: bytes,
    shelf: Shelf | None = None,
    keys: Keys = no_keys,
) -> ProverMachine | VerifiedProverMachine | ZkProverMachine:
    """The prover's machine. shelf: for mode verified, memory if none is given; mode grouped needs none.

    keys: for certificate zk; asked once this prover is drawn. Without a key it votes for nobody.
    """
    if params.zk:
        from protocols.sessions.zk_prover import ZkProverMachine  # loads the arithmetic of the curve

        return ZkProverMachine(context, identity, seed, shelf, keys)
    if params.mode == Mode.VERIFIED:
        return VerifiedProverMachine(context, identity, seed, shelf)
    return ProverMachine(context, identity, seed)
