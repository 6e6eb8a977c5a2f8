"""The verbs of ``omninode srs`` as a user types them: a ceremony from the first file to the node's configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from omninode import cli, config
from omninode.errors import Exit
from omninode.srs import files, loading
from protocols.bn254 import srs
from tests.unit.test_bn254_srs import file_of

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a verb in this process and folder; returns (exit code, standard output, standard error)."""
    monkeypatch.setenv("OMNINODE_CONFIG", str(tmp_path / "node"))
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(["srs", *arguments])
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return invoke


def refused(answer: tuple[int, str, str], code: Exit, problem: str, cure: str) -> None:
    assert answer[0] == code
    assert answer[1] == ""
    said = answer[2].splitlines()
    assert problem in said[0]
    assert cure in said[1]


def test_a_ceremony(run: Run) -> None:
    code, out, err = run("new", "zero", "--size", "4")
    assert (code, err) == (0, "")
    assert "INSECURE until somebody contributes" in out
    assert "omninode srs contribute zero NEW_FILE --name YOUR_NAME" in out
    code, out, err = run(
        "contribute", "zero", "one", "--name", "Ada L.", "--entropy", "dice", "--threads", "1", "--json"
    )
    assert (code, err) == (0, "")
    announced = json.loads(out)
    assert (announced["contribution"], announced["name"]) == (1, "Ada L.")
    assert run("contribute", "one", "two", "--name", "Bo")[0] == 0

    code, out, err = run("verify", "two", "--json")
    said = json.loads(out)
    assert (code, err, "warning" in said) == (0, "", False)
    assert [entry["name"] for entry in said["contributions"]] == ["Ada L.", "Bo"]
    assert said["contributions"][0]["digest"] == announced["digest"]
    assert (said["powers"], said["rows"], said["kind"]) == (16, 4, "omninode")

    code, out, err = run("show", "two")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[:3]] == [["number", "name"], ["1", "Ada", "L."], ["2", "Bo"]]
    assert "INSECURE" not in out
    assert loading.load_string(Path("two"), 16).id == said["id"]


def test_secrets_differ_each_time(run: Run) -> None:
    run("new", "zero", "--size", "4")
    for name in ("a", "b"):
        assert run("contribute", "zero", name, "--name", "same", "--entropy", "same")[0] == 0
    assert Path("a").read_bytes() != Path("b").read_bytes()


def test_a_test_string_says_everywhere_that_it_is_insecure(run: Run) -> None:
    for verb in (("new", "t", "--size", "4", "--insecure", "omninode"), ("show", "t"), ("verify", "t")):
        code, out, err = run(*verb)
        assert (code, err) == (int(verb[0] == "verify"), "")
        assert "INSECURE-omninode" in out
        assert "INSECURE: everybody can compute the secret" in out
    refused(run("contribute", "t", "u", "--name", "x"), Exit.REFUSED, "test string with the label", "omninode srs new")
    assert files.parse(Path("t").read_bytes()).string.powers.tolist() == srs.insecure("omninode", 16).powers.tolist()


def test_a_string_that_nobody_contributed_to_says_so(run: Run) -> None:
    run("new", "zero", "--size", "4")
    for verb in ("show", "verify"):
        code, out, _ = run(verb, "zero")
        assert code == (1 if verb == "verify" else 0)
        assert "INSECURE until somebody contributes: its secret is 1" in out
        assert "contributions  0" in out


def test_files_of_public_ceremonies(run: Run) -> None:
    Path("p").write_bytes(file_of(77, 3))
    code, out, _ = run("show", "p", "--json")
    assert (code, json.loads(out)) == (0, {"file": "p", "kind": "ptau", "powers": 15, "rows": 0, "lagrange": False})
    code, out, _ = run("verify", "p")
    assert code == 0
    assert "snarkjs powersoftau verify" in out
    Path("q").write_bytes(file_of(srs.insecure_secret("omninode"), 3))
    code, out, _ = run("verify", "q", "--json")
    assert code == 1 and json.loads(out)["warning"].startswith("INSECURE: everybody")
    refused(run("contribute", "p", "r", "--name", "x"), Exit.REFUSED, "is a .ptau file", "omninode srs new")


def test_what_is_refused(run: Run, tmp_path: Path) -> None:
    run("new", "zero", "--size", "4")
    Path("garbage").write_bytes(b"x" * 1000)
    Path("cut").write_bytes(Path("zero").read_bytes()[:-1])
    for verb in (("show",), ("verify",), ("contribute", "new", "--name", "x")):
        for file in ("garbage", "cut"):
            refused(run(verb[0], file, *verb[1:]), Exit.REFUSED, "refused as a reference string", "get the file again")
        refused(run(verb[0], "none", *verb[1:]), Exit.USAGE, "no reference string at none", "omninode srs --help")
    refused(run("new", "zero", "--size", "4"), Exit.USAGE, "zero is there already", "another name")
    refused(run("contribute", "zero", "zero", "--name", "x"), Exit.USAGE, "zero is there already", "another name")
    refused(run("new", "no/zero", "--size", "4"), Exit.USAGE, "no folder no", "make it first")
    for size, cure in (("5", "--size 8"), ("65", "--size 128"), ("-1", "--size 4"), (str(1 << 25), "--size 16777216")):
        refused(run("new", "a", "--size", size), Exit.USAGE, "a power of two from 4", cure)
    for arguments, problem in (
        (("new", "a", "--size", "4", "--insecure", "start"), "label start"),
        (("new", "a", "--size", "4", "--insecure", "a\nb"), "printable"),
        (("contribute", "zero", "a", "--name", ""), "--name: a name has 1 to 64"),
        (("contribute", "zero", "a", "--name", "x" * 65), "--name: a name has 1 to 64"),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (Exit.USAGE, "")
        assert problem in err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cut", "garbage", "zero"]


def test_a_changed_contribution_is_named(run: Run) -> None:
    run("new", "zero", "--size", "4")
    run("contribute", "zero", "one", "--name", "alice")
    changed = Path("one").read_bytes().replace(b"alice", b"mandy")
    Path("one").write_bytes(changed)
    for verb in (("verify", "one"), ("contribute", "one", "two", "--name", "x")):
        refused(run(*verb), Exit.REFUSED, "knowledge: contribution 1, by 'mandy'", "get the file again")


def test_the_form_that_makes_a_node_faster(run: Run, tmp_path: Path) -> None:
    refused(run("prepare", "--size", "4"), Exit.USAGE, "there is no configuration", "omninode init")
    config.write_default(tmp_path / "node" / "config.toml", {})
    refused(run("prepare", "--size", "4"), Exit.USAGE, "proofs.string is missing", "path of a reference string")
    Path("p").write_bytes(file_of(77, 4))
    config.write_default(tmp_path / "node" / "config.toml", {"proofs.string": "../p"}, overwrite=True)
    code, out, err = run("prepare", "--size", "8", "--json")
    assert (code, err.splitlines()) == (0, [f"step {k} of 3" for k in (1, 2, 3)])
    assert Path(json.loads(out)["file"]).parent == tmp_path / "node" / "srs"
    assert run("prepare", "--size", "8")[2] == ""  # it is there
    refused(run("prepare", "--size", "16"), Exit.REFUSED, "31 powers of tau, 40 are needed", ".ptau file of power 5")
    refused(run("prepare", "--size", "7"), Exit.USAGE, "a power of two", "--size 8")
