"""The passphrase: from places that other users cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from omninode.errors import Exit, KeyFileError
from omninode.passphrase import find


def secret_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_environment_comes_first_and_is_taken_away(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "p", "from-file")
    environ = {"OMNINODE_PASSPHRASE": "from-environment"}
    assert find(str(file), tmp_path, environ) == "from-environment"
    assert environ == {}


def test_file_then_credential_then_data_dir(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "p", "from file with spaces \n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    secret_file(credentials / "omninode-passphrase", "from-systemd\n")
    secret_file(tmp_path / "passphrase", "from-data-dir\n")
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert find(str(file), tmp_path, environ) == "from file with spaces "
    assert find("", tmp_path, environ) == "from-systemd"
    assert find("", tmp_path, {}) == "from-data-dir"
    assert find("", tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}) == "from-data-dir"


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [("secret-word", 0o644, "read by everybody"), ("\n", 0o600, "is empty")],
)
def test_files_that_are_refused(tmp_path: Path, text: str, mode: int, problem: str) -> None:
    file = secret_file(tmp_path / "p", text, mode)
    with pytest.raises(KeyFileError, match=problem) as caught:
        find(str(file), tmp_path, {})
    assert caught.value.exit_code == Exit.KEYS
    assert "secret-word" not in str(caught.value)


def test_nothing_given_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as caught:
        find("", tmp_path, {})
    assert "wallet.passphrase_file" in caught.value.cure
    with pytest.raises(KeyFileError, match="cannot be read"):
        find(str(tmp_path / "missing"), tmp_path, {})
