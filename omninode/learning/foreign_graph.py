"""Runs the graph of an exported model, operator by operator (torch). Imported only inside the worker and by tests."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from omninode.learning.foreign_archive import ForeignError
from omninode.learning.foreign_check import Exported
from omninode.learning.foreign_scales import Scales
from omninode.learning.foreign_steps import Dtype, Ref, Step

_INTEGER_BITS = 63
_TRIED = (1, 2, 5)


class Graph:
    """An exported model as a ``models.Net``.

    Every batch size is tried first without numbers (torch's "meta" device), see ``foreign_scales``.
    Raises ForeignError where the graph does not give (batch, classes).  classes: labels.
    """

    def __init__(self, exported: Exported) -> None:
        self._exported = exported
        self._steps = [(_resolve(step), step) for step in exported.steps]
        self._lengths = [math.prod(shape) for _, shape in exported.layout]
        self._constants = {name: torch.from_numpy(array) for name, array in exported.constants.items()}
        self._tried: set[int] = set()
        self.classes = 0
        for batch in _TRIED:
            self._try(batch)

    def __call__(self, flat: Tensor, samples: Tensor) -> Tensor:
        """Logits (m, classes) of samples (m, features) with all weights flat (d,)."""
        if len(samples) not in self._tried:
            self._try(len(samples))
        return self._run(flat, samples)

    def _try(self, batch: int) -> None:
        flat = torch.empty(sum(self._lengths), device="meta")
        samples = torch.empty(batch, math.prod(self._exported.shape), device="meta")
        try:
            with Scales():
                logits = self._run(flat, samples)
        except ForeignError:
            raise
        except Exception as error:  # operators and their shape inference raise anything, down to AssertionError
            said = (str(error) or type(error).__name__).splitlines()[0]
            raise ForeignError(f"the exported model does not run on {batch} samples: {said:.200}") from None
        if logits.dtype != torch.float32 or logits.dim() != 2 or len(logits) != batch or logits.shape[1] < 2:
            shape = tuple(logits.shape)
            raise ForeignError(f"of {batch} samples the exported model makes {shape}, expected ({batch}, classes)")
        if self.classes not in (0, logits.shape[1]):
            raise ForeignError("the exported model's number of classes depends on the number of samples")
        self.classes = logits.shape[1]
        self._tried.add(batch)

    def _run(self, flat: Tensor, samples: Tensor) -> Tensor:
        exported = self._exported
        parts = torch.split(flat, self._lengths)
        values: dict[str, Any] = {
            place: part.view(shape)
            for place, part, (_, shape) in zip(exported.places, parts, exported.layout, strict=True)
        }
        values.update((name, constant.to(flat.device)) for name, constant in self._constants.items())
        shaped = samples.reshape(len(samples), *exported.shape)
        values[exported.sample] = shaped.long() if exported.integers else shaped
        for function, step in self._steps:
            made = function(**_filled(step.arguments, values, flat))
            results: Sequence[Any] = made if step.listed or len(step.outputs) > 1 else (made,)
            if len(results) != len(step.outputs):
                raise ForeignError(
                    f"{step.operator} makes {len(results)} values, the graph expects {len(step.outputs)}"
                )
            values.update((name, result) for name, result in zip(step.outputs, results, strict=True) if name)
        logits: Tensor = values[exported.output]
        return logits


def _resolve(step: Step) -> Any:
    """The function of a checked step."""
    if step.operator.startswith("+"):
        return lambda a, b=None: _integer(getattr(operator, step.operator[1:]), a, b)
    packet, _, overload = step.operator.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


def _integer(function: Any, a: Any, b: Any) -> int:
    if type(a) is not int or type(b) not in (int, type(None)):  # a text or a list times a size would be a large one
        raise ForeignError("the exported model computes with a size that is no number")
    made = function(a) if b is None else function(a, b)
    if not isinstance(made, int) or made.bit_length() > _INTEGER_BITS:
        raise ForeignError("the exported model computes with a size that is no 63-bit integer")
    return made


def _filled(arguments: dict[str, Any], values: dict[str, Any], flat: Tensor) -> dict[str, Any]:
    made = {name: _value(value, values) for name, value in arguments.items()}
    return {**made, "device": flat.device} if "device" in made else made


def _value(value: Any, values: dict[str, Any]) -> Any:
    match value:
        case Ref(name):
            return values[name]
        case Dtype(name):
            return getattr(torch, name)
        case list():
            return [_value(item, values) for item in value]
    return value
