"""Unmasking: shares of a group's secrets, held against their dealers' roots, until all that are needed are rebuilt."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, islice

from protocols.errors import RemoteProtocolError
from protocols.secagg.rebuild import rebuild_mask_secret, rebuild_self_seed
from protocols.secagg.shares import MASK_KEY, SELF_SEED, verify_share
from protocols.sessions.effects import Blame, Effect, Note, Reply
from protocols.sessions.params import Bitmap, Phase, mask_threshold
from protocols.sessions.prover_bundles import BundleDesk
from protocols.sessions.prover_desk import Desk
from protocols.sessions.view import Member
from protocols.wire import codec
from protocols.wire.messages import Message, Unmask, UnmaskRelay, UnmaskRequest

Proven = tuple[int, bytes, bytes, tuple[bytes, ...]]  # kind, share, salt, path: proves itself against the dealer's root

MOST_TRIES = 64
"""Subsets of shares tried when good shares give a wrong secret (their dealer's fault: its group fails)."""


@dataclass
class UnmaskDesk:
    """secrets: per data owner the rebuilt b_k (members of U) or mask key (V without U).  failed: groups given up."""

    desk: Desk
    bundles: BundleDesk
    secrets: dict[int, bytes] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    _direct: dict[int, Unmask] = field(default_factory=dict)  # the one message of each member
    _proven: dict[int, dict[int, Proven]] = field(default_factory=dict)  # member -> dealer -> share, from any message
    _asked_at: int = 0

    # -- messages ---------------------------------------------------------------------------------------------------

    def receive(self, message: Unmask) -> list[Effect]:
        """A data owner's shares for its group: it speaks once; what it told others only, relays bring."""
        member = self._check(message, message)
        if self._direct.setdefault(member.index, message) != message:
            raise self.desk.refuse("unmask-twice", message, "another message came before")
        self._keep(message, member)
        return []

    def relay(self, message: UnmaskRelay) -> list[Effect]:
        """Messages of data owners that another prover has. All of them must be good."""
        desk = self.desk
        desk.prover(message)
        limits = codec.limits_for(desk.view.p)
        inner = []
        for data in message.messages:
            try:
                decoded = codec.decode(data, desk.context, limits)
            except RemoteProtocolError as error:
                raise desk.refuse("bad-relay", message, error.rule) from None
            if not isinstance(decoded, Unmask):
                raise desk.refuse("bad-relay", message, "no unmask message")
            inner.append((decoded, self._check(decoded, message)))
        for decoded, member in inner:
            self._keep(decoded, member)
        return []

    def request(self, message: UnmaskRequest) -> list[Effect]:
        """All shares that we have of data owners of whom another prover lacks some."""
        desk = self.desk
        desk.prover(message)
        desk.not_before(Phase.BATCH, message)
        found = [self._all_of(k) for k in sorted(set(message.missing)) if k in self._proven]
        relay = UnmaskRelay(desk.identity.address, tuple(codec.encode(m, desk.context) for m in found))
        return [Reply(relay)]

    def _all_of(self, index: int) -> Unmask:
        """Everything that this member has shown to anybody, as one message of its."""
        view, shares = self.desk.view, sorted(self._proven[index].items())
        kinds, values, salts, proofs = zip(*(proven for _, proven in shares), strict=True)
        address, dealers = view.members[index].address, tuple(dealer for dealer, _ in shares)
        return Unmask(address, view.sets[Bitmap.VALID], dealers, kinds, values, salts, proofs)

    def _check(self, message: Unmask, blamed: Message) -> Member:
        """RemoteProtocolError against the sender of ``blamed`` unless these are good shares of what U asks for."""
        desk, view = self.desk, self.desk.view
        desk.not_before(Phase.BATCH, blamed)
        member = view.member_of(message.sender)
        if member is None or not view.in_set(Bitmap.VALID, member.index):
            raise desk.refuse("not-in-set", blamed, "no member of U")
        if message.valid_set != view.sets[Bitmap.VALID]:
            raise desk.refuse("wrong-set", blamed, "another U than the chain's")
        wanted = self.needed(view.group_of(member.index))
        given = dict(zip(message.dealers, message.kinds, strict=True))
        if len(given) != len(message.dealers) or not given.items() <= wanted.items():
            raise desk.refuse("wrong-dealers", blamed, "shares that nobody asked for")
        for i, dealer in enumerate(message.dealers):
            if not self._good_share(message, i, view.members[dealer], member):
                raise desk.refuse("bad-unmask-share", blamed, f"share of dealer {dealer}")
        return member

    def _good_share(self, message: Unmask, i: int, dealer: Member, sender: Member) -> bool:
        view = self.desk.view
        group = view.groups[view.group_of(dealer.index)]
        return verify_share(
            self.desk.context, dealer.address, view.share_roots[dealer.index], len(group), group.index(sender.index),
            message.kinds[i], message.salts[i], message.shares[i], message.proofs[i],
        )  # fmt: skip

    def _keep(self, message: Unmask, member: Member) -> None:
        """Add what is new. Heard is who has shown its own share and those of T dealers: less helps nobody."""
        view = self.desk.view
        parts = zip(message.kinds, message.shares, message.salts, message.proofs, strict=True)
        shown = dict(zip(message.dealers, parts, strict=True))
        if not shown:
            return
        known = self._proven.setdefault(member.index, {})
        known.update({dealer: proven for dealer, proven in shown.items() if dealer not in known})
        threshold = mask_threshold(len(view.groups[view.group_of(member.index)]))
        if member.index in known and len(known) >= threshold:
            self.desk.heard.add(member.index)

    def _shares_of(self, dealer: int) -> dict[int, bytes]:
        """Position of a member -> its share of the dealer's secret."""
        group = self.desk.view.groups[self.desk.view.group_of(dealer)]
        shares = {p: self._proven.get(k, {}).get(dealer) for p, k in enumerate(group)}
        return {p: proven[1] for p, proven in shares.items() if proven is not None}

    def _lacking(self) -> list[int]:
        """Members of U from whom we have not seen every share that their group needs."""
        view = self.desk.view
        groups = [r for r in range(len(view.groups)) if self.viable(r)]
        members = [(k, self.needed(r).keys()) for r in groups for k in view.within(Bitmap.VALID, r)]
        return sorted(k for k, dealers in members if dealers - self._proven.get(k, {}).keys())

    # -- steps ------------------------------------------------------------------------------------------------------

    def needed(self, group: int) -> dict[int, int]:
        """Dealer -> kind: b_k for U, the mask key for V without U."""
        view = self.desk.view
        return {k: SELF_SEED if view.in_set(Bitmap.VALID, k) else MASK_KEY for k in view.within(Bitmap.BUNDLES, group)}

    def viable(self, group: int) -> bool:
        """Whether enough members are left: |U_r| >= max(T, 2)."""
        view = self.desk.view
        return len(view.within(Bitmap.VALID, group)) >= max(mask_threshold(len(view.groups[group])), 2)

    def complete(self, group: int) -> bool:
        """Whether every secret of the group is here."""
        return self.viable(group) and self.needed(group).keys() <= self.secrets.keys()

    def silent(self) -> list[int]:
        """Members of U that owe us shares: where too few are left of a group, its members rightly send nothing."""
        view = self.desk.view
        owing = [k for r in range(len(view.groups)) if self.viable(r) for k in view.within(Bitmap.VALID, r)]
        return sorted(k for k in owing if k not in self.desk.heard)

    def progress(self) -> list[Effect]:
        """Rebuild what can be rebuilt; a group with too few members or a lying dealer fails."""
        if not self.desk.settling:
            return []
        effects: list[Effect] = []
        for group in range(len(self.desk.view.groups)):
            if group not in self.failed and not self.complete(group):
                effects += self._rebuild(group) if self.viable(group) else self._fail(group, "too few members")
        return effects

    def tick(self, block: int) -> list[Effect]:
        """Ask other provers for what is missing, every second block; at half of the window give up."""
        desk, view = self.desk, self.desk.view
        if not desk.settling:
            return []
        open_groups = [r for r in range(len(view.groups)) if r not in self.failed and not self.complete(r)]
        if open_groups and view.phase == Phase.BATCH and block >= desk.share_of_window(1, 2):
            return [effect for r in open_groups for effect in self._fail(r, "unmask shares are missing")]
        missing = self._lacking()
        due = max(view.phase_block, self._asked_at) + 2
        if not missing or block < due or (self._asked_at and not open_groups):
            return []
        self._asked_at = block
        return desk.broadcast(UnmaskRequest(desk.identity.address, tuple(missing)))

    def _fail(self, group: int, why: str) -> list[Effect]:
        self.failed.add(group)
        return [Note("group_failed", (("group", group), ("why", why)))]

    def _rebuild(self, group: int) -> list[Effect]:
        members = self.desk.view.within(Bitmap.VALID, group)
        for dealer, kind in self.needed(group).items():
            shares = self._shares_of(dealer)
            if dealer in self.secrets or dealer not in self.bundles.keys:
                continue
            secret = self._try(dealer, kind, shares, mask_threshold(len(self.desk.view.groups[group])))
            if secret is not None:
                self.secrets[dealer] = secret
            elif len(shares) == len(members):
                blame = Blame(self.desk.view.members[dealer].address, "wrong-secret")
                return [blame, *self._fail(group, "a dealer shared a wrong secret")]
        return []

    def _try(self, dealer: int, kind: int, shares: dict[int, bytes], threshold: int) -> bytes | None:
        keys, address = self.bundles.keys[dealer], self.desk.view.members[dealer].address
        for chosen in islice(combinations(sorted(shares), threshold), MOST_TRIES):
            subset = {position: shares[position] for position in chosen}
            try:
                if kind == MASK_KEY:
                    return rebuild_mask_secret(keys.mask, subset, threshold)
                return rebuild_self_seed(self.desk.context, address, keys.self_hash, subset, threshold)
            except ValueError:
                continue
        return None
