"""One trainer a method, each with what its rows are collated by."""

import json
from typing import Any

import torch

from tasks.training.batches import Layout, MicroBatches, Shape
from tasks.training.data import data_of
from tasks.training.job import TrainingJob
from tasks.training.models import adapter_config, load_base, quickened
from tasks.training.rewards import verify_all
from tasks.training.steps import Place


def open_trainer(job: TrainingJob, args: Any, tokenizer: Any, rows: Any) -> Any:
    """Return the trainer of the job's method, its model loaded.

    Args:
        job: The job.
        args: TRL's configuration of the method.
        tokenizer: The model's.
        rows: The mixture's rows or packs, as a ``datasets.Dataset``.
    """
    place = Place(args.process_index, args.world_size)
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
    job: TrainingJob, args: Any, tokenizer: Any, rows: Any, shape: Shape, place: Place
) -> Any:
    from tasks.training.loop import Anchor, PlanTrainer

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
    job: TrainingJob, args: Any, tokenizer: Any, rows: Any, shape: Shape, place: Place
) -> Any:
    from tasks.training.pairs import PairBatches, PairTrainer

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


def _sampled(job: TrainingJob, args: Any, tokenizer: Any, rows: Any, place: Place) -> Any:
    from tasks.training.sampled import Grader, Questions, RewardTrainer

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
