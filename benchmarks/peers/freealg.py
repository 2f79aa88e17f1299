"""freealg: densities of its own distribution classes, at its default distance from the axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from freealg.distributions import DeformedWigner, FussCatalan

from benchmarks import ours
from benchmarks.exact import ATOMS, LAWS, density_error
from benchmarks.measure import Row, run

BAR = 1e-10
BUILD: dict[str, Callable[[], Any]] = {
    "semicircle ⊞ ±1 (cusp)": lambda: DeformedWigner([-1.0, 1.0], [0.5, 0.5], 1.0),
    "MP(1)^{⊠2}": lambda: FussCatalan(2),
    "MP(1)^{⊠10}": lambda: FussCatalan(10),
    "semicircle ⊞ 20 atoms": lambda: DeformedWigner(ATOMS, np.full(20, 0.05), 1.0),
}


def _row(name: str) -> Row:
    grid = LAWS[name].grid()
    exact = LAWS[name].density(grid)

    def wrong(_: Any, found: Any) -> str:
        off = np.abs(np.asarray(found) - exact) > 0.1 * np.maximum(1, exact)
        return f"its class {type(BUILD[name]()).__name__}; off by more than a tenth at {int(off.sum())} of {len(grid)} points"

    return Row(
        ours=ours.density(name),
        theirs=lambda: BUILD[name]().density(grid),
        error=density_error(name),
        measure="density, largest error",
        bar=BAR,
        remark=wrong,
    )


ROWS = {name: lambda name=name: _row(name) for name in BUILD}

if __name__ == "__main__":
    run(ROWS)
