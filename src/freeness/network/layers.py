"""The framework-free record of a network: frozen layers in the order in which the signal meets them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from freeness.errors import InputError, is_real, is_size
from freeness.gaussian import ActivationFunction
from freeness.network.ensembles import Ensemble


@dataclass(frozen=True)
class Dense:
    """h = W x + b with W of shape (fan_out, fan_in); ``bias`` says whether b is trained, sigma_b is its standard deviation."""

    fan_in: int
    fan_out: int
    weights: Ensemble
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        _check_weights(self, (self.fan_in, self.fan_out), self.sigma_b)


@dataclass(frozen=True)
class Convolution:
    """h_p = Σ_τ W_τ x_{p+τ} + b over positions p, in one or more spatial dimensions.

    ``kernel`` holds the taps by dimension. Gaussian: W_τ,ij ~ N(0, σ_w²/(channels_in·taps)) in every tap. Haar:
    delta-orthogonal, σ_w·Q in the centre tap and 0 in the others (Xiao et al. 2018). ``padding``: ``circular`` and ``zeros``
    keep the number of positions at stride 1, ``valid`` pads nothing.
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

    def __post_init__(self) -> None:
        _check_weights(self, (self.channels_in, self.channels_out), self.sigma_b)
        if not (isinstance(self.kernel, tuple) and self.kernel and all(map(is_size, (*self.kernel, self.stride)))):
            raise InputError(
                f"expected a tuple of taps and a stride, whole numbers ≥ 1, got {self.kernel!r} and {self.stride!r}."
            )
        if self.padding not in ("circular", "zeros", "valid"):
            raise InputError(f"expected padding circular, zeros or valid, got {self.padding!r}; choose one.")
        if self.padding != "valid" and any(taps % 2 == 0 for taps in self.kernel):
            raise InputError(f"expected odd numbers of taps with padding, got {self.kernel}; take padding valid.")


@dataclass(frozen=True)
class TokenMixing:
    """h_p = Σ_p' W_pp' x_p' + b_p for each channel alike, W of shape (tokens_out, tokens_in) over positions."""

    tokens_in: int
    tokens_out: int
    weights: Ensemble
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        _check_weights(self, (self.tokens_in, self.tokens_out), self.sigma_b)


@dataclass(frozen=True)
class Activation:
    """x = φ(h), elementwise."""

    function: ActivationFunction
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.function, ActivationFunction):
            raise InputError(
                f"expected an ActivationFunction, got {self.function!r}; take freeness.activation(name) or custom_activation."
            )


@dataclass(frozen=True)
class Normalisation:
    """x ↦ (x - mean)/√(variance + epsilon) at initialisation (γ = 1, β = 0).

    ``layer``: over the features of one sample; ``rms``: the same without the mean; ``batch``: each feature over a large batch
    and all positions. ``positions``: whether ``layer`` and ``rms`` also run over the positions.
    """

    kind: Literal["layer", "rms", "batch"]
    epsilon: float = 1e-5
    positions: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("layer", "rms", "batch"):
            raise InputError(f"expected a normalisation layer, rms or batch, got {self.kind!r}; choose one.")


@dataclass(frozen=True)
class Dropout:
    """In training: entries are 0 with probability ``rate``, the others divided by 1 - rate; independent for each sample."""

    rate: float
    name: str = ""

    def __post_init__(self) -> None:
        if not (is_real(self.rate) and 0 <= self.rate < 1):
            raise InputError(f"expected a dropout rate in [0, 1), got {self.rate!r}; correct it.")


@dataclass(frozen=True)
class Pooling:
    """Averages over windows of ``size`` positions at a distance ``stride``; over all positions where ``size`` is None."""

    size: tuple[int, ...] | None = None
    stride: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        sizes = (1,) if self.size is None else self.size
        steps = () if self.stride is None else (self.stride,)
        if not (isinstance(sizes, tuple) and sizes and all(map(is_size, (*sizes, *steps)))):
            raise InputError(
                f"expected window sizes in a tuple and a stride, whole numbers ≥ 1, got {self.size!r} and {self.stride!r}."
            )


@dataclass(frozen=True)
class Flatten:
    """Channels and positions become one vector."""

    name: str = ""


@dataclass(frozen=True)
class Residual:
    """x ↦ skip·x + scale·branch(x)."""

    branch: tuple[Layer, ...]
    scale: float = 1.0
    skip: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if not any(isinstance(layer, (Dense, Convolution, TokenMixing)) for layer in self.branch):
            raise InputError(
                f"expected a residual branch with a weight layer on its main path, got {len(self.branch)} layers without one; "
                "its output would not be independent of the skip connection."
            )
        if not (is_real(self.scale) and is_real(self.skip)):
            raise InputError(f"expected finite scale and skip, got {self.scale!r} and {self.skip!r}; correct them.")


Layer = Dense | Convolution | TokenMixing | Activation | Normalisation | Dropout | Pooling | Flatten | Residual


@dataclass(frozen=True)
class Network:
    """Layers, first to last. ``depth`` is the number of weight matrices (theory.md §0: L), those of branches included."""

    layers: tuple[Layer, ...]

    @property
    def dense(self) -> tuple[Dense, ...]:
        """The fully connected layers, first to last."""
        return tuple(layer for layer in self.walk() if isinstance(layer, Dense))

    @property
    def depth(self) -> int:
        """L, the number of weight matrices."""
        return sum(isinstance(layer, (Dense, Convolution, TokenMixing)) for layer in self.walk())

    @property
    def widths(self) -> tuple[int, ...]:
        """N_0, …, N_L of a chain of fully connected layers."""
        layers = self.chain()
        dense = [layer for layer in layers if isinstance(layer, Dense)]
        return (dense[0].fan_in, *(layer.fan_out for layer in dense))

    def walk(self) -> Iterator[Layer]:
        """Every layer, a residual one before its branch."""
        yield from _walked(self.layers)

    def chain(self) -> tuple[Dense | Activation, ...]:
        """The layers, if all are fully connected or activations.

        Raises:
            InputError: another layer, which is named.
        """
        kept = tuple(layer for layer in self.layers if isinstance(layer, (Dense, Activation)))
        if len(kept) < len(self.layers):
            other = next(layer for layer in self.layers if not isinstance(layer, (Dense, Activation)))
            raise InputError(
                f"expected a chain of fully connected layers and activations, got {described(other)}; this way of computing "
                "covers no other layers."
            )
        return kept


def _check_weights(layer: Dense | Convolution | TokenMixing, sizes: tuple[int, int], sigma_b: float) -> None:
    if not all(map(is_size, sizes)):
        raise InputError(f"expected sizes ≥ 1 of {described(layer)}, got {sizes}; correct them.")
    if not (is_real(sigma_b) and sigma_b >= 0):
        raise InputError(f"expected sigma_b ≥ 0 of {described(layer)}, got {sigma_b!r}; it is a standard deviation.")


def described(layer: object) -> str:
    """A layer's kind and name, for a message.

    Example:
        >>> described(Dropout(0.1, "drop3"))
        "Dropout 'drop3'"
    """
    name = getattr(layer, "name", "")
    return type(layer).__name__ + (f" {name!r}" if name else "")


def _walked(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        if isinstance(layer, Residual):
            yield from _walked(layer.branch)
