"""The engine beside rmtool and finitefree on the jobs of exact laws: seconds and errors of all in one run.

Run by `make bench`. A job is a law built from nothing and its density at the midpoints of 1000 cells of the exact support.
finitefree knows the roots of a polynomial of degree ``DEGREE`` instead; its error is their Kolmogorov distance to the law.
Times are of the processor, so that a busy machine does not blur them.
"""

import time
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from freeness import Atoms, MarchenkoPastur, Projection, Semicircle, free_difference, free_product, free_sum

POINTS, DEGREE = 1000, 60
RIGHT = 1e-6  # a peer with a larger error gives no right answer and is no measure of speed
ATOMS = np.sort(np.random.default_rng(20).normal(0, 2, 20)).round(2)  # generic, and short rationals for rmtool


def cubic(polynomial_at):
    """The density as -Im/π of the only root in the lower half-plane."""

    def density(x):
        roots = np.array([min(np.roots(polynomial_at(v)), key=np.imag) for v in x])
        for _ in range(3):
            p = np.array([polynomial_at(v) for v in x]).T
            roots = roots - np.polyval(p, roots) / np.polyval([3 * p[0], 2 * p[1], p[2]], roots)
        return -roots.imag / np.pi

    return density


def fuss_catalan(s):
    """The density of MP(1)^{⊠s} at x by bisection in the angle."""

    def density(x):
        low, high = np.zeros(x.shape), np.full(x.shape, np.pi / (s + 1))
        for _ in range(80):
            phi = (low + high) / 2
            above = (s + 1) * np.log(np.sin((s + 1) * phi)) - np.log(np.sin(phi)) - s * np.log(
                np.sin(s * phi)
            ) > np.log(x)
            low, high = np.where(above, phi, low), np.where(above, high, phi)
        return np.sin(phi) ** 2 * np.sin(s * phi) ** (s - 1) / (np.pi * np.sin((s + 1) * phi) ** s)

    return density


def pastur(x):
    """semicircle(1) ⊞ the atoms: the eigenvalue in the upper half-plane of a complex symmetric arrow matrix."""
    arrow = np.tile(np.diag(np.concatenate([[0.0], ATOMS])).astype(complex), (len(x), 1, 1))
    arrow[:, 0, 1:] = arrow[:, 1:, 0] = 1j / np.sqrt(len(ATOMS))
    arrow[:, 0, 0] = x
    values = np.linalg.eigvals(arrow)
    w = values[np.arange(len(x)), np.argmax(values.imag, axis=1)]
    for _ in range(3):
        away = w[:, None] - ATOMS
        w = w - (w + np.mean(1 / away, axis=1) - x) / (1 - np.mean(away**-2.0, axis=1))
    return np.maximum(w.imag, 0) / np.pi


def rm_product(factors):
    """⊠ of MP(1) with itself."""
    import rmtool

    law = rmtool.wishartpol(1)
    for _ in range(factors - 1):
        law = rmtool.AtimesB(law, rmtool.wishartpol(1))
    return law


def rm(build):
    """A job for rmtool: ``build`` makes its polynomial from the module."""

    def run(x):
        import rmtool

        return rmtool.Lmz2pdf(build(rmtool), x).best_density()

    return run


def finite(operation, left, right, repeats=1):
    """A job for finitefree: roots of the finite free convolution of polynomials with the given roots."""

    def run():
        from finitefree import RealRootedPolynomial, convolutions

        found = RealRootedPolynomial.from_roots(left())
        for _ in range(repeats):
            found = getattr(convolutions, operation)(found, RealRootedPolynomial.from_roots(right()), DEGREE)
        return np.sort(found.evaluate_roots_float64())

    return run


def quantiles(law):
    """Roots at the quantiles (k-½)/d, as fractions that finitefree can take exactly."""
    return lambda: [round(float(v), 6) for v in law.quantile((np.arange(DEGREE) + 0.5) / DEGREE)]


@dataclass(frozen=True)
class Job:
    build: object
    exact: object
    support: tuple
    rm: object
    finite: object
    rm_rounds: int = 3


signs = quantiles(Atoms([-1.0, 1.0]))
halves = quantiles(Projection(0.5))
wigner, wishart = quantiles(Semicircle(1.0)), quantiles(MarchenkoPastur(1.0))
EDGE = np.sqrt((11 + 5 * 5**0.5) / 2)

JOBS = {
    "semicircle + semicircle": Job(
        lambda: free_sum(Semicircle(1.0), Semicircle(1.0)),
        lambda x: np.sqrt(8 - x**2) / (4 * np.pi),
        (-(8**0.5), 8**0.5),
        rm(lambda m: m.AplusB(m.wignerpol(), m.wignerpol())),
        finite("symmetric_additive", wigner, wigner),
    ),
    "semicircle + signs": Job(
        lambda: free_sum(Semicircle(1.0), Atoms([-1.0, 1.0])),
        cubic(lambda x: [1, -2 * x, x * x, -x]),
        (-(27**0.5) / 2, 27**0.5 / 2),
        rm(lambda m: m.AplusB(m.wignerpol(), m.atomLmz([-1, 1], [0.5, 0.5]))),
        finite("symmetric_additive", wigner, signs),
    ),
    "MP(1)^2": Job(
        lambda: free_product(MarchenkoPastur(1.0), MarchenkoPastur(1.0)),
        fuss_catalan(2),
        (0.0, 6.75),
        rm(lambda m: rm_product(2)),
        finite("multiplicative", wishart, wishart),
    ),
    "MP(1)^10": Job(
        lambda: free_product(*[MarchenkoPastur(1.0)] * 10),
        fuss_catalan(10),
        (0.0, 11**11 / 10**10),
        rm(lambda m: rm_product(10)),
        finite("multiplicative", wishart, wishart, 9),
        1,
    ),
    "projection * projection": Job(
        lambda: free_product(Projection(0.5), Projection(0.5)),
        lambda x: 1 / (2 * np.pi * np.sqrt(x * (1 - x))),
        (0.0, 1.0),
        rm(lambda m: m.AtimesB(m.atomLmz([0, 1], [0.5, 0.5]), m.atomLmz([0, 1], [0.5, 0.5]))),
        finite("multiplicative", halves, halves),
    ),
    "XY + YX": Job(
        lambda: free_difference(MarchenkoPastur(1.0), MarchenkoPastur(1.0)),
        cubic(lambda x: [x, 1, -x, 1]),
        (-EDGE, EDGE),
        rm(lambda m: m.AplusB(m.wishartpol(1), m.scaleA(m.wishartpol(1), -1))),
        finite("symmetric_additive", wishart, lambda: [-v for v in wishart()]),
    ),
    "semicircle + 20 atoms": Job(
        lambda: free_sum(Semicircle(1.0), Atoms(ATOMS)),
        pastur,
        (float(ATOMS[0]) - 0.5, float(ATOMS[-1]) + 0.5),
        None,  # rmtool takes some 17 s to build this polynomial
        finite("symmetric_additive", wigner, quantiles(Atoms(ATOMS))),
    ),
}


def error_of(values, exact):
    """The largest error, relative where the density exceeds 1."""
    with np.errstate(invalid="ignore"):
        error = np.abs(values - exact) / np.maximum(1, exact)
    return float(np.where(np.isnan(error), np.inf, error).max())


def timed(run, rounds):
    """(shortest seconds of the processor, result); a peer's crash is its result."""
    seconds, result = [], None
    for _ in range(rounds):
        start = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = run()
        except Exception as error:  # whatever a peer raises is recorded
            result = error
        seconds.append(time.process_time() - start)
    return min(seconds), result


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", JOBS)
def test_a_density_at_1000_points_beside_the_peers(benchmark, name):
    job = JOBS[name]
    low, high = job.support
    x = low + (high - low) * (np.arange(POINTS) + 0.5) / POINTS
    exact = job.exact(x)
    found = benchmark.pedantic(lambda: job.build().density(x), rounds=5, warmup_rounds=1)
    ours = benchmark.stats.stats.min if benchmark.stats else timed(lambda: job.build().density(x), 3)[0]
    benchmark.extra_info["error"] = error_of(found, exact)
    right = []
    if job.rm is not None:
        pytest.importorskip("rmtool")
        seconds, values = timed(lambda: job.rm(x), job.rm_rounds)
        error = np.inf if isinstance(values, Exception) else error_of(values, exact)
        benchmark.extra_info.update(rmtool_seconds=seconds, rmtool_error=error)
        right += [seconds] if error < RIGHT else []
    pytest.importorskip("finitefree")
    seconds, roots = timed(job.finite, 1)
    if isinstance(roots, Exception):
        benchmark.extra_info["finitefree_error"] = repr(roots)
    else:
        levels = (np.arange(DEGREE) + 0.5) / DEGREE
        law = job.build()
        above, below = (law.cdf(roots + step, throw=False) for step in (1e-9, -1e-9))  # both sides of an atom
        distance = np.maximum(levels - above, below - levels)
        benchmark.extra_info.update(finitefree_seconds=seconds, finitefree_distance=float(np.nanmax(distance)))
    if right:
        benchmark.extra_info["times_faster_than_the_fastest_right_peer"] = min(right) / ours
        assert ours <= min(right)
    assert benchmark.extra_info["error"] < 1e-10
    assert ours <= 0.1
