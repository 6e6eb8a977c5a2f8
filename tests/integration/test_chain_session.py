"""A whole session of the real machines on the real contracts: every transaction that they send is accepted."""

from __future__ import annotations

import pytest

from omninode.reproduce.stage.session import PROVERS, perform
from tests.benchmarks.bench_gas import DATA_OWNERS, MODES, own_gas
from tests.integration.chain_support import needs_anvil

pytestmark = needs_anvil

ONCE_EACH = {
    "grouped": {"register", "commitShares", "commitUpload"},
    "verified": {"register", "commitUpload"},
}
ONCE = {
    "grouped": {"createSession", "postGroups", "postBatch", "acknowledge"},
    "verified": {"createSession", "commitReference", "postBatch", "acknowledge"},
}
BITMAPS = {"grouped": 3, "verified": 2}


@pytest.mark.parametrize("mode", MODES)
def test_a_session_of_real_machines_on_the_real_contracts(mode: str) -> None:
    """That sum and pay are right is checked by the stage itself."""
    gas = perform(MODES[mode](40)).gas
    calls = {call: len(used) for call, used in gas.by_call.items()}
    assert not [call for call in calls if "reverted" in call]
    assert calls | dict.fromkeys(ONCE_EACH[mode], DATA_OWNERS) == calls
    assert {call for call, count in calls.items() if count == 1} == ONCE[mode]
    assert calls["postBitmap"] == BITMAPS[mode] * PROVERS
    assert calls["postOpenings"] == PROVERS
    assert calls["claim"] == DATA_OWNERS + PROVERS + 1, "everybody was owed something and took it"
    assert 0 < own_gas(gas) < gas.session / DATA_OWNERS < 1_000_000
