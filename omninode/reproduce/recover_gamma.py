"""How a data owner sees through a perturbed model: ``python -m omninode.reproduce.recover_gamma``.

A data owner gets the perturbed weights and r^a, and makes its three vectors as the protocol asks. From these alone it
finds gamma, and with it the outputs of the true model: yhat - alpha gamma r^a. R hides how the layers are scaled, but
not what the network computes. Digits, model without biases.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from omninode.learning import data, perturb
from omninode.learning.data import Samples, Split
from omninode.learning.model_spec import ModelSpec
from omninode.learning.models import initial
from omninode.learning.perturb import Real
from omninode.learning.perturb_torch import outputs_and_sum, squares, three_vectors
from omninode.learning.presets import DIGITS
from omninode.learning.simulate_perturb import biasless, owner_alone
from omninode.learning.training import train

LABELLED = 32
PARTIES = 16


@dataclass(frozen=True, slots=True)
class Recovered:
    """What one data owner finds. published, regressed, derived: accuracy on held-out data of the perturbed model as it
    stands, and with gamma from labelled samples or from the three vectors; true: of the owner's model.

    by_samples, by_vectors: relative errors of these two gammas.
    """

    true: float
    published: float
    regressed: float
    derived: float
    by_samples: float
    by_vectors: float


def from_samples(spec: ModelSpec, hidden: NDArray[np.floating], noise: Real, known: Samples) -> float:
    """gamma by regressing yhat - ybar on alpha r^a over labelled samples. hidden: the published weights (d,)."""
    outputs, alpha = seen(spec, hidden, known)
    errors = outputs - np.eye(spec.classes)[known.y]
    slope = alpha[:, None] * noise
    return float((errors * slope).sum() / (slope * slope).sum())


def seen(spec: ModelSpec, hidden: NDArray[np.floating], samples: Samples) -> tuple[Real, Real]:
    """Outputs yhat (m, classes) and alpha (m,) of the published model."""
    flat = torch.tensor(np.asarray(hidden, dtype=np.float64))
    outputs, alpha = outputs_and_sum(spec, flat, torch.from_numpy(samples.x).double())
    return np.asarray(outputs.numpy(), dtype=np.float64), np.asarray(alpha.numpy(), dtype=np.float64)


def recover(spec: ModelSpec, weights: NDArray[np.float32], split: Split, seed: int) -> Recovered:
    """Publish ``weights`` perturbed and play data owner 0 of ``split``."""
    secrets = perturb.draw(spec, hashlib.sha256(b"recover %d" % seed).digest(), b"demonstration")
    hidden = perturb.perturb(spec, secrets, weights).astype(np.float32)
    own, noise = split.parties[0], np.asarray(secrets.noise)
    by_samples = from_samples(spec, hidden, noise, own.take(np.arange(LABELLED)))
    by_vectors = perturb.find_gamma(spec, three_vectors(spec, hidden, secrets.noise, own))
    outputs, alpha = seen(spec, hidden, split.test)

    def right(gamma: float) -> float:
        guess = (outputs - alpha[:, None] * (gamma * noise)).argmax(axis=1)
        return float((guess == split.test.y).mean())

    return Recovered(
        right(secrets.gamma), right(0.0), right(by_samples), right(by_vectors),
        abs(by_samples / secrets.gamma - 1), abs(by_vectors / secrets.gamma - 1),
    )  # fmt: skip


@cache
def models(seed: int) -> tuple[Split, dict[str, NDArray[np.float32]]]:
    """The split, and the model before the first session and as good as sessions can make it."""
    spec = biasless(DIGITS).model
    split = data.split(data.load_digits(), seed, parties=PARTIES)
    trained = train(spec, initial(spec, seed), split.pooled(), DIGITS.pooled, seed, loss=squares)
    return split, {"alone": owner_alone(DIGITS, split, seed), "trained": trained}


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m omninode.reproduce.recover_gamma", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args(arguments).seeds
    torch.set_num_threads(1)
    table = Table("model", "seed", "published", "(i)", "(ii)", "true", "error (i)", "error (ii)")
    for seed in range(seeds):
        split, known = models(seed)
        for name, weights in known.items():
            found = recover(biasless(DIGITS).model, weights, split, seed)
            shares = (found.published, found.regressed, found.derived, found.true)
            errors = (found.by_samples, found.by_vectors)
            table.add_row(name, str(seed), *(f"{s:.1%}" for s in shares), *(f"{e:.0e}" for e in errors))
    console = Console()
    console.print("Accuracy of the model as data owner 0 sees it, and how far off its gamma is")
    console.print(table)
    console.print(f"(i) regression of yhat - ybar on alpha r^a, {LABELLED} labelled samples;")
    console.print("(ii) regression of grad on sigma in the last layer, from its own three vectors;")
    console.print("true: the owner's own model, before the first session (alone) and on all data (trained).")


if __name__ == "__main__":
    main()
