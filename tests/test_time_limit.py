"""What a limit of CPU time cuts off says so, wherever it comes, and leaves nothing wrong behind."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator
from itertools import count

import numpy as np
import pytest

import freeness as fr
from freeness.expressions import answer_law
from freeness.laws import Mixture, Resized, free_entropy, support
from freeness.network import Branch, resnet
from freeness.numerics import check_time, cpu_time, question, time_left, time_limit
from freeness.show import document_of
from freeness.show.answer import answer_of
from freeness.spectra.graph import network_graph
from freeness.spectra.graph_spectrum import _mass_at, graph_law

LEVELS = np.array([0.3, 0.7])
X, Y = fr.free_variables(fr.Uniform(0, 2), fr.Projection(0.4))
LAWS: dict[str, Callable[[], fr.Law]] = {
    "two bands": lambda: fr.free_sum(fr.Uniform(0, 1), fr.Projection(0.3, 4.0)),
    "a symmetric product": lambda: fr.free_product(fr.Uniform(0.5, 2), fr.Semicircle(1)),
    "an atom": lambda: fr.free_product(fr.MarchenkoPastur(2.0), fr.Uniform(1, 2)),
    "a polynomial": lambda: (X * Y + Y * X).law("operator"),
    "a chain": lambda: fr.jacobian_law(fr.mlp(3, 20, "tanh", "haar"), 1.0),
}


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by one with each look at it."""
    ticks = count()
    monkeypatch.setattr(cpu_time, "_clock", lambda: float(next(ticks)))


def told_bands(law: fr.Law) -> object:
    """The bands, or whether they are the hull where they say that they were cut off."""
    bands = law.bands
    return bands if law.bands_error < 0.01 else bands == (law.continuous_hull,)


OFTEN = (0, 1, 10, 30, 100, 300, 1000)
CASES = [pytest.param(name, OFTEN, marks=pytest.mark.slow) for name in LAWS]


@pytest.mark.parametrize(("name", "ticks"), [("two bands", (60,)), ("an atom", (3,)), ("a chain", (20,)), *CASES])
def test_a_law_that_is_cut_off_anywhere_says_so_and_is_right_afterwards(
    name: str, ticks: tuple[int, ...], ticking: None
) -> None:
    known, law, cut = LAWS[name](), LAWS[name](), 0
    asked: list[Callable[[fr.Law], object]] = [
        lambda law: law.quantile(LEVELS),
        lambda law: law.density(law.mean),
        told_bands,
    ]
    for allowed in (*ticks, math.inf):
        for ask in asked:
            try:
                with time_limit(allowed):
                    found = ask(law)
            except fr.TimeLimitError:
                found = True
            if found is True:
                cut += 1
            else:
                np.testing.assert_allclose(found, ask(known), rtol=1e-9, atol=1e-12)
    assert 0 < cut <= len(asked) * len(ticks)


def test_bands_that_were_cut_off_are_looked_for_anew_where_more_time_is_allowed() -> None:
    law, known = LAWS["two bands"](), LAWS["two bands"]()
    hull = law.hull
    with time_limit(0):
        assert (law.bands, law.bands_error) == ((hull,), 1.0)
        assert law.support == (hull,)
    assert law.bands == known.bands
    assert len(law.bands) == 2


def cut_off(law: fr.Law) -> fr.Law:
    """The law, whose bands had no time."""
    _ = law.hull
    with time_limit(0):
        _ = law.bands
    return law


def test_bands_that_were_not_told_apart_say_so_wherever_they_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through maps and mixtures, and in the answer of the command; what needs them refuses."""
    monkeypatch.setattr(support, "_PASSES", 0)
    law = fr.shift(LAWS["two bands"](), 1.0)
    halves = Mixture([law, fr.Uniform(0, 1)], [0.5, 0.5])
    for way, error in ((fr.inverse(law), 1.0), (Resized(law, 0.5), 0.5), (halves, 0.5)):
        assert len(way.bands) == (2 if way is halves else 1)
        assert way.bands_error == pytest.approx(error, abs=1e-9)
    for refused in (lambda: law.quantile(0.7), lambda: free_entropy(law), lambda: fr.inverse(fr.shift(law, -4.0))):
        with pytest.raises(fr.ConvergenceError, match="not told apart"):
            refused()
    record = answer_law("uniform:0,1 + 4*projection:0.3", {}, points=20)
    assert "gaps between them were not told" in str(answer_of(record))
    assert document_of(record)["bands_error"] == 1.0


def test_edges_are_those_of_the_bands_that_are_told_now() -> None:
    law, known = LAWS["two bands"](), LAWS["two bands"]()
    _ = cut_off(law)
    assert law.bands_error == 1.0
    assert len(law.edges) == 4
    assert law.edges == known.edges
    assert law.bands_error == known.bands_error


def test_an_atom_that_is_read_too_late_is_not_left_out() -> None:
    """A height that takes too long is no height that does not converge."""
    law = graph_law(network_graph(resnet(2, 12, Branch("tanh", scale=0.5))))
    with time_limit(0), pytest.raises(fr.TimeLimitError):
        _mass_at(0.0, law.cauchy, 1e-3, 1e-9)


def test_blocks_of_generators_may_end_in_any_order() -> None:
    def block(seconds: float) -> Generator[None]:
        with time_limit(seconds):
            yield

    outer = block(10)
    next(outer)
    with time_limit(5):
        outer.close()
        assert time_left() <= 5
    assert time_left() > 20


def test_what_does_not_come_in_time_is_no_other_failure() -> None:
    total = fr.free_sum(fr.Uniform(0, 1), fr.Semicircle(1.0))
    with time_limit(0), pytest.raises(fr.TimeLimitError, match=r"within 0 s of CPU time.*time_limit\(60\)"):
        fr.free_deconvolution(total, fr.Semicircle(0.5))
    with time_limit(0), pytest.raises(fr.TimeLimitError):
        fr.kolmogorov(total, fr.Uniform(0, 1))


def test_a_block_ends_with_the_one_around_it_at_the_latest(ticking: None) -> None:
    with time_limit(20):
        with time_limit(100), question(10**6):
            assert time_left() < 20
        with time_limit(1), pytest.raises(fr.TimeLimitError, match="within 1 s"):
            for _ in range(3):
                check_time()
        check_time()
    check_time()


def test_a_question_has_its_own_time_by_its_points_in_each_thread() -> None:
    left: list[float] = []

    def asked() -> None:
        left.append(time_left())
        with question(5000), question():
            left.append(time_left())
        with question(50, costly=True):
            left.append(time_left())
        left.append(time_left())

    with time_limit(1):
        thread = threading.Thread(target=asked)
        thread.start()
        thread.join()
    assert left[0] == left[3] == 20.0
    assert 90 < left[1] <= 100
    assert 190 < left[2] <= 200


@pytest.mark.parametrize("seconds", [-1, math.nan, "10", None, True])
def test_seconds_that_are_none_are_refused(seconds: object) -> None:
    with pytest.raises(fr.InputError, match="expected seconds ≥ 0, got"), time_limit(seconds):  # type: ignore[arg-type]
        pass
