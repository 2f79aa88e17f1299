"""A network read layer by layer: accuracy, class likelihoods, parts of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Num

from freeness.show import style
from freeness.show.picture import Appearance, Axis, Bars, Drawing, Marker, Picture, Series

_COLOURS = (style.THEORY, style.MEASURED, style.GREEN, style.RED)
_MARKERS: tuple[Marker, ...] = ("circle", "square", "up", "diamond")
_NAMED = 4  # classes that get a colour, the likeliest
_NOTHING = 1e-12
_LAYER = Axis("layer", form="whole")


def layer_accuracy_picture(
    accuracy: Float[np.ndarray, " layers"],
    error: Float[np.ndarray, " layers"],
    settled: Num[np.ndarray, " layers"] | None = None,
    *,
    title: str = "",
) -> Picture:
    """The accuracy that is read at every layer with error bars, over the share of samples that settle there.

    Args:
        accuracy: share of right answers, 0 to 1, one number a layer.
        error: its standard error at each layer.
        settled: how many samples have their final class from this layer on; left out, no bars.
        title: above the picture.
    """
    index = np.arange(1, len(accuracy) + 1)
    drawn: list[Drawing] = []
    if settled is not None:
        name = "share of samples whose class settles here"
        drawn.append(Bars(index, settled / settled.sum(), Appearance("#d9e3ea"), name, "settled"))
    name = "accuracy read at this layer ± standard error"
    drawn.append(Series(index, accuracy, Appearance(style.THEORY, 1.8), name, "accuracy", error=error))
    shares = Axis("share of test samples", 0.0, 1.0, form="percent")
    sentence = f"Accuracy read at every layer: {accuracy[0]:.1%} at the first and {accuracy[-1]:.1%} at the last."
    return Picture(tuple(drawn), _LAYER, shares, title=title, sentence=sentence, columns=1)


def likelihoods_picture(
    likelihoods: Float[np.ndarray, "layers classes"], classes: Sequence[str], *, title: str = ""
) -> Picture:
    """The likelihood of every class along the layers; the classes that are likely somewhere have names.

    Args:
        likelihoods: (layers, K), each row adds up to 1.
        classes: K names.
        title: above the picture.
    """
    index = np.arange(1, len(likelihoods) + 1)
    final = int(likelihoods[-1].argmax())
    order = [final, *(k for k in np.argsort(-likelihoods.max(0), kind="stable") if k != final)]
    drawn = []
    for place, k in reversed(list(enumerate(order))):  # the likeliest above the others
        named = place < _NAMED
        look = Appearance(_COLOURS[place] if named else "#c4c9ce", 2.6 if place == 0 else 1.6 if named else 0.9)
        drawn.append(Series(index, likelihoods[:, k], look, str(classes[k]) if named else "", f"likelihood-{k}"))
    sentence = f"Class likelihoods along the layers; {classes[final]} is the likeliest at the last."
    return Picture(
        tuple(drawn), _LAYER, Axis("class likelihood", 0.0, 1.0), title=title, sentence=sentence, backwards=True
    )


def parts_picture(parts: Mapping[str, Float[np.ndarray, " layers"]], *, title: str = "") -> Picture:
    """How far the parts of every layer's weights have moved, as lines on a logarithmic axis.

    Args:
        parts: by name, one norm a layer; zeros are left out.
        title: above the picture.
    """
    drawn = []
    for place, (name, values) in enumerate(parts.items()):
        shown = np.where(np.asarray(values, float) > _NOTHING, values, np.nan)
        marker = _MARKERS[place % len(_MARKERS)]
        look = Appearance(_COLOURS[place % len(_COLOURS)], 1.6, marker=marker, size=4)
        drawn.append(Series(np.arange(1, len(shown) + 1), shown, look, name, f"part-{place}"))
    log = any(np.isfinite(one.y).any() for one in drawn)
    norms = Axis("Frobenius norm of the change", log=log)
    sentence = "Norms of the parts of the change of every layer's weights."
    return Picture(tuple(drawn), _LAYER, norms, title=title, sentence=sentence, columns=1)
