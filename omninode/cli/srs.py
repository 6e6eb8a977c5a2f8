"""srs new, contribute, verify, show, prepare: reference strings of certificate zk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from omninode.cli.common import ConfigOption, JsonOption

app = typer.Typer(
    help="Reference strings for certificate zk. Make one with others (new, then contribute by turns, then verify), or "
    "use a .ptau file of a public ceremony; then set proofs.string.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
FileArgument = Annotated[Path, typer.Argument(help="A reference string.", show_default=False)]
OutArgument = Annotated[Path, typer.Argument(help="The file to write.", show_default=False)]
SizeOption = Annotated[
    int,
    typer.Option(
        help="Rows of the proofs: a power of two, at least the model's parameters and 2^b (b: bits of the bound and 1)."
    ),
]
ThreadsOption = Annotated[int, typer.Option(help="Threads; 0: as many as there are.", min=0, max=256)]


@app.command()
def new(
    out: OutArgument,
    size: SizeOption,
    insecure: Annotated[str, typer.Option(help="Write the test string of this label, INSECURE.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Begin a string that others contribute to; with --insecure a test string, for the development chain."""
    from omninode.srs.making import new as begin

    _say(begin(out, size, insecure), as_json)


@app.command()
def contribute(
    file: FileArgument,
    out: OutArgument,
    name: Annotated[str, typer.Option(help="How you are called in the list of contributors.")],
    entropy: Annotated[str, typer.Option(help="Any text: mixed with the system's random numbers.")] = "",
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Add a secret of your own to a string and forget it. Restart the machine after, if you want to be sure."""
    from omninode.srs.making import contribute as add

    _say(add(file, out, name, entropy, _threads(threads)), as_json)


@app.command()
def verify(file: FileArgument, threads: ThreadsOption = 0, as_json: JsonOption = False) -> None:
    """Check a string, and every contribution from the start; names and digests of the contributors.

    Exit code 1 for an INSECURE string, too: its powers may be right, but it is nothing to trust.
    """
    from omninode.srs.making import verify as check

    answer = check(file, _threads(threads))
    _say(answer, as_json)
    if "warning" in answer:
        raise typer.Exit(1)


@app.command()
def show(file: FileArgument, as_json: JsonOption = False) -> None:
    """What a file says it is, not checked."""
    from omninode.srs.making import show as look

    _say(look(file), as_json)


@app.command()
def prepare(
    size: SizeOption, config: ConfigOption = None, threads: ThreadsOption = 0, as_json: JsonOption = False
) -> None:
    """Compute the Lagrange form of the node's string once, so that it commits to updates faster: minutes."""
    from omninode.cli.common import load
    from omninode.errors import ConfigError
    from omninode.srs.making import prepare as compute

    settings = load(config, check=False)
    if not settings.proofs.string:
        raise ConfigError("proofs.string is missing", "set it to the path of a reference string")
    cache = settings.data_dir / "srs"
    _say(compute(Path(settings.proofs.string), size, cache, _threads(threads), _progress), as_json)


def _threads(chosen: int) -> int:
    return chosen or (os.cpu_count() or 1)


def _progress(done: int, total: int) -> None:
    typer.echo(f"step {done} of {total}", err=True)


def _say(answer: dict[str, Any], as_json: bool) -> None:
    from omninode.cli.common import print_json
    from omninode.cli.tables import print_pairs, print_table

    if as_json:
        print_json(answer)
        return
    contributions = answer.pop("contributions", None)
    if contributions:
        columns = list(contributions[0])
        print_table(columns, [[entry[column] for column in columns] for entry in contributions])
    elif contributions is not None:
        answer["contributions"] = 0
    print_pairs(list(answer.items()))
