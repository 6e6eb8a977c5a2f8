"""PINE: proving and checking one update, against plain Python and against sharing alone. One thread, CPU seconds.

The plain-Python program is ``protocols.pine.oracle``, as straightforward as the draft's reference code (same circuits,
same parameters; transforms for interpolation, polynomial products as at school), but on plain integers: the reference
code itself, on objects for field elements, took 0.73 s to prove and 0.32 s to verify where the oracle took 0.10 and
0.07, with the same proofs. Run as a module with arguments it is a child that measures the memory of one role.
"""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.fields.prg import expand
from protocols.pine import oracle
from protocols.pine.encode import encode_bits, wr_results, wr_stream
from protocols.pine.params import PineParams, choose
from protocols.pine.proof import Querier, decide, prove
from protocols.pine.sizes import Sizes
from protocols.pine.transcript import joint_rand, query_rand
from protocols.pine.upload import Piece, make_upload, open_upload, verifier_share
from protocols.secagg.upload import commit_upload
from protocols.sharing import robust, shamir
from protocols.wire.context import Context
from tests.benchmarks.memory import grown, start_growth
from tests.benchmarks.rows import AIMS, Row, against_aim, row

CONTEXT, ADDRESS, SEED = Context(31337, b"\x11" * 20, 1), b"o" * 20, b"s" * 32
N, T = 5, 1
POINTS = range(1, N + 1)
EXPONENTS = (3, 4, 5, 6)
FRAC_BITS = (16, 8)
PYTHON_D = 1000
PROVER = 3


def update(dimension: int, bound: int) -> Vector:
    """Gaussian, of norm just below the bound."""
    values = np.random.default_rng(dimension).standard_normal(dimension)
    return gl.from_signed(np.trunc(values * (0.99 * bound / np.linalg.norm(values))).astype(np.int64))


def cpu_s(work: Callable[[], Any], times: int = 5) -> float:
    """Median CPU seconds; the first call does not count."""
    work()
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def made_proof(params: PineParams, x: Vector) -> Vector:
    """All that proving takes: checks, bits, proofs. Sharing and hashing are apart."""
    results = wr_results(params, SEED, x)
    bits = encode_bits(params, x, results)
    return prove(params, x, bits, results, joint_rand(params, SEED), expand(SEED, params.prove_rand_length))


def uploaded(params: PineParams, x: Vector) -> tuple[bytes, list[Piece]]:
    """Everything that a data owner does."""
    return make_upload(params, CONTEXT, ADDRESS, x, N, T, SEED)


def alone(x: Vector) -> int:
    """Sharing and committing the same vector without a proof, as mode grouped does: bytes that travel."""
    dealt = shamir.deal(np.concatenate([x, expand(SEED, 1)]), T, POINTS, SEED)
    return sum(len(piece.plain) + 32 * len(piece.proof) for piece in commit_upload(CONTEXT, ADDRESS, dealt, SEED)[1])


def opening(params: PineParams, root: bytes, piece: Piece, querier: Querier, point: int = PROVER) -> Vector:
    """What one prover does for one data owner before it opens its share of the verifier message."""
    opened = open_upload(params, CONTEXT, ADDRESS, point, N, root, piece.proof, piece.public, piece.plain)
    return verifier_share(querier, opened)


def of_dimension(exponent: int, frac_bits: int) -> list[Row]:
    """Times and bytes at d = 10^exponent with bound 1."""
    d, bound = 10**exponent, 1 << frac_bits
    params, x = choose(d, bound), update(d, bound)
    root, pieces = uploaded(params, x)
    querier = Querier(params, query_rand(params, CONTEXT, SEED))
    shares = [opening(params, root, piece, querier, i) for i, piece in enumerate(pieces, 1)]
    shares[0] = expand(SEED, params.verifier_length)

    def check() -> bool:
        opening(params, root, pieces[PROVER - 1], querier)
        return decide(params, robust.decode(POINTS, shares, T).values)

    if not check():
        raise SystemExit("an honest proof was refused")
    said = {"d": d, "frac_bits": frac_bits, "n": N, "t": T}
    sizes = {"chunk": params.chunk, "chunk_norm": params.chunk_norm, "proofs": f"{params.proofs_norm}+{params.proofs}"}
    sent = sum(len(p.plain) + 32 * len(p.proof) + len(p.public) for p in pieces)
    at = f"d = 10^{exponent}" + ("" if frac_bits == FRAC_BITS[0] else f", frac_bits {frac_bits}")
    rows = [_row(f"PINE upload beyond sharing alone, {at}", said | sizes, 100 * (sent / alone(x) - 1), "%")]
    if frac_bits != FRAC_BITS[0]:
        return rows
    checked = cpu_s(check)
    return [
        _row(f"PINE prove, {at}", said | sizes, cpu_s(lambda: made_proof(params, x)), "s"),
        _row(f"PINE verify at one prover, {at}", said, checked, "s"),
        row(
            f"PINE whole upload (sharing alone), {at}",
            said,
            cpu_s(lambda: uploaded(params, x)),
            cpu_s(lambda: alone(x)),
            "s",
        ),
        *rows,
        row(f"PINE upload, {at}", said, sent / 1e6, None, "MB"),
        row(f"PINE between provers, per data owner and pair, {at}", said, 8 * params.verifier_length / 1e3, None, "kB"),
        *memory(d, bound, at),
    ]


def _row(name: str, params: Row, ours: float, unit: str) -> Row:
    return against_aim(name, params, ours, unit) if name in AIMS else row(name, params, ours, None, unit)


def memory(d: int, bound: int, at: str) -> list[Row]:
    """Peak memory that each role adds, in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for role in ("owner", "prover"):
            command = [sys.executable, "-m", "tests.benchmarks.bench_pine", role, str(d), str(bound), folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=300)
            rows.append(row(f"PINE memory, {role}, {at}", {"vector_MB": 8 * d / 1e6}, float(done.stdout), None, "MB"))
    return rows


def child(role: str, dimension: int, bound: int, folder: Path) -> float:
    """MB by which the peak grows while the role works."""
    path, params = folder / "piece", choose(dimension, bound)
    querier = Querier(params, query_rand(params, CONTEXT, SEED))
    if role == "owner":
        x = update(dimension, bound)
        before = start_growth()
        root, pieces = make_upload(params, CONTEXT, ADDRESS, x, N, T, SEED)
        growth = grown(before)
        path.write_bytes(pickle.dumps((root, pieces[PROVER - 1])))
        return growth
    root, piece = pickle.loads(path.read_bytes())
    before = start_growth()
    opening(params, root, piece, querier)
    return grown(before)


@cache
def _python_case() -> tuple[PineParams, Vector, Vector, list[int]]:
    params = choose(PYTHON_D, 1 << FRAC_BITS[0])
    x = update(PYTHON_D, params.bound)
    results = wr_results(params, SEED, x)
    bits = encode_bits(params, x, results)
    return params, x, bits, [*x.tolist(), *bits.tolist(), *results.tolist()]


def _each(params: PineParams) -> Sequence[tuple[oracle.Circuit, Sizes]]:
    norm, valid = (oracle.norm_equality, params.norm_equality), (oracle.valid, params.valid)
    return [norm] * params.proofs_norm + [valid] * params.proofs


def python_prove() -> list[int]:
    """Checks and all proofs in plain Python; the randomness is that of ``made_proof``."""
    params, x, _, meas = _python_case()
    oracle.wr_results(params, b"".join(piece.tobytes() for piece in wr_stream(params, SEED)), x.tolist())
    rand, joint = expand(SEED, params.prove_rand_length).tolist(), joint_rand(params, SEED).tolist()
    out: list[int] = []
    for circuit, sizes in _each(params):
        out += oracle.prove(params, circuit, sizes, meas, rand[: sizes.arity], joint[: sizes.joint])
        rand, joint = rand[sizes.arity :], joint[sizes.joint :]
    return out


def python_verify(proof: list[int]) -> bool:
    """Checks, all queries and decisions in plain Python."""
    params, x, _, meas = _python_case()
    oracle.wr_results(params, b"".join(piece.tobytes() for piece in wr_stream(params, SEED)), x.tolist())
    joint, points = joint_rand(params, SEED).tolist(), query_rand(params, CONTEXT, SEED).tolist()
    decisions = []
    for (circuit, sizes), point in zip(_each(params), points, strict=True):
        part, proof = proof[: sizes.proof_length], proof[sizes.proof_length :]
        message = oracle.query(params, circuit, sizes, meas, part, joint[: sizes.joint], point)
        decisions.append(oracle.decide(circuit, message))
        joint = joint[sizes.joint :]
    return all(decisions)


def against_python() -> list[Row]:
    """The same work, both ways; the results are equal."""
    params, x, bits, _ = _python_case()
    querier, joint = Querier(params, query_rand(params, CONTEXT, SEED)), joint_rand(params, SEED)
    proof = made_proof(params, x)

    def verify() -> bool:
        message = querier.verifier(x, bits, wr_results(params, SEED, x), proof, joint)
        return decide(params, message)

    if python_prove() != proof.tolist() or not python_verify(proof.tolist()) or not verify():
        raise SystemExit("the two programs do not agree")
    said = {"d": PYTHON_D, "chunk": params.chunk, "chunk_norm": params.chunk_norm}
    slow_prove, slow_verify = cpu_s(python_prove, 3), cpu_s(lambda: python_verify(proof.tolist()), 3)
    return [
        row("PINE prove (plain Python)", said, cpu_s(lambda: made_proof(params, x), 21), slow_prove, "s"),
        row("PINE verify (plain Python)", said, cpu_s(verify, 21), slow_verify, "s"),
    ]


def run() -> list[Row]:
    """Rows for ``make bench``."""
    rows = [entry for bits in FRAC_BITS for exponent in EXPONENTS for entry in of_dimension(exponent, bits)]
    return rows + against_python()


if __name__ == "__main__":
    print(child(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
