"""The framework-free record of a network: a graph of operations, weight ensembles, activations, builders."""

from freeness.gaussian import (
    ActivationFunction,
    AffineImage,
    activation,
    activation_names,
    affine_image,
    custom_activation,
)
from freeness.network.along import along_front, beyond
from freeness.network.along import spread_front as spread_front
from freeness.network.builders import Branch, cnn, mixer, mlp, resnet
from freeness.network.channelwise import Back as Back
from freeness.network.channelwise import ChannelPass, TapSources, passed, taps_of
from freeness.network.departures import GAUSSIAN as GAUSSIAN
from freeness.network.departures import TINY as TINY
from freeness.network.departures import (
    Around,
    Departing,
    departing,
    gram_noise,
    known_by_weights,
    participation,
    turned,
)
from freeness.network.departures import apart as apart
from freeness.network.departures import lost as lost
from freeness.network.departures import spaced as spaced
from freeness.network.derivatives import GivenMap, Pass, Pattern, given, over_samples, pattern
from freeness.network.ensembles import Ensemble, Gaussian, Haar, Measured, ScaledIdentity, variance_gain
from freeness.network.graph import Network, Node, Residual, check_plain
from freeness.network.images import convnext, image_resnet
from freeness.network.lengths import Length, beyond_behind, known_behind, own_sizes
from freeness.network.moments import Departed as Departed
from freeness.network.moments import (
    DrawnSource,
    Pairs,
    Step,
    Stream,
    Trained,
    backward,
    backward_pairs,
    each_pair,
    forward,
    joined,
    same_position,
    trained,
)
from freeness.network.moments import alone as alone
from freeness.network.moments import sides as sides
from freeness.network.moments import spread as spread
from freeness.network.moments import widened as widened
from freeness.network.operation import INPUT, Fixed, Operation, Weights, described
from freeness.network.operations import (
    Activation,
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Data,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    MaxPooling,
    Normalisation,
    Pooling,
    PositionWise,
    Product,
    Reshape,
    Selection,
    Sum,
    TokenMixing,
    Upsampling,
)
from freeness.network.operations.activation import dependence
from freeness.network.operations.attention import at_positions as at_positions
from freeness.network.operations.attention import softmax_weights as softmax_weights
from freeness.network.operations.convolution import windows
from freeness.network.operations.data import check_tokens as check_tokens
from freeness.network.operations.pooling import pooled
from freeness.network.operations.relative import RelativeScores
from freeness.network.operations.rotary import Rotary
from freeness.network.transformers import TransformerPlan, planned_transformer, transformer

__all__ = [
    "INPUT",
    "Activation",
    "ActivationFunction",
    "AffineImage",
    "Around",
    "Attention",
    "Branch",
    "ChannelPass",
    "Concatenation",
    "Constant",
    "Convolution",
    "Data",
    "Dense",
    "Departing",
    "DrawnSource",
    "Dropout",
    "Embedding",
    "Ensemble",
    "Fixed",
    "Flatten",
    "Gaussian",
    "GivenMap",
    "Haar",
    "Length",
    "MaxPooling",
    "Measured",
    "Network",
    "Node",
    "Normalisation",
    "Operation",
    "Pairs",
    "Pass",
    "Pattern",
    "Pooling",
    "PositionWise",
    "Product",
    "RelativeScores",
    "Reshape",
    "Residual",
    "Rotary",
    "ScaledIdentity",
    "Selection",
    "Step",
    "Stream",
    "Sum",
    "TapSources",
    "TokenMixing",
    "Trained",
    "TransformerPlan",
    "Upsampling",
    "Weights",
    "activation",
    "activation_names",
    "affine_image",
    "along_front",
    "backward",
    "backward_pairs",
    "beyond",
    "beyond_behind",
    "check_plain",
    "cnn",
    "convnext",
    "custom_activation",
    "departing",
    "dependence",
    "described",
    "each_pair",
    "forward",
    "given",
    "gram_noise",
    "image_resnet",
    "joined",
    "known_behind",
    "known_by_weights",
    "mixer",
    "mlp",
    "over_samples",
    "own_sizes",
    "participation",
    "passed",
    "pattern",
    "planned_transformer",
    "pooled",
    "resnet",
    "same_position",
    "taps_of",
    "trained",
    "transformer",
    "turned",
    "variance_gain",
    "windows",
]
