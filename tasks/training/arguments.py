"""The training section in TRL's words: one configuration a method."""

from pathlib import Path
from typing import Any

import torch
from trl import DPOConfig, GRPOConfig, SFTConfig

from tasks.training.job import TrainingJob
from tasks.training.models import autocasts, liger
from tasks.training.stops import kept_states

_OPTIMISERS = {"adamw": "adamw_torch", "adafactor": "adafactor", "sgd": "sgd"}


def arguments(job: TrainingJob, states: Path, world: int) -> Any:
    """Return TRL's configuration of the job's method.

    Args:
        job: The job.
        states: Folder that states are saved in.
        world: Processes that share a step.
    """
    common = _common(job, states, world)
    match job.training.method:
        case "dpo":
            pairs = job.training.dpo
            return DPOConfig(
                **common,
                beta=pairs.beta,
                loss_type=pairs.loss,
                per_device_train_batch_size=1,
                max_length=None,
            )
        case "rft":
            return GRPOConfig(**common, **_sampling(job, world))
    return SFTConfig(
        **common,
        max_length=None,
        per_device_train_batch_size=1,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _common(job: TrainingJob, states: Path, world: int) -> dict[str, Any]:
    spec, on_gpu = job.training, torch.cuda.is_available()
    sharded = getattr(spec.backend, "sharding", "none") == "fsdp"
    return {
        "output_dir": str(states),
        "max_steps": job.steps,
        "optim": _OPTIMISERS[spec.optimiser],
        "learning_rate": spec.learning_rate,
        "lr_scheduler_type": spec.schedule,
        "adam_beta1": spec.beta1,
        "adam_beta2": spec.beta2,
        "warmup_steps": int(spec.warmup_ratio * job.steps),
        "weight_decay": spec.weight_decay,
        "max_grad_norm": spec.max_grad_norm,
        "logging_steps": 1,
        "save_steps": spec.save_steps,
        "save_total_limit": kept_states(spec),
        "seed": job.seed,
        "data_seed": job.seed,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": not on_gpu,
        "remove_unused_columns": False,
        # Where to go on is known from the step; nothing has to be read to get there.
        "ignore_data_skip": True,
        "bf16": autocasts(spec),
        "logging_nan_inf_filter": False,
        "activation_checkpointing": spec.gradient_checkpointing,
        "use_liger_kernel": liger(spec),
        **_processes(world, on_gpu),
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        **({"fsdp": True, "fsdp_config": {"fsdp_version": 2}} if sharded else {}),
    }


def _processes(world: int, on_gpu: bool) -> dict[str, Any]:
    if world == 1:
        return {}
    return {"ddp_backend": "nccl" if on_gpu else "gloo", "ddp_find_unused_parameters": False}


def _sampling(job: TrainingJob, world: int) -> dict[str, Any]:
    spec = job.training.rft
    return {
        "num_generations": spec.generations,
        "max_completion_length": spec.max_new_tokens,
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "beta": spec.beta,
        "epsilon": spec.clip,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "per_device_train_batch_size": -(-job.training.batch_rows // world) * spec.generations,
        "reward_weights": [reward.weight for reward in spec.functions],
    }
