"""The steps of an exported graph, checked one by one against a list of allowed operators. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omninode.learning.foreign_archive import ForeignError, mapping, sequence, text
from omninode.learning.foreign_ops import ATEN, CHECKS, DTYPES, IDENTITY, IN_PLACE, INTEGERS, RUNNING_STATISTICS, VIEWS

CHANGES = "the model changes its own buffers as it runs, as batch norm does: use GroupNorm"
_MAX_LIST = 4096
_ATEN = "torch.ops.aten."
_OPERATOR = "_operator."
_LEFT_OUT = ("layout", "memory_format", "pin_memory", "non_blocking", "cudnn_enabled", "cudnn_enable")
_INFINITE = {"Infinity": float("inf"), "-Infinity": float("-inf")}


@dataclass(frozen=True, slots=True)
class Ref:
    """A value made before, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtype:
    """A type of numbers, as torch calls it."""

    name: str


@dataclass(frozen=True, slots=True)
class Step:
    """One operator: "conv2d.default" of torch.ops.aten, or "+add" of Python's integers.

    arguments: by name; numbers, texts, Ref, Dtype, or lists of them.  "device" stands for wherever the weights are.
    outputs: names, None where nobody looks.  listed: the operator returns one list of tensors.
    """

    operator: str
    arguments: dict[str, Any]
    outputs: tuple[str | None, ...]
    listed: bool = False


class Reader:
    """Reads inputs and steps. known: each name of the graph, and the name under which its value is kept."""

    def __init__(self, tensors: dict[str, NDArray[Any]]) -> None:
        self._tensors = tensors
        self.layout: list[tuple[str, tuple[int, ...]]] = []
        self.places: list[str] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.samples: list[str] = []
        self.known: dict[str, str] = {}
        self._fixed: set[str] = set()  # may not be written into: inputs, and what shares memory with another value

    def take_input(self, raw: Any) -> None:
        """One input: a parameter, a constant, or the samples."""
        (kind, spec), *more = mapping("input", raw).items()
        if more or kind not in ("parameter", "buffer", "tensor_constant", "user_input"):
            raise ForeignError(f"the exported model has an input of the kind {kind!r:.40}")
        arg = spec["arg"]
        name = self._define(text(arg["as_tensor"]["name"] if kind == "user_input" else arg["name"]))
        self._fixed.add(name)
        if kind == "user_input":
            self.samples.append(name)
            return
        source = text(spec[f"{kind}_name"])
        if source not in self._tensors:
            raise ForeignError(f"the model file lacks the tensor {source!r:.60}")
        tensor = self._tensors[source]
        if kind != "parameter":
            self.constants[name] = tensor
            return
        if tensor.dtype != np.float32:
            raise ForeignError(f"the parameter {source!r:.60} is {tensor.dtype}: parameters must be float32")
        self.layout.append((source, tensor.shape))
        self.places.append(name)

    def take_step(self, node: dict[str, Any]) -> Iterator[Step]:
        """One line of the graph, unless it computes nothing."""
        target = text(node["target"])
        if target in CHECKS:
            return
        if target.startswith(_OPERATOR) and target.removeprefix(_OPERATOR) in INTEGERS:
            operator = "+" + target.removeprefix(_OPERATOR)
        else:
            operator = target.removeprefix(_ATEN)
            if not (target.startswith(_ATEN) and (operator in ATEN or operator in IN_PLACE or operator in IDENTITY)):
                raise ForeignError(f"the exported model uses the operator {target!r:.100}, which is not allowed")
        arguments = dict(self._arguments(operator, node["inputs"]))
        if operator.startswith("+") and not all(type(value) in (int, Ref) for value in arguments.values()):
            raise ForeignError(f"{target} works on sizes, and the exported model gives it something else")
        names, listed = _outputs(sequence("outputs", node["outputs"]))
        if operator in IN_PLACE or operator in IDENTITY:
            yield from self._renamed(operator, arguments, names)
            return
        made = tuple(name if name is None else self._define(name) for name in names)
        if operator in VIEWS:
            self._fixed.update(name for name in made if name)
            self._fixed.update(value.name for value in arguments.values() if isinstance(value, Ref))
        yield Step(operator, arguments, made, listed)

    def _renamed(self, operator: str, arguments: dict[str, Any], names: list[str | None]) -> Iterator[Step]:
        """A step whose result takes the place of its first argument."""
        first = arguments.get("self", arguments.get("input"))
        if not isinstance(first, Ref) or len(names) != 1 or names[0] is None:
            raise ForeignError(f"{operator} has no tensor to work on")
        if operator in IN_PLACE:
            if first.name in self.constants:
                raise ForeignError(CHANGES)
            if first.name in self._fixed:
                raise ForeignError(f"{operator} writes into a value that something else shares: leave out inplace=True")
            yield Step(IN_PLACE[operator], arguments, (first.name,))
        self._define(names[0], first.name)

    def _arguments(self, operator: str, raw: Any) -> Iterator[tuple[str, Any]]:
        for entry in sequence("inputs", raw):
            name = text(mapping("input", entry)["name"])
            ((kind, value),) = mapping("argument", entry["arg"]).items()
            if operator in RUNNING_STATISTICS and name.startswith("running_") and kind != "as_none":
                raise ForeignError(
                    "the model has batch norm, whose running statistics are no parameters: use GroupNorm"
                )
            if name == "dropout_p":  # attention: deterministic, as dropout is
                continue
            if name == "device":
                yield name, True
            elif name not in _LEFT_OUT:
                yield name, self._value(kind, value)

    def _value(self, kind: str, value: Any) -> Any:
        match kind:
            case "as_none":
                return None
            case "as_tensor":
                return self._ref(value["name"])
            case "as_sym_int":
                return self._ref(value["as_name"]) if "as_name" in value else number(value["as_int"])
            case "as_int" | "as_float" | "as_bool":
                return number(value)
            case "as_string":
                return text(value)
            case "as_scalar_type":
                if value not in DTYPES:
                    raise ForeignError("the exported model computes in other numbers than float32, int32, int64, bool")
                return Dtype(DTYPES[value])
            case "as_ints" | "as_floats" | "as_bools" | "as_sym_ints" | "as_tensors" | "as_optional_tensors":
                return [self._item(kind, item) for item in _short(value)]
        raise ForeignError(f"the exported model has an argument of the kind {kind!r:.40}")

    def _item(self, kind: str, item: Any) -> Any:
        if kind == "as_optional_tensors":
            return None if "as_none" in item else self._ref(item["as_tensor"]["name"])
        return self._value(kind[:-1], item)

    def _ref(self, name: Any) -> Ref:
        if text(name) not in self.known:
            raise ForeignError(f"the exported model uses {name!r:.60} before it is made")
        return Ref(self.known[name])

    def _define(self, name: str, kept: str | None = None) -> str:
        if name in self.known:
            raise ForeignError(f"the exported model makes {name!r:.60} twice")
        self.known[name] = kept or name
        return self.known[name]


def number(raw: Any) -> int | float | bool:
    """A number as the file writes it. Raises ForeignError for what is none, or needs more than 63 bits."""
    if isinstance(raw, str) and raw in _INFINITE:
        return _INFINITE[raw]
    if type(raw) not in (int, float, bool) or (type(raw) is int and not -(1 << 63) <= raw < 1 << 63):
        raise ForeignError(f"the exported model has {raw!r:.40} where a number should be")
    value: int | float | bool = raw
    return value


def _short(raw: Any) -> list[Any]:
    if len(sequence("argument", raw)) > _MAX_LIST:
        raise ForeignError(f"the exported model has a list of {len(raw)} arguments")
    return list(raw)


def _outputs(raw: list[Any]) -> tuple[list[str | None], bool]:
    """Names of what a step makes, and whether they come as one list."""
    if len(raw) == 1 and "as_tensors" in mapping("output", raw[0]):
        return [text(item["name"]) for item in _short(raw[0]["as_tensors"])], True
    names: list[str | None] = []
    for item in _short(raw):
        ((kind, value),) = mapping("output", item).items()
        if kind not in ("as_tensor", "as_sym_int", "as_sym_bool", "as_none"):
            raise ForeignError(f"the exported model has an output of the kind {kind!r:.40}")
        names.append(None if kind == "as_none" else text(value["name" if kind == "as_tensor" else "as_name"]))
    return names, False
