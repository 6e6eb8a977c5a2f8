"""Settings by one rule: TOML file < environment OMNINODE_SECTION_KEY < flags ``--set section.key=value``.

Whatever is unknown, missing or of the wrong kind is a ConfigError (exit code 2) with key, place and suggestion.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omninode import config_check, config_file
from omninode.config_file import refuse_existing, render_checked, write_default
from omninode.config_schema import (
    SECTIONS,
    Chain,
    Data,
    DataOwner,
    Learning,
    Log,
    ModelOwner,
    Net,
    Node,
    Proofs,
    Prover,
    Wallet,
    all_keys,
    keys_of,
    split,
    variable_of,
)  # fmt: skip
from omninode.config_values import convert, convert_text
from omninode.errors import ConfigError

__all__ = ["Config", "load", "refuse_existing", "render_checked", "write_default"]

FILE_NAME = "config.toml"


@dataclass(frozen=True, slots=True)
class Config:
    """All settings. path: the file they came from. origins: where each "section.key" that is set was set."""

    path: Path
    node: Node = field(default_factory=Node)
    net: Net = field(default_factory=Net)
    chain: Chain = field(default_factory=Chain)
    wallet: Wallet = field(default_factory=Wallet)
    data: Data = field(default_factory=Data)
    data_owner: DataOwner = field(default_factory=DataOwner)
    model_owner: ModelOwner = field(default_factory=ModelOwner)
    prover: Prover = field(default_factory=Prover)
    learning: Learning = field(default_factory=Learning)
    proofs: Proofs = field(default_factory=Proofs)
    log: Log = field(default_factory=Log)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def data_dir(self) -> Path:
        """Where keys, database and blobs live."""
        return Path(self.node.data_dir)

    def rows(self) -> list[tuple[str, Any, str]]:
        """(section.key, value, origin) of every setting, for ``config show --origin``."""
        found = []
        for dotted in all_keys():
            section, name = split(dotted)
            found.append((dotted, getattr(getattr(self, section), name), self.origins.get(dotted, "default")))
        return found


def load(
    path: Path | str,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
    check: bool = True,
) -> Config:
    """Read ``path``, then the environment, then ``overrides`` ("section.key=value"). Raises ConfigError.

    check: also that required settings are there and fit together; off for verbs that only need the data directory.
    """
    path = Path(path).expanduser().absolute()
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    tables, lines = config_file.read(path)
    _from_tables(path, tables, lines, values, origins)
    _from_environment(os.environ if environ is None else environ, values, origins)
    _from_flags(overrides, values, origins)
    config = Config(path=path, **_build(path, values), origins=origins)
    if check and (found := config_check.problem(config)):
        dotted, phrase = found
        line = lines.get(dotted) or lines.get(dotted.split(".")[0])
        place = origins.get(dotted) or (f"{path}, line {line}" if line else str(path))
        raise ConfigError(f"{place}: {dotted} {phrase}")
    return config


def _build(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The sections: defaults in place of what is not in ``values``, paths made absolute."""
    chosen: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for dotted, value in {**values, "node.data_dir": values.get("node.data_dir") or "."}.items():
        section, name = split(dotted)
        a_path = keys_of(section)[name].metadata["path"] and (dotted != "model_owner.model" or value.endswith(".pt2"))
        if a_path and value:
            value = os.path.normpath(path.parent / Path(value).expanduser())
        chosen[section][name] = value
    return {section: cls(**chosen[section]) for section, cls in SECTIONS.items()}


def _from_tables(
    path: Path, tables: Mapping[str, Any], lines: Mapping[str, int], values: dict[str, Any], origins: dict[str, str]
) -> None:
    for section, table in tables.items():
        place = f"{path}, line {lines.get(section, 1)}"
        if section not in SECTIONS:
            loose = "setting" if not isinstance(table, dict) else "section"
            raise ConfigError(f"{place}: there is no {loose} {section}", _suggest_loose(section))
        if not isinstance(table, dict):
            raise ConfigError(f"{place}: {section} must be a section, written [{section}]")
        for name, value in table.items():
            dotted = f"{section}.{name}"
            place = f"{path}, line {lines.get(dotted, lines.get(section, 1))}"
            _put(dotted, value, place, convert, values, origins)


def _from_environment(environ: Mapping[str, str], values: dict[str, Any], origins: dict[str, str]) -> None:
    known = {variable_of(dotted): dotted for dotted in all_keys()}
    for variable in sorted(environ):
        if variable in known:
            _put(known[variable], environ[variable], f"environment {variable}", convert_text, values, origins)
        elif variable.startswith("OMNINODE_"):
            near = difflib.get_close_matches(variable, known, n=1, cutoff=0.85)
            if near:
                raise ConfigError(f"environment {variable}: there is no such setting", f"did you mean {near[0]}?")


def _from_flags(overrides: Iterable[str], values: dict[str, Any], origins: dict[str, str]) -> None:
    for flag in overrides:
        dotted, equals, text = flag.partition("=")
        if not equals:
            raise ConfigError(f"--set {flag}: write it as --set section.key=value")
        _put(dotted.strip(), text, f"--set {dotted.strip()}", convert_text, values, origins)


def _put(dotted: str, value: Any, place: str, converter: Any, values: dict[str, Any], origins: dict[str, str]) -> None:
    if dotted not in all_keys():
        raise ConfigError(f"{place}: there is no setting {dotted}", _suggest(dotted))
    try:
        values[dotted] = converter(*split(dotted), value)
    except ValueError as error:
        raise ConfigError(f"{place}: {dotted} {error}") from error
    origins[dotted] = place


def _suggest(dotted: str) -> str:
    """The setting that was probably meant: the nearest one, or the same name in another section."""
    section, _, name = dotted.partition(".")
    elsewhere = [key for key in all_keys() if split(key)[1] == name]
    within = [f"{section}.{key}" for key in difflib.get_close_matches(name, _names(section), n=1)]
    near = within or elsewhere
    if not near and section not in SECTIONS:
        near = difflib.get_close_matches(dotted, all_keys(), n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"[{section}] has {', '.join(_names(section))}" if section in SECTIONS else _suggest_loose(section)


def _suggest_loose(word: str) -> str:
    near = difflib.get_close_matches(word, SECTIONS, n=1)
    if near:
        return f"did you mean [{near[0]}]?"
    inside = [key for key in all_keys() if split(key)[1] == word]
    return f"did you mean {inside[0]}?" if inside else f"the sections are {', '.join(SECTIONS)}"


def _names(section: str) -> list[str]:
    return list(keys_of(section)) if section in SECTIONS else []
