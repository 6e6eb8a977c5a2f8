"""cluster up, status, down: a market of real processes on this machine that stays until it is taken down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omninode.cli.common import JsonOption

app = typer.Typer(help="A local network: chain, contracts, nodes.", no_args_is_help=True, rich_markup_mode=None)
RootOption = Annotated[Path, typer.Option("--dir", help="Where it lives.")]
ROOT = Path("runs/cluster")


@app.command()
def up(
    root: RootOption = ROOT,
    owners: Annotated[int, typer.Option(help="Data owners.", min=3, max=200)] = 12,
    provers: Annotated[int, typer.Option(help="Provers.", min=5, max=32)] = 5,
    block_time: Annotated[int, typer.Option(help="Seconds between blocks.", min=1, max=60)] = 1,
    seed: Annotated[int, typer.Option(help="Splits the data and starts the model.", min=0)] = 0,
    onchain: Annotated[bool, typer.Option("--onchain", help="With the factory of the on-chain baseline.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a chain, the contracts, one model owner, data owners and provers; returns when all of them answer."""
    from omninode.cluster import up as bring_up

    answer = bring_up(root, owners=owners, provers=provers, block_time=block_time, seed=seed, onchain=onchain)
    _show(answer, as_json)


@app.command()
def status(root: RootOption = ROOT, as_json: JsonOption = False) -> None:
    """Which of its processes run."""
    from omninode.cluster import status as look

    _show(look(root), as_json)


@app.command()
def down(root: RootOption = ROOT, as_json: JsonOption = False) -> None:
    """End all of its processes; the files stay."""
    from omninode.cluster import down as take_down

    _show(take_down(root), as_json)


def _show(answer: dict[str, object], as_json: bool) -> None:
    from omninode.cli.common import print_json
    from omninode.cli.tables import print_pairs, print_table

    if as_json:
        print_json(answer)
        return
    nodes = answer.pop("nodes", None)
    if isinstance(nodes, list) and nodes:
        columns = list(nodes[0])
        print_table(columns, [[node.get(column) for column in columns] for node in nodes])
    print_pairs(list(answer.items()))
