"""Who plays what in which session of the attack suite: by name, chosen before the session begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omninode.demo.catalogue import SHARE, Plan, Who, attack_of
from omninode.demo.orders import Order
from omninode.errors import UsageError

LEAST_OWNERS = 12
"""Data owners that the suite needs: three collude, up to six attack alone, three are for replays."""


COPIES = frozenset({"replay-other", "zk-copy"})
"""Attacks that use what another data owner uploads."""


@dataclass(frozen=True, slots=True)
class Cast:
    """One session. attackers: attack -> names of the data owners that carry it out.  keepers: honest, but what they
    upload gets into the attackers' hands.  victim: the keeper whose upload of this session is replayed, the data owner
    that a prover frames, or "".
    seat: committee index of the prover that attacks.  provers, owner: attack of that prover and of the owner, or "".
    """

    attackers: dict[str, tuple[str, ...]]
    keepers: tuple[str, ...]
    victim: str
    seat: int
    prover: str = ""
    owner: str = ""

    def orders(self, wallet: dict[str, bytes]) -> dict[str, Order]:
        """The orders of the data owners, by name. wallet: addresses by name."""
        told = {name: Order("keep") for name in self.keepers}
        colluders = tuple(
            wallet[n] for a, some in self.attackers.items() if attack_of(a).who == Who.COLLUDERS for n in some
        )
        for attack, some in self.attackers.items():
            victim = wallet[self.victim] if attack in COPIES else b""
            order = Order(attack_of(attack).kind, colluders=colluders, victim=victim)
            told |= dict.fromkeys(some, order)
        return told

    def prover_order(self, wallet: dict[str, bytes]) -> Order | None:
        """For whoever is drawn into the seat; None without an attack by a prover. wallet: addresses by name."""
        if not self.prover:
            return None
        attack, victim = attack_of(self.prover), wallet[self.victim] if self.victim else b""
        return Order(attack.kind, seat=self.seat, phase=attack.phase, victim=victim)


def cast(plan: Plan, number: int, owners: Sequence[str], colluders: int = 0) -> Cast:
    """The parts of session ``number`` (from 1). Colluders are the first quarter (or so many), replays need the last
    three.
    """
    if len(owners) < LEAST_OWNERS:
        raise UsageError(f"{len(owners)} data owners are too few for attacks", f"use --owners {LEAST_OWNERS} or more")
    attacks = plan[number - 1]
    following = plan[number] if number < len(plan) else ()
    many = colluders or len(owners) // SHARE
    quarter, replayer, copier, victim = owners[:many], owners[-1], owners[-2], owners[-3]
    together = [a for a in attacks if attack_of(a).who == Who.COLLUDERS]
    parts = {a: tuple(quarter[i :: len(together)]) for i, a in enumerate(together)}
    alone = iter(owners[len(quarter) : -3])
    for attack in attacks:
        if attack_of(attack).who == Who.DATA_OWNER:
            parts[attack] = ({"replay": replayer, **dict.fromkeys(COPIES, copier)}.get(attack) or next(alone),)
    copied = victim if COPIES & set(attacks) else ""
    harmed = victim if {"zk-frame", *COPIES} & set(attacks) else ""
    keepers = ((replayer,) if "replay" in following else ()) + ((copied,) if copied else ())
    by_prover = next((a for a in attacks if attack_of(a).who == Who.PROVER), "")
    by_owner = next((a for a in attacks if attack_of(a).who == Who.OWNER), "")
    # The prover whose turn it is to speak first on chain: its absence is felt most (prover_desk.Desk.rank). But the
    # last one gets no piece under "missing-one": it asks for a share, and cannot be the one that lies to who asks.
    seat = number % (4 if by_prover == "lie-rebuild" else 5)
    return Cast(parts, keepers, harmed, seat, by_prover, by_owner)
