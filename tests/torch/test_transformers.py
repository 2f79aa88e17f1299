"""A language model of `transformers`, drawn from a small configuration, is measured beside automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from freeness.network import Attention
from freeness.torch import CurvatureOptions, batch_sharpness, dual_gram, trace
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
