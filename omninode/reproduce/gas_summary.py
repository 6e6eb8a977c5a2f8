"""What the gas half comes to, in sentences that follow from what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from omninode.reproduce import gas_noise
from omninode.reproduce import gas_paper as paper
from omninode.reproduce.cells import NOT_RUN, Results
from omninode.reproduce.gas_shapes import Shape, by_rounds
from omninode.reproduce.gas_sizes import SESSION, cost, shown_ratio
from omninode.reproduce.gas_steps import IN_THE_PAPER, Step, Way
from omninode.reproduce.gas_tables import million, of_step


def summary(results: Results, shapes: Sequence[Shape]) -> str:
    """The lines that say most. shapes: sizes of the model, from small to large."""
    lines = [line for shape in shapes if shape.dimension >= paper.DIMENSION for line in _ratio(results, shape)]
    lines += _time(results)
    return "\n".join(f"- {line}" for line in lines) or NOT_RUN


def _ratio(results: Results, shape: Shape) -> list[str]:
    base, *ours = (cost(results, shape, way, SESSION) for way in Way)
    if base is None or None in ours:
        return []
    grouped, verified = (found for found in ours if found is not None)
    how = "" if base[1] else ", computed: it does not fit on the chain"
    return [
        f"Gas of a session of {shape.data_owners} data owners at {shape.dimension:,} parameters: {million(base[0])}"
        f" million on chain{how}; {million(grouped[0])} million grouped, {shown_ratio(base, grouped)} times less;"
        f" {million(verified[0])} million verified, {shown_ratio(base, verified)} times less."
    ]


def _time(results: Results) -> list[str]:
    shape = next((s for s in reversed(by_rounds()) if s.name in results), None)
    found = shape and shape.result(results, Way.ONCHAIN)
    if not shape or not found:
        return []
    ours = ((way, shape.result(results, way)) for way in (Way.GROUPED, Way.VERIFIED))
    times = ", ".join(f"{gas_noise.told(each)} ms {way}" for way, each in ours if each)
    return [
        f"Processor time of the chain for a whole session, R = {shape.rounds}: {gas_noise.told(found)} ms on chain"
        f"{', ' if times else ''}{times} (the paper: below {paper.WHOLE_SESSION_MS:g} ms, on a machine of its own)."
    ]


def shares(results: Results) -> str:
    """Which steps weigh most, in the paper's time and in our gas; "" where nothing was run."""
    shape = next((s for s in reversed(by_rounds()) if s.result(results, Way.ONCHAIN)), None)
    found = shape and shape.result(results, Way.ONCHAIN)
    if not shape or not found:
        return ""
    theirs = {step: paper.BY_ROUNDS_MS[step][paper.ROUNDS.index(shape.rounds)] for step in IN_THE_PAPER}
    gas = {step: of_step("gas", step)(found) for step in IN_THE_PAPER}
    first, ours = max(theirs, key=theirs.__getitem__), max(gas, key=gas.__getitem__)
    text = (
        f"At R = {shape.rounds} the paper's time is {_parts(theirs)}; the gas of the contract as built here is"
        f" {_parts(gas)}"
    )
    if first == ours:
        return text + f": {first} weighs most in both."
    order = "the order is reversed" if theirs[first] > theirs[ours] and gas[ours] > gas[first] else "the order differs"
    return (
        text + f": {order} between {first} and {ours}. Time and gas are not the same measure; but that our {first} is"
        f" {gas[first] / sum(gas.values()):.0%} and not most of it is a difference of the two contracts as well: ours"
        " adds masked models up as they come, and compares sums that are stored four numbers to a word."
    )


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "under 1%"


def _parts(values: dict[Step, float]) -> str:
    whole = sum(values.values())
    ordered = sorted(values, key=values.__getitem__, reverse=True)
    return ", ".join(f"{_share(values[step] / whole)} {step}" for step in ordered)
