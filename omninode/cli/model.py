"""model show, save: asked of the model owner's running node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omninode.cli.common import ConfigOption, JsonOption, TimeoutOption

app = typer.Typer(help="The owner's model.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = ("layer", "parameters", "share", "public_count")


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """Layers and parameters of the model; public_count: the --public-count from which on a layer is published."""
    from omninode.cli.common import ask, print_json
    from omninode.cli.tables import print_pairs, print_table

    answer = ask(config, "model_show", timeout)
    if as_json:
        print_json(answer)
        return
    layers = answer.pop("layers", [])
    print_pairs(list(answer.items()))
    typer.echo("")
    print_table(list(COLUMNS), [[layer.get(column) for column in COLUMNS] for layer in layers])


@app.command()
def save(
    file: Annotated[Path, typer.Argument(help="The .safetensors file to write.", show_default=False)],
    config: ConfigOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 60.0,
) -> None:
    """Write all current weights of the model, the private layers too, to a file that only you can read."""
    from omninode.cli.common import ask, print_json

    answer = ask(config, "model_save", timeout, file=str(file.expanduser().absolute()), force=force)
    if as_json:
        print_json(answer)
        return
    sessions = f" after {answer['sessions']} sessions" if answer.get("sessions") else ""
    typer.echo(f"{answer['file']}: {answer['parameters']:,} parameters{sessions}")
