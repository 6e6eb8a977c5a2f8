"""The keys of sessions of certificate ``zk`` on this node: from its reference string, made when first asked for."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from omninode.errors import OmninodeError, RefusedError
from omninode.srs.bases import basis_of
from omninode.srs.loading import load_string
from protocols.bn254.srs import INSECURE, Srs
from protocols.errors import LocalProtocolError
from protocols.sessions.params import SessionParams
from protocols.zk.key import Key, make_key
from protocols.zk.params import Statement, ZkParams, choose, norm_bits

DEVELOPMENT_CHAIN = 31337
KEPT = 3
"""Keys kept in memory that nobody uses: 288 bytes per row, 128 of powers, 160 of polynomials and Lagrange form."""


Which = tuple[ZkParams, int | None]


class StringKeys:
    """Callable as ``protocols.sessions.zk_keys.Keys``. Safe from any thread: one key is made at a time, and a key that
    is kept is there without waiting for that.
    """

    configured = True

    def __init__(self, path: Path, cache: Path, threads: int = 1, *, chain_id: int) -> None:
        """path: of the reference string. cache: folder for what is made of it. Nothing is read yet.

        chain_id: strings whose secret everybody knows are taken on the development chain only.
        """
        self._path, self._cache, self._threads = path, cache, threads
        self._development = chain_id == DEVELOPMENT_CHAIN
        self._string: Srs | None = None
        self._keys: OrderedDict[Which, Key] = OrderedDict()
        self._used: WeakValueDictionary[Which, Key] = WeakValueDictionary()
        self._refused: dict[int, tuple[tuple[int, ...], OmninodeError]] = {}
        self._lock, self._making = Lock(), Lock()

    def __call__(self, params: SessionParams) -> Key:
        """The key of a session, the same object while it is kept. LocalProtocolError, with what to do, if the string is
        missing, bad, too short, or not the one of ``params.proof_key``.
        """
        key = self.make(params)
        if key.digest != params.proof_key:
            raise LocalProtocolError(
                f"the reference string {self._path} gives the key {key.digest.hex()[:16]}.., this session is proved "
                f"under {params.proof_key.hex()[:16]}..: set [proofs] string to the one that its owner uses"
            )
        return key

    def make(self, params: SessionParams) -> Key:
        """The key that a session of these numbers will have; its proof_key is not looked at. LocalProtocolError."""
        try:
            sizes = choose(params.dimension, params.bound)
        except ValueError as error:
            raise LocalProtocolError(f"there is no proof for updates of such a size: {error}") from error
        which = sizes, None if params.statement is Statement.GRAM else norm_bits(params.bound)
        if (key := self._kept(which)) is not None:
            return key
        with self._making:
            if (key := self._kept(which)) is None:
                key = self._made(*which)
                with self._lock:
                    self._keys[which] = self._used[which] = key
                    while len(self._keys) > KEPT:
                        self._keys.popitem(last=False)
        return key

    def _kept(self, which: Which) -> Key | None:
        with self._lock:
            if which in self._keys:
                self._keys.move_to_end(which)
            return self._used.get(which)

    @property
    def label(self) -> str:
        """Of a string whose secret everybody can compute, as its id has it; "" for others, and before one was read."""
        string = self._string
        return string.id.removeprefix(f"{INSECURE}-") if string is not None and string.insecure else ""

    def _made(self, sizes: ZkParams, norms: int | None) -> Key:
        try:
            if self._string is None or len(self._string.powers) < sizes.powers:
                self._string = self._load_once(sizes.powers)
            basis = basis_of(self._path, self._string, sizes.size, self._cache, self._threads)
            return make_key(sizes, self._string, norms, basis, self._threads)
        except OmninodeError as error:
            raise LocalProtocolError(f"{error.problem}: {error.cure}" if error.cure else error.problem) from error
        except ValueError as error:
            raise LocalProtocolError(f"{self._path} gives no key: {error}") from error

    def _load_once(self, powers: int) -> Srs:
        """A file that was refused is not looked at again for so many powers, which anybody may ask for, until it is
        another one.
        """
        try:
            found = self._path.stat()
            now = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            return self._load(powers)  # which says what is wrong
        before, refusal = self._refused.get(powers, ((), None))
        if refusal is not None and before == now:
            raise RefusedError(refusal.problem, refusal.cure)
        try:
            return self._load(powers)
        except RefusedError as error:
            self._refused[powers] = now, error
            raise

    def _load(self, powers: int) -> Srs:
        string = load_string(self._path, powers, self._cache, self._threads)
        if string.insecure and not self._development:
            raise RefusedError(
                f"the reference string {self._path} is {string.id}: everybody can forge proofs under it",
                "use one that was made in a ceremony; test strings are for the development chain",
            )
        return string


def make_keys(path: str | Path, cache: Path, threads: int = 1, *, chain_id: int) -> StringKeys:
    """The keys of a node whose configuration names a reference string. Arguments as of ``StringKeys``."""
    return StringKeys(Path(path), cache, threads, chain_id=chain_id)
