"""One trainer a method, each with what its rows are collated by."""

import json
from pathlib import Path
from typing import Any

import torch
from trl import DPOConfig, GRPOConfig, SFTConfig

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
    shape = Shape(pad, job.training.micro_batch_tokens, layout_here())
    match job.training.method:
        case "dpo":
            trainer = _pairs(job, args, tokenizer, rows, shape, place)
        case "rft":
            trainer = _sampled(job, args, tokenizer, rows, place)
        case _:
            trainer = _texts(job, args, tokenizer, rows, shape, place)
    quickened(job.training, trainer.model)
    return trainer


def layout_here() -> Layout:
    """Return the layout that is quick here: packed on a GPU, sorted on a CPU."""
    return "packed" if torch.cuda.is_available() else "sorted"


def _texts(
    job: TrainingJob, args: Any, tokenizer: Any, rows: Any, shape: Shape, place: Rank
) -> Any:
    from tasks.training.sft import Anchor, PlanTrainer

    spec, sources = job.training, data_of(job).sources
    frozen = load_base(job.model, spec).eval() if spec.kl_to_base and not spec.adapter else None
    anchor = Anchor(spec.kl_to_base, frozen) if spec.kl_to_base else None
    return PlanTrainer(
        model=load_base(job.model, spec),
        args=args,
        sources=sources,
        weights=spec.loss_weight,
        kl=anchor,
        train_dataset=rows,
        data_collator=MicroBatches(shape, sources, place),
        processing_class=tokenizer,
        peft_config=adapter_config(spec.adapter),
    )


def _pairs(
    job: TrainingJob, args: Any, tokenizer: Any, rows: Any, shape: Shape, place: Rank
) -> Any:
    from tasks.training.dpo import PairBatches, PairTrainer

    spec = job.training
    return PairTrainer(
        model=load_base(job.model, spec),
        args=args,
        train_dataset=rows,
        ref_model=None if spec.adapter else load_base(job.model, spec).eval(),
        data_collator=PairBatches(shape, place),
        processing_class=tokenizer,
        peft_config=adapter_config(spec.adapter),
    )


def _sampled(job: TrainingJob, args: Any, tokenizer: Any, rows: Any, place: Rank) -> Any:
    from tasks.training.grpo import Grader, Questions, RewardTrainer

    spec = job.training
    references = [json.loads(str(text)) for text in rows["reference"]]
    verify_all(spec.rft.functions, references, rows["row_id"])
    trainer = RewardTrainer(
        model=load_base(job.model, spec),
        args=args,
        train_dataset=rows,
        reward_funcs=[Grader(reward, references) for reward in spec.rft.functions],
        processing_class=tokenizer,
        peft_config=adapter_config(spec.adapter),
        budget=spec.micro_batch_tokens,
    )
    trainer.data_collator = Questions(spec.rft.generations, tokenizer.decode, place)
    return trainer


# The training section in TRL's words: one configuration a method.

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
    sharded = place_trainer(spec.backend).sharding == "fsdp"
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
