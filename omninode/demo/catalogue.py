"""The attacks that `omninode demo --attack` plays: what they are, who carries them out, and what should come of them.

The demo and the tests judge by the same expectations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from omninode.errors import UsageError

SHARE = 4
"""One data owner in SHARE attacks, where many of them attack together: 25 %."""


class Who(Enum):
    """Who attacks."""

    COLLUDERS = "data owners"  # a quarter of them, together
    DATA_OWNER = "data owner"
    PROVER = "prover"
    OWNER = "model owner"


class Fate(Enum):
    """What a data owner's update comes to."""

    NOT_DELIVERED = "not delivered"
    NOT_VALID = "not valid"  # delivered, but inconsistent or its proof wrong
    HARMLESS = "proved; summed or not, accuracy holds"
    NOT_SELECTED = "proved, not selected"
    ACCEPTED = "accepted"


REFUSED = "*"
"""As a blame: some rule for which its messages were refused."""


@dataclass(frozen=True, slots=True)
class Attack:
    """line: one sentence for people.  kind, phase: of the ``orders.Order``.

    fate: of a data owner's update.  blame: rule that honest nodes write down against the attacker, "" for none.
    named: whether it is attested on chain and loses its stake for that.  needs: another attack that must be played in
    the same session ("rebuild" only happens where a piece is missing).  reverts: error of the contract with which a
    transaction of the attacker fails, "" if none does.
    """

    name: str
    line: str
    who: Who
    kind: str
    fate: Fate = Fate.ACCEPTED
    blame: str = ""
    named: bool = False
    phase: str = ""
    needs: str = ""
    reverts: str = ""


def _learning(name: str, line: str, fate: Fate = Fate.HARMLESS, blame: str = "") -> Attack:
    return Attack(name, line, Who.COLLUDERS, name, fate, blame)


def _one(name: str, line: str, fate: Fate, blame: str = "") -> Attack:
    return Attack(name, line, Who.DATA_OWNER, name, fate, blame)


def _lie(label: str, line: str, blame: str = "", named: bool = False, needs: str = "") -> Attack:
    return Attack(f"lie-{label}", line, Who.PROVER, f"lie-{label}", blame=blame, named=named, needs=needs)


def _crash(phase: str, line: str) -> Attack:
    return Attack(f"crash-{phase}", line, Who.PROVER, "crash", phase=phase.upper())


ATTACKS: dict[str, Attack] = {attack.name: attack for attack in (
    _learning("random", "a random vector of ten times the bound", Fate.NOT_VALID, "proof-failed"),
    _learning("scaled", "the honest update, a thousand times as long", Fate.NOT_VALID, "proof-failed"),
    _learning("wrapped", "a huge vector whose norm mod p is small", Fate.NOT_VALID, "proof-failed"),
    _learning("sign-flip", "the honest update backwards, as long as the bound allows"),
    _learning("label-flip", "an update trained on flipped labels, as long as the bound allows"),
    _learning("alie", "'a little is enough': the mean of the colluders less 1.5 deviations"),
    _learning("ipm", "inner-product manipulation: -5 times the colluders' mean, within the bound"),
    _one("inconsistent", "two provers get pieces that are off the polynomial", Fate.NOT_VALID, "inconsistent-sharing"),
    _one("missing", "only two provers get their piece", Fate.NOT_DELIVERED),
    _one("missing-one", "one prover gets no piece; it rebuilds its share", Fate.ACCEPTED),
    _one("replay", "the very bytes that it uploaded in the session before", Fate.NOT_DELIVERED, REFUSED),
    _one("replay-other", "the very bytes that another data owner uploads", Fate.NOT_DELIVERED, REFUSED),
    Attack("data-owner-offline", "a data owner is killed once it holds n - t receipts", Who.DATA_OWNER, "die-safe"),
    _one("foreign-proof", "a true proof, made for the session before", Fate.NOT_VALID, "proof-failed"),
    _lie("consistency", "a prover lies when the shares are checked", "wrong-opening", named=True),
    _lie("proofs", "a prover lies when the proofs are checked", "wrong-opening", named=True),
    _lie("products", "a prover lies when inner products are opened", "wrong-opening", named=True),
    _lie("rebuild", "a prover lies to one that rebuilds its share", needs="missing-one"),
    _lie("output", "a prover gives the owner a wrong share of the sum", "wrong-output-share"),
    _crash("register", "a prover is killed when registration opens"),
    _crash("upload", "a prover is killed when uploads begin"),
    _crash("delivered", "a prover is killed before it votes on what was delivered"),
    _crash("valid", "a prover is killed before the checks"),
    _crash("batch", "a prover is killed before the batch"),
    _crash("output", "a prover is killed when the batch is final"),
    Attack("lie-everywhere", "a prover lies in every opening", Who.PROVER, "lie", blame="wrong-opening", named=True),
    Attack("withhold-output", "a prover never gives its share of the sum", Who.PROVER, "withhold-output"),
    Attack("owner-offline-before", "the owner is killed before the checks", Who.OWNER, "crash", phase="DELIVERED"),
    Attack("owner-offline-after", "the owner is killed when the batch is final", Who.OWNER, "crash", phase="OUTPUT"),
)}  # fmt: skip
"""By name, in the order in which `--attack all` plays them."""

PROVED: dict[str, Attack] = {attack.name: attack for attack in (
    _one("zk-norm", "a vector sqrt(d) times as long as allowed, the record proved for another", Fate.NOT_VALID,
         "proof-failed"),
    _one("zk-long", "a vector sqrt(d) times as long as allowed, each coordinate truly in range", Fate.NOT_SELECTED),
    _one("zk-range", "a coordinate out of range, the record proved for another", Fate.NOT_VALID, "proof-failed"),
    _one("zk-share", "one prover gets a share that does not fit its commitment", Fate.NOT_VALID,
         "inconsistent-sharing"),
    _one("zk-copy", "record and commitments of another data owner", Fate.NOT_DELIVERED, REFUSED),
    Attack("zk-lie", "a prover lies in every opening of the proof", Who.PROVER, "zk-lie", blame="wrong-opening",
           named=True),
    Attack("zk-frame", "a prover complains of a piece that is fine", Who.PROVER, "zk-frame", blame="wrong-opening",
           named=True),
    Attack("zk-batch", "a prover posts a batch with another score than was proved", Who.PROVER, "zk-batch",
           reverts="BadStatementIdentity"),
)}  # fmt: skip
"""What `--certificate zk --hostile` plays."""

Plan = tuple[tuple[str, ...], ...]
"""Names of the attacks of each session; () is an honest session."""

TOGETHER: Plan = (("random", "scaled", "wrapped"), ("inconsistent", "missing", "missing-one", "foreign-proof"),
                  ("replay", "replay-other", "data-owner-offline"))  # fmt: skip
"""Attacks that share a session in `all`: each of their data owners stands alone, so none changes another's fate."""


HOSTILE_PROVED: Plan = ((), ("zk-norm", "zk-range", "zk-share", "zk-copy"), ("zk-lie",), ("zk-frame",), ("zk-batch",))
"""The sessions of `--certificate zk --hostile`; data owners' attacks do not touch each other."""


def hostile_proved(distances: bool) -> Plan:
    """The same for a rule: records say nothing of norms where all distances are proved."""
    return tuple(
        tuple("zk-long" if distances and name == "zk-norm" else name for name in attacks) for attacks in HOSTILE_PROVED
    )


def attack_of(name: str) -> Attack:
    """An attack of any certificate by its name (KeyError)."""
    return ATTACKS[name] if name in ATTACKS else PROVED[name]


def listing() -> str:
    """All names and what they are, for `--attack list`."""
    width = max(map(len, ATTACKS))
    return "\n".join(f"{name:{width}}  {attack.line}" for name, attack in ATTACKS.items())


def chosen(text: str) -> list[str]:
    """The attacks meant by "all", a name, a family ("lie", "crash", ...) or several with commas. UsageError else."""
    found: list[str] = []
    for word in text.split(","):
        word = word.strip()
        hits = [name for name in ATTACKS if word in (name, "all") or name.startswith(word + "-")]
        if not word or not hits:
            raise UsageError(f"unknown attack {word!r}", "choose all, list, or some of " + ", ".join(ATTACKS))
        found += [name for name in ([word] if word in ATTACKS else hits) if name not in found]
    return found


HOSTILE: tuple[str, ...] = ("random", "data-owner-offline", "lie-everywhere")
"""What `--hostile` plays in mode verified, with one attacker each."""


def plan(attacks: Sequence[str], honest: int = 1) -> Plan:
    """Sessions in which these attacks are played: honest ones first, one attack (or TOGETHER) each, an honest one last.

    What an attack needs is put beside it.
    """
    sessions: list[tuple[str, ...]] = [()] * honest
    left = list(attacks)
    while left:
        group = next((group for group in TOGETHER if left[0] in group), (left[0],))
        now = tuple(name for name in group if name in left)
        left = [name for name in left if name not in now]
        needs = tuple(need for name in now if (need := ATTACKS[name].needs))
        sessions.append(now + tuple(need for need in needs if need not in now))
    return (*sessions, ())
