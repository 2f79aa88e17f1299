"""The sharpness equals the largest eigenvalue of the dense GGN built by jacrev."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as hooked_norm

from freeness.errors import InputError
from freeness.torch import (
    AdamOptions,
    CurvatureOptions,
    Trace,
    adam_preconditioner,
    batch_sharpness,
    curvature_spectrum,
    curvature_trace,
    dual_gram,
    estimate_fisher,
    trace,
)
from freeness.torch.measured.curvature_matrices import Matrix, curvature_operator
from freeness.torch.measured.hessian_products import hessian_product
from freeness.torch.measured.measure import _factors, _jacobian
from freeness.torch.record.signals import layer_values
from freeness.torch.record.steps import DenseStep
from tests.torch.models import parameter_jacobian

LOSSES = ["half_squared_error", "half_mean_squared_error", "mse", "cross_entropy", "binary_cross_entropy"]


def mixed_model() -> nn.Sequential:
    """Not only Linear layers: the sharpness takes any module."""
    torch.manual_seed(4)
    body = (nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5))
    return nn.Sequential(*body, nn.LayerNorm(5), nn.Linear(5, 3)).double()


def perceptron() -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(16, 7), nn.Tanh(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def data(loss: str, count: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(6)
    inputs = torch.randn(count, 16, generator=generator, dtype=torch.float64)
    if loss == "cross_entropy":
        return inputs, torch.randint(0, 3, (count,), generator=generator)
    targets = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return inputs, targets.sigmoid() if loss == "binary_cross_entropy" else targets


def output_hessians(outputs: Tensor, loss: str) -> Tensor:
    """(B, C, C), Hessian of one sample's loss in its outputs."""
    count, classes = outputs.shape
    if loss == "cross_entropy":
        p = outputs.softmax(1)
        return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    if loss == "binary_cross_entropy":
        p = outputs.sigmoid()
        return torch.diag_embed(p * (1 - p)) / classes
    factor = {"half_squared_error": 1.0, "half_mean_squared_error": 1 / classes, "mse": 2 / classes}[loss]
    return factor * torch.eye(classes, dtype=outputs.dtype).expand(count, classes, classes)


def dense_ggn(model: nn.Module, inputs: Tensor, loss: str) -> Tensor:
    jacobian = parameter_jacobian(model, inputs).reshape(len(inputs), 3, -1)
    hessians = output_hessians(model(inputs).detach(), loss)
    return torch.einsum("bcp,bcd,bdq->pq", jacobian, hessians, jacobian) / len(inputs)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("make", [perceptron, mixed_model])
def test_sharpness_is_the_top_eigenvalue_of_the_dense_ggn(make: object, loss: str) -> None:
    assert callable(make)
    model, (inputs, targets) = make(), data(loss)
    found = batch_sharpness(model, inputs, targets, loss, CurvatureOptions(training=False))
    wanted = float(torch.linalg.eigvalsh(dense_ggn(model.eval(), inputs, loss))[-1])
    assert found.value == pytest.approx(wanted, rel=1e-8)
    assert found.residual <= 1e-4 * found.value
    assert abs(found.value - wanted) <= found.residual + 1e-10 * wanted


@pytest.mark.parametrize("loss", LOSSES)
def test_adam_sharpness_is_that_of_the_preconditioned_dense_ggn(loss: str) -> None:
    model, (inputs, targets) = perceptron(), data(loss, 20)
    preconditioner = adam_preconditioner(model, inputs, targets, loss, AdamOptions(epsilon=1e-3))
    scale = preconditioner.rsqrt()
    wanted = torch.linalg.eigvalsh(scale[:, None] * dense_ggn(model, inputs, loss) * scale)
    found = batch_sharpness(model, inputs, targets, loss, CurvatureOptions(preconditioner=preconditioner))
    assert found.value == pytest.approx(float(wanted[-1]), rel=1e-8)
    density = curvature_spectrum(model, inputs, targets, loss, CurvatureOptions(preconditioner=preconditioner))
    assert density.top == pytest.approx(float(wanted[-1]), rel=1e-6)
    assert abs(density.mean - float(wanted.mean())) < 5 * density.mean_error


def test_adam_preconditioner_is_the_root_mean_square_of_mini_batch_gradients() -> None:
    model, (inputs, targets) = perceptron(), data("mse", 20)
    squares = []
    for x, y in zip(inputs.chunk(4), targets.chunk(4), strict=True):
        gradients = torch.autograd.grad(nn.functional.mse_loss(model(x), y), list(model.parameters()))
        squares.append(torch.cat([g.reshape(-1) for g in gradients]) ** 2)
    found = adam_preconditioner(model, inputs, targets, "mse", AdamOptions(batches=4, epsilon=0.5))
    assert torch.allclose(found, torch.stack(squares).mean(0).sqrt() + 0.5)


def batch_dual(traced: Trace, inputs: Tensor, loss: str) -> Tensor:
    """(1/B) H^{1/2} J J^T H^{1/2} over samples and outputs, block by block from the layers; no torch.func anywhere."""
    passes = [layer_values(traced.chain, x) for x in inputs]
    factors = [_factors(traced, x) for x in inputs]
    outputs = torch.stack([values[-1] for values in passes])
    values, vectors = torch.linalg.eigh(output_hessians(outputs, loss))
    roots = vectors * values.clamp_min(0).sqrt()[:, None] @ vectors.transpose(1, 2)
    rows = len(inputs) * outputs.shape[1]
    gram = torch.zeros(rows, rows, dtype=torch.float64)
    behind = [f.dense for f in factors]
    for i, step in enumerate(traced.chain.steps):
        if isinstance(step, DenseStep):
            behind = [dense[1:] for dense in behind]
            after = [
                _jacobian(replace(f, dense=dense)) if dense else torch.eye(outputs.shape[1]).double()
                for f, dense in zip(factors, behind, strict=True)
            ]
            back = torch.cat([root @ matrix for root, matrix in zip(roots, after, strict=True)])
            given = torch.stack([value[i] for value in passes])
            kernel = given @ given.T + (step.bias is not None)
            gram += (back @ back.T) * kernel.repeat_interleave(outputs.shape[1], 0).repeat_interleave(
                outputs.shape[1], 1
            )
    return gram / len(inputs)


@pytest.mark.parametrize("loss", LOSSES)
def test_sharpness_equals_the_batch_dual_of_the_trace(loss: str) -> None:
    model, (inputs, targets) = perceptron(), data(loss, 30)
    wanted = float(torch.linalg.eigvalsh(batch_dual(trace(model, inputs), inputs, loss))[-1])
    assert batch_sharpness(model, inputs, targets, loss).value == pytest.approx(wanted, rel=1e-8)


def test_one_sample_sharpness_is_the_top_of_the_dual_gram() -> None:
    model, (inputs, targets) = perceptron(), data("half_squared_error", 1)
    wanted = float(torch.linalg.eigvalsh(dual_gram(trace(model, inputs), inputs[0]))[-1])
    assert batch_sharpness(model, inputs, targets, "half_squared_error").value == pytest.approx(wanted, rel=1e-8)


def test_float32_and_large_batches_agree_with_float64() -> None:
    model, (inputs, targets) = perceptron(), data("mse", 600)
    wanted = batch_sharpness(model, inputs, targets, "mse").value
    found = batch_sharpness(model.float(), inputs.float(), targets.float(), "mse")
    assert found.value == pytest.approx(wanted, rel=1e-4)
    dense = float(torch.linalg.eigvalsh(dense_ggn(model.double(), inputs, "mse"))[-1])
    assert wanted == pytest.approx(dense, rel=1e-8)


def test_attention_is_measured() -> None:
    torch.manual_seed(3)
    encoder = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.Unflatten(1, (2, 6)), encoder, nn.Flatten(), nn.Linear(12, 3)).double()
    inputs, targets = torch.randn(5, 12).double(), torch.randn(5, 3).double()
    found = batch_sharpness(model, inputs, targets, "mse").value
    with sdpa_kernel(SDPBackend.MATH):
        wanted = torch.linalg.eigvalsh(dense_ggn(model.eval(), inputs, "mse"))[-1]
    assert found == pytest.approx(float(wanted), rel=1e-7)


def test_frozen_parameters_do_not_count() -> None:
    model, (inputs, targets) = perceptron(), data("mse")
    model[0].requires_grad_(False)
    names = [name for name, _ in model.named_parameters() if not name.startswith("0.")]
    jacobian = parameter_jacobian(model, inputs, names)
    wanted = 2 / 3 / len(inputs) * float(torch.linalg.eigvalsh(jacobian @ jacobian.T)[-1])
    assert batch_sharpness(model, inputs, targets, "mse").value == pytest.approx(wanted, rel=1e-8)


def test_a_dead_network_has_sharpness_zero() -> None:
    model = nn.Sequential(nn.Linear(2, 40, bias=False), nn.ReLU(), nn.Linear(40, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.fill_(-1.0)
    assert batch_sharpness(model, torch.ones(1, 2).double(), torch.ones(1, 1).double(), "mse") == (0.0, 0.0)


def test_targets_that_do_not_fit_are_refused() -> None:
    model, (inputs, classes) = perceptron(), data("cross_entropy")
    _, targets = data("mse")
    refused: list[tuple[Tensor, Tensor, str, str]] = [
        (inputs, targets[:, :2], "mse", "outputs' shape"),
        (inputs, targets.float(), "mse", "torch.float64 targets for mse"),
        (inputs, targets * torch.nan, "mse", "finite targets"),
        (inputs, targets[:, :2], "cross_entropy", "one class a sample"),
        (inputs, classes.int(), "cross_entropy", "int64 class numbers"),
        (inputs, classes + 1, "cross_entropy", "classes from 0 to 2, got [12] to 3"),
        (inputs, classes - 5, "cross_entropy", "classes from 0 to 2"),
        (inputs[:3], targets, "mse", "as many targets as inputs"),
        (inputs[:0], targets[:0], "mse", "at least one"),
        (inputs * 1e308 * 10, targets, "mse", "finite outputs"),
        (inputs, targets, "hinge", "a loss among .*half_squared_error"),
    ]
    for x, y, loss, message in refused:
        for function in (batch_sharpness, adam_preconditioner):
            with pytest.raises(InputError, match=message):
                function(model, x, y, loss)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="positive preconditioner"):
        batch_sharpness(model, inputs, targets, "mse", CurvatureOptions(preconditioner=torch.zeros(188).double()))
    with pytest.raises(InputError, match="positive preconditioner"):
        batch_sharpness(model, inputs, targets, "mse", CurvatureOptions(preconditioner=torch.ones(3).double()))
    with pytest.raises(InputError, match="batches ≥ 1"):
        AdamOptions(batches=0)


def test_batch_statistics_belong_to_the_curvature() -> None:
    """In training mode every sample's output depends on the whole batch; the buffers stay."""
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).double()
    inputs, targets = torch.randn(9, 12).double(), torch.randn(9, 3).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    how = CurvatureOptions(training=False)
    found = batch_sharpness(model, inputs, targets, "half_squared_error").value
    model.train()
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    named = dict(model.named_parameters())

    def outputs(vector: Tensor) -> Tensor:
        parts = vector.split([p.numel() for p in named.values()])
        weights = {key: part.reshape(p.shape) for (key, p), part in zip(named.items(), parts, strict=True)}
        h = (inputs @ weights["0.weight"].T) + weights["0.bias"]
        h = (h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt() * weights["1.weight"] + weights["1.bias"]
        return torch.tanh(h) @ weights["3.weight"].T + weights["3.bias"]

    jacobian = torch.func.jacrev(outputs)(flat).flatten(0, 1)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(jacobian @ jacobian.T / 9)[-1]), rel=1e-7)
    assert abs(batch_sharpness(model, inputs, targets, "half_squared_error", how).value / found - 1) > 1e-2
    curved = torch.func.hessian(lambda vector: (outputs(vector) - targets).square().sum() / 2 / 9)(flat)
    hessian = batch_sharpness(model, inputs, targets, "half_squared_error", CurvatureOptions("hessian", training=True))
    assert hessian.value == pytest.approx(float(torch.linalg.eigvalsh(curved)[-1]), rel=1e-7)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_bfloat16_models_are_measured_in_float32() -> None:
    model, (inputs, targets) = perceptron(), data("mse", 20)
    model, inputs, targets = model.bfloat16(), inputs.bfloat16(), targets.bfloat16()
    wanted = batch_sharpness(model.double(), inputs.double(), targets.double(), "mse").value
    assert batch_sharpness(model.bfloat16(), inputs, targets, "mse").value == pytest.approx(wanted, rel=1e-4)
    assert adam_preconditioner(model, inputs, targets, "mse").dtype == torch.float32
    assert next(model.parameters()).dtype == torch.bfloat16


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_outputs_that_depend_on_no_parameter_have_no_curvature(loss: str) -> None:
    class Constant(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return input[:, :3].detach()

    model, (inputs, targets) = Constant(12, 3).double(), data(loss)
    assert batch_sharpness(model, inputs, targets, loss) == (0.0, 0.0)
    assert adam_preconditioner(model, inputs, targets, loss, AdamOptions(epsilon=0.5)).unique().tolist() == [0.5]


class Opaque(torch.autograd.Function):
    """A tanh whose backward pass hides how it depends on what it gets."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        context.save_for_backward(x)
        return x.tanh()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, cotangent: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return cotangent * (1 - context.saved_tensors[0].tanh().square())


class ForwardOnly(torch.autograd.Function):
    """The same, and it says how it is differentiated going forward."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        context.save_for_backward(x)
        context.save_for_forward(x)
        return x.tanh()

    backward = Opaque.backward

    @staticmethod
    def jvp(context, tangent: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return tangent * (1 - context.saved_tensors[0].tanh().square())


@pytest.mark.parametrize("matrix", ["ggn", "empirical_fisher"])
def test_a_backward_pass_without_a_derivative_is_measured_going_forward(matrix: Matrix) -> None:
    class Custom(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return ForwardOnly.apply(super().forward(input))

    model, plain = (nn.Sequential(kind(16, 5), nn.Linear(5, 3)).double() for kind in (Custom, nn.Linear))
    plain.load_state_dict(model.state_dict())
    plain.insert(1, nn.Tanh())
    inputs, targets = data("mse")
    how = CurvatureOptions(matrix)
    found, wanted = (batch_sharpness(some, inputs, targets, "mse", how).value for some in (model, plain))
    assert found == pytest.approx(wanted, rel=1e-8)
    with pytest.raises(InputError, match="differentiate twice"):
        batch_sharpness(model, inputs, targets, "mse", CurvatureOptions("hessian"))


def test_a_backward_pass_that_hides_its_dependence_has_no_hessian() -> None:
    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(context, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            context.save_for_backward(x)
            return x.tanh()

        @staticmethod
        def backward(context, cotangent: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            return cotangent.detach() * (1 - context.saved_tensors[0].tanh().square())

    class Custom(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return Hidden.apply(super().forward(input))

    model, (inputs, targets) = nn.Sequential(Custom(16, 5), nn.Linear(5, 3)).double(), data("mse")
    with pytest.raises(InputError, match="derivative of an operation's backward pass is missing"):
        batch_sharpness(model, inputs, targets, "mse", CurvatureOptions("hessian"))


def test_a_hessian_that_float32_has_lost_is_refused_and_its_precision_named() -> None:
    torch.manual_seed(0)
    last, inputs = nn.Linear(60, 3), torch.randn(40, 20)
    last.bias = nn.Parameter(torch.tensor([35.0, 0.0, 0.0]))
    model = nn.Sequential(nn.Linear(20, 60), nn.Tanh(), last)
    with pytest.raises(InputError, match=r"precision is lost.*model\.double"):
        batch_sharpness(model, inputs, torch.zeros(40).long(), "cross_entropy", CurvatureOptions("hessian"))


@pytest.mark.parametrize("measure", [batch_sharpness, curvature_trace, curvature_spectrum])
def test_a_backward_pass_that_takes_its_weight_for_a_constant_has_a_hessian_that_is_not_symmetric(measure) -> None:
    class Half(torch.autograd.Function):
        @staticmethod
        def forward(context, x: Tensor, weight: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            context.save_for_backward(x, weight)
            return x @ weight.T

        @staticmethod
        def backward(context, cotangent: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
            x, weight = context.saved_tensors
            return cotangent @ weight.detach(), cotangent.T @ x

    class Custom(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return Half.apply(super().forward(input), self.weight[:, :5])

    model, (inputs, targets) = nn.Sequential(Custom(16, 5), nn.Tanh(), nn.Linear(5, 3)).double(), data("mse")
    with pytest.raises(InputError, match="derivative of an operation's backward pass is missing"):
        measure(model, inputs, targets, "mse", CurvatureOptions("hessian"))


@pytest.mark.filterwarnings("ignore:.*deprecated in favor of:FutureWarning")
@pytest.mark.parametrize("normed", [parametrizations.weight_norm, hooked_norm])
def test_a_weight_norm_has_the_hessian_that_differences_of_its_gradient_have(normed) -> None:
    torch.manual_seed(0)
    model, (inputs, targets) = nn.Sequential(normed(nn.Linear(16, 5)), nn.Tanh(), nn.Linear(5, 3)).double(), data("mse")
    parameters = list(model.parameters())
    along = torch.randn(sum(one.numel() for one in parameters), dtype=torch.float64)

    def gradient(step: float) -> Tensor:
        torch.nn.utils.vector_to_parameters(start + step * along, parameters)
        return torch.cat(
            [g.reshape(-1) for g in torch.autograd.grad((model(inputs) - targets).square().mean(), parameters)]
        )

    start = torch.nn.utils.parameters_to_vector(parameters).detach()
    wanted = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    torch.nn.utils.vector_to_parameters(start, parameters)
    whole = curvature_operator(model, inputs, targets, "mse", "hessian") @ along.numpy()
    watched, _ = hessian_product(model, lambda: (model(inputs) - targets).square().mean())
    assert torch.allclose(torch.from_numpy(whole), wanted, atol=1e-8)
    assert torch.allclose(watched(along.float()).double(), wanted, atol=1e-4)


def test_the_largest_eigenvalue_of_a_large_hessian_is_found_where_the_gradient_hides_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(160, 160), nn.Tanh(), nn.Linear(160, 2)).double()  # more rows than all are kept of
    x = torch.randn(90, 160).double() + 1.0
    y = model(x).detach()
    y = y - y.roll(1, 0)  # errors whose mean is 0, as all samples share the direction of the largest eigenvalue
    parameters = list(model.parameters())
    slopes = torch.autograd.grad((model(x) - y).square().mean(), parameters, create_graph=True)
    vector = [torch.randn_like(one) for one in parameters]
    for _ in range(200):
        length = float(torch.stack([v.norm() for v in vector]).norm())
        vector = [v.detach() / length for v in vector]
        vector = list(torch.autograd.grad(slopes, parameters, vector, retain_graph=True))
    wanted = float(torch.stack([v.norm() for v in vector]).norm())
    assert batch_sharpness(model, x, y, "mse", CurvatureOptions("hessian")).value == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("skip", [0.0, 1.0])
def test_a_backward_pass_without_a_derivative_is_measured_by_differences_and_never_zero(skip: float) -> None:
    class Custom(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            h = super().forward(input)
            return Opaque.apply(h) + skip * h

    class Plain(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            h = super().forward(input)
            return h.tanh() + skip * h

    model, known, (inputs, targets) = Custom(16, 3).double(), Plain(16, 3).double(), data("mse")
    known.load_state_dict(model.state_dict())
    for how in ("ggn", "empirical_fisher"):
        found, wanted = (
            batch_sharpness(one, inputs, targets, "mse", CurvatureOptions(how)).value for one in (model, known)
        )
        assert found == pytest.approx(wanted, rel=1e-7)
    with pytest.raises(InputError, match=r"differentiate twice|backward pass has a derivative"):
        batch_sharpness(model, inputs, targets, "mse", CurvatureOptions("hessian"))
    found, wanted = (estimate_fisher(trace(one, inputs[:1]), inputs[0]) for one in (model, known))
    assert found.top == pytest.approx(wanted.top, rel=1e-6)
    plain = nn.Sequential(nn.Linear(16, 3), nn.Tanh()).double()
    plain[0].load_state_dict(model.state_dict())
    if not skip:
        assert torch.allclose(
            dual_gram(trace(model, inputs[:1]), inputs[0]), dual_gram(trace(plain, inputs[:1]), inputs[0])
        )


def test_an_embedding_bag_has_the_sharpness_of_its_sums() -> None:
    torch.manual_seed(0)
    bag, table = nn.EmbeddingBag(9, 4, mode="sum"), nn.Embedding(9, 4)
    table.weight = nn.Parameter(bag.weight.detach().clone())

    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = table

        def forward(self, x: Tensor) -> Tensor:
            return self.table(x).sum(1)

    last, (x, y) = nn.Linear(4, 3), (torch.randint(9, (8, 5)), torch.arange(8) % 3)
    found, wanted = (
        batch_sharpness(nn.Sequential(first, nn.Tanh(), last), x, y, "cross_entropy").value for first in (bag, Summed())
    )
    assert found == pytest.approx(wanted, rel=1e-5)


def test_long_vectors_need_no_basis(monkeypatch):
    """λ of a recursion with three vectors beside the written-down matrix, and fewer products than one restart of eigsh takes."""
    model, (x, y) = perceptron(), data("cross_entropy")
    exact = batch_sharpness(model, x, y, "cross_entropy", CurvatureOptions("hessian")).value
    monkeypatch.setattr("freeness.torch.measured.curvature._SHORT", 30)
    monkeypatch.setattr("freeness.torch.measured.curvature.eigsh", None)
    found = batch_sharpness(model, x, y, "cross_entropy", CurvatureOptions("hessian"))
    assert found.value == pytest.approx(exact, rel=1e-9) and found.residual <= 1e-9 * exact
