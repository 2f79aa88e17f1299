"""A convolution over positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from freeness.errors import InputError, is_size
from freeness.network.ensembles import Ensemble
from freeness.network.operations.checks import check_weights
from freeness.network.operations.operation import Weights


@dataclass(frozen=True)
class Convolution(Weights):
    """h_p = Σ_τ W_τ x_{p+τ} + b over positions p, in one or more spatial dimensions.

    ``kernel`` holds the taps by dimension. Gaussian: W_τ,ij ~ N(0, σ_w²/(channels_in·taps)) in every tap. Haar:
    delta-orthogonal, σ_w·Q in the centre tap and 0 in the others (Xiao et al. 2018). ``padding``: ``circular`` and ``zeros``
    keep the number of positions at stride 1, ``valid`` pads nothing. ``groups``: of channels, each read by its own share of the
    outputs (depthwise: as many as channels; fan_in is channels_in/groups·taps). ``dilation``: distance of the taps.
    """

    channels_in: int
    channels_out: int
    kernel: tuple[int, ...]
    weights: Ensemble
    padding: Literal["circular", "zeros", "valid"] = "circular"
    stride: int = 1
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""
    groups: int = 1
    dilation: int = 1

    def __post_init__(self) -> None:
        check_weights(self, (self.channels_in, self.channels_out), self.sigma_b)
        if not (isinstance(self.kernel, tuple) and self.kernel and all(map(is_size, (*self.kernel, self.stride)))):
            raise InputError(
                f"expected a tuple of taps and a stride, whole numbers ≥ 1, got {self.kernel!r} and {self.stride!r}."
            )
        if self.padding not in ("circular", "zeros", "valid"):
            raise InputError(f"expected padding circular, zeros or valid, got {self.padding!r}; choose one.")
        if self.padding != "valid" and any(taps % 2 == 0 for taps in self.kernel):
            raise InputError(f"expected odd numbers of taps with padding, got {self.kernel}; take padding valid.")
        if not all(map(is_size, (self.groups, self.dilation))):
            raise InputError(
                f"expected groups and dilation ≥ 1, got {self.groups!r} and {self.dilation!r}; correct them."
            )
        if self.channels_in % self.groups or self.channels_out % self.groups:
            raise InputError(
                f"expected channels that {self.groups} groups divide, got {self.channels_in} and {self.channels_out}."
            )
