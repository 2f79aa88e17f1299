"""Every call of networks that people train has a record, and the record computes what the model does."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.network import Attention, Network, Reshape, Selection, Sum
from freeness.spectra import predict_fisher, predict_jacobian
from freeness.torch import dual_gram, realised_neurons, trace
from tests.torch.interpreter import computed
from tests.torch.models import SwiGLU, read_models

MODELS = read_models()
_BLOCK = "Convolution Normalisation Activation Convolution Normalisation "
_DOWN = "Convolution Normalisation Activation Convolution Normalisation Convolution Sum Activation "
_STAGE = _BLOCK + "Sum Activation "
_ATTENDED = "Normalisation PositionWise Selection Selection Selection Attention PositionWise Sum "
_TRANSFORMER = _ATTENDED + "Normalisation PositionWise Activation PositionWise Sum "
OPERATIONS = {
    "ResNet-18": "Convolution Normalisation Activation MaxPooling "
    + 2 * _STAGE
    + 3 * (_DOWN + _STAGE)
    + "Pooling Dense",
    "ViT": "Convolution Reshape Constant Concatenation Constant Sum "
    + 2 * _TRANSFORMER
    + "Normalisation Selection Dense",
    "GPT": "Embedding Constant Sum " + 2 * _TRANSFORMER + "Normalisation PositionWise",
    "U-Net": "Convolution Activation Pooling Convolution Activation Upsampling Concatenation Convolution",
    "SwiGLU": "Normalisation PositionWise PositionWise Activation Product PositionWise Sum",
    "MLP-Mixer": "Convolution Reshape Normalisation TokenMixing Activation TokenMixing Sum Normalisation PositionWise "
    "Activation PositionWise Sum Pooling Dense",
    "squeezed": "Convolution Activation Convolution Normalisation Constant Product Pooling Dense Activation Dense Activation "
    "Product MaxPooling Flatten Dense",
}


def network_of(name: str) -> tuple[nn.Module, Tensor, Network]:
    model, x = MODELS[name]
    traced = trace(model.eval(), x)
    assert traced.complete, traced.uncovered
    return model, x, traced.network


def tensor(model: nn.Module, name: str) -> Tensor | None:
    """A parameter in float64; of positional embeddings and tokens (1, T, C) or (T, C) as (C, T), of scales (C, 1, 1) as (C,)."""
    found = dict(model.named_parameters(remove_duplicate=False))
    known = found.get(name, found.get(f"{name}") if name.endswith((".weight", ".bias")) else None)
    if known is None:
        return None
    known = known.detach().double()
    if name in ("token", "positions"):
        return known[0].T
    if name == "positions.weight":
        return known.T
    return known.flatten() if name == "gamma" else known


@pytest.mark.parametrize("name", MODELS)
def test_every_call_has_its_record(name: str) -> None:
    _, _, network = network_of(name)
    assert " ".join(type(operation).__name__ for operation in network.operations) == OPERATIONS[name].strip()


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_the_record_computes_what_the_model_does(name: str, samples: int) -> None:
    """Read off operations, wires and the model's parameters alone, by an interpreter that knows no torch layout."""
    model, x, network = network_of(name)
    generator = torch.Generator().manual_seed(1)
    if x.is_floating_point():
        x = torch.randn(samples, *x.shape[1:], generator=generator)
        canonical = x.double().movedim(-1, 1) if name == "SwiGLU" else x.double()
    else:
        x = torch.randint(11, (samples, x.shape[1]), generator=generator)
        canonical = x[:, None]
    with torch.no_grad():
        expected = model(x)
        found = computed(network, canonical, lambda each: tensor(model, each))
        replayed = trace(model, x[:1]).replay(x)
    if name in ("SwiGLU", "GPT"):
        found = found.movedim(1, -1)
    assert found.shape == expected.shape == replayed.shape
    scale = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= 1e-5 * scale
    assert float((replayed - expected).abs().max()) <= 1e-5 * scale


@pytest.mark.parametrize("name", MODELS)
def test_replay_is_exact_in_float64(name: str) -> None:
    model, x = read_models()[name]
    model = model.double().eval()
    x = x.double() if x.is_floating_point() else x
    with torch.no_grad():
        expected = model(x)
    assert float((trace(model, x).replay(x) - expected).abs().max()) <= 1e-10 * float(expected.abs().max())


def test_heads_scale_and_mask_of_attention_are_read() -> None:
    _, _, network = network_of("GPT")
    found = [operation for operation in network.operations if isinstance(operation, Attention)]
    assert [(one.heads, one.causal, one.scale) for one in found] == [(2, True, "root"), (4, True, "root")]
    chunks = [(one.of, one.start, one.stop) for one in network.operations if isinstance(one, Selection)]
    assert chunks == 2 * [("channels", 0, 8), ("channels", 8, 16), ("channels", 16, 24)]


def test_the_class_token_is_the_first_position() -> None:
    _, _, network = network_of("ViT")
    last = [operation for operation in network.operations if isinstance(operation, Selection)][-1]
    assert (last.of, last.start, last.stop, last.vector) == ("positions", 0, 1, True)
    assert [one.positions for one in network.operations if isinstance(one, Reshape)] == [(9,)]
    assert [one.causal for one in network.operations if isinstance(one, Attention)] == [False, False]


def test_skip_connections_are_sums_with_the_scales_of_the_model() -> None:
    _, _, network = network_of("SwiGLU")
    last = network.nodes[-1]
    assert isinstance(last.operation, Sum) and last.operation.scales == (1.0, 0.5)
    assert last.inputs == ("input", "down")
    _, _, network = network_of("ResNet-18")
    counts = Counter(name for node in network.nodes for name in node.inputs)
    sums = [node for node in network.nodes if isinstance(node.operation, Sum)]
    assert len(sums) == 8 and all(len(network.readers(node.name)) == 1 for node in sums)
    assert sum(count == 2 for count in counts.values()) == 8  # what a block reads is read by its skip connection, too


def test_a_weight_at_two_places_is_one() -> None:
    _, _, network = network_of("GPT")
    assert [(node.name, node.shares) for node in network.nodes if node.shares] == [("head", "tokens")]


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"GPT"}))
def test_theory_says_in_a_sentence_which_operation_it_does_not_cover(name: str) -> None:
    _, _, network = network_of(name)
    with pytest.raises(InputError, match=r"^expected .*, got .*\.$"):
        predict_jacobian(network)


def test_the_fisher_of_one_layer_at_several_positions_is_refused_in_a_sentence() -> None:
    model, x = (
        nn.Sequential(nn.Linear(6, 8), nn.Tanh()),
        torch.randn(1, 2, 6, generator=torch.Generator().manual_seed(0)),
    )
    traced = trace(model, x)
    signals = realised_neurons(traced, x)
    assert signals.inputs.shape == (1, 6, 2) and [h.shape for h in signals.preactivations] == [(1, 8, 2)]
    with pytest.raises(InputError, match="expected weights behind the first ones"):
        predict_fisher(traced.network, realised=signals)


def test_theory_meets_a_gated_branch_on_tokens_that_was_read() -> None:
    """One drawn network of 60 to 90 channels at two positions: the mean of the Fisher spectrum within 10 %."""
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(30, 60, bias=False), SwiGLU(60), nn.Linear(60, 20, bias=False)).double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 1.2 * module.in_features**-0.5)
    x = torch.randn(1, 2, 30, dtype=torch.float64)
    traced = trace(model, x)
    assert traced.covered
    found = predict_fisher(traced.network, realised=realised_neurons(traced, x)).law.mean
    assert float(dual_gram(traced, x).diagonal().mean()) == pytest.approx(found, rel=0.1)


class Written(nn.Module):
    """Attention whose products are used otherwise."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.q, self.k, self.v, self.end = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), end

    def forward(self, x: Tensor) -> Tensor:
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        if self.end == "scores":
            return scores
        if self.end == "bend":
            return torch.tanh(scores) @ self.v(x)
        return (scores + torch.relu(scores)).softmax(-1) @ self.v(x)


@pytest.mark.parametrize("end", ["scores", "bend", "both"])
def test_products_of_signals_that_are_no_attention_are_steps_without_a_record(end: str) -> None:
    model, x = Written(end), torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    traced = trace(model, x)
    assert not traced.complete and any(one.kind == "matrix product" for one in traced.uncovered)
    assert any(step.record is None for step in traced.steps)
    torch.testing.assert_close(traced.replay(x), model(x).detach())
    with pytest.raises(InputError, match="matmul in the forward of the model"):
        _ = traced.network


@pytest.mark.parametrize("channels", [1, 3])
def test_flattened_images_of_one_channel_are_vectors(channels: int) -> None:
    model = nn.Sequential(nn.Conv2d(2, channels, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 3))
    x = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    found = [type(operation).__name__ for operation in trace(model, x).network.operations]
    assert found == ["Convolution", "MaxPooling", "Flatten", "Dense"]


def test_channels_that_change_places_have_no_record() -> None:
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv1d(4, 6, 1), nn.Conv1d(6, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x).unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2))

    model, x = Shuffled(), torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    traced = trace(model, x)
    assert not traced.complete and "another order" in traced.uncovered[0].reason
    torch.testing.assert_close(traced.replay(x), model(x).detach())
