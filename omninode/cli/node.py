"""init, start, status, version: one node on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from omninode.cli.common import ConfigOption, JsonOption, SetOption, TimeoutOption


def register(app: typer.Typer) -> None:
    """Add these verbs to the top level."""
    app.command()(init)
    app.command()(start)
    app.command()(status)
    app.command()(version)


def init(
    config: ConfigOption = None,
    role: Annotated[list[str] | None, typer.Option(help="model_owner, data_owner or prover; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="How the node is called in its logs.")] = "",
    rpc: Annotated[str, typer.Option(help="HTTP JSON-RPC of an Ethereum node.")] = "",
    chain_id: Annotated[int | None, typer.Option(help="What that node says on eth_chainId.")] = None,
    market: Annotated[str, typer.Option(help="Address of the DataMarket contract.")] = "",
    data: Annotated[Path | None, typer.Option(help="Training data.")] = None,
    test_data: Annotated[Path | None, typer.Option(help="Model owner: held-out data.")] = None,
    listen: Annotated[str, typer.Option(help="Where to accept peers: /ip4/0.0.0.0/tcp/4021.")] = "",
    bootstrap: Annotated[list[str] | None, typer.Option(help="A peer to meet first; may be repeated.")] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="Passphrase for the wallet; made if not given.")] = None,
    light: Annotated[bool, typer.Option("--light", help="Weak key stretching, for test networks.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a commented configuration, a wallet and a peer key."""
    from omninode.cli.common import config_path, print_json
    from omninode.cli.tables import print_pairs
    from omninode.setup import initialise

    given: dict[str, Any] = {
        "node.roles": role, "node.name": name, "chain.rpc": rpc, "chain.chain_id": chain_id, "chain.market": market,
        "data.path": data and str(data.absolute()), "data.test_path": test_data and str(test_data.absolute()),
        "net.listen": listen, "net.bootstrap": bootstrap, "wallet.light": light,
        "wallet.passphrase_file": passphrase_file and str(passphrase_file.absolute()),
    }  # fmt: skip
    made = initialise(config_path(config), {key: value for key, value in given.items() if value})
    if as_json:
        print_json(made.as_dict())
        return
    print_pairs(made.pairs())
    typer.echo("\nnext: " + "\n      ".join(made.next_steps))


def start(config: ConfigOption = None, overrides: SetOption = None) -> None:
    """Run the node in the foreground until SIGTERM or Ctrl-C."""
    from omninode.cli.common import load

    settings = load(config, overrides)
    from omninode import node

    node.main(settings)


def status(config: ConfigOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """What the running node is doing."""
    from omninode.cli.common import ask, print_json
    from omninode.cli.tables import print_pairs, print_table
    from omninode.config_values import format_wei

    answer = ask(config, "status", timeout)
    if as_json:
        print_json(answer)
        return
    sessions = answer.pop("sessions", [])
    answer["balance"] = format_wei(answer.get("balance") or 0)
    answer.pop("net", None)  # long; there with --json
    print_pairs(list(answer.items()))
    if sessions:
        typer.echo("")
        columns = ["session", "role", "phase"]
        print_table(columns, [[entry.get(column) for column in columns] for entry in sessions])


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    from omninode import __version__

    if as_json:
        from omninode.cli.common import print_json

        print_json({"version": __version__})
    else:
        typer.echo(f"omninode {__version__}")
