"""What a data owner asks of a session of the baseline before it spends gas on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import trio

from omninode.chain.errors import ChainError
from omninode.config_schema import SECTIONS
from omninode.roles import onchain_policy
from omninode.roles.onchain_driver import stored
from omninode.roles.onchain_policy import OnchainPolicy
from omninode.roles.session_files import SessionFiles
from omninode.roles.session_task import Refused, Task
from omninode.store.db import Store
from protocols.onchain import events as ev
from protocols.onchain import lanes
from protocols.onchain.limits import session_gas, settle_needed
from protocols.onchain.params import Training
from protocols.onchain.view import OnchainView
from tests.unit.onchain_kit import seed_of, terms
from tests.unit.test_onchain_roles import services_of

GWEI = 10**9
BLOCK = 36_000_000
TRAINING = Training(10, 2, 10, 2, 4)


class Prices:
    """Of a chain what is asked before registering."""

    def __init__(self, base_fee: int = GWEI, balance: int = 10**18, posted: Any = None) -> None:
        self.client = self
        self._base_fee, self._balance, self._posted = base_fee, balance, posted

    async def rpc(self, method: str, *args: object) -> dict[str, str]:
        return {"gasLimit": hex(BLOCK), "baseFeePerGas": hex(self._base_fee)}

    async def balance(self, who: bytes) -> int:
        return self._balance

    async def model(self, session: int) -> lanes.Lanes:
        if self._posted is None:
            raise ChainError("no such session")
        posted: lanes.Lanes = self._posted
        return posted

    async def retry(self, call: Callable[[], Awaitable[Any]], deadline: float, what: str) -> Any:
        return await call()


def policy(folder: Path, chain: Prices | None = None, store: Store | None = None, **settings: Any) -> OnchainPolicy:
    services = services_of(store or Store.open(folder), data_owner=SECTIONS["data_owner"](**settings))
    return OnchainPolicy(services, chain or Prices(), SessionFiles(services, "data_owner"))  # type: ignore[arg-type]


def view_of(**changed: Any) -> OnchainView:
    view = OnchainView(1)
    chosen = {"settle_blocks": 40, "gas_price_cap": 2 * GWEI, **changed}
    view.apply(ev.Created(1, 1, b"\x11" * 20, replace(terms(), **chosen)))
    view.apply(ev.Started(1, 2, TRAINING, 20))
    return view


def test_gas_beyond_the_setting_is_refused(tmp_path: Path) -> None:
    gas = session_gas(300, 2, 4).data_owner
    policy(tmp_path / "a", max_onchain_gas=gas).check_terms(view_of())
    with pytest.raises(Refused, match="max_onchain_gas"):
        policy(tmp_path / "b", max_onchain_gas=gas - 1).check_terms(view_of())
    with pytest.raises(Refused, match="max_onchain_gas = 20,000,000"):
        policy(tmp_path / "c").check_terms(view_of(dimension=32_000))


async def test_a_session_at_which_gas_is_lost_is_refused(tmp_path: Path) -> None:
    await policy(tmp_path / "a").check_chain(view_of())
    with pytest.raises(Refused, match="pays 999999999 back at most"):
        await policy(tmp_path / "b").check_chain(view_of(gas_price_cap=GWEI - 1))
    await policy(tmp_path / "c", Prices(base_fee=0)).check_chain(view_of(gas_price_cap=0))


async def test_a_window_in_which_nobody_could_measure_is_refused(tmp_path: Path) -> None:
    least = settle_needed(300, 2, 4, BLOCK)
    await policy(tmp_path / "a").check_chain(view_of(settle_blocks=least))
    with pytest.raises(Refused, match="too short"):
        await policy(tmp_path / "b").check_chain(view_of(settle_blocks=least - 1))


async def test_a_wallet_that_cannot_pay_does_not_register(tmp_path: Path) -> None:
    poor = policy(tmp_path, Prices(balance=10**15))
    with pytest.raises(Refused, match="send it ether"):
        await poor.check_chain(view_of())


async def test_an_upload_waits_for_prices_ether_and_the_chain(tmp_path: Path, autojump_clock: Any) -> None:
    """Until whoever asked ends it: one look at a bad moment silences no member."""

    class Weather(Prices):
        async def rpc(self, method: str, *args: object) -> dict[str, str]:
            if trio.current_time() < start + 100:
                raise ChainError("the node does not answer")
            return await super().rpc(method, *args)

        async def balance(self, who: bytes) -> int:
            return 10**15 if trio.current_time() < start + 300 else 10**18

    start = trio.current_time()
    waiting = policy(tmp_path, Weather())
    await waiting.check_upload(view_of())
    assert 300 <= trio.current_time() - start < 300 + 2 * onchain_policy.UPLOAD_PAUSE_S
    events = waiting._services.events.written  # type: ignore[attr-defined]
    assert events == ["upload_delayed"]
    poor = policy(tmp_path / "poor", Prices(balance=10**15))
    with trio.move_on_after(10_000) as window:
        await poor.check_upload(view_of())
    assert window.cancelled_caught
    await policy(tmp_path / "b").check_upload(view_of(gas_price_cap=0))  # a promise, whatever gas costs now


async def test_weights_must_be_numbers_and_those_on_the_chain(tmp_path: Path) -> None:
    weights = np.linspace(-1, 1, 300).astype("<f4")
    posted = lanes.encode(weights.astype(np.float64), TRAINING.places)
    task = Task(SimpleNamespace(), weights.tobytes())  # type: ignore[arg-type]
    checked = policy(tmp_path, Prices(posted=posted))
    await checked.check_weights(1, TRAINING, task)
    broken = weights.copy()
    broken[7] = np.nan
    for given, initial, said in (
        (broken, None, "weights are no numbers"),
        (weights, broken, "initial weights are no numbers"),
        (weights + np.float32(1e-3), None, "not those that it put on the chain"),
    ):
        other = Task(SimpleNamespace(), given.tobytes(), None if initial is None else initial.tobytes())  # type: ignore[arg-type]
        with pytest.raises(Refused, match=said):
            await checked.check_weights(1, TRAINING, other)
    with pytest.raises(Refused, match="no such session"):
        await policy(tmp_path / "b", Prices()).check_weights(1, TRAINING, task)


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (None, True),
        ({"done": True, "uploaded": 2}, True),
        ({"done": True, "uploaded": 0}, False),
        ({"done": True}, False),
    ],
)
def test_only_sessions_with_our_data_use_up_the_budget(
    tmp_path: Path, state: dict[str, Any] | None, counts: bool
) -> None:
    store = Store.open(tmp_path)
    store.begin(stored(9), "data_owner", seed_of("seed"))
    if state is not None:
        store.set_state(stored(9), "data_owner", state)
    limited = policy(tmp_path, store=store, max_sessions=1)
    if counts:
        with pytest.raises(Refused, match="used up"):
            limited.check_terms(view_of())
    else:
        limited.check_terms(view_of())
    market = SessionFiles(limited._services, "data_owner")  # sessions of the market count them alike
    if counts:
        with pytest.raises(Refused, match="used up"):
            market.check_budget(3)
    else:
        market.check_budget(3)
    market.begin(3, lambda: False)
    market.begin(stored(9), lambda: True)  # not collected yet: what the database says of it counts
    if not counts:
        market.check_budget(3)
    with pytest.raises(Refused, match="max_sessions = 1"):
        market.check_budget(4)
