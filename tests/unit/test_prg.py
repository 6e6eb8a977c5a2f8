"""The generator: known answers, rejection of words that are no elements, labels, ternary frequencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.fields import prg
from protocols.fields.goldilocks import P
from protocols.wire.context import tagged_hash

ZERO = bytes(32)


def keystream(key: bytes, size: int) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(size))


def fake_stream(monkeypatch: pytest.MonkeyPatch, words: Sequence[int]) -> list[int]:
    """Replace AES by a stream of the given words; returns the sizes of the reads."""
    reads: list[int] = []
    data = b"".join(w.to_bytes(8, "little") for w in words)

    class Stream:
        def __init__(self, key: bytes) -> None:
            self.position = 0

        def fill(self, out: npt.NDArray[np.uint8]) -> None:
            piece = data[self.position : self.position + len(out)]
            assert len(piece) == len(out), "the test's stream is too short"
            out[:] = np.frombuffer(piece, dtype=np.uint8)
            self.position += len(out)
            reads.append(len(out))

    monkeypatch.setattr(prg, "_Keystream", Stream)
    return reads


def test_known_answer() -> None:
    """AES-256 of the zero block under the zero key is dc95c078a2408989ad48a21492842087."""
    first = bytes.fromhex("dc95c078a2408989")
    second = bytes.fromhex("ad48a21492842087")
    assert prg.expand(ZERO, 2).tolist() == [int.from_bytes(x, "little") for x in (first, second)]


@pytest.mark.parametrize("length", [1, 2, 3, 8191, 8192, 8193, 30000])
def test_is_the_plain_keystream(length: int) -> None:
    """Chunks leave no seam (these streams hold no word that is refused)."""
    expected = np.frombuffer(keystream(ZERO, 8 * length), dtype="<u8")
    assert prg.expand(ZERO, length).tolist() == expected.tolist()


def test_label_changes_the_key() -> None:
    key = tagged_hash("omninode/prg", b"a", ZERO)
    assert prg.expand(ZERO, 5, b"a").tolist() == prg.expand(key, 5).tolist()
    assert prg.expand_int(ZERO, b"a") == prg.expand(ZERO, 1, b"a")[0]
    assert len({prg.expand_int(ZERO, label) for label in (b"", b"a", b"b", b"ab")}) == 4


def test_prefixes_agree() -> None:
    long = prg.expand(ZERO, 100, b"x")
    assert prg.expand(ZERO, 37, b"x").tolist() == long[:37].tolist()


def test_words_from_p_on_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = fake_stream(monkeypatch, [5, P, P - 1, 2**64 - 1, P + 1, 7, 9])
    assert prg.expand(ZERO, 4).tolist() == [5, P - 1, 7, 9]
    assert sum(reads) == 7 * 8


def test_only_refused_words_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_stream(monkeypatch, [P, P, P, 1, 2**64 - 1, 3])
    assert prg.expand(ZERO, 2).tolist() == [1, 3]


def test_nothing() -> None:
    empty = prg.expand(ZERO, 0)
    assert empty.shape == (0,)
    assert empty.dtype == np.uint64
    assert prg.ternary(ZERO, 0, 5).shape == (0, 5)
    assert prg.ternary(ZERO, 5, 0).shape == (5, 0)


@pytest.mark.parametrize("seed", [b"", bytes(16), bytes(31), bytes(33)])
def test_seeds_have_32_bytes(seed: bytes) -> None:
    for call in (lambda: prg.expand(seed, 1), lambda: prg.expand(seed, 1, b"l"), lambda: prg.ternary(seed, 1, 1)):
        with pytest.raises(ValueError, match="32 bytes"):
            call()


def test_negative_lengths() -> None:
    with pytest.raises(ValueError, match="negative"):
        prg.expand(ZERO, -1)
    with pytest.raises(ValueError, match="negative"):
        prg.ternary(ZERO, -1, 3)


def test_elements_are_spread_evenly() -> None:
    """Fixed seed, 2^16 elements in 16 bins: the chi-square statistic (15 degrees of freedom) is nothing special."""
    bins = np.bincount((prg.expand(b"\x01" * 32, 1 << 16) >> np.uint64(60)).astype(np.int64), minlength=16)
    assert ((bins - 4096) ** 2 / 4096).sum() < 40


def test_ternary_bits() -> None:
    """Two bits per entry from the low end of each byte, rows without a seam: 00 is -1, 01 and 10 are 0, 11 is 1."""
    stream = keystream(tagged_hash("omninode/prg", b"ternary", ZERO), 8)
    bits = [(byte >> shift) & 3 for byte in stream for shift in (0, 2, 4, 6)]
    expected = [{0: -1, 1: 0, 2: 0, 3: 1}[b] for b in bits][:30]
    z = prg.ternary(ZERO, 6, 5)
    assert z.dtype == np.int8
    assert z.reshape(-1).tolist() == expected


def test_ternary_frequencies() -> None:
    z = prg.ternary(b"\x02" * 32, 64, 1001)
    share = {v: float((z == v).mean()) for v in (-1, 0, 1)}
    assert sum(share.values()) == 1
    assert abs(share[0] - 0.5) < 0.01
    assert abs(share[1] - 0.25) < 0.01


def test_ternary_is_apart_from_expand() -> None:
    """A beacon may feed both: the streams differ."""
    plain = np.frombuffer(keystream(ZERO, 8), dtype=np.uint8)
    assert prg.ternary(ZERO, 1, 32).reshape(-1).tolist() != prg._SIGNS[plain].view(np.int8).tolist()
