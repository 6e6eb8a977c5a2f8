"""The control socket: answers, errors that keep their meaning, and clients that misbehave."""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from omninode import control
from omninode.errors import (
    ChainFailure,
    ConfigError,
    Exit,
    NotRunningError,
    OmninodeError,
    RefusedError,
    SafetyError,
    StoreError,
    UsageError,
    cause_of,
    disk_error,
    exit_code_of,
    from_code,
)  # fmt: skip


async def handler(verb: str, args: dict[str, Any]) -> dict[str, Any]:
    if verb == "refuse":
        raise RefusedError("not today", "come tomorrow")
    if verb == "break":
        raise KeyError("inside")
    if verb == "group":
        raise ExceptionGroup("many", [ValueError("x"), ExceptionGroup("deep", [ChainFailure("RPC down")])])
    if verb == "wait":
        await trio.sleep(args["seconds"])
    return {"verb": verb, **args}


async def ask(path: Path, verb: str, timeout: float = 10.0, **args: Any) -> dict[str, Any]:
    return await trio.to_thread.run_sync(control.call, path, verb, args, timeout)


async def serving(nursery: trio.Nursery, path: Path) -> Path:
    nursery.start_soon(control.serve, path, handler)
    with trio.fail_after(10):
        while not path.exists():
            await trio.sleep(0.01)
    return path


async def test_answers_and_errors_come_back_as_they_were(tmp_path: Path, nursery: trio.Nursery) -> None:
    path = await serving(nursery, tmp_path / "control.sock")
    assert path.stat().st_mode & 0o777 == 0o600
    assert await ask(path, "status", n=1, text="é") == {"verb": "status", "n": 1, "text": "é"}
    with pytest.raises(RefusedError) as refused:
        await ask(path, "refuse")
    assert (refused.value.problem, refused.value.cure) == ("not today", "come tomorrow")
    with pytest.raises(ChainFailure, match="RPC down"):
        await ask(path, "group")
    with pytest.raises(OmninodeError, match="inside") as broken:
        await ask(path, "break")
    assert broken.value.exit_code == Exit.FAILURE
    assert await ask(path, "status") == {"verb": "status"}


async def test_a_slow_handler_is_cut_off_and_others_are_served(tmp_path: Path, nursery: trio.Nursery) -> None:
    path = await serving(nursery, tmp_path / "control.sock")

    async def slow() -> None:
        with pytest.raises(OmninodeError, match="did not finish in time"):
            await ask(path, "wait", timeout=0.3, seconds=100)

    async with trio.open_nursery() as both:
        both.start_soon(slow)
        assert await ask(path, "status") == {"verb": "status"}


@pytest.mark.parametrize(
    "data",
    [
        b"\n", b"not json\n", b"[]\n", b"{}\n", b'{"verb": 1, "args": {}, "timeout": 1}\n', b"[" * 60_000 + b"\n",
        b'{"verb": "x", "args": [], "timeout": 1}\n', b'{"verb": "x", "args": {}, "timeout": 1e9}\n',
        b'{"verb": "x", "args": {}, "timeout": NaN}\n', b"\xff\xfe\n", b"x" * (control.MAX_REQUEST + 10) + b"\n",
    ],
)  # fmt: skip
async def test_bad_requests_are_refused_and_harm_nobody(tmp_path: Path, nursery: trio.Nursery, data: bytes) -> None:
    path = await serving(nursery, tmp_path / "control.sock")
    stream = await trio.open_unix_socket(str(path))
    async with stream:
        answer = b""
        try:
            await stream.send_all(data)
            with trio.fail_after(10):
                async for part in stream:
                    answer += part
        except trio.BrokenResourceError:
            pass  # cut off while still sending too much
    if answer:
        assert json.loads(answer)["code"] == Exit.USAGE
    assert await ask(path, "status") == {"verb": "status"}


async def test_too_many_and_vanishing_clients(tmp_path: Path, nursery: trio.Nursery) -> None:
    path = await serving(nursery, tmp_path / "control.sock")
    idle = [await trio.open_unix_socket(str(path)) for _ in range(control.MAX_CLIENTS)]
    await trio.testing.wait_all_tasks_blocked(0.05)
    with pytest.raises(OmninodeError):
        await ask(path, "status")
    for stream in idle:
        await stream.aclose()
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert await ask(path, "status") == {"verb": "status"}


async def test_a_long_path_works(tmp_path: Path, nursery: trio.Nursery) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    path = await serving(nursery, folder / "control.sock")
    assert await ask(path, "status") == {"verb": "status"}


async def test_the_socket_of_a_killed_node_is_replaced_and_ours_removed(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with pytest.raises(NotRunningError):
        await ask(path, "status")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.serve, path, handler)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert await ask(path, "status") == {"verb": "status"}
        nursery.cancel_scope.cancel()
    assert not path.exists()


async def test_a_folder_that_cannot_hold_the_socket(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        await control.serve(tmp_path / "none" / "control.sock", handler)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no node runs") as caught:
        control.call(tmp_path / "control.sock", "status")
    assert caught.value.exit_code == Exit.NOT_RUNNING == 6
    with pytest.raises(NotRunningError):
        control.call(tmp_path / ("x" * 120) / "control.sock", "status")


def test_codes_are_stable_and_round_trip() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0, "FAILURE": 1, "USAGE": 2, "CHAIN": 3, "STORE": 4, "ALREADY_RUNNING": 5, "NOT_RUNNING": 6,
        "REFUSED": 7, "NETWORK": 8, "KEYS": 9, "INTERRUPTED": 130,
    }  # fmt: skip
    for code in Exit:
        if code not in (Exit.OK, Exit.INTERRUPTED):
            assert exit_code_of(from_code(code, "p", "c")) == code
    assert issubclass(ConfigError, UsageError)
    assert issubclass(SafetyError, StoreError)


def test_exit_codes_of_foreign_errors() -> None:
    from omninode.chain.errors import ChainError, WalletError
    from omninode.net.errors import NetError

    assert exit_code_of(ChainError("x")) == Exit.CHAIN
    assert exit_code_of(WalletError("x")) == Exit.KEYS
    assert exit_code_of(NetError("x")) == Exit.NETWORK
    assert exit_code_of(OSError(errno.ENOSPC, "full")) == Exit.STORE
    assert exit_code_of(KeyboardInterrupt()) == Exit.INTERRUPTED
    assert exit_code_of(ValueError("x")) == Exit.FAILURE


def test_the_cause_within_groups() -> None:
    ours = StoreError("disk")
    group = BaseExceptionGroup("g", [ValueError(), ExceptionGroup("h", [KeyError(), ours])])
    assert cause_of(group) is ours
    assert cause_of(ours) is ours
    assert isinstance(cause_of(ExceptionGroup("g", [ValueError(), KeyError()])), ValueError)


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
        (errno.EIO, "x"),
    ],
)
def test_disk_errors_say_what_to_do(number: int, problem: str) -> None:
    error = disk_error(OSError(number, "x"), "/data")
    assert problem in error.problem
    assert "/data" in error.problem
    assert error.cure
