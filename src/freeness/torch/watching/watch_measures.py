"""What a visit to a model in training measures: each quantity by itself, and the training goes on as if nothing had been."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from freeness.advice import WatchedLayer, fault_of, odd_branch
from freeness.errors import InputError
from freeness.torch.loss.given import given_optimizer
from freeness.torch.loss.loss_modules import loss_kept
from freeness.torch.measured.hessian_products import gradient_of, hessian_product
from freeness.torch.measured.observing import observe
from freeness.torch.measured.products import input_products
from freeness.torch.model.modes import fixed_masks
from freeness.torch.model.outputs import run, select_output
from freeness.torch.model.state import owner, trained_parameters, untouched
from freeness.torch.rate.critical import critical_rate
from freeness.torch.rate.next_step import first_rate, next_step
from freeness.torch.request.batch import Batch
from freeness.torch.request.batch_loss import LossOf
from freeness.torch.request.stepping import OptimizerFactory
from freeness.torch.watching.watch_sharpening import FirstBatch, climbed_from
from freeness.training import Adam

_LAYERS, _FEWEST = (
    128,
    16,
)  # samples at most behind the table of layers; a quarter of the batch, where that is more than these
_TRIED = 2  # samples that show whether all fits
_JACOBIAN = 8  # samples behind the isometry
_PRODUCTS = 8, 3  # products for λ, and once a direction is known

Found = dict[str, Any]  # fields of a record


class Measures:
    """The quantities of one training, with what carries over from visit to visit.

    Every measurement leaves the model, its gradients and all random states as they were; the optimiser is copied, never
    stepped.

    Example:
        >>> from freeness.torch.request.user_data import batch_of
        >>> from freeness.torch.request.batch_loss import batch_loss
        >>> model = nn.Linear(1, 1, bias=False)
        >>> measures = Measures(model, torch.optim.SGD(model.parameters(), lr=0.5), batch_loss("half_squared_error"))
        >>> batch = batch_of((torch.ones(1, 1), torch.ones(1, 1)), model)
        >>> round(measures.taken("sharpness", batch)["sharpness"], 2)  # λ = 1
        1.0
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, loss: LossOf, given: object = None) -> None:
        self._model, self._optimizer, self._loss = model, optimizer, loss
        self._given = given  # the loss as the user gave it, which may run other modules
        self._start = {name: value.detach().clone() for name, value in trained_parameters(model).items()}
        self._last: dict[str, float] = {}
        self._direction: Tensor | None = None
        self._first = FirstBatch(model, optimizer, loss)

    def taken(self, name: str, batch: Batch) -> Found:
        """The fields of a record that a quantity fills in.

        Raises:
            InputError: the loss is not finite, or the model does not give what the quantity needs.
        """
        with fixed_masks(self._model), loss_kept(self._given, self._model):
            return QUANTITIES[name](self, batch)

    def tried(self, batch: Batch) -> None:
        """Two samples through model and loss."""
        kept = loss_kept(self._given, self._model)
        with fixed_masks(self._model), kept, untouched(self._model, training=None), torch.no_grad():
            self._loss(self._model, batch.part(0, _TRIED))

    def critical(self, batch: Batch) -> Found:
        """The critical rate of the optimiser's next step, with momentum and all that it remembers."""
        rate = first_rate(self._optimizer)
        if not rate > 0:
            return {}
        return self._crossed("critical", batch, rate, next_step(self._optimizer, self._model))

    def gradient(self, batch: Batch) -> Found:
        """The critical rate along the gradient."""
        return self._crossed("critical_gradient", batch, first_rate(self._optimizer) or 1e-3, None)

    def _crossed(self, name: str, batch: Batch, first: float, optimizer: OptimizerFactory | None) -> Found:
        """The critical rate, sought from that of the last visit."""
        loss, start = partial(self._loss, self._model, batch), self._last.get(name, first)
        found = critical_rate(self._model, loss, optimizer, start=start)
        self._last[name] = found.rate if math.isfinite(found.rate) and found.rate > 0 else first
        return {name: found.rate, "loss": found.loss}

    def sharpness(self, batch: Batch) -> Found:
        """λ by Lanczos from the last visit's direction."""
        loss = partial(self._loss, self._model, batch)
        scale = preconditioner(self._optimizer, self._model)
        with untouched(self._model, training=None):
            product, value = hessian_product(self._model, loss, scale)
            found = climbed_from(self._model, product, self._direction, _PRODUCTS)
        vector = self._direction = found.vector
        tiny = 0.0 if vector is None else torch.finfo(vector.dtype).tiny  # below that no digit is known
        largest = found.value if abs(found.value) >= tiny else 0.0
        filled = {"loss": value, "sharpness": largest}
        try:
            return filled | {"bound": given_optimizer(self._optimizer).bound(largest)}
        except InputError:  # no optimiser whose bound is known, a maximum of the loss, or no curvature at all
            return filled

    def sharpening(self, batch: Batch) -> Found:
        """λ of the batch that was visited first, and at the first time how much a step changes it."""
        return self._first.visited(batch)

    @property
    def meets(self) -> bool:
        """Whether the batch of every step is asked for."""
        return self._first.meets

    def met(self, batch: Batch) -> None:
        """A step was taken on this batch."""
        self._first.met(batch)

    def layers(self, batch: Batch) -> Found:
        """The table of layers, what it shows, and how far the weights are from those at the start."""
        part = batch.part(0, min(max(batch.count // 4, _FEWEST), _LAYERS))
        table = observe(self._model, partial(self._loss, self._model, part))
        fault = fault_of(table)
        if fault.place is None:
            fault = odd_branch(table) or fault
        away = self._drift()
        rows = tuple(WatchedLayer(row.name, row.signal, row.gradient, away.get(row.name)) for row in table.modules)
        cosines = [row.cosine for row in table.sums if row.cosine is not None]
        return {
            "loss": table.loss if part.count == batch.count else None,
            "layers": rows,
            "drift": away.get(None),
            "dead": max((row.dead for row in table.activations), default=None),
            "saturated": max((row.saturated for row in table.activations), default=None),
            "cosine": cosines[-1] if cosines else None,
            "fault": fault.sentence if fault.place is not None else "",
            "place": fault.place,
        }

    def noise(self, batch: Batch) -> Found:
        """tr Σ/‖g‖² from the gradients of two halves a, b of the batch of B: tr Σ ≈ B‖a - b‖²/4, ‖g‖² ≈ a·b.

        Source: McCandlish et al., arXiv 1812.06162, appendix A.
        """
        half = batch.count // 2
        if half < 1:
            return {}
        parts = [batch.part(0, half), batch.part(half, 2 * half)]
        with untouched(self._model, training=None, copies=list(self._model.buffers())):
            a, b = (gradient_of(self._model, partial(self._loss, self._model, part))[0] for part in parts)
        signal = float(torch.dot(a, b))
        scatter = 2 * half * float((a - b).square().sum()) / 4
        return {"noise": scatter / signal if signal > 0 else math.inf}

    def isometry(self, batch: Batch) -> Found:
        """C·tr A²/(tr A)² - 1 with A = JJᵀ, by one random direction of the outputs for each of some samples."""
        if not batch.single or not batch.args[0].is_floating_point():
            return {}
        x = batch.args[0][:_JACOBIAN]

        def outputs_of(z: Tensor) -> Tensor:
            found = select_output(run(self._model, z))[1]
            if found.ndim == 0:
                raise InputError("expected outputs beside the loss, got the loss alone; return them, too.")
            return found.reshape(len(z), -1)

        with untouched(self._model, copies=list(self._model.buffers())), torch.enable_grad():
            products = input_products(outputs_of, x)
            outputs = products.outputs
            drawn = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0)).to(
                outputs.device, outputs.dtype
            )
            pulled = products.pull(drawn)
            once, twice = pulled.square().sum(), products.push(pulled).square().sum()
        mean, square = float(once / drawn.square().sum()), float(twice / drawn.square().sum())
        return {"isometry": square / mean**2 - 1} if mean > 0 else {}

    def _drift(self) -> dict[str | None, float]:
        """By module, and of all weights under None."""
        moved: dict[str | None, float] = {}
        there: dict[str | None, float] = {}
        for name, parameter in trained_parameters(self._model).items():
            first = self._start.get(name)
            if first is None or first.shape != parameter.shape:  # thawed or replaced since
                continue
            module = owner(name)
            distance = float((parameter.detach() - first).double().square().sum())
            norm = float(first.double().square().sum())
            for key in (module, None):
                moved[key] = moved.get(key, 0.0) + distance
                there[key] = there.get(key, 0.0) + norm
        return {key: math.sqrt(moved[key] / there[key]) for key in moved if there[key] > 0}


QUANTITIES: dict[str, Callable[[Measures, Batch], Found]] = {
    "critical": Measures.critical,
    "layers": Measures.layers,
    "sharpness": Measures.sharpness,
    "noise": Measures.noise,
    "gradient": Measures.gradient,
    "isometry": Measures.isometry,
    "sharpening": Measures.sharpening,
}


def preconditioner(optimizer: torch.optim.Optimizer, model: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """√v̂ + ε of Adam's next step, from the gradient g that this step sees; None for other optimisers.

    v ← β₂v + (1-β₂)g² comes before a step. Without it a weight that no batch has reached so far, as behind a ReLU that was dead,
    is divided by ε alone at the first batch that reaches it, and λ is a hundred thousand times too large.

    Source: Kingma, Ba, arXiv 1412.6980, algorithm 1.
    """
    try:
        descent = given_optimizer(optimizer)
    except InputError:
        return None
    if not isinstance(descent, Adam):
        return None
    states = [optimizer.state.get(parameter, {}) for parameter in trained_parameters(model).values()]

    def scale(gradient: Tensor) -> Tensor:
        sizes = [parameter.numel() for parameter in trained_parameters(model).values()]
        parts = []
        for state, part in zip(states, gradient.split(sizes), strict=True):
            seen = descent.beta2 * state["exp_avg_sq"].reshape(-1) if "exp_avg_sq" in state else 0.0
            step = float(state.get("step", 0)) + 1
            moment = (seen + (1 - descent.beta2) * part.square()) / (1 - descent.beta2**step)
            parts.append(moment.sqrt() + descent.epsilon)
        return torch.cat(parts)

    return scale
