"""The record of a network: wires, recipes that expand, what is refused."""

from dataclasses import replace

import pytest

from freeness import InputError, mlp
from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Concatenation,
    Dense,
    Dropout,
    Embedding,
    Gaussian,
    Network,
    Node,
    Reshape,
    Residual,
    Selection,
    Sum,
    activation,
    resnet,
)

TANH, MATRIX = Activation(activation("tanh")), Dense(6, 6, Gaussian(1.0))


def test_residual_blocks_become_their_operations_and_a_sum():
    network = Network((MATRIX, Residual((TANH, Residual((MATRIX,), 0.5)), 0.3, 0.9, "outer"), TANH))
    assert [(node.name, node.inputs) for node in network.nodes] == [
        ("dense", (INPUT,)),
        ("activation", ("dense",)),
        ("dense.2", ("activation",)),
        ("sum", ("activation", "dense.2")),
        ("outer", ("dense", "sum")),
        ("activation.2", ("outer",)),
    ]
    assert network.nodes[3].operation == Sum((1.0, 0.5)) and network.nodes[4].operation == Sum((0.9, 0.3), "outer")


def test_every_way_passes_the_trunk():
    network = Network(
        (MATRIX, Residual((TANH, Residual((MATRIX,))), name="block"), Residual((MATRIX,), name="last"), TANH)
    )
    assert [node.name for node in network.trunk] == ["dense", "block", "last", "activation.2"]
    chain = mlp(4, 6, "tanh")
    assert chain.trunk == chain.nodes


def test_only_a_sequence_of_dense_layers_and_activations_is_a_chain():
    assert mlp(3, 6, "tanh").is_chain and not resnet(1, 6).is_chain
    dropped = Network((MATRIX, Dropout(0.1, "thin"), MATRIX))
    assert dropped.is_sequence and not dropped.is_chain
    with pytest.raises(InputError, match="got dropout 'thin'"):
        dropped.chain()
    crossed = Network((Node("a", MATRIX, (INPUT,)), Node("b", TANH, ("a",)), Node("c", Sum(), ("a", "b"))))
    with pytest.raises(InputError, match="got sum"):
        crossed.chain()


def test_changed_operations_keep_their_wires():
    network = resnet(2, 6, inputs=4)
    bare = network.mapped(lambda operation: replace(operation, name=""))
    assert [(node.name, node.inputs) for node in bare.nodes] == [(node.name, node.inputs) for node in network.nodes]
    assert {operation.name for operation in bare.operations} == {""}
    assert bare.readers("embedding") == (bare.nodes[1], bare.nodes[3])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network(()), "at least one operation, got none"),
        (lambda: Network((MATRIX, "relu")), "got 'relu'"),
        (lambda: Network((Node("a", MATRIX, (INPUT,)), Node("a", TANH, ("a",)))), "'a' twice"),
        (lambda: Network((Node(INPUT, MATRIX, (INPUT,)),)), "'input' twice"),
        (lambda: Network((Node("a", MATRIX, ("b",)), Node("b", TANH, ("a",)))), "got 'b'; order the nodes"),
        (
            lambda: Network((Node("a", MATRIX, (INPUT,)), Node("b", TANH, (INPUT,)))),
            "got dense layer, which nobody reads",
        ),
        (lambda: Node("a", TANH, ("b", "c")), "expected 1 into activation, got 2"),
        (lambda: Node("a", Attention(2), ("b", "c")), "expected 3 into attention, got 2"),
        (lambda: Node("a", Sum((1.0, 1.0, 1.0)), ("b", "c")), "got 3 for 2"),
        (lambda: Residual(()), "operations, got none"),
        (lambda: Residual((TANH,), float("inf")), "finite scale"),
        (lambda: Sum(()), "scales"),
        (lambda: Concatenation("rows"), "channels or positions, got 'rows'"),
        (lambda: Selection("rows", 0, 1), "channels or positions"),
        (lambda: Selection("channels", 2, 2), "got 2:2"),
        (lambda: Selection("positions", 0, 2, vector=True), "becomes a vector"),
        (lambda: Reshape((0,)), "sizes"),
        (lambda: Embedding(3, 3, -1.0), "sigma"),
        (lambda: Attention(4, key_heads=3), "multiple of key_heads"),
    ],
)
def test_what_is_no_network_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
