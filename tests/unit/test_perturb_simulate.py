"""A perturbed model learns, one liar ends that, a data owner sees through it, and the scripts run."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from omninode.learning import data
from omninode.learning import simulate_perturb as sim
from omninode.learning.data import Split
from omninode.learning.presets import DIGITS
from omninode.reproduce import perturb_attack, recover_gamma

pytestmark = pytest.mark.usefixtures("one_thread")

SESSIONS = 12


@pytest.fixture(scope="module")
def split() -> Split:
    return data.split(data.load_digits(), 1, parties=6)


def test_perturbed_training_follows_plain_training(split: Split) -> None:
    hidden = sim.perturbed(DIGITS, split, 1, SESSIONS)
    plain = sim.plain(DIGITS, split, 1, SESSIONS)
    assert hidden[0] == plain[0] and len(hidden) == SESSIONS + 1
    assert max(abs(a - b) for a, b in zip(hidden, plain, strict=True)) < 0.03
    assert np.mean(hidden[-3:]) > hidden[0] + 0.03


@pytest.mark.parametrize("name", sim.LIES)
def test_one_liar_inside_the_honest_length_ends_training(split: Split, name: str) -> None:
    curve = sim.perturbed(DIGITS, split, 1, SESSIONS, sim.LIES[name])
    assert curve[0] > 0.5 and curve[-1] < 0.2


def test_without_perturbation_the_same_liar_is_one_among_many(split: Split) -> None:
    curve = sim.plain(DIGITS, split, 1, SESSIONS, lie=True)
    assert np.mean(curve[-3:]) > curve[0]


@pytest.mark.parametrize("name", sim.LIES)
def test_lies_are_no_longer_than_what_is_honest(name: str) -> None:
    rng = np.random.default_rng(0)
    honest = rng.standard_normal((3, 40)) * [[100.0], [1.0], [0.01]]
    lengths = np.linalg.norm(sim.LIES[name](honest, rng), axis=1)
    assert (lengths <= np.linalg.norm(honest, axis=1) * (1 + 1e-9)).all()
    short = sim.shortened(sim.LIES[name], 0.1)(honest, rng)
    assert (np.linalg.norm(short, axis=1) <= np.linalg.norm(honest, axis=1) * 0.1001).all()


@pytest.mark.parametrize("model", ["alone", "trained"])
def test_gamma_is_found_to_a_thousandth_or_so(model: str) -> None:
    split, known = recover_gamma.models(0)
    found = recover_gamma.recover(sim.biasless(DIGITS).model, known[model], split, 0)
    assert found.by_samples < 0.01 and found.by_vectors < 0.01
    assert abs(found.regressed - found.true) < 0.01 and abs(found.derived - found.true) < 0.01
    assert found.published < found.true - 0.2


def test_the_scripts_print_and_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "attack.png"
    perturb_attack.main(["--sessions", "2", "--seeds", "1", "--out", str(picture)])
    assert "sigma backwards" in capsys.readouterr().out
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", head[16:]) == (1200, 675)
    recover_gamma.main(["--seeds", "1"])
    assert "trained" in capsys.readouterr().out
