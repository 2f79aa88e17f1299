"""A design for a model of one's own, and the model initialised by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from freeness.advice import Design, DesignOptions, Training, design
from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, activation
from freeness.torch.model.sampling import seeded_generator
from freeness.torch.start.apply import DesignTarget, chain_widths, design_target
from freeness.torch.start.initialize import InitializeOptions, initialize_
from freeness.torch.start.initialized import InitializedLayer, InitializedModel

_NAMES, _WIDTHS = 4, 8  # of layers in one note, and widths in a sentence


@dataclass(frozen=True)
class DesignRequest:
    """A design as it is asked for; what is None is read from the model.

    ``width``: one for all layers, or N_0, …, N_L. ``parameters``: of the activation.
    """

    depth: int | None = None
    width: int | Sequence[int] | None = None
    activation: str | None = None
    parameters: dict[str, float] = field(default_factory=dict)
    isometry: float | None = None
    options: DesignOptions = field(default_factory=DesignOptions)
    training: Training = field(default_factory=Training)

    @property
    def plain(self) -> bool:
        """Whether nothing of the design is asked for, so that any start that fits the model will do."""
        asked = (self.depth, self.width, self.activation, self.isometry)
        return asked == (None,) * len(asked) and not self.parameters and self.options == DesignOptions()


@dataclass(frozen=True, eq=False)
class AppliedDesign:
    """A design and what each of the model's layers got.

    ``chain``: whether the model is one, so that the design's numbers are its own; ``notes``: what the design does not know of it.
    """

    design: Design
    start: InitializedModel
    chain: bool
    notes: tuple[str, ...]

    @property
    def layers(self) -> tuple[InitializedLayer, ...]:
        """Those that were initialised, and activations that were exchanged."""
        return self.start.layers


def apply_design(
    model: nn.Module, request: DesignRequest | None = None, *, data: object = None, seed: int = 0
) -> AppliedDesign:
    """Design the start of a model and initialise it in place.

    Args:
        model: any module with linear or convolutional layers.
        request: depth, widths and activation are the model's where it does not say.
        data: what the model takes, in any form that ``analyze`` takes; random inputs where this is None.
        seed: of the weights that are drawn, from 0 to 2⁶³ - 1.

    Raises:
        InputError: the request does not fit the model, or the design does not exist.

    Example:
        >>> found = apply_design(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)))
        >>> found.design.depth, found.design.widths, found.chain, [layer.kind for layer in found.layers]
        (2, (8, 8, 2), True, ['Linear', 'Linear'])
    """
    asked = request or DesignRequest()
    target = design_target(model, data)
    depth, widths = _shape(asked, model, target)
    function = _function(asked, target)
    note = target.check(function) if asked.options.form == "plain" else ""
    found = design(depth, widths, function, asked.isometry, asked.options, asked.training)
    options = InitializeOptions(swap=found.activation is not found.named, firsts=target.firsts)
    start = initialize_(model, found, generator=seeded_generator(seed), options=options)
    notes = tuple(text for text in (*_beside(target, found, start), note) if text)
    return AppliedDesign(found, start, target.is_chain, notes)


def _shape(asked: DesignRequest, model: nn.Module, target: DesignTarget) -> tuple[int, int | list[int]]:
    """Depth and widths as asked for, or the model's; of a model that is a chain both agree."""
    typed = asked.width if asked.width is None or isinstance(asked.width, int) else list(asked.width)
    if asked.depth is not None and typed is not None and not target.is_chain:
        return asked.depth, typed
    widths = list(_widths(model, target))
    depth = len(widths) - 1
    if target.is_chain and asked.depth not in (None, depth):
        raise InputError(
            f"expected --depth {depth}, the weight matrices of this model, got {asked.depth}; leave it out to take the model's."
        )
    typed = widths if typed is None else typed
    if target.is_chain and typed not in (widths, widths[0] if len(set(widths)) == 1 else widths):
        given = str(typed) if isinstance(typed, int) else ",".join(map(str, typed))
        raise InputError(
            f"expected --width {listed(widths)}, the widths of this model, got {given}; leave it out to take the model's."
        )
    return (depth if asked.depth is None else asked.depth), typed


def _widths(model: nn.Module, target: DesignTarget) -> tuple[int, ...]:
    try:
        return chain_widths(model)
    except InputError as error:
        if len(target.longest) > 2:
            return target.longest
        if target.run:
            raise
        raise InputError(
            f"expected inputs that show how the layers of {type(model).__name__} are joined, got none that it takes; say "
            "--data (data=… in Python), or give --depth and --width."
        ) from error


def _function(asked: DesignRequest, target: DesignTarget) -> ActivationFunction:
    if asked.activation is not None:
        return activation(asked.activation, **asked.parameters)
    if asked.parameters:
        raise InputError("expected --activation with --parameter, got none; name the activation, too.")
    return target.activation()


def _beside(target: DesignTarget, found: Design, layers: InitializedModel) -> list[str]:
    """What the model has and a chain has not."""
    notes = []
    written = sum(record.ensemble not in ("activation", "unchanged") for record in layers)
    of = f"the numbers above are of a chain of {found.depth} weight matrices, widths {listed(found.widths)}"
    if not target.run:
        notes.append(
            f"No input was found that the model takes, so how its layers are joined is not known. {written} of them were "
            f"initialised one by one with σ_w and σ_b of the design, and {of}. Say by --data what it takes."
        )
    elif target.beside:
        notes.append(
            f"The model is no chain, it has {', '.join(target.beside)}. Its {written} linear and convolutional layers "
            f"were initialised one by one with σ_w and σ_b of the design, and {of}, not of this network. freeness analyze "
            "tells its own."
        )
    if "residual sum" in target.beside:
        notes.append(
            "Residual branches were not scaled; in Python initialize_(model, design, "
            'options=InitializeOptions(branch_ends=(PATTERN,), branch_scale="design")) does.'
        )
    bare = [one.name for one in layers if one.ensemble not in ("activation", "unchanged") and one.sigma_b == 0]
    if found.sigma_b > 0 and bare:
        more = ", …" if len(bare) > _NAMES else ""
        notes.append(
            f"No bias in {', '.join(bare[:_NAMES])}{more}: σ_b = {found.sigma_b:.4g} is missing there, which the numbers above "
            "count with."
        )
    left = [row.name for row in layers.left if len(row.shape) > 1 and "buffer" not in row.reason]
    if left:
        notes.append(f"Weights left as they were: {', '.join(left[:_NAMES])}{', …' if len(left) > _NAMES else ''}.")
    return notes


def listed(widths: Sequence[int]) -> str:
    """Widths in a sentence, 784,512 … 512,10 where they are many."""
    texts = [str(width) for width in widths]
    return ",".join(texts if len(texts) <= _WIDTHS else [*texts[:3], "…", *texts[-2:]])
