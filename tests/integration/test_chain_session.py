"""A whole session of the real machines on the real contracts: every transaction that they send is accepted."""

from __future__ import annotations

from tests.benchmarks.bench_gas import DATA_OWNERS, PROVERS, own_gas, session_gas
from tests.integration.chain_support import needs_anvil

pytestmark = needs_anvil

ONCE_EACH = {"register": DATA_OWNERS, "commitShares": DATA_OWNERS, "commitUpload": DATA_OWNERS}
ONCE = {"createSession", "postGroups", "postBatch", "acknowledge"}


async def test_a_session_of_real_machines_on_the_real_contracts() -> None:
    """That the sum is right is checked by the benchmark itself."""
    gas = await session_gas(40)
    calls = {call: len(used) for call, used in gas.by_call.items()}
    assert not [call for call in calls if "reverted" in call]
    assert calls | ONCE_EACH == calls
    assert {call for call, count in calls.items() if count == 1} == ONCE
    assert calls["postBitmap"] == 3 * PROVERS
    assert calls["claim"] == DATA_OWNERS + PROVERS + 1, "everybody was owed something and took it"
    assert 0 < own_gas(gas) < gas.session / DATA_OWNERS < 1_000_000
