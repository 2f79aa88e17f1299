import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

import freeness as fr
from freeness.advice.analysis import Comparison
from freeness.show import figure_of, plot_cdf, plot_spectrum, split_eigenvalues

from . import cases


@pytest.fixture(scope="module")
def hardtanh():
    return cases.hardtanh()


@pytest.fixture(scope="module")
def relu():
    return cases.relu()


def artist(ax: Axes, gid: str):
    """The one artist of that name, on the axes or on their twin."""
    found = [item for axes in figure_of(ax).axes for item in axes.get_children() if item.get_gid() == gid]
    return found[0] if found else None


def histogram_area(ax: Axes) -> float:
    """Integral of the histogram in the unit of its axis: eigenvalues, or decades."""
    patch = artist(ax, "measured-histogram")
    assert isinstance(patch, StepPatch)
    values, edges, _ = patch.get_data()
    return float(np.sum(values * np.diff(np.log10(edges) if ax.get_xscale() == "log" else edges)))


@pytest.mark.parametrize("case", ["hardtanh", "relu", "ten_outputs"])
@pytest.mark.parametrize("spectrum", ["jacobian", "fisher"])
def test_line_is_the_density_of_the_law(case, spectrum, request):
    analysis = cases.hardtanh(outputs=10) if case == "ten_outputs" else request.getfixturevalue(case)
    comparison = getattr(analysis, spectrum)
    ax = plot_spectrum(comparison)
    x, y = artist(ax, "theory-density").get_data()
    unit = x * np.log(10) if ax.get_xscale() == "log" else 1.0
    np.testing.assert_allclose(y, comparison.predicted.law.density(x, throw=False) * unit)
    assert np.isfinite(y).mean() > 0.98


@pytest.mark.parametrize("spectrum", ["jacobian", "fisher"])
def test_area_under_the_line_is_the_continuous_mass(spectrum, relu):
    law = getattr(relu, spectrum).predicted.law
    ax = plot_spectrum(getattr(relu, spectrum))
    x, y = artist(ax, "theory-density").get_data()
    seen = np.isfinite(y)
    area = np.trapezoid(y[seen], np.log10(x[seen]))
    outside = float(law.cdf(x[0])) - sum(atom.mass for atom in law.atoms if atom.position < x[0])
    assert area == pytest.approx(1 - sum(atom.mass for atom in law.atoms) - outside, abs=0.01)


@pytest.mark.parametrize("case", ["hardtanh", "relu"])
@pytest.mark.parametrize("spectrum", ["jacobian", "fisher"])
def test_histogram_measured_atoms_and_hidden_part_make_one(case, spectrum, request):
    comparison = getattr(request.getfixturevalue(case), spectrum)
    ax = plot_spectrum(comparison)
    split = split_eigenvalues(comparison.measured.eigenvalues, comparison.predicted)
    hidden = np.mean(split.rest < ax.get_xlim()[0]) * split.rest.size / split.total
    circles = artist(ax, "measured-atoms").get_ydata()
    assert histogram_area(ax) + np.sum(circles) + hidden == pytest.approx(1.0, abs=1e-12)


def test_stems_are_the_atoms_of_the_law_and_the_measured_ones_sit_on_them(hardtanh):
    ax = plot_spectrum(hardtanh.fisher)
    atoms = np.array(hardtanh.fisher.predicted.law.atoms)
    np.testing.assert_allclose(np.column_stack(artist(ax, "theory-atoms").get_data()), atoms)
    measured = np.column_stack(artist(ax, "measured-atoms").get_data())
    np.testing.assert_allclose(measured, atoms, rtol=1e-6)
    ends = [path.vertices[:, 1].tolist() for path in artist(ax, "theory-stems").get_paths()]
    np.testing.assert_allclose(ends, [[0.0, mass] for mass in atoms[:, 1]])


def test_atom_at_zero_stands_at_the_left_end_of_a_log_axis(relu):
    ax = plot_spectrum(relu.jacobian)
    assert ax.get_xscale() == "log"
    assert artist(ax, "theory-atoms").get_xdata()[0] == pytest.approx(ax.get_xlim()[0])
    texts = [text.get_text() for axes in figure_of(ax).axes for text in axes.texts]
    mass = relu.jacobian.predicted.law.atoms[0].mass
    assert f"{mass:.1%} at 0" in texts


def test_narrow_spectrum_has_a_linear_axis_and_a_tick_for_each_eigenvalue():
    comparison = cases.hardtanh(outputs=10).fisher
    ax = plot_spectrum(comparison)
    assert ax.get_xscale() == "linear"
    split = split_eigenvalues(comparison.measured.eigenvalues, comparison.predicted)
    np.testing.assert_array_equal(artist(ax, "measured-rug").get_xdata(), split.rest)


def test_largest_eigenvalues_are_marked(hardtanh):
    ax = plot_spectrum(hardtanh.jacobian)
    assert artist(ax, "theory-largest").get_xdata()[0] == hardtanh.jacobian.predicted.edge.value
    assert artist(ax, "measured-largest").get_xdata()[0] == hardtanh.jacobian.measured.eigenvalues[-1]
    assert "(atom)" in artist(ax, "theory-largest").get_label()


def test_outliers_are_marked(hardtanh):
    predicted = replace(hardtanh.jacobian.predicted, outliers=(3.0,))
    ax = plot_spectrum(replace(hardtanh.jacobian, predicted=predicted))
    assert artist(ax, "theory-outliers").get_xdata()[0] == 3.0
    assert ax.get_xlim()[1] > 3.0


def test_without_theory_only_the_measurement_is_drawn(hardtanh):
    ax = plot_spectrum(replace(hardtanh.fisher, predicted=None, distance=None))
    names = {item.get_gid() for axes in figure_of(ax).axes for item in axes.get_children()} - {None}
    assert names and all(name.startswith("measured") for name in names)


def test_a_single_eigenvalue_is_a_tick_and_no_bar():
    ax = plot_spectrum(cases.hardtanh(60, 4, outputs=1).fisher)
    assert artist(ax, "measured-histogram") is None
    assert len(artist(ax, "measured-rug").get_xdata()) == 1


def test_many_small_atoms_are_drawn_as_their_mass_in_each_bin():
    comparison = cases.analysis_of(fr.mlp(2, 100, "tanh"), 1.0).jacobian
    assert len(comparison.predicted.law.atoms) > 50
    ax = plot_spectrum(comparison)
    values, edges, _ = artist(ax, "theory-binned").get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1.0, abs=0.02)  # the last atom lies on the last edge
    assert artist(ax, "theory-density") is None


def test_average_over_bins_is_the_mass_that_the_law_gives_them(hardtanh):
    comparison = cases.hardtanh(300, 10).fisher  # a comb of narrow bands
    ax = plot_spectrum(comparison)
    values, edges, _ = artist(ax, "theory-binned").get_data()
    law = comparison.predicted.law
    inner = slice(1, -1)  # the ends may coincide with atoms
    np.testing.assert_allclose((values * np.diff(edges))[inner], np.diff(law.cdf(edges))[inner], atol=1e-9)


def test_point_mass_spectrum_is_readable():
    ax = plot_spectrum(cases.analysis_of(fr.mlp(3, 40, "linear"), 1.0).fisher)
    low, high = ax.get_xlim()
    assert low < 120.0 < high and high - low > 1.0
    assert artist(ax, "measured-atoms").get_ydata()[0] == 1.0


def test_given_axes_are_used_and_returned(hardtanh):
    ax = Figure().subplots()
    assert plot_spectrum(hardtanh.jacobian, ax, title="$not maths") is ax
    assert ax.get_title(loc="left") == "$not maths"


def test_picture_of_a_wrong_law_shows_the_difference(hardtanh):
    wrong = replace(hardtanh.fisher.predicted, law=fr.PointMass(100.0))
    ax = plot_spectrum(Comparison(wrong, hardtanh.fisher.measured, None))
    assert artist(ax, "theory-atoms").get_xdata()[0] == 100.0
    assert histogram_area(ax) > 0.9


def test_no_pyplot_state():
    code = "import sys, freeness.show.plots; raise SystemExit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0, 1e3, 1e7])
@pytest.mark.parametrize("plot", [plot_spectrum, plot_cdf])
def test_labels_of_the_axis_never_overlap(plot, scale):
    values = scale * np.linspace(0.14, 1.86, 10)
    axes = plot(Comparison(None, fr.Measurement(values, fr.Empirical(values), "made", 0.0), None))
    axes.figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    inside = [box for box in boxes if axes.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1 + 1]
    assert len(inside) >= 3
    assert all(left.x1 < right.x0 for left, right in pairwise(sorted(inside, key=lambda box: box.x0)))
