"""A network read layer by layer, as a self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from freeness.show.answers.measured.interpretation import ablation_table, role_table, state_table
from freeness.show.encoded import picture_uri
from freeness.show.files import write_atomically
from freeness.show.maps import plot_maps
from freeness.show.page import page_environment
from freeness.show.pictures.interpretation import layer_accuracy_picture, likelihoods_picture, parts_picture
from freeness.version import __version__

if TYPE_CHECKING:
    from freeness.interpret import ImageStory, Interpretation

INTERPRETATION_NAME = "interpretation.html"
_MAPS = 8  # layers whose maps are shown beside an image


def write_interpretation(told: Interpretation, directory: Path | str) -> Path:
    """Write the page into a directory, whole or not at all.

    Args:
        told: what :func:`~freeness.interpret.tell` gave.
        directory: made if it does not exist; an older page in it is replaced.

    Returns:
        The path of the file, ``interpretation.html`` in the directory.

    Raises:
        InputError: the directory cannot be made or written.
    """
    return write_atomically(Path(directory) / INTERPRETATION_NAME, render_interpretation(told))


def render_interpretation(told: Interpretation) -> str:
    """The page as text; strings in it are escaped."""
    accuracy = layer_accuracy_picture(told.accuracy, told.accuracy_error, told.settled)
    return (
        page_environment()
        .get_template("interpretation.html")
        .render(
            told=told,
            version=__version__,
            accuracy=picture_uri(accuracy),
            images=[_image(told, story) for story in told.images],
            roles=_roles_picture(told) if told.roles else "",
            role_table=role_table(told),
            ablation_table=ablation_table(told),
            state_table=state_table(told),
        )
    )


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
