"""What an attacker is told to do in a session, and the file through which a hostile daemon is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """kind: "" for honesty.  seat: committee index that it is meant for (-1: whoever gets the order).

    phase: of a crash.  colluders: wallets, our own included.  victim: wallet whose upload is replayed.
    """

    kind: str = ""
    seat: int = -1
    phase: str = ""
    colluders: tuple[bytes, ...] = ()
    victim: bytes = b""


Orders = Callable[[int], Order]
"""The order for a session, by its number."""


def order_of(data_dir: Path, session: int) -> Order:
    """The misbehaviour ordered for ``session``, or none."""
    try:
        order = json.loads((data_dir / "fault.json").read_text())
    except (OSError, ValueError):
        return Order()
    if order.get("session") != session:
        return Order()
    return Order(
        str(order["kind"]), order.get("seat", -1), order.get("phase", ""),
        tuple(bytes.fromhex(a) for a in order.get("colluders", ())), bytes.fromhex(order.get("victim", "")),
    )  # fmt: skip


def order_fault(data_dir: Path, session: int, kind: str, order: Order | None = None) -> None:
    """Tell the node in ``data_dir`` to misbehave in ``session``. order: what more there is to say than the kind."""
    told: dict[str, Any] = {"session": session, "kind": kind}
    if order is not None:
        told |= {"seat": order.seat, "phase": order.phase, "victim": order.victim.hex()}
        told["colluders"] = [address.hex() for address in order.colluders]
    draft = data_dir / "fault.json.new"
    draft.write_text(json.dumps(told))
    draft.rename(data_dir / "fault.json")
