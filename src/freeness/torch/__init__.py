"""PyTorch models: read them, measure their spectra and curvature, initialise and build them."""

from freeness.spectra import FreenessTest
from freeness.torch.analyze import AnalyzeOptions, analyze
from freeness.torch.build import build
from freeness.torch.curvature import Sharpness, adam_preconditioner, batch_sharpness
from freeness.torch.freeness_test import freeness_test
from freeness.torch.freeness_trace import FreenessTrace, freeness_trace
from freeness.torch.initialize import InitializedLayer, initialize_
from freeness.torch.load import load_data, load_model, split_model
from freeness.torch.measure import dual_gram, jacobian_singular_values, measure_fisher, measure_jacobian
from freeness.torch.recognise import recognise
from freeness.torch.signals import realised_signals
from freeness.torch.state import untouched
from freeness.torch.trace import Trace, trace

__all__ = [
    "AnalyzeOptions",
    "FreenessTest",
    "FreenessTrace",
    "InitializedLayer",
    "Sharpness",
    "Trace",
    "adam_preconditioner",
    "analyze",
    "batch_sharpness",
    "build",
    "dual_gram",
    "freeness_test",
    "freeness_trace",
    "initialize_",
    "jacobian_singular_values",
    "load_data",
    "load_model",
    "measure_fisher",
    "measure_jacobian",
    "realised_signals",
    "recognise",
    "split_model",
    "trace",
    "untouched",
]
