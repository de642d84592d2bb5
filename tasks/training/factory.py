"""One trainer a method, each with what its rows are collated by."""

import json
from pathlib import Path
from typing import Any

import torch
from trl import DPOConfig, GRPOConfig, SFTConfig

from configs.training import Training
from tasks.training.data import data_of
from tasks.training.job import TrainingJob
from tasks.training.limits import kept_states
from tasks.training.loader import Layout, MicroBatches, Rank, Shape
from tasks.training.models import adapter_config, autocasts, liger, load_base, quickened
from tasks.training.placement import place_trainer
from tasks.training.rewards import verify_all


def open_trainer(job: TrainingJob, args: Any, tokenizer: Any, rows: Any) -> Any:
    """Return the trainer of the job's method, its model loaded.

    Args:
        job: The job.
        args: TRL's configuration of the method.
        tokenizer: The model's.
        rows: The mixture's rows or packs, as a ``datasets.Dataset``.
    """
    place = Rank(args.process_index, args.world_size)
    pad = tokenizer.pad_token_id
    pad = tokenizer.eos_token_id if pad is None else pad
    shape = Shape(pad, job.training.micro_batch_tokens, wanted_layout(job.training))
    match job.training.method:
        case "dpo":
            trainer = _pairs(job, args, tokenizer, rows, shape, place)
        case "rft":
            trainer = _sampled(job, args, tokenizer, rows, place)
        case _:
            trainer = _texts(job, args, tokenizer, rows, shape, place)
    quickened(job.training, trainer.model)
    return trainer


def wanted_layout(training: Training) -> Layout:
    """Return the layout that is quick here, if the model gets it right: packed on a GPU."""
    return "packed" if torch.cuda.is_available() and training.packing != "off" else "sorted"


def _texts(
    job: TrainingJob, args: Any, tokenizer: Any, rows: Any, shape: Shape, place: Rank
) -> Any:
    from tasks.training.sft import Anchor, PlanTrainer

    spec, sources = job.training, data_of(job).sources
    frozen = load_base(job.model, spec).eval() if spec.kl_to_base and not spec.adapter else None
    anchor = Anchor(spec.kl_to_base, frozen) if spec.kl_to_base else None
    base = load_base(job.model, spec)
    return PlanTrainer(
        model=base,
        args=args,
        sources=sources,
        weights=spec.loss_weight,
        kl=anchor,
        train_dataset=rows,
        data_collator=MicroBatches(shape, sources, place),
        processing_class=tokenizer,
        peft_config=adapter_config(spec.adapter, base),
    )


def _pairs(
    job: TrainingJob, args: Any, tokenizer: Any, rows: Any, shape: Shape, place: Rank
) -> Any:
    from tasks.training.dpo import PairBatches, PairTrainer

    spec = job.training
    base = load_base(job.model, spec)
    return PairTrainer(
        model=base,
        args=args,
        train_dataset=rows,
        ref_model=None if spec.adapter else load_base(job.model, spec).eval(),
        data_collator=PairBatches(shape, place),
        processing_class=tokenizer,
        peft_config=adapter_config(spec.adapter, base),
    )


def _sampled(job: TrainingJob, args: Any, tokenizer: Any, rows: Any, place: Rank) -> Any:
    from tasks.training.grpo import Grader, Questions, RewardTrainer

    spec = job.training
    references = [json.loads(str(text)) for text in rows["reference"]]
    verify_all(spec.rft.functions, references, rows["row_id"])
    base = load_base(job.model, spec)
    trainer = RewardTrainer(
        model=base,
        args=args,
        train_dataset=rows,
        reward_funcs=[Grader(reward, references) for reward in spec.rft.functions],
        processing_class=tokenizer,
        peft_config=adapter_config(spec.adapter, base),
        budget=spec.micro_batch_tokens,
    )
    trainer.data_collator = Questions(spec.rft.generations, tokenizer.decode, place)
    return trainer


# The training section in TRL's words: one configuration a method.

_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
_OPTIMISERS = {"adamw": "adamw_torch", "adafactor": "adafactor", "sgd": "sgd"}


CONFIGS = {"sft": SFTConfig, "cpt": SFTConfig, "dpo": DPOConfig, "rft": GRPOConfig}


def arguments(job: TrainingJob, states: Path, world: int) -> Any:
    """Return TRL's configuration of the job's method.

    Args:
        job: The job.
        states: Folder that states are saved in.
        world: Processes that share a step.
    """
    spec = job.training
    own = {
        **own_settings(spec, world),
        "output_dir": str(states),
        "max_steps": job.steps,
        "warmup_steps": int(spec.warmup_ratio * job.steps),
        "seed": job.seed,
        "data_seed": job.seed,
    }
    return CONFIGS[spec.method](**own, **spec.extra)


def own_settings(spec: Training, world: int) -> dict[str, Any]:
    """Return what the section sets of TRL's configuration, without what the job alone knows."""
    common = _common(spec, world)
    method: dict[str, Any]
    match spec.method:
        case "dpo":
            method = {
                "beta": spec.dpo.beta,
                "loss_type": spec.dpo.loss,
                "per_device_train_batch_size": 1,
                "max_length": None,
            }
        case "rft":
            method = _sampling(spec, world)
        case _:
            method = {
                "max_length": None,
                "per_device_train_batch_size": 1,
                "dataset_kwargs": {"skip_prepare_dataset": True},
            }
    return {**common, **method}


def _common(spec: Training, world: int) -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    sharded = place_trainer(spec.backend).sharding == "fsdp"
    return {
        "optim": _OPTIMISERS[spec.optimiser],
        "learning_rate": spec.learning_rate,
        "lr_scheduler_type": _SCHEDULES[spec.schedule],
        "adam_beta1": spec.beta1,
        "adam_beta2": spec.beta2,
        "weight_decay": spec.weight_decay,
        "max_grad_norm": spec.max_grad_norm,
        "logging_steps": 1,
        "save_steps": spec.save_steps,
        "save_total_limit": kept_states(spec),
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


def _sampling(training: Training, world: int) -> dict[str, Any]:
    spec = training.rft
    return {
        "num_generations": spec.generations,
        "max_completion_length": spec.max_new_tokens,
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "beta": spec.beta,
        "epsilon": spec.clip,
        "loss_type": "dapo",
        "scale_rewards": "group",
        "per_device_train_batch_size": -(-training.batch_rows // world) * spec.generations,
        "reward_weights": [reward.weight for reward in spec.functions],
    }
