"""freeness: free probability that designs deep networks.

The random-matrix engine and the theory of networks, without any framework; ``freeness.torch`` reads, measures and
initialises PyTorch models.
"""

from freeness.calculus import (
    compress,
    free_difference,
    free_power,
    free_product,
    free_sum,
    mirror,
    resize,
    scale,
    shift,
    symmetric_root,
    symmetric_square,
)
from freeness.errors import ConvergenceError, FreenessError, InputError
from freeness.laws import (
    Atom,
    Atoms,
    Empirical,
    GaussianPushforward,
    Law,
    MarchenkoPastur,
    PointMass,
    Projection,
    Semicircle,
)
from freeness.meanfield import Signals, signals
from freeness.network import Network, activation, mlp
from freeness.spectra import (
    Measurement,
    Prediction,
    fisher_law,
    jacobian_law,
    predict_fisher,
    predict_jacobian,
)

__version__ = "0.1.0"

__all__ = [
    "Atom",
    "Atoms",
    "ConvergenceError",
    "Empirical",
    "FreenessError",
    "GaussianPushforward",
    "InputError",
    "Law",
    "MarchenkoPastur",
    "Measurement",
    "Network",
    "PointMass",
    "Prediction",
    "Projection",
    "Semicircle",
    "Signals",
    "activation",
    "compress",
    "fisher_law",
    "free_difference",
    "free_power",
    "free_product",
    "free_sum",
    "jacobian_law",
    "mirror",
    "mlp",
    "predict_fisher",
    "predict_jacobian",
    "resize",
    "scale",
    "shift",
    "signals",
    "symmetric_root",
    "symmetric_square",
]
