"""After the batch is final: our share of the sum over what was selected, to the owner and nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.sessions.effects import Effect, Reply
from protocols.sessions.params import Phase
from protocols.sessions.prover_desk import Desk, bits
from protocols.wire.messages import OutputRequest, OutputShare


class Source(Protocol):
    """Where the sum comes from."""

    def output(self, selected: list[int]) -> tuple[Vector, tuple[int, ...]] | None:
        """Our share of the sum and the opened squared norms (mode verified: none); None if a share is missing."""


@dataclass
class OutputDesk:
    """Answers the owner once a batch is on chain. encode: a share as bytes."""

    desk: Desk
    source: Source
    encode: Callable[[Vector], bytes] = gl.to_bytes

    def request(self, message: OutputRequest) -> list[Effect]:
        """RemoteProtocolError "not-ready" if we lack a share of what was selected: the owner tries again elsewhere."""
        desk, final = self.desk, self.desk.view.batch
        if message.sender != desk.view.p.owner:
            raise desk.refuse("wrong-sender", message, "only the owner gets the sum")
        desk.not_before(Phase.OUTPUT, message)
        if final is None:
            raise desk.refuse("no-output", message, "this session has no batch")
        found = self.source.output(bits(final.selected))
        if found is None:
            raise desk.refuse("not-ready", message, "a share is missing here")
        total, norms = found
        return [Reply(OutputShare(desk.identity.address, self.encode(total), norms))]
