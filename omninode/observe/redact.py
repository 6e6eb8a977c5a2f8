"""Nothing secret leaves through a log: by name of the field, and by value for what was registered."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

HIDDEN = "[hidden]"
_NAMES = re.compile(
    r"(?:^|_)(seed|seeds|secret|secrets|passphrase|password|share|shares|private|privkey|mnemonic|token|blind|salt)(?:_|$)"
    r"|(?:^|_)(mask_key|key_material|signing_key|enc_secret|keystore)$",
    re.IGNORECASE,
)
_PUBLIC = re.compile(r"_(root|roots|digest|count|bytes|blocks|path|file)$|^(public|in|u)_", re.IGNORECASE)
_values: set[str] = set()
_LEAST = 6  # characters; anything shorter would hide ordinary words


def protect(value: str | bytes) -> None:
    """From now on ``value`` (as it stands, and in hex for bytes) is blanked out wherever it would be logged."""
    text = value.hex() if isinstance(value, bytes) else value
    if len(text) >= _LEAST:
        _values.add(text)


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds something that must not be shown."""
    return bool(_NAMES.search(name)) and not _PUBLIC.search(name)


def clean(value: Any) -> Any:
    """A copy as plain JSON values, without secrets: bytes as hex, long ones as their length."""
    if isinstance(value, MutableMapping):
        return {str(k): HIDDEN if is_secret_name(str(k)) else clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return blank(bytes(value).hex()) if len(value) <= 64 else f"<{len(value)} bytes>"
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value)  # an enumeration's member too
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return item()  # a NumPy scalar
    return blank(str(value))


def blank(text: str) -> str:
    """``text`` without the values given to ``protect``."""
    for value in _values:
        if value in text:
            text = text.replace(value, HIDDEN)
    return text
