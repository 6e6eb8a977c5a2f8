"""The verbs as a user types them: what they print, and how they fail."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from omninode import cli, config, control, setup
from omninode.cli import tables
from omninode.errors import Exit, NotRunningError, RefusedError

MARKET = "0x" + "ab" * 20
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a verb in this process; returns (exit code, standard output, standard error)."""
    monkeypatch.setenv("OMNINODE_CONFIG", str(tmp_path / "node"))

    def invoke(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return invoke


def made(run: Run) -> dict[str, Any]:
    code, out, err = run("init", "--role", "prover", "--chain-id", "31337", "--market", MARKET, "--light", "--json")
    assert (code, err) == (0, "")
    result: dict[str, Any] = json.loads(out)
    return result


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, dict[str, Any]]]:
    """A configured node whose control socket is answered from ANSWERS. Returns what was asked."""
    config.write_default(tmp_path / "node" / "config.toml", {})
    asked: list[tuple[str, dict[str, Any]]] = []

    def call(path: Path, verb: str, args: dict[str, Any], timeout: float) -> dict[str, Any]:
        assert path == tmp_path / "node" / "control.sock"
        asked.append((verb, args))
        return json.loads(json.dumps(ANSWERS[verb]))

    monkeypatch.setattr(control, "call", call)
    return asked


OWNER = "0x" + "11" * 20
ANSWERS: dict[str, Any] = {
    "model_show": {
        "model": "export ab", "parameters": 100, "classes": 10,
        "layers": [{"layer": "conv", "parameters": 40, "share": 0.4, "public_count": 2},
                   {"layer": "fc", "parameters": 60, "share": 0.6, "public_count": 1}],
    },
    "model_save": {"file": "/m.safetensors", "parameters": 5000, "sessions": 3},
    "status": {
        "name": "n", "roles": ["prover"], "block": 7, "balance": 2 * 10**18,
        "sessions": [{"session": 3, "role": "prover", "phase": "KEYS"}], "net": {"total": {}},
    },
    "session_list": {
        "sessions": [{
            "session": 3, "mode": "verified", "phase": "KEYS", "deadline": 9, "owner": OWNER, "registered": 2,
            "places": 12, "reward": 10**17, "aborted": None,
        }],
    },
    "session_show": {
        "session": 3, "mode": "verified", "phase": "KEYS",
        "members": [{"index": 0, "address": OWNER, "accepted": True, "paid": 10**17}],
    },
    "session_create": {
        "session": 4, "escrow": 10**18, "guarantee": False, "why": "2f + 2 < R fails",
        "published": "publishes fc2, fc3: 1,840 of 5,090 parameters (36.1 %)",
    },
    "session_verify": {
        "checks": [{"name": "sets", "ok": True}, {"name": "signatures", "ok": False, "detail": "2 of 4"}],
    },
}  # fmt: skip


def test_version(run: Run) -> None:
    assert run("version") == (0, "omninode 0.1.0\n", "")
    assert json.loads(run("version", "--json")[1]) == {"version": "0.1.0"}


def test_starting_up_imports_little() -> None:
    """What takes long to import is not needed to print a version or a page of help."""
    heavy = [
        "torch",
        "numpy",
        "web3",
        "libp2p",
        "trio",
        "numba",
        "sklearn",
        "rich",
        "structlog",
        "cryptography",
        "sqlite3",
    ]
    code = f"import sys, omninode.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_help_lists_every_verb(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for verb in ("init", "start", "status", "session", "cluster", "demo", "version"):
        assert verb in out
    for group in ("session", "cluster"):
        assert run(group, "--help")[0] == 0
    assert "--hostile" in run("demo", "-h")[1]


@pytest.mark.parametrize(
    "line", ["", "nothing", "session", "session show", "session show x", "status --timeout 0", "demo --owners x"]
)
def test_wrong_command_lines(run: Run, line: str) -> None:
    code, _, err = run(*line.split())
    assert code == Exit.USAGE
    assert err.startswith("omninode: ")
    assert "Traceback" not in err


def test_init_makes_a_node(run: Run, tmp_path: Path) -> None:
    result = made(run)
    folder = tmp_path / "node"
    assert sorted(path.name for path in folder.iterdir()) == ["config.toml", "passphrase", "peer.key", "wallet.json"]
    for path in [folder, *folder.iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path
    loaded = config.load(folder / "config.toml")
    assert loaded.chain.market == MARKET
    assert loaded.node.roles == ("prover",)
    assert result["address"].lower() == "0x" + json.loads((folder / "wallet.json").read_text())["address"]
    assert result["peer_id"].startswith("12D3KooW")
    from omninode.chain.wallet import Wallet

    wallet = Wallet.load(folder / "wallet.json", loaded.wallet.passphrase(loaded.data_dir))
    assert wallet.address.hex() == result["address"].lower().removeprefix("0x")


def test_init_says_what_is_next(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("init", "--light")
    assert code == 0
    assert "node.roles is missing" in out
    assert "send ether to 0x" in out
    assert f"omninode start --config {tmp_path / 'node' / 'config.toml'}" in out


def test_init_never_overwrites_and_continues_after_an_interruption(run: Run, tmp_path: Path) -> None:
    first = made(run)
    code, _, err = run("init", "--light")
    assert code == Exit.USAGE
    assert "is there already" in err
    (tmp_path / "node" / "config.toml").unlink()
    again = made(run)
    assert (again["address"], again["peer_id"]) == (first["address"], first["peer_id"])


@pytest.mark.parametrize("flags", [["--role", "miner"], ["--chain-id", "-1", "--role", "prover"]])
def test_init_refuses_before_it_makes_keys(run: Run, tmp_path: Path, flags: list[str]) -> None:
    code, _, err = run("init", *flags)
    assert code == Exit.USAGE
    assert "must be" in err
    assert not (tmp_path / "node").exists()


def test_init_with_a_passphrase_of_the_user(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNINODE_PASSPHRASE", "chosen by hand")
    assert run("init", "--light")[0] == 0
    assert not (tmp_path / "node" / "passphrase").exists()
    from omninode.chain.wallet import Wallet

    Wallet.load(tmp_path / "node" / "wallet.json", "chosen by hand")
    file = tmp_path / "mine"
    file.write_text("from a file\n")
    file.chmod(0o600)
    assert run("init", "--light", "--passphrase-file", str(file), "-c", str(tmp_path / "second"))[0] == 0
    assert config.load(tmp_path / "second" / "config.toml", check=False).wallet.passphrase_file == str(file)
    Wallet.load(tmp_path / "second" / "wallet.json", "from a file")


def test_a_damaged_wallet_is_not_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "wallet.json").write_text("{}")
    code, _, err = run("init", "--light")
    assert code == Exit.KEYS
    assert "is no wallet" in err
    assert (tmp_path / "node" / "wallet.json").read_text() == "{}"


def test_start_reports_a_wrong_setting(run: Run, tmp_path: Path) -> None:
    made(run)
    path = tmp_path / "node" / "config.toml"
    path.write_text(path.read_text().replace("\nmarket = ", "\nmarcket = "))
    code, _, err = run("start")
    assert code == Exit.USAGE
    assert "did you mean chain.market?" in err
    code, _, err = run("start", "--set", "chain.timeout=soon", "-c", str(path))
    assert code == Exit.USAGE


def test_start_hands_over_to_the_node(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run)
    from omninode import node

    seen: list[config.Config] = []
    monkeypatch.setattr(node, "main", seen.append)
    assert run("start", "--set", "log.level=debug")[0] == 0
    assert seen[0].log.level == "debug"


def test_without_configuration_or_node(run: Run) -> None:
    code, _, err = run("status")
    assert code == Exit.USAGE
    assert "omninode init" in err
    made(run)
    code, _, err = run("status")
    assert code == Exit.NOT_RUNNING
    assert "omninode start" in err


def test_read_verbs_print_tables_and_json(run: Run, node: list[tuple[str, dict[str, Any]]]) -> None:
    for arguments, verb in (
        (["status"], "status"), (["session", "list"], "session_list"), (["session", "show", "3"], "session_show"),
    ):  # fmt: skip
        code, out, err = run(*arguments, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == ANSWERS[verb]
        code, out, err = run(*arguments)
        assert (code, err) == (0, "")
        assert "KEYS" in out
    assert node[-1] == ("session_show", {"session": 3})
    assert "2 ether" in run("status")[1]
    assert "2/12" in run("session", "list")[1]
    for verb in ("list", "show 3"):
        assert "verified" in run("session", *verb.split())[1]
    assert "0.1 ether" in run("session", "show", "3")[1]


def test_model_verbs(run: Run, node: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    code, out, err = run("model", "show")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[-3:]] == [
        ["layer", "parameters", "share", "public_count"], ["conv", "40", "0.4", "2"], ["fc", "60", "0.6", "1"],
    ]  # fmt: skip
    assert json.loads(run("model", "show", "--json")[1]) == ANSWERS["model_show"]
    code, out, err = run("model", "save", str(tmp_path / "m.safetensors"))
    assert (code, out, err) == (0, "/m.safetensors: 5,000 parameters after 3 sessions\n", "")
    assert node[-1] == ("model_save", {"file": str(tmp_path / "m.safetensors"), "force": False})
    run("model", "save", "m.safetensors", "--force")
    assert node[-1] == ("model_save", {"file": str(Path.cwd() / "m.safetensors"), "force": True})


def test_create_sends_only_what_was_said(run: Run, node: list[tuple[str, dict[str, Any]]]) -> None:
    code, out, _ = run("session", "create", "--reward", "0.5 ether", "--groups", "8", "--mu", "0.3", "--public-sums")
    assert code == 0
    assert node == [("session_create", {"reward": 5 * 10**17, "groups": 8, "mu": 0.3, "public_sums": True})]
    assert "session 4 is open; 1 ether in escrow" in out
    assert "it publishes fc2, fc3: 1,840 of 5,090 parameters (36.1 %)" in out
    assert "does not hold" in out
    line = "session create --mode verified --rule trust --payout contribution --score-cap 0.2 --data-owners 9"
    assert run(*line.split())[0] == 0
    given = {"mode": "verified", "rule": "trust", "payout": "contribution", "score_cap": 0.2, "data_owners": 9}
    assert node[-1] == ("session_create", given)
    for text, names in (("conv2, fc2,fc3", ["conv2", "fc2", "fc3"]), ("", []), (" ,", [])):
        assert run("session", "create", "--public-layers", text)[0] == 0
        assert node[-1] == ("session_create", {"public_layers": names})
    run("session", "create", "--public-count", "0")
    assert node[-1] == ("session_create", {"public_count": 0})
    assert run("session", "create", "--reward", "lots")[0] == Exit.USAGE
    assert json.loads(run("session", "create", "--json")[1]) == ANSWERS["session_create"]


def test_verify_prints_each_check_and_fails_with_one(run: Run, node: list[tuple[str, dict[str, Any]]]) -> None:
    code, out, _ = run("session", "verify", "3")
    assert (code, out) == (Exit.FAILURE, "ok    sets\nFAIL  signatures: 2 of 4\n")
    assert run("session", "verify", "3", "--json")[0] == Exit.FAILURE


def test_verify_prints_a_line_per_update_of_a_verified_session(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run)
    rows = [
        {"index": 0, "address": OWNER, "delivered": True, "valid": True, "accepted": True, "score": 5, "copies": 1,
         "paid": 10, "why": "", "product": 5},
        {"index": 255, "address": OWNER, "delivered": True, "valid": False, "accepted": None, "score": None,
         "copies": None, "paid": None, "why": "proof failed"},
    ]  # fmt: skip
    answer = {"checks": [{"name": "sets", "ok": True, "detail": ""}], "data_owners": rows}
    monkeypatch.setattr(control, "call", lambda *_, **__: answer)
    code, out, _ = run("session", "verify", "3")
    lines = out.splitlines()
    assert code == 0
    assert lines[:2] == ["ok    sets", ""]
    assert lines[2].split() == [
        "index", "address", "delivered", "valid", "accepted", "product", "score", "copies", "paid", "why",
    ]  # fmt: skip
    assert lines[3].split() == ["0", OWNER, "yes", "yes", "yes", "5", "5", "1", "10", "wei", "-"]
    assert lines[4].split() == ["255", OWNER, "yes", "no", "-", "-", "-", "-", "-", "proof", "failed"]


def test_what_could_not_be_checked_is_neither_good_nor_wrong(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made(run)
    answer = {"checks": [{"name": "sets", "ok": True}, {"name": "own journal", "ok": None, "detail": "not replayed"}]}
    monkeypatch.setattr(control, "call", lambda *_, **__: answer)
    code, out, _ = run("session", "verify", "3")
    assert (code, out.splitlines()) == (0, ["ok    sets", "-     own journal: not replayed"])


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            RefusedError("no such session", "omninode session list"),
            7,
            "omninode: no such session\n    omninode session list\n",
        ),
        (NotRunningError("nobody"), 6, "omninode: nobody\n"),
        (ExceptionGroup("g", [RefusedError("inner")]), 7, "omninode: inner\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_one_sentence(
    run: Run, node: object, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, text: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(control, "call", fail)
    assert run("status") == (code, "", text)


def test_a_defect_is_named_and_debug_shows_where(run: Run, node: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(control, "call", fail)
    code, _, err = run("status")
    assert (code, "Traceback" in err, "--debug" in err) == (1, False, True)
    monkeypatch.setenv(cli.DEBUG, "")
    code, _, err = run("--debug", "status")
    assert (code, "Traceback" in err) == (1, True)


def test_a_reader_that_stops_early_is_no_error() -> None:
    script = "import sys; from omninode.cli import main; main(['demo', '--help'])"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert "Traceback" not in done.stderr


def test_demo_options_reach_the_demo(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from omninode import demo

    seen: list[demo.DemoOptions] = []

    def main(options: demo.DemoOptions) -> int:
        seen.append(options)
        return 3

    monkeypatch.setattr(demo, "main", main)
    line = f"demo --mode grouped --hostile --seed 4 --data {tmp_path} --out x --owners 15 --json"
    assert run(*line.split())[0] == 3
    (options,) = seen
    assert (options.hostile, options.seed, options.data, options.out) == (True, 4, tmp_path, Path("x"))
    assert (options.mode, options.groups) == ("grouped", 5)
    assert (options.owners, options.as_json, options.sessions, options.provers) == (15, True, 5, 5)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--mode secret", "choose --mode verified or --mode grouped"),
        ("--owners 3", "--owners between 4"),
        ("--mode grouped --owners 13", "multiple of 3"),
        ("--provers 5 --mode grouped --owners 9", "12 or more"),
        ("--mode grouped --hostile --sessions 3", "--sessions 4 or more"),
        ("--certificate notarised", "choose --certificate attested or --certificate zk"),
        ("--rule majority", "choose one of auto, none, trust"),
        ("--certificate zk --mode grouped", "certificate zk goes with mode verified only"),
        ("--certificate zk --owners 65", "--owners 64 or fewer"),
        ("--certificate zk --attack lie", "--certificate zk --hostile"),
    ],
)
def test_demos_that_cannot_be(run: Run, flags: str, words: str) -> None:
    code, _, err = run("demo", *flags.split())
    assert code == Exit.USAGE
    assert words in err


def test_a_demo_of_proofs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from omninode import demo

    seen: list[demo.DemoOptions] = []
    monkeypatch.setattr(demo, "main", lambda options: seen.append(options) or 0)
    run("demo", "--certificate", "zk")
    run("demo", "--certificate", "zk", "--rule", "multi-krum")
    run("demo", "--rule", "multi-krum")
    assert [options.zk for options in seen] == [True, True, False]
    assert [options.pay for options in seen] == ["contribution", "equal", "contribution"]
    assert [options.windows["settle_blocks"] for options in seen] == [60, 60, 25]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_tables_are_plain_columns_off_a_terminal() -> None:
    out = io.StringIO()
    tables.print_table(["a", "long name"], [[1, None], ["xyz", [True, 0.123456]]], title="T", out=out)
    assert out.getvalue() == "T\na    long name\n1    -\nxyz  yes 0.1235\n"
    out = io.StringIO()
    tables.print_pairs([("x", {}), ("name", {"a": 1})], out=out)
    assert out.getvalue() == "x     -\nname  a=1\n"
    tables.print_pairs([], out=out)


def test_tables_on_a_terminal_never_read_markup() -> None:
    out = Terminal()
    tables.print_table(["peer"], [["[bold]evil[/bold]"]], out=out)
    assert "[bold]evil[/bold]" in out.getvalue()


def test_what_init_made_as_values() -> None:
    result = setup.Made(Path("/c"), Path("/w"), "0x1", "12D3", ("do this",))
    assert result.as_dict() == {
        "config": "/c",
        "wallet": "/w",
        "address": "0x1",
        "peer_id": "12D3",
        "next": ["do this"],
    }
