"""A user's model from ``FILE.py:FACTORY`` and a user's data from a name or a file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from freeness.data import load_fashion_mnist
from freeness.errors import InputError

_GAUSSIAN_SAMPLES = 256


def load_model(spec: str, seed: int = 0) -> nn.Module:
    """Run ``FILE.py`` and call its ``FACTORY()`` without arguments, under the given torch seed.

    This executes the user's own code. The global random state is put back afterwards.

    Args:
        spec: ``path/to/file.py:name``; the name may also be that of an nn.Module object.
        seed: of torch's generator while the factory runs.

    Raises:
        InputError: no such file or name, the code raises, or it does not return an nn.Module.
    """
    path, _, name = spec.rpartition(":")
    if not path or not name:
        raise InputError(
            f"expected a model as FILE.py:FACTORY, got {spec!r}; name the function that returns the model."
        )
    file = Path(path)
    if not file.is_file():
        raise InputError(f"expected a Python file at {path!r}, found none; check the path.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = _attribute(_run(file), name, path)
        model = found if isinstance(found, nn.Module) else _call(found, name)
    if not isinstance(model, nn.Module):
        raise InputError(
            f"expected {name}() to return an nn.Module, got {type(model).__name__}; return the model itself."
        )
    return model


def _run(file: Path) -> object:
    module_spec = importlib.util.spec_from_file_location(f"_freeness_user_{file.stem}", file)
    if module_spec is None or module_spec.loader is None:
        raise InputError(f"expected a Python file, got {str(file)!r}; its name must end in .py.")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses and pickling look a class's module up there
    sys.path.insert(0, str(file.resolve().parent))
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises is told in one sentence
        raise InputError(
            f"expected {str(file)!r} to run, got {_brief(error)}; run it by itself and mend it."
        ) from error
    finally:
        sys.path.remove(str(file.resolve().parent))
    return module


def _attribute(module: object, name: str, path: str) -> object:
    found = getattr(module, name, None)
    if found is None:
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise InputError(
            f"expected {name!r} in {path!r}, which defines {', '.join(names) or 'nothing'}; name one of them."
        )
    return found


def _call(factory: object, name: str) -> object:
    if not callable(factory):
        raise InputError(f"expected {name!r} to be a function or an nn.Module, got {type(factory).__name__}.")
    try:
        return factory()
    except Exception as error:  # whatever the user's code raises is told in one sentence
        raise InputError(
            f"expected {name}() to return a model, got {_brief(error)}; it is called without arguments."
        ) from error


def _brief(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}{f' ({text})' if text else ''}"


def load_data(spec: str, model: nn.Module, seed: int = 0, loss: str = "cross_entropy") -> tuple[Tensor, Tensor, str]:
    """Inputs, targets and a description.

    Args:
        spec: ``fashion-mnist`` (bundled; a directory of the official idx files works too), ``gaussian``, or a file
            .npy (inputs only), .npz (``inputs`` and ``targets``), .pt (a tensor, a pair, or a dict with these keys).
        model: fits the inputs' shape: its first Linear layer, and the outputs it gives.
        seed: of random inputs and targets.
        loss: decides what targets are: class indices for cross-entropy, vectors otherwise.

    Raises:
        InputError: no such file, a broken one, or one that does not hold what is expected.
    """
    path = Path(spec)
    if spec == "fashion-mnist" or path.is_dir():
        images = load_fashion_mnist("train", None if spec == "fashion-mnist" else path)
        inputs, labels, described = torch.from_numpy(images.flattened()), torch.from_numpy(images.labels), images.source
    elif spec == "gaussian":
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(_GAUSSIAN_SAMPLES, _features(model), generator=generator, dtype=torch.float64)
        labels, described = None, f"{_GAUSSIAN_SAMPLES} standard Gaussian samples"
    else:
        inputs, labels = _read(path)
        described = path.name
    if inputs.ndim >= 2 and inputs.shape[1:].numel() != _features(model):
        raise InputError(
            f"expected inputs of {_features(model)} features for the model's first Linear layer, got shape "
            f"{tuple(inputs.shape)} from {spec}; choose other data or another model."
        )
    return inputs, _targets(inputs, labels, model, seed, loss), described


def _features(model: nn.Module) -> int:
    first = next((module for module in model.modules() if isinstance(module, nn.Linear)), None)
    if first is None:
        raise InputError("expected a model with a Linear layer, got none; such models are not covered yet.")
    return first.in_features


def _outputs(model: nn.Module) -> int:
    return [module for module in model.modules() if isinstance(module, nn.Linear)][-1].out_features


def _targets(inputs: Tensor, labels: Tensor | None, model: nn.Module, seed: int, loss: str) -> Tensor:
    """Class indices for cross-entropy, else vectors: one-hot classes where there are as many outputs, or N(0, 1/C)."""
    outputs = _outputs(model)
    generator = torch.Generator().manual_seed(seed + 1)
    if labels is not None and labels.is_floating_point():
        return labels
    if labels is not None and int(labels.max()) >= outputs:
        labels = None if loss != "cross_entropy" else labels
    if loss == "cross_entropy":
        return torch.randint(outputs, (len(inputs),), generator=generator) if labels is None else labels.long()
    if labels is not None and int(labels.max()) < outputs:
        return torch.nn.functional.one_hot(labels.long(), outputs).double()
    return torch.randn(len(inputs), outputs, generator=generator, dtype=torch.float64) / outputs**0.5


def _read(path: Path) -> tuple[Tensor, Tensor | None]:
    if not path.is_file():
        raise InputError(
            f"expected data as fashion-mnist, gaussian or a file .npy, .npz, .pt, got {str(path)!r}, which does not exist."
        )
    readers = {".npy": _read_npy, ".npz": _read_npz, ".pt": _read_pt}
    if path.suffix not in readers:
        raise InputError(f"expected a file ending in .npy, .npz or .pt, got {path.name!r}; convert it.")
    try:
        inputs, targets = readers[path.suffix](path)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes its reader raise almost anything
        raise InputError(f"expected a readable {path.suffix} file, got {_brief(error)} from {path.name!r}.") from error
    if not bool(torch.isfinite(inputs).all()):
        raise InputError(f"expected finite inputs, got NaN or infinity in {path.name!r}; clean the data.")
    return inputs, targets


def _read_npy(path: Path) -> tuple[Tensor, None]:
    return torch.from_numpy(np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)), None


def _read_npz(path: Path) -> tuple[Tensor, Tensor | None]:
    with np.load(path, allow_pickle=False) as archive:
        return _pair({key: torch.from_numpy(archive[key]) for key in archive.files}, path)


def _read_pt(path: Path) -> tuple[Tensor, Tensor | None]:
    found = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(found, Tensor):
        return found.double(), None
    if isinstance(found, (tuple, list)) and len(found) == 2:
        found = {"inputs": found[0], "targets": found[1]}
    if not isinstance(found, dict):
        raise InputError(f"expected a tensor, a pair or a dict in {path.name!r}, got {type(found).__name__}.")
    return _pair(found, path)


def _pair(found: dict[str, Tensor], path: Path) -> tuple[Tensor, Tensor | None]:
    if "inputs" not in found or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(
            f"expected arrays named inputs and targets in {path.name!r}, got {', '.join(found) or 'none'}."
        )
    return found["inputs"].double(), found.get("targets")
