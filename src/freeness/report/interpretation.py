"""A network read layer by layer, as a self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from freeness.report.files import version, write_atomically
from freeness.report.page import page_environment
from freeness.report.tables import Table, number, percent
from freeness.show import layer_accuracy_picture, likelihoods_picture, parts_picture, picture_uri, plot_maps

if TYPE_CHECKING:
    from freeness.interpret import ImageStory, Interpretation

INTERPRETATION_NAME = "interpretation.html"
_MAPS = 8  # layers whose maps are shown beside an image


def write_interpretation(told: Interpretation, directory: Path | str) -> Path:
    """Write the page into a directory, whole or not at all.

    Args:
        told: what was read.
        directory: made if it does not exist; an older page in it is replaced.

    Returns:
        The path of the file, ``interpretation.html`` in the directory.

    Raises:
        InputError: the directory cannot be made or written.
    """
    return write_atomically(Path(directory) / INTERPRETATION_NAME, render_interpretation(told))


def render_interpretation(told: Interpretation) -> str:
    """The page as text; strings in it are escaped.

    Args:
        told: what was read.
    """
    accuracy = layer_accuracy_picture(told.accuracy, told.accuracy_error, told.settled)
    return (
        page_environment()
        .get_template("interpretation.html")
        .render(
            told=told,
            version=version(),
            accuracy=picture_uri(accuracy),
            images=[_image(told, story) for story in told.images],
            roles=_roles_picture(told) if told.roles else "",
            role_table=role_table(told),
            ablation_table=ablation_table(told),
            state_table=state_table(told),
        )
    )


def ablation_table(told: Interpretation) -> Table:
    """Of every class its accuracy before and after deleting neurons, beside random ones.

    Args:
        told: what was read.
    """
    rows = tuple(
        (
            told.classes[one.target],
            percent(one.before),
            percent(one.after),
            f"{100 * one.drop:.1f}",
            f"{100 * one.random_drop:.1f} ± {100 * one.random_error:.1f}",
            number(one.ratio, 2) if np.isfinite(one.ratio) else "–",
            "yes" if one.significant else "no",
        )
        for one in told.ablations
    )
    header = ("class", "before", "after", "lost", "random: lost", "ratio", "> 3 SE")
    return Table(header, rows, header[1:])


def role_table(told: Interpretation) -> Table:
    """Of every layer how far its weights have left the identity, and in which part.

    Args:
        told: what was read.
    """
    rows = tuple(
        (
            str(layer.index),
            layer.role,
            number(layer.extraction, 3),
            number(layer.classification, 3),
            number(layer.revision, 3),
            number(layer.feedback, 3),
            number(layer.drift, 3),
            percent(accuracy),
        )
        for layer, accuracy in zip(told.roles, told.accuracy, strict=False)
    )
    header = ("layer", "role", "extract", "classify", "revise", "feed back", "drift", "right")
    return Table(header, rows, (header[0], *header[2:]))


def state_table(told: Interpretation) -> Table:
    """JJᵀ, freeness and drift along training.

    Args:
        told: what was read.
    """
    rows = tuple(
        (
            str(state.step),
            number(float(state.jacobian.eigenvalues.mean()), 4),
            number(state.spread, 3),
            number(float(state.jacobian.eigenvalues.max()), 4),
            number(state.largest_score, 3) if state.tested else "–",
            ("free" if state.freeness.free else "not free") if state.tested else "not tested",
            number(float(state.drift.max()), 3),
        )
        for state in told.states
    )
    header = ("step", "mean JJᵀ", "variance", "largest", "word", "freeness", "drift")
    return Table(header, rows, header)


def _image(told: Interpretation, story: ImageStory) -> dict[str, object]:
    layers = np.unique(np.linspace(1, told.depth - 1, min(_MAPS, told.depth - 1)).round().astype(int))
    maps = [(f"layer {layer}", story.maps[layer - 1]) for layer in layers]
    return {
        "story": story,
        "label": told.classes[story.label],
        "predicted": told.classes[story.predicted],
        "likelihoods": picture_uri(likelihoods_picture(story.likelihoods, told.classes)),
        "maps": picture_uri(plot_maps(story.pixels, [("speaks for it", story.support), *maps])),
    }


def _roles_picture(told: Interpretation) -> str:
    parts = {
        "extraction: input part to itself": np.array([layer.extraction for layer in told.roles]),
        "classification: input part to class neurons": np.array([layer.classification for layer in told.roles]),
        "revision: among class neurons": np.array([layer.revision for layer in told.roles]),
        "feedback: class neurons to input part": np.array([layer.feedback for layer in told.roles]),
    }
    return picture_uri(parts_picture(parts))
