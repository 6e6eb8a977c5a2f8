"""session create, list, show, verify: asked of the running node."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from omninode.cli.common import ConfigOption, JsonOption, TimeoutOption

app = typer.Typer(help="Sessions: paid improvements of a model.", no_args_is_help=True, rich_markup_mode=None)
Number = Annotated[int, typer.Argument(help="Number of the session.", min=1)]
Amount = Annotated[str | None, typer.Option(help='Such as "0.05 ether", "3 gwei" or wei.', show_default=False)]
_RULES = "trust (mode verified), none, outlier, multi-krum or m-krum; auto: what is usual in the mode."
Count = Annotated[int | None, typer.Option(show_default=False)]

VERIFIED_COLUMNS = (
    "index", "address", "delivered", "valid", "accepted", "product", "score", "copies", "paid", "why",
)  # fmt: skip
"""Of `session verify` in mode verified. product: with the owner's reference, on a committee member only."""


@app.command()
def create(
    config: ConfigOption = None,
    mode: Annotated[str | None, typer.Option(help="verified or grouped.", show_default=False)] = None,
    certificate: Annotated[
        str | None, typer.Option(help="attested, or zk: the contract checks a proof.", show_default=False)
    ] = None,
    aggregation: Annotated[
        str | None, typer.Option(help="offchain, or onchain: the baseline.", show_default=False)
    ] = None,
    reward: Amount = None,
    prover_fee: Amount = None,
    deposit: Amount = None,
    gas_price_cap: Amount = None,
    data_owners: Annotated[int | None, typer.Option(help="Mode verified: places.", show_default=False)] = None,
    groups: Count = None,
    group_size: Count = None,
    committee: Count = None,
    threshold: Count = None,
    rule: Annotated[str | None, typer.Option(help=_RULES, show_default=False)] = None,
    mu: Annotated[float | None, typer.Option(help="Share taken for corrupt.", show_default=False)] = None,
    m_krum: Count = None,
    payout: Annotated[str | None, typer.Option(help="equal or contribution.", show_default=False)] = None,
    score_cap: Annotated[float | None, typer.Option(help="Largest score, of B squared.", show_default=False)] = None,
    min_accepted: Count = None,
    register_blocks: Count = None,
    upload_blocks: Count = None,
    settle_blocks: Count = None,
    public_sums: Annotated[bool | None, typer.Option(help="Allow small models.", show_default=False)] = None,
    public_layers: Annotated[
        str | None, typer.Option(help="Layers to publish, with commas; the rest stays here.", show_default=False)
    ] = None,
    public_count: Annotated[
        int | None, typer.Option(help="Or how many, from the end; 0: the whole model.", show_default=False)
    ] = None,
    model_privacy: Annotated[
        str | None, typer.Option(help="none, or perturb: publish the model perturbed.", show_default=False)
    ] = None,
    tuning: Annotated[
        str | None, typer.Option(help="Bound and server rate: own, or published (rule).", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 120.0,
) -> None:
    """Escrow the money and open a session on the current model; what is not given comes from the configuration."""
    from omninode.cli.common import ask, print_json

    given: dict[str, Any] = {
        "reward": _wei(reward), "prover_fee": _wei(prover_fee), "deposit": _wei(deposit),
        "gas_price_cap": _wei(gas_price_cap), "aggregation": aggregation,
        "mode": mode, "certificate": certificate, "data_owners": data_owners,
        "groups": groups, "group_size": group_size, "committee": committee, "threshold": threshold, "rule": rule,
        "mu": mu, "m_krum": m_krum, "payout": payout, "score_cap": score_cap, "min_accepted": min_accepted,
        "register_blocks": register_blocks, "upload_blocks": upload_blocks, "settle_blocks": settle_blocks,
        "public_sums": public_sums, "public_layers": _names(public_layers), "public_count": public_count,
        "model_privacy": model_privacy, "tuning": tuning,
    }  # fmt: skip
    chosen = {key: value for key, value in given.items() if value is not None}
    answer = ask(config, "session_create", timeout, **chosen)
    if as_json:
        print_json(answer)
        return
    _say_created(answer)


def _say_created(answer: dict[str, Any]) -> None:
    from omninode.config_values import format_wei

    typer.echo(f"session {answer['session']} is open; {format_wei(answer['escrow'])} in escrow")
    if answer.get("published"):
        typer.echo(f"it {answer['published']}")
    if answer.get("warning"):
        typer.echo(answer["warning"])
    if answer.get("note"):
        typer.echo(answer["note"])
    if answer.get("guarantee") is None:
        typer.echo(answer.get("why", ""))
    else:
        holds = "holds" if answer["guarantee"] else "does not hold"
        typer.echo(f"the papers' guarantee {holds} for these numbers: {answer.get('why', '')}")


def _names(text: str | None) -> list[str] | None:
    """Names between commas; an empty text is a list of none, which the node refuses."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _wei(text: str | None) -> int | None:
    from omninode.config_values import parse_wei
    from omninode.errors import UsageError

    try:
        return None if text is None else parse_wei(text)
    except ValueError as error:
        raise UsageError(f"an amount {error}") from error


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 10.0) -> None:
    """Sessions that this node has seen on the chain."""
    from omninode.cli.common import ask, print_json
    from omninode.cli.tables import print_table
    from omninode.config_values import format_wei

    answer = ask(config, "session_list", timeout)
    if as_json:
        print_json(answer)
        return
    rows = [
        [
            s["session"],
            s.get("mode"),  # on-chain: its number is the factory's, and goes with show --onchain
            s["phase"],
            s.get("deadline"),
            f"{s['registered']}/{s['places']}",
            format_wei(s["reward"]),
            s["owner"],
        ]
        for s in answer["sessions"]
    ]
    print_table(["session", "mode", "phase", "deadline", "registered", "reward", "owner"], rows)


@app.command()
def show(
    session: Number,
    config: ConfigOption = None,
    onchain: Annotated[bool, typer.Option("--onchain", help="A session of the on-chain baseline.")] = False,
    as_json: JsonOption = False,
    timeout: TimeoutOption = 10.0,
) -> None:
    """Everything that this node knows about one session."""
    from omninode.cli.common import ask, print_json
    from omninode.cli.tables import print_pairs, print_table
    from omninode.config_values import format_wei

    answer = ask(config, "session_show", timeout, session=session, **({"onchain": True} if onchain else {}))
    if as_json:
        print_json(answer)
        return
    members = answer.pop("members", [])
    print_pairs(list(answer.items()))
    if members:
        typer.echo("")
        for member in members:
            if isinstance(member.get("paid"), int):
                member["paid"] = format_wei(member["paid"])
        columns = list(members[0])
        print_table(columns, [[member.get(column) for column in columns] for member in members])


RESULTS = {True: "ok  ", False: "FAIL", None: "-   "}


@app.command()
def verify(
    session: Number, config: ConfigOption = None, as_json: JsonOption = False, timeout: TimeoutOption = 600.0
) -> None:
    """Check again what can be checked of a settled session; exit code 1 if anything is wrong (-: not checked)."""
    from omninode.cli.common import ask, print_json
    from omninode.cli.tables import print_table
    from omninode.config_values import format_wei
    from omninode.errors import Exit

    answer = ask(config, "session_verify", timeout, session=session)
    checks = answer["checks"]
    if as_json:
        print_json(answer)
    else:
        for check in checks:
            detail = f": {check['detail']}" if check.get("detail") else ""
            typer.echo(f"{RESULTS[check['ok']]}  {check['name']}{detail}")
        if owners := answer.get("data_owners"):
            typer.echo("")
            for owner in owners:
                if isinstance(owner.get("paid"), int):
                    owner["paid"] = format_wei(owner["paid"])
            columns = [name for name in VERIFIED_COLUMNS if any(name in owner for owner in owners)]
            print_table(columns, [[owner.get(name) for name in columns] for owner in owners])
    if any(check["ok"] is False for check in checks):
        raise typer.Exit(int(Exit.FAILURE))
