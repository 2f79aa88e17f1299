import pytest
import torch

from freeness.interpret import IdentityMLP, layer_roles

from .small_images import trained_network


def test_planted_changes_are_found_in_their_parts():
    model = IdentityMLP(3, classes=2, depth=4, scale=0.5)
    with torch.no_grad():
        model.linears[0].weight[0, 1] += 3.0  # input part to itself
        model.linears[1].weight[4, 2] += 2.0  # input part to a class
        model.linears[2].weight[3, 4] += 1.0  # among classes
        model.linears[3].weight[1, 3] += 4.0  # class to input part
    found = layer_roles(model)
    parts = [(one.extraction, one.classification, one.revision, one.feedback) for one in found]
    assert parts == [(3, 0, 0, 0), (0, 2, 0, 0), (0, 0, 1, 0), (0, 0, 0, 4)]
    assert [one.role for one in found] == ["extraction", "classification", "classification", "extraction"]
    assert [one.share for one in found] == [1, 0, 0, 1]
    assert found[0].drift == pytest.approx(3 / (0.5 * 5**0.5))


def test_last_layer_is_never_trained_to_extract():
    *_, last = layer_roles(trained_network())
    assert last.extraction == last.feedback == 0
    assert last.role == "classification"
