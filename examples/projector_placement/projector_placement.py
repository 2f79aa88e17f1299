"""Where to put projectors so that every part of a surface is lit: star-shaped pieces, their kernels, and the fewest of them.

A projector lights a triangle of a surface from any place in front of its plane, if nothing stands between. The places in
front of all planes of a piece form its kernel, a convex polyhedron, the intersection of half-spaces; a piece with a kernel is
star-shaped. This script grows star-shaped pieces on a triangle mesh, checks from inside each kernel which triangles are
really seen, and chooses the fewest pieces that cover the surface by an integer program.

    python examples/projector_placement/projector_placement.py --out placement.png
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

MARGIN = 0.02  # a projector stands at least so far in front of every plane, in units of the mesh's size
GRAZING = 0.15  # light that falls more flatly than this cosine does not count
LARGEST = 2.0  # the room's half-width over that of the surface


@dataclass(frozen=True)
class Mesh:
    """Vertices (n, 3) and triangles (m, 3), each counterclockwise as seen from outside."""

    vertices: np.ndarray
    triangles: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """(m, 3 corners, 3)."""
        return self.vertices[self.triangles]

    @property
    def centres(self) -> np.ndarray:
        """(m, 3)."""
        return self.corners.mean(axis=1)

    @property
    def normals(self) -> np.ndarray:
        """Unit normals, (m, 3)."""
        a, b, c = self.corners.transpose(1, 0, 2)
        n = np.cross(b - a, c - a)
        return n / np.linalg.norm(n, axis=1, keepdims=True)

    @property
    def size(self) -> float:
        """Half the longest side of the box around it."""
        return float(np.ptp(self.vertices, axis=0).max() / 2)

    def neighbours(self) -> coo_array:
        """Which triangles share an edge, (m, m)."""
        edges = np.sort(self.triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
        owner = np.repeat(np.arange(len(self.triangles)), 3)
        _, edge = np.unique(edges, axis=0, return_inverse=True)
        incidence = coo_array((np.ones(len(owner)), (owner, edge.ravel())))
        return (incidence @ incidence.T).tocoo()


def bent_torus(around: int = 36, across: int = 16, radius: float = 0.45, waves: float = 0.18) -> Mesh:
    """A torus whose tube swells three times: it has a hole, hollows and shadows."""
    u, v = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.arange(across) * 2 * np.pi / across, indexing="ij")
    tube = radius + waves * np.cos(3 * u)
    points = np.stack(
        [(1 + tube * np.cos(v)) * np.cos(u), (1 + tube * np.cos(v)) * np.sin(u), tube * np.sin(v)], axis=-1
    )
    index = np.arange(around * across).reshape(around, across)
    a, b = index, np.roll(index, -1, axis=0)
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    quads = np.stack([a, b, c, d], axis=-1).reshape(-1, 4)
    return Mesh(points.reshape(-1, 3), np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))


def kernel_point(mesh: Mesh, piece: np.ndarray) -> np.ndarray | None:
    """The centre of the largest ball in the kernel of a piece, inside the room; None if the piece is not star-shaped.

    Maximise r with n·x - r ≥ n·c for every triangle (a linear program): the Chebyshev centre of an intersection of half-spaces.
    """
    normals, heights = mesh.normals[piece], (mesh.normals[piece] * mesh.centres[piece]).sum(axis=1)
    room = LARGEST * mesh.size
    found = linprog(
        [0.0, 0.0, 0.0, -1.0],
        A_ub=np.column_stack([-normals, np.ones(len(piece))]),
        b_ub=-heights,
        bounds=[(-room, room)] * 3 + [(None, room)],
    )
    if found.status != 0 or found.x[3] < MARGIN * mesh.size:
        return None
    return found.x[:3]


def seen_from(mesh: Mesh, place: np.ndarray) -> np.ndarray:
    """Which triangles light from there reaches: in front, not at too flat an angle, and with nothing between, (m,) of bool."""
    towards = place - mesh.centres
    distance = np.linalg.norm(towards, axis=1)
    lit = (mesh.normals * towards).sum(axis=1) > GRAZING * distance
    for i in np.flatnonzero(lit):
        lit[i] = not _blocked(mesh, mesh.centres[i], towards[i], i)
    return lit


def _blocked(mesh: Mesh, origin: np.ndarray, direction: np.ndarray, own: int | None = None) -> bool:
    """Whether a triangle other than ``own`` cuts the segment (Möller, Trumbore 1997, for all triangles at once)."""
    a, b, c = mesh.corners.transpose(1, 0, 2)
    first, second = b - a, c - a
    p = np.cross(direction, second)
    determinant = (first * p).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = ((origin - a) * p).sum(axis=1) / determinant
        q = np.cross(origin - a, first)
        v = (q @ direction) / determinant
        t = (second * q).sum(axis=1) / determinant
        cut = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6) & (t < 1)
    if own is not None:
        cut[own] = False
    return bool(cut.any())


def star_pieces(mesh: Mesh, seeds: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places and what each sees: (k, 3) and (k, m) of bool.

    A piece grows from a seed in breadth-first rings until it has no kernel.
    How far it may grow is found by bisection over the rings' order, since a part of a star-shaped piece is star-shaped.
    """
    graph = mesh.neighbours().tocsr()
    places, views = [], []
    seen = np.zeros(len(mesh.triangles), dtype=bool)
    while len(places) < seeds or not seen.all():
        left = np.flatnonzero(~seen) if len(places) >= seeds else np.arange(len(seen))
        seed = int(rng.choice(left))
        order = breadth_first_order(graph, seed, return_predecessors=False)
        low, high, best = 1, len(order) + 1, kernel_point(mesh, order[:1])
        while high - low > 1:
            middle = (low + high) // 2
            found = kernel_point(mesh, order[:middle])
            low, high, best = (middle, high, found) if found is not None else (low, middle, best)
        assert best is not None  # one triangle alone is star-shaped
        view = seen_from(mesh, best)
        if not view[seed] and len(places) >= seeds:  # the kernel lies behind something: stand close by
            best = mesh.centres[seed] + 2 * MARGIN * mesh.size * mesh.normals[seed]
            view = seen_from(mesh, best)
            view[seed] = True
        places.append(best)
        views.append(view)
        seen |= view
    return np.array(places), np.array(views)


def fewest(views: np.ndarray) -> np.ndarray:
    """Indices of the fewest views that see everything together: set cover as an integer program, exactly."""
    found = milp(
        np.ones(len(views)),
        constraints=LinearConstraint(views.T.astype(float), lb=1.0),
        integrality=np.ones(len(views)),
        bounds=Bounds(0, 1),
    )
    if found.status != 0:
        raise RuntimeError(f"expected a cover of the surface, got none: {found.message}")
    return np.flatnonzero(found.x > 0.5)


def _camera(azimuth: float, elevation: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors to the right and upwards in the picture, and towards who looks."""
    viewer = np.array([np.cos(azimuth), np.sin(azimuth), np.tan(elevation)]) * np.cos(elevation)
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return right, np.cross(viewer, right), viewer


def draw(mesh: Mesh, places: np.ndarray, views: np.ndarray, path: Path) -> None:
    """The surface in the colours of the projectors that light it most directly, and the projectors; hidden ones are white."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.collections import PolyCollection

    towards = places[:, None] - mesh.centres
    cosine = (mesh.normals * towards).sum(axis=2) / np.linalg.norm(towards, axis=2)
    best = np.where(views, cosine, -1.0).argmax(axis=0)
    colours = plt.get_cmap("tab10")(best % 10)
    colours[:, :3] *= (0.55 + 0.45 * np.clip(cosine[best, np.arange(len(best))], 0, 1))[:, None]
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.6), layout="constrained")
    for plot, (elevation, title) in zip(axes, [(35, "from above"), (-35, "from below")], strict=True):
        right, up, viewer = _camera(np.radians(35), np.radians(elevation))
        front = np.flatnonzero(mesh.normals @ viewer > 0)
        front = front[np.argsort(mesh.centres[front] @ viewer)]  # far ones first
        flat = np.stack([mesh.corners @ right, mesh.corners @ up], axis=-1)[front]
        plot.add_collection(PolyCollection(flat, facecolors=colours[front], edgecolors=(0, 0, 0, 0.12), linewidths=0.3))
        for number, place in enumerate(places):
            colour = plt.get_cmap("tab10")(number % 10)
            hidden = _blocked(mesh, place, 10 * mesh.size * viewer)
            face, edge, ink = ("white", colour, "black") if hidden else (colour, "black", "white")
            plot.plot(
                place @ right, place @ up, "o", markersize=16, color=face, markeredgecolor=edge, markeredgewidth=2
            )
            plot.text(place @ right, place @ up, str(number + 1), color=ink, ha="center", va="center_baseline")
        plot.set(title=title, aspect="equal")
        plot.autoscale_view()
        plot.set_axis_off()
    figure.suptitle(f"{len(places)} projectors light {len(mesh.triangles)} triangles")
    figure.savefig(path, dpi=110)


def main() -> int:
    """Place projectors around the example's surface."""
    parser = argparse.ArgumentParser(description="Fewest projectors that light a surface, by star-shaped pieces.")
    parser.add_argument("--seeds", type=int, default=60, help="pieces that are grown before the fewest are chosen")
    parser.add_argument("--out", type=Path, default=Path("placement.png"), help="picture to write")
    options = parser.parse_args()
    mesh = bent_torus()
    places, views = star_pieces(mesh, options.seeds, np.random.default_rng(0))
    chosen = fewest(views)
    draw(mesh, places[chosen], views[chosen], options.out)
    print(
        f"{len(places)} pieces, {len(chosen)} projectors; every one of {len(mesh.triangles)} triangles is lit: {options.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
