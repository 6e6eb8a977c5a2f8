"""Three vectors in one bounded upload: its bounds, the common scaling, and the error that rounding predicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omninode.learning import fixed_point, models, perturb
from omninode.learning import perturb_upload as upload
from omninode.learning.model_spec import ModelSpec
from omninode.learning.perturb_torch import gradient, three_vectors
from protocols.sessions.limits import MOST_FRAC_BITS
from tests.unit.perturb_kit import CNN, MLP, relative, some_samples

pytestmark = pytest.mark.usefixtures("one_thread")

WIDE = ModelSpec("mlp", (40, 30, 20, 5), (40,), bias=False)


def test_the_bound_is_what_verified_sessions_can_prove() -> None:
    from protocols.pine.params import largest_bound

    assert upload.integer_bound(MLP) == largest_bound(3 * MLP.parameters) < 2**31
    assert upload.FRAC_BITS <= MOST_FRAC_BITS
    with pytest.raises(ValueError, match="biases"):
        upload.integer_bound(ModelSpec("mlp", (4, 3), (4,)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), bits=st.integers(1, 40), bound=st.integers(1, 2**31))
def test_packing_is_undone(seed: int, bits: int, bound: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((3, 5)) * 10.0 ** rng.integers(-6, 6, (3, 1))
    bounds = (float(rng.uniform(0.1, 9)), float(rng.uniform(0.1, 9)), float(rng.uniform(0.1, 9)))
    packed = upload.pack(vectors, bounds, bound, bits)
    assert packed.shape == (15,)
    np.testing.assert_allclose(upload.unpack(packed, bounds, bound, bits), vectors, rtol=1e-12)
    share = sum(float(v @ v) / b**2 for v, b in zip(vectors, bounds, strict=True))
    assert np.linalg.norm(packed) == pytest.approx(math.sqrt(share) * bound / 2**bits)


def test_owners_vectors_times_the_factor_just_fit() -> None:
    rng = np.random.default_rng(0)
    own = rng.standard_normal((3, 50)) * [[1000.0], [2.0], [0.1]]
    bounds = upload.choose_bounds(own)
    packed = upload.pack(own * upload.FACTOR, bounds, 1 << 24, 24)
    assert np.linalg.norm(packed) == pytest.approx(1.0)
    for vector, bound in zip(own, bounds, strict=True):
        assert bound == pytest.approx(upload.FACTOR * math.sqrt(3) * np.linalg.norm(vector))


@pytest.mark.parametrize("spoilt", [np.zeros(4), np.full(4, np.nan), np.full(4, np.inf)])
def test_no_bounds_from_nothing(spoilt: np.ndarray) -> None:
    with pytest.raises(ValueError, match="make no bounds"):
        upload.choose_bounds(np.stack([np.ones(4), spoilt, np.ones(4)]))


def test_an_upload_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold 3"):
        upload.unpack(np.zeros(10), (1.0, 1.0, 1.0), 9, 1)


def test_longer_vectors_are_scaled_together_and_still_denoise() -> None:
    secrets, weights = perturb.draw(WIDE, bytes(32), b""), models.initial(WIDE, 0)
    hidden, samples = perturb.perturb(WIDE, secrets, weights), some_samples(WIDE, 40)
    vectors = three_vectors(WIDE, hidden, secrets.noise, samples)
    bounds = upload.choose_bounds(vectors / 4)  # four times as long as the owner's: scaled down by 4 / 1.5
    most = upload.integer_bound(WIDE)
    integers = fixed_point.encode(upload.pack(vectors, bounds, most, 24), most, 24)
    assert fixed_point.norm_squared(integers) <= most**2
    back = upload.unpack(fixed_point.decode_sum(integers, 24, 1), bounds, most, 24)
    wanted = gradient(WIDE, weights, samples) * (upload.FACTOR / 4)
    assert relative(perturb.denoise(WIDE, secrets, back), wanted) < 0.02


@pytest.mark.parametrize("spec", [WIDE, CNN], ids=["mlp", "cnn"])
@pytest.mark.parametrize("fewer_bits", [0, 4])
def test_rounding_costs_what_is_predicted(spec: ModelSpec, fewer_bits: int) -> None:
    """Measured at most 1.5 times and at least half of the prediction, which falls with each bit."""
    count = 4
    for seed in range(4):
        secrets, weights = perturb.draw(spec, bytes([seed]) * 32, b""), models.initial(spec, seed)
        hidden = perturb.perturb(spec, secrets, weights)
        bounds = upload.choose_bounds(three_vectors(spec, hidden, secrets.noise, some_samples(spec, 30, 99)))
        most = upload.integer_bound(spec) >> fewer_bits
        total, wanted = np.zeros(3 * spec.parameters, np.int64), np.zeros(spec.parameters)
        for party in range(count):
            samples = some_samples(spec, 30, party)
            packed = upload.pack(three_vectors(spec, hidden, secrets.noise, samples), bounds, most, 24)
            total += fixed_point.encode(packed, most, 24)
            wanted += gradient(spec, weights, samples) / count
        mean = upload.unpack(fixed_point.decode_sum(total, 24, count), bounds, most, 24)
        error = float(np.linalg.norm(perturb.denoise(spec, secrets, mean) - wanted))
        predicted = upload.rounding_error(spec, secrets, bounds, most, count)
        assert predicted / 2 < error < 1.5 * predicted
        assert error < 0.05 * 2**fewer_bits * np.linalg.norm(wanted)
