"""The model owner's side of a session with certificate ``zk``: what it opens is what the contract has a proof of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.bn254 import fr
from protocols.bn254.fr import Vector
from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.sessions.identity import Identity
from protocols.sessions.verified_owner import VerifiedOwnerMachine
from protocols.sessions.zk_keys import Keys
from protocols.sessions.zk_upload import session_key, uploads
from protocols.wire.context import Context
from protocols.wire.messages import OutputShare
from protocols.zk.decode import decode_scalars
from protocols.zk.params import NB_G, choose
from protocols.zk.proved_sum import ProvedSum


class ZkOwnerMachine(VerifiedOwnerMachine):
    """The owner in one session (certificate ``zk``). Methods return effects in the order in which they must be done.

    The sum is taken as soon as t + 1 shares give what the proved commitment commits to. Liars are named once 2t + 1
    shares agree. The blinders that come with the sum stay here: with them, openings of single updates would say more.

    keys: where the key of the proofs comes from. Without it no sum is taken, and ``status`` says why; the journal holds
    the shares, so that a restart with the right reference string opens it.
    """

    def __init__(self, context: Context, identity: Identity, seed: bytes, keys: Keys) -> None:
        super().__init__(context, identity, seed, uploads(keys))
        self._keys = keys
        self._search: ProvedSum | None = None
        self._total: npt.NDArray[np.int64] | None = None
        self._lacking = ""

    def status(self) -> dict[str, Any]:
        """Where we stand, for people."""
        status = super().status()
        return {**status, "why": self._lacking or status["why"]}

    def _check(self, message: OutputShare) -> tuple[int, Vector]:
        if self._view.proved is None:
            raise RemoteProtocolError("unasked", message.sender.hex(), "no proved batch yet")
        return super()._check(message)

    def _read(self, data: bytes) -> Vector:
        if len(data) != fr.BYTES * (self._view.p.dimension + NB_G):
            raise ValueError(f"a share of {len(data)} bytes")
        return fr.from_bytes(data)

    def _opened(self) -> tuple[npt.NDArray[np.int64], set[int]] | None:
        try:
            total = self._total = self._found() if self._total is None else self._total
        except LocalProtocolError as error:
            self._lacking = str(error)
            return None
        if total is None:
            return None
        threshold = self._view.p.threshold
        decoded = decode_scalars(self._shares, threshold, 2 * threshold + 1)
        return total, set(decoded.liars) if decoded is not None else set()

    def _found(self) -> npt.NDArray[np.int64] | None:
        """The coordinates of the sum. LocalProtocolError if they cannot be had here."""
        params, proved = self._view.p, self._view.proved
        assert proved is not None
        if self._search is None:
            self._search = ProvedSum(session_key(self._keys, params), params.threshold, proved.aggregate)
        value = self._search.find(self._shares, next(reversed(self._shares)))
        return None if value is None else self._integers(value[:-NB_G])

    def _integers(self, values: Vector) -> npt.NDArray[np.int64]:
        """Signed coordinates, each at most the count of updates times 2^(b-1): records prove that."""
        params, batch = self._view.p, self._view.batch
        assert batch is not None
        most = batch.accepted.bit_count() << choose(params.dimension, params.bound).bits - 1
        try:
            total = fr.to_signed(values)
            if np.abs(total).max(initial=0) <= most:
                return total
        except ValueError:
            pass
        raise LocalProtocolError("the proved sum is out of range: whoever made the records knows the string's secret")
