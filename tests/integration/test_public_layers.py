"""A session that publishes chosen layers, with real daemons: who can fetch what, and that everybody agrees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trio

from omninode.learning.document import SessionDocument
from omninode.learning.presets import DIGITS
from omninode.learning.public_part import choose
from omninode.net.blobs import fetch_blob
from omninode.net.errors import BlobUnavailable
from omninode.store.blobs import FileBlobStore
from protocols.sessions.view import SessionView
from tests.integration.market_kit import MODEL_OWNER, LocalMarket
from tests.integration.test_session_verbs import omninode
from tests.net_kit import network, running

PART = choose(DIGITS.model, ("fc2", "fc3"))
SENTENCE = "publishes fc2, fc3: 1,840 of 5,090 parameters (36.1 %)"


async def test_only_the_public_part_leaves_the_owner(local_market: LocalMarket, tmp_path: Path) -> None:
    before = local_market.ask(MODEL_OWNER, "status")["model"]["weights"]
    async with local_market.watching() as watch:
        session = await watch.create(mode="verified", payout="contribution", public_layers=["fc3", "fc2"])
        record = await watch.settled(session)
    view = record.view
    assert view.p.dimension == PART.dimension
    after = local_market.ask(MODEL_OWNER, "status")["model"]["weights"]
    owner = FileBlobStore(local_market.node(MODEL_OWNER).directory / "blobs")
    document = SessionDocument.decode(owner.read(view.p.doc_digest))
    old, new = (np.frombuffer(owner.read(bytes.fromhex(digest)), "<f4") for digest in (before, after))
    assert np.array_equal(np.frombuffer(owner.read(document.weights), "<f4"), PART.take(old))
    nothing_private(owner.root / "public", [old, new], np.frombuffer(owner.read(document.initial), "<f4"))
    assert not np.array_equal(PART.take(new), PART.take(old))
    opened = local_market.opened(session)
    assert opened is not None and opened.total.shape == (PART.dimension,)
    fetched = {path.name for path in (local_market.node("data-owner-01").directory / "blobs").glob("*/*")}
    assert {document.digest().hex(), document.weights.hex(), document.initial.hex()} <= fetched
    assert after not in fetched
    await a_stranger(local_market, view, document, bytes.fromhex(after), tmp_path)
    told_to_people(local_market, session)


def nothing_private(folder: Path, weights: list[np.ndarray], initial: np.ndarray) -> None:
    """No served file holds four private numbers in a row, wherever they begin; what never left W0 is public."""
    served = [path.read_bytes() for path in folder.iterdir()]
    assert len(served) >= 3
    private = choose(DIGITS.model, ("fc1",))
    for vector in weights:
        rows, before = private.take(vector)[:3200].reshape(-1, 4), private.take(initial)[:3200].reshape(-1, 4)
        rows = rows[(rows != before).all(axis=1)]
        assert len(rows) > 50
        assert not [row for row in rows for text in served if row.astype("<f4").tobytes() in text]


async def a_stranger(
    market: LocalMarket, view: SessionView, document: SessionDocument, secret: bytes, folder: Path
) -> None:
    """Whoever asks gets the published part and W0, and is told that all weights do not exist."""
    net, mine = network(folder, "stranger"), FileBlobStore(folder / "mine")
    addresses = (await trio.to_thread.run_sync(market.ask, MODEL_OWNER, "status"))["addrs"]
    async with running(net):
        net.book.know(view.p.owner_peer, addresses, 1.0)
        for digest, count in ((document.weights, PART.dimension), (document.initial, PART.total)):
            path = await fetch_blob(net, mine, digest, [view.p.owner_peer], max_size=1 << 20, deadline=30)
            assert path.stat().st_size == 4 * count
        with pytest.raises(BlobUnavailable, match="no-such-blob"):
            await fetch_blob(net, mine, secret, [view.p.owner_peer], max_size=1 << 20, deadline=30)


def told_to_people(market: LocalMarket, session: int) -> None:
    """`session show` says which layers, on nodes that have the document; `session verify` finds nothing wrong."""
    for name in (MODEL_OWNER, "data-owner-01"):
        folder = market.node(name).directory
        assert json.loads(omninode("session", "show", str(session), "--json", "-c", folder))["learning"] == SENTENCE
        checks, _, _ = omninode("session", "verify", str(session), "-c", folder).partition("\n\n")
        assert all(line.startswith(("ok  ", "-   ")) for line in checks.splitlines()), checks
    refused = omninode(
        "session", "create", "--public-layers", "conv2", "-c", market.node(MODEL_OWNER).directory, code=2
    )
    assert "there is no layer 'conv2': the model has the layers fc1, fc2, fc3" in refused
