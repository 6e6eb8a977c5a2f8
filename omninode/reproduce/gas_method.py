"""The report's sections on the chain's time and on how things were measured."""

from __future__ import annotations

from itertools import pairwise

from omninode.chain.devchain import GAS_LIMIT
from omninode.reproduce import gas_noise
from omninode.reproduce import gas_paper as paper
from omninode.reproduce import gas_tables as tables
from omninode.reproduce.cells import NOT_RUN, Results
from omninode.reproduce.gas_shapes import Shape, by_rounds
from omninode.reproduce.gas_sizes import BLOCK_S
from omninode.reproduce.gas_steps import IN_THE_PAPER, Step, Way
from omninode.reproduce.gas_tables import NAMES, of_step
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
        shown = [gas_noise.told(found, IN_THE_PAPER), gas_noise.told(found)]
        rows.append([NAMES[way], *shown, f"{gas['transactions']:,}", f"{gas['calldata']:,}"])
    head = ["", "the paper's steps, ms", "whole session, ms", "transactions", "bytes of calldata"]
    return f"""R = {largest.rounds}, N = {largest.group_size}, {largest.dimension:,} parameters.

{table(head, rows)}
The paper's milliseconds are of its own machine and chain, which it does not describe; ours are processor time of \
anvil: compare the ways with each other. On a public chain none of this is what one waits for: there a block comes \
every {BLOCK_S} seconds{_blocks(results, largest)}.

Who pays, million gas of the same sessions:

{tables.payers(results, largest)}"""


def _blocks(results: Results, shape: Shape) -> str:
    """How many blocks of the main chain the baseline's Aggregate step fills."""
    found = shape.result(results, Way.ONCHAIN)
    if found is None:
        return ""
    return f", and the baseline's uploads alone fill {of_step('gas', Step.AGGREGATE)(found) / GAS_LIMIT:,.1f} of them"


def _drop(results: Results) -> str:
    """Where a session with more gas took less time: noise that empty blocks do not show."""
    drops = []
    for way in Way:
        known = [(shape.rounds, found) for shape in by_rounds() if (found := shape.result(results, way))]
        for (few, before), (many, after) in pairwise(known):
            drops.append((gas_noise.spent(before) - gas_noise.spent(after), NAMES[way], few, many))
    most = max(drops, default=(0.0, "", 0, 0))
    if most[0] <= 0:
        return ""
    return (
        f"Noise can be larger than that: a session {most[1]} took {most[0]:.2f} ms less at R = {most[3]} than at"
        f" R = {most[2]}, with more gas. "
    )


def _printed_total(shape: Shape) -> str:
    by = dict(zip(paper.ROUNDS, paper.TOTAL_BY_ROUNDS_MS, strict=True))
    known = shape.group_size == paper.TABLE_1_GROUP_SIZE and shape.rounds in by
    return f"{by[shape.rounds]:g}" if known else ""


def _noise(results: Results) -> str:
    """How large noise is, computed."""
    shape = next((s for s in reversed(by_rounds()) if s.name in results), None)
    ours = [(way, shape.result(results, way)) for way in Way] if shape else []
    told = [
        f"{gas_noise.noise(found):.2g} ms over the {len(found['ms']['empty_ms'])} blocks of a session {NAMES[way]}"
        for way, found in ours
        if found
    ]
    return "" if not told or not shape else f"For R = {shape.rounds} that is {', '.join(told)}. "


def method(results: Results) -> str:
    """What counts, how it was measured, and what is not alike."""
    return f"""Real machines, wallets, signatures and contracts on anvil; only the network between the nodes is \
simulated. Every session's sum, selection and pay are checked in plain integers, or there is no result. Gas is what \
receipts say, repayments not subtracted; deploying the contracts, and what provers pay once to enter the registry, are \
not in it.

What happens off the chain is in none of these numbers: in `grouped` and `verified` masks, shares, proofs and sums \
are the work and the traffic of provers and data owners, which the baseline does not have (its data owners only mask).

The time of a block is the chain's processor time for the request that mines it, less that of an empty block (the \
median of five around it), each the least of several on the same state; within a block it is split by gas. Noise is \
estimated from how the empty blocks of a session differ from one to the next: two deviations of a difference of two \
blocks, added over the blocks of a step as independent. {_noise(results)}A time below its noise is printed as "< " and \
that noise, and is not drawn. {_drop(results)}Times are sums over all transactions of a session. The paper's for \
Register, PubKeyInteract and Aggregate do not grow with R as their gas does: they are probably of one round.

Which function counts for which step (`poke`, by which anybody ends a phase that is over, for the step that it ends):

{tables.mapping()}
Four things make the baseline cheaper than the paper's contract is, as far as known, so that the ratios are in its \
favour: four parameters share a storage word, every chunk is added to its round's sum as it comes instead of being \
kept, keys are events, and contracts are clones of one another; calls of their own for each chunk cost it 21,000 gas \
each. The paper's condition m < (1 - 2 mu) R - 2 leaves m below 1 for R = 2, 4, 6; m is here the largest that our \
contract admits, R - floor(mu R) - 2, and the baseline's at least 1. Mode `grouped` takes rule `none` where m-Krum \
would need more rounds or would accept fewer than three data owners. Mode `verified` selects by rule `trust` and \
pays by contribution, as it does unless told otherwise."""
