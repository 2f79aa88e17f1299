"""Every kind of loss: its curvature is that of torch's own module, differentiated twice with the whole Jacobian beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness import InputError
from freeness.torch import (
    AdamOptions,
    AnalyzeOptions,
    Watch,
    adam_preconditioner,
    analyze,
    batch_sharpness,
    given_loss,
    loss_function,
)
from freeness.torch.loss.losses import is_mean
from freeness.torch.measured.curvature_dual import dual_operator
from freeness.torch.measured.curvature_matrices import curvature_operator
from freeness.torch.request.batch_loss import trial_loss
from freeness.torch.request.user_data import batch_of
from freeness.training import CrossEntropy
from tests.torch.models import gauss_newton, of_vector

B, C, T = 7, 4, 3
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(B, 6, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.randint(0, C, (B,), generator=GENERATOR)
PLACES = torch.randint(0, C, (B, T), generator=GENERATOR)
PIXELS = torch.randint(0, C, (B, 2, 3), generator=GENERATOR)
SOME = torch.where(torch.arange(B * T).reshape(B, T) % 3 == 0, -100, PLACES)
SHARES = torch.randn(B, C, generator=GENERATOR, dtype=torch.float64).softmax(1)
TOKEN_SHARES = torch.randn(B, T, C, generator=GENERATOR, dtype=torch.float64).softmax(2)
NUMBERS = torch.randn(B, C, generator=GENERATOR, dtype=torch.float64)
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.25])


def cubic(outputs: Tensor, targets: Tensor) -> Tensor:
    """Couples the samples, and is convex."""
    return (outputs - targets).abs().pow(3).mean() + outputs.mean().square()


def model_of(shape: tuple[int, ...], tail: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(1)
    layers = [nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, int(np.prod(shape))), nn.Unflatten(1, shape)]
    return nn.Sequential(*layers, *([] if tail is None else [tail])).double()


def dense(model: nn.Module, of_outputs: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The GGN of a loss of all outputs, and the Hessian, from full Jacobians and Hessians."""
    flat, outputs = of_vector(model, lambda call: call(X))
    hessian = torch.func.hessian(lambda vector: of_outputs(outputs(vector)))(flat)
    return gauss_newton(model, lambda call: call(X), of_outputs), hessian


Reference = Callable[[Tensor, Tensor], Tensor]
CASES: dict[str, tuple[Any, tuple[int, ...], Tensor, Reference | None]] = {
    "classes": ("cross_entropy", (C,), CLASSES, nn.CrossEntropyLoss()),
    "weights": (nn.CrossEntropyLoss(WEIGHT), (C,), CLASSES, nn.CrossEntropyLoss(WEIGHT.double())),
    "ignored": (nn.CrossEntropyLoss(ignore_index=1), (C,), CLASSES, None),
    "sum": (nn.CrossEntropyLoss(reduction="sum"), (C,), CLASSES, None),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.2), (C,), CLASSES, None),
    "all of it": (
        nn.CrossEntropyLoss(WEIGHT, ignore_index=2, label_smoothing=0.2),
        *((C,), CLASSES, nn.CrossEntropyLoss(WEIGHT.double(), ignore_index=2, label_smoothing=0.2)),
    ),
    "tokens": ("cross_entropy", (T, C), SOME, lambda f, y: functional.cross_entropy(f.reshape(-1, C), y.reshape(-1))),
    "pixels": (
        nn.CrossEntropyLoss(WEIGHT, reduction="sum"),
        *((C, 2, 3), PIXELS, nn.CrossEntropyLoss(WEIGHT.double(), reduction="sum")),
    ),
    "shares": (nn.CrossEntropyLoss(), (C,), SHARES, None),
    "weighted shares": (
        nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.1),
        *((C,), SHARES, nn.CrossEntropyLoss(WEIGHT.double(), label_smoothing=0.1)),
    ),
    "token shares": (
        *("cross_entropy", (T, C), TOKEN_SHARES),
        lambda f, y: functional.cross_entropy(f.reshape(-1, C), y.reshape(-1, C)),
    ),
    "function": (partial(functional.cross_entropy, ignore_index=1, reduction="sum"), (C,), CLASSES, None),
    "binary": (nn.BCEWithLogitsLoss(), (C,), SHARES, None),
    "weighted binary": (
        nn.BCEWithLogitsLoss(WEIGHT, pos_weight=WEIGHT.flip(0)),
        *((C,), SHARES, nn.BCEWithLogitsLoss(WEIGHT.double(), pos_weight=WEIGHT.double().flip(0))),
    ),
    "squares": (nn.MSELoss(reduction="sum"), (C,), NUMBERS, None),
    "huber": (nn.HuberLoss(delta=0.7), (C,), NUMBERS, None),
    "smooth": (nn.SmoothL1Loss(beta=0.3, reduction="sum"), (C,), NUMBERS, None),
    "written": (cubic, (C,), NUMBERS, None),
    "images": (nn.MSELoss(), (C, 2, 3), NUMBERS[:, :, None, None].expand(B, C, 2, 3).contiguous(), None),
}


@pytest.mark.parametrize("case", CASES)
def test_curvature_is_that_of_the_dense_jacobian_and_hessian(case: str) -> None:
    loss, shape, targets, reference = CASES[case]
    model, of = model_of(shape), reference or loss
    ggn, hessian = dense(model, lambda outputs: of(outputs, targets))
    for matrix, wanted in (("ggn", ggn), ("hessian", hessian)):
        operator = curvature_operator(model, X, targets, loss, matrix)  # pyright: ignore[reportArgumentType]
        np.testing.assert_allclose(
            operator.matmat(np.eye(operator.shape[0])), wanted.numpy(), atol=1e-12 * float(wanted.abs().max())
        )
    top = float(torch.linalg.eigvalsh(ggn)[-1])
    assert batch_sharpness(model, X, targets, loss).value == pytest.approx(top, rel=1e-9)
    torch.testing.assert_close(loss_function(loss)(model(X), targets), of(model(X), targets), rtol=1e-12, atol=0)
    dual = dual_operator(model, (X, targets), loss, "ggn")
    assert (dual is None) == (case == "written")
    if dual is not None:
        found = np.linalg.eigvalsh(dual.matmat(np.eye(dual.shape[0])))
        assert found[-1] == pytest.approx(top, rel=1e-9) and found.sum() == pytest.approx(float(ggn.trace()), rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "shape", "targets"),
    [
        (nn.NLLLoss(WEIGHT, ignore_index=3), (C,), CLASSES),
        (nn.NLLLoss(reduction="sum"), (C, 2, 3), PIXELS),
        (nn.KLDivLoss(reduction="batchmean"), (C,), SHARES),
        (nn.KLDivLoss(reduction="sum", log_target=True), (C,), SHARES.log()),
        (nn.KLDivLoss(reduction="mean"), (C, 2, 3), SHARES[:, :, None, None].expand(B, C, 2, 3).contiguous()),
    ],
)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # torch's own, of the reference
def test_of_log_probabilities_the_matrix_is_that_of_the_logits(
    loss: Any, shape: tuple[int, ...], targets: Tensor
) -> None:
    logits, logarithms = model_of(shape), model_of(shape, nn.LogSoftmax(1))
    exact = type(loss)(**{key: value for key, value in vars(loss).items() if key in ("reduction", "log_target")})
    if loss._buffers.get("weight") is not None:
        exact = nn.NLLLoss(WEIGHT.double(), ignore_index=3)
    ggn, hessian = dense(logits, lambda outputs: exact(outputs.log_softmax(1), targets))
    top = float(torch.linalg.eigvalsh(ggn)[-1])
    assert top > 0 and batch_sharpness(logarithms, X, targets, loss).value == pytest.approx(top, rel=1e-9)
    found = curvature_operator(logarithms, X, targets, loss, "hessian")
    np.testing.assert_allclose(
        found.matmat(np.eye(len(hessian))), hessian.numpy(), atol=1e-12 * float(hessian.abs().max())
    )
    assert "logits" in given_loss(loss).meant
    with pytest.raises(InputError, match="log probabilities"):
        batch_sharpness(logits, X, targets, loss)


def test_a_loss_that_is_not_convex_has_the_gauss_newton_matrix_of_its_own_second_derivative() -> None:
    """Also where that has negative eigenvalues: λ is the largest one."""
    model = model_of((C,))

    def waves(outputs: Tensor, targets: Tensor) -> Tensor:
        return (3 * (outputs - targets)).cos().mean()

    ggn, _ = dense(model, lambda outputs: waves(outputs, NUMBERS))
    values = torch.linalg.eigvalsh(ggn)
    assert float(values[0]) < -1e-3
    assert batch_sharpness(model, X, NUMBERS, waves).value == pytest.approx(float(values[-1]), rel=1e-9)


def test_a_batch_with_weights_is_not_cut_into_parts() -> None:
    """Ignored classes weigh samples differently: 300 samples are held at once, as the mean over all of them."""
    torch.manual_seed(2)
    model, x = model_of((C,)), torch.randn(300, 6, dtype=torch.float64)
    y = torch.arange(300) % C
    y[:200] = -100
    assert is_mean("cross_entropy", torch.tensor([0])) and not is_mean("cross_entropy", y)
    counted = batch_sharpness(model, x[200:], y[200:], "cross_entropy").value
    assert batch_sharpness(model, x, y, "cross_entropy").value == pytest.approx(counted, rel=1e-8)
    whole = batch_sharpness(model, x[200:], y[200:], nn.CrossEntropyLoss(reduction="sum")).value
    assert whole == pytest.approx(100 * counted, rel=1e-8)


def test_adam_takes_the_gradients_of_any_loss() -> None:
    model = model_of((C,))
    value = cubic(model(X), NUMBERS)
    wanted = torch.cat([g.reshape(-1) for g in torch.autograd.grad(value, list(model.parameters()))]).abs()
    found = adam_preconditioner(model, X, NUMBERS, cubic, AdamOptions(batches=1, epsilon=0.5))
    torch.testing.assert_close(found, wanted + 0.5)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (
            nn.CrossEntropyLoss(WEIGHT, ignore_index=2, label_smoothing=0.5),
            "label smoothing 0.5, class weights, without class 2",
        ),
        (nn.NLLLoss(reduction="sum"), r"nll \(sum over the batch\)"),
        (nn.HuberLoss(delta=0.5), "huber .delta 0.5"),
        (nn.MSELoss(reduction="sum"), r"mse \(sum over the batch\)"),
        (nn.BCEWithLogitsLoss(pos_weight=WEIGHT), "weights of positives"),
        (nn.KLDivLoss(reduction="mean"), "mean over all numbers"),
        (cubic, "cubic"),
        (lambda outputs, targets: outputs.sum(), "the given function"),
    ],
)
def test_a_loss_is_called_by_its_numbers(loss: Any, name: str) -> None:
    assert re.search(name, str(given_loss(loss)))


class Broken(nn.Module):
    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets[:, :1, :, None]).sum()


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        (nn.MSELoss(reduction="none"), NUMBERS, "reduction='none'"),
        (nn.CrossEntropyLoss, CLASSES, "got CrossEntropyLoss; pass an instance"),
        (nn.CrossEntropyLoss(WEIGHT[:3]), CLASSES, "a weight for each of 4 classes, got 3"),
        (nn.CrossEntropyLoss(ignore_index=1), CLASSES * 0 + 1, "only the ignored 1"),
        ("cross_entropy", NUMBERS, "shares of classes ≥ 0"),
        ("cross_entropy", PLACES, "one class a sample or place"),
        (nn.BCEWithLogitsLoss(WEIGHT[:3]), SHARES, "weights that fit binary_cross_entropy"),
        (nn.BCEWithLogitsLoss(WEIGHT), NUMBERS, "from 0 to 1"),
        (nn.HuberLoss(), NUMBERS[:, :3], "the outputs' shape"),
        (lambda outputs, targets: outputs - targets, NUMBERS, "one number, got shape"),
        (lambda outputs, targets: 3.0, NUMBERS, "one number, got float"),
        (lambda outputs, targets: outputs.sum() * torch.nan, NUMBERS, "a finite loss, got nan"),
        (Broken(), NUMBERS, "got IndexError .*from Broken"),
        (3, NUMBERS, "one of torch, or a function"),
    ],
)
def test_what_does_not_fit_is_one_sentence(loss: Any, targets: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        batch_sharpness(model_of((C,)), X, targets, loss)
    assert "\n" not in str(caught.value)


def test_what_torch_has_by_default_is_the_loss_that_theory_knows() -> None:
    assert given_loss(partial(functional.cross_entropy, label_smoothing=0.3)) == CrossEntropy(0.3)
    assert given_loss(nn.CrossEntropyLoss()) == CrossEntropy()


def contrast(outputs: Tensor, _: Tensor | None) -> Tensor:
    """Each sample beside the next one, against all others; an answer where targets are None only."""
    assert _ is None
    unit = functional.normalize(outputs, dim=1)
    return functional.cross_entropy(unit @ unit.roll(1, 0).T, torch.arange(len(unit)))


class Parts(nn.Module):
    """Two outputs, of which one is not looked at."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": x.flatten(1), "seen": self.inner(x)}


def test_a_loss_that_takes_none_for_targets_needs_none() -> None:
    model = model_of((C,))
    ggn, _ = dense(model, lambda f: contrast(f, None))
    report = analyze(model, X, AnalyzeOptions(only="rate"), loss=contrast)
    assert report.learning_rate.sharpness == pytest.approx(float(torch.linalg.eigvalsh(ggn)[-1]), rel=1e-8)
    assert report.learning_rate.loss == "contrast"
    watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1), loss=contrast, every=1)
    contrast(model(X), None).backward()
    assert not watch.step(X) and watch.records[0].critical is not None
    parts = Parts(model)
    report = analyze(parts, X, AnalyzeOptions(only="rate", output="seen"), loss=contrast)
    assert report.learning_rate.sharpness == pytest.approx(float(torch.linalg.eigvalsh(ggn)[-1]), rel=1e-8)
    found = trial_loss(parts, batch_of(X, parts), contrast, "seen")
    assert bool(found(parts, batch_of(X, parts)) == contrast(model(X), None))
    for loss in ("mse", cubic):
        with pytest.raises(InputError, match="expected targets beside the inputs, got none"):
            analyze(model, X, loss=loss)
