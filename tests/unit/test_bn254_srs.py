"""Reference strings: what is refused, files of powers of tau, and the ceremony."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from eth_hash.auto import keccak

from protocols.bn254 import ceremony, fr, g1, g1_kernels, pairing, poly, ptau, srs
from protocols.bn254.field import MONTGOMERY, Q, R
from protocols.bn254.pairing import G2_GENERATOR, G2_INFINITY
from protocols.bn254.srs import BadString, Srs

COUNT = 12
SEED = bytes(range(32))


@pytest.fixture(scope="module")
def string() -> Srs:
    return srs.insecure("test", COUNT)


def refused(check: str, powers: g1.Points, tau2: pairing.Twisted) -> None:
    with pytest.raises(BadString) as error:
        srs.check(powers, tau2, SEED)
    assert error.value.check == check


def test_the_test_string_says_what_it_is(string: Srs) -> None:
    assert string.id == "INSECURE-test"
    assert string.insecure
    tau = int.from_bytes(keccak(keccak(b"omninode.insecure.srs") + keccak(b"test")), "big") % R
    assert np.array_equal(string.powers, g1.multiply(g1.generator(), fr.powers(tau, COUNT)))
    assert srs.insecure_secret("other") != tau
    srs.check(string.powers, string.tau2, SEED)


def test_strings_that_are_refused(string: Srs) -> None:
    powers, tau2 = string.powers, string.tau2
    refused("first-power", powers[1:], tau2)
    refused("first-power", powers[:1], tau2)
    infinite, off, wrong = powers.copy(), powers.copy(), powers.copy()
    infinite[5] = 0
    refused("infinite-power", infinite, tau2)
    off[5, 4:] = off[4, 4:]
    refused("off-curve", off, tau2)
    wrong[COUNT - 1] = wrong[COUNT - 2]
    refused("ratio", wrong, tau2)
    refused("ratio", powers, G2_GENERATOR)
    refused("second-group", powers, G2_INFINITY)
    with pytest.raises(ValueError, match="32 bytes"):
        srs.check(powers, tau2, b"short")


def test_commitments_need_enough_powers(string: Srs) -> None:
    with pytest.raises(ValueError, match="13 coefficients"):
        srs.commit(string.powers, fr.zeros(COUNT + 1))
    with pytest.raises(ValueError, match="more than 12 powers"):
        srs.basis(string.powers, 8, 5)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_both_bases_commit_to_the_same(n: int, string: Srs, rng: np.random.Generator) -> None:
    values, blinders = fr.from_signed(rng.integers(-9, 9, n)), fr.vector([R // 3, 5, R - 9, 0])
    slow, fast = srs.basis(string.powers, n, 4, 2), srs.known_basis(srs.insecure_secret("test"), n, 4)
    assert np.array_equal(slow.lagrange, fast.lagrange)
    assert np.array_equal(slow.blinders, fast.blinders)
    for used in (0, 2, 4):
        expected = srs.commit(string.powers, poly.blinded(values, blinders[:used]))
        assert np.array_equal(fast.commit(values, blinders[:used]), expected)
    with pytest.raises(ValueError, match="for a basis of"):
        fast.commit(values, fr.zeros(5))
    with pytest.raises(ValueError, match="root of unity"):
        srs.known_basis(1, n, 0)


def montgomery(*coordinates: int) -> bytes:
    return b"".join((c * MONTGOMERY % Q).to_bytes(32, "little") for c in coordinates)


def file_of(tau: int, power: int = 2, **changes: object) -> bytes:
    """A .ptau file with the sections that matter and one that does not."""
    powers = srs.known(tau, (2 << power) - 1, "file")
    second = [pairing.multiply_g2(G2_GENERATOR, pow(tau, i, R)) for i in range(2)] * (1 << power - 1)
    header = struct.pack("<I", 32) + Q.to_bytes(32, "little") + struct.pack("<II", power, power + 1)
    sections = {
        1: header,
        2: b"".join(montgomery(*p) for p in g1.to_integers(powers.powers)),
        3: b"".join(montgomery(*p) for p in second),
        7: b"something else",
    }
    sections.update(changes.get("sections", {}))  # type: ignore[call-overload]
    body = b"".join(struct.pack("<IQ", name, len(data)) + data for name, data in sections.items() if data is not None)
    number = sum(data is not None for data in sections.values())
    return b"ptau" + struct.pack("<II", 1, number) + body


TAU = 0x1234567


@pytest.fixture(scope="module")
def good() -> bytes:
    return file_of(TAU)


def test_a_file_is_loaded(good: bytes) -> None:
    for data in (good, memoryview(bytearray(good))):
        loaded = ptau.load(data, 6, SEED)
        assert np.array_equal(loaded.powers, srs.known(TAU, 6, "").powers)
        assert loaded.tau2 == pairing.multiply_g2(G2_GENERATOR, TAU)
        assert loaded.id == srs.digest(loaded.powers, loaded.tau2).hex()
        assert not loaded.insecure
    assert (ptau.parse(good).power, ptau.parse(good).count) == (2, 7)


def test_the_layout_of_a_file_is_checked(good: bytes) -> None:
    def header(size: int = 32, field: int = Q, power: int = 2, total: int = 3) -> bytes:
        return struct.pack("<I", size) + field.to_bytes(32, "little") + struct.pack("<II", power, total)

    def changed(**sections: object) -> bytes:
        return file_of(TAU, sections={int(name[1:]): data for name, data in sections.items()})

    cases = {
        "ptau-magic": [b"", good[:11], b"ptax" + good[4:]],
        "ptau-version": [good[:4] + struct.pack("<I", 2) + good[8:], good[:8] + struct.pack("<I", 65) + good[12:]],
        "ptau-truncated": [good[:-1], good[:12], good[:8] + struct.pack("<I", 5) + good[12:], good[:20]],
        "ptau-trailing-bytes": [good + b"\0", good[:8] + struct.pack("<I", 3) + good[12:]],
        "ptau-section-missing": [changed(s1=None), changed(s2=None), changed(s3=None)],
        "ptau-section-twice": [good[:8] + struct.pack("<I", 5) + good[12:] + struct.pack("<IQ", 7, 0)],
        "ptau-field": [changed(s1=header(field=R)), changed(s1=header(size=31)), changed(s1=header()[:-1])],
        "ptau-power": [
            changed(s1=header(power=0)),
            changed(s1=header(power=4)),
            changed(s1=header(power=29, total=30)),
        ],
        "ptau-section-size": [changed(s1=header(power=3)), changed(s2=b""), changed(s3=b"\0" * 64)],
    }
    for check, files in cases.items():
        for data in files:
            with pytest.raises(BadString) as error:
                ptau.load(data, 6, SEED)
            assert error.value.check == check


def test_the_points_of_a_file_are_checked(good: bytes) -> None:
    file = ptau.parse(good)
    first, second = bytes(file.g1), bytes(file.g2)

    def check_of(points: bytes = first, others: bytes = second, count: int = 6) -> str:
        with pytest.raises(BadString) as error:
            ptau.load(file_of(TAU, sections={2: points, 3: others}), count, SEED)
        return error.value.check

    assert check_of(count=8) == "ptau-too-short"
    assert check_of(count=1) == "ptau-too-short"
    large = (int.from_bytes(first[:32], "little") + Q).to_bytes(32, "little")
    assert check_of(large + first[32:]) == "coordinate"
    assert check_of(others=second[:128] + Q.to_bytes(32, "little") + second[160:]) == "coordinate"
    assert check_of(first[64:128] + first[64:]) == "first-power"
    assert check_of(first[:128] + bytes(64) + first[192:]) == "infinite-power"
    assert check_of(first[:128] + first[160:192] + first[128:160] + first[192:]) == "off-curve"
    assert check_of(others=second[:128] + second[160:192] + second[128:160] + second[192:]) == "second-group"
    assert check_of(first[:320] + first[256:320] + first[384:]) == "ratio"


SECRETS = [bytes([i]) * 48 for i in range(1, 5)]


def test_a_ceremony_of_two() -> None:
    string, transcript = ceremony.start(4)
    assert string.insecure
    product = 1
    for secret, nonce in (SECRETS[:2], SECRETS[2:]):
        after, step = ceremony.contribute(string, transcript, secret, nonce, threads=2)
        step = ceremony.from_bytes(step.to_bytes())
        if string.id != "INSECURE-start":  # one verification is enough here
            ceremony.verify(string, transcript, after, step, SEED)
        string, transcript = after, ceremony.extended(transcript, step)
        product = product * (int.from_bytes(secret, "big") % (R - 1) + 1) % R
    assert not string.insecure
    assert np.array_equal(string.powers, srs.known(product, 4, "").powers)
    assert string.tau2 == pairing.multiply_g2(G2_GENERATOR, product)
    assert len({transcript, ceremony.start(4)[1], ceremony.start(5)[1]}) == 3


def test_steps_that_are_refused() -> None:
    before, transcript = ceremony.start(4)
    after, step = ceremony.contribute(before, transcript, SECRETS[0], SECRETS[1])
    other, foreign = ceremony.contribute(before, transcript, SECRETS[2], SECRETS[3])

    def refused_as(
        check: str, step: ceremony.Contribution, to: Srs = after, old: Srs = before, t: bytes = transcript
    ) -> None:
        with pytest.raises(BadString) as error:
            ceremony.verify(old, t, to, step, SEED)
        assert error.value.check == check

    refused_as("length", step, old=ceremony.start(5)[0])
    refused_as("digest", step, to=other)
    refused_as("zero-secret", replace(step, x1=g1.INFINITY))
    refused_as("knowledge", step, t=bytes(32))
    refused_as("knowledge", replace(step, answer=(step.answer + 1) % R))
    refused_as("knowledge", replace(step, x2=foreign.x2))
    refused_as("knowledge", replace(foreign, after=step.after))
    refused_as("update", step, old=other)


def test_steps_as_bytes_are_checked() -> None:
    before, transcript = ceremony.start(2)
    _, step = ceremony.contribute(before, transcript, SECRETS[0], SECRETS[1])
    data = step.to_bytes()
    assert len(data) == 320
    assert ceremony.from_bytes(data) == step
    cases = {
        "contribution-length": [data[:-1], data + b"\0"],
        "contribution-point": [
            b"\xff" * 32 + data[32:],
            data[:64] + bytes(128) + data[192:],
            data[:255] + b"\1" + data[256:],
        ],
        "contribution-scalar": [data[:256] + R.to_bytes(32, "big") + data[288:]],
    }
    for check, messages in cases.items():
        for message in messages:
            with pytest.raises(BadString) as error:
                ceremony.from_bytes(message)
            assert error.value.check == check
    with pytest.raises(ValueError, match="48 random bytes"):
        ceremony.contribute(before, transcript, bytes(32), SECRETS[1])


def test_the_kernels_read_a_files_form() -> None:
    """Coordinates in a file are what ``g1`` works with: no conversion is needed."""
    words = np.frombuffer(montgomery(1, 2), dtype="<u8").astype(np.uint64)
    assert np.array_equal(words.reshape(1, 8), g1.generator())
    assert g1_kernels.first_off_curve(words.reshape(1, 8)) == 1


def contributed(count: int, names: list[str]) -> tuple[Srs, list[ceremony.Link]]:
    """A string to which everybody named contributed, and what is kept of it."""
    string, digest = ceremony.start(count)
    links = []
    for number, name in enumerate(names, start=1):
        digest = ceremony.named(digest, name)
        string, step = ceremony.contribute(string, digest, bytes([number]) * 48, bytes([number + 100]) * 48)
        digest = ceremony.extended(digest, step)
        links.append(ceremony.Link(name, step, g1.to_integers(string.powers[1:2])[0]))
    return string, links


@pytest.fixture(scope="module")
def chain() -> tuple[Srs, list[ceremony.Link]]:
    return contributed(6, ["alice", "bob"])


def test_a_chain_of_contributions_is_verified_from_the_last_string(chain: tuple[Srs, list[ceremony.Link]]) -> None:
    string, links = chain
    digests = ceremony.verify_links(string, links, SEED)
    expected = ceremony.start(6)[1]
    for link, digest in zip(links, digests, strict=True):
        expected = ceremony.extended(ceremony.named(expected, link.name), link.step)
        assert digest == expected


def test_the_start_is_the_string_of_one() -> None:
    assert np.array_equal(ceremony.start(5)[0].powers, srs.known(1, 5, "").powers)
    assert ceremony.start(5)[0].id == "INSECURE-start"


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("no-contribution", lambda string, links: (string, [])),
        ("knowledge", lambda string, links: (string, [replace(links[0], name="eve"), links[1]])),
        ("knowledge", lambda string, links: (string, [links[1]])),
        ("update", lambda string, links: (string, [replace(links[0], second=links[1].second), links[1]])),
        ("digest", lambda string, links: (replace(string, powers=string.powers[:5]), links)),
        ("digest", lambda string, links: (string, links[:1])),
        ("digest", lambda string, links: (srs.known(7, 6, ""), links)),
    ],
)
def test_a_chain_with_something_changed_is_refused(
    chain: tuple[Srs, list[ceremony.Link]], check: str, change: Any
) -> None:
    with pytest.raises(BadString) as error:
        ceremony.verify_links(*change(*chain), SEED)
    assert error.value.check == check


def test_a_last_string_of_another_secret_is_refused() -> None:
    """A contributor that knows its x, and contributed to a string of its own instead of the one before."""
    secret = bytes([9]) * 48
    digest = ceremony.named(ceremony.start(6)[1], "eve")
    made, step = ceremony.contribute(srs.known(9, 6, ""), digest, secret, bytes([8]) * 48)
    x = g1.to_integers(ceremony.contribute(ceremony.start(6)[0], digest, secret, bytes([8]) * 48)[0].powers[1:2])[0]
    for second in (x, g1.to_integers(made.powers[1:2])[0]):
        with pytest.raises(BadString) as error:
            ceremony.verify_links(made, [ceremony.Link("eve", step, second)], SEED)
        assert error.value.check == "update"


@pytest.mark.parametrize("n", [2, 4])
def test_the_lagrange_form_of_a_prepared_file(n: int, good: bytes) -> None:
    true = [srs.known_basis(TAU, 1 << k, 0).lagrange for k in range(3)]
    section = b"".join(montgomery(*p) for points in true for p in g1.to_integers(points))
    prepared = file_of(TAU, sections={12: section + bytes(64)})
    found = ptau.lagrange(prepared, n)
    assert found is not None
    assert np.array_equal(found, srs.known_basis(TAU, n, 0).lagrange)
    powers = ptau.unchecked(prepared, 7).powers
    assert srs.fits(found, powers, SEED)
    assert not srs.fits(found[::-1].copy(), powers, SEED)
    assert not srs.fits(g1.infinities(n), powers, SEED)
    assert ptau.lagrange(good, n) is None
    assert ptau.lagrange(prepared, 8) is None
    assert ptau.lagrange(file_of(TAU, sections={12: section[: 64 * (2 * n - 2)]}), n) is None
    for bad, check in ((montgomery(1, 1), "off-curve"), (b"\xff" * 64, "coordinate")):
        with pytest.raises(BadString) as error:
            ptau.lagrange(file_of(TAU, sections={12: section[: 64 * (n - 1)] + bad * n}), n)
        assert error.value.check == check


def test_progress_of_the_lagrange_form_is_told(string: Srs) -> None:
    steps: list[tuple[int, int]] = []
    srs.basis(string.powers, 8, 2, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
