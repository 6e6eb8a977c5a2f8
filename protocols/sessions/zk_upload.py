"""The proved update of certificate ``zk``: a record that the contract checks, and shares that are committed to.

Only sessions with such a certificate load this module: behind it is the arithmetic of the curve.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from protocols.errors import LocalProtocolError
from protocols.sessions.delivery import Piece
from protocols.sessions.identity import Identity
from protocols.sessions.params import Phase, SessionParams
from protocols.sessions.verified_upload import Uploads, VerifiedUpload
from protocols.sessions.view import SessionView
from protocols.sessions.zk_keys import Keys
from protocols.wire.context import Context
from protocols.zk.columns import check_values, squared_norm
from protocols.zk.key import Key, session_hash
from protocols.zk.params import choose
from protocols.zk.upload import make_upload


def session_key(keys: Keys, params: SessionParams) -> Key:
    """The key of a session's proofs. LocalProtocolError, with what to do, if this node has none, or another."""
    key = keys(params)
    if key.digest != params.proof_key:
        raise LocalProtocolError(
            f"this node's reference string gives the key {key.digest.hex()[:16]}.., the session is proved under "
            f"{params.proof_key.hex()[:16]}..: configure the string that its owner uses"
        )
    return key


def session_of(context: Context, params: SessionParams) -> bytes:
    """sess, 32 bytes: what all proofs of the session are made for."""
    return session_hash(context.chain_id, context.contract, context.session, 0, params.proof_key, params.bound**2)


class ZkUpload(VerifiedUpload):
    """``VerifiedUpload`` with the records of PROOFS, sections 3, 4 and 12. The owner's reference is made under its
    wallet's address like everybody's update.
    """

    def __init__(
        self,
        context: Context,
        identity: Identity,
        view: SessionView,
        seed: bytes,
        phase: Phase,
        call: str,
        keys: Keys,
    ) -> None:
        super().__init__(context, identity, view, seed, phase, call)
        self._keys = keys

    def unready(self) -> str:
        """Why this node has not the session's key."""
        try:
            session_key(self._keys, self._view.p)
        except LocalProtocolError as error:
            return str(error)
        return ""

    def _check(self, update: npt.NDArray[np.int64]) -> None:
        params = self._view.p
        check_values(choose(params.dimension, params.bound), update)
        norm = squared_norm(update)
        if norm > params.bound**2:
            raise ValueError(f"squared norm {norm} is above {params.bound}^2")

    def _make(self, update: npt.NDArray[np.int64]) -> tuple[bytes, Iterable[Piece]]:
        params = self._view.p
        sess = session_of(self._context, params)
        made = make_upload(
            session_key(self._keys, params), sess, int.from_bytes(self._address, "big"), update,
            self._drawn(sess, update), params.committee, params.threshold, params.bound**2,
        )  # fmt: skip
        return made.root, ((plain, (), made.public) for plain in made.plains())

    def _drawn(self, sess: bytes, update: npt.NDArray[np.int64]) -> bytes:
        """All randomness: of this update, to this committee, in this session. Two proofs of one commitment would show
        one value too many of what it hides.
        """
        hashed = hashlib.sha256(update.astype("<i8").tobytes()).digest()
        return self._context.bind("zk-upload", self._address, sess, hashed, self._committee(), self._seed)


def uploads(keys: Keys) -> Uploads:
    """For the machines of mode ``verified``."""

    def make(context: Context, identity: Identity, view: SessionView, seed: bytes, phase: Phase, call: str) -> ZkUpload:
        return ZkUpload(context, identity, view, seed, phase, call, keys)

    return make
