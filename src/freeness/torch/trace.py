"""From an nn.Module to a Network: which layers it is made of, and the proof that nothing was missed."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.network.layers import Activation, Dense, Network
from freeness.torch.elementwise import activation_function
from freeness.torch.exported import exported_steps
from freeness.torch.hooked import hooked_steps
from freeness.torch.recognise import recognise
from freeness.torch.state import untouched
from freeness.torch.steps import DenseStep, ElementwiseStep, Step

_LOG = logging.getLogger(__name__)
_EXPORT_LOGGERS = ("torch.export._trace", "torch.fx.experimental.symbolic_shapes")
_REPLAY = {torch.float32: 1e-5, torch.float64: 1e-10}


@dataclass(frozen=True, eq=False)
class Chain:
    """A model as a chain of weight layers and elementwise functions.

    ``steps`` hold the model's own tensors (no copies: a later change of the weights shows); ``input_shape`` is the shape
    of one sample.
    """

    steps: tuple[Step, ...]
    input_shape: tuple[int, ...]

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """W_1, …, W_L, each (fan_out, fan_in)."""
        return tuple(step.weight for step in self.steps if isinstance(step, DenseStep))

    @property
    def biases(self) -> tuple[Tensor | None, ...]:
        """b_1, …, b_L, each (fan_out) or None."""
        return tuple(step.bias for step in self.steps if isinstance(step, DenseStep))

    def replay(self, x: Tensor) -> Tensor:
        """Run the record: inputs (B, *input_shape) give outputs (B, C), one sample of shape ``input_shape`` gives (C,).

        Computed in the dtype of x.

        Raises:
            InputError: x has another shape.
        """
        if tuple(x.shape) == self.input_shape:
            flat = x.reshape(-1)
        elif tuple(x.shape[1:]) == self.input_shape:
            flat = x.reshape(len(x), -1)
        else:
            raise InputError(
                f"expected inputs of shape {('B', *self.input_shape)}, got {tuple(x.shape)}; reshape them."
            )
        with torch.no_grad():
            for step in self.steps:
                flat = step(flat)
        return flat

    def sample(self, x: Tensor) -> Tensor:
        """One sample as a vector (N_0,) in float64 on the device of the weights.

        Args:
            x: a sample of shape ``input_shape`` or (N_0,), or a batch that holds exactly one.

        Raises:
            InputError: another shape or several samples, not finite, or zero.
        """
        features = self.weights[0].shape[1]
        if x.numel() != features:
            raise InputError(
                f"expected one sample of {features} features, got shape {tuple(x.shape)}; pass one row, as in x[0]."
            )
        if x.is_complex() or not bool(torch.isfinite(x).all()):
            raise InputError("expected a finite real sample, got NaN, infinity or complex numbers; clean the input.")
        if not bool(x.any()):
            raise InputError("expected a nonzero sample, got all zeros, which carries no signal; pass another input.")
        device = self.weights[0].device
        return x.detach().reshape(-1).to("cpu" if device.type == "mps" else device, torch.float64)  # mps has no float64


@dataclass(frozen=True, eq=False)
class Trace(Chain):
    """A chain with ``network``, its framework-free record, whose layers are aligned with the steps."""

    network: Network


def trace(model: nn.Module, example: Tensor) -> Trace:
    """Read the layers of a model: Linear, elementwise activations (modules or functions), shape changes.

    The graph comes from torch.export, or from forward hooks where export fails. Between two weight layers all
    elementwise calls are one activation. Every weight matrix is assigned its ensemble
    (:func:`~freeness.torch.recognise.recognise`); σ_b is the root mean square of the bias. The model is read in eval
    mode and left as it was. At the end the record is run on ``example``.

    Args:
        model: the module, float32 or float64.
        example: an input as the model takes it, (B, …) or (features,), in the model's dtype.

    Returns:
        The trace; ``Dense.bias`` is False where a bias is absent or frozen.

    Raises:
        InputError: an operation outside the list (named, with its module), shared or partly frozen weights, weights
            that are not finite, an input of the wrong shape or dtype, or a record that does not reproduce the output
            (1e-5 in float32, 1e-10 in float64, relative to the largest output).

    Example:
        >>> model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2, bias=False))
        >>> trace(model, torch.ones(1, 6)).network.widths
        (6, 5, 2)
    """
    chain = read_chain(model, example)
    any_trained = any(parameter.requires_grad for parameter in model.parameters())
    network = Network(tuple(_layer(step, any_trained) for step in chain.steps))
    return Trace(chain.steps, chain.input_shape, network)


def read_chain(model: nn.Module, example: Tensor) -> Chain:
    """:func:`trace` without the ensembles of the weights, whose singular values are most of its time.

    Example:
        >>> chain = read_chain(nn.Sequential(nn.Linear(6, 5), nn.Tanh()), torch.ones(1, 6))
        >>> [step.name for step in chain.steps], chain.input_shape
        (['0', '1'], (6,))
    """
    _check_tensors(model, example)
    with untouched(model, copies=_runs_foreign_code(model)), torch.inference_mode(False), torch.no_grad():
        expected = _run(model, example)
        steps = _merged(_read(model, example))
        _check_steps(model, steps)
    chain = Chain(steps, tuple(example.shape[1:]) if example.ndim > 1 else tuple(example.shape))
    _check_replay(chain, example, expected)
    return chain


def _runs_foreign_code(model: nn.Module) -> bool:
    """Whether a forward pass runs code that is not torch's, which could write to the weights."""
    return any(
        not type(module).__module__.startswith("torch.nn.modules.")
        or "forward" in vars(module)
        or any(value for key, value in vars(module).items() if "hooks" in key and isinstance(value, dict))
        for module in model.modules()
    )


def _read(model: nn.Module, example: Tensor) -> tuple[Step, ...]:
    with _quiet_export():
        try:
            return exported_steps(model, example)
        except InputError:
            raise
        except Exception as error:  # torch.export raises many types; a forward pass was seen to work
            _LOG.info(
                "torch.export could not read %s (%s), using forward hooks", type(model).__name__, type(error).__name__
            )
        return hooked_steps(model, example)


@contextmanager
def _quiet_export() -> Iterator[None]:
    """Keep what torch.export says about models that it cannot read (a whole graph) from the user, who cannot use it."""
    talkers = [logger for logger in map(logging.getLogger, _EXPORT_LOGGERS) if not logger.disabled]
    for logger in talkers:
        logger.disabled = True
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger in talkers:
            logger.disabled = False


def _merged(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Adjacent elementwise steps become one: their D are functions of the same h, not independent."""
    merged: list[Step] = []
    for step in steps:
        before = merged[-1] if merged else None
        if isinstance(step, ElementwiseStep) and isinstance(before, ElementwiseStep):
            merged[-1] = ElementwiseStep(before.name, before.function.then(step.function))
        else:
            merged.append(step)
    return tuple(merged)


def _layer(step: Step, any_trained: bool) -> Dense | Activation:
    if isinstance(step, ElementwiseStep):
        return Activation(activation_function(step.function), step.name)
    fan_out, fan_in = step.weight.shape
    if step.bias is None:
        return Dense(fan_in, fan_out, recognise(step.weight), name=step.name)
    sigma_b = float(step.bias.detach().double().square().mean().sqrt())
    trained = step.bias.requires_grad or not any_trained
    return Dense(fan_in, fan_out, recognise(step.weight), sigma_b, trained, step.name)


def _check_tensors(model: nn.Module, example: Tensor) -> None:
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise InputError(f"expected initialised parameters, got the lazy {name!r}; run the model once first.")
        if parameter.dtype not in _REPLAY:
            raise InputError(
                f"expected float32 or float64 parameters, got {parameter.dtype} in {name!r}; use model.float()."
            )
        if parameter.numel() and not all(bool(end.isfinite()) for end in torch.aminmax(parameter.detach())):  # no copy
            raise InputError(
                f"expected finite parameters, got NaN or infinity in {name!r}; initialise or reload the model."
            )
        if parameter.dtype != example.dtype or parameter.device != example.device:
            raise InputError(
                f"expected an input of {parameter.dtype} on {parameter.device} like the parameter {name!r}, "
                f"got {example.dtype} on {example.device}; convert the input by x.to(…)."
            )
    if example.numel() == 0 or not bool(torch.isfinite(example).all()):
        raise InputError(
            f"expected a finite input with at least one sample, got shape {tuple(example.shape)}; clean the input."
        )


def _run(model: nn.Module, example: Tensor) -> Tensor:
    try:
        output = model(example)
    except Exception as error:  # whatever the user's forward raises is told in one sentence
        first = next((layer for layer in model.modules() if isinstance(layer, nn.Linear)), None)
        wanted = (
            "an input that the model accepts"
            if first is None
            else f"an input of in_features = {first.in_features} a sample"
        )
        raise InputError(
            f"expected {wanted}, got shape {tuple(example.shape)}, on which the model fails ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); reshape the input or correct the model."
        ) from error
    if not isinstance(output, Tensor):
        raise InputError(
            f"expected a model that returns one tensor, got {type(output).__name__}; wrap it to return one tensor."
        )
    return output


def _check_steps(model: nn.Module, steps: Sequence[Step]) -> None:
    dense = [step for step in steps if isinstance(step, DenseStep)]
    if not dense:
        raise InputError("expected a model with at least one Linear layer, got none; there is no spectrum to compute.")
    for _, same in groupby(sorted(dense, key=lambda step: id(step.weight)), key=lambda step: id(step.weight)):
        names = [step.name for step in same]
        if len(names) > 1:
            raise InputError(
                f"expected one weight a layer, got the same weight at {len(names)} places ({names}); untie them."
            )
    flags = {step.name: step.weight.requires_grad for step in dense}
    if any(parameter.requires_grad for parameter in model.parameters()) and not all(flags.values()):
        frozen = [name for name, flag in flags.items() if not flag]
        raise InputError(
            f"expected all weights trained or all frozen, got frozen weights in {frozen}; use requires_grad_(True)."
        )


def _check_replay(chain: Chain, example: Tensor, expected: Tensor) -> None:
    replayed = chain.replay(example)
    if replayed.numel() == expected.numel():
        error = float((replayed.reshape(-1) - expected.detach().reshape(-1)).abs().max())
        if error <= _REPLAY[replayed.dtype] * max(float(expected.abs().max()), torch.finfo(replayed.dtype).tiny):
            return
    raise InputError(
        "expected a record that reproduces the model's output, got another output: the model does something that "
        "Trace does not see; simplify its forward (no in-place writes, no randomness)."
    )
