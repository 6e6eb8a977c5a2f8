"""Making a reference string by turns: each contributor multiplies tau by a secret and forgets it.

The string stays secret if one of them did. Everybody can check every step (updatable strings, Groth et al. 2018):
the new [tau] is the old one times x for the x that the contributor has shown to know (Schnorr 1991), and the new
string is one of successive powers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from eth_hash.auto import keccak

from protocols.bn254 import fr, g1, pairing, srs
from protocols.bn254.field import R
from protocols.bn254.g1 import Point
from protocols.bn254.pairing import G2_GENERATOR, Twisted
from protocols.bn254.srs import BadString, Srs
from protocols.wire.context import tagged_hash

TAG = keccak(b"omninode.zk.srs.v1")


@dataclass(frozen=True, slots=True)
class Contribution:
    """One step. x1, x2: the secret in both groups. nonce, answer: Schnorr proof. after: digest of the new string."""

    x1: Point
    x2: Twisted
    nonce: Point
    answer: int
    after: bytes

    def to_bytes(self) -> bytes:
        """320 bytes: x1, x2, nonce, answer, after."""
        points = g1.to_bytes(g1.from_integers([self.x1, self.nonce]))
        return points[:64] + pairing.g2_to_bytes(self.x2) + points[64:] + self.answer.to_bytes(32, "big") + self.after


def from_bytes(data: bytes) -> Contribution:
    """The inverse of ``Contribution.to_bytes``. BadString for another length or what is no point or scalar.

    The order of x2 is left to whoever verifies: that is slow, and a file may have many.
    """
    if len(data) != 320:
        raise BadString("contribution-length", str(len(data)))
    try:
        x1, nonce = g1.to_integers(g1.from_bytes(data[:64] + data[192:256]))
        x2 = pairing.g2_of_any_order(data[64:192])
    except ValueError as error:
        raise BadString("contribution-point", str(error)) from error
    answer = int.from_bytes(data[256:288], "big")
    if answer >= R:
        raise BadString("contribution-scalar")
    return Contribution(x1, x2, nonce, answer, data[288:])


def start(count: int) -> tuple[Srs, bytes]:
    """The string of tau = 1, from which every ceremony begins, and its transcript's digest. It is INSECURE."""
    string = Srs(np.tile(g1.generator(), (count, 1)), G2_GENERATOR, f"{srs.INSECURE}-start")
    return string, tagged_hash("omninode/srs/start", srs.digest(string.powers, string.tau2))


def extended(transcript: bytes, step: Contribution) -> bytes:
    """The transcript's digest after a step: 32 bytes."""
    return tagged_hash("omninode/srs/step", transcript, step.to_bytes())


def _challenge(transcript: bytes, x1: Point, x2: Twisted, nonce: Point, after: bytes) -> int:
    points = g1.to_bytes(g1.from_integers([x1, nonce]))
    return (
        int.from_bytes(keccak(TAG + transcript + points[:64] + pairing.g2_to_bytes(x2) + points[64:] + after), "big")
        % R
    )


def _secret(data: bytes) -> int:
    """1 .. R - 1 from 48 random bytes."""
    if len(data) != 48:
        raise ValueError(f"a secret needs 48 random bytes, not {len(data)}")
    return int.from_bytes(data, "big") % (R - 1) + 1


def contribute(
    string: Srs, transcript: bytes, secret: bytes, nonce: bytes, threads: int = 1
) -> tuple[Srs, Contribution]:
    """The next string and the step to publish with it.

    transcript: digest of all steps before. secret, nonce: 48 random bytes each, used once; the caller forgets them.
    """
    x, k = _secret(secret), _secret(nonce)
    powers = srs.multiply_in_threads(string.powers, fr.powers(x, len(string.powers)), threads)
    tau2 = pairing.multiply_g2(string.tau2, x)
    after = srs.digest(powers, tau2)
    x1, first = g1.to_integers(g1.multiply_fixed(g1.generator(), fr.vector([x, k])))
    x2 = pairing.multiply_g2(G2_GENERATOR, x)
    answer = (k + _challenge(transcript, x1, x2, first, after) * x) % R
    return Srs(powers, tau2, after.hex()), Contribution(x1, x2, first, answer, after)


def verify(before: Srs, transcript: bytes, after: Srs, step: Contribution, seed: bytes, threads: int = 1) -> None:
    """Refuse a step that does not lead from ``before`` to ``after``: BadString with the name of the failed check.

    seed: as for ``srs.check``. Only the second power of ``before`` matters, and that both have the same length.
    """
    if len(before.powers) != len(after.powers):
        raise BadString("length", f"{len(after.powers)} powers after {len(before.powers)}")
    if step.after != srs.digest(after.powers, after.tau2):
        raise BadString("digest")
    _verify_order(step)
    _verify_knowledge(transcript, step)
    _verify_secret(step)
    srs.check(after.powers, after.tau2, seed, threads)
    old, new = (g1.to_integers(string.powers[1:2])[0] for string in (before, after))
    _verify_update(old, new, step)


@dataclass(frozen=True, slots=True)
class Link:
    """A step as it is kept with the last string. name: of the contributor, as it says. second: [tau] after the step."""

    name: str
    step: Contribution
    second: Point


def named(transcript: bytes, name: str) -> bytes:
    """The transcript as the contributor of this name proves its knowledge under: nobody else can sign with it."""
    return tagged_hash("omninode/srs/name", transcript, name.encode())


def verify_links(final: Srs, links: Sequence[Link], seed: bytes, threads: int = 1) -> list[bytes]:
    """Refuse a string that does not come from tau = 1 by these steps: BadString with the check that failed.

    Strings between the steps are gone; of each there is [tau]. The last one's powers are checked in full, and its tau
    is the product of secrets that their contributors know, which is all that is needed. seed: as for ``srs.check``.
    Returns the digest of the transcript after each step: what its contributor announced.
    """
    if not links:
        raise BadString("no-contribution", "the string is that of tau = 1")
    if links[-1].step.after != srs.digest(final.powers, final.tau2):
        raise BadString("digest")
    numbered, transcript, after = list(enumerate(links, start=1)), start(len(final.powers))[1], []
    for number, link in numbered:  # first what is quick
        signed = named(transcript, link.name)
        _blamed(number, link, partial(_verify_knowledge, signed))
        after.append(transcript := extended(signed, link.step))
    if g1.to_integers(final.powers[1:2]) != [links[-1].second]:
        raise BadString("update", "the string is not the one after the last contribution")
    for number, link in numbered:
        _blamed(number, link, _verify_order)
    if not _together(links, seed):
        for number, link in numbered:
            old = links[number - 2].second if number > 1 else g1.GENERATOR
            _blamed(number, link, _verify_secret)
            _blamed(number, link, partial(_verify_update, old, link.second))
    srs.check(final.powers, final.tau2, seed, threads)
    return after


def _blamed(number: int, link: Link, check: Callable[[Contribution], None]) -> None:
    """Check one step; what is wrong with it is said of its contributor."""
    try:
        check(link.step)
    except BadString as error:
        raise BadString(error.check, f"contribution {number}, by {link.name!r}") from error


def _together(links: Sequence[Link], seed: bytes) -> bool:
    """Whether ``_verify_secret`` and ``_verify_update`` hold for all: by random factors, with a third of the pairings.

    If not, the links are looked at one by one, to say whose is wrong.
    """
    factors, pairs, left = srs.weights(seed, 2 * len(links)), [], []
    for k, link in enumerate(links):
        own = factors[2 * k : 2 * k + 2]
        old = links[k - 1].second if k else g1.GENERATOR
        left.append(g1.multiply(g1.from_integers([link.step.x1, link.second]), own))
        right = g1.total(g1.multiply(g1.from_integers([g1.GENERATOR, old]), own))
        pairs.append((pairing.opposite(g1.to_integers(right)[0]), link.step.x2))
    whole = g1.to_integers(g1.total(np.concatenate(left)))[0]
    return pairing.product_is_one([(whole, G2_GENERATOR), *pairs])


def _verify_order(step: Contribution) -> None:
    """That x2 is a point of the second group, not just of its curve: before anything is paired with it."""
    try:
        pairing.check_g2(step.x2)
    except ValueError as error:
        raise BadString("contribution-point", str(error)) from error


def _verify_secret(step: Contribution) -> None:
    """That x is the same in both groups."""
    if not pairing.same_ratio(step.x1, G2_GENERATOR, g1.GENERATOR, step.x2):
        raise BadString("two-secrets", "x is not the same in both groups")


def _verify_update(old: Point, new: Point, step: Contribution) -> None:
    if not pairing.same_ratio(new, G2_GENERATOR, old, step.x2):
        raise BadString("update", "the new string is not the old one times x")


def _verify_knowledge(transcript: bytes, step: Contribution) -> None:
    """That the contributor knows x, which is neither 0 nor 1: who multiplies by 1 contributes nothing."""
    if step.x1 == g1.INFINITY:
        raise BadString("zero-secret")
    if step.x1 == g1.GENERATOR:
        raise BadString("no-secret", "x is 1")
    challenge = _challenge(transcript, step.x1, step.x2, step.nonce, step.after)
    points = g1.from_integers([g1.GENERATOR, step.x1])
    parts = g1.multiply(points, fr.vector([step.answer, -challenge]))
    if g1.to_integers(g1.total(parts)) != [step.nonce]:
        raise BadString("knowledge", "no proof that the contributor knows x")
