"""Rotary positions in the ways in which people write them, read as one attention; what turns otherwise has no record."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from freeness.meanfield import gradients
from freeness.network import Attention
from freeness.torch import trace

WIDTH, HEADS, TOKENS = 16, 2, 6


def tables(count: int, channels: int, uneven: bool) -> tuple[Tensor, Tensor]:
    places = torch.arange(count).double()
    angles = torch.outer(places**2 if uneven else places, 100.0 ** (-torch.arange(0, channels, 2).double() / channels))
    return angles.cos(), angles.sin()


def halves(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """As transformers' Llama."""
    half = x.shape[-1] // 2
    cosine, sine = torch.cat((cosine, cosine), -1), torch.cat((sine, sine), -1)
    return x * cosine + torch.cat((-x[..., half:], x[..., :half]), -1) * sine


def neighbours(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """As RoFormer."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cosine - b * sine, a * sine + b * cosine), -1).flatten(-2)


def complex_numbers(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """As Meta's Llama."""
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * torch.complex(cosine, sine)).flatten(-2)


def partly(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """As GPT-NeoX: half of the channels."""
    turned, rest = x.chunk(2, -1)
    return torch.cat((halves(turned, cosine[:, ::2], sine[:, ::2]), rest), -1)


class Rotated(nn.Module):
    """One attention behind weights, with queries and keys turned by ``way``."""

    def __init__(self, way, first: bool = False, written: bool = False, uneven: bool = False) -> None:
        super().__init__()
        self.way, self.first, self.written, self.uneven = way, first, written, uneven
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def turned(self, x: Tensor) -> Tensor:
        """Before or behind the transposition."""
        cosine, sine = tables(TOKENS, WIDTH // HEADS, self.uneven)
        return self.way(x, cosine[:, None], sine[:, None]) if self.first else self.way(x, cosine, sine)

    def forward(self, x: Tensor) -> Tensor:
        """(samples, tokens, channels)."""
        q, k, v = (layer(x).unflatten(-1, (HEADS, -1)) for layer in (self.query, self.key, self.value))
        if self.first:
            q, k = self.turned(q), self.turned(k)
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        if not self.first:
            q, k = self.turned(q), self.turned(k)
        if self.written:
            y = (q @ k.transpose(-2, -1) / (WIDTH // HEADS) ** 0.5).softmax(-1) @ v
        else:
            y = functional.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).flatten(2))


@pytest.mark.parametrize(
    ("way", "first", "written"),
    [
        (halves, False, False),
        pytest.param(halves, True, True, marks=pytest.mark.slow),
        pytest.param(neighbours, False, True, marks=pytest.mark.slow),
        pytest.param(partly, False, False, marks=pytest.mark.slow),
        pytest.param(complex_numbers, True, False, marks=pytest.mark.slow),
    ],
)
def test_rotary_positions_are_read_as_they_are_written(way, first, written) -> None:
    """The record runs to the model's output, its frequencies are the model's, and second moments follow it."""
    torch.manual_seed(0)
    model, x = Rotated(way, first, written).double().eval(), torch.randn(2, TOKENS, WIDTH).double()
    traced = trace(model, x[:1])
    assert traced.complete
    torch.testing.assert_close(traced.replay(x), model(x).detach())
    (attention,) = (one for one in traced.network.operations if isinstance(one, Attention))
    rotary, channels = attention.rotary, WIDTH // HEADS
    assert rotary is not None and rotary.halves == (way in (halves, partly))
    known = 100.0 ** (-np.arange(0, channels, 4 if way is partly else 2) / channels)
    np.testing.assert_allclose(rotary.frequencies, known, rtol=1e-12)
    assert gradients(traced.network, inputs=x.transpose(1, 2).numpy())[0].gradient > 0


class Logits(nn.Module):
    """Of a language model, for every token."""

    def __init__(self, language_model: nn.Module, *, cache: bool = False) -> None:
        super().__init__()
        self.language_model, self.cache = language_model, cache

    def forward(self, tokens: Tensor) -> Tensor:
        return self.language_model(input_ids=tokens, use_cache=self.cache).logits


@pytest.mark.slow
@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("written", ["sdpa", "eager"])
def test_llama_is_read_from_tokens_to_logits(key_heads, written) -> None:
    """As transformers has it: RMS norms written out, halves that are turned, keys repeated for their queries, SwiGLU."""
    torch.manual_seed(0)
    sizes = {
        "vocab_size": 31,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    config = LlamaConfig(
        **sizes, num_key_value_heads=key_heads, max_position_embeddings=32, attn_implementation=written
    )  # pyright: ignore[reportCallIssue]
    model, tokens = Logits(LlamaForCausalLM(config).eval()), torch.randint(0, 31, (1, 7))
    network = trace(model, tokens).network
    attentions = [one for one in network.operations if isinstance(one, Attention)]
    assert [(one.heads, one.causal, one.key_heads or 4) for one in attentions] == 2 * [(4, True, key_heads)]
    known = 10000.0 ** (-np.arange(4) / 4)
    np.testing.assert_allclose([one.rotary.frequencies for one in attentions if one.rotary], [known, known], rtol=1e-4)
    torch.testing.assert_close(trace(model, tokens).replay(tokens), model(tokens).detach())
    kinds = [type(one).__name__ for one in network.operations]
    assert kinds.count("Normalisation") == 5 and kinds.count("Activation") == 2
    assert gradients(network, inputs=tokens.numpy())[0].gradient > 0


def test_an_empty_cache_of_keys_changes_nothing() -> None:
    sizes = {"vocab_size": 31, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = LlamaConfig(**sizes, num_attention_heads=2, max_position_embeddings=32)  # pyright: ignore[reportCallIssue]
    language_model, tokens = LlamaForCausalLM(config), torch.randint(0, 31, (1, 7))
    with_cache, without = (trace(Logits(language_model, cache=cache), tokens) for cache in (True, False))
    assert with_cache.complete and with_cache.network == without.network


def test_what_is_turned_otherwise_has_no_record_and_is_named() -> None:
    """Angles that grow as the square of the position."""
    model, x = Rotated(halves, uneven=True).double().eval(), torch.randn(1, TOKENS, WIDTH).double()
    traced = trace(model, x)
    assert not traced.complete
    torch.testing.assert_close(traced.replay(x), model(x).detach())
    assert any(operation.reason for operation in traced.operations)


@pytest.mark.slow
def test_a_turned_signal_that_no_attention_follows_is_computed_as_it_is() -> None:
    class Other(Rotated):
        def forward(self, x: Tensor) -> Tensor:
            """Products of turned queries and keys, without a softmax."""
            q, k = (
                self.turned(layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)) for layer in (self.query, self.key)
            )
            return q @ k.transpose(-2, -1)

    model, x = Other(halves).double().eval(), torch.randn(1, TOKENS, WIDTH).double()
    traced = trace(model, x)
    assert not traced.complete
    torch.testing.assert_close(traced.replay(x), model(x).detach())
