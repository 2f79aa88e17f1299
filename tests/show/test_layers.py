import numpy as np
import pytest

from freeness.show import plot_layers

from . import cases


@pytest.mark.parametrize("field", ["q", "qhat", "chi", "delta"])
def test_lines_are_the_columns_of_the_layer_table(field):
    analysis = cases.relu()
    line = next(line for line in plot_layers(analysis).lines if line.get_gid() == f"layers-{field}")
    expected = [getattr(row, field) for row in analysis.chain]
    np.testing.assert_array_equal(line.get_ydata(), [np.nan if value is None else value for value in expected])
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(expected) + 1))


def test_zero_delta_is_left_out():
    analysis = cases.analysis_of(cases.fr.mlp(3, 20, "linear"), 1.0)
    names = [line.get_gid() for line in plot_layers(analysis).lines]
    assert "layers-q" in names and "layers-delta" not in names  # and not in the legend
