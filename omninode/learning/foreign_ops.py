"""Operators that an exported model may use: what they compute depends on their arguments alone, and nothing else.

Not here, on purpose: whatever is random, leaves memory uninitialised, reads a value back into Python, reinterprets
strides, writes into its arguments (but for the few below), and recurrent layers, whose kernels trust their arguments.
"""

from __future__ import annotations

_DEFAULT = """
abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d addmm alias amax amin arange argmax avg_pool1d
avg_pool2d avg_pool3d baddbmm batch_norm bmm cat celu chunk clone constant_pad_nd contiguous cos cumsum detach diagonal
dot einsum elu embedding erf exp exp2 expand expand_as expm1 eye flip floor full full_like gelu glu group_norm
hardsigmoid hardswish hardtanh instance_norm layer_norm leaky_relu lift_fresh_copy linear log log10 log1p log2
log_sigmoid logical_and logical_not logical_or matmul max_pool1d max_pool2d max_pool3d maximum mean minimum mish mm mv
native_group_norm native_layer_norm neg new_full new_ones new_zeros ones ones_like outer pad permute pixel_shuffle
pixel_unshuffle prelu reciprocal reflection_pad1d reflection_pad2d relu relu6 repeat replication_pad1d
replication_pad2d reshape rms_norm rsqrt scaled_dot_product_attention scalar_tensor selu sigmoid sign silu sin
softplus softshrink sqrt square squeeze stack sum t tanh tril triu type_as unsqueeze view view_as zeros
zeros_like _to_copy _unsafe_view
"""

_OVERLOADS = """
add.Tensor add.Scalar sub.Tensor sub.Scalar mul.Tensor mul.Scalar div.Tensor div.Scalar rsub.Scalar rsub.Tensor
pow.Tensor_Scalar pow.Tensor_Tensor addcmul.default clamp.default clamp.Tensor clamp_min.default clamp_max.default
where.self where.ScalarOther where.ScalarSelf masked_fill.Scalar masked_fill.Tensor eq.Scalar eq.Tensor ne.Scalar
ne.Tensor lt.Scalar lt.Tensor le.Scalar le.Tensor gt.Scalar gt.Tensor ge.Scalar
ge.Tensor softmax.int log_softmax.int
_softmax.default _log_softmax.default logsumexp.default mean.dim sum.dim_IntList var.dim
var.correction std.dim std.correction max.dim min.dim norm.ScalarOpt_dim linalg_vector_norm.default
flatten.using_ints unflatten.int transpose.int squeeze.dim squeeze.dims select.int slice.Tensor narrow.default
split.Tensor split_with_sizes.default unbind.int movedim.int movedim.intlist mT.default swapaxes.default
expand.default repeat_interleave.self_int roll.default gather.default index_select.default arange.start
arange.start_step conv1d.default conv2d.default conv3d.default conv1d.padding conv2d.padding conv3d.padding
convolution.default conv_transpose1d.default conv_transpose2d.input conv_transpose3d.input
upsample_nearest2d.vec upsample_bilinear2d.vec to.dtype to.dtype_layout sym_size.int
"""

_VIEWS = """
alias.default chunk.default contiguous.default detach.default diagonal.default expand.default expand_as.default
flatten.using_ints mT.default movedim.int movedim.intlist narrow.default permute.default reshape.default select.int
slice.Tensor split.Tensor split_with_sizes.default squeeze.default squeeze.dim squeeze.dims swapaxes.default t.default
transpose.int to.dtype to.dtype_layout type_as.default unbind.int unflatten.int unsqueeze.default view.default
view_as.default
"""

ATEN = frozenset(f"{name}.default" for name in _DEFAULT.split()) | frozenset(_OVERLOADS.split())
"""Names under torch.ops.aten."""

IN_PLACE = {
    f"{name}_.{overload}": f"{name}.{overload}"
    for name, overload in (
        ("relu", "default"), ("relu6", "default"), ("leaky_relu", "default"), ("elu", "default"), ("celu", "default"),
        ("selu", "default"), ("silu", "default"), ("mish", "default"), ("hardtanh", "default"),
        ("hardswish", "default"), ("hardsigmoid", "default"), ("sigmoid", "default"), ("tanh", "default"),
        ("gelu", "default"), ("add", "Tensor"), ("add", "Scalar"), ("sub", "Tensor"), ("mul", "Tensor"),
        ("mul", "Scalar"), ("div", "Tensor"), ("div", "Scalar"), ("clamp", "default"),
    )
}  # fmt: skip
"""Those that write into their first argument, and what is run instead: the new value takes the old one's name."""

IDENTITY = frozenset(
    f"{name}.default" for name in ("dropout", "dropout_", "feature_dropout", "feature_dropout_", "alpha_dropout")
)
"""A model is deterministic here: dropout hands on what it is given, in training too."""

CHECKS = frozenset(
    f"torch.ops.aten.{name}.default"
    for name in ("_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range", "sym_constrain_range_for_size")
)
"""Assertions of the exporter, left out: the shapes are tried before the model is used."""

VIEWS = frozenset(_VIEWS.split())
"""Their result may share memory with their argument: neither may be written into."""

RUNNING_STATISTICS = frozenset({"batch_norm.default", "instance_norm.default"})
"""Allowed where they keep none."""

INTEGERS = frozenset({"add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge"})
"""Names under Python's ``operator``, on sizes."""

DTYPES = {4: "int32", 5: "int64", 7: "float32", 12: "bool"}
"""Codes in the file of the types of numbers that are allowed."""
