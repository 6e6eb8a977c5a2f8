"""Compiled contracts as the node uses them: artifacts/NAME.json, written by ``npm run build`` from src/.

Nothing here needs a compiler; tests/integration/test_contracts_artifacts.py checks artifacts against the sources.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
CONTRACTS = (
    "DataMarket", "ProverRegistry", "Money", "Proofs", "Selection", "Terms", "Verified", "ZkVerifier", "ZkVerifiers",
    "SecModelUpdate", "SecModelUpdates",
)  # fmt: skip
#: What DataMarket calls into: deploy these first and pass their addresses to `link`.
LIBRARIES = ("Money", "Proofs", "Selection", "Terms", "Verified")

LinkReferences = dict[str, dict[str, list[dict[str, int]]]]


@dataclass(frozen=True, slots=True)
class Artifact:
    """abi: JSON ABI, custom errors included.  bytecode: creation code, "0x" and hex, with holes where libraries go.

    link_references: source file -> library -> [{"start", "length"}], byte offsets into the bytecode.
    source_hash: SHA-256 over the sources it was compiled from (see `source_hash`), "0x" and hex.
    """

    abi: list[dict[str, Any]]
    bytecode: str
    link_references: LinkReferences
    source_hash: str


@cache
def load(name: str) -> Artifact:
    """The artifact called ``name`` (one of `CONTRACTS`). Raises ValueError for any other name."""
    if name not in CONTRACTS:
        raise ValueError(f"no contract {name!r}; there are {', '.join(CONTRACTS)}")
    raw = json.loads((ROOT / "artifacts" / f"{name}.json").read_text())
    return Artifact(raw["abi"], raw["bytecode"], raw["linkReferences"], raw["sourceHash"])


def link(artifact: Artifact, libraries: Mapping[str, str]) -> str:
    """Creation code of ``artifact`` with the addresses of ``libraries`` (name -> "0x" and 40 hex digits) filled in.

    Raises ValueError if a library that the code needs is missing or an address is none.
    """
    code = artifact.bytecode
    for by_name in artifact.link_references.values():
        for name, holes in by_name.items():
            if name not in libraries:
                raise ValueError(f"library {name} is not among {sorted(libraries)}")
            address = libraries[name]
            if not re.fullmatch("0x[0-9a-fA-F]{40}", address):
                raise ValueError(f"library {name}: {address!r} is no address")
            for hole in holes:
                start = 2 + 2 * hole["start"]
                code = code[:start] + address[2:].lower() + code[start + 2 * hole["length"] :]
    return code


def source_hash() -> str:
    """SHA-256 over name, length and text of every .sol file below src, in order, as build.cjs has it; "0x" and hex."""
    state = hashlib.sha256()
    for name in sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.sol")):
        text = (ROOT / name).read_bytes()
        state.update(f"{name}\n{len(text)}\n".encode())
        state.update(text)
    return "0x" + state.hexdigest()
