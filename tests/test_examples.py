"""The example of projectors: kernels, shadows and covers on surfaces whose answers are known."""

import importlib.util
import itertools
import sys

import numpy as np
import pytest

from tests.conftest import REPOSITORY

CUBE = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))


@pytest.fixture(scope="module")
def example():
    path = REPOSITORY / "examples" / "projector_placement" / "projector_placement.py"
    spec = importlib.util.spec_from_file_location("projector_placement", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def outward(example, points, triangles):
    """Triangles of a convex body around 0, turned so that normals point outward."""
    mesh = example.Mesh(points, np.array(triangles))
    inward = (mesh.normals * mesh.centres).sum(axis=1) < 0
    return example.Mesh(points, np.where(inward[:, None], mesh.triangles[:, ::-1], mesh.triangles))


@pytest.fixture
def cube(example):
    triangles = []
    for axis, side in itertools.product(range(3), (-1.0, 1.0)):
        a, b, c, d = np.flatnonzero(CUBE[:, axis] == side)
        triangles += [[a, b, d], [a, d, c]]
    return outward(example, CUBE, triangles)


def test_a_kernel_lies_in_front_of_every_plane_of_its_piece(example, cube):
    three = np.flatnonzero((cube.normals > 0.5).any(axis=1))  # the faces x = 1, y = 1, z = 1
    place = example.kernel_point(cube, three)
    assert (place > 1 + example.MARGIN * cube.size).all()
    assert example.kernel_point(cube, np.arange(len(cube.triangles))) is None  # nobody sees opposite faces


def test_a_cube_needs_two_projectors(example, cube):
    places, views = example.star_pieces(cube, 30, np.random.default_rng(0))
    chosen = example.fewest(views)
    assert len(chosen) == 2 and views[chosen].any(axis=0).all()
    assert (places[chosen[0]] * places[chosen[1]] < 0).all()  # in front of opposite corners


def test_what_stands_between_throws_a_shadow(example):
    wall, shield = np.array([[-1.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.array([[-2.0, -1, 1], [2, -1, 1], [0, 3, 1]])
    mesh = example.Mesh(np.concatenate([wall, shield]), np.array([[0, 1, 2], [3, 4, 5]]))
    assert example.seen_from(mesh, np.array([0.0, 0.3, 3.0])).tolist() == [False, True]
    assert example.seen_from(mesh, np.array([0.0, 0.3, 0.5])).tolist() == [True, False]
    assert not example.seen_from(mesh, np.array([0.0, 0.3, -1.0])).any()


def test_covers_are_the_smallest(example):
    rng = np.random.default_rng(1)
    for _ in range(20):
        views = rng.random((7, 9)) < 0.4
        views[0] |= ~views.any(axis=0)
        smallest = next(
            k
            for k in range(1, 8)
            for some in itertools.combinations(range(7), k)
            if views[list(some)].any(axis=0).all()
        )
        found = example.fewest(views)
        assert len(found) == smallest and views[found].any(axis=0).all()
