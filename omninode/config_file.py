"""The TOML file: read it with line numbers for messages, write a commented one."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from omninode.config_schema import SECTIONS, all_keys, keys_of, split
from omninode.config_values import convert, format_value, format_wei
from omninode.errors import ConfigError, disk_error

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_ENTRY = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")


def read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The tables of the file, and the line of every section and key ("net", "net.listen"). Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration at {path}", "omninode init makes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    try:
        return tomllib.loads(text), lines_of(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def lines_of(text: str) -> dict[str, int]:
    """Where sections and keys first stand. Approximate inside multi-line values, which no setting needs."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header[1]
            found.setdefault(section, number)
        elif entry := _ENTRY.match(line):
            found.setdefault(f"{section}.{entry[1]}" if section else entry[1], number)
    return found


def write_default(path: Path, values: Mapping[str, Any] | None = None, *, overwrite: bool = False) -> None:
    """Write a commented file with every setting, ``values`` ("section.key": value) in place of the defaults.

    Settings left at their default are commented out, so that a later version's better default takes effect.
    Raises ConfigError for an unknown key, a wrong value, or a file that is there already.
    """
    text = render_checked(values or {})
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if overwrite else os.O_EXCL)
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _existing(path if path.exists() else path.parent) from None
    except OSError as error:
        raise disk_error(error, path) from error


def refuse_existing(path: Path) -> None:
    """Raises ConfigError if there is a configuration at ``path``."""
    if path.exists():
        raise _existing(path)


def _existing(path: Path) -> ConfigError:
    return ConfigError(f"{path} is there already", "edit it, or remove it first")


def render_checked(values: Mapping[str, Any]) -> str:
    """The text of a file with these values. Raises ConfigError for an unknown key or a wrong value."""
    chosen = {}
    for dotted, value in values.items():
        if dotted not in all_keys():
            raise ConfigError(f"there is no setting {dotted}")
        try:
            chosen[dotted] = convert(*split(dotted), value)
        except ValueError as error:
            raise ConfigError(f"{dotted} {error}") from error
    return render(chosen)


def render(chosen: Mapping[str, Any]) -> str:
    """The text of a commented configuration file."""
    lines = [
        "# Settings of omninode. A line that begins with # shows a default.",
        "# Stronger than this file: variables OMNINODE_SECTION_KEY, then flags --set section.key=value.",
    ]
    for section, cls in SECTIONS.items():
        lines += ["", f"[{section}]"] + [f"# {line}" for line in wrap(cls.__doc__ or "", 116)]
        for name, item in keys_of(section).items():
            dotted = f"{section}.{name}"
            value = chosen.get(dotted, item.default)
            text = format_value(format_wei(value) if item.metadata["wei"] and value else value)
            entry = f"{'' if dotted in chosen else '# '}{name} = {text}"
            lines.append(f"{entry:<38}  # {item.metadata['help']}{_allowed(item.metadata['choices'])}")
    return "\n".join(lines) + "\n"


def _allowed(choices: tuple[str, ...]) -> str:
    return f": {', '.join(choices)}" if choices else ""
