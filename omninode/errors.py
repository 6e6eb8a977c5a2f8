"""What the user reads when something is wrong: one sentence, what to do about it, and a stable exit code.

Exit codes, which scripts may rely on (a test holds them):
0 done, 1 failure, 2 usage or configuration, 3 chain, 4 store or disk, 5 already running, 6 not running,
7 refused, 8 network, 9 keys or passphrase, 130 interrupted.
"""

from __future__ import annotations

import errno
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every verb. Scripts rely on them: never renumber."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CHAIN = 3
    STORE = 4
    ALREADY_RUNNING = 5
    NOT_RUNNING = 6
    REFUSED = 7
    NETWORK = 8
    KEYS = 9
    INTERRUPTED = 130


class OmninodeError(Exception):
    """Root of the errors that a user can do something about.

    problem: one sentence without a final stop.  cure: what to do, one sentence or command; "" where there is nothing.
    """

    exit_code = Exit.FAILURE

    def __init__(self, problem: str, cure: str = "") -> None:
        self.problem, self.cure = problem, cure
        super().__init__(f"{problem} ({cure})" if cure else problem)

    def __reduce__(self) -> tuple[type[OmninodeError], tuple[str, str]]:
        return type(self), (self.problem, self.cure)  # errors cross process borders: worker, control socket


class UsageError(OmninodeError):
    """The command or what was given with it makes no sense."""

    exit_code = Exit.USAGE


class ConfigError(UsageError):
    """A setting is unknown, missing or of the wrong kind."""


class ChainFailure(OmninodeError):
    """The chain cannot be used: RPC down, wrong chain id, no contract, out of money."""

    exit_code = Exit.CHAIN


class StoreError(OmninodeError):
    """The data directory cannot be read or written: full, read-only, damaged, or of a newer version."""

    exit_code = Exit.STORE


class SafetyError(StoreError):
    """The safety journal holds another value under this key. Going on could reveal a secret: the session stops here."""


class AlreadyRunningError(OmninodeError):
    """Another process has this data directory."""

    exit_code = Exit.ALREADY_RUNNING


class NotRunningError(OmninodeError):
    """No daemon answers for this data directory."""

    exit_code = Exit.NOT_RUNNING


class RefusedError(OmninodeError):
    """What was asked for is not allowed: by policy, by the contract's rules, or by the state of things."""

    exit_code = Exit.REFUSED


class NetworkError(OmninodeError):
    """This node cannot listen or speak to others."""

    exit_code = Exit.NETWORK


class KeyFileError(OmninodeError):
    """A wallet, key file or passphrase is missing, wrong or damaged."""

    exit_code = Exit.KEYS


_BY_CODE: dict[int, type[OmninodeError]] = {
    cls.exit_code: cls
    for cls in (
        OmninodeError, UsageError, ChainFailure, StoreError, AlreadyRunningError, NotRunningError, RefusedError,
        NetworkError, KeyFileError,
    )
}  # fmt: skip
_BY_PACKAGE = {"omninode.chain": Exit.CHAIN, "omninode.net": Exit.NETWORK, "omninode.store": Exit.STORE}


def from_code(code: int, problem: str, cure: str = "") -> OmninodeError:
    """The error that travelled through the control socket as (code, problem, cure)."""
    return _BY_CODE.get(code, OmninodeError)(problem, cure)


def exit_code_of(error: BaseException) -> int:
    """The exit code for any exception: its own, that of a full disk, or that of the package that raised it."""
    if isinstance(error, OmninodeError):
        return int(error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return int(Exit.INTERRUPTED)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        return int(Exit.STORE)
    if type(error).__name__ == "WalletError":  # of omninode.chain, but not about the chain
        return int(Exit.KEYS)
    package = ".".join(type(error).__module__.split(".")[:2])
    return int(_BY_PACKAGE.get(package, Exit.FAILURE))


def cause_of(error: BaseException) -> BaseException:
    """The exception that a user should read about, out of Trio's nested groups: an OmninodeError if there is one."""
    found = _leaves(error)
    return next((e for e in found if isinstance(e, OmninodeError)), found[0])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def disk_error(error: OSError, path: object) -> StoreError:
    """An OSError of a write in the data directory, in words that say what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"the disk that holds {path} is full", "free some space and start again; nothing was lost")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreError(f"{path} cannot be written: {error.strerror}", "mount it writable or mend its permissions")
    return StoreError(f"{path}: {error.strerror or error}", "check the disk")
