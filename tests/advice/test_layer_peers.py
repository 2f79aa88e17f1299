"""A layer drawn at another size than its peers is named, whatever normalisations hide."""

import dataclasses
import math

import pytest

from freeness.advice import LayerTable, ModuleRow, SumRow, TensorRow, odd_layer
from freeness.advice.layer_peers import DrawnWeights, odd_branch, odd_weights


def row(name, ratio, kind="Linear"):
    return ModuleRow(name, kind, 1.0, 0.0, 1.0, 1.0, 8, 1, True, (TensorRow(f"{name}.weight", 64, 1.0, ratio),))


PEERS = tuple(row(str(k), 0.1 * 3**k) for k in range(5))  # a factor of 81 from end to end


@pytest.mark.parametrize(("size", "words"), [(20.0, "20 times as large"), (0.05, "20 times smaller")])
def test_twenty_times_the_weights_are_seen_as_such(size, words):
    middle = sorted(one.tensors[0].ratio for one in PEERS)[2]
    found = odd_layer(LayerTable(1.0, (*PEERS, row("odd", middle / size**2), row("a", middle), row("b", middle))))
    assert found is not None and found.place == "odd" and words in found.sentence


def test_what_is_drawn_as_most_others_is_not_called_odd_whatever_its_gradient():
    """A narrow BERT with the deviation of a wide one has such a layer behind its blocks."""
    names = (*(one.name for one in PEERS), "pooler", "a")
    middle = sorted(one.tensors[0].ratio for one in PEERS)[2]
    table = LayerTable(1.0, (*PEERS, row("pooler", 400 * middle), row("a", middle)))
    known = [DrawnWeights(name, "weight", 0.02, 32, 32) for name in names]
    assert odd_layer(table).place == "pooler" and odd_layer(table, known) is None


def test_sound_layers_few_layers_and_weights_that_start_at_zero_are_left():
    assert odd_layer(LayerTable(1.0, PEERS)) is None
    assert odd_layer(LayerTable(1.0, (*PEERS[:2], row("odd", 1e9)))) is None
    zero = dataclasses.replace(PEERS[0], tensors=(TensorRow("0.weight", 64, 0.0, 1.0),))
    assert zero.tensors[0].ratio == math.inf and odd_layer(LayerTable(1.0, (zero, *PEERS))) is None


def drawn(rule, spoilt="", factor=1.0):
    """Blocks whose widths double, by a rule of inputs and outputs, a stem before and a head behind them."""
    fans = {"stem": (3, 16)} | {f"blocks.{k}.fc": (16 * 2**k, 32 * 2**k) for k in range(6)} | {"head": (1024, 10)}
    sizes = {
        name: (RULES["inputs"] if rule is RULES["outputs"] and name == "head" else rule)(*fan)
        for name, fan in fans.items()
    }
    return [
        DrawnWeights(name, "weight", sizes[name] * (factor if name == spoilt else 1.0), *fan)
        for name, fan in fans.items()
    ]


RULES = {
    "a number": lambda inputs, outputs: 0.02,
    "inputs": lambda inputs, outputs: inputs**-0.5,
    "outputs": lambda inputs, outputs: outputs**-0.5,
    "both": lambda inputs, outputs: (2 / (inputs + outputs)) ** 0.5,
}


@pytest.mark.parametrize("rule", RULES)
def test_whatever_rule_layers_are_drawn_by_the_one_that_leaves_it_by_ten_is_named(rule):
    assert odd_weights(drawn(RULES[rule])) is None
    for place in ("blocks.0.fc", "blocks.2.fc", "blocks.5.fc"):
        for factor in (10.0, 0.1, 0.0):
            assert odd_weights(drawn(RULES[rule], place, factor)).place == place
    for factor in (1e-3, 0.0):  # as muP draws it, or as heads start at zero
        assert odd_weights(drawn(RULES[rule], "head", factor)) is None


def test_layers_of_one_role_and_several_shapes_are_held_to_the_rule_that_they_follow():
    """By outputs the spoilt one is within 4 of its peers, but these are drawn by inputs."""
    fans = [(24, 72), (9, 72), (72, 24)] * 2
    known = [DrawnWeights(f"inner.{k}", "weight", (3 * a) ** -0.5, a, b) for k, (a, b) in enumerate(fans)]
    assert odd_weights(known) is None
    known[5] = dataclasses.replace(known[5], size=10 * known[5].size)
    assert odd_weights(known).place == "inner.5"


@pytest.mark.parametrize(("size", "place"), [(1.0, None), (0.02, None), (30.0, "embed")])
def test_a_table_of_an_embedding_is_odd_far_above_1(size, place):
    found = odd_weights([DrawnWeights("embed", "weight", size, 32, 500, table=True)])
    assert (None if found is None else found.place) == place


def test_a_rule_of_depth_and_branches_that_all_end_at_zero_are_sound_and_one_gain_alone_is_not():
    deep = [DrawnWeights(f"blocks.{k}.fc", "weight", 0.1 / (k + 1) ** 0.5, 64, 64) for k in range(48)]
    ends = [DrawnWeights(f"blocks.{k}.end", "weight", 0.0, 64, 64) for k in range(48)]
    gains = [DrawnWeights(f"blocks.{k}.norm", "weight", 1.0, vector=True) for k in range(6)]
    assert odd_weights([*deep, *ends, *gains]) is None
    for gain in (10.0, 0.1):
        assert odd_weights([*deep, *gains, DrawnWeights("norm", "weight", gain, vector=True)]).place == "norm"
    assert odd_weights([DrawnWeights("blocks.48.fc", "weight", 0.0, 64, 64), *deep]).place == "blocks.48.fc"


def test_the_first_layer_of_sines_is_drawn_by_its_own_rule():
    def drawn(first: float) -> list[DrawnWeights]:
        inner = [DrawnWeights(f"net.{k}", "weight", (2 / 256) ** 0.5 / 30, 256, 256) for k in range(1, 4)]
        return [DrawnWeights("net.0", "weight", first, 2, 256), *inner]

    assert odd_weights(drawn(1 / (2 * 3**0.5))) is None
    odd = odd_weights(drawn(10 / (2 * 3**0.5)))
    assert odd is not None and odd.place == "net.0"


def test_sums_of_gates_in_one_cell_are_no_branches_of_blocks():
    loud = [0.2, 0.2, 0.2, 0.2, 3.0]
    blocks = [SumRow(f"blocks.{k}", size, None, size) for k, size in enumerate(loud)]
    assert odd_branch(LayerTable(1.0, sums=tuple(blocks))).place == "blocks.4"
    assert odd_branch(LayerTable(1.0, sums=tuple(SumRow("cells", size, None, size) for size in loud))) is None


@pytest.mark.parametrize(
    ("size", "said"), [(20.0, "20 times as large as those"), (0.05, "20 times smaller than those")]
)
def test_what_is_said_of_an_odd_layer_is_english(size, said):
    drawn = [DrawnWeights(f"blocks.{k}.a", "weight", size if k == 1 else 1.0, 4, 4) for k in range(4)]
    found = odd_weights(drawn)
    assert found is not None and f"are about {said} of its peers;" in found.sentence


def test_zeros_whose_names_end_alike_are_a_start_and_one_alone_may_be_one():
    ends = {"down0.end": 0.0, "down1.end": 0.0, "middle.end": 0.0, "up0.end": 0.0}
    others = {"down0.first": 1.0, "down1.first": 1.0, "middle.first": 1.0, "out": 1.0}
    drawn = [DrawnWeights(name, "weight", size, 4, 4) for name, size in (ends | others).items()]
    assert odd_weights(drawn) is None
    alone = odd_weights([one for one in drawn if one.size or one.name == "middle.end"])
    assert alone is not None and alone.place == "middle.end" and "on purpose" in alone.sentence


@pytest.mark.parametrize(("scatter", "words"), [(0.21, "by up to 21%."), (0.001, "by less than 1%.")])
def test_how_far_one_network_scatters_about_realised_theory_is_never_nothing(scatter, words):
    told = dataclasses.replace(row("a", 1.0), gradient_predicted=1.0, scatter=scatter)
    assert LayerTable(1.0, (told,), around="softmax weights").assumption.endswith(words)
