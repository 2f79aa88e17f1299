"""The table of a sweep, thresholds of made data with a known answer, and exports."""

import json

import numpy as np
import pandas
import pytest
import xarray

from freeness.errors import InputError
from freeness.experiments import export, frame, open_sweep, preset, run_sweep, with_thresholds
from freeness.experiments.store import open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "store.sqlite"
    told = []
    run = run_sweep(preset("tiny"), path, progress=told.append)
    assert (run.cells, run.reused, run.computed) == (12, 0, 12)
    assert [at.done for at in told] == [0, 6, 12] and told[-1].stage == "done" and "a minute" in told[1].stage
    return path


def test_the_table_has_units_rates_lines_and_provenance(store):
    table = open_sweep(store, "tiny")
    assert dict(table.sizes) == {"design": 1, "depth": 2, "rate_index": 3, "seed": 2, "step": 2}
    np.testing.assert_allclose(table["rate"].sel(depth=4).squeeze(), np.array([1 / 8, 1 / 2, 8]) * 2 / 4)
    np.testing.assert_allclose(table["two_over_depth"], [1, 0.5])
    np.testing.assert_allclose(table["one_sample_bound"].squeeze(), [1, 0.5], rtol=1e-2)
    assert all("units" in table[name].attrs and "long_name" in table[name].attrs for name in table.data_vars)
    assert table["accuracy"].notnull().all()
    assert (table["divergence_step"].notnull() == (table["rate_index"] == 2)).all()
    made = json.loads(table.attrs["provenance"])
    assert {"torch", "freeness", "system"} <= set(made[0])
    assert json.loads(table.attrs["specification"])["steps"] == 60
    assert (table.attrs["cells"], table.attrs["finished"]) == (12, 12)


def test_an_unfinished_sweep_is_nan_where_it_is_not(store, tmp_path):
    import sqlite3

    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(store.read_bytes())
    connection = sqlite3.connect(copy)
    with connection:
        connection.execute("DELETE FROM cells WHERE key = (SELECT cell FROM places WHERE place = '[0, 1, 0, 1]')")
    connection.close()
    table = with_thresholds(open_sweep(copy))
    assert table.attrs["finished"] == 11
    assert int(table["accuracy"].isel(step=0).isnull().sum()) == 1
    run = run_sweep(preset("tiny"), copy)
    assert (run.reused, run.computed) == (11, 1)
    assert open_sweep(copy).drop_vars("seconds").identical(open_sweep(store).drop_vars("seconds"))
    with open_store(copy) as opened:
        assert len(opened.sweeps()) == 1


def test_exports_hold_the_table(store, tmp_path):
    table = with_thresholds(open_sweep(store))
    export(table, tmp_path / "sub" / "t.nc")
    with xarray.open_dataset(tmp_path / "sub" / "t.nc", engine="scipy") as back:
        np.testing.assert_array_equal(back["accuracy"], table["accuracy"])
        assert back.attrs["data_sha256"] == table.attrs["data_sha256"]
        assert back["accuracy"].attrs["units"] == "1"
    export(table, tmp_path / "t.parquet")
    rows = pandas.read_parquet(tmp_path / "t.parquet")
    assert len(rows) == 2 * 3 * 2 * 2 and {"rate", "accuracy", "seed", "boundary"} <= set(rows.columns)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sub", "t.parquet"]
    with pytest.raises(InputError, match=r"expected a file .nc or .parquet"):
        export(table, tmp_path / "t.csv")


def made(depths, boundary, best):
    """A table whose accuracy in log η is a hat with a straight flank: .8 of the best is reached exactly at ``boundary``."""
    rates = np.array([best(d) * np.geomspace(0.25, 64, 25) for d in depths])
    accuracy = np.array(
        [
            np.where(
                r <= best(d) * 1.001,
                0.8 + 0.05 * np.log(r / best(d)),
                0.9 - 0.18 * np.log(r / best(d)) / np.log(boundary(d) / best(d)),
            )
            for d, r in zip(depths, rates, strict=True)
        ]
    )
    accuracy[np.isclose(rates, [[best(d)] for d in depths])] = 0.9
    dims = ("design", "depth", "rate_index", "seed", "step")
    return xarray.Dataset(
        {"accuracy": (dims, np.clip(accuracy, 0, 1)[None, :, :, None, None] + np.array([-0.05, 0.05])[:, None])},
        {"depth": list(depths), "rate": (dims[:3], rates[None]), "seed": [0, 1], "step": [9], "design": ["a"]},
    )


def test_thresholds_of_a_known_power_law_are_found_exactly():
    found = with_thresholds(made((2, 4, 8, 16), lambda d: 3.0 / d, lambda d: 0.5 / d))
    np.testing.assert_allclose(found["boundary"].squeeze(), 3.0 / np.array([2, 4, 8, 16]), rtol=1e-9)
    np.testing.assert_allclose(found["best_rate"].squeeze(), 0.5 / np.array([2, 4, 8, 16]), rtol=1e-9)
    assert float(found["boundary_slope"].item()) == pytest.approx(-1, abs=1e-9)
    assert float(found["boundary_slope_error"].item()) == pytest.approx(0, abs=1e-6)
    assert float(found["boundary_factor"].item()) == pytest.approx(1.5)


def test_accuracy_that_never_falls_has_no_boundary():
    table = made((2, 4, 8), lambda d: 3.0 / d, lambda d: 0.5 / d).isel(rate_index=slice(0, 6))
    assert with_thresholds(table)["boundary"].isnull().all()
    assert np.isnan(with_thresholds(table)["boundary_slope"].item())


def test_a_frame_has_a_row_for_every_look_with_the_values_of_the_table(store):
    table = open_sweep(store)
    found = frame(table)
    assert len(found) == int(np.prod(list(table.sizes.values())))
    row = found.iloc[17]
    at = {name: row[name] for name in ("design", "depth", "rate_index", "seed", "step")}
    assert row["accuracy"] == float(table["accuracy"].sel(at)) and row["rate"] == float(
        table["rate"].sel(design=at["design"], depth=at["depth"], rate_index=at["rate_index"])
    )
