"""What the parts of a prover share: who it is, the session as the chain tells it, and short questions about both."""

from __future__ import annotations

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.sessions.effects import Effect, Send
from protocols.sessions.identity import Identity
from protocols.sessions.params import REFERENCE, Bitmap, Mode, Phase
from protocols.sessions.view import Member, SessionView
from protocols.wire.context import Context
from protocols.wire.messages import Message


class Desk:
    """One per machine; the parts read it, only the machine lets the chain change ``view``.

    faulty: evaluation points of provers that our own record shows lying. heard: data owners whose unmask shares came.
    """

    def __init__(self, context: Context, identity: Identity, seed: bytes) -> None:
        self.context, self.identity, self._seed = context, identity, seed
        self.view = SessionView(context.session)
        self.faulty: set[int] = set()
        self.heard: set[int] = set()

    # -- us ---------------------------------------------------------------------------------------------------------

    def random(self, label: str, *parts: bytes) -> bytes:
        """32 bytes that nobody else knows, the same for the same label and parts whenever the machine is replayed."""
        return self.context.bind("prover/" + label, *parts, self._seed)

    @property
    def index(self) -> int | None:
        """Our committee index, None before the draw and if we were not drawn."""
        return self.view.prover_index(self.identity.address)

    @property
    def point(self) -> int:
        """Our evaluation point."""
        if (index := self.index) is None:
            raise LocalProtocolError("not in the committee")
        return index + 1

    @property
    def rank(self) -> int:
        """Our place in the order in which provers take turns at transactions; another one starts in each session."""
        return (self.point - 1 - self.view.session) % self.n

    # -- the committee ----------------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Provers in the committee."""
        return self.view.p.committee

    @property
    def t(self) -> int:
        """How many of them may crash or lie."""
        return self.view.p.threshold

    @property
    def wallets(self) -> bytes:
        """All addresses, in the order of the points: what is dealt in one committee is worth nothing in another."""
        return b"".join(prover.address for prover in self.view.committee)

    def address(self, point: int) -> bytes:
        """Wallet of the prover at this evaluation point."""
        return self.view.committee[point - 1].address

    def to_points(self, points: set[int], message: Message) -> list[Effect]:
        """Send to these provers, never to ourselves."""
        return [Send(self.address(point), message) for point in sorted(points - {self.point})]

    def broadcast(self, message: Message) -> list[Effect]:
        """Send to all other provers."""
        return self.to_points(set(range(1, self.n + 1)), message)

    # -- senders ----------------------------------------------------------------------------------------------------

    def refuse(self, rule: str, message: Message, detail: str = "") -> RemoteProtocolError:
        """The error to raise when the sender of ``message`` broke ``rule``."""
        return RemoteProtocolError(rule, message.sender.hex(), detail)

    def prover(self, message: Message) -> int:
        """Evaluation point of the sender. RemoteProtocolError if it is no other prover of this committee."""
        index = self.view.prover_index(message.sender)
        if index is None or index == self.index:
            raise self.refuse("wrong-sender", message, "another prover of the committee was expected")
        return index + 1

    def data_owner(self, message: Message) -> Member:
        """The sender as a registered data owner. RemoteProtocolError if it is none."""
        member = self.view.member_of(message.sender)
        if member is None:
            raise self.refuse("wrong-sender", message, "a registered data owner was expected")
        return member

    def not_before(self, phase: Phase, message: Message) -> None:
        """RemoteProtocolError "too-early" (the sender tries again) while the chain, as we know it, is not there yet."""
        if self.view.phase < phase:
            raise self.refuse("too-early", message, f"phase {self.view.phase.name}")

    def not_after(self, phase: Phase, message: Message) -> None:
        """RemoteProtocolError "late" once the chain is past ``phase``."""
        if self.view.phase > phase:
            raise self.refuse("late", message, f"phase {self.view.phase.name}")

    # -- sets and times ---------------------------------------------------------------------------------------------

    def members(self, kind: Bitmap) -> list[int]:
        """Indices in the fixed set of this kind, ascending; mode verified: the owner's reference comes last."""
        found = [m.index for m in self.view.members if self.view.in_set(kind, m.index)]
        verified = self.view.p.mode == Mode.VERIFIED
        return [*found, REFERENCE] if verified and self.view.in_set(kind, REFERENCE) else found

    def label(self, what: str, *parts: bytes) -> bytes:
        """Of a pseudo-random sharing, once U is fixed: another committee, grouping, set or update gets another one."""
        view = self.view
        groups = [bytes(group) for group in view.groups]
        roots = [view.upload_roots[k] for k in self.members(Bitmap.VALID)]
        valid, count = view.sets[Bitmap.VALID].to_bytes(32, "big"), bytes([len(groups)])
        return self.context.bind(what, self.wallets, count, *groups, valid, *roots, *parts)

    @property
    def settling(self) -> bool:
        """U is fixed and the sum not yet taken: who was slow for the batch still catches up, to serve the output."""
        return self.view.phase in (Phase.BATCH, Phase.OUTPUT)

    def cut(self) -> int:
        """Block at whose tick a transaction must leave, whatever is missing, to be mined in this phase.

        Two blocks before the deadline, one in short phases; a transaction is mined in the block after at best.
        """
        window = self.view.deadline - self.view.phase_block
        return self.view.deadline - (2 if window >= 4 else 1)

    def share_of_window(self, numerator: int, denominator: int) -> int:
        """Block at which this part of the phase's time (up to ``cut``) is over; never the block it began in."""
        start = self.view.phase_block
        return max(start + 1, start + (self.cut() - start) * numerator // denominator)


def bitmap(indices: set[int] | list[int]) -> int:
    """The integer with these bits set."""
    return sum(1 << i for i in set(indices))


def bits(value: int) -> list[int]:
    """The positions of the bits set, ascending."""
    return [i for i in range(value.bit_length()) if value >> i & 1]
