"""Reading the fields of a session document: each refusal is a sentence that names the field."""

from __future__ import annotations

from typing import Any


def fail(sentence: str) -> ValueError:
    """The error to raise."""
    return ValueError(f"session document: {sentence}")


def bounded_integer(name: str, value: Any, low: int, high: int) -> int:
    """``value`` if it is an int from ``low`` to ``high``; ValueError otherwise."""
    if type(value) is not int or not low <= value <= high:
        raise fail(f"{name} must be an integer from {low} to {high}, not {value!r:.40}")
    return value


def bounded_real(name: str, value: Any, low: float, high: float) -> float:
    """``value`` if it is a float from ``low`` to ``high``; ValueError otherwise."""
    if type(value) is not float or not low <= value <= high:
        raise fail(f"{name} must be a float from {low} to {high}, not {value!r:.40}")
    return value


def mapping(where: str, value: Any, keys: set[str]) -> dict[str, Any]:
    """``value`` as a dict with exactly these keys; ValueError otherwise."""
    if not isinstance(value, dict):
        raise fail(f"{where} must be a map")
    if unknown := sorted(str(key)[:40] for key in value.keys() - keys):
        raise fail(f"{where} has the unknown field {unknown[0]!r}")
    if missing := sorted(keys - value.keys()):
        raise fail(f"{where} lacks the field {missing[0]!r}")
    return dict(value)
