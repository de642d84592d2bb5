"""What can be told wrong of a job from its files, before anything is started or bought."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

import pyarrow.parquet as pq

from configs.backends import LocalBackend
from configs.nova import NovaBackend
from configs.remote_backends import WorkPoolBackend
from configs.training import Lora, Training
from tasks.artifacts import LocalModel
from tasks.errors import TrainingError
from tasks.training.backends.base import Job
from tasks.training.job import TrainingJob
from tasks.training.memory import tensor_shapes
from tasks.training.merging import loads_part
from tasks.training.models import UNTOUCHED
from tasks.training.rewards import verify_all


def check_job(job: Job) -> None:
    """Refuse a job that would fail, or learn less than it says, wherever it runs.

    Raises:
        TrainingError: The adapter names layers that the model doesn't have, or a reward function
            can't be imported, fails on sample rows, or can teach nothing.
    """
    if not isinstance(job, TrainingJob):
        return  # the service checks what it is sent
    check_base(job.model, job.training)
    if job.training.adapter is not None and job.model.has_weights:
        check_targets(job.model.path, job.training.adapter)
    if job.training.method == "rft":
        _check_rewards(job)


def check_base(model: LocalModel, training: Training) -> None:
    """Refuse a base model, or a way to train it, that training would fail on; reads no weights.

    Raises:
        TrainingError: A setting can't be had for this model, on this machine.
    """
    if training.extra and isinstance(training.backend, NovaBackend):
        raise TrainingError(
            "backend nova trains by a service of its own, which knows none of TRL's settings.",
            where="training.extra",
            fix="leave it out.",
        )
    if training.extra:
        from tasks.training.extra import check_extra

        check_extra(training)
    if training.quantization:
        _check_four_bits(training)
    if not (model.path / "config.json").is_file():
        return  # the service's own model
    config = json.loads((model.path / "config.json").read_text())
    if "text_config" in config:
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        safe = {"local_files_only": True, "trust_remote_code": False}
        kind = AutoConfig.from_pretrained(model.path, **safe).model_type
        loaded = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind, "")
        if loads_part(config, loaded):
            _check_part(config["architectures"][0], loaded, training)


def _check_four_bits(training: Training) -> None:
    if not isinstance(training.backend, LocalBackend | WorkPoolBackend):
        raise TrainingError(
            f"backend {training.backend.kind} has no bitsandbytes.",
            where="training.quantization",
            fix="leave it out, or train on a machine of your own.",
        )
    if isinstance(training.backend, WorkPoolBackend):
        return  # what its machines have is found out there
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise TrainingError(
            "4-bit weights need the package bitsandbytes, which isn't installed here.",
            where="training.quantization",
            fix="install bitsandbytes on a machine with a GPU, or leave quantization out.",
        )
    import torch

    if not torch.cuda.is_available():
        raise TrainingError(
            "4-bit weights need a GPU, and there is none here.",
            where="training.quantization",
            fix="leave it out.",
        )


def _check_part(named: str, loaded: str, training: Training) -> None:
    """Refuse what can't be merged back into a larger model of which the language part is loaded."""
    lora = training.adapter
    plain = lora is not None and not lora.dora and not lora.modules_to_save
    if not plain:
        raise TrainingError(
            f"the model is a {named}, of which the language model alone is trained ({loaded}), and "
            "what isn't a plain adapter can't be put back into the whole.",
            where="training.adapter",
            fix="train a LoRA adapter, without dora and modules_to_save.",
        )


def check_targets(folder: Path, lora: Lora) -> None:
    """Refuse an adapter for layers that aren't there: of the rest it would be made silently.

    Raises:
        TrainingError: A target is the name of no layer with weights.
    """
    shapes = tensor_shapes(folder)
    every = {name.rpartition(".")[0] for name in shapes}
    if absent := _absent(lora.modules_to_save, every):
        raise TrainingError(
            f"the model has no layer named {', '.join(absent)}.",
            where="training.adapter.modules_to_save",
            fix=f"name layers that it has ({', '.join(sorted(_last_parts(every)))}).",
        )
    if isinstance(lora.targets, str):
        return
    _check_mixers(folder, lora, shapes)
    layers = {name.removesuffix(".weight") for name, shape in shapes.items() if len(shape) == 2}
    known = _last_parts(layers)
    absent = _absent(lora.targets, layers)
    if absent:
        raise TrainingError(
            f"the model has no layer named {', '.join(absent)}.",
            where="training.adapter.targets",
            fix=f"name layers that it has ({', '.join(sorted(known))}), or all-linear.",
        )


def _last_parts(names: Iterable[str]) -> set[str]:
    return {name.rpartition(".")[2] for name in names}


def _check_mixers(folder: Path, lora: Lora, shapes: Collection[str]) -> None:
    """Refuse targets whose weights a state-space mixer reads itself, past any adapter."""
    kind = json.loads((folder / "config.json").read_text()).get("model_type")
    read = {"dt_proj"} | ({"out_proj", "conv1d"} if kind in UNTOUCHED else set())
    mixers = {name.rpartition(".")[0] for name in shapes if name.endswith(".A_log")}
    layers = {name.removesuffix(".weight") for name in shapes}
    for target in lora.targets:
        met = [x for x in layers if x == target or x.endswith(f".{target}")]
        if target.split(".")[-1] in read and any(x.rpartition(".")[0] in mixers for x in met):
            raise TrainingError(
                f"the model reads the weights of {target} past an adapter: what is trained could "
                "not be merged.",
                where="training.adapter.targets",
                fix="name other layers (in_proj, x_proj, q_proj ...), or all-linear, which leaves "
                "such layers out.",
            )


def _absent(names: Iterable[str], layers: Collection[str]) -> list[str]:
    """Return the names that are the end of no layer's."""
    return [n for n in names if not any(x == n or x.endswith(f".{n}") for x in layers)]


def _check_rewards(job: TrainingJob) -> None:
    parts = [
        pq.read_table(job.mixture.path / name, columns=["row_id", "reference"])
        for name in job.mixture.shards
    ]
    references = [json.loads(text) for part in parts for text in part["reference"].to_pylist()]
    row_ids = [row for part in parts for row in part["row_id"].to_pylist()]
    verify_all(job.training.rft.functions, references, row_ids)
