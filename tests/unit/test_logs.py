"""Logs and the event log: readable, structured, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from omninode.config_schema import Log
from omninode.errors import StoreError
from omninode.observe import logs, redact
from omninode.observe.counters import LIMIT, Counters
from omninode.observe.events import EventLog

KEY = bytes.fromhex("deadbeef" * 8)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is global: put everything back."""
    root = logging.getLogger()
    before, level, known = root.handlers[:], root.level, set(redact._values)
    levels = {name: logging.getLogger(name).level for name in logs.LOUD}
    yield
    structlog.reset_defaults()
    root.handlers = before
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)
    redact._values.clear()
    redact._values.update(known)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_elsewhere_pretty_on_a_terminal() -> None:
    stream = io.StringIO()
    logs.configure(Log(), node="n1", stream=stream).info("started", address=b"\x01\x02", port=4021)
    (line,) = lines(stream)
    assert line["event"] == "started"
    assert (line["node"], line["level"], line["address"], line["port"]) == ("n1", "info", "0102", 4021)
    assert line["timestamp"].endswith("Z")
    terminal = Terminal()
    logs.configure(Log(), node="n1", stream=terminal).info("started", port=4021)
    assert "started" in terminal.getvalue()
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(terminal.getvalue())
    forced = Terminal()
    logs.configure(Log(format="json"), node="n1", stream=forced).info("started")
    assert lines(forced)[0]["event"] == "started"


def test_level_can_change_while_running() -> None:
    stream = io.StringIO()
    log = logs.configure(Log(level="warning"), node="n", stream=stream)
    log.info("unseen")
    log.warning("seen")
    logs.set_level("debug")
    log.debug("now seen")
    log.bind(session=3).error("bound")
    assert [line["event"] for line in lines(stream)] == ["seen", "now seen", "bound"]
    assert lines(stream)[-1]["session"] == 3
    with pytest.raises(ValueError, match="no log level"):
        logs.set_level("loud")


def test_exceptions_carry_their_trace() -> None:
    stream = io.StringIO()
    log = logs.configure(Log(), node="n", stream=stream)
    try:
        raise RuntimeError("the reason")
    except RuntimeError:
        log.exception("failed")
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert "RuntimeError: the reason" in line["exception"]


def test_a_copy_goes_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    stream = Terminal()
    logs.configure(Log(file=str(path)), node="n", stream=stream).info("said", passphrase="hunter22")
    assert json.loads(path.read_text())["passphrase"] == redact.HIDDEN
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(StoreError):
        logs.configure(Log(file=str(tmp_path)), node="n", stream=stream)


def test_libraries_come_out_like_us_and_the_loud_ones_are_quiet() -> None:
    stream = io.StringIO()
    logs.configure(Log(), node="n", stream=stream)
    logging.getLogger("some.library").warning("careful with %s", "that")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("libp2p.stream").error("peer hung up")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("careful with that", "some.library", "warning")


SECRET_FIELDS = [
    "seed", "wallet_seed", "secret", "enc_secret", "client_secret_key", "passphrase", "PASSWORD", "share", "shares",
    "mask_share", "private", "private_key", "mnemonic", "api_token", "mask_key", "signing_key", "key_material", "blind",
]  # fmt: skip
PUBLIC_FIELDS = [
    "peer_key",
    "address",
    "share_root",
    "share_roots",
    "session",
    "salted",
    "seeded",
    "key",
    "shares_count",
]


@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_secret_fields_never_reach_a_log(name: str, tmp_path: Path) -> None:
    stream = io.StringIO()
    logs.configure(Log(), node="n", stream=stream).info(
        "event", **{name: KEY}, inner={name: "tell-tale"}, list=[{name: 1}]
    )
    events = EventLog(tmp_path / "e", node="n")
    events.write("event", **{name: "tell-tale", "inner": {name: KEY}})
    for text in (stream.getvalue(), (tmp_path / "e").read_text()):
        assert KEY.hex() not in text
        assert "tell-tale" not in text
        assert redact.HIDDEN in text


@pytest.mark.parametrize("name", PUBLIC_FIELDS)
def test_public_fields_do(name: str) -> None:
    assert not redact.is_secret_name(name)


def test_protected_values_are_blanked_wherever_they_stand(tmp_path: Path) -> None:
    redact.protect(KEY)
    redact.protect("correct horse")
    stream = io.StringIO()
    log = logs.configure(Log(), node="n", stream=stream)
    events = EventLog(tmp_path / "e", node="n")
    try:
        raise ValueError(f"bad passphrase 'correct horse' for {KEY.hex()}")
    except ValueError as error:
        log.exception("failed with correct horse", error=str(error), innocent=KEY, nested=[{"x": KEY.hex()}])
        events.write("failed", error=str(error), innocent=KEY)
    for text in (stream.getvalue(), (tmp_path / "e").read_text()):
        assert KEY.hex() not in text
        assert "correct horse" not in text


def test_short_values_are_not_protected() -> None:
    redact.protect("a")
    assert redact.blank("banana") == "banana"


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    class Colour(IntEnum):
        RED = 3

    events = EventLog(tmp_path / "events.jsonl", node="do-3", clock=lambda: 1234.56789)
    events.write("trained", session=4, peer=b"\xab", colour=Colour.RED, n=np.int64(5), path=tmp_path, tuple=(1, None))
    events.blame(4, b"\xcd" * 20, "bad-share", "x" * 1000)
    events.close()
    first, second = (json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines())
    assert first == {
        "ts": 1234.568, "node": "do-3", "event": "trained", "session": 4, "peer": "ab", "colour": 3, "n": 5,
        "path": str(tmp_path), "tuple": [1, None],
    }  # fmt: skip
    assert (second["event"], second["peer"], second["rule"]) == ("blame", "cd" * 20, "bad-share")
    assert len(second["detail"]) == 500
    assert events.counters.as_dict() == {"blame": 1, "fault/bad-share": 1, "trained": 1}


def test_events_are_appended_after_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        events = EventLog(tmp_path / "e", node="n")
        events.write("started", number=number)
        events.close()
        events.close()
        events.write("after close")
    assert [json.loads(line)["number"] for line in (tmp_path / "e").read_text().splitlines()] == [0, 1]
    with pytest.raises(StoreError):
        EventLog(tmp_path / "none" / "e", node="n")


def test_a_full_disk_loses_events_and_counts_them() -> None:
    events = EventLog(Path("/dev/full"), node="n")
    events.write("x")
    assert events.counters["events_lost"] == 1
    events.close()


def test_a_stream_that_breaks_does_not_stop_us() -> None:
    stream = io.StringIO()
    log = logs.configure(Log(), node="n", stream=stream)
    stream.close()
    log.info("into the void")


def test_counters_are_bounded() -> None:
    counters = Counters()
    for i in range(LIMIT + 10):
        counters.add(f"rule-{i}")
    counters.add("rule-0", 4)
    assert counters["rule-0"] == 5
    assert counters["other"] == 10
    assert len(counters.as_dict()) == LIMIT + 1


def test_long_bytes_are_only_counted() -> None:
    assert redact.clean(bytes(65)) == "<65 bytes>"
    assert redact.clean({"a": [bytes(2)], 5: {1}}) == {"a": ["0000"], "5": [1]}
