"""A perturbed session from secrets to gradient through the machines of mode verified: proofs, provers, opened sum."""

from __future__ import annotations

import numpy as np
import pytest

from omninode.learning import fixed_point, models, perturb
from omninode.learning import perturb_upload as upload
from omninode.learning.perturb_torch import gradient, three_vectors
from protocols.sessions.limits import check_params
from protocols.sessions.params import Mode
from tests.simulation.session import Session
from tests.unit.perturb_kit import MLP, some_samples

pytestmark = pytest.mark.usefixtures("one_thread")

COUNT = 4


def test_the_opened_sum_gives_the_mean_gradient() -> None:
    secrets, weights = perturb.draw(MLP, bytes(32), b"x"), models.initial(MLP, 0)
    hidden, bound = perturb.perturb(MLP, secrets, weights), upload.integer_bound(MLP)
    bounds = upload.choose_bounds(three_vectors(MLP, hidden, secrets.noise, some_samples(MLP, 30, 99)))
    session = Session(
        3, mode=Mode.VERIFIED, groups=COUNT, dimension=3 * MLP.parameters, bound=bound, frac_bits=upload.FRAC_BITS
    )
    check_params(session.params)
    wanted = np.zeros(MLP.parameters)
    for party, node in enumerate(session.owners):
        samples = some_samples(MLP, 30, party)
        packed = upload.pack(three_vectors(MLP, hidden, secrets.noise, samples), bounds, bound, upload.FRAC_BITS)
        node.update = fixed_point.encode(packed, bound, upload.FRAC_BITS)
        wanted += gradient(MLP, weights, samples) / COUNT
    opened = session.run().assert_exact()
    mean = fixed_point.decode_sum(opened.total, upload.FRAC_BITS, opened.count)
    found = perturb.denoise(MLP, secrets, upload.unpack(mean, bounds, bound, upload.FRAC_BITS))
    assert opened.count == COUNT
    assert np.linalg.norm(found - wanted) < 1.5 * upload.rounding_error(MLP, secrets, bounds, bound, COUNT)
    assert np.linalg.norm(found - wanted) < 0.02 * np.linalg.norm(wanted)
