"""What `session verify` asks of the chain: events, calldata of the transactions behind them, views about money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omninode.chain.abi import AbiError, decode_list
from omninode.chain.convert import params_to_struct
from omninode.chain.wallet import recover
from omninode.roles.verify_public import Public
from protocols.sessions.params import Phase

if TYPE_CHECKING:
    from omninode.chain.market import Market
    from omninode.roles.services import Services
    from protocols.sessions.view import SessionView


async def ask(services: Services, view: SessionView) -> Public:
    """Everything public about a session that has a batch. Raises ChainError."""
    assert view.batch is not None
    market, session = services.market, view.session
    latest = await market.client.block_number()  # one moment for all: somebody may claim while we ask
    history = await market.history(session, last=latest)
    posted = await calls(market, session, "postProof" if view.p.zk else "postBatch", view.batch.block)
    settled = posted[0] if posted else None
    blocks = sorted({event.block for event in history if event.name == "Attested"})
    attests = [call for block in blocks for call in await calls(market, session, "attest", block)]
    paid = {event.args["who"] for event in history if event.name == "Claimed"}
    payouts, owed = await _money(market, view, paid, latest)
    escrow = int(await market.client.call(market.contract, "requiredEscrow", params_to_struct(view.p)))
    batch, proof = (None, settled) if view.p.zk else (settled, None)
    return Public(
        services.context(session), view, history, batch, recover, attests, payouts, owed, escrow, proof
    )  # fmt: skip


async def _money(
    market: Market, view: SessionView, paid: set[bytes], block: int
) -> tuple[dict[int, int], dict[int, int]]:
    """payoutOf of every data owner, and what is owed to those that have claimed nothing; both only once Finished."""
    if view.phase != Phase.FINISHED:
        return {}, {}

    async def wei(name: str, *args: object) -> int:
        return int(await market.client.call(market.contract, name, view.session, *args, block=block))

    payouts = {member.index: await wei("payoutOf", member.index) for member in view.members}
    unpaid = [member for member in view.members if member.address not in paid]
    return payouts, {member.index: await wei("owed", member.address) for member in unpaid}


async def calls(market: Market, session: int, name: str, block: int) -> list[dict[str, Any]]:
    """Arguments of this session's successful calls of one function in one block, in order."""
    function = market.contract.interface.function(name)
    found = []
    mined = await market.client.rpc("eth_getBlockByNumber", hex(block), True)
    for transaction in mined["transactions"]:
        data = bytes.fromhex(transaction["input"].removeprefix("0x"))
        to = bytes.fromhex((transaction["to"] or "0x").removeprefix("0x"))
        if to != market.address or data[:4] != function.selector:
            continue
        try:
            args = dict(zip(function.inputs.names, decode_list(function.inputs, data[4:]), strict=True))
        except AbiError:  # the contract's decoder takes what ours does not; then nothing is proved by it
            continue
        receipt = await market.client.rpc("eth_getTransactionReceipt", transaction["hash"])
        if args["id"] == session and int(receipt["status"], 16) == 1:
            found.append(args)
    return found
