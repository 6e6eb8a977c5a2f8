"""Transcripts that were tampered with: refused, and the first bad entry is named."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.roles.events_codec import pack_events, unpack_events
from protocols.fields import goldilocks as gl
from protocols.sessions import events as ev
from protocols.sessions.params import Bitmap, Mode, Payout, Phase, Rule
from protocols.wire import codec
from protocols.wire.messages import BatchSignature, Message, Opening, OutputShare, Upload
from tests.simulation.attacks import lie_in
from tests.simulation.session import Session
from tests.unit.verify_kit import Kept, Row

VERIFIED = {"mode": Mode.VERIFIED, "rule": Rule.TRUST, "payout": Payout.CONTRIBUTION}


@pytest.fixture(scope="module", params=["grouped", "verified"])
def played(request: pytest.FixtureRequest) -> Session:
    return Session(3, **(VERIFIED if request.param == "verified" else {})).run()


@pytest.fixture(scope="module")
def originals(played: Session, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kept]:
    nodes = {"prover": played.committee()[0], "model_owner": played.owner, "data_owner": played.registered()[0]}
    return {role: Kept.of(tmp_path_factory.mktemp(role), played, node, role) for role, node in nodes.items()}


def copied(original: Kept) -> Kept:
    """The same on other ground, to change."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(original.folder, folder, dirs_exist_ok=True)
    return replace(original, folder=folder)


@pytest.fixture
def copy(originals: dict[str, Kept]) -> Iterator[Callable[[str], Kept]]:
    made: list[Kept] = []

    def make(role: str) -> Kept:
        made.append(copied(originals[role]))
        return made[-1]

    yield make
    for kept in made:
        shutil.rmtree(kept.folder)


def messages(kept: Kept, kind: type[Message]) -> list[tuple[int, Message]]:
    """Entries of this type."""
    limits = codec.limits_for(kept.node.machine.view.p)
    rows = [row for row in kept.rows() if row["kind"] == "message" and row["payload"] is not None]
    found = [(row["seq"], codec.decode(row["payload"], kept.node.context, limits)) for row in rows]
    return [(seq, message) for seq, message in found if isinstance(message, kind)]


def rewritten(kept: Kept, seq: int, message: Message) -> None:
    """Another message in an entry, as if it had always been so: links, seals and end as well."""
    rows = kept.rows()
    rows[seq]["payload"] = codec.encode(message, kept.node.context)
    kept.write(rows, link=True, count=True)
    kept.unseal()


@pytest.mark.parametrize("role", ["prover", "model_owner", "data_owner"])
def test_an_honest_transcript_holds(originals: dict[str, Kept], role: str) -> None:
    replay = originals[role].replay()
    assert replay.links.linked == len(originals[role].rows())
    assert replay.links.sealed >= 1
    assert replay.faults == []
    assert replay.machine.view.phase == Phase.FINISHED


# -- what partial edits leave behind ----------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_change_is_refused_at_its_entry(originals: dict[str, Kept], data: st.DataObject) -> None:
    kept = copied(originals[data.draw(st.sampled_from(["prover", "model_owner", "data_owner"]))])
    try:
        rows = kept.rows()
        seq = data.draw(st.integers(0, len(rows) - 1))
        expected = CHANGES[data.draw(st.sampled_from(sorted(CHANGES)))](kept, rows, seq, data)
        bad = kept.first_bad()
        assert bad is not None
        assert bad.seq == expected, str(bad)
    finally:
        shutil.rmtree(kept.folder)


def change_byte(kept: Kept, rows: list[Row], seq: int, data: st.DataObject) -> int:
    """In the payload, be it in the database or in a file."""
    at = data.draw(st.integers(0, max(len(rows[seq]["payload"]) - 1, 0)))
    changed = bytearray(rows[seq]["payload"] or b"\x00")
    changed[at] ^= data.draw(st.integers(1, 255))
    rows[seq]["payload"] = bytes(changed)
    kept.write(rows)
    return seq


def change_kind(kept: Kept, rows: list[Row], seq: int, data: st.DataObject) -> int:
    kinds = [k for k in ("chain", "tick", "message", "update", "other") if k != rows[seq]["kind"]]
    rows[seq]["kind"] = data.draw(st.sampled_from(kinds))
    kept.write(rows)
    return seq


def take_out(kept: Kept, rows: list[Row], seq: int, data: st.DataObject) -> int:
    kept.write(rows[:seq] + rows[seq + 1 :], number=data.draw(st.booleans()))
    return seq


def put_in(kept: Kept, rows: list[Row], seq: int, data: st.DataObject) -> int:
    """A copy of another entry, with a link that somebody made up, or its old one, or none."""
    link = data.draw(st.sampled_from([rows[0]["link"], bytes(32), None]))
    extra = {**data.draw(st.sampled_from(rows)), "link": link}
    kept.write([*rows[:seq], extra, *rows[seq:]], number=True)
    if seq == 0 and link is None:  # as an earlier version wrote it: found by what it says, or by the second link
        bad = kept.first_bad()
        return bad.seq if bad is not None and bad.seq <= 1 else -1
    same = seq == 0 and link == rows[0]["link"] and extra["payload"] == rows[0]["payload"]
    return 1 if same else seq


def swap(kept: Kept, rows: list[Row], seq: int, data: st.DataObject) -> int:
    other = data.draw(st.integers(0, len(rows) - 1).filter(lambda i: i != seq))
    rows[seq], rows[other] = rows[other], rows[seq]
    kept.write(rows, number=True)
    return min(seq, other)


def cut_off(kept: Kept, rows: list[Row], seq: int, data: st.DataObject) -> int:
    kept.write(rows[:seq])
    return seq


def take_links(kept: Kept, rows: list[Row], seq: int, data: st.DataObject) -> int:
    """Of one entry."""
    rows[seq]["link"] = None
    kept.write(rows)
    return seq if seq else 1


CHANGES = {f.__name__: f for f in (change_byte, change_kind, take_out, put_in, swap, cut_off, take_links)}


def test_a_damaged_file_is_named(copy: Callable[[str], Kept]) -> None:
    kept = copy("prover")
    seq = messages(kept, Upload)[0][0]
    rows = kept.rows()
    content = rows[seq]["payload"]
    digest = hashlib.sha256(content).digest()
    rows[seq] |= {"payload": None, "digest": digest}
    kept.write(rows)
    files = kept.folder / "journal"
    files.mkdir(exist_ok=True)
    (files / digest.hex()).write_bytes(content)
    assert kept.first_bad() is None  # where a payload lies does not matter
    (files / digest.hex()).write_bytes(content[:-1] + b"?")
    bad = kept.first_bad()
    assert bad is not None
    assert (bad.seq, bad.rule) == (seq, "damaged")


# -- what careful hands leave behind ----------------------------------------------------------------------------------


def test_a_seal_tells_of_new_links(copy: Callable[[str], Kept]) -> None:
    """The links are made anew, the safety records are not: no later than at the next record it is seen."""
    kept = copy("prover")
    rows = kept.rows()
    (seq, first), (other, second) = messages(kept, Upload)[-2:]
    rows[seq], rows[other] = {**rows[other], "seq": seq}, {**rows[seq], "seq": other}
    kept.write(rows, link=True, count=True)
    bad = kept.first_bad()
    assert bad is not None
    assert bad.rule == "wrong-seal"
    assert "query-beacon" in bad.detail
    assert first != second


def test_chain_events_are_those_of_the_chain(copy: Callable[[str], Kept]) -> None:
    """Each journaled block with an event less, one more, or others, and with all links made anew."""
    for role, first in (("prover", 0), ("data_owner", 1)):
        kept = copy(role)
        rows = kept.rows()
        for turn, seq in enumerate((row["seq"] for row in rows if row["kind"] == "chain"), start=first):
            block, events = unpack_events(rows[seq]["payload"])
            changes = events[:-1], [*events, events[-1]], [replace(e, block=e.block + 1) for e in events]
            forged = {**rows[seq], "payload": pack_events(block, changes[turn % 3])}
            kept.write([*rows[:seq], forged, *rows[seq + 1 :]], link=True, count=True)
            kept.unseal()
            bad = kept.first_bad()
            assert bad is not None
            assert bad.seq == seq, str(bad)
            assert bad.rule in ("missing-event", "not-on-chain")


def test_a_block_left_out_is_named_where_it_is_missed(copy: Callable[[str], Kept]) -> None:
    kept = copy("prover")
    rows = kept.rows()
    chain = [row["seq"] for row in rows if row["kind"] == "chain"]
    for left_out, missed in [*pairwise(chain), (chain[-1], len(rows))]:
        kept.write([row for row in rows if row["seq"] != left_out], number=True, link=True, count=True)
        kept.unseal()
        bad = kept.first_bad()
        assert bad is not None
        assert left_out <= bad.seq <= missed - 1, str(bad)  # an entry that needs the block may come first


def test_the_chain_after_the_end_is_not_ours(copy: Callable[[str], Kept]) -> None:
    """Whoever has finished stops reading; what the chain says before the end must be there."""
    kept = copy("prover")
    last = kept.events[-1].block
    kept.events = [*kept.events, ev.Attested(kept.session, last + 9, 1, 0)]
    assert kept.first_bad() is None
    kept.events.insert(-2, ev.Attested(kept.session, last, 1, 0))
    bad = kept.first_bad()
    assert bad is not None
    assert bad.rule in ("not-on-chain", "missing-event")


def test_the_combinations_on_the_chain_are_those_that_were_asked_for(copy: Callable[[str], Kept]) -> None:
    """The chain holds another posting of ours than the machine makes from what is in the journal: an entry changed."""
    kept = copy("prover")
    seat = kept.node.machine.view.prover_index(kept.node.address)

    def other(event: ev.ChainEvent) -> ev.ChainEvent:
        ours = isinstance(event, ev.OpeningsPosted) and event.prover == seat
        return replace(event, values=bytes(len(event.values))) if ours else event  # type: ignore[attr-defined,call-arg]

    rows = kept.rows()
    kept.events = [other(event) for event in kept.events]
    for row in rows:
        if row["kind"] == "chain":
            block, events = unpack_events(row["payload"])
            row["payload"] = pack_events(block, [other(event) for event in events])
    kept.write(rows, link=True, count=True)
    kept.unseal()
    bad = kept.first_bad()
    assert bad is not None
    assert (bad.rule, bad.kind) == ("said-otherwise", "chain") and "OpeningsPosted" in bad.detail


def test_a_changed_opening_is_a_lie_that_was_none(copy: Callable[[str], Kept]) -> None:
    """Robust decoding corrects it; but then the machine names a prover that it had not named."""
    kept = copy("prover")
    for seq, message in messages(kept, Opening):
        assert isinstance(message, Opening)
        fresh = copied(kept)
        values = gl.from_bytes(message.values)
        rewritten(fresh, seq, replace(message, values=gl.to_bytes(gl.add(values, gl.vector([1] * len(values))))))
        replay = fresh.replay()
        faults = [fault for fault in replay.faults if fault.wrong is not None]
        assert [fault.wrong.seq for fault in faults if fault.wrong] == [seq]
        assert faults[0].blame.peer == message.sender
        assert replay.machine.status()["faulty"] == [message.sender.hex()]
        shutil.rmtree(fresh.folder)


def test_two_changed_openings_are_refused(copy: Callable[[str], Kept]) -> None:
    """Two lies are more than t = 1: nothing is decoded, or something else than what was signed."""
    kept = copy("prover")
    label = "gram" if kept.node.machine.view.p.mode == Mode.GROUPED else "products"
    rows = kept.rows()
    for seq, message in messages(kept, Opening):
        assert isinstance(message, Opening)
        if message.label == label:
            lie = gl.to_bytes(gl.add(gl.from_bytes(message.values), gl.vector([7] * (len(message.values) // 8))))
            rows[seq]["payload"] = codec.encode(replace(message, values=lie), kept.node.context)
    kept.write(rows, link=True, count=True)
    kept.unseal()
    bad = kept.first_bad()
    digest = None if bad else kept.replay().machine.status()["digest"]
    assert bad is not None or digest is None


def test_signed_messages_are_refused_by_the_machine(copy: Callable[[str], Kept]) -> None:
    kept = copy("prover")
    seq, message = messages(kept, BatchSignature)[0]
    assert isinstance(message, BatchSignature)
    rewritten(kept, seq, replace(message, passed=message.passed ^ 1))
    bad = kept.first_bad()
    assert bad is not None
    assert (bad.seq, bad.rule, bad.sender) == (seq, "bad-signature", message.sender.hex())
    assert bad.kind == codec.type_name(message)


def test_a_strangers_message_is_refused(copy: Callable[[str], Kept]) -> None:
    kept = copy("prover")
    seq, message = messages(kept, Opening)[0]
    rewritten(kept, seq, replace(message, sender=bytes(20)))
    bad = kept.first_bad()
    assert bad is not None
    assert (bad.seq, bad.rule) == (seq, "wrong-sender")


def test_a_tick_that_never_was_is_refused(copy: Callable[[str], Kept]) -> None:
    kept = copy("prover")
    rows = kept.rows()
    extra = {**rows[3], "kind": "tick", "payload": (3).to_bytes(8, "big")}
    kept.write([*rows[:3], extra, *rows[3:]], number=True, link=True, count=True)
    kept.unseal()
    bad = kept.first_bad()
    assert bad is not None
    assert (bad.seq, bad.rule) == (3, "idle-tick")


def test_another_seed_says_other_things(copy: Callable[[str], Kept]) -> None:
    """A safety record, or a transaction on the chain, tells at which entry."""
    kept = copy("data_owner")
    honest = kept.node._make
    other = Session(4, **VERIFIED if kept.node.machine.view.p.mode == Mode.VERIFIED else {}).owners
    stranger = next(node for node in other if node.address == kept.node.address)
    kept.node = replace_make(kept.node, stranger._make)
    bad = kept.first_bad()
    kept.node = replace_make(kept.node, honest)
    assert bad is not None
    assert bad.rule in ("said-otherwise", "wrong-receipt", "refused"), str(bad)


def replace_make(node, make):  # type: ignore[no-untyped-def]
    """The same node with other machines."""
    node._make = make
    return node


def test_our_bitmap_on_the_chain_is_what_we_asked_for(copy: Callable[[str], Kept]) -> None:
    """An upload taken out, links and seals made anew: the machine would not have voted so."""
    kept = copy("prover")
    rows = kept.rows()
    uploads = {seq for seq, _ in messages(kept, Upload)[:1]}
    kept.write([row for row in rows if row["seq"] not in uploads], number=True, link=True, count=True)
    kept.unseal()
    bad = kept.first_bad()
    assert bad is not None
    assert bad.seq >= min(uploads)


def test_an_output_share_that_was_changed_makes_a_liar(copy: Callable[[str], Kept]) -> None:
    kept = copy("model_owner")
    seq, message = messages(kept, OutputShare)[0]
    assert isinstance(message, OutputShare)
    values = gl.from_bytes(message.values)
    rewritten(kept, seq, replace(message, values=gl.to_bytes(gl.add(values, gl.vector([1] * len(values))))))
    faults = kept.replay().faults
    assert [fault.wrong.seq for fault in faults if fault.wrong] == [seq]
    assert faults[0].blame.peer == message.sender


def test_the_sum_is_the_one_recorded(copy: Callable[[str], Kept]) -> None:
    """All shares changed alike: another sum, which the safety journal does not know."""
    kept = copy("model_owner")
    rows = kept.rows()
    for seq, message in messages(kept, OutputShare):
        assert isinstance(message, OutputShare)
        values = gl.from_bytes(message.values)
        shifted = replace(message, values=gl.to_bytes(gl.add(values, gl.vector([1] * len(values)))))
        rows[seq]["payload"] = codec.encode(shifted, kept.node.context)
    kept.write(rows, link=True, count=True)
    kept.unseal()
    bad = kept.first_bad()
    assert bad is not None
    assert (bad.rule, bad.kind) == ("said-otherwise", "output-share")
    assert "another value for output/" in bad.detail


# -- journals of before -----------------------------------------------------------------------------------------------


def test_a_journal_without_links_is_verified_by_replay(copy: Callable[[str], Kept]) -> None:
    kept = copy("prover")
    kept.write([{**row, "link": None} for row in kept.rows()])
    kept.unseal()
    kept.execute("UPDATE sessions SET entries = NULL, link = NULL")
    replay = kept.replay()
    assert replay.links.linked == 0
    assert replay.machine.view.in_set(Bitmap.VALID, 0)


def test_taking_all_links_is_seen_by_the_seals(copy: Callable[[str], Kept]) -> None:
    kept = copy("prover")
    kept.write([{**row, "link": None} for row in kept.rows()])
    bad = kept.first_bad()
    assert bad is not None
    assert bad.rule == "wrong-seal"
    kept.unseal()
    bad = kept.first_bad()
    assert bad is not None
    assert bad.rule == "wrong-end"


def test_lies_that_were_lies_then_are_no_tampering(tmp_path: Path) -> None:
    """A prover that really lied is named in the replay as it was named then."""
    session = Session(5, **VERIFIED)  # type: ignore[arg-type]
    session.provers[1].twist = lie_in("products")
    session.run()
    honest = next(node for node in session.committee() if node is not session.provers[1])
    replay = Kept.of(tmp_path, session, honest, "prover").replay()
    assert replay.machine.status() == honest.machine.status()
    assert replay.machine.status()["faulty"] == [session.provers[1].address.hex()]
