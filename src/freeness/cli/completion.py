"""What the shell completes behind an option, once `freeness --install-completion` was called."""

from __future__ import annotations

from collections.abc import Iterable

from freeness.gaussian import activation_names
from freeness.training import loss_names, optimizer_names


def activations(incomplete: str) -> list[str]:
    """Names of activations.

    Example:
        >>> activations("hardt")
        ['hardtanh']
    """
    return begun(activation_names(), incomplete)


def losses(incomplete: str) -> list[str]:
    """Names of losses."""
    return begun(loss_names(), incomplete)


def optimizers(incomplete: str) -> list[str]:
    """Names of optimisers."""
    return begun(optimizer_names(), incomplete)


def begun(names: Iterable[str], incomplete: str) -> list[str]:
    """Those of the names that begin so."""
    return [name for name in names if name.startswith(incomplete)]
