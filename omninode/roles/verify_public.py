"""What anybody can check of a settled session again: from the chain's events, calldata and views alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from omninode.roles.outcome import bits, payouts
from protocols.gram.distances import from_upper
from protocols.selection import rules
from protocols.sessions.draw import group_order
from protocols.sessions.params import REFERENCE, Beacon, Bitmap, Mode, Phase
from protocols.sessions.view import SessionView, split_groups
from protocols.wire import eip712
from protocols.wire.context import Context

if TYPE_CHECKING:
    from omninode.chain.market import RawEvent

Recover = Callable[[bytes, bytes], bytes]


class Findings:
    """Checks in order, each with its result."""

    def __init__(self) -> None:
        self.checks: list[dict[str, Any]] = []

    def add(self, name: str, ok: bool, detail: str = "") -> bool:
        """Note one check."""
        self.checks.append({"name": name, "ok": ok, "detail": detail})
        return ok

    def skip(self, name: str, why: str) -> None:
        """Note a check that could not be made here: its ``ok`` is None, neither good nor bad."""
        self.checks.append({"name": name, "ok": None, "detail": why})


@dataclass(frozen=True)
class Public:
    """A session as the chain has it. history: all events by name.  batch: arguments of the postBatch that settled it.
    proof: of the postProof, with certificate zk.

    attests: arguments of every attest transaction, in order.  payouts: the contract's payoutOf by registration index.
    owed: what each data owner that has claimed nothing could claim now, in wei.  escrow: what the owner had to escrow.
    recover: digest, signature -> address; ValueError.
    """

    context: Context
    view: SessionView
    history: Sequence[RawEvent]
    batch: Mapping[str, Any] | None
    recover: Recover
    attests: Sequence[Mapping[str, Any]] = ()
    payouts: Mapping[int, int] = field(default_factory=dict)
    owed: Mapping[int, int] = field(default_factory=dict)
    escrow: int = 0
    proof: Mapping[str, Any] | None = None

    def named(self, name: str) -> list[dict[str, Any]]:
        """Arguments of the events of this name, in order."""
        return [event.args for event in self.history if event.name == name]

    @property
    def uploaders(self) -> list[int]:
        """Indices that may stand in a bitmap, ascending."""
        view = self.view
        reference = [REFERENCE] if view.p.mode == Mode.VERIFIED and view.p.uses_reference else []
        return [member.index for member in view.members] + reference


def check_sets(found: Findings, public: Public) -> None:
    """Each fixed set, again from the bitmaps: in iff at least n - t provers say so (and the commitment is there)."""
    view, verified = public.view, public.view.p.mode == Mode.VERIFIED
    roots = {Bitmap.BUNDLES: set(view.share_roots), Bitmap.DELIVERED: set(view.upload_roots)}
    for kind in Bitmap:
        if verified and kind == Bitmap.BUNDLES:
            registered = sum(1 << m.index for m in view.members)
            found.add("set bundles is who registered", registered == view.sets.get(kind))
            continue
        allowed = roots.get(kind, set(bits(view.sets.get(Bitmap.DELIVERED, 0))))
        expected = sum(1 << k for k in _voted(public, kind, allowed))
        found.add(f"set {kind.name.lower()} follows from the bitmaps", expected == view.sets.get(kind))


def _voted(public: Public, kind: Bitmap, allowed: set[int]) -> set[int]:
    view = public.view
    votes = dict(view.bitmaps.get(kind, {}))
    if kind == Bitmap.DELIVERED:
        for receipt in public.named("ReceiptPosted"):
            votes[receipt["prover"]] = votes.get(receipt["prover"], 0) | 1 << receipt["index"]
    quorum = view.p.committee - view.p.threshold
    return {k for k in public.uploaders if sum(v >> k & 1 for v in votes.values()) >= quorum} & allowed


def check_batch(found: Findings, public: Public) -> None:
    """The posted batch: its hash on chain, and the signatures of n - t members of the committee."""
    view, batch = public.view, public.batch
    assert view.batch is not None and batch is not None
    statement = (view.sets[Bitmap.VALID], batch["passed"], batch["values"], batch["digest"])
    found.add("batch hash on chain is that of the batch posted",
              eip712.batch_struct(public.context, *statement) == view.batch.batch_hash)  # fmt: skip
    digest = eip712.batch_digest(public.context, *statement)
    good = _good_signatures(public, digest, batch)
    enough = good == batch["signers"].bit_count() == len(batch["signatures"]) >= _quorum(view)
    found.add("batch is signed by n - t of the committee", enough, f"{good} good signatures")


def check_attestations(found: Findings, public: Public) -> None:
    """Whoever was named was named by n - t members that were not. Nothing is noted where nobody was."""
    if not public.attests:
        return
    view, ok, named = public.view, True, 0
    for attest in public.attests:
        named |= attest["provers"]
        digest = eip712.attestation_digest(public.context, attest["provers"], attest["dataOwners"])
        good = _good_signatures(public, digest, attest)
        ok &= good == attest["signers"].bit_count() == len(attest["signatures"]) >= _quorum(view)
        ok &= attest["signers"] & named == 0
    ok &= named & view.named_provers == view.named_provers
    found.add("attestations are signed by n - t of the committee", ok, f"{len(public.attests)} posted")


def _good_signatures(public: Public, digest: bytes, call: Mapping[str, Any]) -> int:
    good, committee = 0, public.view.committee
    seats = [seat for seat in bits(call["signers"]) if seat < len(committee)]
    for seat, signature in zip(seats, call["signatures"], strict=False):
        try:
            good += public.recover(digest, signature) == committee[seat].address
        except ValueError:
            continue
    return good


def _quorum(view: SessionView) -> int:
    return view.p.committee - view.p.threshold


def check_grouped(found: Findings, public: Public) -> None:
    """Mode grouped: the groups from the beacon, the selection from the posted distances, the survivors."""
    view, batch = public.view, public.batch
    assert view.batch is not None
    order = group_order(view.beacons[Beacon.GROUPS], [m.address for m in view.members])
    groups = split_groups(order, view.p.group_size, len(view.groups))
    found.add("groups follow from the beacon", groups == view.groups)
    if batch is None:
        return
    passed = [r for r in range(len(view.groups)) if batch["passed"] >> r & 1]
    distances = from_upper(len(passed), batch["values"])
    kept = rules.select(int(view.p.rule), distances, len(view.groups), len(passed), view.p.mu_bps, view.p.m_krum)
    selected = sum(1 << passed[i] for i in kept or ())
    found.add("selection follows from the posted distances", selected == view.batch.selected)
    valid = view.sets[Bitmap.VALID]
    members = [k for r, group in enumerate(view.groups) if selected >> r & 1 for k in group if valid >> k & 1]
    accepted = sum(1 << k for k in members)
    found.add("accepted data owners are the survivors of selected groups", accepted == view.batch.accepted)


def check_money(found: Findings, public: Public) -> None:
    """The contract owes, or has paid, each data owner its payout, recomputed, and its deposit; in all not too much.

    Only for a session that is Finished: before, nothing is owed.
    """
    view = public.view
    if view.phase != Phase.FINISHED:
        return
    try:
        due = payouts(view)
    except ValueError as error:
        found.add("payouts on chain are those recomputed", False, str(error))
        return
    wrong = [k for k, wei in enumerate(due) if public.payouts.get(k) != wei]
    total = f"{sum(due)} of {view.p.reward} wei to {sum(wei > 0 for wei in due)} data owners"
    found.add("payouts on chain are those recomputed", not wrong, f"differ: {wrong}" if wrong else total)
    found.add("payouts stay within the reward", sum(due) <= view.p.reward)
    claims = [(claim["who"], claim["amount"]) for claim in public.named("Claimed")]
    paid: Counter[bytes] = Counter()
    for who, amount in claims:
        paid[who] += amount
    wanted = {m.index: due[m.index] + _deposit(view, m.index) for m in view.members}
    short = [k for k, wei in wanted.items() if _has(public, paid, k) < wei]
    found.add("every data owner has or can claim its payout and deposit", not short,
              f"too little: {short}" if short else f"{len(claims)} claims")  # fmt: skip
    held = public.escrow + len(view.members) * view.p.deposit
    found.add("claims stay within the escrow", sum(paid.values()) <= held, f"{sum(paid.values())} of {held} wei")


def _has(public: Public, paid: Mapping[bytes, int], index: int) -> int:
    return paid[public.view.members[index].address] + public.owed.get(index, 0)


def _deposit(view: SessionView, index: int) -> int:
    return 0 if view.silent_owners >> index & 1 else view.p.deposit
