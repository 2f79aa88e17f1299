"""A layer drawn at another size than its peers is named, whatever normalisations hide."""

import dataclasses
import math

import pytest

from freeness.advice import LayerTable, ModuleRow, TensorRow, odd_layer


def row(name, ratio, kind="Linear"):
    return ModuleRow(name, kind, 1.0, 0.0, 1.0, 1.0, 8, 1, True, (TensorRow(f"{name}.weight", 64, 1.0, ratio),))


PEERS = tuple(row(str(k), 0.1 * 3**k) for k in range(5))  # a factor of 81 from end to end


@pytest.mark.parametrize(("size", "words"), [(20.0, "20 times as large"), (0.05, "20 times smaller")])
def test_twenty_times_the_weights_are_seen_as_such(size, words):
    middle = sorted(one.tensors[0].ratio for one in PEERS)[2]
    found = odd_layer(LayerTable(1.0, (*PEERS, row("a", middle), row("b", middle), row("odd", middle / size**2))))
    assert found is not None and found.place == "odd" and words in found.sentence


def test_sound_layers_few_layers_and_weights_that_start_at_zero_are_left():
    assert odd_layer(LayerTable(1.0, PEERS)) is None
    assert odd_layer(LayerTable(1.0, (*PEERS[:2], row("odd", 1e9)))) is None
    zero = dataclasses.replace(PEERS[0], tensors=(TensorRow("0.weight", 64, 0.0, 1.0),))
    assert zero.tensors[0].ratio == math.inf and odd_layer(LayerTable(1.0, (zero, *PEERS))) is None
