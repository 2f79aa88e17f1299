"""Transformers by a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from freeness.errors import InputError, check_sizes, is_real
from freeness.gaussian import ActivationFunction, activation
from freeness.network.ensembles import Gaussian
from freeness.network.graph import Network, NodeList
from freeness.network.operation import INPUT
from freeness.network.operations import (
    Activation,
    Attention,
    Constant,
    Dense,
    Embedding,
    Normalisation,
    Pooling,
    PositionWise,
    Product,
    Reshape,
    Sum,
)
from freeness.network.operations.rotary import Rotary


@dataclass(frozen=True)
class TransformerPlan:
    """What :func:`transformer` builds: ``depth`` blocks of attention and a position-wise MLP on ``tokens`` vectors of ``width``.

    ``norm``: ``"pre"`` x + β·branch(norm(x)) with a last norm, ``"post"`` norm(x + β·branch(x)), or ``"none"``. ``causal``: no
    position sees later ones. ``sigma_qk``: gain σ of query and of key weights, so that scores have the variance σ⁴.
    ``residual_scale``: β, and ``skip_scale`` what stands before x. ``sigma_w``: gain of values, outputs and the MLP.
    ``activation``, ``hidden`` (4·width) and ``gated`` of the MLP: W₂φ(W₁x), or W₂(φ(W₁x)∘W₃x) (SwiGLU, GEGLU). ``key_heads``,
    ``scale``: as of :class:`Attention`. ``rotary``: base of the frequencies of rotary positions, in place of learned ones.
    ``rms``: RMS norms. ``vocabulary``: tokens enter by an embedding with learned positions and leave as logits; ``inputs``,
    ``outputs``: vectors enter by a matrix, and leave by one behind the mean over positions. Without these what enters and
    leaves is the stream itself.
    """

    depth: int
    width: int
    heads: int
    tokens: int
    norm: Literal["pre", "post", "none"] = "pre"
    causal: bool = False
    sigma_qk: float = 1.0
    residual_scale: float = 1.0
    skip_scale: float = 1.0
    sigma_w: float = 1.0
    activation: str | ActivationFunction = "gelu"
    hidden: int | None = None
    gated: bool = False
    key_heads: int | None = None
    scale: Literal["root", "full"] | float = "root"
    rms: bool = False
    vocabulary: int | None = None
    inputs: int | None = None
    outputs: int | None = None
    rotary: float | None = None

    def __post_init__(self) -> None:
        check_sizes(depth=self.depth, width=self.width, heads=self.heads, tokens=self.tokens)
        optional = ("hidden", "key_heads", "vocabulary", "inputs", "outputs")
        check_sizes(**{name: size for name in optional if (size := getattr(self, name)) is not None})
        for name in ("sigma_qk", "residual_scale", "skip_scale", "sigma_w"):
            if not is_real(getattr(self, name)):
                raise InputError(f"expected a finite {name}, got {getattr(self, name)!r}; correct it.")
        if self.norm not in ("pre", "post", "none"):
            raise InputError(f'expected the norm "pre", "post" or "none", got {self.norm!r}; choose one.')
        if self.width % self.heads:
            raise InputError(f"expected heads that divide the width, got {self.heads} and {self.width}; correct them.")
        if self.rotary is not None:
            Rotary.of(self.width // self.heads, self.rotary)  # says what is wrong with it


def transformer(depth: int, width: int, heads: int, tokens: int, **choices: Any) -> Network:
    """A Transformer at the start, with Gaussian weights of variance σ²/fan-in.

    Args:
        depth: blocks, each of attention and an MLP.
        width: channels of the stream.
        heads: of attention; the width is a multiple of them.
        tokens: positions of a sequence, ≥ 1.
        choices: the other fields of :class:`TransformerPlan`.

    Raises:
        InputError: sizes that are not whole numbers ≥ 1, heads that do not divide the width, or an unknown name.

    Source: Vaswani et al. (2017); Xiong et al. (2020) for the places of the norm; Shazeer (2020) for gates; Su et al. (2021).

    Example:
        >>> from freeness.meanfield import gradients
        >>> network = transformer(2, 64, 4, 8, vocabulary=50, causal=True, sigma_qk=1.5)
        >>> network.depth, [place.name for place in gradients(network, inputs=[[3, 1, 4, 1, 5, 9, 2, 6]])][-1]
        (14, 'logits')
    """
    return planned_transformer(TransformerPlan(depth, width, heads, tokens, **choices))


def planned_transformer(plan: TransformerPlan) -> Network:
    """The Transformer of a plan.

    Args:
        plan: depth, width, heads, tokens, place of norms, activation and gains.

    Example:
        >>> planned_transformer(TransformerPlan(1, 32, 2, 4)).depth
        6
    """
    made = _Wires(plan)
    stream = _entrance(made)
    for block in range(1, plan.depth + 1):
        stream = _half(made, stream, f"block{block}.attention", _attention)
        stream = _half(made, stream, f"block{block}.mlp", _mlp)
    if plan.norm == "pre":
        stream = made.add("norm", made.norm("norm"), stream)
    if plan.vocabulary is not None:
        made.add("logits", made.matrix(plan.width, plan.vocabulary, "logits"), stream)
    elif plan.outputs is not None:
        pooled = made.add("mean", Pooling(None, name="mean"), stream)
        made.add("readout", Dense(plan.width, plan.outputs, Gaussian(float(plan.sigma_w)), name="readout"), pooled)
    return Network(made.nodes)


class _Wires(NodeList):
    """By a plan."""

    def __init__(self, plan: TransformerPlan) -> None:
        super().__init__()
        self.plan = plan

    def matrix(self, fan_in: int, fan_out: int, name: str, sigma: float | None = None) -> PositionWise:
        """Weights on every token."""
        return PositionWise(fan_in, fan_out, Gaussian(float(self.plan.sigma_w if sigma is None else sigma)), name=name)

    def norm(self, name: str) -> Normalisation:
        """Of each token."""
        return Normalisation("rms" if self.plan.rms else "layer", name=name)


def _entrance(made: _Wires) -> str:
    plan = made.plan
    if plan.vocabulary is not None:
        stream = made.add("embedding", Embedding(plan.vocabulary, plan.width, 1.0, "embedding"), INPUT)
    elif plan.inputs is not None:
        stream = made.add("embedding", made.matrix(plan.inputs, plan.width, "embedding"), INPUT)
    else:
        return made.add("tokens", Reshape((plan.tokens,), "tokens"), INPUT)
    if plan.rotary is not None:
        return stream
    places = made.add("positions", Constant(plan.width, (plan.tokens,), name="positions"))
    return made.add("tokens", Sum((1.0, 1.0), "tokens"), stream, places)


def _half(made: _Wires, stream: str, name: str, branch: Any) -> str:
    """A residual branch and its norm."""
    plan = made.plan
    before = made.add(f"{name}.norm", made.norm(f"{name}.norm"), stream) if plan.norm == "pre" else stream
    scales = (float(plan.skip_scale), float(plan.residual_scale))
    after = made.add(name, Sum(scales, name), stream, branch(made, before, name))
    return made.add(f"{name}.norm", made.norm(f"{name}.norm"), after) if plan.norm == "post" else after


def _attention(made: _Wires, before: str, name: str) -> str:
    plan = made.plan
    shared = plan.width // plan.heads * (plan.key_heads or plan.heads)
    read = [
        made.add(f"{name}.{part}", made.matrix(plan.width, size, f"{name}.{part}", sigma), before)
        for part, size, sigma in (
            ("query", plan.width, plan.sigma_qk),
            ("key", shared, plan.sigma_qk),
            ("value", shared, None),
        )
    ]
    rotary = None if plan.rotary is None else Rotary.of(plan.width // plan.heads, plan.rotary)
    mixed = Attention(plan.heads, plan.causal, plan.scale, plan.key_heads, f"{name}.mixed", rotary)
    made.add(mixed.name, mixed, *read)
    return made.add(f"{name}.out", made.matrix(plan.width, plan.width, f"{name}.out"), mixed.name)


def _mlp(made: _Wires, before: str, name: str) -> str:
    plan = made.plan
    hidden = 4 * plan.width if plan.hidden is None else plan.hidden
    function = plan.activation if isinstance(plan.activation, ActivationFunction) else activation(plan.activation)
    first = made.add(f"{name}.in", made.matrix(plan.width, hidden, f"{name}.in"), before)
    bent = made.add(f"{name}.activation", Activation(function, f"{name}.activation"), first)
    if plan.gated:
        other = made.add(f"{name}.up", made.matrix(plan.width, hidden, f"{name}.up"), before)
        bent = made.add(f"{name}.gate", Product(f"{name}.gate"), bent, other)
    return made.add(f"{name}.out", made.matrix(hidden, plan.width, f"{name}.out"), bent)
