"""Tables of the gas report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from omninode.reproduce import gas_noise
from omninode.reproduce import gas_paper as paper
from omninode.reproduce import gas_steps as steps
from omninode.reproduce.cells import NOT_RUN, Results
from omninode.reproduce.gas_shapes import Shape
from omninode.reproduce.gas_steps import IN_THE_PAPER, Step, Way
from omninode.reproduce.markdown import table

NAMES = {Way.ONCHAIN: "on chain", Way.GROUPED: "grouped", Way.VERIFIED: "verified"}
PAPER = "the paper"
Pick = Callable[[dict[str, Any]], float]


def million(gas: float) -> str:
    """Millions of gas, three digits at least."""
    return f"{gas / 1e6:,.2f}" if gas < 1e8 else f"{gas / 1e6:,.0f}"


def of_step(kind: str, step: Step) -> Pick:
    """kind: "gas" or "ms"."""
    return lambda result: float(result[kind]["by_step"][str(step)])


def session(kind: str) -> Pick:
    """The whole session, with Setup and Payment."""
    return lambda result: float(result[kind]["session"])


def row(results: Results, shapes: Sequence[Shape], way: Way, tell: Callable[[dict[str, Any]], str]) -> list[str]:
    """One value per shape."""
    found = [shape.result(results, way) for shape in shapes]
    return [NOT_RUN if result is None else tell(result) for result in found]


def _tell(kind: str, chosen: Sequence[Step] | None) -> Callable[[dict[str, Any]], str]:
    """Of some steps together, or of the whole session."""
    if kind == "ms":
        return lambda result: gas_noise.told(result, chosen)
    if chosen is None:
        return lambda result: million(session("gas")(result))
    return lambda result: million(sum(of_step("gas", step)(result) for step in chosen))


def by_step(
    results: Results, shapes: Sequence[Shape], head: Sequence[str], kind: str, printed: Mapping[str, Sequence[float]]
) -> str:
    """Rows by step and way, columns by shape. kind: "gas" (millions) or "ms".

    printed: the paper's rows by what they are of ("Register", .., "total").
    """
    lines: list[tuple[str, Sequence[Step] | None]] = [(str(step), [step]) for step in IN_THE_PAPER]
    lines += [("total", IN_THE_PAPER), ("with Setup and Payment", None)]
    rows = []
    for name, chosen in lines:
        if name in printed:
            rows.append([f"{name}, {PAPER}", *(f"{value:g}" for value in printed[name])])
        rows += [[f"{name}, {NAMES[way]}", *row(results, shapes, way, _tell(kind, chosen))] for way in Way]
    return table(["step", *head], rows)


def rules(results: Results, shapes: Sequence[Shape], head: Sequence[str]) -> str:
    """By which rule each session selected, and how many data owners it accepted."""

    def told(shape: Shape, way: Way) -> str:
        result = shape.result(results, way)
        if result is None:
            return NOT_RUN
        rule = result["rule"].replace("_", "-") + (f" ({result['m']})" if result["m"] else "")
        return f"{rule}, {result['accepted']} of {shape.data_owners}"

    return table(["rule (m), accepted", *head], [[NAMES[w], *(told(shape, w) for shape in shapes)] for w in Way])


def payers(results: Results, shape: Shape) -> str:
    """Whose transactions they are."""
    kinds = {"data_owners": "data owners", "owner": "model owner", "provers": "provers"}

    def paid(kind: str) -> Callable[[dict[str, Any]], str]:
        return lambda result: million(float(result["gas"]["payers"][kind]))

    rows = [[NAMES[way], *(row(results, [shape], way, paid(kind))[0] for kind in kinds)] for way in Way]
    return table(["", *kinds.values()], rows)


def mapping() -> str:
    """Which function belongs to which step."""

    def calls(way: Way, step: Step) -> Iterator[str]:
        own = steps.ONCHAIN if way == Way.ONCHAIN else steps.MARKET
        yield from (f"`{call}`" for call, its in own.items() if its == step and _used(way, call))
        if way != Way.ONCHAIN:
            yield from (
                f"`postBitmap` {kind.name}"
                for kind, its in steps.BITMAPS.items()
                if its == step and _used(way, kind.name)
            )

    rows = [[str(step), *(", ".join(calls(way, step)) or "-" for way in Way)] for step in Step]
    return table(["step", *(NAMES[way] for way in Way)], rows)


ONLY = {
    Way.GROUPED: {"postGroups", "commitShares", "BUNDLES"},
    Way.VERIFIED: {"commitReference", "postProof"},
}
"""What one of our modes has and the other has not."""


def _used(way: Way, call: str) -> bool:
    return all(call not in names or way == mode for mode, names in ONLY.items())


def printed_by_rounds() -> Mapping[str, Sequence[float]]:
    """Table 1's rows."""
    return {str(step): values for step, values in paper.BY_ROUNDS_MS.items()} | {"total": paper.TOTAL_BY_ROUNDS_MS}


def printed_by_group_size() -> Mapping[str, Sequence[float]]:
    """Table 6's row."""
    return {"total": paper.TOTAL_BY_GROUP_SIZE_MS}
