"""The report's sections on the chain's time and on how things were measured."""

from __future__ import annotations

from omninode.chain.devchain import GAS_LIMIT
from omninode.reproduce import gas_paper as paper
from omninode.reproduce import gas_tables as tables
from omninode.reproduce.cells import NOT_RUN, Results
from omninode.reproduce.gas_shapes import Shape, by_rounds
from omninode.reproduce.gas_sizes import BLOCK_S
from omninode.reproduce.gas_steps import Step, Way
from omninode.reproduce.gas_tables import NAMES, in_the_paper, of_step, session
from omninode.reproduce.markdown import table


def time(results: Results) -> str:
    """What the chain takes for a session, beside the paper's."""
    shapes = by_rounds()
    largest = next((s for s in reversed(shapes) if s.name in results), shapes[-1])
    rows = [["the paper", _printed_total(largest), f"below {paper.WHOLE_SESSION_MS:g}", "", ""]]
    for way in Way:
        found = largest.result(results, way)
        if found is None:
            rows.append([NAMES[way], *[NOT_RUN] * 4])
            continue
        gas = found["gas"]
        shown = [in_the_paper("ms")(found), session("ms")(found)]
        rows.append([NAMES[way], *map(tables.milliseconds, shown), f"{gas['transactions']:,}", f"{gas['calldata']:,}"])
    head = ["", "the paper's steps, ms", "whole session, ms", "transactions", "bytes of calldata"]
    return f"""R = {largest.rounds}, N = {largest.group_size}, {largest.dimension:,} parameters.

{table(head, rows)}
The paper's milliseconds are of its own machine and chain, which it does not describe; ours are processor time of \
anvil on this one: compare the ways with each other. On a public chain none of this is what one waits for: there a \
block comes every {BLOCK_S} seconds, and the baseline's uploads alone fill {_blocks(results, largest)} of them.

Who pays, million gas of the same sessions (data owners and provers get most of theirs back from the owner's deposit):

{tables.payers(results, largest)}"""


def _blocks(results: Results, shape: Shape) -> str:
    """Blocks of the main chain that the baseline's Aggregate step fills."""
    found = shape.result(results, Way.ONCHAIN)
    return NOT_RUN if found is None else f"{of_step('gas', Step.AGGREGATE)(found) / GAS_LIMIT:,.1f}"


def _printed_total(shape: Shape) -> str:
    by = dict(zip(paper.ROUNDS, paper.TOTAL_BY_ROUNDS_MS, strict=True))
    known = shape.group_size == paper.TABLE_1_GROUP_SIZE and shape.rounds in by
    return f"{by[shape.rounds]:g}" if known else ""


def method() -> str:
    """What counts, how it was measured, and what is not alike."""
    return f"""Real machines, wallets, signatures and contracts on anvil; only the network between the nodes is \
simulated. Every session's sum, selection and pay are checked in plain integers, or there is no result. Gas is what \
receipts say, repayments not subtracted; deploying the contracts, and what provers pay once to enter the registry, are \
not in it.

The time of a block is the chain's processor time for the request that mines it, less that of an empty block, each the \
least of several on the same state; within a block it is split by gas. What is left of noise is some tenths of a \
millisecond per block, of either sign. Times are sums over all transactions of a session. The paper's for Register, \
PubKeyInteract and Aggregate do not grow with R as their gas does: they are probably of one round.

Which function counts for which step (`poke`, by which anybody ends a phase that is over, for the step that it ends):

{tables.mapping()}
Two things make the baseline cheaper than the paper's contract, so that the ratios are in its favour: four parameters \
share a storage word, and every chunk is added to its round's sum as it comes instead of being kept. The paper's \
condition m < (1 - 2 mu) R - 2 leaves m below 1 for R = 2, 4, 6; m is here the largest that our contract admits, \
R - floor(mu R) - 2, and the baseline's at least 1. Mode `grouped` takes rule `none` where m-Krum would need more \
rounds or would accept fewer than three data owners. Mode `verified` selects by rule `trust` and pays by contribution, \
as it does unless told otherwise."""
