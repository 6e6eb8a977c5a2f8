"""A machine of certificate zk in memory: as ``verified``, with what provers find in their pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from omninode.reproduce.stage.node import Machine
from protocols.bn254 import fr
from protocols.bn254.fr import Vector
from protocols.secagg.seal import open_sealed, upload_associated
from protocols.sessions import effects as fx
from protocols.sessions.zk_upload import session_of
from protocols.zk import range_check
from protocols.zk.key import Key
from protocols.zk.params import NB_G
from protocols.zk.sharing import basis_polynomials, share_commitment
from protocols.zk.upload import Opened, open_upload
from tests.simulation import proofs
from tests.unit.verified import CONTEXT, N, T, World


class ZkWorld(World):
    """``key``: of the session's proofs."""

    def __init__(self, make: Callable[[], Machine], first: int = 0, **changes: Any) -> None:
        super().__init__(make, first, zk=True, **changes)
        self.update = np.random.default_rng(7).integers(-4, 5, self.params.dimension)

    @property
    def key(self) -> Key:
        return proofs.key_of(self.params)

    @property
    def sess(self) -> bytes:
        return session_of(CONTEXT, self.params)

    def opened(self, i: int) -> Opened:
        """What the prover with committee index i received, held against what was committed to."""
        prover = self.committee[i]
        upload = self.uploads()[prover.address]
        associated = upload_associated(upload.sender, prover.address)
        plain = open_sealed(CONTEXT, prover.enc_secret, upload.enc_key, associated, upload.sealed)
        assert upload.proof == ()
        address = int.from_bytes(upload.sender, "big")
        return open_upload(self.key, self.sess, address, i + 1, N, T, upload.root, upload.public, plain)

    def share(self, i: int) -> Vector:
        return self.opened(i).share()

    def secret(self, *points: int) -> Vector:
        return fr.combine([row[0] for row in basis_polynomials(points)], [self.share(x - 1) for x in points])

    def uploaded_vector(self) -> npt.NDArray[np.int64]:
        return fr.to_signed(self.secret(2, 5)[:-NB_G])

    def assert_sound(self) -> None:
        """The record passes, and every share is the one that everybody can compute the commitment of."""
        range_check.check(self.key, self.sess, self.opened(0).record, self.params.bound**2)
        for i in range(N):
            found = self.opened(i)
            assert share_commitment(found.dealing, i + 1) == _commitment(self.key, found.share())
            assert any(self.share(i)[-NB_G:].ravel())

    def pieces(self) -> list[fx.Send]:
        """What was sent to provers."""
        return [e for e in self.effects if isinstance(e, fx.Send)]


def _commitment(key: Key, share: Vector) -> tuple[int, int]:
    return key.commit_values(share[:-NB_G], share[-NB_G:])
