"""What came of an attack, read from the chain and from honest nodes' own words, held against what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from omninode.demo.catalogue import REFUSED, Attack, Fate, Who, attack_of
from omninode.demo.report import Fault
from omninode.roles import outcome
from protocols.sessions.params import Bitmap, Phase
from protocols.sessions.view import SessionView

MARGIN = 0.05
"""By how much accuracy may be below that of the same session without attack: the attackers' honest updates are missing
from the sum, and the test set of digits has 450 images (one standard error: 0.01)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One session. claimed, slashed: wei by wallet.  blamed: wallet -> rule -> how many nodes wrote it down.
    refused: peer key -> rule -> how many nodes refused messages for it (in the whole run).

    accuracy: of the owner's model after the session, None if it has no sum.  unattacked: what the same session gives
    without attack.  undefended: what it gives if all that was uploaded is summed; None where that says nothing.
    reverted: wallet -> errors with which transactions of it failed on chain.
    """

    view: SessionView
    claimed: Mapping[bytes, int]
    slashed: Mapping[bytes, int]
    blamed: Mapping[bytes, Mapping[str, int]]
    refused: Mapping[bytes, Mapping[str, int]]
    accuracy: float | None = None
    unattacked: float | None = None
    undefended: float | None = None
    reverted: Mapping[bytes, Sequence[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """One attack: what was seen, in words, and what of it is not as expected ("problems")."""

    attack: str
    session: int
    attackers: tuple[str, ...]
    rejected: str = ""
    paid: str = ""
    named: str = ""
    accuracy: float | None = None
    unattacked: float | None = None
    undefended: float | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all is as expected."""
        return not self.problems

    def as_json(self) -> dict[str, object]:
        """Its part of attacks.json."""
        return {**asdict(self), "ok": self.ok}

    def as_fault(self) -> Fault:
        """For the report of `--hostile`."""
        attack = attack_of(self.attack)
        expected = f"{attack.fate.value}" if attack.who != Who.PROVER else "named, slashed; the result right"
        if attack.reverts:
            expected = f"the contract reverts with {attack.reverts}; the result right"
        observed = f"rejected {self.rejected}; paid {self.paid}; {self.named}"
        who = ", ".join(self.attackers)
        return Fault(f"{who}: {attack.line}", expected, "; ".join([observed, *self.problems]), self.ok)

    def check(self, good: bool, problem: str) -> None:
        """Note ``problem`` unless ``good``."""
        if not good:
            self.problems.append(problem)


def judge(attack: Attack, session: int, seen: Seen, attackers: Sequence[bytes], everybody: Sequence[bytes],
          names: Mapping[bytes, str]) -> Line:  # fmt: skip
    """The line of one attack. attackers: its wallets.  everybody: those of all attackers of the session."""
    line = Line(attack.name, session, tuple(names.get(a, a.hex()[:8]) for a in attackers))
    line.accuracy, line.unattacked, line.undefended = seen.accuracy, seen.unattacked, seen.undefended
    view = seen.view
    if view.batch is None or view.phase != Phase.FINISHED:
        line.check(False, f"session ended as {view.phase.name}: {view.aborted or 'no batch'}")
        return line
    _bystanders(line, seen, everybody)
    _accuracy(line, attack, seen)
    if attack.who in (Who.COLLUDERS, Who.DATA_OWNER):
        _data_owners(line, attack, seen, attackers)
    elif attack.who == Who.PROVER:
        _prover(line, attack, seen, attackers[0])
    else:
        line.rejected, line.paid, line.named = "-", f"all: {_paid_others(seen)}", "nobody"
    return line


def _bystanders(line: Line, seen: Seen, everybody: Sequence[bytes]) -> None:
    """Nobody honest loses anything: proved, paid what the scores say, neither named nor slashed."""
    view, due = seen.view, outcome.payouts(seen.view)
    for member in view.members:
        if member.address in everybody:
            continue
        line.check(view.in_set(Bitmap.VALID, member.index), f"honest data owner {member.index} is not valid")
        got = seen.claimed.get(member.address, 0) - view.p.deposit
        line.check(got >= due[member.index], f"honest data owner {member.index} got {got} of {due[member.index]} wei")
    for index, prover in enumerate(view.committee):
        if prover.address in everybody:
            continue
        line.check(not view.named_provers >> index & 1, f"honest prover {index} is named")
        line.check(prover.address not in seen.slashed, f"honest prover {index} is slashed")
        line.check(seen.claimed.get(prover.address, 0) >= view.p.prover_fee, f"honest prover {index} is not paid")


def _accuracy(line: Line, attack: Attack, seen: Seen) -> None:
    if attack.who == Who.OWNER:
        return  # it is judged by what others get; its own loss is its own
    line.check(seen.accuracy is not None, "the owner did not open the sum")
    if seen.accuracy is not None and seen.unattacked is not None:
        line.check(seen.accuracy >= seen.unattacked - MARGIN, f"accuracy fell from {seen.unattacked:.3f}")


def _data_owners(line: Line, attack: Attack, seen: Seen, attackers: Sequence[bytes]) -> None:
    view, due = seen.view, outcome.payouts(seen.view)
    members = [m for m in view.members if m.address in attackers]
    line.check(len(members) == len(attackers), "an attacker did not register")
    fates = [outcome.fate(view, m.index) for m in members]
    out = [m for m, fate in zip(members, fates, strict=True) if fate != "accepted"]
    reasons = ", ".join(sorted({fate for fate in fates if fate != "accepted"}))
    line.rejected = f"{len(out)} of {len(members)} {reasons}".rstrip()
    earned = [max(0, seen.claimed.get(m.address, 0) - view.p.deposit) for m in members]
    line.paid = f"{sum(due[m.index] > 0 for m in members)} of {len(members)}"
    for member, fate, got in zip(members, fates, earned, strict=True):
        expected = _expected(attack.fate)
        line.check(not expected or fate in expected, f"{fate}, not {attack.fate.value}")
        line.check(got >= due[member.index], f"got {got} of {due[member.index]} wei")
        if fate not in ("accepted", "against reference"):
            line.check(due[member.index] == 0 and got <= view.p.reward // 1000, f"got {got} wei for nothing")
    line.named = _blame(line, attack, seen, attackers) or "nobody"
    line.check(not any(a in seen.slashed for a in attackers), "a data owner is slashed")


def _expected(fate: Fate) -> tuple[str, ...]:
    return {
        Fate.NOT_DELIVERED: ("not delivered", "no upload"),
        Fate.NOT_VALID: ("proof refused",),
        Fate.NOT_SELECTED: ("not selected",),
        Fate.ACCEPTED: ("accepted", "against reference"),  # honest in what it says; the cosine is another matter
        Fate.HARMLESS: ("accepted", "against reference"),
    }[fate]


def _blame(line: Line, attack: Attack, seen: Seen, attackers: Sequence[bytes]) -> str:
    """Which rules honest nodes wrote down against the attackers, and how many did. Also checks the expected one."""
    rules: dict[str, int] = {}
    keys = {member.address: member.peer_key for member in seen.view.members}
    for address in attackers:
        of_key = seen.refused.get(keys.get(address, b""), {}) if attack.blame == REFUSED else {}
        for rule, count in [*seen.blamed.get(address, {}).items(), *of_key.items()]:
            rules[rule] = max(rules.get(rule, 0), count)
    if attack.blame == REFUSED:
        line.check(bool(rules), "nobody refused a message of it")
    elif attack.blame:
        line.check(attack.blame in rules, f"nobody wrote down {attack.blame}")
    return ", ".join(f"{rule} ({count})" for rule, count in sorted(rules.items()))


def _prover(line: Line, attack: Attack, seen: Seen, address: bytes) -> None:
    """A prover is slashed if it is named or a bitmap of it lacks. It has its fee if it posted every bitmap and was not
    slashed before it claimed: an attestation may come after the end of the session.
    """
    view = seen.view
    index = view.prover_index(address)
    assert index is not None
    voted = all(index in view.bitmaps.get(kind, {}) for kind in (Bitmap.DELIVERED, Bitmap.VALID))
    named, slashed = bool(view.named_provers >> index & 1), address in seen.slashed
    paid = seen.claimed.get(address, 0) >= view.p.prover_fee
    line.rejected, line.paid = "-", "yes" if paid else "no"
    said = ["slashed"] if slashed else []
    reasons = seen.reverted.get(address, ())
    if attack.reverts:
        line.check(attack.reverts in reasons, f"reverted: {', '.join(reasons) or 'nothing'}")
        said += [f"reverted {reason}" for reason in reasons]
    line.named = ": ".join([*said, *filter(None, [_blame(line, attack, seen, [address])])]) or "nobody"
    early = attack.kind == "crash" and Phase[attack.phase] <= Phase.VALID
    line.check(not (early and voted), "it voted although it was killed")
    line.check(named == attack.named, "it is named" if named else "it is not named")
    line.check(slashed == (attack.named or not voted), "it is slashed" if slashed else "it is not slashed")
    line.check(paid == voted or (slashed and not paid), "it is paid" if paid else "it is not paid")


def _paid_others(seen: Seen) -> str:
    """Data owners, and provers."""
    view, due = seen.view, outcome.payouts(seen.view)
    owners = sum(seen.claimed.get(m.address, 0) - view.p.deposit >= due[m.index] > 0 for m in view.members)
    provers = sum(seen.claimed.get(p.address, 0) >= view.p.prover_fee for p in view.committee)
    return f"{owners} + {provers}"
