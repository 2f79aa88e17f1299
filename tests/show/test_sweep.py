import numpy as np
import pytest

from freeness.show import plot_heat_map, plot_thresholds, plot_training, sweep_answer

xarray = pytest.importorskip("xarray")

DEPTHS = (2, 4, 8)


@pytest.fixture
def table():
    """A made sweep of two designs."""
    rates = np.array([[[m * 2 / depth for m in (0.25, 0.5, 2.0)] for depth in DEPTHS]] * 2)
    dims = ("design", "depth", "rate_index", "seed", "step")
    accuracy = np.random.default_rng(0).uniform(0.2, 0.9, (2, 3, 3, 2, 4))
    line = 2 / np.array(DEPTHS)
    one = ("design", "depth")
    coordinates = {
        "design": ["a", "b"],
        "depth": list(DEPTHS),
        "step": [0, 5, 10, 20],
        "rate": (dims[:3], rates),
        "two_over_depth": ("depth", line),
        "one_sample_bound": (one, np.array([line, 2 * line])),
        "batch_bound": (one, np.array([line, 3 * line])),
    }
    values = {
        "accuracy": (dims, accuracy),
        "boundary": (one, np.array([line, line])),
        "best_rate": (one, np.array([line / 4, line / 3])),
        "boundary_slope": ("design", [-1.0, np.nan]),
        "boundary_slope_error": ("design", [0.1, np.nan]),
        "best_rate_slope": ("design", [-1.1, np.nan]),
        "best_rate_slope_error": ("design", [0.2, np.nan]),
    }
    return xarray.Dataset(values, coordinates, {"name": "made"})


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_heat_map_shows_mean_accuracy_at_absolute_rates_with_lines_that_differ(table):
    axes = plot_heat_map(table, "b")
    assert labels(axes) == [
        "2/L",
        "2/λ of the predicted spectrum",
        "2/λ of the batch, predicted",
        "accuracy below 80 % of the best",
    ]
    wanted = table["accuracy"].sel(design="b").isel(step=-1).mean("seed")
    shown = np.concatenate([mesh.get_array().ravel() for mesh in axes.collections])
    np.testing.assert_allclose(shown, wanted.values.ravel())
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1, 0.5, 0.25])
    assert axes.get_yscale() == "log" and axes.get_title(loc="left") == "b"


def test_lines_that_coincide_are_drawn_once(table):
    assert labels(plot_heat_map(table)) == ["2/L", "accuracy below 80 % of the best"]  # all three are 2/L here


def test_thresholds_of_every_design_are_drawn_with_their_slopes(table):
    axes = plot_thresholds(table, title="both")
    assert labels(axes) == [
        "2/L",
        "a: breaks (slope -1.00 ± 0.10)",
        "a: best (slope -1.10 ± 0.20)",
        "a: 2/λ predicted",
        "b: breaks",
        "b: best",
        "b: 2/λ predicted",
    ]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), table["boundary"].sel(design="a"))


def test_training_curves_are_one_a_rate(table):
    axes = plot_training(table, "a", 4)
    assert labels(axes) == ["η = 0.125", "η = 0.25", "η = 1"]
    wanted = table["accuracy"].sel(design="a", depth=4).isel(rate_index=2).mean("seed")
    np.testing.assert_allclose(axes.lines[2].get_ydata(), wanted)
    assert plot_training(table).get_title(loc="left") == "a, L = 8"


def test_a_best_rate_at_the_end_of_the_grid_and_the_scale_of_inputs_are_said(table):
    full = table.assign(
        best_accuracy=table["accuracy"].isel(step=-1).mean("seed").max("rate_index"),
        divergence_step=(("design", "depth", "rate_index", "seed"), np.full((2, 3, 3, 2), np.nan)),
    )
    answer = sweep_answer(full.assign_attrs(mean_square=1 / 784))
    first, second = (answer.section(name).parts for name in ("a", "b"))
    assert first[0].flagged == (0, 1, 2)  # the best rates are the smallest of all, a quarter of 2/L each
    assert "at depth 2, 4, 8: try more on that side" in first[-1].text
    assert second[0].flagged == () and not any("try more" in part.text for part in second[1:])
    assert "--qhat0 0.00127551 " in answer.sections[-1].parts[-1].text
