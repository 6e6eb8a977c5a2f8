"""What a graph may take while it runs: weighed without numbers first, by every kernel it calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from omninode.learning.foreign_archive import ForeignError
from omninode.learning.foreign_check import Exported
from omninode.learning.foreign_graph import Graph
from omninode.learning.foreign_steps import Ref, Step

pytestmark = pytest.mark.usefixtures("one_thread")

LOGITS = Step("linear.default", {"input": Ref("x"), "weight": Ref("w")}, ("y",))


def graph(*steps: Step, output: str = "y", **constants: Any) -> Graph:
    """A model of one linear layer, 4 to 2, and what else is to be done."""
    weights = np.zeros(8, np.float32)
    return Graph(
        Exported((("w", (2, 4)),), ("w",), weights, constants, "x", (4,), False, (LOGITS, *steps), output)
    )  # fmt: skip


def refused(says: str, *steps: Step, **constants: Any) -> None:
    with pytest.raises(ForeignError, match=says):
        graph(*steps, **constants)


def test_a_graph_that_stays_small() -> None:
    net = graph(Step("add.Tensor", {"self": Ref("y"), "other": Ref("c")}, ("z",)), output="z",
                c=np.array([1, 2], np.float32))  # fmt: skip
    assert net.classes == 2 and net(torch.zeros(8), torch.ones(3, 4)).tolist() == [[1, 2]] * 3


def test_what_an_operator_makes_on_its_way() -> None:
    """The result is small, what matmul and einsum write out of their broadcast operands is not."""
    a, b = np.zeros((256, 1, 4, 1024), np.float32), np.zeros((1, 256, 1024, 1), np.float32)
    refused("more than", Step("matmul.default", {"self": Ref("a"), "other": Ref("b")}, ("m",)), a=a, b=b)
    a, b = a[:, 0, :, :], np.zeros((1024, 64), np.float32)
    refused("more than", Step("einsum.default", {"equation": "nij,jk->nijk", "tensors": [Ref("a"), Ref("b")]}, ("m",)),
            Step("sum.default", {"self": Ref("m")}, ("t",)), a=np.repeat(a, 4, 0), b=b)  # fmt: skip


def test_attention_of_many_tokens() -> None:
    many = np.zeros((1, 1, 1 << 14, 1), np.float32)
    step = Step("scaled_dot_product_attention.default", {n: Ref("q") for n in ("query", "key", "value")}, ("m",))
    refused("more than", step, q=many)


def test_views_take_nothing_until_they_are_written_out() -> None:
    stretch = Step("expand.default", {"self": Ref("c"), "size": [1 << 26]}, ("e",))
    one = np.zeros(1, np.float32)
    assert graph(*(Step("expand.default", stretch.arguments, (f"e{i}",)) for i in range(40)), c=one).classes == 2
    sums = [Step("sum.default", {"self": Ref("e")}, (f"t{i}",)) for i in range(17)]
    refused("at once", stretch, *sums, c=one)
    refused("more than", Step("expand.default", {"self": Ref("c"), "size": [1 << 28]}, ("e",)), c=one)


def test_all_together() -> None:
    made = {"size": [1 << 27], "fill_value": 0.0, "device": True}
    refused("at once", *(Step("full.default", made, (f"f{i}",)) for i in range(9)))


@pytest.mark.parametrize(
    "step",
    [
        Step("unbind.int", {"self": Ref("c"), "dim": 0}, ("u",), listed=True),
        Step("split.Tensor", {"self": Ref("c"), "split_size": 1}, ("u",), listed=True),
        Step("chunk.default", {"self": Ref("c"), "chunks": 1 << 20}, ("u",), listed=True),
    ],
)
def test_many_tensors_of_one(step: Step) -> None:
    refused("tensors of one", step, c=np.zeros(1 << 20, np.float32))


def test_tensors_that_would_be_made_while_it_is_only_tried() -> None:
    for step in (
        Step("full.default", {"size": [1 << 30], "fill_value": 0.0}, ("f",)),
        Step("arange.default", {"end": 1 << 30}, ("f",)),
        Step("zeros.default", {"size": [1 << 30]}, ("f",)),
    ):
        refused("where its tensor is to be made", step)


@pytest.mark.parametrize("operator", ["+floordiv", "+mod"])
def test_arithmetic_that_fails(operator: str) -> None:
    refused("does not run", Step(operator, {"a": 1, "b": 0}, ("q",)))


def test_operands_that_are_no_integers() -> None:
    for a in ("A", [1], 1.5, True, Ref("w")):
        refused("no number|not run", Step("+mul", {"a": a, "b": 1 << 29}, ("q",)))
        refused("no number|not run", Step("+mul", {"a": 2, "b": a}, ("q",)))


def test_a_batch_that_is_too_large_is_refused_before_it_runs() -> None:
    """Small for the batches that are tried at first; 2**28 numbers for 128 samples."""
    net = graph(Step("repeat.default", {"self": Ref("y"), "repeats": [1, 1 << 20]}, ("r",)))
    with pytest.raises(ForeignError, match="more than 134217728"):
        net(torch.zeros(8), torch.zeros(128, 4))
