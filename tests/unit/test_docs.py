"""Documentation and code say the same: messages, rules, limits, exit codes, settings, verbs, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from omninode import cli
from omninode.config_schema import all_keys, keys_of, split
from omninode.config_values import format_value, format_wei
from omninode.errors import Exit
from omninode.net import blobs, exchange
from omninode.net.wire import FAILED, HEADER, OK, REFUSED
from omninode.roles import delivery, directory
from protocols.sessions.params import Phase
from protocols.wire import codec, fields
from protocols.wire.limits import Limits
from protocols.wire.specs import PARALLEL, SPECS

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]

_KEBAB = re.compile(r"[a-z]+(-[a-z]+)*")
_RULE_AT = {  # function -> which argument names the rule
    "RemoteProtocolError": 0, "PeerRefused": 0, "refuse": 0, "BadGossip": 0, "fault": 0, "_fault": 0,
    "Blame": 1, "_blame": 1,
}  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def sections(text: str, level: int) -> dict[str, str]:
    """Heading -> what stands below it, up to the next heading of this level or above."""
    parts = re.split(rf"^#{{{level}}} (.+)$", text, flags=re.MULTILINE)
    cut = re.compile(rf"^#{{1,{level - 1}}} ", flags=re.MULTILINE)
    return {title.strip(): cut.split(body)[0] for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def rows(text: str) -> list[list[str]]:
    """Cells of every row of every table."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("|-", "|:"))]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


# ---------------------------------------------------------------------------------------------------------- the wire


def kind(field: Any) -> str:
    """A field of ``specs`` as docs/wire.md writes it."""
    match field:
        case fields.Uint(limit=limit):
            return "uint" if limit == 2**64 - 1 else f"uint ≤ {bound(limit)}"
        case fields.Uint256():
            return "bigint"
        case fields.Fixed(length=length, optional=optional):
            return f"bytes {length}" + (" or none" if optional else "")
        case fields.Blob(limit=limit):
            return f"bytes ≤ {bound(limit)}"
        case fields.Text(limit=limit):
            return f"text ≤ {limit}"
        case fields.Many(item=item, limit=limit):
            return f"list ≤ {bound(limit)} of {kind(item)}"
    raise AssertionError(f"docs/wire.md has no word for {field!r}")


def bound(limit: int | str) -> str:
    return f"*{limit}*" if isinstance(limit, str) else str(limit)


def fields_line(name: str) -> str:
    """The line of a message's fields as docs/wire.md must have it."""
    _, wanted = SPECS[name]
    return "Fields: " + ("; ".join(f"`{key}` {kind(field)}" for key, field in wanted.items()) or "none") + "."


@cache
def messages() -> dict[str, list[str]]:
    """Message -> the points below its heading."""
    found = sections(page("wire.md"), 3).items()
    return {t.strip("`"): re.findall(r"^- (.+)$", body, flags=re.MULTILINE) for t, body in found if t.startswith("`")}


@pytest.mark.parametrize("name", SPECS)
def test_every_message_is_documented_with_its_fields(name: str) -> None:
    assert fields_line(name) in messages()[name]


def test_no_message_is_documented_that_does_not_exist() -> None:
    assert messages().keys() == SPECS.keys()


@pytest.mark.parametrize("name", SPECS)
def test_every_message_says_who_sends_it_and_when_it_is_accepted(name: str) -> None:
    lines = messages()[name]
    assert any("→" in line for line in lines), "sender → receiver is missing"
    assert any(line.startswith("Accepted") for line in lines)
    assert any(line.startswith("Refused") for line in lines)


@pytest.mark.parametrize("name", PARALLEL)
def test_lists_of_equal_length_are_named(name: str) -> None:
    assert any("equally long" in line for line in messages()[name])


def test_every_named_limit_is_explained() -> None:
    named = {found for name in SPECS for found in re.findall(r"\*([a-z-]+)\*", fields_line(name))}
    explained = {row[0].strip("*") for row in rows(sections(page("wire.md"), 2)["Limits"])}
    assert named <= explained
    assert all(isinstance(Limits.generous().number(name), int) for name in explained - {"limit"})


@pytest.mark.parametrize("protocol", [delivery.SESSION_PROTOCOL, blobs.PROTOCOL, exchange.PROTOCOL, directory.TOPIC])
def test_protocols_and_topics_are_named(protocol: str) -> None:
    assert f"`{protocol}`" in page("wire.md")


def test_frame_and_version() -> None:
    text = page("wire.md")
    assert HEADER.format == ">IB", "the frame's description in docs/wire.md must follow"
    for status, word in ((OK, "data"), (REFUSED, "refused"), (FAILED, "failed")):
        assert f"| {status} | {word} |" in text
    assert f'"v": {codec.VERSION}' in text


@cache
def rules_in_code() -> dict[str, str]:
    """Rule -> a place that uses it, over everything that a peer can meet."""
    found: dict[str, str] = {}
    for path in sorted([*(ROOT / "protocols").rglob("*.py"), *(ROOT / "omninode").rglob("*.py")]):
        if path.is_relative_to(ROOT / "omninode" / "demo"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = dict(constants(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for rule in rules_of(node, names):
                    found.setdefault(rule, f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Values of a module's own names."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))


def rules_of(call: ast.Call, names: dict[str, ast.expr]) -> Iterator[str]:
    """The rules that a call names, as text, by a constant of its module, or one of two."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    place = _RULE_AT.get(name)
    if place is None or len(call.args) <= place:
        return
    chosen = call.args[place]
    options = [chosen.body, chosen.orelse] if isinstance(chosen, ast.IfExp) else [chosen]
    for option in options:
        option = names.get(option.id, option) if isinstance(option, ast.Name) else option
        if isinstance(option, ast.Constant) and isinstance(option.value, str) and _KEBAB.fullmatch(option.value):
            yield option.value


@cache
def rules_in_doc() -> dict[str, str]:
    """Rule -> what happens: REJECT, RETRY, IGNORE or BLAME."""
    table = rows(sections(page("wire.md"), 2)["Rules"])
    return {row[0].strip("`"): row[1] for row in table if row[0].startswith("`")}


def test_the_collection_of_rules_works() -> None:
    assert {"malformed", "too-early", "session-over", "busy", "wrong-opening", "gossip-rate", "blob-digest"} <= set(
        rules_in_code()
    )


def test_every_rule_is_documented() -> None:
    missing = {rule: place for rule, place in rules_in_code().items() if rule not in rules_in_doc()}
    assert not missing


def test_every_documented_rule_exists() -> None:
    assert rules_in_doc().keys() <= rules_in_code().keys()


def test_every_rule_has_a_consequence() -> None:
    assert set(rules_in_doc().values()) == {"REJECT", "RETRY", "IGNORE", "BLAME"}


def test_patient_rules_are_retried() -> None:
    for rule in delivery.PATIENT_RULES & rules_in_doc().keys():
        assert rules_in_doc()[rule] == "RETRY", rule


@pytest.mark.parametrize("name", SPECS)
def test_rules_named_at_a_message_are_in_the_table(name: str) -> None:
    refused = next(line for line in messages()[name] if line.startswith("Refused"))
    assert set(re.findall(r"`([a-z-]+)`", refused)) <= rules_in_doc().keys()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase != Phase.NONE])
def test_every_phase_is_in_the_protocol_page(phase: Phase) -> None:
    assert f"`{phase.name}`" in page("protocol.md")


# -------------------------------------------------------------------------------------------------------- operating


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_documented(code: Exit) -> None:
    table = rows(sections(page("operating.md"), 2)["Exit codes"])
    assert any(row[0] == str(int(code)) and len(row) > 1 and row[1] for row in table)


def test_no_exit_code_is_documented_that_does_not_exist() -> None:
    table = rows(sections(page("operating.md"), 2)["Exit codes"])
    assert {int(row[0]) for row in table if row[0].isdigit()} == {int(code) for code in Exit}


def default_of(dotted: str) -> str:
    """The default of a setting as docs/operating.md writes it."""
    section, name = split(dotted)
    item = keys_of(section)[name]
    value: Any = item.default
    return f"`{format_value(format_wei(value) if item.metadata['wei'] and value else value)}`"


@pytest.mark.parametrize("dotted", all_keys())
def test_every_setting_is_documented_with_its_default(dotted: str) -> None:
    table = {row[0].strip("`"): row for row in rows(sections(page("operating.md"), 2)["Configuration"])}
    assert dotted in table, f"add a row: | `{dotted}` | {default_of(dotted)} | ... |"
    assert table[dotted][1] == default_of(dotted)


def test_no_setting_is_documented_that_does_not_exist() -> None:
    table = rows(sections(page("operating.md"), 2)["Configuration"])
    assert {row[0].strip("`") for row in table if "." in row[0]} == set(all_keys())


def verbs() -> dict[str, Any]:
    """Every verb as it is typed -> its command."""
    root: Any = typer.main.get_command(cli.app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        found |= {f"{name} {inner}": c for inner, c in getattr(command, "commands", {name: command}).items()} | (
            {name: command} if not hasattr(command, "commands") else {}
        )
    return {key: command for key, command in found.items() if key.split()[0] != key.split()[-1] or " " not in key}


def test_every_verb_is_documented() -> None:
    text = page("operating.md")
    assert [verb for verb in verbs() if f"omninode {verb}" not in text] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_verb_and_option_in_the_docs_exists(path: Path) -> None:
    known = verbs()
    groups = {verb.split()[0] for verb in known if " " in verb}
    for line in re.findall(r"omninode ([a-z][^`\n]*)", path.read_text(encoding="utf-8")):
        words = line.split()
        if words[0] not in {verb.split()[0] for verb in known}:
            continue  # the name in a sentence
        verb = " ".join(words[:2]) if words[0] in groups and len(words) > 1 else words[0]
        if verb in groups:
            continue
        assert verb in known, f"omninode {line}"
        options = {o for p in known[verb].params for o in (*p.opts, *p.secondary_opts)} | {"--help", "--debug"}
        for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", " " + line):
            assert option in options, f"omninode {line}: {option}"


# ------------------------------------------------------------------------------------------------------------ links


def anchors(path: Path) -> set[str]:
    """Names that headings can be linked by."""
    titles = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_relative_link_resolves(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_page_is_linked_from_somewhere(path: Path) -> None:
    assert any(f"({path.name}" in other.read_text() or f"(docs/{path.name}" in other.read_text() for other in PAGES)
