"""Kinds of operations that have no record: they are measured, and named."""

from __future__ import annotations

from freeness.torch.operations.kind import Kind

TRANSPOSED = Kind(
    "transposed convolution",
    ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "none",
    "no record of it yet",
)
RECURRENT = Kind(
    "recurrent layer",
    ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    "none",
    "one weight at every time step, with gates",
)
OTHER = Kind("any other", (), "none", "freeness has no theory of it")


READERS = (
    (TRANSPOSED, None),
    (RECURRENT, None),
    (OTHER, None),
)
