"""The file that init writes, and values as text."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omninode import config
from omninode.config_file import lines_of, render
from omninode.config_schema import all_keys
from omninode.config_values import convert, format_value, format_wei, parse_wei
from omninode.errors import ConfigError, StoreError

VALUES = {
    "node.name": 'a "quoted" \\ name\n',
    "node.roles": ["prover"],
    "chain.chain_id": 5,
    "chain.market": "0x" + "0" * 40,
    "model_owner.reward": 10**18,
    "wallet.light": True,
}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    config.write_default(path, VALUES)
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = config.load(path, environ={})
    assert loaded.node.name == VALUES["node.name"]
    assert loaded.model_owner.reward == 10**18
    assert loaded.wallet.light is True
    assert sorted(loaded.origins) == sorted(VALUES)


def test_uncommenting_every_line_gives_the_defaults(tmp_path: Path) -> None:
    """Every default that the file shows is a valid setting, and the default."""
    text = "\n".join(line.removeprefix("# ") if " = " in line else line for line in render({}).splitlines())
    path = tmp_path / "config.toml"
    path.write_text(text)
    shown, plain = config.load(path, environ={}, check=False), config.Config(path)
    for (key, value, _), (_, default, _) in zip(shown.rows(), plain.rows(), strict=True):
        assert value == default or key == "node.data_dir"
    assert sorted(shown.origins) == sorted(all_keys())


def test_an_existing_file_is_never_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="there already"):
        config.write_default(path, VALUES)
    assert path.read_text() == "precious"
    config.write_default(path, VALUES, overwrite=True)
    assert tomllib.loads(path.read_text())["chain"]["chain_id"] == 5


def test_wrong_values_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for values in ({"chain.nothing": 1}, {"chain.chain_id": "x"}):
        with pytest.raises(ConfigError):
            config.write_default(path, values)
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file is there already"):
        config.write_default(tmp_path / "file" / "config.toml", {})
    with pytest.raises(StoreError, match="file"):
        config.write_default(tmp_path / "file" / "below" / "config.toml", {})


def test_lines_count_from_one_and_first_wins() -> None:
    text = '# c\n[net]\nlisten = "x"\n  bootstrap=[]\n[chain]\nlisten = 1\n[net.sub]\nx = 1\n'
    assert lines_of(text) == {
        "net": 2, "net.listen": 3, "net.bootstrap": 4, "chain": 5, "chain.listen": 6, "net.sub": 7, "net.sub.x": 8,
    }  # fmt: skip


@given(st.integers(0, 10**60))
def test_amounts_survive_writing(amount: int) -> None:
    assert parse_wei(format_wei(amount)) == amount


@pytest.mark.parametrize(
    ("text", "wei"), [("0", 0), ("5", 5), ("3 gwei", 3 * 10**9), ("0.05 ether", 5 * 10**16), ("1_000  wei", 1000)]
)
def test_amounts(text: str, wei: int) -> None:
    assert parse_wei(text) == wei


@pytest.mark.parametrize(
    "text", ["", "ether", "1 eth", "0.1 wei", "nan", "inf ether", "1e999999999 ether", "1 2 ether"]
)
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be an amount"):
        parse_wei(text)


def test_negative_amounts_are_out_of_range() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        convert("prover", "stake", -1)
    with pytest.raises(ValueError, match="must be an amount"):
        convert("prover", "stake", "-1 ether")


@given(st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False) | st.lists(st.text()).map(tuple))
def test_every_value_is_valid_toml(value: object) -> None:
    if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
        return
    found = tomllib.loads(f"x = {format_value(value)}")["x"]
    assert (tuple(found) if isinstance(value, tuple) else found) == value
