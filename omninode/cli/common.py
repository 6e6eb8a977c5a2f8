"""What the verbs share: where the node is, how to ask it, how to print what it says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from omninode.config import Config

DEFAULT_DIR = "~/.omninode"
VARIABLE = "OMNINODE_CONFIG"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help=f"Configuration file or its folder [${VARIABLE}, else {DEFAULT_DIR}].",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="section.key=value: stronger than file and environment.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TimeoutOption = Annotated[float, typer.Option(help="Seconds to wait for the node.", min=0.1, max=600)]


def config_path(chosen: Path | None) -> Path:
    """The configuration file: ``chosen``, else the environment's, else the default; a folder means its config.toml."""
    path = Path(chosen or os.environ.get(VARIABLE) or DEFAULT_DIR).expanduser()
    return path if path.suffix == ".toml" else path / "config.toml"


def load(chosen: Path | None, overrides: list[str] | None = None, *, check: bool = True) -> Config:
    """The settings of the node that is meant. Raises ConfigError."""
    from omninode import config

    return config.load(config_path(chosen), overrides=overrides or (), check=check)


def ask(chosen: Path | None, verb: str, timeout: float, **args: Any) -> dict[str, Any]:
    """Ask the running node. Raises NotRunningError, or what the node says."""
    from omninode import control

    return control.call(load(chosen, check=False).data_dir / "control.sock", verb, args, timeout)


def print_json(value: Any) -> None:
    """For scripts: one JSON document on standard output."""
    json.dump(value, sys.stdout, indent=None if not sys.stdout.isatty() else 2)
    sys.stdout.write("\n")
