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
        """Of a test string, whose secret everybody can compute; "" for others, and while no key has been made."""
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

    def __init__(self, path: Path, cache: Path, threads: int) -> None:
        """path: of the string. cache: folder for what is made of it. threads: of one computation."""
        self._path, self._cache, self._threads = path, cache, threads
        self._keys: StringKeys | None = None
        self._lock = Lock()

    def __call__(self, params: SessionParams) -> Key:
        return self._loaded()(params)

    def make(self, params: SessionParams) -> Key:
        return self._loaded().make(params)

    @property
    def label(self) -> str:
        """As of ``Keyring``."""
        return "" if self._keys is None else self._keys.label

    def _loaded(self) -> StringKeys:
        with self._lock:
            if self._keys is None:
                from omninode.srs.keys import make_keys

                self._keys = make_keys(self._path, self._cache, self._threads)
            return self._keys


FOLDER = "srs"
"""Of the data directory: what was made of the reference string."""


def keyring(string: str, data_dir: Path, threads: int) -> Keyring:
    """The keyring of a node. string: path of its reference string, "" for none."""
    return LazyKeys(Path(string), data_dir / FOLDER, threads) if string else NoKeys()
