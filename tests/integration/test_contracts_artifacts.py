"""The artifacts come from the sources beside them, fit a block, and link."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from contracts import loader

ROOT = loader.ROOT
LIMIT = 24_576  # bytes of runtime code (EIP-170)


def node_or_skip() -> str:
    """Node, where it and the npm packages are."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: artifacts are compared by hash only")
    if not (ROOT / "node_modules" / "solc").is_dir():
        pytest.skip("contracts/node_modules is absent (cd contracts && npm ci): artifacts are compared by hash only")
    return node


@pytest.mark.parametrize("name", loader.CONTRACTS)
def test_artifact_was_built_from_these_sources(name: str) -> None:
    assert loader.load(name).source_hash == loader.source_hash(), "sources changed: cd contracts && npm run build"


def test_a_build_reproduces_the_artifacts(tmp_path: Path) -> None:
    """One build (15 s) for both halves: it names the artifact that was altered here, and no other."""
    node = node_or_skip()
    for name in ("src", "artifacts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "build.cjs", tmp_path / "build.cjs")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    altered = tmp_path / "artifacts" / "Terms.json"
    altered.write_text(altered.read_text().replace('"bytecode": "0x60', '"bytecode": "0x61'))
    build = [node, "build.cjs", "--check"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stderr.splitlines() == ["artifacts/Terms.json does not come from src/: run npm run build"]
    assert done.returncode == 1


def test_snapshot_names_every_function_that_is_paid_back() -> None:
    gas = {name: int(units) for name, units in json.loads((ROOT / "snapshots" / "gas.json").read_text()).items()}
    provers = ("postOpenings: next", "postBatch", "attest")
    for name in ("register: next", "postGroups", "commitShares: next", "commitUpload: next", *provers):
        assert 21_000 < gas[name] < 200_000
    assert max(gas.values()) < 16_777_216, "a transaction holds no more (EIP-7825)"


def test_snapshot_of_the_baseline_fits_transactions() -> None:
    gas = {name: int(units) for name, units in json.loads((ROOT / "snapshots" / "onchain.json").read_text()).items()}
    for name in ("register", "postKey", "upload", "measure (R 8)", "select (R 8)", "claim"):
        assert 21_000 < gas[name] < 2_000_000
    assert max(gas.values()) < 16_777_216, "a transaction holds no more (EIP-7825)"


@pytest.mark.parametrize("name", loader.CONTRACTS)
def test_creation_code_links(name: str) -> None:
    artifact = loader.load(name)
    code = loader.link(artifact, {library: "0x" + "ab" * 20 for library in loader.LIBRARIES})
    assert len(bytes.fromhex(code[2:])) < 2 * LIMIT
    assert ("ab" * 20 in code) == bool(artifact.link_references)
    assert len(code) == len(artifact.bytecode)


def test_only_the_market_needs_libraries() -> None:
    needed = {
        name: {lib for file in loader.load(name).link_references.values() for lib in file} for name in loader.CONTRACTS
    }
    assert needed == {name: set(loader.LIBRARIES) if name == "DataMarket" else set() for name in loader.CONTRACTS}


def test_link_refuses_missing_and_malformed_addresses() -> None:
    market = loader.load("DataMarket")
    with pytest.raises(ValueError, match=r"library \w+ is not among"):
        loader.link(market, {})
    with pytest.raises(ValueError, match="is no address"):
        loader.link(market, dict.fromkeys(loader.LIBRARIES, "0x1234"))


def test_load_refuses_unknown_names() -> None:
    with pytest.raises(ValueError, match="no contract 'Market'; there are DataMarket"):
        loader.load("Market")


def test_market_abi_names_every_error() -> None:
    """A client decodes every revert from the market's ABI alone, also those of the libraries that it calls."""
    names = {entry["name"] for entry in loader.load("DataMarket").abi if entry["type"] == "error"}
    declared = {
        line.split()[1].split("(")[0]
        for line in (ROOT / "src" / "Errors.sol").read_text().splitlines()
        if line.startswith("error")
    }
    assert declared <= names
