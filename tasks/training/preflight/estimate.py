"""Memory, time and cost of a job, by counting; every assumption is said."""

from typing import NamedTuple

from configs.machines import GIB, MACHINES, Machine
from configs.prices import Prices
from configs.remote import SagemakerBackend
from configs.training import Training
from tasks.training.preflight.report import Estimate
from tasks.training.preflight.size import ModelSize

GPU_UTILISATION = 0.3
"""Part of a GPU's peak that training of this kind reaches."""
CPU_GFLOPS = 30.0
"""10^9 operations a second that a virtual CPU does in float32 matrix products."""
START_HOURS = 0.12
"""Until the first step: machine, image, packages, data."""
FIXED_GIB = 1.5
"""CUDA context, libraries and fragments."""
EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "wpe")


class Load(NamedTuple):
    """What passes through: tokens of the mixture, supervised ones of them, optimiser steps."""

    tokens: int
    supervised: int
    steps: int


def estimate(size: ModelSize, training: Training, load: Load, prices: Prices) -> Estimate:
    """Return what the job takes on its SageMaker machines."""
    backend = training.backend
    assert isinstance(backend, SagemakerBackend)
    machine = MACHINES.get(backend.instance_type)
    hours = START_HOURS + _hours(size, training, load, machine) / backend.instance_count
    memory = memory_bytes(size, training, load, machine) / GIB + FIXED_GIB
    price = prices.hourly.get(backend.instance_type)
    share = prices.spot_share if backend.spot else 1.0
    cost = None if price is None else hours * backend.instance_count * price * share
    said = (
        f"a GPU does {GPU_UTILISATION:.0%} of its data sheet's peak" if machine and machine.gpus
        else f"a virtual CPU does {CPU_GFLOPS:g} GFLOP/s",
        f"{START_HOURS * 60:.0f} minutes until the first step",
        f"prices of {prices.as_of}, {prices.region}"
        + (f", spot at {prices.spot_share:.0%} of on-demand" if backend.spot else ""),
    )  # fmt: skip
    return Estimate(memory_gib=round(memory, 2), available_gib=_available(machine),
                    hours=round(hours, 3), cost=None if cost is None else round(cost, 2),
                    currency=prices.currency, assumptions=said)  # fmt: skip


def memory_bytes(size: ModelSize, training: Training, load: Load, machine: Machine | None) -> float:
    """Return the bytes of weights, gradients, optimiser and activations of the worst step.

    With an adapter the base stands in its own dtype without gradients, and each adapted matrix has
    rank * (rows + columns) weights; weights that are trained take 4 bytes each for themselves,
    their gradient, and AdamW's two moments. A layer keeps about 34 bytes a token and unit of its
    width in 16 bits (Korthikanti et al. 2022, section 4, without the attention matrix), and logits
    are in float32 at supervised positions, held three times (as such, as log-probabilities, as
    their gradient).
    """
    width = 2 if _halves(training, machine) else 4
    trained = trained_parameters(size, training)
    moments = {"adamw": 2, "sgd": 0, "adafactor": 0}[training.optimiser]
    full = training.adapter is None
    shards = (machine.gpus if machine and machine.gpus else 1) if _fsdp(training) else 1
    weights = 0 if full else size.parameters * width
    state = trained * 4 * (2 + moments) + (trained * width if full and width == 2 else 0)
    tokens = max(
        training.micro_batch_tokens, min(training.sequence_length, size.positions or 10**9)
    )
    kept = 2 if training.gradient_checkpointing else 34
    activations = size.layers * tokens * size.hidden * kept * width / 2
    activations += 34 * tokens * size.hidden * width / 2 if training.gradient_checkpointing else 0
    at = tokens * max(load.supervised, 1) / max(load.tokens, 1)
    logits = 3 * 4 * at * size.vocabulary
    return (weights + state) / shards + activations + logits


def trained_parameters(size: ModelSize, training: Training) -> int:
    """Return how many weights are trained."""
    lora = training.adapter
    if lora is None:
        return size.parameters
    if lora.targets == "all-linear":
        names = [n for n in size.matrices if n not in EMBEDDINGS]
    else:
        names = [n for n in size.matrices if n in lora.targets]
    return sum(lora.rank * size.matrices[n] for n in names)


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


def _halves(training: Training, machine: Machine | None) -> bool:
    return training.dtype == "bfloat16" or (
        training.dtype == "auto" and machine is not None and machine.gpus > 0)  # fmt: skip


def _fsdp(training: Training) -> bool:
    return getattr(training.backend, "sharding", "none") == "fsdp"


def _available(machine: Machine | None) -> float | None:
    if machine is None:
        return None
    # A part is not the program's: firmware and driver on a GPU, the system on a machine.
    return machine.gpu_gib * 0.92 if machine.gpus else machine.ram_gib * 0.9
