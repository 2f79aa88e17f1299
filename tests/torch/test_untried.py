"""What no network had on which the rule of the rate was judged: told in words, and the interval is wide."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from freeness.torch.rate.starts import rate_facts
from freeness.training import start_rate


class Two(nn.Module):
    """Two layers, and what a function makes of them."""

    def __init__(self, join):
        super().__init__()
        self.one, self.other, self.join = nn.Linear(6, 6), nn.Linear(6, 6), join

    def forward(self, x):
        return self.join(self.one(x), self.other(x), x)


def attention(q, k, x):
    return torch.softmax(q @ k.mT / 6**0.5, -1) @ x


PRODUCTS = "signals that are multiplied by one another"
JOINED = {
    "a sum": (lambda a, b, x: a + b, ""),
    "a square": (lambda a, b, x: a * a + b, ""),
    "a swish": (lambda a, b, x: a * torch.sigmoid(a) + b, ""),
    "a norm": (lambda a, b, x: b + a / (a.square().mean(-1, keepdim=True) + 1).sqrt(), ""),
    "a number": (lambda a, b, x: 0.3 * a + b * 2, ""),
    "attention": (attention, ""),
    "torch's attention": (lambda a, b, x: F.scaled_dot_product_attention(a[None], b[None], x[None])[0], ""),
    "a gate": (lambda a, b, x: a.sigmoid() * b, PRODUCTS),
    "a matrix of the input": (lambda a, b, x: a.mT @ b, PRODUCTS),
    "an attended gate": (lambda a, b, x: torch.log_softmax(a.mT @ b, -1), PRODUCTS),
    "a ratio": (lambda a, b, x: a / (1 + b.abs()), PRODUCTS),
    "a gated half": (lambda a, b, x: F.glu(torch.cat([a, b], -1)), PRODUCTS),
    "a sine": (lambda a, b, x: torch.sin(30 * a) + b, "sines"),
}


@pytest.mark.parametrize("name", JOINED)
def test_products_and_sines_are_told(name):
    join, told = JOINED[name]
    torch.manual_seed(0)
    x = torch.randn(6, 6)
    assert rate_facts(Two(join), (x, x), "mse", "sgd", (6, True)).untried == told


@pytest.mark.parametrize("table", [nn.Embedding(5, 4), nn.EmbeddingBag(5, 4)])
def test_embeddings_are_told_and_widen_the_interval(table):
    torch.manual_seed(0)
    model = nn.Sequential(table, nn.Flatten(), nn.LazyLinear(3))
    x, y = torch.randint(5, (8, 2)), torch.randint(3, (8,))
    model(x)
    facts = rate_facts(model, (x, y), "cross_entropy", "adam", (4, True))
    rate = start_rate(facts, "cross_entropy", "adam")
    assert facts.untried == "embeddings"
    assert rate.high > 10 * rate.low


@pytest.mark.parametrize(("layers", "width", "narrow"), [(3, 8, False), (8, 8, True), (16, 8, True), (8, 16, False)])
def test_chains_as_deep_as_wide_get_an_interval_that_lies_lower(layers, width, narrow):
    torch.manual_seed(0)
    hidden = [part for _ in range(layers) for part in (nn.Linear(width, width), nn.Tanh())]
    x, y = torch.randn(16, width), torch.randint(3, (16,))
    facts = rate_facts(nn.Sequential(*hidden, nn.Linear(width, 3)), (x, y), "cross_entropy", "sgd", (8, True))
    rate = start_rate(facts, "cross_entropy", "sgd")
    assert facts.narrow is narrow
    assert (rate.low < 0.1 * rate.recommended) is narrow
    assert rate.high < 3 * rate.recommended


@pytest.mark.parametrize(("norm", "wide"), [(nn.Identity, True), (lambda: nn.GroupNorm(1, 4), False)])
def test_convolutions_that_nothing_normalises_get_a_wide_interval(norm, wide):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), norm(), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    x, y = torch.randn(12, 1, 6, 6), torch.randint(3, (12,))
    facts = rate_facts(model, (x, y), "cross_entropy", "adam", (4, True))
    rate = start_rate(facts, "cross_entropy", "adam")
    assert (rate.high > 10 * rate.low) is wide


@pytest.mark.parametrize(
    ("make", "narrow"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 1), nn.Tanh(), nn.Linear(1, 3)), False),
        (lambda: nn.Sequential(*[nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)) for _ in range(6)]), False),
        (lambda: nn.Sequential(*[nn.Linear(8, 8) for _ in range(10)]), True),
    ],
)
def test_layers_are_counted_as_they_run(make, narrow):
    torch.manual_seed(0)
    x, y = torch.randn(16, 8), torch.randint(3, (16,))
    assert rate_facts(make(), (x, y), "cross_entropy", "sgd", (8, True)).narrow is narrow
