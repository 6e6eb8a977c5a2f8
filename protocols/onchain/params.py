"""What a session of the baseline is: its terms, what its owner says at the start, and the states it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from protocols.onchain.lanes import chunk_count


class State(IntEnum):
    """The paper's states of SecModelUpdate, as the contract numbers them."""

    SETUP = 0
    REGISTER = 1
    MODEL_AGGREGATE = 2
    OUTLIER_SUPPRESSION = 3
    PAYMENT = 4
    FINISHED = 5


@dataclass(frozen=True, slots=True)
class OnchainTerms:
    """Fixed at deployment. Money in wei, windows in blocks, mu in 1/10000, the rest as in the paper.

    rounds, group_size: R and N, said when Register opens; the owner knows them before.
    """

    owner: bytes
    owner_peer: bytes
    doc_digest: bytes
    dimension: int
    reward: int
    gas_price_cap: int
    mu_bps: int
    m_krum: int
    register_blocks: int
    upload_blocks: int
    settle_blocks: int

    @property
    def chunks(self) -> int:
        """Chunk contracts of the model."""
        return chunk_count(self.dimension)


@dataclass(frozen=True, slots=True)
class Training:
    """start(W, M0, E, B, R, N) without W. samples: M0.  epochs: E.  batch: B.  rounds: R.  group_size: N."""

    samples: int
    epochs: int
    batch: int
    rounds: int
    group_size: int

    @property
    def places(self) -> int:
        """Data owners that there is room for."""
        return self.rounds * self.group_size
