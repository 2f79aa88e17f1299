"""freeness: free probability that designs deep networks.

The random-matrix engine and the theory of networks, without any framework; ``freeness.torch`` reads, measures and
initialises PyTorch models. A name is loaded with its room when it is first asked for: ``import freeness`` costs nothing.
"""

from importlib import import_module

from freeness.errors import ConvergenceError as ConvergenceError
from freeness.errors import FreenessError as FreenessError
from freeness.errors import InputError as InputError
from freeness.version import __version__ as __version__

# Room by room the names that outsiders meet first; type checkers read them in `__init__.pyi`.
_NAMES = {
    "advice": (
        "Design",
        "batch_learning_rate",
        "design",
        "transfer",
        "transfer_table",
    ),
    "expressions": (
        "Circular",
        "Expression",
        "Given",
        "HaarUnitary",
        "RDiagonal",
        "anticommutator",
        "commutator",
        "free_variables",
        "information_plus_noise",
        "jointly_free",
    ),
    "laws": (
        "Arcsine",
        "Atom",
        "Atoms",
        "Bernoulli",
        "CauchySmoothed",
        "Density",
        "Edge",
        "Empirical",
        "FreeCauchy",
        "FussCatalan",
        "GaussianPushforward",
        "Inverse",
        "KestenMcKay",
        "Law",
        "MarchenkoPastur",
        "Mixture",
        "PointMass",
        "PolynomialLaw",
        "Projection",
        "Semicircle",
        "Square",
        "Uniform",
        "Wachter",
        "expected_top",
        "free_entropy",
        "inverse",
        "kolmogorov",
        "sample_matrix",
        "symmetrized",
        "truncated",
        "wasserstein",
    ),
    "meanfield": (
        "Signals",
        "signals",
    ),
    "moves": (
        "block_modified",
        "classical_product",
        "classical_sum",
        "compress",
        "free_deconvolution",
        "free_difference",
        "free_poisson",
        "free_power",
        "free_product",
        "free_sum",
        "mirror",
        "partial_transpose",
        "resize",
        "scale",
        "shift",
        "symmetric_root",
        "symmetric_square",
    ),
    "network": (
        "Network",
        "activation",
        "convnext",
        "image_resnet",
        "mixer",
        "mlp",
        "transformer",
    ),
    "spectra": (
        "Measurement",
        "Prediction",
        "fisher_law",
        "jacobian_law",
        "predict_fisher",
        "predict_jacobian",
    ),
}
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names}
_ROOMS = {*_NAMES, "numerics", "operators", "gaussian", "training"}

__all__ = sorted({*_ROOM_OF, "ConvergenceError", "FreenessError", "InputError"})  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
