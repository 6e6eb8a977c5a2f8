"""From what stands in a file, a variable or a flag to a typed value, and back to TOML."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import Field
from typing import Any

from omninode.config_schema import keys_of, type_of

_UNITS = {"wei": 0, "gwei": 9, "ether": 18}
_AMOUNT = re.compile(r"([0-9][0-9_]*)(?:\.([0-9]+))?(?:\s+(wei|gwei|ether))?")
_DIGITS = 60  # the chain's words end at 78
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def convert(section: str, name: str, value: Any) -> Any:
    """``value``, as TOML gave it, as the setting wants it. Raises ValueError with a phrase that begins "must be"."""
    kind, item = type_of(section, name), keys_of(section)[name]
    if item.metadata["wei"] and isinstance(value, str):
        value = parse_wei(value)
    if kind is float and type(value) is int:
        value = float(value)
    if kind == tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
            raise ValueError(f"must be a list of texts, not {_describe(value)}")
        value = tuple(value)
    elif type(value) is not kind:
        raise ValueError(f"must be {_WORDS[kind]}, not {_describe(value)}")
    _check_range(item, value)
    return value


def _check_range(item: Field[Any], value: Any) -> None:
    choices, low, high = (item.metadata[word] for word in ("choices", "low", "high"))
    for entry in value if isinstance(value, tuple) else (value,):
        if choices and entry not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {entry}")
    if low is not None and not value >= low:  # written so that a NaN fails
        raise ValueError(f"must be at least {low:g}, not {value:g}")
    if high is not None and not value <= high:
        raise ValueError(f"must be at most {high:g}, not {value:g}")


def convert_text(section: str, name: str, text: str) -> Any:
    """The same for an environment variable or flag, where everything is text; lists take commas or TOML."""
    kind = type_of(section, name)
    value: Any = text
    if kind is bool:
        value = _BOOLEANS.get(text.strip().lower(), text)
    elif kind is int and not (keys_of(section)[name].metadata["wei"] and " " in text.strip()):
        value = _or_text(lambda: int(text.strip().replace("_", "")), text)
    elif kind is float:
        value = _or_text(lambda: float(text), text)
    elif kind == tuple[str, ...]:
        value = _list_from(text)
    return convert(section, name, value)


def _or_text(parse: Any, text: str) -> Any:
    try:
        return parse()
    except ValueError:
        return text


def _list_from(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def parse_wei(text: str) -> int:
    """Wei from "5", "3 gwei" or "0.05 ether". ValueError when it is not that, or not a whole number of wei."""
    match = _AMOUNT.fullmatch(text.strip())
    if match:
        whole, fraction, power = match[1].replace("_", ""), match[2] or "", _UNITS[match[3] or "wei"]
        if len(fraction) <= power and len(whole) <= _DIGITS:
            return int(whole + fraction) * int(10 ** (power - len(fraction)))
    raise ValueError(f'must be an amount such as 5, "3 gwei" or "0.05 ether", not "{text}"')


def format_value(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return "[" + ", ".join(format_value(entry) for entry in value) + "]"
    return repr(value)


def format_wei(amount: int) -> str:
    """Wei as people write it: in ether from a millionth on, in gwei or wei below."""
    for unit, power, least in (("ether", 18, 10**12), ("gwei", 9, 10**6)):
        if amount >= least:
            whole, rest = divmod(amount, 10**power)
            return f"{whole}.{rest:0{power}}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{amount} wei"


def _describe(value: Any) -> str:
    if isinstance(value, bool | dict | list):
        return {bool: "true or false", dict: "a table", list: "a list"}[type(value)]
    return f"{format_value(value)}" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
