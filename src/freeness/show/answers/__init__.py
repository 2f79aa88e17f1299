"""Records as answers for people: one function a record, registered with ``answer_of`` by the import of its file."""

from freeness.show.answers import (
    analysis,
    design,
    found_rate,
    freeness_test,
    kernels,
    law,
    network,
    phase,
    residual,
    spectrum,
    training,
    transformer,
    watch,
)

__all__ = [
    "analysis",
    "design",
    "found_rate",
    "freeness_test",
    "kernels",
    "law",
    "network",
    "phase",
    "residual",
    "spectrum",
    "training",
    "transformer",
    "watch",
]
