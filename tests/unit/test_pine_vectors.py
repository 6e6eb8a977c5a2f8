"""PINE against the vectors of the draft's reference code, good and bad.

The vectors over Field128 are for another field and are not read here; those over Field64, which is Goldilocks, all are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Crypto.Hash import TurboSHAKE128

from protocols.fields import goldilocks as gl
from protocols.fields.goldilocks import Vector
from protocols.pine.circuits import Measurement, NormEquality, Valid
from protocols.pine.encode import encode_bits, wr_results_of
from protocols.pine.flp import Query
from protocols.pine.params import PineParams
from protocols.pine.proof import Querier, decide, prove
from protocols.sharing import robust, shamir

NAMES = ("f64_d4", "f64_d10", "f64_d10_wr75_50", "f64_d100", "f64_d1000")
CIRCUITS = {"norm_equality": NormEquality, "valid": Valid}
Json = dict[str, Any]


def elements(text: str) -> Vector:
    return gl.from_bytes(bytes.fromhex(text))


@lru_cache(maxsize=8)
def load(path: Path) -> Json:
    content: Json = json.loads(path.read_text())
    return content


@pytest.fixture(params=NAMES)
def file(request: pytest.FixtureRequest, vectors: Path) -> Json:
    return load(vectors / "pine" / "open" / f"{request.param}.json")


def params_of(file: Json) -> PineParams:
    p = file["params"]
    return PineParams(
        p["dimension"], p["l2_norm_bound"], p["chunk_length"], p["chunk_length_norm_equality"],
        p["num_proofs"], p["num_proofs_norm_equality"], p["num_wr_checks"], p["num_wr_successes"],
    )  # fmt: skip


def streams(file: Json, params: PineParams) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """The draft's stream: another one than ours, cut in the same way."""
    joint = file["wr_joint_rand"]
    dst = bytes.fromhex(joint["dst"])
    xof = TurboSHAKE128.new(domain=1)
    xof.update(bytes([len(dst)]) + dst + bytes.fromhex(joint["seed"]) + bytes.fromhex(joint["binder"]))
    for _ in range(params.checks):
        yield np.frombuffer(xof.read(-(-params.dimension // 4)), dtype=np.uint8).reshape(1, -1)


def base(file: Json, case: Json) -> Json:
    found: Json = next(c for c in file["cases"] if c["name"] == case.get("base_case", case["name"]))
    return found


def measurement(file: Json, case: Json) -> Vector:
    parts = base(file, case)["meas"]
    bits = gl.vector(map(int, parts["bits"]))
    whole = np.concatenate([elements(parts["gradient"]), bits, elements(parts["wr_check_results"])])
    for index, element in case.get("meas_patch", []):
        whole[index] = elements(element)[0]
    assert hashlib.sha256(gl.to_bytes(whole)).hexdigest() == case["meas_sha256"]
    return whole


def split(params: PineParams, whole: Vector) -> tuple[Vector, Vector, Vector]:
    first, second = params.dimension, params.client_meas_len
    return whole[:first], whole[first:second], whole[second:]


def proofs(file: Json, case: Json, circuit: str) -> Iterator[tuple[Json, Vector, Vector, int]]:
    """Per proof: its entry, joint randomness, proof, query point; from the base case where the entry lacks them."""
    for entry, default in zip(case[circuit], base(file, case)[circuit], strict=True):
        merged = {**default, **entry}
        proof = elements(merged["proof"])
        for index, element in entry.get("proof_patch", []):
            proof[index] = elements(element)[0]
        yield entry, elements(merged.get("joint_rand", "")), proof, int(elements(merged["query_rand"])[0])


def test_lengths(file: Json) -> None:
    params, derived = params_of(file), file["derived"]
    assert params.norm_bound == int(derived["sq_norm_bound"])
    assert params.norm_bits == derived["num_bits_for_sq_norm"]
    assert params.wr_bound == int(derived["wr_check_bound"])
    assert params.wr_bits == derived["num_bits_for_wr_check"]
    assert params.bits_length == derived["bit_checked_len"]
    assert (params.meas_len, params.client_meas_len) == (derived["meas_len"], derived["client_meas_len"])
    for name in CIRCUITS:
        sizes, wanted = getattr(params, name), derived[name]
        assert (sizes.arity, sizes.calls, sizes.points) == (
            wanted["gadget_arity"], wanted["gadget_calls"], wanted["P"]
        )  # fmt: skip
        assert (sizes.joint, sizes.arity) == (wanted["joint_rand_len"], wanted["prove_rand_len"])
        assert (sizes.proof_length, sizes.verifier_length) == (wanted["proof_len"], wanted["verifier_len"])


def test_stream_and_encoding(file: Json) -> None:
    params = params_of(file)
    assert b"".join(s.tobytes() for s in streams(file, params)).hex() == file["wr_joint_rand"]["stream"]
    for case in file["cases"]:
        if "meas" not in case:
            continue
        x, bits, results = split(params, measurement(file, case))
        assert np.array_equal(wr_results_of(params, streams(file, params), x), results), case["name"]
        if case["kind"] == "honest":
            assert np.array_equal(encode_bits(params, x, results), bits), case["name"]


def test_every_proof_verifier_message_and_decision(file: Json) -> None:
    params, seen = params_of(file), set()
    for case in file["cases"]:
        meas = Measurement(params, *split(params, measurement(file, case)))
        for name, circuit in ((name, kind(params)) for name, kind in CIRCUITS.items()):
            for entry, joint, proof, point in proofs(file, case, name):
                seen.add(case["kind"])
                if case["kind"] == "honest":
                    assert np.array_equal(circuit.prove(meas, proof[: circuit.sizes.arity], joint), proof)
                if entry["verifier"] is None:
                    with pytest.raises(ValueError, match="roots of unity"):
                        Query(circuit.sizes, point)
                    continue
                verifier = circuit.query(Query(circuit.sizes, point), meas, proof, joint)
                assert np.array_equal(verifier, elements(entry["verifier"])), (case["name"], name)
                assert circuit.decide(verifier) is entry["decide"], (case["name"], name)
    wanted = {"honest", "norm_over_bound", "wraparound", "flipped_bit", "wr_bit", "tampered_proof", "degenerate_query"}
    assert seen == wanted


def whole_case(file: Json, case: Json) -> tuple[Vector, Vector, Vector]:
    """All proofs, joint randomness and query points of a case, in our order."""
    found = [entry for name in CIRCUITS for entry in proofs(file, case, name)]
    joint = np.concatenate([joint for _, joint, _, _ in found])
    return np.concatenate([proof for _, _, proof, _ in found]), joint, gl.vector(point for *_, point in found)


def test_all_proofs_together(file: Json) -> None:
    params = params_of(file)
    for case in file["cases"]:
        x, bits, results = split(params, measurement(file, case))
        proof, joint, points = whole_case(file, case)
        if case["decide"] is None:
            with pytest.raises(ValueError, match="roots of unity"):
                Querier(params, points)
            continue
        if case["kind"] == "honest":
            rand = np.concatenate([p[: len(p) - _coefficients(params, name)] for name, p in _each(file, case)])
            assert np.array_equal(prove(params, x, bits, results, joint, rand), proof)
        verifier = Querier(params, points).verifier(x, bits, results, proof, joint)
        assert decide(params, verifier) is case["decide"], case["name"]


def _each(file: Json, case: Json) -> Iterator[tuple[str, Vector]]:
    for name in CIRCUITS:
        for _, _, proof, _ in proofs(file, case, name):
            yield name, proof


def _coefficients(params: PineParams, name: str) -> int:
    coefficients: int = getattr(params, name).coefficients
    return coefficients


def polynomial_shares(secret: Vector, coefficients: list[str], points: list[int]) -> list[Vector]:
    terms = [secret, *map(elements, coefficients)]
    return [gl.lincomb([x**k for k in range(len(terms))], terms) for x in points]


def test_shamir_shares_of_verifier_messages(file: Json) -> None:
    params, section = params_of(file), file["shamir"]
    points, degree = section["points"], section["t"]
    case = next(c for c in file["cases"] if c["name"] == section["case"])
    client = measurement(file, case)[: params.client_meas_len]
    meas_shares = polynomial_shares(client, section["meas_coeffs"], points)
    for party, share in zip(section["parties"], meas_shares, strict=True):
        assert hashlib.sha256(gl.to_bytes(share)).hexdigest() == party["meas_share_sha256"]
        results = wr_results_of(params, streams(file, params), share[: params.dimension])
        assert np.array_equal(results, elements(party["wr_check_results_share"]))
    for number, entry in enumerate(section["proofs"]):
        name, index = entry["circuit"], entry["index"]
        circuit = CIRCUITS[name](params)
        _, joint, proof, point = list(proofs(file, case, name))[index]
        shares = []
        proof_shares = polynomial_shares(proof, entry["proof_coeffs"], points)
        for party, mine, own in zip(section["parties"], meas_shares, proof_shares, strict=True):
            results = elements(party["wr_check_results_share"])
            meas = Measurement(params, mine[: params.dimension], mine[params.dimension :], results)
            shares.append(circuit.query(Query(circuit.sizes, point), meas, own, joint))
            assert hashlib.sha256(gl.to_bytes(own)).hexdigest() == party["proofs"][number]["proof_share_sha256"]
            assert np.array_equal(shares[-1], elements(party["proofs"][number]["verifier_share"]))
        decoded = robust.decode(points, shares, degree)
        wanted = section["reconstructed"][number]
        assert np.array_equal(decoded.values, elements(wanted["verifier"]))
        assert circuit.decide(decoded.values) is wanted["decide"] is True


def test_one_bad_share_is_corrected_and_fools_only_plain_interpolation(file: Json) -> None:
    params, section = params_of(file), file["shamir"]
    bad = section["one_bad_share"]
    circuit = CIRCUITS[bad["circuit"]](params)
    number = next(
        i for i, e in enumerate(section["proofs"]) if (e["circuit"], e["index"]) == (bad["circuit"], bad["index"])
    )
    shares = {
        party["point"]: elements(party["proofs"][number]["verifier_share"]) for party in section["parties"]
    } | {bad["bad_point"]: elements(bad["verifier_share"])}  # fmt: skip
    points = sorted(shares)
    decoded = robust.decode(points, [shares[x] for x in points], section["t"])
    assert bad["correctable"]
    assert np.array_equal(decoded.values, elements(bad["expected_verifier"]))
    assert decoded.error_points == (bad["bad_point"],)
    assert circuit.decide(decoded.values) is bad["expected_decide"]
    naive = shamir.combine(bad["naive_subset"], [shares[x] for x in bad["naive_subset"]])
    assert np.array_equal(naive, elements(bad["naive_verifier"]))
    assert circuit.decide(naive) is bad["naive_decide"]
