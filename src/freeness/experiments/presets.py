"""The sweeps that come with freeness."""

from __future__ import annotations

from freeness.errors import InputError, choice
from freeness.experiments.specification import DesignSpecification, RateSpecification, SweepSpecification

_DEPTHS = (2, 4, 8, 16, 32, 64)
_MULTIPLES = (
    1 / 16,
    1 / 8,
    1 / 4,
    3 / 8,
    1 / 2,
    5 / 8,
    3 / 4,
    7 / 8,
    1.0,
    1.5,
    2.0,
    4.0,
)  # dense where learning breaks
_ISOMETRIC = DesignSpecification(name="near-isometric hard-tanh", activation="hardtanh", isometry=1 / 64)

_PRESETS = {
    # The spread of the Jacobian is the same at every depth and q stays, so that the bound is close to 2/L.
    "headline": SweepSpecification(
        name="headline",
        designs=(_ISOMETRIC, DesignSpecification(name="gain-1 tanh at q = 1", activation="tanh", signal=1.0)),
        depths=_DEPTHS,
        rates=RateSpecification(values=_MULTIPLES),
        steps=1500,
        evaluate=(100, 300, 700, 1500),
    ),
    # How much spread of the Jacobian helps, at fixed depth.
    "capacity": SweepSpecification(
        name="capacity",
        designs=tuple(
            DesignSpecification(name=f"{spread:g}", activation="tanh", isometry=spread)
            for spread in (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0)
        ),
        depths=(16,),
        rates=RateSpecification(values=(1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0), unit="bound"),
        steps=1500,
        evaluate=(300, 1500),
    ),
    "depth-law": SweepSpecification(
        name="depth-law",
        designs=(_ISOMETRIC,),
        depths=(2, 4, 8, 16, 32),
        rates=RateSpecification(values=(1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0, 1.5, 2.0)),
        steps=1500,
        evaluate=(0, 100, 1500),
        metrics=("sharpness",),
    ),
    "tiny": SweepSpecification(
        name="tiny",
        designs=(DesignSpecification(name="hard-tanh", width=16),),
        depths=(2, 4),
        rates=RateSpecification(values=(1 / 8, 1 / 2, 8.0)),
        seeds=(0, 1),
        steps=60,
        evaluate=(20, 60),
    ),
}


def preset_names() -> tuple[str, ...]:
    """Names that :func:`preset` knows.

    Example:
        >>> preset_names()
        ('headline', 'capacity', 'depth-law', 'tiny')
    """
    return tuple(_PRESETS)


def preset(name: str) -> SweepSpecification:
    """A sweep that comes with freeness.

    "headline": accuracy over depth and learning rate with the line 2/L; "capacity": over the spread σ_JJ² of the Jacobian at
    depth 16; "depth-law": λ_max along training, threshold and best rate over depth; "tiny": a few seconds, to try the engine.

    Raises:
        InputError: another name.

    Example:
        >>> preset("headline").depths
        (2, 4, 8, 16, 32, 64)
    """
    if name not in _PRESETS:
        raise InputError(f"expected a preset among {', '.join(_PRESETS)}, got {name!r}; {choice(name, _PRESETS)}")
    return _PRESETS[name]
