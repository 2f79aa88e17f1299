"""Networks by a few numbers, given where their signals settle: the record, the law."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from freeness.errors import InputError
from freeness.laws import Law
from freeness.meanfield import ActivationSignal, DenseSignal, Signals, derivative_law, second_moment
from freeness.network import Branch, Network, activation, cnn, mlp, resnet
from freeness.numerics import CANCELLED
from freeness.spectra.backward import fisher_law, jacobian_law
from freeness.spectra.predict import predict_fisher, predict_jacobian

_POSITIONS, _TAPS = 6, 3  # of convolutions, on a circle


@dataclass(frozen=True)
class SettledNetwork:
    """A network whose pre-activations have the variance ``q``, and squared gradients the growth ``chi`` a layer.

    That fixes σ_w² = χ/E φ'² and, in chains, σ_b² = q - σ_w² E φ². ``depth``: weight matrices of a chain, blocks of a residual
    network. ``width``: neurons of the hidden layers, or channels. ``ends``: inputs and outputs of a chain; as wide as the
    rest where none are given. ``kind``: "mlp", "resnet", or "cnn", of 3 taps on a circle of 6 positions.
    """

    kind: str
    activation: str
    weights: str
    depth: int
    width: int
    q: float
    chi: float
    ends: tuple[int, int] | None = None

    @property
    def positions(self) -> int:
        """Of a signal."""
        return _POSITIONS if self.kind == "cnn" else 1

    @property
    def qhat(self) -> float:
        """Mean square of the inputs: what the hidden layers see as well, in chains."""
        return self.q if self.kind == "resnet" else second_moment(activation(self.activation), self.q).value

    @property
    def gains(self) -> tuple[float, float]:
        """(σ_w, σ_b).

        Example:
            >>> SettledNetwork("mlp", "relu", "haar", 3, 8, 1.0, 1.0).gains
            (1.4142135623730951, 0.0)
        """
        function = activation(self.activation)
        slope = derivative_law(function, self.q).mean
        weight = self.chi / slope
        if self.kind == "resnet":
            return float(np.sqrt(weight)), 0.0
        bias = self.q - weight * self.qhat
        if bias < -CANCELLED * self.q:
            most = self.q * slope / self.qhat
            raise InputError(
                f"expected a growth χ₁ up to {most:.4g} for {self.activation} at q = {self.q:g}, where the variance stays, got "
                f"{self.chi:g}; lower χ₁, or change q."
            )
        return float(np.sqrt(weight)), float(np.sqrt(max(bias, 0.0)))

    @property
    def network(self) -> Network:
        """The record."""
        sigma_w, sigma_b = self.gains
        if self.kind == "resnet":
            return resnet(self.depth, self.width, Branch(self.activation, self.weights, sigma_w, sigma_b))
        chain = mlp(self.depth, self._widths, self.activation, self.weights, sigma_w=sigma_w, sigma_b=sigma_b)
        return chain if self.kind == "mlp" else cnn(chain, (_TAPS,))

    def law(self, *, fisher: bool) -> Law:
        """Of JJᵀ, or of the Fisher dual Θ.

        Example:
            >>> chain = SettledNetwork("mlp", "hardtanh", "haar", 10, 64, 0.2, 1.0)
            >>> round(chain.law(fisher=False).mean / chain.gains[0] ** 2, 9)  # the last layer has no activation behind it
            1.0
        """
        if self.kind == "mlp":
            law = fisher_law if fisher else jacobian_law
            if self.weights == "haar" and self._widths[0] < self.width:  # which scales the signal of the first layer
                return law(self.network, qhat0=self.qhat)
            return law(self.network, realised=self._settled())
        predict = predict_fisher if fisher else predict_jacobian
        if self.kind == "resnet":
            return predict(self.network, self.qhat).law
        return predict(self.network, samples=self.sample(np.random.default_rng(0))[None]).law

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """A Gaussian input of the right norm: (N,), or (channels, positions)."""
        x = rng.standard_normal((self.width, _POSITIONS) if self.kind == "cnn" else self._widths[0])
        return x * np.sqrt(self.qhat / np.mean(x**2, axis=0))

    def narrower(self, most: int) -> SettledNetwork:
        """One of the same ratios of widths, no wider than that anywhere."""
        share = min(most / max(self._widths), 1.0)
        first, hidden, last = (max(1, int(share * width)) for width in (self._widths[0], self.width, self._widths[-1]))
        return replace(self, width=hidden, ends=(first, last) if self.ends else None)

    @property
    def _widths(self) -> list[int]:
        first, last = self.ends or (self.width, self.width)
        return [first, *[self.width] * (self.depth - 1), last]

    def _settled(self) -> Signals:
        """Every layer sees the same signal, so its law is made once."""
        law = derivative_law(activation(self.activation), self.q)
        first, dense = (DenseSignal(width, width * self.qhat, self.q) for width in (self._widths[0], self.width))
        bent = ActivationSignal(self.q, law)
        return Signals((first, bent) + (dense, bent) * (self.depth - 2) + (dense,) * (self.depth > 1), "mean-field")
