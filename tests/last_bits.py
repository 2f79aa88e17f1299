"""Other last bits: numpy's and scipy's elementwise functions off by one unit in the last place, as on another processor.

``FREENESS_PERTURB=1 pytest tests/laws`` runs tests with them; other whole numbers perturb otherwise. Kept is what every
processor gets right: 0, ±1, infinities, odd and even functions, and square roots.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
from scipy import special

NUMPY = (
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("arcsin", "arccos", "arctan", "arctan2", "arcsinh", "arccosh", "arctanh", "hypot"),
)
SPECIAL = ("erf", "erfc", "erfinv", "ndtr", "ndtri", "log_ndtr", "expit", "gamma", "gammaln")
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Perturbed:
    """A ufunc whose results are off by at most one unit in the last place, always the same for the same value."""

    def __init__(self, ufunc: np.ufunc, seed: int) -> None:
        self.ufunc, self.seed = ufunc, np.uint64(seed)
        self.__doc__, self.__name__ = ufunc.__doc__, ufunc.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = self.ufunc(*args, **kwargs)
        if not isinstance(found, np.ndarray | np.floating | np.complexfloating):
            return found
        if found.dtype == np.float64:
            moved = self._moved(np.asarray(found))
        elif found.dtype == np.complex128:
            moved = np.empty(found.shape, found.dtype)
            moved.real, moved.imag = self._moved(np.real(found)), self._moved(np.imag(found))
        else:
            return found
        if isinstance(found, np.ndarray):
            found[...] = moved  # also where it is what the caller gave for out
            return found
        return moved[()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ufunc, name)

    def _moved(self, values: np.ndarray) -> np.ndarray:
        size = np.abs(values)
        with np.errstate(over="ignore"):
            bits = (np.ascontiguousarray(size).view(np.uint64) + self.seed) * _ODD >> np.uint64(62)
        bits = bits.reshape(size.shape)
        kept = ~np.isfinite(size) | (size == 0) | (size == 1)
        target = np.where(bits == 0, np.inf, np.where(bits == 1, 0.0, size))
        return np.copysign(np.where(kept, size, np.nextafter(size, target)), values)


def perturb(seed: int) -> None:
    """Put perturbed functions in the place of numpy's and scipy's.

    Args:
        seed: of the directions.
    """
    if importlib.util.find_spec("dask"):
        importlib.import_module("dask.array")  # it wraps numpy's own functions as it is imported, and takes no others
    for module, names in ((np, NUMPY), (special, SPECIAL)):
        for name in names:
            ufunc = getattr(module, name)
            if isinstance(ufunc, np.ufunc):
                setattr(module, name, Perturbed(ufunc, seed))
