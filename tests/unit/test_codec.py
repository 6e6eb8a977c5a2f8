"""The wire codec: one form per message, and a named rule for everything else."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import msgpack
import pytest

from protocols.errors import RemoteProtocolError
from protocols.sessions.params import Mode, Rule, SessionParams
from protocols.wire import codec
from protocols.wire import messages as msg
from protocols.wire.context import Context
from protocols.wire.specs import NAMES, PARALLEL, SPECS, most_bytes

CONTEXT = Context(31337, b"\x11" * 20, 7)
SENDER = b"\xab" * 20
LIMITS = codec.Limits(dimension=100, owners=12, group=5, groups=4, committee=5)
HASH, KEY, SIGNATURE = b"h" * 32, b"k" * 32, b"s" * 65

SAMPLES: list[msg.Message] = [
    msg.Announcement(SENDER, 2**64 - 1, KEY, ("/ip4/127.0.0.1/tcp/1", "ü"), KEY, KEY, HASH, SIGNATURE),
    msg.Announcement(SENDER, 0, KEY, (), b"", b"", b"", b""),
    msg.Bundle(SENDER, 3, b"sealed"),
    msg.BundleSet(SENDER, KEY, KEY, HASH, (b"", b"a", b"b")),
    msg.BundleRequest(SENDER),
    msg.Bundles(SENDER, (1, 2), (KEY, KEY), (KEY, KEY), (HASH, HASH), (b"", b"x")),
    msg.Complaint(SENDER, 4, 5, SIGNATURE),
    msg.BundleOpening(SENDER, 4, 5, b"plain"),
    msg.Upload(SENDER, HASH, (HASH, HASH), KEY, b"sealed" * 10),
    msg.Receipt(SENDER, SENDER, HASH, SIGNATURE),
    msg.SeedDeal(SENDER, (1, 2, 3, 4), 1, KEY, (SIGNATURE, SIGNATURE)),
    msg.Opening(SENDER, "gram", 0b1011, b"v" * 16),
    msg.ShareOpening(SENDER, 3, HASH, (HASH,), KEY, b"\x01" + KEY),
    msg.Unmask(SENDER, 1 << 255, (0, 2), (0, 1), (b"s" * 40,) * 2, (HASH,) * 2, ((HASH,), (HASH, HASH))),
    msg.UnmaskRequest(SENDER, (0, 11)),
    msg.UnmaskRelay(SENDER, (b"one", b"two")),
    msg.RebuildRequest(SENDER, 11),
    msg.RebuildShare(SENDER, 11, b"v" * 808),
    msg.BatchSignature(SENDER, 2**256 - 1, 0, (0, 1, 2**255), HASH, SIGNATURE),
    msg.AttestationSignature(SENDER, 1, 2, SIGNATURE),
    msg.OutputRequest(SENDER),
    msg.OutputShare(SENDER, b"v" * 800, (1, 0)),
    msg.PieceComplaint(SENDER, 1 << 255 | 5),
    msg.PublicRequest(SENDER, 11),
    msg.PublicPart(SENDER, 11, b""),
]


def raw(message: msg.Message) -> dict[str, Any]:
    """The map of a message, to be bent."""
    entries: dict[str, Any] = msgpack.unpackb(codec.encode(message, CONTEXT), strict_map_key=False)
    return entries


def rule_of(data: bytes, context: Context = CONTEXT, limits: codec.Limits = LIMITS) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode(data, context, limits)
    return caught.value.rule


def bent(message: msg.Message, **changes: Any) -> bytes:
    return bytes(msgpack.packb({**raw(message), **changes}))


@pytest.mark.parametrize("message", SAMPLES, ids=lambda m: type(m).__name__)
def test_round_trip(message: msg.Message) -> None:
    data = codec.encode(message, CONTEXT)
    assert codec.decode(data, CONTEXT, LIMITS) == message
    assert codec.peek(data) == (31337, b"\x11" * 20, 7, codec.type_name(message))
    assert len(data) <= most_bytes(codec.type_name(message), LIMITS) <= LIMITS.largest


def test_table_and_classes_agree() -> None:
    classes = {c for c in vars(msg).values() if isinstance(c, type) and issubclass(c, msg.Message)} - {msg.Message}
    assert set(NAMES) == classes == {type(sample) for sample in SAMPLES}
    for name, (cls, fields) in SPECS.items():
        assert ["sender", *fields] == [f.name for f in dataclasses.fields(cls)], name
        assert len(get_type_hints(cls)) == len(fields) + 1
        assert set(PARALLEL.get(name, ())) <= set(fields)


def test_integers_of_enumerations_are_encoded_as_integers() -> None:
    data = codec.encode(msg.Complaint(SENDER, Rule.OUTLIER, 5, SIGNATURE), CONTEXT)
    assert codec.decode(data, CONTEXT, LIMITS) == msg.Complaint(SENDER, 1, 5, SIGNATURE)


@pytest.mark.parametrize(
    ("context", "rule"),
    [
        (Context(1, CONTEXT.contract, 7), "wrong-chain"),
        (Context(31337, b"\x12" * 20, 7), "wrong-contract"),
        (Context(31337, CONTEXT.contract, 8), "wrong-session"),
    ],
)
def test_messages_of_other_places(context: Context, rule: str) -> None:
    assert rule_of(codec.encode(SAMPLES[2], context)) == rule


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"v": 2}, "wrong-version"),
        ({"v": True}, "field-type"),
        ({"t": "nonsense"}, "unknown-type"),
        ({"t": 1}, "field-type"),
        ({"c": "31337"}, "field-type"),
        ({"c": -1}, "field-length"),
        ({"k": b"short"}, "field-length"),
        ({"s": None}, "field-type"),
        ({"s": -7}, "field-length"),
        ({"f": "text"}, "field-type"),
        ({"f": b"short"}, "field-length"),
        ({"dealer": True}, "field-type"),
        ({"dealer": -1}, "field-type"),
        ({"dealer": 1.0}, "field-type"),
        ({"dealer": [1]}, "field-type"),
        ({"dealer": None}, "field-type"),
        ({"dealer": msgpack.ExtType(1, b"")}, "field-type"),
        ({"dealer": 13}, "field-length"),
        ({"more": 1}, "malformed"),
    ],
)
def test_bent_fields(changes: dict[str, Any], rule: str) -> None:
    assert rule_of(bent(msg.Complaint(SENDER, 4, 5, SIGNATURE), **changes)) == rule


@pytest.mark.parametrize(
    ("sample", "changes", "rule"),
    [
        (0, {"addrs": ["a" * 257]}, "malformed"),
        (0, {"addrs": ["ü" * 128 + "a"]}, "malformed"),
        (0, {"addrs": ["a"] * 17}, "field-length"),
        (0, {"addrs": "a"}, "field-type"),
        (0, {"addrs": [b"a"]}, "field-type"),
        (0, {"enc_key": b"k" * 31}, "field-length"),
        (0, {"seq": 2**64 - 1, "signature": b"s" * 64}, "field-length"),
        (3, {"sealed": [b""] * 6}, "field-length"),
        (3, {"sealed": {}}, "field-type"),
        (5, {"dealers": [1]}, "field-length"),
        (8, {"root": HASH + b"\0"}, "field-length"),
        (8, {"root": "h" * 32}, "field-type"),
        (13, {"kinds": [0, 2]}, "field-length"),
        (13, {"kinds": [0, False]}, "field-type"),
        (13, {"valid_set": b"\0\1"}, "field-length"),
        (13, {"valid_set": b"\1" * 33}, "field-length"),
        (13, {"valid_set": 1}, "field-type"),
        (13, {"proofs": [[HASH], [HASH] * 5]}, "field-length"),
        (13, {"proofs": [[HASH], HASH]}, "field-type"),
        (17, {"values": b"v" * 812}, "field-length"),
        (17, {"values": b"v" * 5000}, "oversized"),
        (18, {"values": [b""] * 7}, "field-length"),
        (11, {"label": 3}, "field-type"),
        (11, {"label": "x" * 33}, "field-length"),
    ],
)
def test_bent_fields_of_every_kind(sample: int, changes: dict[str, Any], rule: str) -> None:
    assert rule_of(bent(SAMPLES[sample], **changes)) == rule


def test_missing_field() -> None:
    entries = raw(SAMPLES[2])
    del entries["sealed"]
    assert rule_of(bytes(msgpack.packb(entries))) == "malformed"


def test_other_forms_of_the_same_message_are_refused() -> None:
    entries = raw(SAMPLES[2])
    canonical = codec.encode(SAMPLES[2], CONTEXT)
    assert rule_of(canonical + b"\0") == "malformed"
    assert rule_of(canonical[:-1]) == "malformed"
    swapped = dict([*list(entries.items())[:6], *reversed(list(entries.items())[6:])])
    assert rule_of(bytes(msgpack.packb(swapped))) == "malformed"
    assert rule_of(bytes(msgpack.packb(dict(reversed(entries.items()))))) == "malformed"
    widened = canonical.replace(b"\xa1s\x07", b"\xa1s\xcc\x07")  # session 7 as uint8 with a prefix byte
    assert widened != canonical
    assert rule_of(widened) == "malformed"
    doubled = bytes([canonical[0] + 1]) + canonical[1:] + b"\xa6sealed\xc4\x01x"
    assert rule_of(doubled) == "malformed"


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc0", b"\x01", b"\x90", b"\xdf\xff\xff\xff\xff", b"\x80", b"\x86" + b"\xa1v" * 3, b"\x91" * 5000, b"\xc1"],
)
def test_no_message_at_all(data: bytes) -> None:
    assert rule_of(data) == "malformed" or rule_of(data) == "field-type"
    with pytest.raises(RemoteProtocolError):
        codec.peek(data)


def test_deep_nesting_and_promised_lengths_cost_nothing() -> None:
    head = codec.encode(SAMPLES[2], CONTEXT)[:-8]
    assert rule_of(head + b"\x91" * 200) == "malformed"
    assert rule_of(head + b"\xdd\xff\xff\xff\xff") == "malformed"
    assert rule_of(head + b"\xc6\xff\xff\xff\xff") == "malformed"


def test_peek_takes_only_bytes() -> None:
    with pytest.raises(RemoteProtocolError):
        codec.peek("text")  # type: ignore[arg-type]


def test_blame_names_the_sender() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode(bent(msg.Complaint(SENDER, 4, 5, SIGNATURE), dealer=99), CONTEXT, LIMITS)
    assert caught.value.peer == SENDER.hex()


@pytest.mark.parametrize(
    "message",
    [
        msg.Complaint(b"short", 1, 5, SIGNATURE),
        msg.Complaint(SENDER, -1, 5, SIGNATURE),
        msg.Complaint(SENDER, True, 5, SIGNATURE),
        msg.Complaint(SENDER, 2**64, 5, SIGNATURE),
        msg.Bundle(SENDER, 1, "text"),  # type: ignore[arg-type]
        msg.BundleSet(SENDER, b"short", KEY, HASH, ()),
        msg.BundleSet(SENDER, KEY, KEY, HASH, [b""]),  # type: ignore[arg-type]
        msg.AttestationSignature(SENDER, 2**256, 0, SIGNATURE),
        msg.AttestationSignature(SENDER, -1, 0, SIGNATURE),
        msg.Opening(SENDER, b"gram", 0, b""),  # type: ignore[arg-type]
    ],
)
def test_our_own_mistakes_are_value_errors(message: msg.Message) -> None:
    with pytest.raises(ValueError):
        codec.encode(message, CONTEXT)


def params(**changes: Any) -> SessionParams:
    values: dict[str, Any] = {f.name: 1 for f in dataclasses.fields(SessionParams)}
    values |= {
        "mode": Mode.GROUPED,
        "rule": Rule.OUTLIER,
        "dimension": 10**5,
        "group_size": 3,
        "groups": 4,
        "committee": 5,
        "proof_key": bytes(32),
    }
    return SessionParams(**(values | changes))


def test_limits_follow_from_the_session() -> None:
    limits = codec.limits_for(params())
    assert (limits.owners, limits.group, limits.dimension, limits.committee) == (12, 5, 10**5, 5)
    assert codec.limits_for(params(groups=1)).group == 3
    vector = 8 * (10**5 + 1)
    assert vector < limits.largest < vector + 1000
    fits = msg.Upload(SENDER, HASH, (), KEY, bytes(limits.number("sealed-piece")))
    codec.decode(codec.encode(fits, CONTEXT), CONTEXT, limits)
    larger = msg.Upload(SENDER, HASH, (), KEY, bytes(limits.number("sealed-piece") + 1))
    assert rule_of(codec.encode(larger, CONTEXT), limits=limits) == "field-length"
    assert (
        rule_of(codec.encode(msg.Upload(SENDER, HASH, (), KEY, bytes(2 * vector)), CONTEXT), limits=limits)
        == "oversized"
    )
    assert codec.Limits.generous().largest > limits.largest
