"""One process per data directory, and key files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from omninode.errors import AlreadyRunningError, Exit, KeyFileError, StoreError
from omninode.store.keys import load_or_create, public_key
from omninode.store.lock import DataDirLock

HOLD = """
import sys, time
from pathlib import Path
from omninode.store.lock import DataDirLock
with DataDirLock(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_the_other_process_is_named_and_sigkill_frees(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(AlreadyRunningError, match=f"process {holder.pid}") as caught, DataDirLock(tmp_path):
            pass
        assert caught.value.exit_code == Exit.ALREADY_RUNNING == 5
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=30)
    with DataDirLock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_it_is_free_after_leaving_also_by_exception(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), DataDirLock(tmp_path):
        raise RuntimeError
    with DataDirLock(tmp_path), pytest.raises(AlreadyRunningError), DataDirLock(tmp_path):
        pass
    with DataDirLock(tmp_path):
        pass


def test_a_child_process_does_not_keep_it(tmp_path: Path) -> None:
    child = None
    try:
        with DataDirLock(tmp_path):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        with DataDirLock(tmp_path):
            pass
    finally:
        if child is not None:
            child.kill()
            child.wait(timeout=30)


def test_a_file_in_the_way_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError), DataDirLock(tmp_path / "file"):
        pass


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "peer.key"
    seed = load_or_create(path)
    assert len(seed) == 32
    assert load_or_create(path) == seed
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["peer.key"]
    assert load_or_create(tmp_path / "other.key") != seed


def test_public_key_of_the_rfc_8032_vector() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public_key(seed).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        ("00" * 32, 0o640, "read by others"),
        ("00" * 31, 0o600, "31 bytes"),
        ("xy", 0o600, "damaged"),
        ("", 0o600, "0 bytes"),
    ],
)
def test_bad_key_files_are_refused_and_not_overwritten(tmp_path: Path, content: str, mode: int, problem: str) -> None:
    path = tmp_path / "peer.key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=problem) as caught:
        load_or_create(path)
    assert caught.value.exit_code == Exit.KEYS
    assert path.read_text() == content
