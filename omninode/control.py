"""The CLI talks to a running node over a Unix socket in its data directory: one line of JSON each way.

Request: {"verb": text, "args": {...}, "timeout": seconds}.  Answer: {"ok": true, "result": {...}} or
{"ok": false, "code": exit code, "problem": text, "cure": text}. Whoever may open the socket (0600) is the operator.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio
from structlog import get_logger

from omninode.errors import NotRunningError, OmninodeError, UsageError, cause_of, disk_error, exit_code_of, from_code

Handler = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

MAX_REQUEST = 64 << 10
MAX_ANSWER = 64 << 20
MAX_CLIENTS = 16
READ_S = 5.0  # a client sends its line at once or is cut off
WRITE_S = 30.0
LONGEST_S = 600.0
_SUN_PATH = 100  # bytes that a socket's name may have, with a margin


async def serve(path: Path, handler: Handler) -> None:
    """Answer on ``path`` until cancelled. A bad request or a failing handler costs only that client its answer."""
    clients = trio.CapacityLimiter(MAX_CLIENTS)
    try:
        async with _listen(path) as listener, trio.open_nursery() as nursery:
            while True:
                stream = await listener.accept()
                try:
                    clients.acquire_on_behalf_of_nowait(stream)
                except trio.WouldBlock:
                    await trio.aclose_forcefully(stream)
                    continue
                nursery.start_soon(_serve_one, stream, handler, clients)
    finally:
        path.unlink(missing_ok=True)


def _listen(path: Path) -> trio.SocketListener:
    path.unlink(missing_ok=True)  # left by a killed node: whoever holds the data directory's lock owns the name
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            sock.bind(name)
        path.chmod(0o600)
        sock.listen(MAX_CLIENTS)  # only now can anybody connect
    except OSError as error:
        sock.close()
        raise disk_error(error, path) from error
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


async def _serve_one(stream: trio.SocketStream, handler: Handler, clients: trio.CapacityLimiter) -> None:
    try:
        async with stream:
            answer = await _answer(stream, handler)
            with trio.move_on_after(WRITE_S):
                await stream.send_all(json.dumps(answer).encode() + b"\n")
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client went away
    finally:
        clients.release_on_behalf_of(stream)


async def _answer(stream: trio.SocketStream, handler: Handler) -> dict[str, Any]:
    try:
        with trio.fail_after(READ_S):
            verb, args, timeout = _parse(await _read_line(stream))
        with trio.fail_after(timeout):
            return {"ok": True, "result": await handler(verb, args)}
    except trio.TooSlowError:
        return _refusal(OmninodeError("the node did not finish in time", "try again with a longer --timeout"))
    except Exception as error:
        return _refusal(cause_of(error))


def _refusal(error: BaseException) -> dict[str, Any]:
    if isinstance(error, OmninodeError):
        problem, cure = error.problem, error.cure
    else:
        get_logger().warning("control_failed", exc_info=error)
        problem, cure = str(error) or type(error).__name__, ""
    return {"ok": False, "code": exit_code_of(error), "problem": problem, "cure": cure}


async def _read_line(stream: trio.SocketStream) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        part = await stream.receive_some(MAX_REQUEST)
        data += part
        if not part or len(data) > MAX_REQUEST:
            raise UsageError("the request is cut off or too long")
    return data


def _parse(data: bytes) -> tuple[str, dict[str, Any], float]:
    try:
        request = json.loads(data)
        verb, args, timeout = request["verb"], request["args"], float(request["timeout"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"the request is not understood: {error!r}") from error
    if not isinstance(verb, str) or not isinstance(args, dict) or not 0 < timeout <= LONGEST_S:
        raise UsageError("the request is not understood: wrong types")
    return verb, args, timeout


def call(path: Path, verb: str, args: dict[str, Any] | None = None, timeout: float = 30.0) -> dict[str, Any]:
    """Ask the node behind ``path`` and wait for the answer, ``timeout`` seconds at most. For the CLI: blocks.

    Raises NotRunningError when nobody answers there, else the OmninodeError that the node sent back.
    """
    request = json.dumps({"verb": verb, "args": args or {}, "timeout": timeout}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout + 2)  # the node's own deadline comes first and says more
            with _short(path) as name:
                client.connect(name)
            client.sendall(request)
            data = _read_answer(client)
    except TimeoutError:
        raise OmninodeError(f"the node at {path.parent} does not answer", "look at its log") from None
    except OSError as error:
        raise NotRunningError(f"no node runs in {path.parent}", "start it: omninode start") from error
    answer = json.loads(data)
    if not answer["ok"]:
        raise from_code(answer["code"], answer["problem"], answer["cure"])
    result: dict[str, Any] = answer["result"]
    return result


def _read_answer(client: socket.socket) -> bytes:
    parts, size = [], 0
    while part := client.recv(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            raise OmninodeError("the node's answer is too long")
    data = b"".join(parts)
    if not data.endswith(b"\n"):
        raise OmninodeError("the node ended before it answered", "look at its log")
    return data


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for ``path`` that fits a socket address (108 bytes on Linux), however deep the data directory lies."""
    if len(os.fsencode(path)) <= _SUN_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
