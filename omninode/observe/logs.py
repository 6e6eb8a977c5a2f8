"""structlog, set up once: pretty on a terminal, JSON lines elsewhere; level changeable while running; no secrets."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

from omninode.errors import disk_error
from omninode.observe.redact import HIDDEN, blank, clean, is_secret_name

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from omninode.config_schema import Log

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
# These log every peer that hangs up as an error of their own; what matters of it comes through omninode.net.
LOUD = ("libp2p", "web3", "urllib3", "asyncio", "matplotlib", "numba")
_threshold = LEVELS["info"]


def configure(settings: Log, *, node: str, stream: TextIO | None = None) -> BoundLogger:
    """Set up logging for this process and return the node's logger. stream: standard error unless a test says so.

    Raises StoreError when the log file cannot be opened.
    """
    stream = sys.stderr if stream is None else stream
    pretty = settings.format == "pretty" or (settings.format == "auto" and stream.isatty())
    processors: list[Any] = [
        _below_threshold,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    if settings.file:
        processors.append(_FileCopy(Path(settings.file)))
    processors.append(structlog.dev.ConsoleRenderer(colors=stream.isatty()) if pretty else _as_json)
    set_level(settings.level)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=lambda *_: _Sink(stream),
        cache_logger_on_first_use=False,
    )
    _bridge(settings.level)
    return cast("BoundLogger", structlog.get_logger().bind(node=node))


def set_level(level: str) -> None:
    """Change how much is said, from now on. ValueError for a level that does not exist."""
    global _threshold
    if level not in LEVELS:
        raise ValueError(f"no log level {level!r}: choose from {', '.join(LEVELS)}")
    _threshold = LEVELS[level]


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: secrets out, everything else as plain JSON values."""
    return {key: HIDDEN if is_secret_name(key) else clean(value) for key, value in event.items()}


def _below_threshold(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if LEVELS.get("error" if method == "exception" else method, 20) < _threshold:
        raise structlog.DropEvent
    return event


def _as_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    return json.dumps({**first, **event})


class _Sink:
    """Writes whole lines to one stream; a full disk or closed pipe behind it must not stop the node."""

    _lock = threading.Lock()

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, message: str) -> None:
        with self._lock:
            try:
                self._stream.write(blank(message) + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                pass

    debug = info = warning = error = critical = exception = log = msg = write

    def isEnabledFor(self, level: int) -> bool:
        return level >= _threshold


class _FileCopy:
    """A processor that appends every line, as JSON, to a file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise disk_error(error, path) from error

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        with suppress(OSError):  # the stream still has it
            os.write(self._file, (_as_json(logger, method, event) + "\n").encode())
        return event


class _Bridge(logging.Handler):
    """Lines of libraries that log through the standard library come out like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger().bind(logger=record.name)
        method = getattr(logger, record.levelname.lower(), logger.info)
        method(record.getMessage(), exc_info=record.exc_info)


def _bridge(level: str) -> None:
    root = logging.getLogger()
    root.handlers = [_Bridge()]
    root.setLevel(logging.INFO if level == "debug" else logging.WARNING)
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.WARNING if level == "debug" else logging.CRITICAL)
