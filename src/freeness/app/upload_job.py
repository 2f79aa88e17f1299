"""What a file that was uploaded holds; it is read, compared with the model, and not run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from freeness.app.report_job import made_model
from freeness.data import load
from freeness.errors import InputError, brief
from freeness.torch import load_labelled, load_weights_, read_weights

_NONE = ("", "")


def perform(
    kind: str,
    path: str,
    model: tuple[str, str] | Mapping[str, Any] = _NONE,
    loss: str = "cross_entropy",
    *,
    stage: Callable[[str, float], None],
) -> dict[str, Any]:
    """Read the file.

    Raises:
        InputError: the file is broken, or does not fit.
    """
    stage("reading the file", 0.1)
    return {"weights": _weights, "data": _data, "model": _model}[kind](Path(path), model, loss)


def _weights(path: Path, model: Any, loss: str) -> dict[str, Any]:
    found = read_weights(path)
    load_weights_(made_model(model), found)
    return {"tensors": len(found), "numbers": sum(value.numel() for value in found.values())}


def _data(path: Path, model: Any, loss: str) -> dict[str, Any]:
    """Its samples; a network that is built here takes its widths from them, another one must take them as they are."""
    found = load(path)
    if not isinstance(model, Mapping):
        load_labelled(path, made_model(model), 0, loss)
    targets = found.targets
    outputs = None if targets is None else found.classes or (targets.shape[1] if targets.ndim == 2 else 1)
    shape = found.inputs.shape
    return {"samples": shape[0], "shape": shape[1:], "inputs": found.inputs[0].size, "outputs": outputs}


def _model(path: Path, model: Any, loss: str) -> dict[str, Any]:
    """Names of the functions and classes at the top of the file; nothing of it is run."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(
            f"expected a file of Python, got {brief(error)} in {path.name!r}; try it by python first."
        ) from error
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not _required(node)]
    names += [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if not names:
        raise InputError(
            f"expected a function without arguments that returns the model, got none in {path.name!r}; add one."
        )
    return {"names": names}


def _required(function: ast.FunctionDef) -> bool:
    """Whether it cannot be called without arguments."""
    given = function.args
    positional = len(given.posonlyargs) + len(given.args) - len(given.defaults)
    return positional > 0 or any(default is None for default in given.kw_defaults)
