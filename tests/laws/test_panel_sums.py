"""Transforms of laws of f(h), h Gaussian, right up to the real axis, against integrals and changes of variables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr

from freeness.gaussian import activation, derivative_law

NAMES = [
    "tanh",
    "erf",
    "sigmoid",
    "sin",
    "softplus",
    "gelu",
    "silu",
    "mish",
    "elu",
    "softsign",
    "hardswish",
    "tanhshrink",
]


def drawn(name, seed):
    """An activation's law of D² at a random q, f, its kinks, and q."""
    found = activation(name)
    q = float(np.random.default_rng(seed).choice([0.003, 0.1, 0.6, 1.7, 4.0]))
    return derivative_law(found, q), lambda h: found.derivative(np.asarray(h, dtype=float)) ** 2, found.kinks, q


def roots(f, x, q, kinks):
    """All h with f(h) = x."""
    reach = 8 * np.sqrt(q)
    h = np.unique(
        np.concatenate([np.linspace(-reach, reach, 20_001), np.array(kinks) - 1e-13, np.array(kinks) + 1e-13])
    )
    value = f(h) - x
    crossed = np.flatnonzero((value[1:] * value[:-1] < 0) & (np.diff(h) > 1e-12))
    return np.array([brentq(lambda t: float(f(t)) - x, h[i], h[i + 1], xtol=1e-15, rtol=1e-15) for i in crossed])


def inside(law, f, q, rng, count):
    """Values of f at Gaussian points, off ends and atoms."""
    x = f(np.sqrt(q) * rng.normal(size=20 * count))
    low, high = law.hull
    places = np.array([low, high, *(atom.position for atom in law.atoms)])
    apart = np.abs(x[:, None] - places).min(axis=1) > 1e-3 * (high - low)
    return x[apart & (x > 0)][:count]


def weight(h, q):
    return np.exp(-(h**2) / (2 * q)) / np.sqrt(2 * np.pi * q)


@pytest.mark.parametrize("name", NAMES)
def test_on_the_axis_the_imaginary_parts_are_density_and_distribution(name):
    law, f, kinks, q = drawn(name, 1)
    for x in inside(law, f, q, np.random.default_rng(2), 8):
        places = roots(f, x, q, kinks)
        step = 1e-4 * np.sqrt(q)
        offsets = np.array([-2, -1, 1, 2])
        slopes = f(places[:, None] + step * offsets) @ np.array([1, -8, 8, -1]) / (12 * step)
        if min((abs(p - k) for p in places for k in kinks), default=1.0) < 3 * step:
            continue  # the differences reach across a kink
        exact = float((weight(places, q) / np.abs(slopes)).sum())
        z = np.array([complex(x)])
        assert -law.transforms(z)[0][0][0].imag / np.pi == pytest.approx(exact, rel=1e-7)
        cuts = np.concatenate([[-40 * np.sqrt(q)], np.sort([*places, *kinks]), [40 * np.sqrt(q)]])
        below = f((cuts[1:] + cuts[:-1]) / 2) <= x
        masses = np.diff(ndtr(cuts / np.sqrt(q)))
        assert 1 - law.potential(z)[0].imag / np.pi == pytest.approx(float(masses[below].sum()), abs=1e-9)


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "softplus", "silu", "elu", "hardswish"])
def test_on_the_axis_the_real_part_is_the_principal_value(name):
    law, f, kinks, q = drawn(name, 3)
    for x in inside(law, f, q, np.random.default_rng(4), 3):
        places = np.sort(roots(f, x, q, kinks))
        marks = np.sort([*places, *(k for k in kinks if abs(k) < 9 * np.sqrt(q)), -9 * np.sqrt(q), 9 * np.sqrt(q)])
        exact = 0.0
        for low, high in pairwise(marks):
            middle = (low + high) / 2  # from the middle of one interval to that of the next, around each root
            ends = [(low, middle)] * (low not in places) + [(middle, high)] * (high not in places)
            exact += sum(
                quad(lambda h, x=x: weight(h, q) / (x - float(f(h))), *end, limit=200, epsabs=1e-13)[0] for end in ends
            )
        for place in places:
            i = int(np.searchsorted(marks, place))
            low, high = (marks[i - 1] + place) / 2, (marks[i + 1] + place) / 2

            def smooth(h, place=place, x=x):
                h = h if abs(h - place) > 1e-9 * np.sqrt(q) else place + 1e-9 * np.sqrt(q)
                return weight(h, q) * (h - place) / (x - float(f(h)))

            exact += quad(smooth, low, high, weight="cauchy", wvar=place, limit=200, epsabs=1e-12)[0]
        found = law.transforms(np.array([complex(x)]))
        scale = float(np.abs(found[0][0][0]))
        assert found[0][0][0].real == pytest.approx(exact, abs=3e-8 * scale)
        assert found[1][0][0] == pytest.approx(x * found[0][0][0] - 1, abs=1e-12 * (1 + x * scale))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings(
    "ignore::scipy.integrate.IntegrationWarning"
)  # it has all digits that double precision leaves
def test_off_the_axis_they_are_the_integrals(name):
    law, f, kinks, q = drawn(name, 5)
    rng = np.random.default_rng(6)
    for x in inside(law, f, q, rng, 2):
        z = complex(x, x * 10.0 ** rng.uniform(-6, 0))
        near = np.sqrt(q) * np.append(0.0, np.geomspace(1e-7, 0.1, 7))
        marks = (roots(f, x, q, kinks)[:, None] + np.concatenate([-near, near])).ravel()
        marks = np.concatenate(
            [marks, [k for k in kinks if abs(k) < 9 * np.sqrt(q)], 9 * np.sqrt(q) * np.array([-1, 0, 1])]
        )
        marks = np.unique(marks)

        def integral(term, marks=marks):
            return sum(
                quad(term, low, high, limit=400, epsabs=1e-12, epsrel=1e-11, complex_func=True)[0]
                for low, high in pairwise(marks)
                if high > low
            )

        g = integral(lambda h, z=z: weight(h, q) / (z - float(f(h))))
        (own, slope), (_, rate) = law.transforms(np.array([z]))
        assert own[0] == pytest.approx(g, rel=1e-7)
        assert law.potential(np.array([z]))[0] == pytest.approx(
            integral(lambda h, z=z: weight(h, q) * np.log(z - float(f(h)))), abs=1e-8
        )
        step = 1e-4 * np.abs(x - np.array([0.0, *law.hull, *(f(k) for k in kinks)])).min()
        (beside, _), (near, _) = law.transforms(z + step * np.array([1, -1]))
        assert slope[0] == pytest.approx((beside[0] - beside[1]) / (2 * step), rel=1e-6)
        assert rate[0] == pytest.approx((near[0] - near[1]) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_real_points_outside_are_the_same_by_crowding_nodes_and_by_poles(name):
    law, _, _, _ = drawn(name, 7)
    low, high = law.hull
    z = high + (high - low) * np.geomspace(1e-11, 10.0, 40)
    ways = (np.array(law.transforms(points)).reshape(4, -1) for points in (z, z + 0j))
    for real, complex_ in zip(*ways, strict=True):
        bound = 1e-9 + 1e-13 * high / (z - high)
        assert np.all(np.abs(real - complex_) <= bound * np.abs(real))
