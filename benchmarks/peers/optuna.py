"""Optuna: 20 trials of TPE over the learning rate, each a training of all three initialisations."""

from __future__ import annotations

import optuna

from benchmarks import training
from benchmarks.measure import Row, run

TRIALS = 20
RANGE = (1e-4, 10.0)


def _search(batch: int) -> list[float]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", *RANGE, log=True)
        return min(training.loss_at([rate] * len(training.SEEDS), batch), 1e9)

    study.optimize(objective, n_trials=TRIALS)
    return [float(study.best_params["rate"])] * len(training.SEEDS)


def _row(batch: int) -> Row:
    def told(ours: list[float], theirs: list[float]) -> str:
        rates = " / ".join(f"{rate:.3g}" for rate in ours)
        return (
            f"{TRIALS} trials of 3 × {training.STEPS} steps found the rate {theirs[0]:.3g}; ours, no training: {rates}"
        )

    return Row(
        ours=training.ours(batch),
        theirs=lambda: _search(batch),
        error=lambda rates: training.loss_at(rates, batch),
        measure="training loss after 200 steps at the rate",
        bar=None,
        remark=told,
    )


ROWS = {"learning rate, batch 1": lambda: _row(1), "learning rate, batch 64": lambda: _row(64)}

if __name__ == "__main__":
    run(ROWS)
