"""The phase diagram of a deep network over (σ_w, σ_b)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from freeness.meanfield import EdgeOfChaos, PhaseDiagram
from freeness.plots import style

_MAP = LinearSegmentedColormap.from_list("phases", [style.THEORY, "#ffffff", style.RED])
_LIMIT = 1.0  # of |ln χ₁| in colour: beyond it a gradient changes by e every layer


def plot_phase(
    diagram: PhaseDiagram, edge: EdgeOfChaos | None = None, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw ln χ₁, the growth of squared gradients a layer, and the critical curve where it is 0.

    Args:
        diagram: on its grid.
        edge: points of the critical curve; its unstable part, to which no signal settles, is dashed.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    with np.errstate(divide="ignore"):
        growth = np.log(diagram.chi1)
    axes.set_facecolor("#bbbbbb")  # shows where q diverges
    mesh = axes.pcolormesh(
        diagram.sigma_w,
        diagram.sigma_b,
        np.clip(growth, -_LIMIT, _LIMIT),
        cmap=_MAP,
        norm=TwoSlopeNorm(0.0, -_LIMIT, _LIMIT),
        shading="nearest",
        rasterized=True,
        gid="phase-growth",
    )
    bar = style.figure_of(axes).colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label(r"$\ln \chi_1$: growth of squared gradients a layer", fontsize=style.FONT)
    bar.ax.tick_params(labelsize=style.FONT - 1)
    handles: list[Line2D | Patch] = []
    if edge is not None:
        handles += _draw_edge(axes, edge)
    if np.isnan(growth).any():
        handles.append(Patch(color="#bbbbbb", label="signal diverges (from q = 1)"))
    axes.set_xlim(diagram.sigma_w.min(), diagram.sigma_w.max())
    axes.set_ylim(diagram.sigma_b.min(), diagram.sigma_b.max())
    style.finish(axes, xlabel=r"$\sigma_w$", ylabel=r"$\sigma_b$", title=title)
    axes.grid(visible=False)
    if handles:
        style.legend_below(axes, handles, columns=2)
    return axes


def _draw_edge(axes: Axes, edge: EdgeOfChaos) -> list[Line2D]:
    """The stable part as a line, the unstable part dashed; one point, or points in one place, as a marker."""
    handles = []
    for kept, dashes, label in (
        (edge.stable, "-", "edge of chaos"),
        (~edge.stable, "--", "edge, fixed point unstable"),
    ):
        if not kept.any():
            continue
        w, b = np.where(kept, edge.sigma_w, np.nan), np.where(kept, edge.sigma_b, np.nan)
        together = np.nanmax(w) - np.nanmin(w) < 1e-6 and np.nanmax(b) - np.nanmin(b) < 1e-6
        handles += axes.plot(
            w,
            b,
            dashes,
            color="black",
            marker="o" if together else None,
            linewidth=2,
            label=label,
            clip_on=not together,
        )
    return handles
