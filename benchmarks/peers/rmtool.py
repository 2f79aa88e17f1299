"""RMTool: the polynomial of a law by resultants, its density by the roots; GPL, so it is called here and nowhere in freeness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rmtool

from benchmarks import ours
from benchmarks.exact import ATOMS, LAWS, density_error
from benchmarks.measure import Row, run

BAR = 1e-10


def _product(factors: int) -> Any:
    law = rmtool.wishartpol(1)
    for _ in range(factors - 1):
        law = rmtool.AtimesB(law, rmtool.wishartpol(1))
    return law


def _half() -> Any:
    return rmtool.atomLmz([0, 1], [0.5, 0.5])


BUILD: dict[str, tuple[Callable[[], Any], str]] = {
    "semicircle ⊞ semicircle": (lambda: rmtool.AplusB(rmtool.wignerpol(), rmtool.wignerpol()), ""),
    "semicircle ⊞ ±1 (cusp)": (
        lambda: rmtool.AplusB(rmtool.wignerpol(), rmtool.atomLmz([-1, 1], [0.5, 0.5])),
        "",
    ),
    "MP(1)^{⊠2}": (lambda: _product(2), ""),
    "MP(1)^{⊠10}": (lambda: _product(10), ""),
    "projections ½ ⊠ ½": (lambda: rmtool.AtimesB(_half(), _half()), "it gives no weight of the atom at 0"),
    "XY + YX, two semicirculars": (
        lambda: rmtool.AplusB(rmtool.wishartpol(1), rmtool.scaleA(rmtool.wishartpol(1), -1)),
        "it was given the difference of two Marchenko–Pastur laws that is found by a rotation by hand; we were given x*y + y*x",
    ),
    ours.ROTATED: (
        lambda: rmtool.AplusB(rmtool.wishartpol(1), rmtool.scaleA(rmtool.wishartpol(1), -1)),
        "both were given that difference",
    ),
    "semicircle ⊞ 20 atoms": (
        lambda: rmtool.AplusB(rmtool.wignerpol(), rmtool.atomLmz(ATOMS.tolist(), [1 / 20] * 20)),
        "",
    ),
}


def _row(name: str) -> Row:
    build, remark = BUILD[name]
    law = ours.EXACT[name]
    grid = LAWS[law].grid()
    return Row(
        ours=ours.density(name),
        theirs=lambda: rmtool.Lmz2pdf(build(), grid).best_density(),
        error=density_error(law),
        measure="density, largest error",
        bar=BAR,
        remark=remark,
    )


ROWS = {name: lambda name=name: _row(name) for name in BUILD}

if __name__ == "__main__":
    run(ROWS)
