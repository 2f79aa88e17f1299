import numpy as np
import pytest
import torch

from freeness.errors import InputError
from freeness.interpret import (
    IdentityMLP,
    ablate_class,
    attribution_agreement,
    contribution_maps,
    neuron_contributions,
    pixel_contributions,
    top_neurons,
    without_neurons,
)

from .small_images import small_data, trained_network


def linear_network(scale=1.0):
    """A linear φ, and class rows that read the input part; nothing else is trained."""
    model = IdentityMLP((2, 3), classes=3, depth=4, activation="linear", scale=scale).double()
    generator = torch.Generator().manual_seed(0)
    for linear in model.linears:
        with torch.no_grad():
            linear.weight[6:, :6] = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    return model, torch.randn(5, 2, 3, generator=generator, dtype=torch.float64)


def contrast(values):
    return values - values.mean(1, keepdims=True)


def test_maps_add_up_to_all_that_is_changed():
    model, x = trained_network(), small_data()[1][0][:4]
    maps = contribution_maps(model, x)
    before, after = model.states(x)
    assert maps.shape == (8, 4, 7, 7)
    whole = (before[-1] - after[0])[:, :49].detach().numpy().reshape(4, 7, 7)
    np.testing.assert_allclose(maps.sum(0), whole, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_contributions_of_pixels_add_up_to_the_logits(scale):
    model, x = linear_network(scale)
    logits = contrast(model(x).detach().numpy())
    for target in range(3):
        found = pixel_contributions(model, x, torch.full((5,), target))
        np.testing.assert_allclose(found.sum(1), logits[:, target], rtol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_contribution_of_a_neuron_is_what_is_lost_without_it(scale):
    """Where φ is linear and the input part is not trained."""
    model, x = linear_network(scale)
    found = neuron_contributions(model, x)
    logits = contrast(model(x).detach().numpy()).mean(0)
    for layer, neuron in ((0, 2), (1, 5), (2, 0)):
        mask = np.zeros((3, 6), bool)
        mask[layer, neuron] = True
        lost = logits - contrast(without_neurons(model, x, mask)).mean(0)
        np.testing.assert_allclose(found[layer, neuron], lost, rtol=1e-10)


def test_changes_add_up_to_values():
    """Σ over layers of the changes, all read by the last layer, is the last value less the input."""
    model, x = trained_network(), small_data()[1][0][:20]
    values, changes = neuron_contributions(model, x), neuron_contributions(model, x, "change")
    assert np.abs(changes).max() < np.abs(values).max()
    model, x = linear_network()
    np.testing.assert_allclose(
        neuron_contributions(model, x, "change"), 0, atol=1e-12
    )  # nothing has changed the input part


def test_deleted_neuron_is_a_column_of_zeros_in_the_next_matrix():
    model, x = trained_network(), small_data()[1][0][:9]
    mask = np.random.default_rng(0).random((7, 49)) < 0.1
    value = model.padded(x)
    with torch.no_grad():
        for layer, linear in enumerate(model.linears):
            weight = linear.weight.clone()
            if layer:
                weight[:, :49][:, torch.from_numpy(mask[layer - 1])] = 0
            value = (value.clamp(-1, 1) if layer else value) @ weight.T + linear.bias
    np.testing.assert_allclose(without_neurons(model, x, mask), value[:, 49:], atol=1e-4)


def test_top_neurons_are_the_largest():
    values = np.random.default_rng(0).standard_normal((3, 40, 2))
    chosen = top_neurons(values, 1, 0.05)
    assert chosen.sum() == 6
    assert values[..., 1][chosen].min() > values[..., 1][~chosen].max()


def test_a_class_is_lost_with_its_neurons_and_not_with_random_ones():
    model, (train, test) = trained_network(), small_data()
    found = []
    for target in range(10):
        chosen = top_neurons(neuron_contributions(model, train[0][train[1] == target]), target)
        found.append(ablate_class(model, chosen, *test, target))
    drops = np.array([one.drop for one in found])
    assert drops.mean() > 0.15 and np.mean([one.random_drop for one in found]) < 0.1
    assert sum(one.significant and one.drop > 0.05 for one in found) >= 6  # of 10; full images: test_acceptance.py
    assert all(one.deleted == 17 and len(one.random) == 5 for one in found)  # 5 % of 7·49


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: neuron_contributions(m, x, "nonsense"), "value"),
        (lambda m, x: neuron_contributions(m, x[:0]), "at least one input"),
        (lambda m, x: top_neurons(np.zeros((1, 2, 3)), 3), "class from 0 to 2"),
        (lambda m, x: top_neurons(np.zeros((1, 2, 3)), 0, 0.0), "share"),
        (lambda m, x: without_neurons(m, x, np.zeros((2, 2), bool)), "mask of shape"),
        (lambda m, x: ablate_class(m, np.zeros((3, 6), bool), x, torch.zeros(5), 1), "inputs of class 1"),
        (lambda m, x: ablate_class(m, np.zeros((3, 6), bool), x, torch.zeros(5), 0, [1]), "two seeds"),
        (lambda m, x: attribution_agreement(m, x, lambda x, target: x[0]), "attributions of shape"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call(*linear_network())


def test_integrated_gradients_of_a_linear_network_rank_pixels_as_its_layers_do():
    attr = pytest.importorskip("captum.attr", reason="captum, the extra of that name, is not installed")
    model, _ = linear_network()
    with torch.no_grad():
        for linear in model.linears:  # then the mean over classes is 0, and contrast changes nothing
            linear.weight[6:, :6] -= linear.weight[6:, :6].mean(0)
    x = torch.rand(4, 2, 3, dtype=torch.float64)
    found = attribution_agreement(model, x, attr.IntegratedGradients(model).attribute)
    np.testing.assert_allclose(found.correlations, 1)


def test_agreement_with_integrated_gradients_of_a_trained_network():
    attr = pytest.importorskip("captum.attr", reason="captum, the extra of that name, is not installed")
    model, x = trained_network(), small_data()[1][0][:30]
    found = attribution_agreement(model, x, attr.IntegratedGradients(model).attribute)
    assert 0.2 < found.mean <= 1 and found.error < 0.1
    assert all(parameter.grad is None for parameter in model.parameters())


def test_features_that_no_attribution_tells_apart_have_no_correlation():
    model, x = linear_network()
    found = attribution_agreement(model, x, lambda x, target: torch.zeros_like(x))
    assert np.isnan(found.correlations).all()
