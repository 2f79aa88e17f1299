"""Every model of the zoo is read or named, measured exactly, and left as it was."""

from __future__ import annotations

import contextlib
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch import (
    AdamOptions,
    CurvatureOptions,
    LanczosOptions,
    Trace,
    adam_preconditioner,
    batch_sharpness,
    dual_gram,
    estimate_fisher,
    jacobian_singular_values,
    measure_fisher,
    measure_jacobian,
    ntk_gram,
    trace,
)
from freeness.torch.model.batched import plain_attention
from freeness.torch.model.outputs import select_output
from tests.torch.models import rows
from tests.torch.test_state import assert_same, picture
from tests.torch.zoo import ZOO, zoo_model

_BLOCK = 2 * "Normalisation Activation Convolution " + "Sum "
_V1 = "Convolution Normalisation Activation Convolution Normalisation "
_ATTENDED = "PositionWise Selection Selection Selection Attention PositionWise Sum "
_TRANSFORMER = "Normalisation " + _ATTENDED + "Normalisation PositionWise Activation PositionWise Sum "
# Models for which there is a network, and the operations that it is made of.
READ = {
    "perceptron": "Dense Activation Dense Activation Dense",
    "deep linear": "Dense Dense Dense Dense",
    "residual perceptron": "Dense " + 3 * "Normalisation Dense Activation Dense Sum " + "Activation Dense",
    "LeNet": "Convolution Activation Pooling Convolution Activation Pooling Flatten Dense Activation Dense",
    "pre-activation ResNet": "Convolution " + 2 * _BLOCK + "Activation Pooling Flatten Dense",
    "autoencoder": "Dense Activation Dense Dense Activation Dense Activation",
    "dict output": "Dense Activation Dense",
    "Conv1d": "Convolution Activation Convolution Activation Pooling Flatten Dense",
    "VGG": 2 * "Convolution Normalisation Activation MaxPooling " + "Flatten Dense Activation Dense",
    "ResNet-18": "Convolution Normalisation Activation "
    + (2 * (_V1 + "Sum Activation "))
    + 3 * ("Convolution Normalisation " + _V1 + "Sum Activation " + _V1 + "Sum Activation ")
    + "Pooling Flatten Dense",
    "ConvNeXt": "Convolution Convolution Normalisation PositionWise Activation PositionWise Constant Product Sum Pooling Flatten "
    "Dense",
    "MLP-Mixer": "Convolution Reshape Normalisation TokenMixing Activation TokenMixing Sum Normalisation PositionWise "
    "Activation PositionWise Sum Pooling Dense",
    "ViT": "Convolution Reshape Constant Concatenation Constant Sum " + 2 * _TRANSFORMER + "Selection Dense",
    "GPT": "Embedding Constant Sum " + 2 * _TRANSFORMER + "Normalisation PositionWise Selection",
    "DenseNet": "Convolution " + 3 * "Normalisation Activation Convolution Concatenation " + "Pooling Flatten Dense",
    "shared convolution": "Convolution Activation Convolution Activation Flatten Dense",
    "gated": "Constant Sum Normalisation Dense Dense Activation Product Dense",
    "attention": _ATTENDED + "PositionWise Pooling",
}
# What theory does not cover, of those and of models without a network: kind of operation and where it stands.
NAMED = {
    "VGG": ("max pooling", "3"),
    "ConvNeXt": ("convolution", "1.depthwise"),
    "MLP-Mixer": ("linear layer", "block.tokens.0"),
    "ViT": ("attention", "encoder.layers.0.self_attn"),
    "GPT": ("embedding", "tokens"),
    "convolutional autoencoder": ("transposed convolution", "1.0"),
    "U-Net": ("transposed convolution", "up"),
    "LSTM": ("recurrent layer", "layer"),
    "GRU": ("recurrent layer", "layer"),
    "RNN": ("recurrent layer", "layer"),
    "GRU cell": ("recurrent layer", "cell"),
    "functional": ("matrix product", ""),
    "shared weights": ("linear layer", "layer"),
    "shared convolution": ("convolution", "layer"),
    "parametrised": ("linear layer", "0"),
    "embedding bag": ("embedding", "bag"),
    "gated": ("trained scale or shift", ""),
    "grouped and dilated": ("instance normalisation", "5"),
    "Conv3d": ("convolution", "0"),
    "attention": ("attention", "attention"),
    "partly frozen": ("linear layer", "0"),
    "bilinear": ("matrix product", "form"),
    "control flow": ("convolution", "conv"),
}
# jacrev says so of operations without a batching rule
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")

# functional_call leaves the weights of recurrent layers as they are; control flow on values does not go into a transform
WITHOUT_JACREV = {"LSTM", "GRU", "RNN", "control flow"}


# dropout, one value a channel, and a weight that every forward pass moves
IN_TRAINING = {"VGG", "ViT", "parametrised", "ResNet-18"}


class First(nn.Module):
    """The tensor that is looked at, of several."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return select_output(self.model(x))[1]


def output(model: nn.Module, x: Tensor) -> Tensor:
    return select_output(model(x))[1].reshape(-1)


def differentiable(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The output and the point at which it is differentiated: the input, or the embedding of tokens."""
    if x.is_floating_point():
        point = x.clone().requires_grad_()
        return output(model, point), point
    found: list[Tensor] = []

    def embedded(_: object, __: object, returned: Tensor) -> Tensor:
        found.append(returned.detach().requires_grad_())
        return found[0]

    handle = model.get_submodule("tokens").register_forward_hook(embedded)
    returned = output(model, x)
    handle.remove()
    return returned, found[0]


def jacobian(model: nn.Module, x: Tensor, name: str) -> Tensor:
    """J_θ by torch.func.jacrev, or output by output where that cannot run the model."""
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    if name in WITHOUT_JACREV:
        return rows(output(model, x), list(trained.values()))

    def outputs(values: dict[str, Tensor]) -> Tensor:
        return select_output(torch.func.functional_call(model, values, (x,)))[1].reshape(-1)

    with plain_attention():
        blocks = torch.func.jacrev(outputs)({key: p.detach() for key, p in trained.items()})
    return torch.cat([block.detach().flatten(1) for block in blocks.values()], dim=1)


def assert_near(found: Tensor, expected: Tensor, tolerance: float = 1e-8) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())
    assert float(expected.abs().max()) > 0


@cache
def read(name: str) -> tuple[nn.Module, Tensor, Trace]:
    """A model as it was traced, in eval mode; the last test of this file says that measuring leaves it so."""
    model, x = zoo_model(name)
    traced = trace(model, x)
    return model.eval(), x, traced


def test_the_zoo_is_large_and_every_model_has_its_place() -> None:
    assert len(ZOO) >= 30
    assert set(ZOO) == set(READ) | set(NAMED)


@pytest.mark.always
@pytest.mark.parametrize("name", ZOO)
def test_a_model_is_read_or_says_what_it_cannot_cover(name: str) -> None:
    model, x, traced = read(name)
    assert traced.complete == (name in READ)
    assert traced.covered == (name not in NAMED)
    if name in READ:
        assert " ".join(type(operation).__name__ for operation in traced.network.operations) == READ[name].strip()
    if name != "control flow":
        with torch.no_grad():
            assert_near(traced.replay(x), select_output(model(x))[1], 1e-10)
    if traced.covered:
        return
    assert NAMED[name] in [(operation.kind, operation.path) for operation in traced.uncovered]
    assert all(operation.reason for operation in traced.operations if operation.theory == "none")
    if not traced.complete:
        with pytest.raises(InputError, match=r"^expected layers that theory covers, got .*; measure the spectra"):
            _ = traced.network


@pytest.mark.always
@pytest.mark.parametrize("name", ZOO)
def test_dual_gram_and_singular_values_equal_those_of_jacrev(name: str) -> None:
    model, x, traced = read(name)
    expected = jacobian(model, x, name)
    assert_near(dual_gram(traced, x), expected @ expected.T)
    assert_near(dual_gram(traced, x, passes=3), expected @ expected.T)
    if name == "embedding bag":
        with pytest.raises(InputError, match="no derivative by tokens"):
            jacobian_singular_values(traced, x)
        return
    returned, point = differentiable(model, x)
    wanted = torch.linalg.svdvals(rows(returned, [point]))
    assert_near(jacobian_singular_values(traced, x), wanted)
    assert_near(jacobian_singular_values(traced, x, passes=2), wanted)


@pytest.mark.parametrize("name", ZOO)
def test_tangent_kernel_of_a_batch_equals_that_of_jacrev(name: str) -> None:
    model, x, traced = read(name)
    batch = torch.cat([x, x.flip(-1)])
    each = torch.cat([jacobian(model, sample[None], name) for sample in batch])
    assert_near(ntk_gram(traced, batch), each @ each.T)
    blocks = (each @ each.T).reshape(2, traced.outputs, 2, traced.outputs)
    assert_near(ntk_gram(traced, batch, traced=True, passes=2), blocks.diagonal(dim1=1, dim2=3).mean(-1))


@pytest.mark.always
@pytest.mark.parametrize("name", ZOO)
def test_reading_and_measuring_change_nothing(name: str) -> None:
    model, x = zoo_model(name)
    output(model, torch.cat([x, x])).sum().backward()
    shape = select_output(model.eval()(x))[1].shape
    model.train()
    next(model.children(), model).eval()
    model.register_forward_hook(lambda *_: None)
    before = [picture(model), [id(m) for m in model.modules()], list(model.state_dict())]
    traced = trace(model, x)
    dual_gram(traced, x)
    ntk_gram(traced, x, traced=True)
    measure_fisher(traced, x)
    if name != "embedding bag":
        measure_jacobian(traced, x)
    if name not in IN_TRAINING:
        dual_gram(traced, x, training=True)
    target = torch.zeros(shape, dtype=torch.float64)
    whole = model if not traced.output else First(model)
    mode = name not in IN_TRAINING
    adam_preconditioner(whole, x, target, "mse", AdamOptions(training=mode))
    with contextlib.suppress(InputError):  # of an operation whose backward pass has no derivative
        estimate_fisher(traced, x, LanczosOptions(2, 3))
        batch_sharpness(whole, x, target, "mse", CurvatureOptions(training=mode))
        batch_sharpness(whole, x, target, "mse", CurvatureOptions("hessian", training=mode))
    assert_same(before, [picture(model), [id(m) for m in model.modules()], list(model.state_dict())])
