import numpy as np

from freeness.show import law_grid, split_eigenvalues

from . import cases


def test_split_keeps_every_eigenvalue_once():
    comparison = cases.hardtanh().fisher
    split = split_eigenvalues(comparison.measured.eigenvalues, comparison.predicted)
    assert split.rest.size + round(sum(atom.mass for atom in split.atoms) * split.total) == split.total


def test_rounding_around_zero_is_zero_and_tiny_eigenvalues_are_not():
    values = np.array([-3e-15, 1e-15, 2e-15, 0.5, 0.7, 1.0])
    assert split_eigenvalues(values, None).atoms[0].position == 0.0
    small = np.geomspace(1e-20, 1.0, 40)
    assert split_eigenvalues(small, None).atoms == ()


def test_crowd_at_a_hard_edge_is_no_point_mass_where_theory_has_none():
    comparison = cases.tanh().fisher
    crowd = np.concatenate([np.full(20, comparison.measured.eigenvalues[0]), comparison.measured.eigenvalues])
    assert split_eigenvalues(crowd, comparison.predicted).atoms == ()
    assert len(split_eigenvalues(crowd, None).atoms) == 1


def test_grid_avoids_atoms_and_stays_inside():
    law = cases.hardtanh().fisher.predicted.law
    grid = law_grid(law, *law.hull)
    assert (np.diff(grid) > 0).all()
    assert law.hull[0] < grid[0] and grid[-1] < law.hull[1]
    assert not set(grid) & {position for position, _ in law.atoms}
