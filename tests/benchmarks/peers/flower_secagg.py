"""Flower's SecAgg+ on one machine, crypto only: its own functions in the order in which its client mod and its server
workflow call them (flwr/client/mod/secure_aggregation/secaggplus_mod.py, flwr/server/workflow/secure_aggregation).

Runs in an environment that has ``flwr`` and nothing of ours: python flower_secagg.py '{"n": 100, ...}'. Every kind of
work is timed on a sample and multiplied by how often a round does it; with "check" a whole small round is run and its
sum compared. Left out on both sides: quantisation, serialisation of vectors, transport. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import decrypt, encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen,
    share_keys_plaintext_concat,
    share_keys_plaintext_separate,
)
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)

MOD_RANGE = 1 << 32  # the workflow's default

Arrays = list[Any]


class Client:
    """State of one client, named as in SecAggPlusState."""

    def __init__(self, nid: int) -> None:
        self.nid = nid
        self.rd_seed_shares: dict[int, bytes] = {}
        self.sk1_shares: dict[int, bytes] = {}
        self.ss2: dict[int, bytes] = {}

    def setup(self) -> None:
        """Two key pairs."""
        sk1, pk1 = generate_key_pairs()
        sk2, pk2 = generate_key_pairs()
        self.sk1, self.pk1 = private_key_to_bytes(sk1), public_key_to_bytes(pk1)
        self.sk2, self.pk2 = private_key_to_bytes(sk2), public_key_to_bytes(pk2)

    def share_keys(self, keys: dict[int, tuple[bytes, bytes]], threshold: int) -> dict[int, bytes]:
        """Shares of both secrets, encrypted to each neighbour."""
        self.keys = keys
        self.rd_seed = os.urandom(32)
        b_shares = create_shares(self.rd_seed, threshold, len(keys))
        sk1_shares = create_shares(self.sk1, threshold, len(keys))
        ciphertexts = {}
        for idx, (nid, (_, pk2)) in enumerate(keys.items()):
            if nid == self.nid:
                self.rd_seed_shares[nid], self.sk1_shares[nid] = b_shares[idx], sk1_shares[idx]
                continue
            self.ss2[nid] = generate_shared_key(bytes_to_private_key(self.sk2), bytes_to_public_key(pk2))
            plaintext = share_keys_plaintext_concat(self.nid, nid, b_shares[idx], sk1_shares[idx])
            ciphertexts[nid] = encrypt(self.ss2[nid], plaintext)
        return ciphertexts

    def receive(self, ciphertexts: dict[int, bytes]) -> None:
        """Decrypt the neighbours' shares."""
        for src, ciphertext in ciphertexts.items():
            _, _, self.rd_seed_shares[src], self.sk1_shares[src] = share_keys_plaintext_separate(
                decrypt(self.ss2[src], ciphertext)
            )

    def mask(self, vector: Arrays, others: list[int]) -> Arrays:
        """The private mask and one mask per neighbour."""
        shapes = [a.shape for a in vector]
        vector = parameters_addition(vector, pseudo_rand_gen(self.rd_seed, MOD_RANGE, shapes))
        for nid in others:
            shared = generate_shared_key(bytes_to_private_key(self.sk1), bytes_to_public_key(self.keys[nid][0]))
            pairwise = pseudo_rand_gen(shared, MOD_RANGE, shapes)
            combine = parameters_addition if self.nid > nid else parameters_subtraction
            vector = combine(vector, pairwise)
        return parameters_mod(vector, MOD_RANGE)


def unmask_private(total: Arrays, secret: bytes) -> Arrays:
    """The server takes off the private mask of an active client."""
    return parameters_subtraction(total, pseudo_rand_gen(secret, MOD_RANGE, [a.shape for a in total]))


def unmask_pair(total: Arrays, nid: int, secret: bytes, neighbour: int, pk1: bytes) -> Arrays:
    """The server takes off one mask between a dropped client and a neighbour."""
    shared = generate_shared_key(bytes_to_private_key(secret), bytes_to_public_key(pk1))
    pairwise = pseudo_rand_gen(shared, MOD_RANGE, [a.shape for a in total])
    return (parameters_addition if nid > neighbour else parameters_subtraction)(total, pairwise)


def threshold_of(n: int) -> int:
    """The same as ours."""
    return n // 2 + 1


def check(n: int, dropped: int, d: int) -> bool:
    """A whole round; whether the server ends with the sum of the active clients' vectors."""
    clients, updates, keys, boxes = make(n, n, d)
    active, dead = list(range(n - dropped)), list(range(n - dropped, n))
    for k in range(n):
        clients[k].receive({src: boxes[src][k] for src in range(n) if src != k})
    total = [np.zeros(d, dtype=np.int64)]
    for k in active:
        others = [other for other in range(n) if other != k]
        total = parameters_addition(total, clients[k].mask([updates[k]], others))
    total = parameters_mod(total, MOD_RANGE)
    for k in active:
        total = unmask_private(total, combine_shares([clients[a].rd_seed_shares[k] for a in active]))
    for k in dead:
        secret = combine_shares([clients[a].sk1_shares[k] for a in active])
        for other in range(n):
            if other != k:
                total = unmask_pair(total, k, secret, other, keys[other][0])
    total = parameters_mod(total, MOD_RANGE)
    return bool(np.array_equal(total[0], sum(updates[k] for k in active) % MOD_RANGE))


def make(
    n: int, sharing: int, d: int
) -> tuple[list[Client], list[Any], dict[int, tuple[bytes, bytes]], dict[int, Any]]:
    """n clients after setup, of which the first ``sharing`` have shared their keys."""
    clients = [Client(k) for k in range(n)]
    for client in clients:
        client.setup()
    keys = {k: (client.pk1, client.pk2) for k, client in enumerate(clients)}
    boxes = {k: clients[k].share_keys(keys, threshold_of(n)) for k in range(sharing)}
    rng = np.random.default_rng(0)
    updates = [rng.integers(0, 1 << 22, d, dtype=np.int64) for _ in range(sharing)]
    return clients, updates, keys, boxes


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(n: int, d: int, dropouts: list[int], clients: int, pairs: int) -> dict[str, Any]:
    """Totals per dropout. clients: how many are run in full.  pairs: masks timed per client and at the server."""
    setup = cpu(lambda: [Client(0).setup() for _ in range(clients)]) / clients
    made, _, keys, _ = make(n, 0, d)
    boxes: dict[int, Any] = {}

    def share() -> None:
        boxes.update({k: made[k].share_keys(keys, threshold_of(n)) for k in range(clients)})

    sharing = cpu(share) / clients
    made[0].ss2.update({k: made[k].ss2[0] for k in range(1, clients)})
    inbox = {k: boxes[k][0] for k in range(1, clients)}
    receiving = cpu(lambda: made[0].receive(inbox)) / len(inbox) * (n - 1)
    vector = [np.random.default_rng(0).integers(0, 1 << 22, d, dtype=np.int64)]
    some = list(range(1, pairs + 1))
    fixed = cpu(lambda: made[0].mask(vector, []))
    masking = fixed + (cpu(lambda: made[0].mask(vector, some)) - fixed) / pairs * (n - 1)
    adding = cpu(lambda: [parameters_addition(vector, vector) for _ in range(pairs)]) / pairs
    private = cpu(lambda: [unmask_private(vector, made[0].rd_seed) for _ in range(pairs)]) / pairs
    pair = cpu(lambda: [unmask_pair(vector, 0, made[0].sk1, k, keys[k][0]) for k in some]) / pairs
    b_shares = create_shares(made[0].rd_seed, threshold_of(n), n)
    sk1_shares = create_shares(made[0].sk1, threshold_of(n), n)
    rows = []
    for dropped in dropouts:
        active = n - dropped
        seed = cpu(lambda a=active: combine_shares(b_shares[:a]))
        key = cpu(lambda a=active: combine_shares(sk1_shares[:a])) if dropped else 0.0
        client = n * (setup + sharing + receiving) + active * masking
        server = active * (adding + seed + private) + dropped * (key + (n - 1) * pair)
        row = {"dropped": dropped, "clients": client, "collector": server, "masking": active * masking}
        rows.append({**row, "total": client + server})
    parts = {"setup": setup, "sharing": sharing, "receiving": receiving, "masking": masking, "pair": pair}
    return {"rows": rows, "parts": parts}


def main() -> None:
    """Arguments as one JSON object."""
    asked = json.loads(sys.argv[1])
    if asked.pop("check", False):
        print(json.dumps({"ok": check(**asked)}))
    else:
        print(json.dumps(measure(**asked)))


if __name__ == "__main__":
    main()
