"""Words along training: recorded as they are then, recomputed from matrices and autograd, and clear about bad input."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from freeness import InputError
from freeness.data import load_fashion_mnist
from freeness.torch import freeness_test, freeness_trace


def network():
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 10)).double()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.normal_(0, 1.2 / layer.in_features**0.5, generator=generator)
            layer.bias.normal_(0, 0.1, generator=generator)
    return model


@pytest.fixture(scope="module")
def images():
    found = load_fashion_mnist("train")
    return torch.from_numpy(found.flattened()[:320]), torch.from_numpy(found.labels[:320]).long()


def trained(model, images, trace, *, steps=20, rate=0.3, every=5):
    """A few batches of gradient descent; a copy of the model at every record."""
    inputs, labels = images
    optimizer, copies = torch.optim.SGD(model.parameters(), lr=rate), []
    for step in range(steps + 1):
        if step % every == 0:
            trace.record(step)
            copies.append(copy.deepcopy(model))
        rows = slice(64 * step % 320, 64 * step % 320 + 64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
        optimizer.step()
    return copies


def words_by_matrices(model, x):
    """τ of the three words of the middle matrix, with φ' from autograd and full products."""
    slopes = []
    for place in (1, 3):
        h = model[:place](x).detach().requires_grad_()
        (slope,) = torch.autograd.grad(torch.tanh(h).sum(), h)
        slopes.append(torch.diag(slope - slope.mean()))
    w, (d, e) = model[2].weight.detach(), slopes
    once = w @ d @ w.T @ e
    return [float(torch.trace(product)) / len(w) for product in (w @ d @ w @ d, once, once @ once)]


def test_records_are_the_words_of_the_model_at_each_step(images):
    model = network()
    trace = freeness_trace(model, images[0][0])
    copies = trained(model, images, trace)
    expected = [words_by_matrices(seen, images[0][0]) for seen in copies]
    assert trace.steps == [0, 5, 10, 15, 20]
    assert trace.words == (("2", "W D° W D°"), ("2", "W D° Wᵀ E°"), ("2", "(W D° Wᵀ E°)²"))
    assert trace.values == pytest.approx(np.array(expected), rel=1e-9)
    assert np.array_equal(trace.scores[-1], [word.score for word in freeness_test(copies[-1], images[0][0]).words])
    assert not np.allclose(trace.values[0], trace.values[-1], rtol=0.01)  # it did train
    assert trace.tests[0].free


def test_recording_does_not_change_the_training(images):
    watched, alone = network().train(), network().train()
    trained(watched, images, freeness_trace(watched, images[0][0]), steps=3, every=1)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.3)
    for step in range(4):
        rows = slice(64 * step, 64 * step + 64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(alone(images[0][rows]), images[1][rows]).backward()
        optimizer.step()
    assert watched.training
    assert all(
        torch.equal(a, b) for a, b in zip(watched.state_dict().values(), alone.state_dict().values(), strict=True)
    )


def test_a_parameter_that_is_replaced_is_read_again(images):
    model = network()
    trace = freeness_trace(model, images[0][0])
    assert trace.record(0).free
    model[2].weight = nn.Parameter(torch.eye(100, dtype=torch.float64))
    assert not trace.record(1).free
    lines = trace.table().splitlines()
    assert lines[0].split() == ["step", "2"] and lines[1].split()[0] == "0"
    assert lines[2].endswith("*") and float(lines[2].split()[1][:-1]) == pytest.approx(
        max(abs(trace.scores[1])), abs=0.06
    )


def test_an_empty_trace_has_empty_arrays():
    trace = freeness_trace(network(), torch.ones(784))
    assert trace.words == () and trace.scores.shape == (0, 0) and trace.table().split() == ["step"]


def test_bad_input_is_one_sentence(images):
    trace = freeness_trace(network(), images[0][0])
    trace.record(3)
    with pytest.raises(InputError, match="after 3, got 3"):
        trace.record(3)
    for model, x, words in (
        (3, images[0][0], "nn.Module"),
        (network(), [1.0], "tensor"),
        (network(), torch.ones(5), "in_features = 784"),
        (network(), torch.full((784,), math.nan), "finite"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            freeness_trace(model, x)
        assert "\n" not in str(caught.value)


def test_weights_that_became_nan_are_one_sentence_and_earlier_records_stay(images):
    model = network()
    trace = freeness_trace(model, images[0][0])
    trace.record(0)
    with torch.no_grad():
        model[2].weight[0, 0] = math.nan
    with pytest.raises(InputError, match="finite"):
        trace.record(1)
    assert trace.steps == [0] and trace.scores.shape == (1, 3)
