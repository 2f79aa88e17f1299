"""What an analysis looks at."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.torch.given import GivenLoss, GivenOptimizer, given_loss, given_optimizer
from freeness.torch.outputs import OutputKey
from freeness.training import Objective, Optimizer

OWN = "own"  # loss, of the model
_BATCH = 64  # samples, where neither options nor a loader say how many


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
        passes: backward passes over which the layers are spread in a measurement, see :func:`freeness.torch.dual_plan`.
        seed, title, data: noted in the record.
        source: FILE.py:FACTORY that makes the model, for the commands that the advice names.
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
    passes: int | None = None
    title: str = ""
    data: str = ""
    source: str = ""
    weights: str = ""
    stand_in: str = ""

    @property
    def samples(self) -> int:
        """The number of samples of a batch."""
        return _BATCH if self.batch is None else self.batch

    @property
    def criterion(self) -> Objective:
        """The loss itself."""
        return given_loss("cross_entropy" if self.loss is None else self.loss)

    @property
    def descent(self) -> Optimizer:
        """The optimiser itself."""
        return given_optimizer(self.optimizer)
