"""JJᵀ and Θ of PyTorch Transformers and Mixers: predicted from their own forward pass, beside what autograd says."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from freeness.errors import ConvergenceError, InputError
from freeness.laws import Semicircle
from freeness.spectra import Prediction, TopEigenvalue, wired_equation
from freeness.torch import AnalyzeOptions, analyze, measure_fisher, measure_jacobian, trace
from freeness.torch.analyzing.analysis_spectra import gaps
from freeness.torch.model.pace import TimeUp
from freeness.torch.record.signals import realised_neurons

WIDTH, TOKENS = 64, 4


class Block(nn.Module):
    """Attention and an MLP behind layer norms, with weights of their own for queries, keys and values."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.parts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.places = nn.Parameter(0.1 * torch.randn(1, TOKENS, WIDTH))
        self.mlp = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.places
        y = self.norms[0](x)
        query, key, value = (part(y).unflatten(-1, (4, -1)).transpose(1, 2) for part in self.parts[:3])
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.parts[3](mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norms[1](x))


class MixerBlock(nn.Module):
    """One MLP over tokens, one over channels."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.tokens = nn.Sequential(nn.Linear(TOKENS, 8), nn.GELU(), nn.Linear(8, TOKENS))
        self.channels = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norms[1](x))


def packed():
    return nn.TransformerEncoderLayer(WIDTH, 4, WIDTH, 0.0, batch_first=True, norm_first=True)


def eigenvalues(model, x):
    """Of JJᵀ at one sample, by autograd."""
    jacobian = torch.autograd.functional.jacobian(lambda one: model(one[None])[0].flatten(), x).flatten(1)
    return torch.linalg.eigvalsh(jacobian @ jacobian.T).numpy()


def scaled(model):
    """Weights at a larger gain than torch's, so that branches count beside the skips."""
    for weight in model.parameters():
        if weight.ndim == 2:
            nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    return model.double().eval()


@pytest.mark.parametrize("make", [Block, packed, MixerBlock], ids=["own", "packed", "mixer"])
def test_the_transform_by_the_signals_of_the_model(make):
    """64 channels, mean over 2 draws: G within 5 %, also where queries, keys and values are outputs of one weight."""
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        model, x = scaled(make()), torch.randn(TOKENS, WIDTH, dtype=torch.float64)
        traced, known = trace(model, x[None]), eigenvalues(model, x)
        z = np.quantile(known, [0.3, 0.6, 0.9]) * np.exp(0.4j)
        solved = wired_equation(traced.network, realised=realised_neurons(traced, x)).solved(z)
        found.append(solved.cauchy / (1 / (z[:, None] - known)).mean(axis=1) - 1)
    assert (np.abs(np.mean(found, axis=0)) < 0.05).all()


def test_a_scale_of_channels_is_taken_from_the_model():
    """LayerScale's entries, of which the record knows the size only, act as they are: JJᵀ by autograd within 5 %."""

    class Scaled(Block):
        def forward(self, x):
            return super().forward(x) * self.places[:, :1]

    torch.manual_seed(0)
    model, x = scaled(Scaled()), torch.randn(TOKENS, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        model.places[:, 0].uniform_(0.2, 2)
    traced = trace(model, x[None])
    first, _ = wired_equation(traced.network, realised=realised_neurons(traced, x)).moments()
    assert first == pytest.approx(eigenvalues(model, x).mean(), rel=0.05)


@pytest.mark.slow
def test_analyze_shows_both():
    """Distribution functions of one draw within .1 (40 outputs)."""
    torch.manual_seed(1)
    model = nn.Sequential(scaled(packed()), nn.Flatten(), nn.Linear(TOKENS * WIDTH, 40)).double()
    report = analyze(model, (torch.randn(4, TOKENS, WIDTH, dtype=torch.float64), torch.arange(4)), loss="cross_entropy")
    for compared in (report.jacobian, report.fisher):
        assert compared.predicted is not None and compared.measured is not None
        below = compared.predicted.law.cdf(compared.measured.eigenvalues)
        assert np.abs(below - (np.arange(40) + 0.5) / 40).max() < 0.1
    assert not any("attention" in line for line in report.uncovered)


class Language(nn.Module):
    """Tokens, learned positions, one block, logits."""

    def __init__(self):
        super().__init__()
        self.table, self.block, self.head = nn.Embedding(20, WIDTH), Block(), nn.Linear(WIDTH, 20, bias=False)

    def forward(self, tokens):
        return self.head(self.block(self.table(tokens)))


def test_of_tokens_the_jacobian_begins_at_their_vectors():
    """Means and second moments of both within 15 % and 30 % of those measured (80 outputs of one draw); G within 10 %."""
    torch.manual_seed(2)
    model, tokens = scaled(Language()), torch.randint(20, (1, TOKENS))
    traced = trace(model, tokens)
    signals = realised_neurons(traced, tokens)
    for fisher, measure in ((None, measure_jacobian), ("standard", measure_fisher)):
        known = measure(traced, tokens).eigenvalues
        equation = wired_equation(traced.network, realised=signals, fisher=fisher)
        z = np.quantile(known, [0.5, 0.8]) * np.exp(0.6j)
        solved = equation.solved(z).cauchy
        np.testing.assert_allclose(solved, (1 / (z[:, None] - known)).mean(axis=1), rtol=0.1)
        first, second = equation.moments()
        assert first == pytest.approx(known.mean(), rel=0.15) and second == pytest.approx((known**2).mean(), rel=0.3)


def test_a_head_tied_to_the_embedding_is_a_matrix_of_its_own_for_the_jacobian():
    """JJᵀ begins behind the vectors, so their table is used once: G within 10 %; Θ, where it is used twice, is refused."""
    torch.manual_seed(2)
    model, tokens = Language(), torch.randint(20, (1, TOKENS))
    model.head.weight = model.table.weight
    model = scaled(model)
    traced = trace(model, tokens)
    signals, known = realised_neurons(traced, tokens), measure_jacobian(traced, tokens).eigenvalues
    z = np.quantile(known, [0.5, 0.8]) * np.exp(0.6j)
    solved = wired_equation(traced.network, realised=signals).solved(z).cauchy
    np.testing.assert_allclose(solved, (1 / (z[:, None] - known)).mean(axis=1), rtol=0.1)
    with pytest.raises(InputError, match="with the weights of"):
        wired_equation(traced.network, realised=signals, fisher="standard")


def test_what_is_a_given_map_is_no_gap_where_both_are_predicted():
    torch.manual_seed(2)
    traced = trace(scaled(Language()), torch.randint(20, (1, TOKENS)))
    assert {one.kind for one in gaps(traced, predicted=False)} >= {"embedding", "attention"}
    left = gaps(traced, predicted=True)
    assert [one.kind for one in left][:1] == ["embedding"] and "by the vectors" in left[0].reason
    assert not any(one.kind == "attention" for one in left)


def test_what_is_a_given_map_is_not_blamed_where_the_law_could_not_be_solved(monkeypatch):
    """Θ that takes too long, or does not converge, leaves JJᵀ as it is, and its reason is all that is said."""
    torch.manual_seed(0)
    model = nn.Sequential(scaled(packed()), nn.Flatten(), nn.Linear(TOKENS * WIDTH, 5)).double()
    data = torch.randn(2, TOKENS, WIDTH, dtype=torch.float64), torch.arange(2)
    known = Prediction(Semicircle(1.0), TopEigenvalue(2.0, "edge"), (), "a law", 0.1, 1.0)
    monkeypatch.setattr("freeness.torch.analyzing.analysis_spectra.predict_jacobian", lambda *_, **__: known)
    monkeypatch.setattr("freeness.torch.analyzing.analysis_spectra.with_drawn", lambda found, *_: found)
    for failure, words in (
        (TimeUp("over"), "its share of the budget of 60 s ran out"),
        (ConvergenceError("no such law"), "no such law"),
    ):

        def fail(*_, failure=failure, **__):
            raise failure

        monkeypatch.setattr("freeness.torch.analyzing.analysis_spectra.predict_fisher", fail)
        report = analyze(model, data, AnalyzeOptions(only="spectra"), loss="cross_entropy")
        assert report.jacobian.predicted == known and report.fisher.predicted is None
        (line,) = report.uncovered
        assert line.startswith(words) and report.fisher.reason == line
