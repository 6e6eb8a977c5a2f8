"""What the demo counts of a session of the on-chain baseline, held against what its transactions really took."""

from __future__ import annotations

import trio

from omninode.chain.onchain import Onchain
from omninode.demo.onchain_watch import OnchainRecord, OnchainWatch
from omninode.reproduce.onchain_stage import play
from protocols.onchain import events as ev
from tests.integration.chain_support import needs_anvil
from tests.integration.test_onchain_session import WALLETS, factory, models

pytestmark = needs_anvil


async def test_gas_by_function_and_by_wallet() -> None:
    told: list[str] = []

    def tell(record: OnchainRecord, event: ev.OnchainEvent) -> None:
        told.append(type(event).__name__)

    async with factory() as (client, address):
        played = await play(client, address, WALLETS, 40, 2, 2, m_krum=1, mu_bps=2500, models=models(4, 40))
        onchain = Onchain(client, None, address, chain_id=await client.chain_id())
        watch = OnchainWatch(onchain, 0, tell)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch.run)
                await watch.until(lambda: any(record.settled for record in watch.records.values()))
                nursery.cancel_scope.cancel()
    assert list(watch.records) == [played.session]
    record = watch.records[played.session]
    assert record.gas == {call: sum(each) for call, each in played.gas.by_call.items()}
    assert record.calls == {call: len(each) for call, each in played.gas.by_call.items()}
    assert record.senders == played.gas.by_sender
    assert record.per_data_owner == sum(played.per_data_owner) // 4
    assert told[0] == "Created" and told.count("Uploaded") == 4
    assert record.view.selected == played.view.selected
