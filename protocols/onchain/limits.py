"""What a session of the baseline costs in gas, and whether it fits on a chain at all.

The numbers are fitted to sessions played on a real chain (a test holds them to it within 10 %, the total within 2 %):
whole transactions, what the contract pays back for gas not subtracted.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.onchain.duties import FIRST_TURN, STAGGER, sending
from protocols.onchain.lanes import PER_CHUNK, chunk_count, word_count

MOST_PARAMETERS = 32_000
"""The contract keeps sets of at most 128 chunks in half a word."""
MOST_ROUNDS, LEAST_GROUP, MOST_GROUP = 16, 2, 255
FULL = word_count(PER_CHUNK)
HELPERS = 4
"""Data owners whose turns a settle window must have room for; more of them falling silent empties rounds anyway."""

CREATE, CREATE_CHUNK = 259_000, 68_450
POST_FIRST, POST, POST_WORD = 17_100, 44_000, 22_660
START, EXIT = 69_300, 41_000
REGISTER, KEY, KEY_LAST, CLAIM = 64_430, 51_900, 24_000, 49_900
UPLOAD, UPLOAD_WORD, FRESH, FRESH_WORD = 64_200, 5_795, 11_000, 17_100
"""FRESH: of the first of a round in a chunk, FRESH_WORD: in each of its words; the sum was zero before."""
MEASURE, MEASURE_ROUND_WORD, MEASURE_PAIR, MEASURE_PAIR_WORD, MEASURE_FIRST = 58_300, 2_275, 5_500, 245, 17_100
"""MEASURE_FIRST: per pair, in the first chunk only."""
SELECT, SELECT_PAIR, SELECT_CUBE = 56_700, 2_000, 189
"""Sorting the distances of each round costs R^3, and hides what m adds."""


@dataclass(frozen=True, slots=True)
class SessionGas:
    """Gas of a whole session, by function, over all calls. members: N R."""

    by_function: dict[str, int]
    members: int

    @property
    def total(self) -> int:
        """Of everybody together."""
        return sum(self.by_function.values())

    @property
    def data_owner(self) -> int:
        """Of each data owner, on average."""
        return sum(self.by_function[f] for f in ("register", "postKey", "upload", "claim")) // self.members

    @property
    def owner(self) -> int:
        """Of the session's owner, who measures and selects."""
        return sum(self.by_function[f] for f in ("create", "postModel", "start", "measure", "select", "exit"))


def session_gas(dimension: int, rounds: int, group_size: int) -> SessionGas:
    """What a session would use if all places are taken and nobody is late; also beyond what the contract takes.

    dimension: d.  rounds, group_size: R, N.  ValueError where one of them is below 1.
    """
    if rounds < 1 or group_size < 1:
        raise ValueError(f"{rounds} rounds of {group_size}")
    chunks, members, pairs = chunk_count(dimension), rounds * group_size, rounds * (rounds - 1) // 2
    words = (chunks - 1) * FULL + word_count(dimension - (chunks - 1) * PER_CHUNK)
    per_word = rounds * MEASURE_ROUND_WORD + pairs * MEASURE_PAIR_WORD
    return SessionGas(
        {
            "create": CREATE + chunks * CREATE_CHUNK,
            "postModel": POST_FIRST + chunks * POST + words * POST_WORD,
            "start": START,
            "register": members * REGISTER,
            "postKey": members * KEY + KEY_LAST,
            "upload": members * (chunks * UPLOAD + words * UPLOAD_WORD)
            + rounds * (chunks * FRESH + words * FRESH_WORD),
            "measure": chunks * (MEASURE + pairs * MEASURE_PAIR) + words * per_word + pairs * MEASURE_FIRST,
            "select": SELECT + pairs * SELECT_PAIR + rounds**3 * SELECT_CUBE,
            "claim": members * CLAIM,
            "exit": EXIT,
        },
        members,
    )


def blocks_needed(dimension: int, rounds: int, group_size: int, block_gas: int) -> int:
    """Full blocks that the uploads alone would take."""
    return -(-session_gas(dimension, rounds, group_size).by_function["upload"] // block_gas)


def settle_needed(dimension: int, rounds: int, group_size: int, block_gas: int) -> int:
    """Blocks in which the distances are certainly measured by data owners if the owner does nothing.

    The owner's time to send, the turns of the first HELPERS of them, time to send again, full blocks of measuring.
    """
    turns = STAGGER * (FIRST_TURN + min(rounds * group_size, HELPERS))
    measuring = session_gas(dimension, rounds, group_size).by_function["measure"]
    return turns - (-measuring // block_gas) + 2 * sending(chunk_count(dimension)) + 2


def hurried(dimension: int, rounds: int, group_size: int, settle_blocks: int, block_gas: int) -> str:
    """Why nobody could finish measuring within ``settle_blocks``; "" where data owners can."""
    least = settle_needed(dimension, rounds, group_size, block_gas)
    if settle_blocks >= least:
        return ""
    return f"a settle window of {settle_blocks} blocks is too short: data owners need {least} to measure the distances"


def misfit(
    dimension: int, rounds: int, group_size: int, upload_blocks: int, block_gas: int, settle_blocks: int | None = None
) -> str:
    """Why a session cannot be played on chain, in a sentence with the gas it would take; "" where it can.

    upload_blocks, settle_blocks: the windows (None: not looked at).  block_gas: the chain's limit for a block.
    """
    if not 1 <= rounds <= MOST_ROUNDS or not LEAST_GROUP <= group_size <= MOST_GROUP:
        return (
            f"the baseline takes 1 to {MOST_ROUNDS} rounds of {LEAST_GROUP} to {MOST_GROUP} data owners, "
            f"not {rounds} of {group_size}"
        )
    gas = session_gas(dimension, rounds, group_size)
    blocks = blocks_needed(dimension, rounds, group_size, block_gas)
    costs = (
        f"a session of {rounds} rounds of {group_size} data owners on chain would take {gas.total:,} gas, "
        f"{gas.data_owner:,} of it for each data owner"
    )
    if dimension > MOST_PARAMETERS:
        return f"{dimension:,} parameters are more than the {MOST_PARAMETERS:,} that the contract holds: {costs}"
    if blocks > upload_blocks:
        return (
            f"{dimension:,} parameters do not fit: {costs}; the uploads alone fill {blocks} blocks of {block_gas:,} "
            f"gas, and the window has {upload_blocks}"
        )
    return "" if settle_blocks is None else hurried(dimension, rounds, group_size, settle_blocks, block_gas)
