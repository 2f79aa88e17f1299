"""A user's model from ``FILE.py:FACTORY``, and its weights from a file."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import cast

import torch
from torch import nn

from freeness.data import made_by, split_factory
from freeness.errors import InputError, choice
from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.model.compiled import uncompiled
from freeness.torch.model.weights import load_weights_, read_weights
from freeness.torch.request.analyze_options import OWN
from freeness.torch.request.stepping import AnyOptimizer
from freeness.training import Objective, loss_names, optimizer_names

_SEEDS = 2**63  # torch takes 64 bits, and one is for seed + 1


def load_model(spec: str, seed: int = 0) -> nn.Module:
    """Run ``FILE.py`` and call its ``FACTORY()`` without arguments, under the given torch seed.

    This executes the user's own code. The global random state is put back afterwards.

    Args:
        spec: ``path/to/file.py:name``; the name may also be that of an nn.Module object.
        seed: of torch's generator while the factory runs, below 2⁶³.

    Raises:
        InputError: no such file or name, the code raises or exits, it does not return an nn.Module, or another seed.
    """
    name = split_model(spec)[1]
    check_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = made_by(spec, ready=lambda found: isinstance(found, nn.Module))
    if not isinstance(model, nn.Module):
        raise InputError(
            f"expected {name}() to return an nn.Module, got {type(model).__name__}; return the model itself."
        )
    return uncompiled(model)


def device_of(name: str) -> torch.device:
    """A device of this machine by its name.

    Example:
        >>> device_of("cpu")
        device(type='cpu')
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
        if device.type == "meta":
            raise RuntimeError("meta tensors hold no values")
    except (RuntimeError, AssertionError, ImportError) as error:  # torch asserts where CUDA is not compiled in
        raise InputError(
            f"expected a device that this machine has, got {name!r}, which torch cannot use here; choose --device cpu."
        ) from error
    return device


def split_model(spec: str) -> tuple[Path, str]:
    """File and name in ``FILE.py:FACTORY``; nothing is run.

    Raises:
        InputError: one is missing, or there is no such file.
    """
    return split_factory(spec)


def check_seed(seed: int) -> None:
    """Refuse a seed that torch or the draw after it cannot take."""
    if not 0 <= seed < _SEEDS:
        raise InputError(f"expected a seed from 0 to 2**63 - 1, got {seed}; choose a smaller one.")


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the weights of a file into a model, all of them or none; nothing in the file is run.

    Args:
        model: changed in place.
        path: .safetensors, or .pt with a state_dict of plain tensors.

    Raises:
        InputError: no such file, a damaged one, or names, shapes or numbers that do not fit the model.

    Example:
        >>> import tempfile
        >>> other, model = nn.Linear(2, 1), nn.Linear(2, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(other.state_dict(), f"{folder}/start.pt")
        ...     load_weights(model, Path(folder) / "start.pt")
        >>> bool((model.weight == other.weight).all())
        True
    """
    if not path.is_file():
        raise InputError(f"expected a file of weights at {str(path)!r}, found none; check the path.")
    load_weights_(model, read_weights(path), f" of {type(model).__name__} in {path.name!r}")


def load_loss(spec: str | None) -> GivenLoss | None:
    """What ``--loss`` names: a loss by its name, "own", or what FILE.py:NAME is or makes; None stays None.

    Args:
        spec: a name, or FILE.py:NAME of a loss of torch, of a function of (outputs, targets), or of one that makes either.

    Raises:
        InputError: no such loss.

    Example:
        >>> load_loss("mse"), load_loss("own"), load_loss(None)
        ('mse', 'own', None)
    """
    if spec is None or spec in (*loss_names(), OWN):
        return spec
    if ".py:" not in spec:
        raise InputError(
            f"expected a loss among {', '.join(loss_names())}, {OWN}, or FILE.py:NAME, got {spec!r}; "
            f"{choice(spec, loss_names())}"
        )
    found = made_by(spec, "a loss", _is_loss)
    return given_loss(cast(GivenLoss, found))


def load_optimizer(spec: str) -> AnyOptimizer:
    """What ``--optimizer`` names: an optimiser by its name, or FILE.py:NAME of what makes one of a list of parameters.

    Args:
        spec: a name, or FILE.py:NAME of a class or a function of parameters; the user's code is run.

    Raises:
        InputError: no such optimiser.

    Example:
        >>> load_optimizer("adamw")
        'adamw'
    """
    if spec in optimizer_names():
        return spec
    if ".py:" not in spec:
        raise InputError(
            f"expected an optimizer among {', '.join(optimizer_names())}, or FILE.py:NAME of what makes one of a list of "
            f"parameters, got {spec!r}; choose one."
        )
    return cast(AnyOptimizer, made_by(spec, "an optimizer", callable))


def _is_loss(found: object) -> bool:
    """Whether it is one itself, not what makes one."""
    if isinstance(found, nn.Module | Objective | str) or not callable(found):
        return True
    needed = [each for each in inspect.signature(found).parameters.values() if each.default is each.empty]
    return not isinstance(found, type) and len(needed) > 1
