"""The kinds of operations that a model is made of: what of them is read, covered by theory and measured, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from freeness.torch.elementwise import is_elementwise
from freeness.torch.taps import TAPPED

Theory = Literal["spectra", "kernels", "none"]


@dataclass(frozen=True)
class Kind:
    """A kind of operation, with the names that torch gives its calls.

    ``theory``: whether the spectra of freeness cover it, only its kernels, or nothing; ``limits``: under which conditions, or
    why not.
    """

    name: str
    calls: tuple[str, ...]
    theory: Theory
    limits: str

    @property
    def measured(self) -> str:
        """How gradients are taken of it."""
        tapped = {call.__name__ for call in TAPPED}
        return "layer by layer" if tapped & set(self.calls) else "by autograd"


@dataclass(frozen=True)
class TracedOperation:
    """One operation of a model: the path and class of its module, torch's name of the call, its kind, and what covers it.

    ``reason`` says why theory does not cover it, or covers it in part.
    """

    path: str
    module: str
    operation: str
    kind: str
    theory: Theory
    reason: str = ""

    @property
    def where(self) -> str:
        """For a message."""
        return f"module {self.path!r} ({self.module})" if self.path else "the forward of the model"

    def __str__(self) -> str:
        return f"{self.operation} in {self.where}: {self.reason}"


ACTIVATION = Kind("activation", (), "spectra", "any function of one number without parameters that are trained")
OTHER = Kind("any other", (), "none", "freeness has no theory of it")
KINDS = (
    Kind(
        "linear layer",
        ("linear",),
        "spectra",
        "on one vector a sample, its weight used once and trained like the others",
    ),
    ACTIVATION,
    Kind(
        "convolution",
        ("conv1d", "conv2d", "conv3d"),
        "spectra",
        "no groups or dilation, one stride; no padding, or half the kernel (zeros or circular)",
    ),
    Kind(
        "transposed convolution",
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        "none",
        "no record of it yet",
    ),
    Kind(
        "layer normalisation",
        ("layer_norm",),
        "spectra",
        "over a whole sample, scale 1 and shift 0, which Θ does not count",
    ),
    Kind("RMS normalisation", ("rms_norm",), "spectra", "over a whole sample, scale 1, which Θ does not count"),
    Kind(
        "group normalisation", ("group_norm",), "spectra", "of one group, scale 1 and shift 0, which Θ does not count"
    ),
    Kind(
        "batch normalisation",
        ("batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "native_batch_norm"),
        "kernels",
        "scale 1 and shift 0; spectra of a record with its batch only, for in eval mode it is a fixed map of each channel",
    ),
    Kind(
        "instance normalisation", ("instance_norm",), "none", "theory normalises over the channels, not each by itself"
    ),
    Kind(
        "average pooling",
        (
            "avg_pool1d",
            "avg_pool2d",
            "avg_pool3d",
            "adaptive_avg_pool1d",
            "adaptive_avg_pool2d",
            "adaptive_avg_pool3d",
            "mean",
        ),
        "spectra",
        "without padding, or over all positions",
    ),
    Kind(
        "max pooling",
        (*(f"{way}max_pool{d}d" for way in ("", "adaptive_") for d in (1, 2, 3)), "amax", "max"),
        "none",
        "a maximum over positions mixes neurons that theory keeps apart",
    ),
    Kind(
        "flatten and reshape",
        ("flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "view_as", "reshape_as", "unflatten"),
        "spectra",
        "one vector a sample, or the shape of the input",
    ),
    Kind(
        "residual sum",
        ("add", "sub", "__add__", "__iadd__"),
        "spectra",
        "of a signal and a branch that starts at it and holds weights",
    ),
    Kind("concatenation", ("cat", "concat", "stack"), "none", "theory follows one width, not parts of several depths"),
    Kind("product of branches", ("mul", "div"), "none", "a product of two signals is no function of one neuron"),
    Kind("dropout", ("dropout", "dropout2d", "feature_dropout", "alpha_dropout"), "spectra", "off in eval mode"),
    Kind(
        "matrix product",
        ("matmul", "einsum", "mm", "bmm", "addmm", "baddbmm", "bilinear", "mv", "dot", "outer"),
        "none",
        "only weights of linear layers and convolutions are read as random matrices",
    ),
    Kind("softmax", ("softmax", "log_softmax", "_softmax"), "none", "it couples all neurons"),
    Kind(
        "attention",
        ("scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention"),
        "none",
        "products of signals with signals",
    ),
    Kind("embedding", ("embedding", "embedding_bag"), "none", "tokens carry no signal that theory could follow"),
    Kind(
        "recurrent layer",
        ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
        "none",
        "one weight at every time step, with gates",
    ),
    Kind(
        "permutation of axes",
        ("transpose", "permute", "movedim", "swapaxes", "t", "numpy_T", "matrix_H", "flip", "roll"),
        "none",
        "it takes positions for channels",
    ),
    Kind(
        "selection",
        (
            "select",
            "slice",
            "index",
            "gather",
            "chunk",
            "split",
            "split_with_sizes",
            "index_select",
            "narrow",
            "unbind",
            "tensor_split",
        ),
        "none",
        "theory follows all neurons of a layer",
    ),
    Kind("padding", ("pad", "constant_pad_nd"), "spectra", "in front of a convolution by half its kernel"),
    Kind("trained scale or shift", ("prelu",), "none", "a parameter or tensor of its own beside the signal"),
    OTHER,
)
"""Every kind, in the order in which the support matrix lists them."""

_BY_CALL = {call: kind for kind in KINDS for call in kind.calls}


def kind_of(call: str) -> Kind:
    """The kind of a call, or that of all others.

    Args:
        call: torch's name without namespace.

    Example:
        >>> kind_of("conv2d").name, kind_of("tanh").name, kind_of("fft_rfft").name
        ('convolution', 'activation', 'any other')
    """
    if call in _BY_CALL:
        return _BY_CALL[call]
    packet = getattr(torch.ops.aten, call, None)
    first = None if packet is None else getattr(packet, packet.overloads()[0])
    return ACTIVATION if first is not None and is_elementwise(first) else OTHER
