"""Which of the paper's steps a transaction belongs to, for each of the three ways. The report shows this table.

The paper (arXiv 2107.05252) has Register, PubKeyInteract, Aggregate and Outlier, whose sum is its total; what it leaves
out of it are our Setup (terms, deposit, its model on the chain; here: drawing the committee) and Payment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from protocols.sessions.params import Bitmap, Phase


class Way(StrEnum):
    """How a session runs."""

    ONCHAIN = "onchain"
    GROUPED = "grouped"
    VERIFIED = "verified"


class Step(StrEnum):
    """A step of the paper, by its word."""

    SETUP = "Setup"
    REGISTER = "Register"
    KEYS = "PubKeyInteract"
    AGGREGATE = "Aggregate"
    OUTLIER = "Outlier"
    PAYMENT = "Payment"


IN_THE_PAPER = (Step.REGISTER, Step.KEYS, Step.AGGREGATE, Step.OUTLIER)
"""The steps that the paper's tables add up."""

MARKET: Mapping[str, Step] = {
    "createSession": Step.SETUP,
    "register": Step.REGISTER,
    "postGroups": Step.REGISTER,
    "commitShares": Step.KEYS,
    "commitUpload": Step.AGGREGATE,
    "postReceipt": Step.AGGREGATE,
    "commitReference": Step.OUTLIER,
    "postOpenings": Step.OUTLIER,
    "postBatch": Step.OUTLIER,
    "postProof": Step.OUTLIER,
    "attest": Step.OUTLIER,
    "slashDoubleSign": Step.OUTLIER,
    "acknowledge": Step.PAYMENT,
    "claim": Step.PAYMENT,
}
"""Functions of DataMarket, modes grouped and verified, that always belong to the same step."""

BITMAPS: Mapping[Bitmap, Step] = {
    Bitmap.BUNDLES: Step.KEYS,  # whose key shares are there
    Bitmap.DELIVERED: Step.AGGREGATE,  # whose updates are there
    Bitmap.VALID: Step.OUTLIER,  # whose updates are consistent and within the bound
}
"""``postBitmap``, by its first argument."""

PHASES: Mapping[Phase, Step] = {
    Phase.COMMITTEE: Step.SETUP,
    Phase.REGISTER: Step.REGISTER,
    Phase.DRAW: Step.REGISTER,
    Phase.GROUPS: Step.REGISTER,
    Phase.KEYS: Step.KEYS,
    Phase.BUNDLES: Step.KEYS,
    Phase.UPLOAD: Step.AGGREGATE,
    Phase.DELIVERED: Step.AGGREGATE,
    Phase.QUERY: Step.OUTLIER,
    Phase.VALID: Step.OUTLIER,
    Phase.BATCH: Step.OUTLIER,
    Phase.OUTPUT: Step.PAYMENT,
    Phase.FINISHED: Step.PAYMENT,
    Phase.ABORTED: Step.PAYMENT,
}
"""``poke`` of DataMarket, by the phase that it ends (the phase before its block)."""

ONCHAIN: Mapping[str, Step] = {
    "create": Step.SETUP,
    "addChunks": Step.SETUP,
    "whitelist": Step.SETUP,
    "postModel": Step.SETUP,
    "start": Step.SETUP,
    "register": Step.REGISTER,
    "postKey": Step.KEYS,
    "upload": Step.AGGREGATE,
    "measure": Step.OUTLIER,
    "select": Step.OUTLIER,
    "claim": Step.PAYMENT,
    "exit": Step.PAYMENT,
}
"""Functions of SecModelUpdate and its factory that always belong to the same step."""

STATES: Sequence[Step] = (
    Step.SETUP, Step.REGISTER, Step.AGGREGATE, Step.OUTLIER, Step.PAYMENT, Step.PAYMENT
)  # fmt: skip
"""``poke`` of SecModelUpdate, by the number of the state that it ends."""


def step_of(way: Way, call: str, args: Sequence[object] = (), phase: int = 0) -> Step:
    """The step of a call; ValueError for one that is not in the tables.  phase: of the session before the block."""
    if way == Way.ONCHAIN:
        step = STATES[phase] if call == "poke" else ONCHAIN.get(call)
    elif call == "postBitmap":
        step = BITMAPS[Bitmap(int(str(args[0])))]
    else:
        step = PHASES.get(Phase(phase)) if call == "poke" else MARKET.get(call)
    if step is None:
        raise ValueError(f"{call} of a session {way} belongs to no step")
    return step
