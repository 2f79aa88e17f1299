"""A language model of `transformers`, drawn from a small configuration, is measured beside automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from freeness.network import Attention
from freeness.torch import CurvatureOptions, batch_sharpness, dual_gram, trace
from freeness.torch.record.signals import neurons_of
from tests.torch.models import rows

VOCABULARY, TOKENS = 31, 6


class LastToken(nn.Module):
    """The logits of the token after the last one."""

    def __init__(self) -> None:
        super().__init__()
        sizes = {"vocab_size": VOCABULARY, "n_positions": TOKENS, "n_embd": 8, "n_layer": 2, "n_head": 2}
        self.language_model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.language_model(input_ids=tokens).logits[:, -1]


@pytest.fixture(scope="module")
def drawn() -> tuple[nn.Module, Tensor, Tensor]:
    """The model, tokens, and the dense Jacobian (samples, outputs, parameters); the output layer is the embedding again."""
    torch.manual_seed(0)
    model = LastToken().double().eval()
    tokens = torch.randint(0, VOCABULARY, (3, TOKENS))
    return model, tokens, rows(model(tokens).reshape(-1), list(model.parameters())).reshape(3, VOCABULARY, -1)


def test_a_tiny_gpt2_is_read_from_tokens_to_logits(drawn: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, tokens, _ = drawn
    traced = trace(model, tokens[:1])
    block = (
        "Normalisation PositionWise Selection Selection Selection Attention PositionWise Sum "
        "Normalisation PositionWise Activation PositionWise Sum "
    )
    found = " ".join(type(operation).__name__ for operation in traced.network.operations)
    assert found == "Embedding Constant Sum " + 2 * block + "Normalisation PositionWise Selection"
    assert [(one.heads, one.causal) for one in traced.network.operations if isinstance(one, Attention)] == 2 * [
        (2, True)
    ]
    weight = traced.steps[4].weight  # Conv1D keeps (fan_in, fan_out)
    assert weight is not None and weight.shape == (24, 8)
    torch.testing.assert_close(traced.replay(tokens), model(tokens).detach())


def test_sharpness_of_a_tiny_gpt2_is_the_top_of_its_dense_ggn(drawn: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, tokens, jacobian = drawn
    p = model(tokens).detach().softmax(1)
    hessians = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    values, vectors = torch.linalg.eigh(hessians)
    roots = vectors * values.clamp_min(0).sqrt()[:, None]
    half = (roots.transpose(1, 2) @ jacobian).reshape(-1, jacobian.shape[2])
    wanted = float(torch.linalg.eigvalsh(half @ half.T / len(tokens))[-1])
    targets = torch.arange(len(tokens))
    eval_mode = CurvatureOptions(training=False)
    assert batch_sharpness(model, tokens, targets, "cross_entropy", eval_mode).value == pytest.approx(wanted, rel=1e-7)


def test_dual_gram_of_a_tiny_gpt2_is_that_of_its_dense_jacobian(drawn: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, tokens, jacobian = drawn
    wanted = jacobian[0] @ jacobian[0].T
    found = dual_gram(trace(model, tokens[:1]), tokens[0])
    assert float((found - wanted).abs().max()) <= 1e-10 * float(wanted.abs().max())


def test_a_model_that_returns_its_cache_is_read_by_its_logits(drawn: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, tokens, _ = drawn
    inner = model.language_model
    assert "past_key_values" in inner(input_ids=tokens)
    alone, beside = trace(model, tokens[:1]), trace(inner, tokens[:1])
    kinds = [[type(operation).__name__ for operation in found.network.operations] for found in (alone, beside)]
    assert kinds[1] == kinds[0][:-1]  # but for the choice of the last token
    torch.testing.assert_close(beside.replay(tokens), inner(input_ids=tokens).logits.detach())


class Packed(nn.Module):
    """Attention written out over one projection: query, key and value ``together`` in every head, or each of all heads."""

    def __init__(self, together: bool, way: str) -> None:
        super().__init__()
        self.together, self.way = together, way
        self.read, self.write = nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        packed = self.read(x)
        if self.together and self.way == "chunk":
            query, key, value = packed.unflatten(2, (2, 12)).transpose(1, 2).chunk(3, -1)
        elif self.together:
            parts = packed.view(*x.shape[:2], 2, 3, 4).transpose(1, 2)
            query, key, value = parts[:, :, :, 0], parts[:, :, :, 1], parts[:, :, :, 2]
        else:
            query, key, value = (part.unflatten(2, (2, 4)).transpose(1, 2) for part in packed.chunk(3, -1))
        weights = (query @ key.transpose(2, 3) * 0.5).softmax(-1, dtype=x.dtype).to(x.dtype)
        return self.write((weights @ value).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("way", ["chunk", "select"])
def test_projections_packed_head_by_head_are_read_as_those_packed_part_by_part(way: str) -> None:
    """The same weights, whose rows stand in another order: the same record, and the same signals of a pass."""
    torch.manual_seed(0)
    (own, parts), x = (
        (Packed(together, way).double().eval() for together in (True, False)),
        torch.randn(2, 5, 8).double(),
    )
    order = torch.arange(24).view(2, 3, 4).transpose(0, 1).flatten()
    state = own.state_dict()
    parts.load_state_dict(state | {name: state[name][order] for name in ("read.weight", "read.bias")})
    traced = [trace(model, x[:1]) for model in (own, parts)]
    for one in traced:
        torch.testing.assert_close(one.replay(x), own(x).detach())
    first, second = ([type(each).__name__ for each in one.network.operations] for one in traced)
    assert first == second == ["PositionWise", "Selection", "Selection", "Selection", "Attention", "PositionWise"]
    signals = [neurons_of(one, x) for one in traced]
    for own_signal, other in zip(signals[0].preactivations, signals[1].preactivations, strict=True):
        np.testing.assert_allclose(own_signal, other, rtol=1e-12)


class Grouped(nn.Module):
    """Attention written out as in transformers' models: keys and values given several times, a mask that is added."""

    def __init__(self, sharp: bool = True) -> None:
        super().__init__()
        self.query, self.key, self.value, self.sharp = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 4), sharp

    def forward(self, x: Tensor) -> Tensor:
        samples, tokens, _ = x.shape
        query, key, value = (
            each(x).view(samples, tokens, -1, 2).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        key, value = (
            each[:, :, None].expand(-1, -1, 2, -1, -1).reshape(samples, 4, tokens, 2) for each in (key, value)
        )
        scores = query @ key.transpose(2, 3) * 0.7 + torch.full((tokens, tokens), -1e9).to(x).triu(1)
        weights = scores.softmax(-1).to(x.dtype) if self.sharp else scores.tanh()
        return (weights @ value).transpose(1, 2).flatten(2)


def test_keys_that_are_given_several_times_are_read_where_attention_is_written_out() -> None:
    torch.manual_seed(0)
    model, x = Grouped().double().eval(), torch.randn(2, 5, 8).double()
    traced = trace(model, x[:1])
    (found,) = (one for one in traced.network.operations if isinstance(one, Attention))
    assert (found.heads, found.key_heads, found.causal, found.scale) == (4, 2, True, 0.7)
    torch.testing.assert_close(traced.replay(x), model(x).detach())


def test_keys_that_are_given_several_times_without_softmax_have_no_record_and_are_run() -> None:
    torch.manual_seed(0)
    model, x = Grouped(sharp=False).double().eval(), torch.randn(2, 5, 8).double()
    traced = trace(model, x[:1])
    assert not traced.complete
    torch.testing.assert_close(traced.replay(x), model(x).detach())
