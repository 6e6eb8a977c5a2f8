"""Settings: three sources, one rule, and messages that say where and what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omninode import config
from omninode.config_schema import SECTIONS, all_keys, keys_of, variable_of
from omninode.errors import ConfigError, Exit, KeyFileError
from omninode.observe.redact import is_secret_name

MARKET = "0x" + "ab" * 20
GOOD = f'[node]\nroles = ["prover"]\n\n[chain]\nchain_id = 31337\nmarket = "{MARKET}"\n'


def write(folder: Path, text: str = GOOD) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def load(path: Path, *overrides: str, **environ: str) -> config.Config:
    return config.load(path, environ=environ, overrides=overrides)


def refusal(path: Path, *overrides: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(path, *overrides, **environ)
    assert caught.value.exit_code == Exit.USAGE == 2
    return caught.value


def test_file_gives_typed_values_and_defaults(tmp_path: Path) -> None:
    loaded = load(write(tmp_path))
    assert loaded.node.roles == ("prover",)
    assert loaded.chain.chain_id == 31337
    assert loaded.learning.slots == 2
    assert loaded.data_dir == tmp_path


def test_environment_beats_file_and_flags_beat_environment(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + 'timeout = 1.5\n[log]\nlevel = "debug"\n')
    assert load(path).chain.timeout == 1.5
    assert load(path, OMNINODE_CHAIN_TIMEOUT="2").chain.timeout == 2.0
    loaded = load(path, "chain.timeout=3", OMNINODE_CHAIN_TIMEOUT="2")
    assert loaded.chain.timeout == 3.0
    assert loaded.log.level == "debug"


def test_rows_tell_where_each_value_came_from(tmp_path: Path) -> None:
    path = write(tmp_path)
    origins = {key: origin for key, _, origin in load(path, "log.level=error", OMNINODE_NODE_NAME="x").rows()}
    assert list(origins) == all_keys()
    assert origins["node.roles"] == f"{path}, line 2"
    assert origins["chain.market"] == f"{path}, line 6"
    assert origins["node.name"] == "environment OMNINODE_NODE_NAME"
    assert origins["log.level"] == "--set log.level"
    assert origins["learning.slots"] == "default"


def test_unknown_key_names_key_line_and_suggestion(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, GOOD + 'marcket = "x"\n'))
    assert "line 7" in error.problem
    assert "chain.marcket" in error.problem
    assert error.cure == "did you mean chain.market?"


def test_key_in_the_wrong_section_is_found_elsewhere(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, GOOD + 'bootstrap = ["x"]\n'))
    assert error.cure == "did you mean net.bootstrap?"


@pytest.mark.parametrize(
    ("text", "problem", "cure"),
    [
        ("[chian]\n", "no section chian", "did you mean [chain]?"),
        ('market = "x"\n', "no setting market", "did you mean chain.market?"),
        ("chain = 3\n", "must be a section", ""),
        ("[zzz]\n", "no section zzz", "the sections are node, net"),
        ("[chain]\nqqq = 1\n", "no setting chain.qqq", "[chain] has rpc, chain_id"),
    ],
)
def test_unknown_sections(tmp_path: Path, text: str, problem: str, cure: str) -> None:
    error = refusal(write(tmp_path, text))
    assert problem in error.problem
    assert cure in error.cure


@pytest.mark.parametrize(
    ("section", "entry", "phrase"),
    [
        ("chain", 'chain_id = "1"', 'must be a whole number, not "1"'),
        ("chain", "chain_id = 1.5", "must be a whole number, not 1.5"),
        ("chain", "chain_id = true", "must be a whole number, not true or false"),
        ("chain", "chain_id = -1", "must be at least 0"),
        ("chain", "timeout = nan", "must be at least 0.1"),
        ("chain", "rpc = 5", "must be text, not 5"),
        ("wallet", "light = 1", "must be true or false, not 1"),
        ("net", 'bootstrap = "x"', "must be a list of texts"),
        ("net", "bootstrap = [1]", "must be a list of texts"),
        ("node", 'roles = ["miner"]', "must be one of model_owner, data_owner, prover, not miner"),
        ("log", 'level = "loud"', "must be one of debug, info, warning, error, not loud"),
        ("model_owner", "mu = 0.7", "must be at most 0.5"),
        ("model_owner", 'reward = "3 pounds"', "must be an amount"),
        ("model_owner", 'reward = "0.5 wei"', "must be an amount"),
        ("prover", "stake = [1]", "must be a whole number, not a list"),
    ],
)
def test_wrong_values_name_key_and_line(tmp_path: Path, section: str, entry: str, phrase: str) -> None:
    error = refusal(write(tmp_path, f"# a comment\n\n[{section}]\n{entry}\n"))
    key = f"{section}.{entry.split()[0]}"
    assert f"line 4: {key} {phrase}" in error.problem


@pytest.mark.parametrize(
    ("variable", "text", "phrase"),
    [
        ("OMNINODE_CHAIN_CHAIN_ID", "one", "must be a whole number"),
        ("OMNINODE_WALLET_LIGHT", "perhaps", "must be true or false"),
        ("OMNINODE_CHAIN_TIMEOUT", "soon", "must be a number"),
        ("OMNINODE_NET_BOOTSTRAP", "[1", "must be a list of texts"),
    ],
)
def test_wrong_variables_name_the_variable(tmp_path: Path, variable: str, text: str, phrase: str) -> None:
    error = refusal(write(tmp_path), **{variable: text})
    assert variable in error.problem
    assert phrase in error.problem


def test_misspelt_variable_is_an_error_and_foreign_ones_are_not(tmp_path: Path) -> None:
    error = refusal(write(tmp_path), OMNINODE_NET_LISTENN="x")
    assert error.cure == "did you mean OMNINODE_NET_LISTEN?"
    load(write(tmp_path), OMNINODE_SEED="5", OMNINODE_VECTORS="x", OMNINODE_CONFIG="x", OMNINODE_DEBUG="1", HOME="/")


def test_text_values_from_variables_and_flags(tmp_path: Path) -> None:
    path = write(tmp_path)
    peers = "/ip4/10.0.0.1/tcp/1/p2p/12D3KooWA,/ip4/10.0.0.2/tcp/2/p2p/12D3KooWB"
    loaded = load(
        path, "wallet.light=yes", "model_owner.reward=0.05 ether", "prover.stake=1_000", OMNINODE_NET_BOOTSTRAP=peers
    )
    assert loaded.net.bootstrap == tuple(peers.split(","))
    assert loaded.wallet.light is True
    assert loaded.model_owner.reward == 5 * 10**16
    assert loaded.prover.stake == 1000
    assert load(path, 'node.roles=["prover", "data_owner"]', "data.path=x").node.roles == ("prover", "data_owner")


def test_flag_without_value_or_key(tmp_path: Path) -> None:
    assert "section.key=value" in refusal(write(tmp_path), "log.level").problem
    assert refusal(write(tmp_path), "log.lvel=info").cure == "did you mean log.level?"


def test_missing_file_and_broken_file(tmp_path: Path) -> None:
    assert "omninode init" in refusal(tmp_path / "config.toml").cure
    assert "line 1" in refusal(write(tmp_path, "[node\n")).problem
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refusal(tmp_path / "config.toml").problem


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (GOOD.replace('["prover"]', "[]"), "line 2: node.roles is missing"),
        (GOOD.replace("chain_id = 31337", ""), "line 4: chain.chain_id is missing"),
        (GOOD.replace(f'market = "{MARKET}"', ""), "line 4: chain.market is missing"),
        (GOOD.replace(MARKET, "0x12"), "line 6: chain.market must be 0x and 40 hex digits"),
        (GOOD.replace("prover", "data_owner"), "data.path is missing"),
        (GOOD.replace("prover", "model_owner"), "data.path is missing"),
        (GOOD.replace('["prover"]', '["prover", "prover"]'), "names a role twice"),
        (GOOD + "confirmations = 2\n", "chain.confirmations must be at most 1 with role prover"),
        (GOOD + 'rpc = "ws://x"\n', "line 7: chain.rpc must begin with"),
        (GOOD + '[net]\nlisten = "0.0.0.0:80"\n', "line 8: net.listen must look like"),
        (GOOD + '[net]\nlisten = "/ip4/0.0.0.0/tcp/70000"\n', "net.listen must look like"),
        (GOOD + '[net]\nbootstrap = ["/ip4/1.2.3.4/tcp/5"]\n', "net.bootstrap must hold addresses"),
        (GOOD + '[data_owner]\nallowed_owners = ["me"]\n', "data_owner.allowed_owners must hold"),
        (GOOD + "[model_owner]\nthreshold = 2\n", "model_owner.committee must be at least 4 threshold + 1 = 9"),
        (GOOD + '[model_owner]\nmode = "grouped"\ngroups = 3\nmu = 0.34\n', "model_owner.groups must be at least 4"),
        (
            GOOD + '[model_owner]\nrule = "outlier"\ndata_owners = 3\nmu = 0.34\n',
            "model_owner.data_owners must be at least 4",
        ),
        (GOOD + '[model_owner]\nrule = "outlier"\ndata_owners = 65\n', "model_owner.data_owners must be at most 64"),
        (GOOD + '[model_owner]\nmode = "grouped"\nrule = "trust"\n', 'model_owner.rule "trust" goes with'),
        (GOOD + '[model_owner]\nmode = "grouped"\npayout = "contribution"\n', "model_owner.payout "),
        (GOOD + "[model_owner]\nroot_images = 0\n", "model_owner.root_images must be at least 1: rule trust"),
        (
            GOOD + '[model_owner]\nrule = "none"\npayout = "contribution"\nroot_images = 0\n',
            "model_owner.root_images must be at least 1: payout contribution",
        ),
        (GOOD + '[model_owner]\nmode = "grouped"\nmin_accepted = 13\n', "is more than groups x group_size"),
        (GOOD + '[model_owner]\nrule = "m-krum"\n', "model_owner.m_krum is missing"),
        (
            GOOD + '[model_owner]\nmode = "grouped"\ncertificate = "zk"\n',
            'model_owner.certificate "zk" goes with model_owner.mode = "verified" only',
        ),
        (GOOD + '[model_owner]\ncertificate = "zk"\ndata_owners = 65\n', "must be at most 64 for certificate zk"),
        (
            GOOD + '[model_owner]\ncertificate = "zk"\nrule = "multi-krum"\npayout = "contribution"\n',
            'model_owner.payout "contribution" needs rule trust or none under certificate zk, not multi-krum',
        ),
        (GOOD + "[model_owner]\nmin_accepted = 13\n", "model_owner.min_accepted is more than data_owners"),
    ],
)
def test_what_must_hold_between_settings(tmp_path: Path, text: str, phrase: str) -> None:
    assert phrase in refusal(write(tmp_path, text)).problem
    config.load(tmp_path / "config.toml", environ={}, check=False)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    loaded = load(write(tmp_path), "data.path=sub/../train.npz", "node.data_dir=state", "log.file=/var/log/x")
    assert loaded.data.path == str(tmp_path / "train.npz")
    assert loaded.data_dir == tmp_path / "state"
    assert loaded.log.file == "/var/log/x"
    assert loaded.data.test_path == ""


def test_every_setting_has_one_variable_and_a_comment() -> None:
    assert len({variable_of(key) for key in all_keys()}) == len(all_keys())
    for section in SECTIONS:
        assert SECTIONS[section].__doc__
        assert all(item.metadata["help"] for item in keys_of(section).values())


def test_no_setting_holds_a_secret() -> None:
    """A seed of the public starting model is none."""
    assert [key for key in all_keys() if is_secret_name(key.split(".")[1])] == ["model_owner.seed"]


def test_passphrase_error_is_about_keys(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        load(write(tmp_path)).wallet.passphrase(tmp_path)


@pytest.mark.parametrize(
    "said, means", [("", ""), ("pkg.models:Net", "pkg.models:Net"), ("m.pt2", "{}/m.pt2"), ("../m.pt2", "{}/../m.pt2")]
)
def test_a_model_is_a_path_only_if_it_is_a_file(tmp_path: Path, said: str, means: str) -> None:
    loaded = config.load(write(tmp_path), environ={}, overrides=[f"model_owner.model={said}"])
    assert loaded.model_owner.model == (os.path.normpath(means.format(tmp_path)) if said.endswith(".pt2") else said)


@pytest.mark.parametrize(
    "said", ["model.pt", "pkg.models", "pkg:", ":Net", "pkg.models:a.b", "pkg models:Net", "../x:y"]
)
def test_models_that_are_neither_file_nor_import_path(tmp_path: Path, said: str) -> None:
    path = write(tmp_path)
    assert "package.module:Callable" in str(refusal(path, f"model_owner.model={said}"))
    assert "package.module:Callable" in str(refusal(path, f'learning.allowed_models=["{said}"]'))
