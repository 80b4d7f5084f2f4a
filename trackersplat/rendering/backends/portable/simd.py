"""Vectors of 16 float32 as a numba type, so that the kernels say exactly what runs in SIMD registers.

The kernels put the 16 pixels of a tile row, or 16 Gaussians, into one vector. LLVM maps it to one AVX-512 register, two
AVX2 or four SSE/NEON ones. Against loops left to the auto-vectoriser this is faster, compiles sooner and cannot silently
fall back to scalar code. Arithmetic operators, comparisons (giving masks) and the functions below work inside ``njit``
functions only; scalars on one side are broadcast.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

LANES = 16

# For the pieces of kernels: to be inlined, and to be called within them. Without the wrappers for calls from Python they
# compile in two thirds of the time.
inline = njit(forceinline=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
inner = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)

_FLOAT = ir.FloatType()
_INT = ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INTS = ir.VectorType(_INT, LANES)


class Vector(types.Type):
    """16 x float32."""

    def __init__(self) -> None:
        super().__init__(name="f32x16")


class Mask(types.Type):
    """16 x bool."""

    def __init__(self) -> None:
        super().__init__(name="boolx16")


vector = Vector()
mask = Mask()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), LANES))


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [float(value)] * LANES)


def _ints(value: int) -> ir.Constant:
    return ir.Constant(_INTS, [value] * LANES)


def _broadcast(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), _ints(0))


@lower_cast(types.float32, vector)
def _cast_float32(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return _broadcast(builder, value)


@lower_cast(types.float64, vector)
def _cast_float64(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return _broadcast(builder, builder.fptrunc(value, _FLOAT))


@lower_cast(types.Integer, vector)
def _cast_integer(context: Any, builder: Any, fromty: Any, toty: Any, value: Any) -> Any:
    return _broadcast(builder, builder.sitofp(value, _FLOAT))


def _is_vector_call(args: tuple[Any, ...]) -> bool:
    return any(arg is vector for arg in args) and all(arg is vector or isinstance(arg, types.Float | types.Integer) for arg in args)


def _register_binary(op: Any, result: Any, emit: Any) -> None:
    class Template(AbstractTemplate):
        def generic(self, args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
            if len(args) == 2 and _is_vector_call(args):
                return signature(result, vector, vector)
            return None

    infer_global(op)(Template)

    @lower_builtin(op, vector, vector)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, *args)


for _op, _emit in (
    (operator.add, lambda b, x, y: b.fadd(x, y)),
    (operator.sub, lambda b, x, y: b.fsub(x, y)),
    (operator.mul, lambda b, x, y: b.fmul(x, y)),
    (operator.truediv, lambda b, x, y: b.fdiv(x, y)),
):
    _register_binary(_op, vector, _emit)

for _op, _symbol in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _register_binary(_op, mask, lambda b, x, y, symbol=_symbol: b.fcmp_ordered(symbol, x, y))


@infer_global(operator.neg)
class _Negate(AbstractTemplate):
    def generic(self, args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return signature(vector, vector) if args == (vector,) else None


@lower_builtin(operator.neg, vector)
def _lower_negate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.fsub(_constant(-0.0), args[0])


@infer_global(operator.and_)
class _And(AbstractTemplate):
    def generic(self, args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return signature(mask, mask, mask) if args == (mask, mask) else None


@lower_builtin(operator.and_, mask, mask)
def _lower_and(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.and_(*args)


def _call(builder: Any, name: str, *args: Any) -> Any:
    """An LLVM intrinsic on whole vectors, such as llvm.sqrt.v16f32."""
    name = f"{name}.v{LANES}f32"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * len(args)), name)
    return builder.call(function, args)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, "llvm.fmuladd", a, b, c)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    struct = context.make_array(array_type)(context, builder, array)
    return builder.gep(struct.data, [index])


def _check_flat(array: Any) -> None:
    if not (isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.float32):
        raise TypeError(f"vector access needs a flat contiguous float32 array, got {array}")


@intrinsic
def splat(typingctx: Any, x: Any) -> Any:
    """The scalar in every lane."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return vector(vector), codegen


@intrinsic
def lane_numbers(typingctx: Any) -> Any:
    """0, 1, ... 15."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return ir.Constant(_VECTOR, [float(i) for i in range(LANES)])

    return vector(), codegen


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, fused where the machine can."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _fma(builder, *args)

    return vector(vector, vector, vector), codegen


@intrinsic
def smaller(typingctx: Any, a: Any, b: Any) -> Any:
    """Lane-wise minimum (b where a is NaN)."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return vector(vector, vector), codegen


@intrinsic
def larger(typingctx: Any, a: Any, b: Any) -> Any:
    """Lane-wise maximum (b where a is NaN)."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return vector(vector, vector), codegen


@intrinsic
def where(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """a in the lanes where the mask is set, b elsewhere."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return vector(mask, vector, vector), codegen


@intrinsic
def any_lane(typingctx: Any, condition: Any) -> Any:
    """Whether the mask is set in at least one lane."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.zext(builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0)), ir.IntType(1))

    return types.boolean(mask), codegen


@intrinsic
def root(typingctx: Any, a: Any) -> Any:
    """Square root."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "llvm.sqrt", args[0])

    return vector(vector), codegen


@intrinsic
def rounded_down(typingctx: Any, a: Any) -> Any:
    """Floor."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "llvm.floor", args[0])

    return vector(vector), codegen


@intrinsic
def magnitude(typingctx: Any, a: Any) -> Any:
    """Absolute value."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call(builder, "llvm.fabs", args[0])

    return vector(vector), codegen


@intrinsic
def power_of_two(typingctx: Any, a: Any) -> Any:
    """2^a for a in [-126, 126], relative error below 4e-7.

    Split into the nearest integer, which goes to the exponent bits, and a rest in [-1/2, 1/2] for a polynomial of degree 5
    (least maximal relative error, made with the Remez algorithm).
    """
    coefficients = (1.3398874e-3, 9.6184373e-3, 5.5503325e-2, 2.4022648e-1, 6.9314720e-1, 1.0)
    magic = 1.5 * 2**23  # adding it rounds to an integer in the low mantissa bits

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        shifted = builder.fadd(args[0], _constant(magic))
        rest = builder.fsub(args[0], builder.fsub(shifted, _constant(magic)))
        value: Any = _constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = _fma(builder, value, rest, _constant(coefficient))
        exponent = builder.shl(builder.bitcast(shifted, _INTS), _ints(23))
        return builder.bitcast(builder.add(builder.bitcast(value, _INTS), exponent), _VECTOR)

    return vector(vector), codegen


@intrinsic
def binary_logarithm(typingctx: Any, a: Any) -> Any:
    """log2(a) for normal positive a, absolute error below 3e-7 for results near 0 and relative elsewhere.

    Exponent bits plus the series of 2 artanh((m - 1) / (m + 1)) for a mantissa m in [sqrt(1/2), sqrt(2)).
    """
    half_root_bits = 0x3F3504F3  # sqrt(1/2)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        shifted = builder.sub(builder.bitcast(args[0], _INTS), _ints(half_root_bits))
        exponent = builder.sitofp(builder.ashr(shifted, _ints(23)), _VECTOR)
        bits = builder.add(builder.and_(shifted, _ints(0x007FFFFF)), _ints(half_root_bits))
        mantissa = builder.bitcast(bits, _VECTOR)
        s = builder.fdiv(builder.fsub(mantissa, _constant(1.0)), builder.fadd(mantissa, _constant(1.0)))
        square = builder.fmul(s, s)
        value: Any = _constant(1.0 / 9.0)
        for denominator in (7.0, 5.0, 3.0, 1.0):
            value = _fma(builder, value, square, _constant(1.0 / denominator))
        return _fma(builder, builder.fmul(s, _constant(2.0 * 1.4426950408889634)), value, exponent)

    return vector(vector), codegen


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """array[index : index + 16]."""
    _check_flat(array)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=4, typ=_VECTOR)

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """array[index : index + 16] = value."""
    _check_flat(array)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        builder.store(args[2], builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


def _fold(builder: Any, vectors: list[Any]) -> Any:
    """16 or fewer vectors into one: lane i = sum over the lanes of vector i. A tree of shuffles, 4 additions deep."""
    block = LANES
    while block > 1:
        folded = []
        for first in range(0, len(vectors), 2):
            a = vectors[first]
            b = vectors[first + 1] if first + 1 < len(vectors) else _constant(0.0)
            low = [start + i for start in range(0, 2 * LANES, block) for i in range(block // 2)]
            high = [i + block // 2 for i in low]
            picks = [builder.shuffle_vector(a, b, ir.Constant(_INTS, lanes)) for lanes in (low, high)]
            folded.append(builder.fadd(*picks))
        vectors = folded
        block //= 2
    return vectors[0]


@intrinsic
def ten_sums(typingctx: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, j: Any) -> Any:
    """The sums over the lanes of ten vectors in lanes 0-9 of one, the rest 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _fold(builder, list(args))

    return vector(*([vector] * 10)), codegen


@intrinsic
def take_number(typingctx: Any, counter: Any) -> Any:
    """counter[0] before it is raised by one, atomically: threads take their next piece of work with it."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], ir.Constant(ir.IntType(64), 0))
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), codegen


@intrinsic
def float_bits(typingctx: Any, x: Any) -> Any:
    """The bits of a float32 as uint32; for positive floats they sort like the floats."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _INT)

    return types.uint32(types.float32), codegen


@inner
def load_columns(array, index, stride, fields, count, columns):
    """columns[16 f + i] = array[index + i * stride + f]: rows to vectors, the last of ``count`` rows repeated up to 16."""
    for lane in range(count):
        start = index + lane * stride
        for field in range(fields):
            columns[field * LANES + lane] = array[start + field]
    for lane in range(count, LANES):
        for field in range(fields):
            columns[field * LANES + lane] = columns[field * LANES + count - 1]


@inner
def add_columns(columns, array, index, stride, fields, count):
    """array[index + i * stride + f] += columns[16 f + i] for the first ``count`` rows i."""
    for lane in range(count):
        start = index + lane * stride
        for field in range(fields):
            array[start + field] += columns[field * LANES + lane]
