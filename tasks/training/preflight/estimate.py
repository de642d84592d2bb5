"""Memory, time and cost of a job, by counting; every assumption is said."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from configs.machines import GIB, MACHINES, Machine
from configs.prices import Prices
from configs.remote_backends import SagemakerBackend
from configs.training import Training
from tasks.errors import SetupError
from tasks.training.memory import MemoryPlacement, tensor_shapes

# What a look found: states, a sentence each, and an estimate with what it rests on.

State = Literal["ok", "warn", "refused", "unknown"]


class PreflightCheck(BaseModel):
    """One thing looked at.

    Attributes:
        state: ``unknown`` is what could not be looked at, with the reason; it stops nothing.
        fix: What to change; empty where nothing need be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: State
    says: str
    fix: str = ""


class Estimate(BaseModel):
    """What a job will take.

    Attributes:
        memory_gib: Of one GPU (of the machine where it has none), at the worst step.
        available_gib: What it has of that.
        cost: In ``currency``; None where no price is known.
        assumptions: What the numbers rest on, a sentence each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_gib: float
    available_gib: float | None
    hours: float
    cost: float | None
    currency: str
    assumptions: tuple[str, ...]


class Preflight(BaseModel):
    """Everything that was looked at; ``ok`` unless something would be refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    looks: tuple[PreflightCheck, ...]
    estimate: Estimate | None = None
    request: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against submitting."""
        return all(look.state != "refused" for look in self.looks)

    def first_refused(self) -> PreflightCheck | None:
        """Return what speaks against it first."""
        return next((look for look in self.looks if look.state == "refused"), None)


class ModelSize(NamedTuple):
    """What the estimates need to know of a model.

    Attributes:
        parameters: Weights, all.
        hidden: Width of a layer's state.
        layers: Number of layers.
        intermediate: Width inside the feed-forward part.
        vocabulary: Number of tokens there are.
        positions: Longest context; None where the config doesn't say.
    """

    parameters: int
    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    positions: int | None


def size_of(folder: Path) -> ModelSize:
    """Return the size of a model folder's model.

    Raises:
        SetupError: The folder has no weights, or no config of a text model.
    """
    shapes = tensor_shapes(folder)
    config = json.loads((folder / "config.json").read_text())
    config = config.get("text_config", config)
    try:
        hidden = int(config["hidden_size"])
        return ModelSize(
            parameters=sum(_product(s) for s in shapes.values()),
            hidden=hidden,
            layers=int(config["num_hidden_layers"]),
            intermediate=int(config.get("intermediate_size", 4 * hidden)),
            vocabulary=int(config["vocab_size"]),
            positions=config.get("max_position_embeddings"),
        )
    except KeyError as error:
        raise SetupError(
            f"the config names no {error}.",
            where=str(folder / "config.json"),
            fix="give a causal language model of transformers.",
        ) from error


def _product(shape: list[int]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


GPU_UTILISATION = 0.3
"""Part of a GPU's peak that training of this kind reaches."""
CPU_GFLOPS = 30.0
"""10^9 operations a second that a virtual CPU does in float32 matrix products."""
START_HOURS = 0.12
"""Until the first step: machine, image, packages, data."""


class Load(NamedTuple):
    """What passes through: tokens of the mixture, supervised ones of them, optimiser steps."""

    tokens: int
    supervised: int
    steps: int


def estimate(
    size: ModelSize, training: Training, load: Load, prices: Prices, memory: int
) -> Estimate:
    """Return what the job takes on its SageMaker machines; ``memory`` is its peak in bytes."""
    backend = training.backend
    assert isinstance(backend, SagemakerBackend)
    machine = MACHINES.get(backend.instance_type)
    hours = START_HOURS + _hours(size, training, load, machine) / backend.instance_count
    price = prices.hourly.get(backend.instance_type)
    share = prices.spot_share if backend.spot else 1.0
    cost = None if price is None else hours * backend.instance_count * price * share
    said = (
        f"a GPU does {GPU_UTILISATION:.0%} of its data sheet's peak"
        if machine and machine.gpus
        else f"a virtual CPU does {CPU_GFLOPS:g} GFLOP/s",
        f"{START_HOURS * 60:.0f} minutes until the first step",
        f"prices of {prices.as_of}, {prices.region}"
        + (f", spot at {prices.spot_share:.0%} of on-demand" if backend.spot else ""),
    )
    return Estimate(
        memory_gib=round(memory / GIB, 2),
        available_gib=_available(machine),
        hours=round(hours, 3),
        cost=None if cost is None else round(cost, 2),
        currency=prices.currency,
        assumptions=said,
    )


def _hours(size: ModelSize, training: Training, load: Load, machine: Machine | None) -> float:
    """Return hours on one machine: 6 operations a weight and token, 4 where weights stand still.

    Kaplan et al. (2020), section 2.1: forward 2, backward 4, of which 2 are for the weights' own
    gradients. Checkpointing repeats the forward pass.
    """
    each = (6 if training.adapter is None else 4) + (2 if training.gradient_checkpointing else 0)
    work = float(each) * size.parameters * load.tokens
    if machine is None:
        return work / (CPU_GFLOPS * 1e9 * 4) / 3600
    if machine.gpus:
        return work / (machine.gpus * machine.tflops * 1e12 * GPU_UTILISATION) / 3600
    return work / (machine.cpus * CPU_GFLOPS * 1e9) / 3600


def computes_in(training: Training) -> str:
    """Return the dtype that training on SageMaker computes in: bfloat16 on GPUs, unless told."""
    backend = training.backend
    assert isinstance(backend, SagemakerBackend)
    machine = MACHINES.get(backend.instance_type)
    if training.dtype == "auto":
        return "bfloat16" if machine and machine.gpus else "float32"
    return training.dtype


def place_of(training: Training) -> MemoryPlacement:
    """Return where each process of a job on SageMaker trains."""
    backend = training.backend
    assert isinstance(backend, SagemakerBackend)
    machine = MACHINES.get(backend.instance_type)
    gpus = machine.gpus if machine else 0
    sharded = backend.sharding != "none"
    return MemoryPlacement(gpus > 0, max(gpus, 1) * backend.instance_count if sharded else 1)


def _available(machine: Machine | None) -> float | None:
    if machine is None:
        return None
    # A part is not the program's: firmware and driver on a GPU, the system on a machine.
    return machine.gpu_gib * 0.92 if machine.gpus else machine.ram_gib * 0.9
