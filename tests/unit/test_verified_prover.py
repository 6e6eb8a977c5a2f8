"""Uploads at a verified prover: who may, when, with what; the shelf; what the machine says and refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from omninode.store.shelf import DiskShelf
from protocols.errors import RemoteProtocolError
from protocols.fields import goldilocks as gl
from protocols.pine.params import choose
from protocols.pine.upload import Piece, make_upload
from protocols.secagg.keys import public_of
from protocols.secagg.seal import seal, upload_associated
from protocols.sessions import effects as fx
from protocols.sessions import events as ev
from protocols.sessions import machines
from protocols.sessions.identity import Identity
from protocols.sessions.params import REFERENCE, Beacon, Bitmap, Mode, Phase, Rule
from protocols.sessions.prover import ProverMachine
from protocols.sessions.shelf import MemoryShelf, Shelf, get_vector, put_vector
from protocols.sessions.verified_prover import VerifiedProverMachine
from protocols.sessions.verified_upload import upload_key_digest
from protocols.wire import messages as msg
from protocols.wire.context import Context
from tests.simulation.session import small_params
from tests.simulation.wallets import Wallets, enc_public

CONTEXT = Context(31337, b"\xcc" * 20, 7)
WALLETS = Wallets()
OWNER, STRANGER = WALLETS.new("owner"), WALLETS.new("stranger")
DATA_OWNERS = [WALLETS.new(f"data owner {k}") for k in range(3)]
PROVERS = [WALLETS.new(f"prover {i}") for i in range(5)]
PARAMS = small_params(mode=Mode.VERIFIED, rule=Rule.TRUST, owner=OWNER.address, groups=3)
PINE = choose(PARAMS.dimension, PARAMS.bound)
SECRET = bytes(range(32))


@lru_cache
def pieces(identity: Identity, salt: int = 0, context: Context = CONTEXT) -> tuple[bytes, list[Piece]]:
    x = gl.from_signed(np.arange(PARAMS.dimension, dtype=np.int64) - 7)
    return make_upload(PINE, context, identity.address, x, 5, 1, bytes([salt]) * 32)


def upload(identity: Identity, i: int, salt: int = 0, context: Context = CONTEXT) -> msg.Upload:
    """What this wallet sends to the prover with committee index i."""
    root, made = pieces(identity, salt, context)
    return sealed(identity, i, root, made[i])


def sealed(identity: Identity, i: int, root: bytes, piece: Piece) -> msg.Upload:
    associated = upload_associated(identity.address, PROVERS[i].address)
    data = seal(CONTEXT, SECRET, enc_public(PROVERS[i]), associated, piece.plain)
    return msg.Upload(identity.address, root, piece.proof, public_of(SECRET), data, piece.public)


def machine(
    i: int = 3, shelf: Shelf | None = None, phase: Phase = Phase.UPLOAD, **changes: Any
) -> VerifiedProverMachine:
    """A prover of the committee in phase REGISTER or UPLOAD."""
    made = VerifiedProverMachine(CONTEXT, PROVERS[i], bytes(32), shelf)
    infos = tuple(ev.ProverInfo(p.address, bytes(32), enc_public(p)) for p in PROVERS)
    made.chain(ev.SessionCreated(7, 1, replace(PARAMS, **changes)))
    made.chain(ev.CommitteeDrawn(7, 2, infos))
    made.chain(ev.PhaseChanged(7, 3, Phase.REGISTER, 9))
    for k, identity in enumerate(DATA_OWNERS):
        digest = upload_key_digest(CONTEXT, identity.address, public_of(SECRET))
        made.chain(ev.Registered(7, 4, k, identity.address, bytes(32), digest))
    if phase > Phase.REGISTER:
        made.chain(ev.SetFixed(7, 5, Bitmap.BUNDLES, 7))
        made.chain(ev.PhaseChanged(7, 5, Phase.UPLOAD, 20))
    for later in range(Phase.DELIVERED, phase + 1):
        made.chain(ev.PhaseChanged(7, 6, Phase(later), 30))
    return made


def rule_of(made: VerifiedProverMachine, message: msg.Message) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        made.receive(message)
    return caught.value.rule


# ------------------------------------------------------------------------------------------------------- the shelf


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_shelf_keeps_bytes_and_vectors(kind: str, tmp_path: Any) -> None:
    shelf: Shelf = MemoryShelf() if kind == "memory" else DiskShelf(tmp_path / "shelf")
    vector = gl.vector([1, gl.P - 1, 5])
    put_vector(shelf, "a/b", vector)
    view = get_vector(shelf, "a/b")
    shelf.put("a/b", b"other")
    assert bytes(shelf.get("a/b")) == b"other" and np.array_equal(view, vector) and not view.flags.writeable
    assert gl.dot(view, view) == gl.dot(vector, vector)
    shelf.drop("a/b")
    shelf.drop("a/b")
    with pytest.raises(KeyError):
        shelf.get("a/b")
    assert np.array_equal(view, vector)


def test_the_mode_chooses_the_machine() -> None:
    made = [machines.prover(small_params(mode=m), CONTEXT, PROVERS[0], bytes(32), MemoryShelf()) for m in Mode]
    assert [type(m) for m in made] == [ProverMachine, VerifiedProverMachine]


# --------------------------------------------------------------------------------------------------------- uploads


@pytest.mark.parametrize("i", [0, 3])
def test_an_upload_is_answered_by_a_receipt_and_lies_on_the_shelf(i: int) -> None:
    shelf = MemoryShelf()
    made = machine(i, shelf)
    message = upload(DATA_OWNERS[1], i)
    (reply,) = made.receive(message)
    assert isinstance(reply, fx.Reply) and isinstance(reply.message, msg.Receipt)
    assert made.receive(message) == [reply] and made.status()["pieces"] == [1]
    piece = made._uploads.held[1]
    assert piece.share.shape == (PINE.share_length,) and bytes(shelf.get("piece-1"))
    published = piece.opening(PROVERS[i].address, 1)
    made.chain(ev.UploadCommitted(7, 6, 1, message.root))
    assert np.array_equal(made._uploads.pieces.published(published, i + 1), piece.share)
    for wrong in (
        replace(published, piece=published.piece[:-1]), replace(published, blind=bytes(96)),
        replace(published, root=bytes(32)), replace(published, public=bytes(len(published.public))),
    ):  # fmt: skip
        with pytest.raises(RemoteProtocolError) as caught:
            made._uploads.pieces.published(wrong, i + 1)
        assert caught.value.rule == "bad-proof"


def bent(change: Callable[[Piece], Piece]) -> msg.Upload:
    root, made = pieces(DATA_OWNERS[0])
    return sealed(DATA_OWNERS[0], 3, root, change(made[3]))


HEAD = 33  # root of the leaves and degree, before the packed update
BAD: dict[str, Callable[[], msg.Upload]] = {
    "for another prover": lambda: upload(DATA_OWNERS[0], 2),
    "of another session": lambda: upload(DATA_OWNERS[0], 3, 0, replace(CONTEXT, session=8)),
    "no seal": lambda: replace(upload(DATA_OWNERS[0], 3), sealed=bytes(100)),
    "short": lambda: bent(lambda p: replace(p, data=p.data[:-8])),
    "long": lambda: bent(lambda p: replace(p, data=p.data + bytes(8))),
    "empty": lambda: bent(lambda p: replace(p, data=b"")),
    "not canonical": lambda: bent(lambda p: replace(p, data=p.data[: HEAD + 1] + b"\xff" * 8 + p.data[HEAD + 9 :])),
    "a flipped bit": lambda: bent(lambda p: replace(p, data=p.data[:-1] + bytes([p.data[-1] ^ 1]))),
    "another blind": lambda: bent(lambda p: replace(p, blind=bytes(96))),
    "another path": lambda: bent(lambda p: replace(p, proof=p.proof[::-1])),
    "no public part": lambda: bent(lambda p: replace(p, public=b"")),
    "another public part": lambda: bent(lambda p: replace(p, public=p.public[32:] + p.public[:32])),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_piece_is_refused_and_leaves_no_trace(name: str) -> None:
    shelf = MemoryShelf()
    made = machine(shelf=shelf)
    assert rule_of(made, BAD[name]()) == "bad-piece"
    assert made.status()["pieces"] == [] and shelf._items == {}
    assert len(made.receive(upload(DATA_OWNERS[0], 3))) == 1  # the good one is still taken


def test_who_may_upload_when() -> None:
    good = upload(DATA_OWNERS[0], 3)
    assert rule_of(machine(phase=Phase.REGISTER), good) == "too-early"
    assert rule_of(machine(phase=Phase.DELIVERED), good) == "late"  # no root was committed
    assert rule_of(machine(), replace(good, sender=STRANGER.address)) == "wrong-sender"
    assert rule_of(machine(), replace(good, enc_key=bytes(32))) == "wrong-keys"
    late = machine()
    late.chain(ev.UploadCommitted(7, 6, 0, good.root))
    late.chain(ev.SetFixed(7, 7, Bitmap.DELIVERED, 0))
    late.chain(ev.BeaconSet(7, 7, Beacon.QUERY, bytes(32)))
    late.chain(ev.PhaseChanged(7, 7, Phase.VALID, 30))
    assert rule_of(late, good) == "late"


def test_the_reference_comes_while_data_owners_register() -> None:
    reference = upload(OWNER, 3)
    made = machine(phase=Phase.REGISTER)
    assert len(made.receive(reference)) == 1 and made.status()["pieces"] == [REFERENCE]
    assert rule_of(machine(phase=Phase.UPLOAD), reference) == "late"
    assert rule_of(machine(phase=Phase.REGISTER, rule=Rule.NONE), reference) == "wrong-sender"
    made = machine(phase=Phase.REGISTER)
    made.chain(ev.ReferenceCommitted(7, 5, reference.root))
    made.chain(ev.PhaseChanged(7, 5, Phase.UPLOAD, 20))
    assert len(made.receive(reference)) == 1


def test_a_second_upload_is_refused() -> None:
    made = machine()
    made.receive(upload(DATA_OWNERS[0], 3))
    assert rule_of(made, upload(DATA_OWNERS[0], 3, 1)) == "roots-differ"
    assert rule_of(made, replace(upload(DATA_OWNERS[0], 3), public=b"")) == "upload-twice"
    made.chain(ev.UploadCommitted(7, 6, 0, upload(DATA_OWNERS[0], 3).root))
    assert rule_of(made, upload(DATA_OWNERS[0], 3, 1)) == "wrong-root"


@pytest.mark.parametrize("identity", [DATA_OWNERS[0], OWNER], ids=["data owner", "reference"])
def test_a_piece_under_a_root_that_is_not_committed_is_dropped(identity: Identity) -> None:
    shelf = MemoryShelf()
    reference = identity is OWNER
    made = machine(shelf=shelf, phase=Phase.REGISTER if reference else Phase.UPLOAD)
    made.receive(upload(identity, 3))
    event = ev.ReferenceCommitted(7, 6, bytes(32)) if reference else ev.UploadCommitted(7, 6, 0, bytes(32))
    made.chain(event)
    assert made.status()["pieces"] == [] and shelf._items == {}
    assert rule_of(made, upload(identity, 3)) == "wrong-root"


def test_the_bitmap_holds_the_reference_too() -> None:
    made = machine(phase=Phase.REGISTER)
    effects = made.receive(upload(OWNER, 3)) + made.chain(ev.ReferenceCommitted(7, 5, upload(OWNER, 3).root))
    made.chain(ev.PhaseChanged(7, 5, Phase.UPLOAD, 20))
    made.receive(upload(DATA_OWNERS[2], 3))
    made.chain(ev.UploadCommitted(7, 6, 2, upload(DATA_OWNERS[2], 3).root))
    effects = made.chain(ev.PhaseChanged(7, 7, Phase.DELIVERED, 30))
    (post,) = [e for e in effects if isinstance(e, fx.Transact)]
    assert post.call == "postBitmap" and post.args == (int(Bitmap.DELIVERED), 1 << REFERENCE | 1 << 2)
    late = made.receive(upload(DATA_OWNERS[2], 3))
    assert len(late) == 1  # in the bitmap: the receipt convicts nobody


@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (msg.Unmask(PROVERS[1].address, 0, (), (), (), (), ()), "unexpected-type"),
        (msg.RebuildShare(PROVERS[1].address, 0, b""), "unasked"),
        (msg.Opening(PROVERS[1].address, "gram", 0, b""), "unknown-label"),
        (msg.Opening(PROVERS[1].address, "proofs", 0, b""), "too-early"),
        (msg.Opening(PROVERS[1].address, "products", 0, b""), "too-early"),
        (msg.Opening(DATA_OWNERS[1].address, "proofs", 0, b""), "wrong-sender"),
        (msg.OutputRequest(DATA_OWNERS[1].address), "wrong-sender"),
    ],
    ids=str,
)
def test_what_has_no_place_here_is_refused(message: msg.Message, rule: str) -> None:
    assert rule_of(machine(), message) == rule


def test_whoever_is_not_drawn_takes_no_part() -> None:
    made = VerifiedProverMachine(CONTEXT, STRANGER, bytes(32))
    made.chain(ev.SessionCreated(7, 1, PARAMS))
    assert rule_of(made, upload(DATA_OWNERS[0], 3)) == "not-ready"
    assert made.status()["point"] is None
