"""What nodes wrote down about others: read after the run, from their own event files and logs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omninode.cluster.processes import NodeProcess

Counted = dict[bytes, dict[str, int]]
"""Wallet (or peer key) -> rule -> nodes that wrote it down."""


def blames(nodes: Sequence[NodeProcess]) -> dict[int, Counted]:
    """By session: rules of the protocol that machines saw broken, by wallet."""
    said: dict[int, dict[bytes, dict[str, set[str]]]] = defaultdict(dict)
    for node in nodes:
        for entry in _lines(node.directory / "events.jsonl"):
            if entry.get("event") == "blame":
                who = said[int(entry["session"])].setdefault(bytes.fromhex(entry["peer"]), {})
                who.setdefault(str(entry["rule"]), set()).add(node.name)
    return {session: _counted(by_wallet) for session, by_wallet in said.items()}


def refusals(nodes: Sequence[NodeProcess]) -> Counted:
    """In the whole run: rules for which messages were refused, by peer key. Only the log knows of them."""
    said: dict[bytes, dict[str, set[str]]] = {}
    for node in nodes:
        for entry in _lines(node.directory / "node.log"):
            if entry.get("event") == "peer broke a rule" and len(str(entry.get("peer"))) == 64:
                said.setdefault(bytes.fromhex(entry["peer"]), {}).setdefault(str(entry["rule"]), set()).add(node.name)
    return _counted(said)


def _counted(said: Mapping[bytes, Mapping[str, set[str]]]) -> Counted:
    return {who: {rule: len(nodes) for rule, nodes in rules.items()} for who, rules in said.items()}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """JSON objects, one per line; what is not (a traceback, a line cut by SIGKILL) is passed over."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
