"""A user's model from ``FILE.py:FACTORY`` and a user's data from a name or a file."""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from freeness.data import load_fashion_mnist
from freeness.errors import InputError, brief
from freeness.torch.datafile import read_data
from freeness.torch.outputs import OutputKey, run, select_output
from freeness.torch.state import untouched
from freeness.torch.weights import load_weights_, read_weights

_GAUSSIAN_SAMPLES = 256
_SIDES = (28, 32, 64, 224, 16, 8)  # of images that are tried
_STEPS = 16  # of sequences
_TOKENS = (16, 8, 4)  # lengths of sequences that are tried
_SEEDS = 2**63  # torch takes 64 bits, and one is for seed + 1
_SHOWN = 10  # names in a message
_KEYS = 4  # names of tensors in a message
_LONGEST = 400  # of what another's error is quoted with


def load_model(spec: str, seed: int = 0) -> nn.Module:
    """Run ``FILE.py`` and call its ``FACTORY()`` without arguments, under the given torch seed.

    This executes the user's own code. The global random state is put back afterwards.

    Args:
        spec: ``path/to/file.py:name``; the name may also be that of an nn.Module object.
        seed: of torch's generator while the factory runs, below 2⁶³.

    Raises:
        InputError: no such file or name, the code raises or exits, it does not return an nn.Module, or another seed.
    """
    file, name = split_model(spec)
    _check_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = _attribute(_run(file), name, file)
        model = found if isinstance(found, nn.Module) else _call(found, name)
    if not isinstance(model, nn.Module):
        raise InputError(
            f"expected {name}() to return an nn.Module, got {type(model).__name__}; return the model itself."
        )
    inner = model._modules.get("_orig_mod")  # torch.compile's; every way of measuring would be compiled anew
    return model if inner is None else inner


def split_model(spec: str) -> tuple[Path, str]:
    """File and name in ``FILE.py:FACTORY``; nothing is run.

    Raises:
        InputError: one is missing, or there is no such file.
    """
    path, _, name = spec.rpartition(":")
    if not path or not name:
        raise InputError(
            f"expected a model as FILE.py:FACTORY, got {spec!r}; name the function that returns the model."
        )
    file = Path(path)
    if not file.is_file():
        raise InputError(f"expected a Python file at {path!r}, found none; check the path.")
    return file, name


def _check_seed(seed: int) -> None:
    if not 0 <= seed < _SEEDS:
        raise InputError(f"expected a seed from 0 to 2**63 - 1, got {seed}; choose a smaller one.")


def _run(file: Path) -> ModuleType:
    module_spec = importlib.util.spec_from_file_location(f"_freeness_user_{file.stem}", file)
    if module_spec is None or module_spec.loader is None:
        raise InputError(f"expected a Python file, got {str(file)!r}; its name must end in .py.")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses and pickling look a class's module up there
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        module_spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises, sys.exit too, is told in one sentence
        advice = "run it by itself and mend it"
        if isinstance(error, SystemExit):
            advice = 'put what ends the program under if __name__ == "__main__"'
        raise InputError(f"expected {str(file)!r} to run, got {_quoted(error)}; {advice}.") from error
    finally:
        if folder in sys.path:  # the user's code may have taken it out
            sys.path.remove(folder)
    return module


def _attribute(module: ModuleType, name: str, file: Path) -> object:
    found = getattr(module, name, None)
    if found is None:
        own = [key for key, value in vars(module).items() if not key.startswith("_") and _is_own(value, module)]
        names = ", ".join(own[:_SHOWN]) + (", …" if len(own) > _SHOWN else "")
        raise InputError(
            f"expected {name!r} in {str(file)!r}, which defines {names or 'no function'}; name a function of that file."
        )
    return found


def _is_own(value: object, module: ModuleType) -> bool:
    """Whether it can make a model and was defined in that module, not imported there."""
    if isinstance(value, nn.Module):
        return True
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _call(factory: object, name: str) -> object:
    if not callable(factory):
        raise InputError(
            f"expected {name!r} to be a function or an nn.Module, got {type(factory).__name__}; name another one."
        )
    try:
        return factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises, sys.exit too, is told in one sentence
        advice = (
            "it is called without arguments" if _lacks_arguments(factory, error) else "run it by itself and mend it"
        )
        raise InputError(f"expected {name}() to return a model, got {_quoted(error)}; {advice}.") from error


def _lacks_arguments(factory: Callable[..., object], error: BaseException) -> bool:
    """Whether the call itself was refused: then no line of the function has run."""
    if not isinstance(error, TypeError):
        return False
    try:
        inspect.signature(factory).bind()
    except TypeError:
        return True
    except ValueError:  # of some functions in C there is no signature
        return False
    return False


def _quoted(error: BaseException) -> str:
    """:func:`brief`; a first line that only announces others (torch's of a state_dict) with those behind it."""
    if type(error) is not RuntimeError:
        return brief(error)
    lines = [" ".join(line.split()) for line in str(error).strip().splitlines()]
    if len(lines) < 2 or not lines[0].endswith(":"):
        return brief(error)
    text = " ".join(line for line in lines if line)
    return brief(RuntimeError(text if len(text) <= _LONGEST else text[:_LONGEST] + "…"))


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
    weights = read_weights(path)
    own = model.state_dict()
    missing, strange = [name for name in own if name not in weights], [name for name in weights if name not in own]
    if missing or strange:
        told = [
            f"{what} {_keys(names)}" for what, names in (("without", missing), ("with the unknown", strange)) if names
        ]
        raise InputError(
            f"expected the {len(own)} tensors of {type(model).__name__} in {path.name!r}, got {len(weights)}, "
            f"{' and '.join(told)}; choose the model that these weights belong to."
        )
    load_weights_(model, weights)


def _keys(names: list[str]) -> str:
    shown = ", ".join(repr(name[:_LONGEST]) for name in names[:_KEYS])
    return shown + (f" and {len(names) - _KEYS} more" if len(names) > _KEYS else "")


class _Fit(NamedTuple):
    """How a model takes one sample, and the shape of its output."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    outputs: tuple[int, ...]


def load_data(
    spec: str, model: nn.Module, seed: int = 0, loss: str = "cross_entropy", output: OutputKey = None
) -> tuple[Tensor, Tensor, str]:
    """Inputs, targets and a description, which says so where there are no labels; :func:`load_labelled` has that by itself.

    Args:
        spec: ``fashion-mnist`` (bundled; a directory of the official idx files works too), ``gaussian``, or a file
            .npy (inputs only), .npz (``inputs`` and ``targets``), .pt (a tensor, a pair, or a dict with these keys).
        model: fits the inputs' shape: the first that it takes of the given one, square images, rows and flat vectors, and the
            outputs that it gives. Whole numbers stay int64 where it takes tokens only.
        seed: of random inputs and targets, below 2⁶³.
        loss: decides what targets are: class indices for cross-entropy, vectors otherwise.
        output: name or number of the output that targets are for, where the model returns several.

    Raises:
        InputError: no such file, a broken one, one that does not hold what is expected, or a model that takes no such inputs.
    """
    found = load_labelled(spec, model, seed, loss, output)
    return found.inputs, found.targets, found.described + (f"; targets: {found.stand_in}" if found.stand_in else "")


class Labelled(NamedTuple):
    """Inputs, targets, what the inputs are, and what stands in for labels, "" where there are labels."""

    inputs: Tensor
    targets: Tensor
    described: str
    stand_in: str


def load_labelled(
    spec: str, model: nn.Module, seed: int = 0, loss: str = "cross_entropy", output: OutputKey = None
) -> Labelled:
    """:func:`load_data`, with what stands in for labels that were not given apart from the description.

    Args:
        spec: as there.
        model: as there.
        seed: as there.
        loss: as there.
        output: as there.

    Raises:
        InputError: as there.

    Example:
        >>> load_labelled("gaussian", nn.Linear(3, 2)).stand_in
        'random classes (uniform over the 2 outputs)'
    """
    _check_seed(seed)
    _check_readable(model)
    path = Path(spec)
    if spec == "fashion-mnist" or path.is_dir():
        images = load_fashion_mnist("train", None if spec == "fashion-mnist" else path)
        inputs, labels, described = torch.from_numpy(images.flattened()), torch.from_numpy(images.labels), images.source
    elif spec == "gaussian":
        inputs, described = _random(model, seed, output)
        labels = None
    else:
        inputs, labels = read_data(path)
        described = path.name
    tokens = bool((inputs >= 0).all()) and bool((inputs == inputs.round()).all())
    fit = _fitting(model, _image_shapes(tuple(inputs.shape[1:])), spec, output, tokens=tokens)
    inputs = inputs.reshape(len(inputs), *fit.shape)
    inputs = inputs if fit.dtype.is_floating_point else inputs.long()
    targets, stand_in = _targets(inputs, labels, fit.outputs, seed, loss)
    return Labelled(inputs, targets, described, stand_in)


def _check_readable(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise InputError(f"expected initialised parameters, got the lazy {name!r}; run the model once first.")
        if parameter.is_meta:
            raise InputError(
                f"expected parameters with values, got the meta tensor {name!r}; make the model on a device."
            )
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f"expected a model in Python, got {_place(name, module)} compiled by torch.jit; pass the one before that."
            )
    if next(model.parameters(), None) is None:
        raise InputError(
            f"expected a model with parameters, got {type(model).__name__} without any; there is nothing to analyse."
        )


def _image_shapes(given: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes in which one sample may be offered: as it is, as a square image, as its rows, flat."""
    count = math.prod(given)
    side = math.isqrt(count)
    square = [(1, side, side), (side, side)] if side * side == count and len(given) == 1 else []
    return list(dict.fromkeys([given, *square, (count,)]))


def _random(model: nn.Module, seed: int, output: OutputKey) -> tuple[Tensor, str]:
    """Standard Gaussian samples, or random tokens, and what they are."""
    table = next((module for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)), None)
    fit = _fitting(model, _random_shapes(model), "gaussian", output, tokens=table is not None)
    generator = torch.Generator().manual_seed(seed)
    if fit.dtype.is_floating_point or table is None:
        made = torch.randn(_GAUSSIAN_SAMPLES, *fit.shape, generator=generator, dtype=torch.float64)
        return made, f"{_GAUSSIAN_SAMPLES} standard Gaussian samples"
    made = torch.randint(table.num_embeddings, (_GAUSSIAN_SAMPLES, *fit.shape), generator=generator)
    return made, f"{_GAUSSIAN_SAMPLES} sequences of {fit.shape[0]} random tokens"


def _random_shapes(model: nn.Module) -> list[tuple[int, ...]]:
    """What the first layer with weights may take."""
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            return [(length,) for length in _TOKENS]
        if isinstance(module, nn.Linear):
            return [(module.in_features,), (_STEPS, module.in_features)]
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return [(module.in_channels, *[side] * len(module.kernel_size)) for side in _SIDES]
        if isinstance(module, nn.RNNBase):
            return [(_STEPS, module.input_size)]
    return []


def _fitting(
    model: nn.Module, shapes: list[tuple[int, ...]], spec: str, output: OutputKey, *, tokens: bool = False
) -> _Fit:
    """The first shape of a sample that the model takes, as floating numbers before tokens.

    Raises:
        InputError: it takes none.
    """
    problems: list[InputError] = []
    first = next(model.parameters())
    for dtype in (first.dtype, torch.int64) if tokens else (first.dtype,):
        for shape in shapes:
            pair = torch.zeros(2, *shape, dtype=dtype, device=first.device)  # two, so that no axis is taken for samples
            try:
                with untouched(model), torch.no_grad(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    outputs = select_output(run(model, pair), output)[1]
            except InputError as error:
                problems.append(error)
                continue
            if outputs.ndim and len(outputs) == 2:
                return _Fit(shape, dtype, tuple(outputs.shape[1:]))
            shown = tuple(outputs.shape)
            problems.append(InputError(f"expected one row of outputs a sample, got shape {shown} for two samples."))
    raise _misfit(model, shapes, spec, problems)


def _misfit(model: nn.Module, shapes: list[tuple[int, ...]], spec: str, problems: list[InputError]) -> InputError:
    """Why no shape fits: the trouble of the model itself where it ran, or fails alike on every shape."""
    ran = next((problem for problem in problems if problem.__cause__ is None), None)
    if ran is not None:
        return ran
    tried = ", ".join(map(str, shapes)) or "none"
    if any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules()):
        return InputError(
            f"expected inputs of tokens (whole numbers below the size of the model's table), got {spec} (tried {tried}); take "
            "gaussian for random ones, or a file of tokens."
        )
    causes = {str(problem.__cause__) for problem in problems}
    if len(causes) == 1 and len(problems) > 1 and problems[0].__cause__ is not None:
        cause = brief(problems[0].__cause__)
        return InputError(f"expected a model that runs on {spec}, got {cause} on every shape tried; mend its forward.")
    linear = next((module for module in model.modules() if isinstance(module, nn.Linear)), None)
    wanted = (
        "that the model takes"
        if linear is None
        else f"of {linear.in_features} features for the model's first Linear layer"
    )
    return InputError(
        f"expected inputs {wanted}, got {spec}, of which no shape fits (tried {tried}); choose other data or another model."
    )


def _place(name: str, module: nn.Module) -> str:
    kind = getattr(module, "original_name", type(module).__name__)
    return f"{kind} in module {name!r}" if name else str(kind)


def _targets(inputs: Tensor, labels: Tensor | None, shape: tuple[int, ...], seed: int, loss: str) -> tuple[Tensor, str]:
    """Class indices for cross-entropy; else one-hot classes where there are as many outputs, or N(0, 1/C) of their shape.

    And what stands in for labels that are not there or do not fit.
    """
    generator, outputs = torch.Generator().manual_seed(seed + 1), math.prod(shape)
    if labels is not None and (labels.is_floating_point() or (labels.ndim > 1 and loss != "cross_entropy")):
        return labels.double(), ""
    if labels is not None and int(labels.min()) < 0:
        raise InputError(f"expected class numbers ≥ 0 as targets, got {int(labels.min())}; count the classes from 0.")
    if labels is not None and (int(labels.max()) >= outputs or len(shape) != 1):
        labels = None if loss != "cross_entropy" else labels
    if loss == "cross_entropy":
        if labels is not None:
            return labels.long(), ""
        drawn = torch.randint(outputs, (len(inputs),), generator=generator)
        return drawn, f"random classes (uniform over the {outputs} outputs)"
    if labels is not None:
        return torch.nn.functional.one_hot(labels.long(), outputs).double(), ""
    noise = torch.randn(len(inputs), *shape, generator=generator, dtype=torch.float64) / outputs**0.5
    return noise, "random vectors (of the outputs' shape, N(0, 1/C) a number)"
