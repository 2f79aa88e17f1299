"""What an analysis looks at."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.errors import InputError, is_real
from freeness.torch.loss.given import GivenLoss, GivenOptimizer, given_loss, given_optimizer
from freeness.torch.model.outputs import OutputKey
from freeness.torch.request.stages import PARTS
from freeness.training import USUAL_BATCH, Objective, Optimizer

OWN = "own"  # loss, of the model


@dataclass(frozen=True)
class AnalyzeOptions:
    """What :func:`~freeness.torch.analyze` looks at.

    Args:
        sample: index of the input whose Jacobian and Fisher are analysed.
        loss: averaged over the batch: "half_squared_error", "half_mean_squared_error", "mse", "cross_entropy" or
            "binary_cross_entropy"; or whatever else :func:`~freeness.torch.given_loss` takes: losses of torch with their weights
            and reductions, or a function of (outputs, targets). "own" is what the model itself returns as its loss; when left
            out it is that where the model returns one, and "cross_entropy" elsewhere.
        optimizer: "sgd", "momentum" (β = 0.9), "nesterov", "adam" or "adamw" (without decay); an
            :class:`~freeness.training.Optimizer`; or an instance of torch's SGD, Adam or AdamW, or what makes one.
        batch: number of samples whose GGN gives the learning rate (the first ones); the loader's, or 64, when left out.
        device: where to compute; the model is moved there for the analysis and back.
        output: name or number of the output to look at, where the model returns several.
        training: None for the mode that training will use: batch normalisation by the statistics of the batch, which are held
            fixed for spectra at one sample, and dropout with the same masks in every evaluation, which is off for those; True;
            or False for eval mode. Modules that are in eval mode inside a model in training mode stay so under None.
        budget: seconds for everything. What does not fit is estimated, with its error, or left out, and the record says so. The
            plan follows from counted operations, so that a model gets the same numbers on a busy machine.
        memory: bytes beyond the model.
        only: "layers", "spectra", "rate", or several of them; everything when left out.
        passes: backward passes over which the layers are spread in a measurement, see :func:`freeness.torch.dual_plan`.
        seed, title, data: noted in the record.
        source: FILE.py:FACTORY that makes the model, for the commands that the advice names.
        data_source: what --data has to name in those commands; "" where the usual data do.
        asked: what else they have to say: loss, optimiser, batch.
        trials: the command that finds the rate of this model by trials; a call in Python when left out.
        weights: the file that the model's weights are from, noted.
        stand_in: what the targets are if no labels were given, noted and warned of.
    """

    sample: int = 0
    loss: GivenLoss | None = None
    optimizer: GivenOptimizer = "sgd"
    batch: int | None = None
    seed: int = 0
    device: str = "cpu"
    output: OutputKey = None
    training: bool | None = None
    budget: float = 60.0
    memory: float = 4e9
    only: str | tuple[str, ...] = ()
    passes: int | None = None
    title: str = ""
    data: str = ""
    source: str = ""
    data_source: str = ""
    asked: str = ""
    trials: str = ""
    weights: str = ""
    stand_in: str = ""

    def __post_init__(self) -> None:
        if not (is_real(self.budget) and self.budget > 0 and is_real(self.memory) and self.memory > 0):
            raise InputError(
                f"expected a budget of seconds and a memory of bytes above 0, got {self.budget!r} and {self.memory!r}."
            )
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown:
            raise InputError(f"expected only= among {', '.join(PARTS)}, got {unknown[0]!r}; choose one or several.")

    @property
    def parts(self) -> tuple[str, ...]:
        """What is asked for, as a tuple."""
        return (self.only,) if isinstance(self.only, str) else tuple(self.only)

    @property
    def samples(self) -> int:
        """The number of samples of a batch."""
        return USUAL_BATCH if self.batch is None else self.batch

    @property
    def criterion(self) -> Objective:
        """The loss itself."""
        return given_loss("cross_entropy" if self.loss is None else self.loss)

    @property
    def descent(self) -> Optimizer:
        """The optimiser itself."""
        return given_optimizer(self.optimizer)
