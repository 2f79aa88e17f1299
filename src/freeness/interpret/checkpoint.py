"""Trained networks in files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from freeness.errors import InputError
from freeness.files import whole_files
from freeness.interpret.identity_mlp import IdentityMLP
from freeness.network import Activation, activation
from freeness.torch import load_plain

SCHEMA_VERSION = 1
_KEYS = ("shape", "classes", "depth", "activation", "scale", "start", "state")
_ADVICE = 'write one by "freeness interpret --save FILE.pt" or save_checkpoint'


def save_checkpoint(model: IdentityMLP, path: Path | str, start: str = "identity") -> None:
    """Write architecture and weights, whole or not at all.

    Args:
        model: with an activation of the table.
        path: the file; its folder must exist.
        start: how the weights were initialised, to be told when it is read: "identity", "haar" or "gaussian".

    Raises:
        InputError: the file cannot be written, or the activation is one of your own.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_checkpoint(IdentityMLP(3, classes=2, depth=2), Path(folder) / "net.pt")
        ...     load_checkpoint(Path(folder) / "net.pt")[0].width
        5
    """
    _check_activation(model)
    document = {
        "freeness_checkpoint": SCHEMA_VERSION,
        "shape": list(model.shape),
        "classes": model.classes,
        "depth": model.depth,
        "activation": model.activation,
        "scale": model.scale,
        "start": start,
        "state": model.state_dict(),
    }
    target = Path(path)
    if target.exists() and not target.is_file():
        raise InputError(f"expected a file to write, got {str(target)!r}, which is none; choose another one.")
    try:
        with whole_files(target) as (temporary,):
            torch.save(document, temporary)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError where there is no such folder
        raise InputError(f"expected a file to write, got {str(target)!r}; choose a folder that exists.") from error


def load_checkpoint(path: Path | str) -> tuple[IdentityMLP, str]:
    """The network of a file, and how its weights had been initialised. No code in the file is run (``weights_only``).

    Raises:
        InputError: no such file, a damaged one, one of something else or of a later version, or weights of another
            architecture.
    """
    source = Path(path)
    document = _read(source)
    version = document.get("freeness_checkpoint")
    missing = [key for key in _KEYS if key not in document]
    if version is None or missing:
        raise InputError(
            f"expected a checkpoint of an IdentityMLP, got a file without {missing[0] if missing else 'version'}"
            f" in {source.name!r}; {_ADVICE}."
        )
    if version != SCHEMA_VERSION:
        raise InputError(
            f"expected a checkpoint of version {SCHEMA_VERSION}, got {version} in {source.name!r}; update freeness."
        )
    try:
        model = IdentityMLP(
            tuple(document["shape"]), document["classes"], document["depth"], document["activation"], document["scale"]
        )
        weights: Mapping[str, Tensor] = document["state"]
        differing = _difference(model, weights)
    except (TypeError, AttributeError) as error:
        raise InputError(
            f"expected a checkpoint of an IdentityMLP, got a damaged one in {source.name!r}; {_ADVICE}."
        ) from error
    if differing:
        sizes = f"{model.depth} layers of width {model.width}"
        raise InputError(f"expected weights of {sizes} in {source.name!r}, got {differing}; {_ADVICE}.")
    model.load_state_dict(weights)
    return model, str(document["start"])


def _check_activation(model: IdentityMLP) -> None:
    """Only a name is written, so it must say everything."""
    x = np.linspace(-3, 3, 25)
    for layer in model.network.layers:
        if isinstance(layer, Activation) and not np.allclose(
            layer.function.function(x), activation(layer.function.name).function(x)
        ):
            raise InputError(
                f"expected an activation of the table with its usual numbers, got another {layer.function.name!r}; keep the "
                "weights by torch.save(model.state_dict(), …) instead."
            )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"expected a checkpoint at {str(path)!r}, found no file; check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's guesses about files of others
            found = load_plain(path)
    except (InputError, OSError) as error:
        raise InputError(
            "expected a readable checkpoint of plain tensors, got a damaged file or a whole pickled object in "
            f"{path.name!r}; {_ADVICE}."
        ) from error
    if not isinstance(found, dict):
        raise InputError(
            f"expected a checkpoint of an IdentityMLP, got {type(found).__name__} in {path.name!r}; {_ADVICE}."
        )
    return found


def _difference(model: IdentityMLP, weights: Mapping[str, Tensor]) -> str:
    """The first tensor that is not what the architecture says; empty if all are."""
    own = model.state_dict()
    for name in {**own, **weights}:
        wanted = tuple(own[name].shape) if name in own else "nothing"
        got = tuple(weights[name].shape) if name in weights else "nothing"
        if wanted != got:
            return f"{got} instead of {wanted} for {name!r}"
    return ""
