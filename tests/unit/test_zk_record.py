"""Records as bytes: layout, strict reading, hostile bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from protocols.bn254 import fr
from protocols.bn254.field import Q, R
from protocols.zk.errors import Check, Refused
from protocols.zk.params import NB_G, record_bytes
from protocols.zk.range_proof import prove
from protocols.zk.record import BYTES, BYTES_NORMS, Record, decode, read, validate
from tests.unit.bn254_kit import number
from tests.unit.zk_kit import BOUND, SMALL, load, record_of, scalars, session, small_key

BOUND_BITS = (BOUND**2).bit_length()
POINTS = ("c", "c_m", "c_s", "c_q", "w", "w2")


@lru_cache
def example(norms: bool) -> Record:
    """A good record."""
    key = small_key(SMALL, BOUND_BITS if norms else None)
    values = np.array([1, -2, 3] * 8, dtype=np.int64)
    return prove(key, session(key), 0x1000, values, fr.vector(scalars("g", NB_G)), b"\x07" * 32, bytes(32), BOUND**2)


@pytest.mark.parametrize("norms", [False, True])
def test_there_and_back(norms: bool) -> None:
    record = example(norms)
    data = record.encode()
    assert len(data) == record_bytes(norms) == (BYTES_NORMS if norms else BYTES)
    assert decode(data, norms) == read(data, norms) == record
    assert record.norms is norms and record.digest() == keccak(data)
    assert len(record.points()) == (8 if norms else 6) and len(record.evaluations) == (10 if norms else 6)


def test_the_order_of_the_parts_is_that_of_the_transcript() -> None:
    record = example(True)
    words = [int.from_bytes(record.encode()[i : i + 32], "big") for i in range(0, BYTES_NORMS, 32)]
    assert record.c_e is not None and record.c_nn is not None
    dg = int.from_bytes(record.dg, "big")
    first = [record.address, *record.c, dg, *record.c_m, *record.c_e, *record.c_nn]
    assert words == [*first, *record.c_s, *record.c_q, *record.evaluations, *record.w, *record.w2]


def test_records_of_the_vectors_are_in_their_calldata(vectors: Path) -> None:
    honest = load(vectors, "honest_K3_n5")
    calldata = bytes.fromhex(honest["calldata"][2:])
    for owner in honest["data_owners"]:
        at = calldata.index(number(owner["C"][0]).to_bytes(32, "big")) - 32
        data = calldata[at : at + BYTES]
        record = decode(data, False)
        assert record.encode() == data
        assert (record.address, record.c) == (owner["addr"], tuple(map(number, owner["C"])))
        assert list(record.evaluations) == [number(x) for x in owner["range"]["E"]]
    score = load(vectors, "score_K3_n5")
    for entry in score["records"]:
        record = record_of(entry)
        assert decode(record.encode(), True) == record


@pytest.mark.parametrize("norms", [False, True])
def test_another_length_is_no_record(norms: bool) -> None:
    data = example(norms).encode()
    for bad in (b"", data[:-1], data + b"\0", data[:32], data * 2):
        for reader in (read, decode):
            with pytest.raises(Refused) as caught:
                reader(bad, norms)
            assert caught.value.check is Check.SHAPE
    with pytest.raises(Refused, match="shape"):
        decode(data, not norms)


Edit = Callable[[Record], Record]


def coordinate(name: str, side: int, by: int) -> Edit:
    """A record with a coordinate moved."""

    def edit(record: Record) -> Record:
        point = list(getattr(record, name))
        point[side] += by
        return replace(record, **{name: tuple(point)})

    return edit


def scalar(index: int, by: int) -> Edit:
    """A record with an evaluation moved."""

    def edit(record: Record) -> Record:
        values = list(record.evaluations)
        values[index] += by
        return replace(record, evaluations=tuple(values))

    return edit


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        *((coordinate(name, side, Q), Check.POINT) for name in POINTS for side in (0, 1)),
        *((coordinate(name, 0, 1), Check.POINT) for name in POINTS),
        *((scalar(i, R), Check.SCALAR) for i in range(6)),
        (lambda record: replace(record, evaluations=(R, *record.evaluations[1:])), Check.SCALAR),
        (lambda record: replace(record, address=1 << 160), Check.ORDER),
        (lambda record: replace(record, c=(0, 1)), Check.POINT),
        (lambda record: replace(record, w=(2**256 - 1, 2**256 - 1)), Check.POINT),
    ],
)
@pytest.mark.parametrize("norms", [False, True])
def test_only_canonical_numbers_and_points_of_the_curve(edit: Edit, check: Check, norms: bool) -> None:
    bad = edit(example(norms))
    assert read(bad.encode(), norms) == bad  # the contract reads it, and refuses it by itself
    with pytest.raises(Refused) as caught:
        decode(bad.encode(), norms)
    assert caught.value.check is check


def test_parts_that_make_no_record() -> None:
    record = example(False)
    for bad in ({"c_e": (1, 2)}, {"c_nn": (1, 2)}, {"dg": b""}, {"evaluations": ()}):
        with pytest.raises(ValueError, match=r"record|evaluations"):
            replace(record, **bad)
    with pytest.raises(Refused, match="scalar"):
        validate(replace(record, evaluations=(-1, *record.evaluations[1:])))
    with pytest.raises(Refused, match="order"):
        validate(replace(record, address=-1))
    with pytest.raises(Refused, match="point"):
        validate(replace(record, w=(-1, 2)))
    with pytest.raises(OverflowError):
        replace(record, w=(1 << 256, 2)).encode()


@given(st.booleans(), st.data())
def test_bytes_from_anywhere_are_refused_or_read_exactly(norms: bool, data: st.DataObject) -> None:
    good = bytearray(example(norms).encode())
    if data.draw(st.booleans()):
        raw = data.draw(st.binary(max_size=2000))
    else:  # almost a record
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(good) - 1))
            good[at] = data.draw(st.integers(0, 255))
        raw = bytes(good)
    try:
        assert decode(raw, norms).encode() == raw
    except Refused as error:
        assert error.check in (Check.SHAPE, Check.ORDER, Check.SCALAR, Check.POINT)
