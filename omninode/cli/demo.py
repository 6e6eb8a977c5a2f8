"""demo: a whole market on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the top level."""
    app.command()(demo)


def demo(
    mode: Annotated[str | None, typer.Option(help="verified (the default) or grouped.", show_default=False)] = None,
    aggregation: Annotated[
        str, typer.Option(help="offchain: by provers; onchain: the paper's baseline, in contracts.")
    ] = "offchain",
    certificate: Annotated[
        str, typer.Option(help="Mode verified: attested, or zk: the contract checks a proof of every batch.")
    ] = "attested",
    rule: Annotated[
        str, typer.Option(help="trust, none, outlier or multi-krum; auto: what is usual in the mode.")
    ] = "auto",
    hostile: Annotated[bool, typer.Option("--hostile", help="Three attackers in session 3.")] = False,
    attack: Annotated[
        str,
        typer.Option(help="Play an attack, several with commas, or all; list says which there are.", metavar="NAME"),
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="Folder with MNIST IDX files instead of the bundled digits.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Splits the data and starts the model.", min=0)] = 0,
    sessions: Annotated[int, typer.Option(help="Sessions to run.", min=1, max=100)] = 5,
    owners: Annotated[int, typer.Option(help="Data owners.", min=3, max=200)] = 12,
    provers: Annotated[int, typer.Option(help="Provers.", min=5, max=32)] = 5,
    group_size: Annotated[int, typer.Option(help="Mode grouped: data owners in a group.", min=2)] = 3,
    public_layers: Annotated[
        str, typer.Option(help="Layers that the owner publishes, with commas: fc1,fc2.", metavar="NAMES")
    ] = "",
    public_count: Annotated[int, typer.Option(help="Or how many; 0: the whole model.", min=0)] = 0,
    block_time: Annotated[int, typer.Option(help="Seconds between blocks.", min=1, max=60)] = 1,
    out: Annotated[Path, typer.Option(help="Where the summary goes, in a folder named by the time.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json at the end, and nothing else.")] = False,
) -> None:
    """Start a chain, contracts and nodes as separate processes, run sessions, and tell what happened."""
    from omninode.demo import DemoOptions, main

    if attack == "list":
        from omninode.demo.catalogue import listing

        typer.echo(listing())
        return
    usual = "grouped" if aggregation == "onchain" else "verified"
    options = DemoOptions(
        mode=mode or usual, aggregation=aggregation, certificate=certificate, rule=rule, hostile=hostile,
        attack=attack, data=data, seed=seed,
        sessions=sessions, owners=owners, provers=provers, group_size=group_size, block_time=block_time, out=out,
        as_json=as_json, public_layers=tuple(name.strip() for name in public_layers.split(",") if name.strip()),
        public_count=public_count,
    )  # fmt: skip
    raise typer.Exit(main(options))
