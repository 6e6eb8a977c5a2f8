"""The one table of messages: name on the wire, class, kinds of the fields in order."""

from __future__ import annotations

from protocols.wire import messages as msg
from protocols.wire.fields import Blob, Field, Fixed, Many, Sizes, Text, Uint, Uint256

_ENVELOPE = 96
"""Bytes of version, type, chain, contract, session and sender, at most."""

_KEY, _HASH, _ADDRESS, _SIGNATURE = Fixed(32), Fixed(32), Fixed(20), Fixed(65)
_POINT, _OWNER, _UPLOADER = Uint("committee"), Uint("owners"), Uint("uploaders")

SPECS: dict[str, tuple[type[msg.Message], dict[str, Field]]] = {
    "announcement": (msg.Announcement, {
        "seq": Uint(), "peer_key": _KEY, "addrs": Many(Text(256), 16), "enc_key": Fixed(32, optional=True),
        "mask_key": Fixed(32, optional=True), "self_hash": Fixed(32, optional=True),
        "signature": Fixed(65, optional=True),
    }),
    "bundle": (msg.Bundle, {"recipient": _OWNER, "sealed": Blob("sealed-bundle")}),
    "bundle-set": (msg.BundleSet, {
        "enc_key": _KEY, "mask_key": _KEY, "self_hash": _HASH, "sealed": Many(Blob("sealed-bundle"), "group"),
    }),
    "bundle-request": (msg.BundleRequest, {}),
    "bundles": (msg.Bundles, {
        "dealers": Many(_OWNER, "group"), "enc_keys": Many(_KEY, "group"), "mask_keys": Many(_KEY, "group"),
        "self_hashes": Many(_HASH, "group"), "sealed": Many(Blob("sealed-bundle"), "group"),
    }),
    "complaint": (msg.Complaint, {"dealer": _OWNER, "recipient": _OWNER, "signature": _SIGNATURE}),
    "bundle-opening": (msg.BundleOpening, {"dealer": _OWNER, "recipient": _OWNER, "plain": Blob("bundle")}),
    "upload": (msg.Upload, {
        "root": _HASH, "proof": Many(_HASH, "upload-path"), "enc_key": _KEY, "sealed": Blob("sealed-piece"),
        "public": Blob("public"),
    }),
    "receipt": (msg.Receipt, {"data_owner": _ADDRESS, "root": _HASH, "signature": _SIGNATURE}),
    "seed-deal": (msg.SeedDeal, {
        "points": Many(_POINT, "committee"), "attempt": Uint(255), "seed": Fixed(32),
        "signatures": Many(_SIGNATURE, "committee"),
    }),
    "opening": (msg.Opening, {"label": Text(32), "present": Uint256(), "values": Blob("opened")}),
    "share-opening": (msg.ShareOpening, {
        "index": _UPLOADER, "root": _HASH, "proof": Many(_HASH, "upload-path"), "blind": Blob(96),
        "piece": Blob("piece"), "public": Blob("public"),
    }),
    "piece-complaint": (msg.PieceComplaint, {"bad": Uint256()}),
    "public-request": (msg.PublicRequest, {"index": _UPLOADER}),
    "public-part": (msg.PublicPart, {"index": _UPLOADER, "public": Blob("public")}),
    "unmask": (msg.Unmask, {
        "valid_set": Uint256(), "dealers": Many(_OWNER, "group"), "kinds": Many(Uint(1), "group"),
        "shares": Many(Fixed(40), "group"), "salts": Many(Fixed(32), "group"),
        "proofs": Many(Many(_HASH, "share-path"), "group"),
    }),
    "unmask-request": (msg.UnmaskRequest, {"missing": Many(_OWNER, "owners")}),
    "unmask-relay": (msg.UnmaskRelay, {"messages": Many(Blob("unmask"), "owners")}),
    "rebuild-request": (msg.RebuildRequest, {"index": _UPLOADER}),
    "rebuild-share": (msg.RebuildShare, {"index": _UPLOADER, "values": Blob("vector")}),
    "batch-signature": (msg.BatchSignature, {
        "valid_set": Uint256(), "passed": Uint256(), "values": Many(Uint256(), "judged"), "digest": _HASH,
        "signature": _SIGNATURE,
    }),
    "attestation-signature": (msg.AttestationSignature, {
        "provers": Uint256(), "data_owners": Uint256(), "signature": _SIGNATURE,
    }),
    "output-request": (msg.OutputRequest, {}),
    "output-share": (msg.OutputShare, {"values": Blob("vector"), "norms": Many(Uint256(), "groups")}),
}  # fmt: skip
"""Names are part of the wire format: docs/wire.md lists them."""

NAMES: dict[type[msg.Message], str] = {cls: name for name, (cls, _) in SPECS.items()}

PARALLEL: dict[str, tuple[str, ...]] = {
    "bundles": ("dealers", "enc_keys", "mask_keys", "self_hashes", "sealed"),
    "unmask": ("dealers", "kinds", "shares", "salts", "proofs"),
}
"""Fields that must have as many entries as each other."""


def most_bytes(name: str, sizes: Sizes) -> int:
    """Bytes of a whole message of this type, at most."""
    _, fields = SPECS[name]
    return _ENVELOPE + len(name) + sum(len(key) + 2 + field.most(sizes) for key, field in fields.items())
