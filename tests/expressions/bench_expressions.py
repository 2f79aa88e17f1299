"""Polynomials of free variables beside brute force: random matrices of size 2000 and their eigenvalues.

Run by `make bench`. One matrix of that size gives the density in 20 cells to about 1 %; the algebra gives it exactly at the same
20 points. The ratio of the two times in the same run has to be 20. With the exact ends of the support and the distribution
function at 200 points the algebra does more, and a second figure says what that costs.
"""

import time

import numpy as np
import pytest

from freeness import MarchenkoPastur, Semicircle, free_variables

SIZE, CELLS, POINTS, RATIO = 2000, 20, 200, 20


def built():
    x, y, z = free_variables(Semicircle(), Semicircle(), MarchenkoPastur(0.5))
    return {"XY+YX": x * y + y * x, "X²+Y²+XZX": x**2 + y**2 + x * z * x, "XYZ+ZYX": x * y * z + z * y * x}


def brute_force(expression):
    """Cells of equal content, and the density in each."""
    values = np.linalg.eigvalsh(expression.sample(SIZE, np.random.default_rng(0)))
    ends = np.quantile(values, np.linspace(0.05, 0.95, CELLS + 1))
    return ends, np.histogram(values, ends)[0] / (SIZE * np.diff(ends))


def everything(expression):
    law = expression.law("operator")
    x = np.linspace(*law.hull, POINTS + 2)[1:-1]
    return law.density(x), law.cdf(x)


def seconds(job, *arguments):
    start = time.process_time()
    job(*arguments)
    return time.process_time() - start


@pytest.mark.parametrize("name", ["XY+YX", "X²+Y²+XZX", "XYZ+ZYX"])
def test_algebra_beside_brute_force(benchmark, name):
    expression = built()[name]
    start = time.process_time()
    ends, measured = brute_force(expression)
    brute = time.process_time() - start
    middle = (ends[1:] + ends[:-1]) / 2
    exact = benchmark.pedantic(lambda: expression.law("operator").density(middle), rounds=5, warmup_rounds=1)
    error = np.abs(measured / exact - 1).mean()
    ratio, more = brute / benchmark.stats["mean"], brute / seconds(everything, expression)
    benchmark.extra_info.update(brute_force_s=brute, ratio=ratio, ratio_of_everything=more, brute_force_error=error)
    print(
        f"\n{name}: brute force {brute:.1f} s to {error:.1%}, algebra {benchmark.stats['mean']:.3f} s, ratio {ratio:.0f}; "
        f"with ends and distribution function {more:.0f}"
    )
    assert error < 0.03
    assert ratio >= RATIO


def test_cost_grows_linearly_in_the_grid(benchmark):
    law = built()["XY+YX"].law("operator")
    times = {}
    for points in (1000, 8000):
        x = np.linspace(*law.hull, points + 2)[1:-1]
        times[points] = seconds(law.density, x)
    grids = iter(np.linspace(*law.hull, 1002 + k)[1:-1] for k in range(9))  # each one new: the last is remembered
    benchmark.pedantic(lambda: law.density(next(grids)), rounds=5)
    growth = times[8000] / times[1000]
    benchmark.extra_info.update(growth=growth, **{f"points_{points}_s": value for points, value in times.items()})
    print(
        f"\n1000 points {times[1000]:.2f} s, 8000 points {times[8000]:.2f} s, growth {growth:.1f} for 8 times the points"
    )
    assert growth < 9.0
