"""Uploads under certificate ``zk``: what is sent, what is received, and what is refused as if it had not arrived."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.bn254 import fr, g1
from protocols.bn254.field import Q, R
from protocols.zk import pieces, range_check
from protocols.zk.key import Key
from protocols.zk.params import NB_G, public_bytes, record_bytes
from protocols.zk.share_check import Verdict, check_shares, judge
from protocols.zk.sharing import basis_polynomials, commit, share_digest
from protocols.zk.upload import Upload, make_upload, open_upload
from tests.unit.zk_shares import COMMITTEE, PARAMS, SESS, THRESHOLD, small_key

ADDRESS = 0x00A11CE
SEED = b"\x21" * 32
POINTS = range(1, COMMITTEE + 1)
VALUES = np.arange(-12, 12, dtype=np.int64)
BOUND_SQUARED = 6000
NORM_BITS = BOUND_SQUARED.bit_length()
RECORD = record_bytes(False)
LEAVES = RECORD + 64 * THRESHOLD


def make(key: Key, seed: bytes = SEED, **changes: Any) -> Upload:
    given = {"sess": SESS, "address": ADDRESS, "values": VALUES, "committee": COMMITTEE, "threshold": THRESHOLD}
    given |= {"bound_squared": BOUND_SQUARED} | changes
    return make_upload(key, seed=seed, **given)


@pytest.fixture(scope="module")
def key() -> Key:
    return small_key()


@cache
def honest_upload() -> Upload:
    return make(small_key())


@pytest.fixture
def upload() -> Upload:
    return honest_upload()


def receive(key: Key, upload: Upload, point: int = 4, **changes: Any) -> Any:
    """Open what was sent, or what became of it."""
    given: dict[str, Any] = {"sess": SESS, "address": ADDRESS, "committee": COMMITTEE, "threshold": THRESHOLD}
    given |= {"root": upload.root, "public": upload.public, "plain": upload.plain(point)} | changes
    return open_upload(key, point=point, **given)


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize(("committee", "threshold"), [(5, 1), (3, 1), (9, 2)])
def test_what_is_sent_arrives(norms: bool, committee: int, threshold: int, seed: bytes) -> None:
    key = small_key(NORM_BITS if norms else None)
    upload = make(key, seed, committee=committee, threshold=threshold)
    assert len(upload.public) == public_bytes(threshold, committee, norms)
    assert upload.root == keccak(upload.public[: record_bytes(norms)]) == upload.record.digest()
    shares = {}
    for point, plain in enumerate(upload.plains(), start=1):
        assert len(plain) == pieces.plain_bytes(PARAMS, point, threshold)
        opened = receive(key, upload, point, committee=committee, threshold=threshold, plain=plain)
        assert (opened.record, opened.dealing) == (upload.record, upload.dealing)
        assert check_shares(key, point, lambda k, o=opened: o.share(), [opened.dealing], seed) == set()  # type: ignore[misc]
        shares[point] = opened.share()
    chosen = tuple(shares)[-threshold - 1 :]
    vector = fr.combine([row[0] for row in basis_polynomials(chosen)], [shares[point] for point in chosen])
    assert fr.to_signed(vector[:-NB_G]).tolist() == VALUES.tolist()
    assert commit(key, vector) == upload.record.c


def test_the_record_proves_what_is_shared(key: Key, upload: Upload) -> None:
    range_check.check(key, SESS, upload.record)
    assert upload.record.dg == upload.dealing.digest


def test_the_same_seed_makes_the_same_bytes(key: Key, upload: Upload) -> None:
    again = make(key)
    assert (again.public, list(again.plains())) == (upload.public, list(upload.plains()))
    assert [upload.plain(point) for point in POINTS] == list(upload.plains())


def test_everything_secret_depends_on_the_seed(key: Key, upload: Upload) -> None:
    other = make(key, b"\x22" * 32)
    assert other.record.c != upload.record.c
    assert other.dealing.c_e != upload.dealing.c_e
    for mine, theirs in zip(upload.plains(), other.plains(), strict=True):
        assert mine[:32] != theirs[:32]
        assert mine[32:] != theirs[32:]


def test_pieces_share_no_secret(upload: Upload) -> None:
    """Blinds and seeds are all different: one prover's piece says nothing of another's."""
    plains = list(upload.plains())
    words = [plain[:32] for plain in plains] + [plains[0][32:]]
    assert len(set(words)) == len(words)
    assert SEED not in words


@pytest.mark.parametrize("point", [0, 6, -1])
def test_there_are_as_many_pieces_as_provers(key: Key, upload: Upload, point: int) -> None:
    with pytest.raises(ValueError, match="no prover"):
        upload.plain(point)
    with pytest.raises(ValueError, match="no prover"):
        receive(key, upload, point, plain=bytes(64))


@pytest.mark.parametrize("values", [VALUES[:-1], VALUES.reshape(4, 6), np.append(VALUES, 0)])
def test_updates_of_another_shape(key: Key, values: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        make(key, values=values)


def test_updates_that_cannot_be_proved(key: Key) -> None:
    for extreme in (32, -33):
        with pytest.raises(ValueError):
            make(key, values=np.array([extreme, *VALUES[1:]], dtype=np.int64))
    for extreme in (31, -32):
        make(key, values=np.array([extreme, *VALUES[1:]], dtype=np.int64))
    with pytest.raises(ValueError):
        make(small_key(NORM_BITS), values=np.full(24, 31, dtype=np.int64))
    with pytest.raises(ValueError, match="no sharing"):
        make(key, threshold=5)
    with pytest.raises(ValueError, match="32 bytes"):
        make(key, bytes(31))


def refused(key: Key, upload: Upload, reason: str, **changes: Any) -> None:
    with pytest.raises(ValueError, match=reason):
        receive(key, upload, **changes)


def with_record(upload: Upload, record: bytes) -> dict[str, bytes]:
    """What a data owner sends that posted the digest of this record."""
    return {"root": keccak(record), "public": record + upload.public[RECORD:]}


def test_another_record_than_the_one_posted(key: Key, upload: Upload) -> None:
    refused(key, upload, "digest was posted", root=bytes(32))
    other = make(key, b"\x23" * 32)
    refused(key, upload, "digest was posted", public=other.public)
    refused(key, upload, "another address", address=ADDRESS + 1)
    moved = replace(upload.record, address=ADDRESS + 1).encode()
    refused(key, upload, "another address", **with_record(upload, moved))


def test_exact_counts(key: Key, upload: Upload) -> None:
    for public in (b"", upload.public[:-1], upload.public + b"\x00", upload.public[:-32], upload.public + bytes(64)):
        refused(key, upload, "public bytes", public=public)
    refused(key, upload, "public bytes", committee=COMMITTEE + 1)
    with pytest.raises(ValueError, match="public bytes"):
        receive(small_key(NORM_BITS), upload)


def test_a_share_digest_of_something_else(key: Key, upload: Upload) -> None:
    other = make(key, b"\x24" * 32)
    swapped = replace(upload.record, dg=other.record.dg).encode()
    refused(key, upload, "another sharing", **with_record(upload, swapped))
    refused(key, upload, "another sharing", public=upload.public[:RECORD] + other.public[RECORD:])


def test_different_commitments_to_different_provers_are_refused(key: Key, upload: Upload) -> None:
    """dg names the C_e: whoever gets others than those has received nothing."""
    point = g1.to_bytes(g1.from_integers([g1.GENERATOR]))
    public = upload.public[:RECORD] + point + upload.public[LEAVES:]
    refused(key, upload, "another sharing", public=public)
    own = share_digest([g1.GENERATOR], upload.dealing.leaves)
    lie = replace(upload.record, dg=own).encode()
    refused(key, upload, "digest was posted", public=lie + public[RECORD:])


@pytest.mark.parametrize(
    "words", [(1, 1), (1, 2 + Q), (1 + Q, 2), (Q, Q), (2**256 - 1, 2**256 - 1), (0, 1)], ids=lambda words: hex(words[0])
)
def test_commitments_are_points(key: Key, upload: Upload, words: tuple[int, int]) -> None:
    """Even where the digest in the record fits."""
    bad = b"".join(word.to_bytes(32, "big") for word in words)
    record = replace(upload.record, dg=share_digest([words], upload.dealing.leaves)).encode()
    public = record + bad + upload.public[LEAVES:]
    refused(key, upload, "commitments of the sharing", root=keccak(record), public=public)


def test_a_record_is_canonical(key: Key, upload: Upload) -> None:
    x, y = upload.record.c
    for changed in (replace(upload.record, c=(x + Q, y)), replace(upload.record, w=(1, 1))):
        refused(key, upload, "point", **with_record(upload, changed.encode()))
    tall = replace(upload.record, evaluations=(R, *upload.record.evaluations[1:]))
    refused(key, upload, "scalar", **with_record(upload, tall.encode()))


def test_a_piece_that_was_not_committed_to(key: Key, upload: Upload) -> None:
    other = make(key, b"\x25" * 32)
    refused(key, upload, "committed to", plain=other.plain(4))
    refused(key, upload, "committed to", plain=upload.plain(5))
    refused(key, upload, "committed to", plain=bytes(32) + upload.plain(4)[32:])
    refused(key, upload, "committed to", sess=bytes(32))
    refused(key, upload, "bytes", plain=upload.plain(1))
    refused(key, upload, "bytes", plain=upload.plain(4)[:-1])
    refused(key, upload, "less than R", plain=upload.plain(4)[:-32] + R.to_bytes(32, "big"))


@settings(max_examples=40)
@given(data=st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    """Garbage is refused with ValueError, and nothing else: a hostile data owner cannot stop a prover."""
    key, upload = small_key(), honest_upload()
    point = data.draw(st.sampled_from([1, 4]))
    parts = {"public": bytearray(upload.public), "plain": bytearray(upload.plain(point))}
    chosen = parts[data.draw(st.sampled_from(sorted(parts)))]
    at = data.draw(st.integers(0, len(chosen) - 1))
    chosen[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        receive(key, upload, point, **{name: bytes(part) for name, part in parts.items()})


@settings(max_examples=20)
@given(record=st.binary(min_size=RECORD, max_size=RECORD), plain=st.binary(max_size=100))
def test_posted_garbage_is_refused(record: bytes, plain: bytes) -> None:
    key, upload = small_key(), honest_upload()
    with pytest.raises(ValueError):
        receive(key, upload, **with_record(upload, record))
    with pytest.raises(ValueError):
        receive(key, upload, plain=plain)


def test_what_was_received_is_what_is_complained_of(key: Key, upload: Upload) -> None:
    """A prover that can open its piece can prove what it is; an honest data owner is never convicted."""
    for point in POINTS:
        opened = receive(key, upload, point)
        assert judge(key, SESS, ADDRESS, point, opened.dealing, opened.plain) is Verdict.PROVER


def test_secrets_do_not_show(key: Key, upload: Upload) -> None:
    opened = receive(key, upload)
    for thing in (upload, opened):
        assert upload.plain(4)[:32].hex() not in repr(thing)
        assert repr(upload.plain(4)[:32]) not in repr(thing)
