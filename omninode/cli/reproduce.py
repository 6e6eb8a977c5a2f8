"""reproduce: a paper's experiments, run again, and a report of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="A paper's experiments, run again on this machine, and a report of them.")


@app.callback()
def _group() -> None:
    """Keeps the paper's name a verb of its own while there is only one."""


@app.command()
def omnilytics(
    data: Annotated[Path, typer.Option(help="Folder with MNIST's IDX files (*-images-idx3-ubyte[.gz] and labels).")],
    quick: Annotated[bool, typer.Option("--quick", help="One seed and few cells: a few minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Where results are kept; an interrupted run goes on from them.")] = Path(
        "runs/reproduce"
    ),
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the report: docs if nothing is missing, else OUT/partial-report; OUT/quick-report.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="A group of cells (table5, gas, ..) or a pattern of names; several: again.", metavar="CELLS"),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes at once.", min=1, max=64)] = 2,
) -> None:
    """OmniLytics (2021): tables and figures on accuracy, gas and time, beside the paper's."""
    from omninode.reproduce.command import Wanted, main

    words = tuple(word for value in only or () for word in value.split(",") if word)
    raise typer.Exit(main(Wanted(data, out, report, quick, words, jobs)))
