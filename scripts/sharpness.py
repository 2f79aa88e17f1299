"""λ_max from the products that a budget allows, beside that of the written-down Gauss–Newton matrix of fourteen kinds of models.

PYTHONPATH=. python scripts/sharpness.py [SEEDS [NAME …]]    a line a model and effort, then how many are within 2 % and 5 %
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
EFFORTS = (5, 6, 12, 24)  # products with the whole batch; a plan asks for 5 to 24, and 10 or more with batch statistics
TOGETHER = 10


def main(arguments: list[str]) -> None:
    """Run and print."""
    from benchmarks.small import SMALL, drawn, exact_sharpness, one_input

    from freeness.torch.curvature_estimate import Effort, estimated_sharpness
    from freeness.torch.differentiated import differentiated
    from freeness.torch.modes import is_coupled
    from freeness.torch.plan import coarse_products, coarse_samples

    seeds = int(arguments[0]) if arguments else 3
    near: dict[int, list[tuple[float, float]]] = {effort: [] for effort in EFFORTS}
    for name in arguments[1:] or SMALL:
        for seed in range(seeds):
            case = drawn(name, seed)
            exact, (model, x) = exact_sharpness(case), one_input(case)
            coupled = is_coupled(model, None)
            for effort in EFFORTS:
                if coupled and effort < TOGETHER:
                    continue
                coarse = 0 if coupled else coarse_products(effort)
                work = Effort(effort, coarse, coarse_samples(len(x)))
                with differentiated(model):
                    found = estimated_sharpness(model, x, case.targets, case.loss, None, work)
                off = found.value / exact - 1
                errors = abs(found.value - exact) / max(found.error, 1e-9 * exact)
                near[effort].append((abs(off), errors))
                told = f"{name}, draw {seed}: {effort} products, exact {exact:.5g}"
                print(
                    f"{told}, estimate {found.value:.5g} ± {found.error:.2g}: {off:+.2%}, {errors:.2g} errors",
                    flush=True,
                )
    for effort, found in near.items():
        if not found:
            continue
        shares = [sum(off <= bound for off, _ in found) / len(found) for bound in (0.02, 0.05)]
        within = sum(errors <= 3 for _, errors in found) / len(found)
        print(
            f"{effort} products: {shares[0]:.0%} within 2 %, {shares[1]:.0%} within 5 %, {within:.0%} within 3 errors"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
