"""What a sweep is: a checked specification, and the cells that it comes down to.

A sweep crosses designs, depths, learning rates and seeds; one combination is a cell. A cell states every number that its result
depends on, so the hash of its canonical JSON (:attr:`Cell.key`) names the result.
"""

from __future__ import annotations

import hashlib
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from freeness.data import Scaling, source_of
from freeness.errors import InputError
from freeness.files import read_toml
from freeness.network import activation
from freeness.training import Optimizer, loss_of, optimizer_of

RESULT_SCHEMA = 1  # of what a cell's result holds; part of its key

Metric = Literal["sharpness", "freeness"]
RateUnit = Literal["two_over_depth", "bound", "absolute"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=1, le=10**9)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


LossName = Annotated[str, AfterValidator(lambda name: loss_of(name).name)]
OptimizerName = Annotated[str, AfterValidator(lambda name: optimizer_of(name).name)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSpecification(_Record):
    """Where images come from and how they become inputs.

    ``source``: a text or a table as for :func:`freeness.data.source_of`: "fashion-mnist" (bundled), a file .npz with inputs,
    targets, test_inputs and test_targets, a folder (of idx files, of train.parquet and test.parquet, or of class folders
    train/CLASS/*.png), FILE.py:FACTORY. ``scaling``: "unit_norm" makes ‖x⁰‖ = 1, "standardised" mean 0 and q̂₀ = 1,
    "unit" is the pixel in [0, 1]. ``image_size``: side to which the images of folders are cut. ``limit``, ``test_limit``: take
    only the first images. ``sha256``: of the data, if it is known; otherwise it is computed, which reads all of it once.
    """

    source: str = "fashion-mnist"
    scaling: Scaling = "unit_norm"
    image_size: Size = 224
    limit: Size | None = None
    test_limit: Size | None = None
    sha256: str | None = None

    @field_validator("source", mode="before")
    @classmethod
    def _as_text(cls, given: object) -> object:
        return source_of(given).text if isinstance(given, dict) else given


class DesignSpecification(_Record):
    """One family of fully connected networks, of one width at every depth.

    ``signal``: q, the variance that the pre-activations are to have in the activation's own units: φ becomes c·φ(x/c) with c²
    = q̂₀/q. ``isometry``: σ_JJ² instead; then q and σ_w are those of ``isometric_point`` for each depth. Without either, φ is
    taken as it is; :func:`freeness.design` keeps φ and turns the first layer's gain, which is another network. The first
    matrix has a gain that keeps ‖x‖ (√(inputs/width) where a Haar matrix compresses, and for every Gaussian one).
    """

    name: str
    activation: str = "hardtanh"
    width: Size = 128
    weights: Literal["haar", "gaussian", "identity"] = "haar"
    sigma_w: Positive = 1.0
    sigma_b: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    signal: Positive | None = None
    isometry: Positive | None = None

    @model_validator(mode="after")
    def _known(self) -> DesignSpecification:
        activation(self.activation)  # refuses an unknown one, in a sentence
        if self.signal is not None and self.isometry is not None:
            raise ValueError("expected signal or isometry, got both; the isometry decides the signal")
        return self


class RateSpecification(_Record):
    """Learning rates: numbers, or multiples of 2/L ("two_over_depth") or of the bound of theory ("bound")."""

    values: Annotated[tuple[Positive, ...], Field(min_length=1)]
    unit: RateUnit = "two_over_depth"


class SweepSpecification(_Record):
    """A sweep: designs × depths × rates × seeds, each trained for ``steps`` steps and looked at after ``evaluate`` of them.

    ``metrics``: "sharpness" (λ_max of the GGN of a batch) and "freeness" (largest score of the freeness test) at the same steps.
    ``diverged_above``: a training loss beyond it, or none at all, ends a cell: it is frozen there.

    Example:
        >>> sweep = SweepSpecification(name="two", depths=(2, 4), rates={"values": (0.5, 1.0)}, steps=10)
        >>> len(sweep.designs), sweep.evaluate
        (1, (10,))
    """

    name: str
    designs: Annotated[tuple[DesignSpecification, ...], Field(min_length=1)] = (DesignSpecification(name="hardtanh"),)
    depths: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1)]
    rates: RateSpecification
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    steps: Size
    batch: Size = 1
    evaluate: tuple[Annotated[int, Field(ge=0)], ...] = ()
    loss: LossName = "half_squared_error"
    optimizer: OptimizerName = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    metrics: tuple[Metric, ...] = ()
    diverged_above: Positive = 1e6
    data: DataSpecification = DataSpecification()

    @model_validator(mode="after")
    def _consistent(self) -> SweepSpecification:
        for name, values in (
            ("depths", self.depths),
            ("seeds", self.seeds),
            ("rates", self.rates.values),
            ("designs", [design.name for design in self.designs]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"expected different {name}, got {list(values)}; leave out what comes twice")
        looks = self.evaluate or (self.steps,)
        if list(looks) != sorted(set(looks)) or looks[-1] > self.steps:
            raise ValueError(f"expected evaluate to ascend up to {self.steps} steps, got {list(looks)}; sort it")
        if self.rates.unit == "bound" and optimizer_of(self.optimizer).preconditioned:
            raise ValueError(
                f"expected absolute rates with {self.optimizer}, got multiples of a bound; theory has none for it"
            )
        object.__setattr__(self, "evaluate", looks)
        return self

    @property
    def key(self) -> str:
        """SHA-256 of the specification: names the sweep in a store."""
        return _digest(self.model_dump(mode="json"))


class Cell(_Record):
    """One training run, every number that its result depends on written out.

    ``activation_scale``: c in c·φ(x/c). ``first_gain``: factor of the first weight matrix. ``data``: SHA-256 of the data.

    Example:
        >>> sizes = {"depth": 2, "width": 3, "inputs": 4, "outputs": 2}
        >>> cell = Cell(**sizes, activation="tanh", rate=0.1, seed=0, steps=1, evaluate=(1,), data="…")
        >>> len(cell.key), cell.key == cell.model_copy(update={"rate": 0.2}).key
        (64, False)
    """

    depth: Size
    width: Size
    inputs: Size
    outputs: Size
    activation: str
    activation_scale: Positive = 1.0
    weights: str = "haar"
    sigma_w: Positive = 1.0
    sigma_b: float = 0.0
    first_gain: Positive = 1.0
    rate: Positive
    seed: Seed
    steps: Size
    batch: Size = 1
    evaluate: tuple[int, ...]
    loss: LossName = "half_squared_error"
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    metrics: tuple[Metric, ...] = ()
    diverged_above: Positive = 1e6
    data: str

    @property
    def key(self) -> str:
        """SHA-256 of the cell's canonical JSON and of the schema of its result."""
        return _digest({"schema": RESULT_SCHEMA, **self.model_dump(mode="json")})

    @property
    def descent(self) -> Optimizer:
        """The optimiser with the cell's β."""
        return optimizer_of(self.optimizer, self.momentum)

    @property
    def column(self) -> str:
        """What cells share that can be trained as one stack: everything but rate and seed."""
        return _digest(self.model_dump(mode="json", exclude={"rate", "seed"}))


def read_specification(path: Path | str) -> SweepSpecification:
    """A sweep from a TOML file; designs are written ``[[designs]]``.

    Raises:
        InputError: the file cannot be read, is no TOML, or says something that a sweep does not know; the entry is named.
    """
    return specification_of(read_toml(path, "a TOML file that describes a sweep"))


def specification_of(entries: dict) -> SweepSpecification:
    """A checked sweep from a dictionary.

    Raises:
        InputError: the first entry that is missing, unknown or out of range.

    Example:
        >>> specification_of({"name": "x", "depths": [2], "rates": {"values": []}, "steps": 5})
        Traceback (most recent call last):
        ...
        freeness.errors.InputError: expected a sweep, got rates.values without an entry; add some.
    """
    try:
        return SweepSpecification.model_validate(entries)
    except ValidationError as error:
        raise InputError(_fault(error)) from error


def _fault(error: ValidationError) -> str:
    """The first fault in one sentence; a name that is not known first, for what is missing may be written there."""
    first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    where = _place(first["loc"]) or "its entries"
    if first["type"] == "missing":
        return f"expected a sweep, got no {where}; add it, as in the file that freeness sweep --init writes."
    if first["type"] == "extra_forbidden":
        near = get_close_matches(str(first["loc"][-1]), _entries(), 1)
        hint = f"did you mean {near[0]}?" if near else "freeness sweep --schema lists what a sweep may say."
        return f"expected a sweep, got an entry {where} that it does not know; {hint}"
    said = first["msg"].removeprefix("Value error, ").removeprefix("expected a sweep, got ")
    if said.startswith("expected "):  # a sentence of the house
        place = f"in {where}: " if first["loc"] else ""
        return f"{place}{said if said[-1] in '.?' else said + '.'}"
    if first["type"] == "too_short":
        return f"expected a sweep, got {where} without an entry; add some."
    said = said.rstrip(".")
    shown = "" if isinstance(first["input"], (dict, BaseModel)) else f" = {first['input']!r}"
    remedy = "" if ";" in said else "; correct this entry"
    return f"expected a sweep, got {where}{shown}: {said[0].lower()}{said[1:]}{remedy}."


def _place(path: tuple[str | int, ...]) -> str:
    """Where an entry stands, counted from 1 as people do.

    Example:
        >>> _place(("designs", 0, "width")), _place(("rates", "values", 2)), _place(())
        ('width in number 1 of designs', 'number 3 of rates.values', '')
    """
    told = ""
    for part in path:
        if isinstance(part, int):
            told = f"number {part + 1} of {told}"
        else:
            told = f"{part} in {told}" if told.startswith("number ") else f"{told}.{part}".lstrip(".")
    return told


def _entries() -> list[str]:
    records = (SweepSpecification, DesignSpecification, RateSpecification, DataSpecification)
    return [name for record in records for name in record.model_fields]


def _digest(entries: dict) -> str:
    return hashlib.sha256(json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
