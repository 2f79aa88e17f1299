"""An activation between two affine maps, φ̂(x) = a(φ(gx + b) + d): how normalised and shaped activations are made."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Inexact

from freeness.errors import InputError, is_real
from freeness.gaussian.activations import ActivationFunction


@dataclass(frozen=True)
class AffineImage:
    """x ↦ scale·(φ(gain·x + shift) + offset), as numbers, so that a framework can write it down as well."""

    inner: ActivationFunction
    gain: float = 1.0
    shift: float = 0.0
    offset: float = 0.0
    scale: float = 1.0

    def __call__(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """φ̂(x), the same shape as x."""
        return self.scale * (self.inner.function(self.gain * x + self.shift) + self.offset)


@dataclass(frozen=True)
class _Slope:
    """φ̂'."""

    image: AffineImage = field(repr=False)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        image = self.image
        return image.scale * image.gain * image.inner.derivative(image.gain * x + image.shift)


def affine_image(image: AffineImage, name: str = "") -> ActivationFunction:
    """The activation scale·(φ(gain·x + shift) + offset), its kinks and slopes carried along.

    Args:
        image: φ and the four numbers; gain > 0 and scale ≠ 0.
        name: to print; "affine" and that of φ when left out.

    Raises:
        InputError: numbers that are not finite, a gain that is not positive or a scale 0.

    Example:
        >>> from freeness.gaussian import activation
        >>> wide = affine_image(AffineImage(activation("hardtanh"), gain=0.5, scale=2.0))
        >>> wide.kinks, wide.slopes
        ((-2.0, 2.0), (0.0, 1.0, 0.0))
    """
    numbers = (image.gain, image.shift, image.offset, image.scale)
    if not (all(map(is_real, numbers)) and image.gain > 0 and image.scale != 0):
        raise InputError(
            f"expected finite numbers with a gain > 0 and a scale other than 0, got {numbers} (gain, shift, offset, scale)."
        )
    inner = image.inner
    kinks = tuple(float((kink - image.shift) / image.gain) for kink in inner.kinks)
    steep = image.scale * image.gain
    slopes = None if inner.slopes is None else tuple(float(steep * slope) for slope in inner.slopes)
    tails = None if inner.tails is None else (steep * inner.tails[0], steep * inner.tails[1])
    return ActivationFunction(name or f"affine {inner.name}", image, _Slope(image), kinks, slopes, tails=tails)
