"""Certificate zk, in public: the batch that the contract has verified, once more, and what follows from its values.

Only sessions with such a certificate load this module: behind it is the arithmetic of the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from omninode.roles.outcome import bits
from omninode.roles.verify_public import Findings, Public
from protocols.sessions.params import REFERENCE, Bitmap
from protocols.sessions.view import SessionView
from protocols.sessions.zk_judgement import Judgement, by_address, judge, statement_of
from protocols.sessions.zk_upload import session_of
from protocols.zk.batch import Batch, check_batch
from protocols.zk.errors import Refused
from protocols.zk.hashing import word
from protocols.zk.key import Key
from protocols.zk.params import Statement, record_bytes
from protocols.zk.statement import decode_values, value_count


@dataclass(frozen=True, slots=True)
class Posted:
    """A postProof by its arguments. order: registration indices of its data owners.  values: as signed integers."""

    statement: Statement
    order: tuple[int, ...]
    dos: bytes
    data: bytes
    proof: bytes
    values: tuple[int, ...]


def check_proof(found: Findings, public: Public, key: Key | None) -> None:
    """key: of this node's reference string; None: then the proof is not checked again, and that is said."""
    view = public.view
    assert view.batch is not None and view.proved is not None
    accepted, valid = bits(view.batch.accepted), set(bits(view.sets[Bitmap.VALID]))
    found.add("accepted data owners are valid", set(accepted) <= valid - {REFERENCE})
    posted = _posted(public)
    if posted is None:
        found.add("the contract has checked the proof", True, "event Proved; the call that posted it was not found: "
                  "it went through another contract, so that its values are not looked at again here")  # fmt: skip
        return
    found.add("proof found", True)
    found.add("values hash on chain is that of the values posted", keccak(posted.data) == view.proved.values_hash)
    found.add("batch hash on chain is that of the batch posted", _batch_hash(public) == view.batch.batch_hash)
    wrong = _foreign_records(view, posted)
    found.add("records are those that were committed to, of all that are valid", not wrong, wrong)
    wanted, count = value_count(posted.statement, len(posted.order)), len(posted.values)
    if not found.add("there is a value for everything that is proved", count == wanted, f"{count} of {wanted}"):
        return
    judged = judge(view.p, posted.statement, posted.order, len(view.members), posted.values)
    said = f"{len(judged.accepted)} of {len(posted.order)}"
    found.add("accepted data owners follow from the proved values", list(judged.accepted) == accepted, said)
    same = judged.scores == view.scores
    found.add("scores on chain follow from the proved values", same, f"{len(view.scores)} scores")
    if key is not None:
        _check_again(found, public, posted, judged, key)
    else:
        found.add("the contract has checked the proof", True, "not repeated here: no reference string, or another")


def _posted(public: Public) -> Posted | None:
    """What the settling transaction said, put in order; None if there is none.

    Where nothing is opened the contract takes any values and proof, and does not look at them.
    """
    view, call = public.view, public.proof
    if call is None:
        return None
    valid = view.sets[Bitmap.VALID]
    addresses = {k: view.uploader(k) for k in bits(valid) if k != REFERENCE}
    statement = statement_of(view.p, valid)
    data, proof = (call["values"], call["proof"]) if statement is not Statement.NONE else (b"", b"")
    try:
        values = decode_values(data)
    except Refused:
        values = ()
    return Posted(statement, tuple(by_address(addresses)), call["dos"], data, proof, values)


def _batch_hash(public: Public) -> bytes:
    """As the market computes it."""
    view = public.view
    assert view.batch is not None and view.proved is not None and public.proof is not None
    words = b"".join(map(word, (view.session, view.sets[Bitmap.VALID], view.batch.accepted)))
    return keccak(words + view.proved.values_hash + keccak(public.proof["proof"]))


def _foreign_records(view: SessionView, posted: Posted) -> str:
    """What is wrong with the records, "" if nothing."""
    size = record_bytes(view.p.statement is not Statement.GRAM)
    expected: Sequence[int] = ((REFERENCE,) if posted.statement is Statement.SCORE else ()) + posted.order
    if len(posted.dos) != size * len(expected):
        return f"{len(posted.dos)} bytes for {len(expected)} records"
    records = [posted.dos[at : at + size] for at in range(0, len(posted.dos), size)]
    pairs = zip(expected, records, strict=True)
    foreign = [
        k for k, record in pairs if keccak(record) != view.upload_roots.get(k) or record[12:32] != view.uploader(k)
    ]
    return f"not those of {foreign}" if foreign else ""


def _check_again(found: Findings, public: Public, posted: Posted, judged: Judgement, key: Key) -> None:
    """The very check of the contract, under the key of this node's own string."""
    view = public.view
    assert view.proved is not None
    batch = Batch(posted.statement, posted.dos, judged.mask, posted.data, posted.proof)
    try:
        checked = check_batch(key, session_of(public.context, view.p), batch, view.p.bound**2)
    except Refused as error:
        found.add("the proof holds", False, f"{error.check}, record {error.index}")
        return
    found.add("the proof holds", True, f"{posted.statement.name.lower()}, {len(posted.order)} data owners")
    found.add("the sum is committed to as the chain says", checked.c_agg == view.proved.aggregate)
