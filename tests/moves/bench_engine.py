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
from benchmarks.exact import ATOMS, LAWS, Exact, density_error

from freeness import Atoms, MarchenkoPastur, Projection, Semicircle, free_difference, free_product, free_sum

DEGREE = 60
RIGHT = 1e-6  # a peer with a larger error gives no right answer and is no measure of speed


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
    exact: Exact
    rm: object
    finite: object
    rm_rounds: int = 3


signs = quantiles(Atoms([-1.0, 1.0]))
halves = quantiles(Projection(0.5))
wigner, wishart = quantiles(Semicircle(1.0)), quantiles(MarchenkoPastur(1.0))

JOBS = {
    "semicircle + semicircle": Job(
        lambda: free_sum(Semicircle(1.0), Semicircle(1.0)),
        LAWS["semicircle ⊞ semicircle"],
        rm(lambda m: m.AplusB(m.wignerpol(), m.wignerpol())),
        finite("symmetric_additive", wigner, wigner),
    ),
    "semicircle + signs": Job(
        lambda: free_sum(Semicircle(1.0), Atoms([-1.0, 1.0])),
        LAWS["semicircle ⊞ ±1 (cusp)"],
        rm(lambda m: m.AplusB(m.wignerpol(), m.atomLmz([-1, 1], [0.5, 0.5]))),
        finite("symmetric_additive", wigner, signs),
    ),
    "MP(1)^2": Job(
        lambda: free_product(MarchenkoPastur(1.0), MarchenkoPastur(1.0)),
        LAWS["MP(1)^{⊠2}"],
        rm(lambda m: rm_product(2)),
        finite("multiplicative", wishart, wishart),
    ),
    "MP(1)^10": Job(
        lambda: free_product(*[MarchenkoPastur(1.0)] * 10),
        LAWS["MP(1)^{⊠10}"],
        rm(lambda m: rm_product(10)),
        finite("multiplicative", wishart, wishart, 9),
        1,
    ),
    "projection * projection": Job(
        lambda: free_product(Projection(0.5), Projection(0.5)),
        LAWS["projections ½ ⊠ ½"],
        rm(lambda m: m.AtimesB(m.atomLmz([0, 1], [0.5, 0.5]), m.atomLmz([0, 1], [0.5, 0.5]))),
        finite("multiplicative", halves, halves),
    ),
    "XY + YX": Job(
        lambda: free_difference(MarchenkoPastur(1.0), MarchenkoPastur(1.0)),
        LAWS["XY + YX, two semicirculars"],
        rm(lambda m: m.AplusB(m.wishartpol(1), m.scaleA(m.wishartpol(1), -1))),
        finite("symmetric_additive", wishart, lambda: [-v for v in wishart()]),
    ),
    "semicircle + 20 atoms": Job(
        lambda: free_sum(Semicircle(1.0), Atoms(ATOMS)),
        LAWS["semicircle ⊞ 20 atoms"],
        None,  # rmtool takes some 17 s to build this polynomial
        finite("symmetric_additive", wigner, quantiles(Atoms(ATOMS))),
    ),
}


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
    x, error_of = job.exact.grid(), density_error(next(k for k, law in LAWS.items() if law is job.exact))
    found = benchmark.pedantic(lambda: job.build().density(x), rounds=5, warmup_rounds=1)
    ours = benchmark.stats.stats.min if benchmark.stats else timed(lambda: job.build().density(x), 3)[0]
    benchmark.extra_info["error"] = error_of(found)
    right = []
    if job.rm is not None:
        pytest.importorskip("rmtool")
        seconds, values = timed(lambda: job.rm(x), job.rm_rounds)
        error = np.inf if isinstance(values, Exception) else error_of(values)
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
