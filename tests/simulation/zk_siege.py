"""The attacks of `omninode demo --certificate zk --hostile` in one process, judged by the same code."""

from __future__ import annotations

from collections.abc import Callable

from omninode.demo.hostile_zk import hostile_data_owner, hostile_prover
from omninode.demo.loot import Pocket
from omninode.demo.verdicts import Seen
from omninode.reproduce.stage.node import Machine
from protocols.sessions.identity import Identity
from protocols.zk.errors import Refused
from tests.simulation import proofs
from tests.simulation.session import Session
from tests.simulation.siege import Siege
from tests.simulation.zk_market import ZkMarket

ERRORS = {"range-identity": "BadRangeIdentity", "statement-identity": "BadStatementIdentity", "pairing": "BadPairing"}
"""Names of checks -> errors of the contract."""


class ZkSiege(Siege):
    """A session of certificate zk with the attacks ``attacks``."""

    def __init__(self, attacks: tuple[str, ...], loot: Pocket, number: int = 7, **changes: object) -> None:
        self.reverted: dict[bytes, list[str]] = {}
        super().__init__(attacks, loot, number, zk=True, **changes)
        assert isinstance(self.market, ZkMarket)
        post, check = self.market._postProof, self.market._checked
        asking = [b""]

        def posted(sender: bytes, *args: bytes) -> None:
            asking[0] = sender
            post(sender, *args)

        def checked(*args: object) -> object:
            try:
                return check(*args)  # type: ignore[arg-type]
            except Refused as error:
                self.reverted.setdefault(asking[0], []).append(ERRORS.get(str(error.check), str(error.check)))
                raise

        self.market._postProof, self.market._checked = posted, checked  # type: ignore[method-assign, assignment]

    def _prover(self, identity: Identity, i: int) -> Callable[[], Machine]:
        honest, address = Session._prover(self, identity, i), identity.address
        return lambda: hostile_prover(honest(), address, self._order(address), self._die(address))

    def _data_owner(self, identity: Identity, i: int) -> Callable[[], Machine]:
        seed, peer, address = self._secret("data owner", i), self._secret("peer", i), identity.address
        return lambda: hostile_data_owner(
            self.context, identity, seed, peer_key=peer, keys=proofs.key_of, orders=self._order(address),
            loot=self._loot,
        )  # fmt: skip

    def _seen(self) -> Seen:
        seen = super()._seen()
        return Seen(
            seen.view, seen.claimed, seen.slashed, seen.blamed, seen.refused, seen.accuracy, reverted=self.reverted
        )
