"""A network read layer by layer: accuracy, class likelihoods, maps in the space of the input, parts of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from freeness.plots import style

_COLOURS = (style.THEORY, style.MEASURED, style.GREEN, style.RED)
_NAMED = 4  # classes that get a colour, the likeliest
_PANEL = 1.35  # inches
_NOTHING = 1e-12


def plot_layer_accuracy(
    accuracy: np.ndarray,
    error: np.ndarray,
    settled: np.ndarray | None = None,
    ax: Axes | None = None,
    *,
    title: str = "",
) -> Axes:
    """Draw the accuracy that is read at every layer with error bars, over the share of samples that settle there.

    Args:
        accuracy: one number a layer.
        error: its standard error.
        settled: how many samples have their final class from this layer on; left out, no bars.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    index = np.arange(1, len(accuracy) + 1)
    handles: list[Line2D | Patch] = []
    if settled is not None:
        axes.bar(index, settled / settled.sum(), color="#d9e3ea", width=0.85, gid="settled")
        handles.append(Patch(color="#d9e3ea", label="share of samples whose class settles here"))
    axes.errorbar(index, accuracy, yerr=error, color=style.THEORY, linewidth=1.8, capsize=2, gid="accuracy")
    line = Line2D([], [], color=style.THEORY, linewidth=1.8, label="accuracy read at this layer ± standard error")
    handles.append(line)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.finish(axes, xlabel="layer", ylabel="share of test samples", title=title)
    style.legend_below(axes, handles, columns=1)
    return axes


def plot_likelihoods(
    likelihoods: np.ndarray, classes: Sequence[str], ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw the likelihood of every class along the layers; the classes that are likely somewhere have names.

    Args:
        likelihoods: (layers, K).
        classes: K names.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    index = np.arange(1, len(likelihoods) + 1)
    final = int(likelihoods[-1].argmax())
    order = [final, *(k for k in np.argsort(-likelihoods.max(0), kind="stable") if k != final)]
    handles = []
    for place, k in reversed(list(enumerate(order))):
        named = place < _NAMED
        (line,) = axes.plot(
            index,
            likelihoods[:, k],
            color=_COLOURS[place] if named else "#c4c9ce",
            linewidth=2.6 if place == 0 else 1.6 if named else 0.9,
            label=classes[k],
            gid=f"likelihood-{k}",
        )
        handles += [line] if named else []
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.finish(axes, xlabel="layer", ylabel="class likelihood", title=title)
    style.legend_below(axes, handles[::-1])
    return axes


def plot_parts(parts: Mapping[str, np.ndarray], ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw how far the parts of every layer's weights have moved, as lines on a logarithmic axis.

    Args:
        parts: by name, one norm a layer; zeros are left out.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    handles = []
    for place, (name, values) in enumerate(parts.items()):
        shown = np.where(np.asarray(values, float) > _NOTHING, values, np.nan)
        handles += axes.plot(
            np.arange(1, len(shown) + 1),
            shown,
            color=_COLOURS[place % len(_COLOURS)],
            marker="os^D"[place % 4],
            markersize=4,
            linewidth=1.6,
            label=name,
            gid=f"part-{place}",
        )
    if any(np.isfinite(handle.get_ydata()).any() for handle in handles):
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.finish(axes, xlabel="layer", ylabel="Frobenius norm of the change", title=title)
    style.legend_below(axes, handles, columns=1)
    return axes


def plot_maps(image: np.ndarray, maps: Sequence[tuple[str, np.ndarray]], columns: int = 5) -> Figure:
    """Draw an input in grey and maps of its shape beside it: blue below 0, red above, scaled each by itself.

    Args:
        image: the input; a vector is drawn as one row.
        maps: titles and values of the image's shape.
        columns: panels in a row.
    """
    rows = -(-(len(maps) + 1) // columns)
    size = (_PANEL * columns, (_PANEL + 0.3) * rows)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    panels[0].imshow(_as_picture(image), cmap="gray_r", interpolation="nearest")
    panels[0].set_title("input", fontsize=style.FONT - 3)
    for panel, (name, values) in zip(panels[1:], maps, strict=False):
        reach = max(float(np.abs(values).max()), _NOTHING)
        panel.imshow(_as_picture(values), cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
        panel.set_title(f"{name}\n±{reach:.2g}" if reach > _NOTHING else f"{name}\n0", fontsize=style.FONT - 3)
    return figure


def _as_picture(values: np.ndarray) -> np.ndarray:
    """Two axes: those of an image, or one row; channels are averaged."""
    squeezed = np.squeeze(values)
    if squeezed.ndim > 2:
        return squeezed.mean(0)
    return squeezed if squeezed.ndim == 2 else np.atleast_2d(squeezed)
