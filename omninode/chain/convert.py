"""Between what the contract says and the types of `protocols.sessions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocols.sessions.params import Mode, Payout, Rule, SessionParams

# SessionParams field -> component of the contract's struct Params. The owner is who creates the session.
_FIELDS = {
    "doc_digest": "docDigest", "owner_peer": "ownerPeer", "whitelist_root": "whitelistRoot", "reward": "reward",
    "prover_fee": "proverFee", "deposit": "deposit", "gas_price_cap": "gasPriceCap", "bound": "bound",
    "dimension": "dimension", "group_size": "groupSize", "groups": "groups", "mu_bps": "muBps", "m_krum": "mKrum",
    "min_accepted": "minAccepted", "register_blocks": "registerBlocks", "upload_blocks": "uploadBlocks",
    "settle_blocks": "settleBlocks", "mode": "mode", "frac_bits": "fracBits", "committee": "committee",
    "threshold": "threshold", "rule": "rule", "public_sums": "publicSums", "payout": "payout",
    "score_cap": "scoreCap", "proof_key": "proofKey",
}  # fmt: skip


def params_to_struct(params: SessionParams) -> dict[str, Any]:
    """The contract's struct Params."""
    return {theirs: getattr(params, ours) for ours, theirs in _FIELDS.items()}


def params_from_struct(struct: Mapping[str, Any], owner: bytes) -> SessionParams:
    """SessionParams from the struct. ValueError for a mode, rule or payout that this version does not know."""
    fields = {ours: struct[theirs] for ours, theirs in _FIELDS.items()}
    fields |= {"mode": Mode(fields["mode"]), "rule": Rule(fields["rule"]), "payout": Payout(fields["payout"])}
    return SessionParams(**fields, owner=owner)
