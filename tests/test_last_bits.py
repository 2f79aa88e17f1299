"""The perturbation of last bits does what it says; `FREENESS_PERTURB=1` runs any tests with it."""

import numpy as np

from tests.last_bits import Perturbed


def ufunc(name):
    found = getattr(np, name)
    return found.ufunc if isinstance(found, Perturbed) else found


def test_results_are_off_by_at_most_one_unit_and_always_the_same():
    x = np.linspace(-3, 3, 1001)
    exact, tanh = ufunc("tanh")(x), Perturbed(ufunc("tanh"), 1)
    found = tanh(x)
    assert (np.abs(found - exact) <= np.spacing(np.abs(exact))).all() and 300 < (found != exact).sum() < 700
    assert (found == tanh(x)).all() and (found == -tanh(-x)).all() and (tanh(x[::7]) == found[::7]).all()
    assert (found != Perturbed(ufunc("tanh"), 2)(x)).any() and float(tanh(0.3)) == tanh(np.array([0.3]))[0]


def test_what_every_processor_gets_right_is_kept():
    exp, log = Perturbed(ufunc("exp"), 1), Perturbed(ufunc("log"), 1)
    assert (
        exp(0.0) == 1 and exp(-np.inf) == 0 and log(1.0) == 0 and exp(np.float32(0.5)) == ufunc("exp")(np.float32(0.5))
    )
    z = np.exp(1j * np.linspace(0.1, 3, 50))
    assert (log(z).conj() == log(z.conj())).all()


def test_results_go_where_they_are_asked_for():
    exp, out = Perturbed(ufunc("exp"), 1), np.empty(100)
    x = np.linspace(0.1, 1, 100)
    assert exp(x, out=out) is out and (out == exp(x)).all() and (out != ufunc("exp")(x)).any()
    assert exp.nin == 1 and isinstance(exp(0.5), np.float64)
