"""Models and losses as others write them: what was told wrongly of one, or refused without its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.case import Case
from benchmarks.small import exact_sharpness
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from freeness.errors import InputError
from freeness.torch import AnalyzeOptions, analyze, batch_of, batch_sharpness, load_batch, measure_jacobian, trace
from freeness.torch.analyzing.analysis_spectra import silence_note
from freeness.torch.measured.curvature_estimate import Effort, estimated_sharpness
from freeness.torch.rate.starts import start_facts

X, Y = torch.randn(12, 6, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


class Spectral(nn.Module):
    """Pairs of numbers behind an odd number of others, which are seen as complex ones."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.pairs = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(6, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 6) to (B, 3)."""
        return (torch.complex(x, 0 * x) @ torch.view_as_complex(self.pairs)).abs() + self.shift


def test_pairs_of_numbers_that_are_seen_as_complex_ones_have_a_sharpness() -> None:
    torch.manual_seed(0)
    model, x = Spectral().double(), X.double()
    exact = exact_sharpness(Case(model, x, Y))
    assert batch_sharpness(model, x, Y, "cross_entropy").value == pytest.approx(exact, rel=1e-8)
    found = estimated_sharpness(model, x, Y, "cross_entropy", None, Effort(24, 0))
    assert found.value == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize("outputs", [3, 7])
def test_labels_of_a_loss_of_the_user_stay_what_they_are(tmp_path: Path, outputs: int) -> None:
    """They were one-hot where there were as many outputs as classes, and random vectors where there were not."""
    (tmp_path / "made.py").write_text(
        "import torch\ndef data():\n    return torch.ones(4, 6), torch.tensor([0, 2, 9, 1])\n"
    )

    def own(out: Tensor, labels: Tensor) -> Tensor:
        return out.square().mean() * labels.double().mean()

    found = load_batch(f"{tmp_path / 'made.py'}:data", nn.Linear(6, outputs), loss=own)
    assert found.batch.targets is not None and found.batch.targets.tolist() == [0, 2, 9, 1] and not found.stand_in


class Owner(nn.Module):
    """Of one tensor, and a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 6) to a number."""
        return (self.layer(x) - x).square().mean()


class Nodes(nn.Module):
    """Four nodes of one graph."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("edges", torch.ones(4, 4) / 4)

    def forward(self, x: Tensor) -> Tensor:
        """(4, 6) to (4, 3)."""
        return self.edges @ self.layer(x)


class Broken(nn.Linear):
    """Fails on whatever comes."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, 6)."""
        return torch.einsum("bi,jk->bj", super().forward(input), torch.ones(2, 2)).reshape(-1, 7, 5)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "made.py").write_text(
        "import torch\ndef pair():\n    return torch.ones(4, 6), torch.zeros(4).long()\n"
        "def alone():\n    return torch.ones(4, 6)\n"
    )
    return f"{tmp_path / 'made.py'}:"


def test_a_model_that_returns_its_loss_takes_a_single_tensor(spec: str) -> None:
    found = load_batch(spec + "alone", Owner(), loss=None)
    assert found.batch.count == 4 and not found.stand_in


def test_the_nodes_of_one_graph_are_no_samples(spec: str) -> None:
    with pytest.raises(InputError, match=r"got 4 rows that it takes together only; .*\(1, rows, …\)"):
        load_batch(spec + "pair", Nodes())


class Messages(nn.Module):
    """Along edges, (2, edges), which have no axis of samples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """(nodes, 6) to (nodes, 3)."""
        found = self.layer(x)
        return torch.zeros_like(found).index_add(0, edges[1], found[edges[0]])


class OneGraph(nn.Module):
    """The wrapper that the refusal asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Messages()

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """(1, nodes, 6) to (1, nodes, 3)."""
        return self.model(x[0], edges[0])[None]


def test_one_graph_is_refused_with_a_remedy_that_works() -> None:
    """λ of one sample is that of the matrix of all nodes, each of which has a target."""
    torch.manual_seed(0)
    x, edges, y = torch.randn(4, 6), torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 0]]), torch.tensor([0, 1, 2, 1])
    for model, rows in ((Nodes(), x), (Messages(), (x, edges))):
        with pytest.raises(
            InputError, match=r"got 4 rows that it takes together only; .*\(1, rows, …\).*give y\[None\]"
        ):
            analyze(model, (rows, y), loss="cross_entropy")
    assert batch_of(((x[None], edges[None]), y[None]), OneGraph()).call(OneGraph()).shape == (1, 4, 3)
    model = Nodes()
    logits = model(x)
    slopes = [torch.autograd.grad(one, list(model.parameters()), retain_graph=True) for one in logits.flatten()]
    jacobian = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in slopes])
    shares = logits.detach().softmax(1)
    curved = torch.block_diag(*(one.diag() - one[:, None] * one for one in shares)) / len(y)
    exact = float(torch.linalg.eigvalsh(jacobian.T @ curved @ jacobian)[-1])
    assert batch_sharpness(model, x[None], y[None], "cross_entropy").value == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("ones * float('nan'), zeros", r"expected finite inputs below 1e\+100 in '.*made.py:it', got NaN"),
        ("ones, zeros - 3", "expected class numbers ≥ 0 as targets, got -3"),
        ("ones, zeros[:3]", r"expected targets for the 4 inputs, got shape \(3,\) in '.*made.py:it'"),
        ("ones[:0], zeros[:0]", r"expected inputs with elements in '.*made.py:it', got shape \(0, 6\)"),
        ("ones[:, :5], zeros", r"on every shape tried \(\(5,\)\)|fails with RuntimeError"),
    ],
)
def test_data_at_fault_are_not_taken_for_one_graph(tmp_path: Path, made: str, words: str) -> None:
    """The model takes these rows one by one and together: what is wrong with them is what is told."""
    given = f"import torch\ndef it():\n    ones, zeros = torch.ones(4, 6), torch.zeros(4).long()\n    return {made}\n"
    (tmp_path / "made.py").write_text(given)
    with pytest.raises(InputError, match=words):
        load_batch(f"{tmp_path / 'made.py'}:it", chain())


def test_class_numbers_that_float_are_told_to_be_converted() -> None:
    with pytest.raises(InputError, match=r"got torch.float32; convert them by targets.long\(\)"):
        analyze(chain(), (X, Y.float()), AnalyzeOptions(only="rate"))


@pytest.mark.parametrize("targets", [{"class": Y, "box": X}, (Y, X), [Y, X]])
def test_several_targets_are_kept_as_they_are(targets: object) -> None:
    batch = batch_of((X, targets), chain()).rows(torch.tensor([1, 0]))
    assert batch.several is not None and batch.targets is not None
    kept = batch.several.of(batch.targets)
    assert type(kept) is type(targets)
    for one, given in zip(tree_leaves(kept), tree_leaves(targets), strict=True):
        assert torch.equal(one, given[[1, 0]]) and one.dtype == given.dtype
    assert batch_of((X, Y.tolist()), chain()).count == 12


@pytest.mark.parametrize("ends", [(1, 0), (0, 1), (-1, 0)])
def test_a_padding_of_one_side_is_no_convolution_without_padding(ends: tuple[int, int]) -> None:
    class Sided(nn.Conv1d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(functional.pad(input, ends))

    traced = trace(Sided(2, 3, 2), torch.randn(1, 2, 6))
    assert not traced.covered and any(
        "with padding (1,) of a kernel (2,)" in str(one.reason) for one in traced.uncovered
    )


def test_several_inputs_are_named_and_not_the_calls_that_take_them_apart() -> None:
    """No slice and no conversion is the user's."""

    class Apart(nn.Bilinear):
        def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
            return super().forward(input1, input2.to(input1.dtype))

    data = (torch.randn(6, 2), torch.arange(18).reshape(6, 3)), Y[:6]
    lines = analyze(Apart(2, 3, 3), data, AnalyzeOptions(only="spectra")).uncovered
    assert any(line.startswith("several inputs in forward") for line in lines)
    assert not any(line.startswith(("slice", "to ")) for line in lines)


def test_without_layers_nothing_is_said_to_be_sound() -> None:
    """Only the rate was asked for: neither a verdict nor "nothing to change" follows."""
    rate, layers = (analyze(chain(), (X, Y), AnalyzeOptions(only=part))._repr_html_() for part in ("rate", "layers"))
    assert "was not judged" in rate and "Nothing to change" not in rate
    assert "was not judged" not in layers


def test_a_model_that_is_frozen_as_a_whole_is_said_to_be_so() -> None:
    report = analyze(chain().requires_grad_(False), (X, Y), AnalyzeOptions(only="rate"))
    assert any(line.startswith("No parameter requires gradients") for line in report.verdict.warnings)


def test_inputs_that_do_not_fit_are_refused_with_what_fails(spec: str) -> None:
    with pytest.raises(InputError, match=r"on \(6,\) it fails with RuntimeError \(.*invalid for input of size"):
        load_batch(spec + "pair", Broken(6, 3))


def test_a_loss_that_is_not_curved_in_the_outputs_is_told_so() -> None:
    def hinge(out: Tensor, labels: Tensor) -> Tensor:
        return functional.relu(1 - out.gather(1, labels[:, None])).mean()

    rate = analyze(chain(), (X, Y), AnalyzeOptions(only="rate"), loss=hinge).learning_rate
    assert not rate.known and "the loss is not curved in the outputs" in rate.reason and "freeness rate" in rate.reason


class Constant(nn.Module):
    """A prior over classes, whatever comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 6) to (B, 3)."""
        return self.shares.expand(len(x), 3)


def test_outputs_that_hang_on_no_input_are_said_to() -> None:
    told = analyze(Constant(), (X, Y), AnalyzeOptions(only="spectra")).verdict.warnings
    assert any("have no derivative by the input: JJᵀ is 0" in line for line in told)
    assert silence_note(measure_jacobian(trace(chain(), X[:1]), X[0]), None) == ()


def test_tokens_of_a_frozen_table_have_the_spectrum_of_those_of_a_trained_one() -> None:
    """A table is frozen where adapters are trained."""
    torch.manual_seed(0)
    model, tokens = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 3)), torch.arange(5)[None]
    found = []
    for trained in (True, False):
        model[0].weight.requires_grad_(trained)
        found.append(measure_jacobian(trace(model, tokens), tokens[0]).eigenvalues)
    assert found[0].max() > 0 and found[0].tolist() == pytest.approx(found[1].tolist(), rel=1e-6)


class Repeated(nn.Module):
    """One layer, run as often as it is said; its gradient by the input where that is asked for."""

    def __init__(self, times: int, derivative: bool = False) -> None:
        super().__init__()
        self.layer, self.head, self.times, self.derivative = nn.Linear(6, 6), nn.Linear(6, 3), times, derivative

    def forward(self, x: Tensor) -> Tensor:
        """(B, 6) to (B, 3)."""
        if self.derivative:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                (x,) = torch.autograd.grad(torch.tanh(self.layer(x)).sum(), x, create_graph=True)
            return self.head(x)
        for _ in range(self.times):
            x = torch.tanh(self.layer(x))
        return self.head(x)


@pytest.mark.parametrize(
    ("model", "untried"),
    [
        (Repeated(1), ""),
        (Repeated(4), "weights that are used at several places"),
        (Repeated(1, derivative=True), "derivatives in the forward pass"),
    ],
)
def test_what_no_network_of_the_bank_had_makes_the_interval_of_the_rate_wide(model: nn.Module, untried: str) -> None:
    """A neural ODE and a score model were told a narrow one, and diverged at its middle."""
    assert start_facts(model, (X, Y), "cross_entropy").untried == untried


def test_a_loss_that_does_not_look_at_the_outputs_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="a loss that depends on the outputs, got one that does not"):
        analyze(chain(), (X, Y), AnalyzeOptions(only="rate"), loss=lambda outputs, labels: torch.tensor(1.0))
