"""Memory, time and cost of a job, by counting; every assumption is said."""

from typing import NamedTuple

from configs.machines import GIB, MACHINES, Machine
from configs.prices import Prices
from configs.remote import SagemakerBackend
from configs.training import Training
from tasks.training.memory import Place
from tasks.training.preflight.report import Estimate
from tasks.training.preflight.size import ModelSize

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
    """Return the dtype that training computes in on its machine: bfloat16 on GPUs, unless told."""
    machine = MACHINES.get(getattr(training.backend, "instance_type", ""))
    if training.dtype == "auto":
        return "bfloat16" if machine and machine.gpus else "float32"
    return training.dtype


def place_of(training: Training) -> Place:
    """Return where each process of a job on SageMaker trains."""
    backend = training.backend
    assert isinstance(backend, SagemakerBackend)
    machine = MACHINES.get(backend.instance_type)
    gpus = machine.gpus if machine else 0
    sharded = backend.sharding != "none"
    return Place(gpus > 0, max(gpus, 1) * backend.instance_count if sharded else 1)


def _available(machine: Machine | None) -> float | None:
    if machine is None:
        return None
    # A part is not the program's: firmware and driver on a GPU, the system on a machine.
    return machine.gpu_gib * 0.92 if machine.gpus else machine.ram_gib * 0.9
