"""The demo's attack suite in one process: its machines, catalogue and verdicts on a model of the chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from omninode.demo.cast import LEAST_OWNERS, cast
from omninode.demo.catalogue import attack_of
from omninode.demo.hostile_data_owner import HostileDataOwner
from omninode.demo.hostile_prover import HostileProver
from omninode.demo.loot import Pocket
from omninode.demo.orders import Order
from omninode.demo.verdicts import Line, Seen, judge
from omninode.reproduce.stage.node import Effects, Machine, Node
from protocols.sessions.identity import Identity
from protocols.sessions.params import Bitmap, Mode, Payout, Phase, Rule
from tests.simulation.attacks import mute_from
from tests.simulation.session import Session


class Siege(Session):
    """A session with the attacks ``attacks``. loot: what the attackers keep; handed on where one session follows
    another.
    """

    def __init__(self, attacks: tuple[str, ...], loot: Pocket, number: int = 7, **changes: object) -> None:
        self._loot, self._attacks = loot, attacks
        self._told: dict[bytes, Order] = {}
        self._dead: set[bytes] = set()
        terms = {"rule": Rule.TRUST, "payout": Payout.CONTRIBUTION, "groups": LEAST_OWNERS, **changes}
        super().__init__(1, mode=Mode.VERIFIED, number=number, **terms)
        self.names = {node.address: node.name for node in [*self.owners, *self.provers, self.owner]}
        self._wallets = {name: address for address, name in self.names.items()}
        self.parts = cast(((), attacks), 2, [node.name for node in self.owners])
        self._give_orders()

    def tell(self, name: str, order: Order) -> None:
        """An order by name."""
        self._told[self._wallets[name]] = order

    def _give_orders(self) -> None:
        for name, order in self.parts.orders(self._wallets).items():
            self.tell(name, order)
        by_prover = self.parts.prover_order(self._wallets)
        for node in self.provers if by_prover else ():
            self.tell(node.name, by_prover or Order())
        for node in [*self.provers, *self.owners]:
            node.twist = self._silence
        if self.parts.owner:
            self.owner.twist = mute_from(Phase[attack_of(self.parts.owner).phase])
        for node in self.owners:
            assert node.update is not None
            flipped = f"{self.context.session}-{node.address.hex()}.flipped"
            self._loot.put(flipped, (-node.update).astype("<i8").tobytes())

    # -- machines ---------------------------------------------------------------------------------------------------

    def _order(self, address: bytes) -> Callable[[int], Order]:
        return lambda session: self._told.get(address, Order())

    def _die(self, address: bytes) -> Callable[[], None]:
        return lambda: self._dead.add(address)

    def _silence(self, node: Node, effects: Effects) -> Effects:
        return [] if node.address in self._dead else effects

    def _prover(self, identity: Identity, i: int) -> Callable[[], Machine]:
        honest, address = super()._prover(identity, i), identity.address
        return lambda: HostileProver(honest(), address, self._order(address), self._die(address))

    def _data_owner(self, identity: Identity, i: int) -> Callable[[], Machine]:
        seed, peer, address = self._secret("data owner", i), self._secret("peer", i), identity.address
        return lambda: HostileDataOwner(
            self.context, identity, seed, peer_key=peer, orders=self._order(address), loot=self._loot,
            die=self._die(address),
        )  # fmt: skip

    # -- what came out ----------------------------------------------------------------------------------------------

    def play(self) -> list[Line]:
        """To the end, killed data owners back for their money. One verdict per attack."""
        self.run()
        for node in self.owners:
            if node.address in self._dead:
                self._dead.discard(node.address)
                self.tell(node.name, Order())
                self.network.restart(node)
        for _ in range(3):
            self.step()
        if self.result is not None:
            self.assert_exact()
        attackers = {attack: self._attackers(attack) for attack in self._attacks}
        everybody = [address for some in attackers.values() for address in some]
        seen = self._seen()
        return [judge(attack_of(a), self.context.session, seen, some, everybody, self.names)
                for a, some in attackers.items()]  # fmt: skip

    def expected(self) -> npt.NDArray[np.int64]:
        """Plain integer sum of what the accepted uploaded."""
        total = np.zeros(self.params.dimension, dtype=np.int64)
        for k in self.accepted():
            node = self.registered()[k]
            sent = self._loot.get(f"{self.context.session}-{node.address.hex()}.sent")
            total += node.update if sent is None else np.frombuffer(sent, "<i8")
        return total

    def _attackers(self, attack: str) -> list[bytes]:
        if attack == self.parts.prover:
            return [self.market.committee[self.parts.seat].address]
        if attack == self.parts.owner:
            return [self.owner.address]
        return [self._wallets[name] for name in self.parts.attackers[attack]]

    def _seen(self) -> Seen:
        market, terms = self.market, self.params
        claimed = {
            address: terms.deposit + self.payouts.get(k, 0)
            for k, address in enumerate(market.owners)
            if address in market.claimed
        }
        for i, prover in enumerate(market.committee):
            votes = [market.posted[kind].get(i) for kind in (Bitmap.DELIVERED, Bitmap.VALID)]
            voted = None not in votes and (any(votes) or not terms.zk)
            claimed[prover.address] = terms.prover_fee if voted and i not in market.slashed else 0
        slashed = {market.committee[i].address: 1 for i in market.slashed}
        bystander = next(node for node in self.owners if self._told.get(node.address, Order()) == Order())
        accuracy = None if self.result is None else 1.0
        return Seen(bystander.machine.view, claimed, slashed, self._blamed(), self._refused(), accuracy)

    def _blamed(self) -> dict[bytes, dict[str, int]]:
        said: dict[bytes, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for node in self.network.nodes.values():
            for blame in node.blames:
                said[blame.peer][blame.rule].add(node.name)
        return {who: {rule: len(by) for rule, by in rules.items()} for who, rules in said.items()}

    def _refused(self) -> dict[bytes, dict[str, int]]:
        """By peer key, as daemons log it. By how many is not recorded here."""
        keys = {member.address: member.peer_key for member in self.owners[0].machine.view.members}
        return {keys[node.address]: {rule: 1 for rule, _ in node.refused} for node in self.owners if node.refused}
