"""After the batch is final: our share of the sum over the selected groups, to the owner and nobody else."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.fields import goldilocks as gl
from protocols.sessions.effects import Effect, Reply
from protocols.sessions.params import Phase
from protocols.sessions.prover_batch import BatchDesk
from protocols.sessions.prover_desk import Desk, bits
from protocols.sessions.prover_sums import GroupSums
from protocols.wire.messages import OutputRequest, OutputShare


@dataclass
class OutputDesk:
    """Answers the owner once a batch is on chain."""

    desk: Desk
    sums: GroupSums
    batch: BatchDesk

    def request(self, message: OutputRequest) -> list[Effect]:
        """RemoteProtocolError "not-ready" if we lack the share of a selected group: the owner tries again elsewhere."""
        desk, final = self.desk, self.desk.view.batch
        if message.sender != desk.view.p.owner:
            raise desk.refuse("wrong-sender", message, "only the owner gets the sum")
        desk.not_before(Phase.OUTPUT, message)
        if final is None:
            raise desk.refuse("no-output", message, "this session has no batch")
        selected, norms = bits(final.selected), self.batch.norms
        if not selected or any(r not in self.sums.sums or r not in norms for r in selected):
            raise desk.refuse("not-ready", message, "a share is missing here")
        total = gl.lincomb([1] * len(selected), [self.sums.sums[r] for r in selected])
        return [Reply(OutputShare(desk.identity.address, gl.to_bytes(total), tuple(norms[r] for r in selected)))]
