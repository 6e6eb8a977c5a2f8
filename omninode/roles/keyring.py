"""The keys of certificate ``zk`` as roles see them: of a reference string that is not touched before it is needed."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from protocols.sessions.zk_keys import no_keys

if TYPE_CHECKING:
    from omninode.srs.keys import StringKeys
    from protocols.sessions.params import SessionParams
    from protocols.zk.key import Key


class Keyring(Protocol):
    """Both questions raise LocalProtocolError, with what to do, where there is no reference string or one too short."""

    @property
    def configured(self) -> bool:
        """Whether there is a reference string to make keys of."""
        ...

    @property
    def label(self) -> str:
        """Of a test string, whose secret everybody knows; "" for others. Before the first key: what the file says."""
        ...

    def __call__(self, params: SessionParams) -> Key:
        """The key of a session. LocalProtocolError also if it is not the one of ``params.proof_key``."""
        ...

    def make(self, params: SessionParams) -> Key:
        """The key that a session of these numbers will have; params.proof_key is not looked at."""
        ...


class NoKeys:
    """The keyring of a node without a reference string."""

    configured = False
    label = ""

    def __call__(self, params: SessionParams) -> Key:
        return no_keys(params)

    make = __call__


class LazyKeys:
    """Keys of a reference string. Its arithmetic is imported at the first question: most daemons never ask one."""

    configured = True

    def __init__(self, path: Path, cache: Path, threads: int, chain_id: int) -> None:
        """path: of the string. cache: folder for what is made of it. threads: of one computation.

        chain_id: of the chain that we are on; test strings are for the development chain.
        """
        self._path, self._cache, self._threads, self._chain_id = path, cache, threads, chain_id
        self._keys: StringKeys | None = None
        self._lock = Lock()

    def __call__(self, params: SessionParams) -> Key:
        return self._loaded()(params)

    def make(self, params: SessionParams) -> Key:
        return self._loaded().make(params)

    @property
    def label(self) -> str:
        """As of ``Keyring``."""
        return (self._keys.label if self._keys is not None else "") or said_label(self._path)

    def _loaded(self) -> StringKeys:
        with self._lock:
            if self._keys is None:
                from omninode.srs.keys import make_keys

                self._keys = make_keys(self._path, self._cache, self._threads, chain_id=self._chain_id)
            return self._keys


_LABEL_AT = 14  # after the magic, the number of powers and that of contributions
FOLDER = "srs"
"""Of the data directory: what was made of the reference string."""


def keyring(string: str, data_dir: Path, threads: int, chain_id: int) -> Keyring:
    """The keyring of a node. string: path of its reference string, "" for none. chain_id: of the connected chain."""
    return LazyKeys(Path(string), data_dir / FOLDER, threads, chain_id) if string else NoKeys()


def said_label(path: Path) -> str:
    """The label that a file of ours begins with (``omninode.srs.files``), "" where there is none: no arithmetic."""
    try:
        with path.open("rb") as file:
            start = file.read(_LABEL_AT + 1 + 255)
    except OSError:
        return ""
    if not start.startswith(b"omnisrs\x01") or len(start) <= _LABEL_AT:
        return ""
    return start[_LABEL_AT + 1 : _LABEL_AT + 1 + start[_LABEL_AT]].decode(errors="replace")
