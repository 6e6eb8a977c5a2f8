"""Weighs what a graph makes, while it is tried without numbers (torch's "meta" device)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from omninode.learning.foreign_archive import ForeignError

MAX_VALUE = 1 << 27
MAX_VALUES = 1 << 30
MAX_PIECES = 4096


class Scales(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """No tensor may have more than 2**27 numbers, all together 2**30.

    Every kernel is seen, those that an operator calls on its way too: matmul writes out what it broadcasts. A view
    takes nothing by itself; what a kernel gets of a stretched one (stride 0) may be written out, and is weighed.
    Raises ForeignError. What a kernel takes for itself alone is not seen: ``memory.bounded`` bounds that.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room = MAX_VALUES

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Weigh one kernel."""
        given = kwargs or {}
        if _pieces(func.__name__, args) > MAX_PIECES:
            raise ForeignError(f"{func.__name__} makes more than {MAX_PIECES} tensors of one")
        operands = list(_tensors([args, list(given.values())]))
        if not operands and given.get("device") is None:
            raise ForeignError(f"{func.__name__} does not say where its tensor is to be made")
        made = func(*args, **given)
        results = list(_tensors(made))
        for result in results:
            if result.numel() > MAX_VALUE:
                raise ForeignError(f"{func.__name__} makes {result.numel()} numbers, more than {MAX_VALUE}")
        if not any(value.alias_info for value in func._schema.returns):
            self._room -= sum(each.numel() for each in (*results, *filter(_is_stretched, operands)))
        if self._room < 0:
            raise ForeignError(f"the exported model needs more than {MAX_VALUES} numbers at once")
        return made


def _pieces(name: str, args: Any) -> int:
    """How many tensors a kernel is going to make of its first argument, where that depends on a size."""
    if name == "unbind.int":
        return int(args[0].shape[args[1] if len(args) > 1 else 0])
    if name == "split.Tensor":
        return int(args[0].shape[args[2] if len(args) > 2 else 0]) // max(int(args[1]), 1)
    return 1


def _tensors(made: Any) -> Iterator[Tensor]:
    if isinstance(made, Tensor):
        yield made
    elif isinstance(made, list | tuple):
        for item in made:
            yield from _tensors(item)


def _is_stretched(value: Tensor) -> bool:
    return any(size > 1 and stride == 0 for size, stride in zip(value.shape, value.stride(), strict=True))
