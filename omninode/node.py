"""Composition: builds the services of one node, runs them in one nursery, stops them in order."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import trio

from omninode import control, passphrase
from omninode.errors import cause_of
from omninode.observe.events import EventLog
from omninode.observe.logs import configure as configure_logs
from omninode.store.db import Store
from omninode.store.keys import load_or_create
from omninode.store.lock import DataDirLock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omninode.chain.client import ChainClient
    from omninode.chain.onchain import Onchain
    from omninode.chain.txqueue import TxQueue
    from omninode.config import Config
    from omninode.roles.data_owner import DataOwner
    from omninode.roles.model_owner import ModelOwner
    from omninode.roles.onchain_sessions import OnchainSessions
    from omninode.roles.services import Services
    from omninode.roles.sessions import Role, Sessions

CHAIN_WAIT_S = 60.0  # an RPC that is down at the start is waited for this long


def main(config: Config) -> None:
    """Run the node until SIGTERM or SIGINT. Raises OmninodeError with what to do when it cannot start."""
    data_dir = Path(config.node.data_dir)
    log = configure_logs(config.log, node=config.node.name)
    with DataDirLock(data_dir):
        (data_dir / "node.pid").write_text(str(os.getpid()))
        try:
            trio.run(_run, config, data_dir, log)
        except BaseExceptionGroup as group:
            raise cause_of(group) from group
        finally:
            (data_dir / "node.pid").unlink(missing_ok=True)


async def _run(config: Config, data_dir: Path, log: Any) -> None:
    events = EventLog(data_dir / "events.jsonl", node=config.node.name)
    store = await trio.to_thread.run_sync(Store.open, data_dir)
    async with AsyncExitStack() as stack:
        stack.callback(events.close)
        stack.callback(store.close)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, nursery, log)
            services = await _build(config, data_dir, log, events, store, nursery)
            stack.push_async_callback(services.trainer.aclose)
            await _serve(services)


async def _stop_on_signal(nursery: trio.Nursery, log: Any) -> None:
    """SIGTERM and SIGINT end the node cleanly; what is under way resumes from the journal at the next start."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("stopping", signal=signal.Signals(number).name)
            nursery.cancel_scope.cancel()
            return


async def _build(
    config: Config, data_dir: Path, log: Any, events: EventLog, store: Store, nursery: trio.Nursery
) -> Services:
    """Chain first (is it the right one?), then the network, then what stands on both."""
    from omninode.chain.client import ChainClient
    from omninode.chain.connect import open_market
    from omninode.chain.hashing import parse_address
    from omninode.chain.txqueue import TxQueue
    from omninode.chain.txstore import SqliteTxStore
    from omninode.chain.wallet import Wallet
    from omninode.learning.service import Trainer
    from omninode.net.blobs import serve_blobs
    from omninode.net.book import PeerBook
    from omninode.net.service import Network
    from omninode.roles.directory import Directory
    from omninode.roles.keyring import keyring
    from omninode.roles.services import Services
    from omninode.store.blobs import FileBlobStore
    from protocols.secagg.keys import public_of
    from protocols.wire.context import Context

    secret = passphrase.find(config.wallet.passphrase_file, data_dir)
    wallet = await trio.to_thread.run_sync(Wallet.load, data_dir / "wallet.json", secret)
    peer_seed = load_or_create(data_dir / "peer.key")
    enc_secret = load_or_create(data_dir / "seal.key")
    chain = config.chain
    client = ChainClient(chain.rpc, timeout=chain.timeout, log=log)
    queue = TxQueue(client, wallet, SqliteTxStore(data_dir / "transactions.sqlite"), log, chain_id=chain.chain_id)
    market = await client.retry(
        lambda: open_market(client, queue, parse_address(chain.market), chain.chain_id, start_block=chain.start_block),
        CHAIN_WAIT_S,
        "opening the market",
    )
    await nursery.start(queue.run)
    book = PeerBook(data_dir / "peers.json")
    net = Network(peer_seed, config.net.listen, config.net.bootstrap, book, log=log, announce=config.net.announce)
    await nursery.start(net.run)
    blobs = FileBlobStore(data_dir / "blobs", max_total=config.node.blob_space << 20)
    serve_blobs(net, blobs)
    directory = Directory(net, wallet, Context(market.chain_id, market.address, 0), log)
    trainer = Trainer(
        Path(config.learning.slots_dir or data_dir / "slots"), slots=config.learning.slots,
        device=config.learning.device, threads=config.learning.threads, log=log,
        find=blobs.path, allowed=(*config.learning.allowed_models, config.model_owner.model),
    )  # fmt: skip
    return Services(
        config=config, data_dir=data_dir, log=log, events=events, store=store,
        blobs=blobs, wallet=wallet, enc_secret=enc_secret, enc_public=public_of(enc_secret),
        market=market, registry=market.registry, net=net,
        directory=directory, trainer=trainer,
        onchain=await _open_onchain(config, client, queue),
        keys=keyring(config.proofs.string, data_dir, config.proofs.threads, market.chain_id),
    )  # fmt: skip


async def _open_onchain(config: Config, client: ChainClient, queue: TxQueue) -> Onchain | None:
    """The on-chain baseline's factory, None where none is configured. Raises NoContract, NotAFactory."""
    if not config.chain.onchain:
        return None
    from omninode.chain.hashing import parse_address
    from omninode.chain.onchain import Onchain

    address, chain = parse_address(config.chain.onchain), config.chain
    await client.retry(lambda: client.check_contract(address), CHAIN_WAIT_S, "opening the on-chain baseline")
    onchain = Onchain(client, queue, address, chain_id=chain.chain_id, start_block=chain.start_block)
    await client.retry(onchain.check, CHAIN_WAIT_S, "opening the on-chain baseline")
    return onchain


def build_onchain(services: Services, roles: Sequence[Role]) -> OnchainSessions | None:
    """Sessions of the on-chain baseline, with the same roles; None where it is not configured."""
    if services.onchain is None:
        return None
    from omninode.roles.onchain_sessions import OnchainRole, OnchainSessions

    parts: list[OnchainRole] = []
    for role in roles:
        if role.name == "data_owner":
            from omninode.roles.onchain_data_owner import OnchainDataOwner

            parts.append(OnchainDataOwner(services, services.onchain, cast("DataOwner", role)))
        elif role.name == "model_owner":
            from omninode.roles.onchain_owner import OnchainOwner

            parts.append(OnchainOwner(services, services.onchain, cast("ModelOwner", role)))
    return OnchainSessions(services, services.onchain, parts)


def build_roles(services: Services) -> list[Role]:
    """The roles that the configuration enables. Only imports what they need: a prover never loads learning code."""
    roles: list[Role] = []
    for name in services.config.node.roles:
        if name == "prover":
            from omninode.roles.prover import Prover

            roles.append(Prover(services))
        elif name == "data_owner":
            from omninode.roles.data_owner import DataOwner

            roles.append(DataOwner(services))
        elif name == "model_owner":
            from omninode.roles.model_owner import ModelOwner

            roles.append(ModelOwner(services))
    return roles


async def _serve(services: Services) -> None:
    from omninode.roles.control_verbs import ControlVerbs
    from omninode.roles.session_keys import warn_insecure
    from omninode.roles.sessions import Sessions

    roles = build_roles(services)
    sessions: Sessions = Sessions(services, roles)
    onchain = build_onchain(services, roles)
    verbs = ControlVerbs(services, sessions, roles, onchain)
    async with trio.open_nursery() as nursery:
        services.directory.start()
        nursery.start_soon(services.directory.stay_known)
        nursery.start_soon(sessions.run)
        if onchain is not None:
            nursery.start_soon(onchain.run)
        for role in roles:
            nursery.start_soon(role.run)
        nursery.start_soon(control.serve, services.data_dir / "control.sock", verbs.handle)
        services.events.write(
            "started", roles=services.config.node.roles, address=services.wallet.address.hex(), addrs=services.net.addrs
        )
        warn_insecure(services)
        services.log.info("started", address="0x" + services.wallet.address.hex(), listening=services.net.addrs)
