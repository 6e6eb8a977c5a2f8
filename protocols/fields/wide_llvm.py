"""The functions of ``wide`` as LLVM instructions. Imported only where a kernel is compiled."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from numba import types
from numba.extending import intrinsic

_ir: Any = import_module("llvmlite.ir")
_I64, _I128, _I256 = (_ir.IntType(bits) for bits in (64, 128, 256))
_types: Any = types
_NUMBER: Any = _types.UniTuple(types.uint64, 4)

Value = Any
"""A value of the program that is being written."""


def _split(builder: Any, tuple_: Value) -> list[Value]:
    return [builder.extract_value(tuple_, i) for i in range(4)]


def _join(builder: Any, limbs: list[Value]) -> Value:
    out = _ir.Constant(_ir.ArrayType(_I64, 4), _ir.Undefined)
    for i, limb in enumerate(limbs):
        out = builder.insert_value(out, limb, i)
    return out


def _wide(builder: Any, limbs: list[Value]) -> Value:
    parts = [
        builder.shl(builder.zext(limb, _I256), _ir.Constant(_I256, 64 * i)) if i else builder.zext(limb, _I256)
        for i, limb in enumerate(limbs)
    ]
    return builder.or_(builder.or_(parts[0], parts[1]), builder.or_(parts[2], parts[3]))


def _limbs(builder: Any, wide: Value) -> list[Value]:
    shifted = [builder.lshr(wide, _ir.Constant(_I256, 64 * i)) if i else wide for i in range(4)]
    return [builder.trunc(part, _I64) for part in shifted]


def _is_negative(builder: Any, wide: Value) -> Value:
    return builder.icmp_signed("<", wide, _ir.Constant(_I256, 0))


def _reduced(builder: Any, below_2p: Value, p: Value) -> Value:
    difference = builder.sub(below_2p, p)
    return builder.select(_is_negative(builder, difference), below_2p, difference)


def _sum(builder: Any, a: Value, b: Value, p: Value) -> Value:
    return _reduced(builder, builder.add(a, b), p)


def _difference(builder: Any, a: Value, b: Value, p: Value) -> Value:
    d = builder.sub(a, b)
    return builder.add(d, builder.select(_is_negative(builder, d), p, _ir.Constant(_I256, 0)))


def _multiply_add(builder: Any, a: Value, b: Value, *terms: Value) -> tuple[Value, Value]:
    """Low and high word of a * b plus at most two words: never more than 128 bits."""
    total = builder.mul(builder.zext(a, _I128), builder.zext(b, _I128))
    for term in terms:
        total = builder.add(total, builder.zext(term, _I128))
    return builder.trunc(total, _I64), builder.trunc(builder.lshr(total, _ir.Constant(_I128, 64)), _I64)


def _product(builder: Any, a: list[Value], b: list[Value], p: list[Value], negative_inverse: Value) -> list[Value]:
    """Word by word: t = (t + a_i b + m p) / 2^64 with m such that it divides. t stays below b + p, so it needs no
    fifth word between the steps and one subtraction at the end."""
    t = [_ir.Constant(_I64, 0)] * 4
    for word in a:
        carry = _ir.Constant(_I64, 0)
        for j in range(4):
            t[j], carry = _multiply_add(builder, word, b[j], t[j], carry)
        top, m = carry, builder.mul(t[0], negative_inverse)
        _, carry = _multiply_add(builder, m, p[0], t[0])
        for j in range(1, 4):
            t[j - 1], carry = _multiply_add(builder, m, p[j], t[j], carry)
        t[3] = builder.add(top, carry)
    return t


_Body = Callable[..., Value]


def _operation(body: _Body, result: Any, arguments: tuple[Any, ...]) -> tuple[Any, Callable[..., Value]]:
    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Value:
        return body(
            builder, *(_split(builder, v) if t is _NUMBER else v for t, v in zip(arguments, values, strict=True))
        )

    return result(*arguments), codegen


def _on_numbers(operation: _Body) -> _Body:
    """From a function of wide values to one of four-word values."""

    def body(builder: Any, *numbers: list[Value]) -> Value:
        return _join(builder, _limbs(builder, operation(builder, *(_wide(builder, n) for n in numbers))))

    return body


def _mul_montgomery(builder: Any, a: list[Value], b: list[Value], p: list[Value], negative_inverse: Value) -> Value:
    t = _wide(builder, _product(builder, a, b, p, negative_inverse))
    return _join(builder, _limbs(builder, _reduced(builder, t, _wide(builder, p))))


def _less(builder: Any, a: list[Value], b: list[Value]) -> Value:
    return builder.icmp_unsigned("<", _wide(builder, a), _wide(builder, b))


@intrinsic
def add_mod(typingctx: Any, a: Any, b: Any, p: Any) -> Any:
    """``wide.add_mod``."""
    return _operation(_on_numbers(_sum), _NUMBER, (_NUMBER,) * 3)


@intrinsic
def sub_mod(typingctx: Any, a: Any, b: Any, p: Any) -> Any:
    """``wide.sub_mod``."""
    return _operation(_on_numbers(_difference), _NUMBER, (_NUMBER,) * 3)


@intrinsic
def mul_montgomery(typingctx: Any, a: Any, b: Any, p: Any, negative_inverse: Any) -> Any:
    """``wide.mul_montgomery``."""
    return _operation(_mul_montgomery, _NUMBER, (_NUMBER,) * 3 + (types.uint64,))


@intrinsic
def add_wide(typingctx: Any, a: Any, b: Any) -> Any:
    """``wide.add_wide``."""
    return _operation(_on_numbers(lambda builder, x, y: builder.add(x, y)), _NUMBER, (_NUMBER,) * 2)


@intrinsic
def sub_wide(typingctx: Any, a: Any, b: Any) -> Any:
    """``wide.sub_wide``."""
    return _operation(_on_numbers(lambda builder, x, y: builder.sub(x, y)), _NUMBER, (_NUMBER,) * 2)


@intrinsic
def less(typingctx: Any, a: Any, b: Any) -> Any:
    """``wide.less``."""
    return _operation(_less, types.boolean, (_NUMBER,) * 2)


@intrinsic
def apart(typingctx: Any) -> Any:
    """``wide.apart``."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Value:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen
