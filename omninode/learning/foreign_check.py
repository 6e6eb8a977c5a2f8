"""The graph of an exported model, checked line by line against a list of allowed operators. No torch here.

What comes out is plain data that ``foreign_graph`` runs: no name in it was resolved, no expression evaluated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omninode.learning.foreign_archive import Archive, ForeignError, mapping, sequence, text
from omninode.learning.foreign_steps import CHANGES, Reader, Step
from omninode.learning.model_spec import MAX_FEATURES

MAX_STEPS = 10_000
_SCHEMA = 8


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported model.

    layout: names and shapes of its parameters.  places: name in the graph of each, in the same order.  initial: their
    numbers, float32.  constants: by name in the graph.  sample, output: names in the graph.  shape: of one sample.
    integers: samples are int64, as of an embedding.
    """

    layout: tuple[tuple[str, tuple[int, ...]], ...]
    places: tuple[str, ...]
    initial: NDArray[np.float32] = field(repr=False)
    constants: dict[str, NDArray[Any]] = field(repr=False)
    sample: str
    shape: tuple[int, ...]
    integers: bool
    steps: tuple[Step, ...] = field(repr=False)
    output: str


def read(data: bytes) -> Exported:
    """Check the bytes of a ``torch.export`` file. Raises ForeignError with a sentence for whatever is not allowed."""
    archive = Archive(data)
    try:
        return _read(archive)
    except ForeignError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise ForeignError(f"the model file's graph is not as torch.export writes it ({error!r:.80})") from None


def _read(archive: Archive) -> Exported:
    program = archive.json("models/model.json")
    if mapping("schema_version", program["schema_version"]).get("major") != _SCHEMA:
        raise ForeignError("the model file was written by another version of torch: export it with torch 2.13")
    module = mapping("graph_module", program["graph_module"])
    graph, signature = mapping("graph", module["graph"]), mapping("signature", module["signature"])
    tensors = {**archive.tensors("constants"), **archive.tensors("weights")}
    reader = Reader(tensors)
    for spec in sequence("input_specs", signature["input_specs"]):
        reader.take_input(spec)
    if len(reader.samples) != 1 or not reader.layout:
        raise ForeignError("the exported model must have parameters, and take one tensor: its samples")
    (sample,) = reader.samples
    shape, integers = _sample(mapping("sample", mapping("tensor_values", graph["tensor_values"])[sample]))
    nodes = sequence("nodes", graph["nodes"])
    if len(nodes) > MAX_STEPS:
        raise ForeignError(f"the exported model has {len(nodes)} steps, more than {MAX_STEPS}")
    steps = tuple(step for node in nodes for step in reader.take_step(mapping("node", node)))
    output = reader.known[_output(sequence("output_specs", signature["output_specs"]))]
    flat = np.concatenate([tensors[name].reshape(-1) for name, _ in reader.layout])
    return Exported(tuple(reader.layout), tuple(reader.places), flat, reader.constants, sample, shape, integers, steps,
                    output)  # fmt: skip


def _sample(meta: dict[str, Any]) -> tuple[tuple[int, ...], bool]:
    """Shape of one sample, and whether it is made of integers."""
    kind = meta["dtype"]
    if kind not in (5, 7):
        raise ForeignError("the exported model's samples must be float32 or int64")
    first, *rest = sequence("sizes", meta["sizes"])
    if "as_expr" not in first:
        raise ForeignError(
            "the model was exported for one batch size: give torch.export.export "
            'dynamic_shapes=({0: torch.export.Dim("batch")},)'
        )
    sizes = tuple(size.get("as_int") for size in rest)
    if not all(type(size) is int and size > 0 for size in sizes):
        raise ForeignError("only the first dimension of the samples may be dynamic")
    if math.prod(sizes) > MAX_FEATURES:
        raise ForeignError(f"one sample of the exported model has more than {MAX_FEATURES} numbers")
    return sizes, kind == 5


def _output(specs: list[Any]) -> str:
    if any("user_output" not in mapping("output", spec) for spec in specs):
        raise ForeignError(CHANGES)
    if len(specs) != 1:
        raise ForeignError("the exported model must return one tensor: the logits")
    return text(specs[0]["user_output"]["arg"]["as_tensor"]["name"])
