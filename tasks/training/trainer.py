"""``python -m tasks.training.trainer job.json``: trains, resumes, and leaves ``result.json``.

Runs in its own process on any machine; knows nothing of Prefect, MLflow or who started it.
"""

import fcntl
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from tasks.errors import TemperError, TrainingError
from tasks.storage import file_digest, write_text
from tasks.training.job import TrainingJob

LOCK = "running.lock"


def main(path: str) -> int:
    """Run the job; return 0 when ``result.json`` says completed."""
    job = TrainingJob.model_validate_json(Path(path).read_text())
    with (job.folder / LOCK).open("w") as lock:
        try:
            # Held by the kernel for as long as this process lives, even if it is killed.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        return _run(job)


def _run(job: TrainingJob) -> int:
    try:
        result = train(job)
    except TemperError as error:
        return _leave(job, {"status": "failed", "message": error.paragraph()})
    except Exception as error:
        traceback.print_exc()
        return _leave(job, {"status": "failed", "message": f"{type(error).__name__}: {error}"})
    return _leave(job, {"status": "completed", **result})


def _leave(job: TrainingJob, result: dict[str, Any]) -> int:
    write_text(job.folder / "result.json", json.dumps(result, indent=1))
    return 0 if result["status"] == "completed" else 1


def train(job: TrainingJob) -> dict[str, Any]:
    """Train the adapter and merge it; resumes from the newest checkpoint in the job's folder."""
    import torch
    from transformers.trainer_utils import get_last_checkpoint

    threads = getattr(job.training.backend, "threads", None)
    if threads:
        torch.set_num_threads(threads)
    states = job.folder / "states"
    states.mkdir(exist_ok=True)
    last = get_last_checkpoint(str(states))
    _forget_after(job.folder / "losses.jsonl", _step_of(last))
    trainer = _trainer(job, states)
    trainer.train(resume_from_checkpoint=last)
    if trainer.state.global_step != job.steps:
        raise TrainingError(
            f"training ended at step {trainer.state.global_step} of {job.steps}.",
            where=str(job.folder), fix="look at trainer.log there.")  # fmt: skip
    return _save(job, trainer)


def _trainer(job: TrainingJob, states: Path) -> Any:
    from datasets import Dataset
    from transformers import AutoTokenizer

    from tasks.inference.loading import resolve_dtype
    from tasks.training.batches import MicroBatches
    from tasks.training.loop import PlanTrainer, Stream

    tokenizer = AutoTokenizer.from_pretrained(job.model.path, local_files_only=True)
    shards = [str(job.mixture.path / s) for s in job.mixture.shards]
    pad = tokenizer.pad_token_id
    pad = tokenizer.eos_token_id if pad is None else pad
    sources = job.mixture.sources
    trainer = PlanTrainer(
        model=_base(job, resolve_dtype(job.training.dtype)), args=_arguments(job, states),
        sources=sources,
        train_dataset=Dataset.from_parquet(shards, cache_dir=str(job.folder / "cache")),
        data_collator=MicroBatches(pad, job.training.micro_batch_tokens, sources),
        processing_class=tokenizer, peft_config=_adapter(job),
    )  # fmt: skip
    trainer.add_callback(Stream(job.folder / "losses.jsonl", trainer))
    return trainer


def _base(job: TrainingJob, dtype: str) -> Any:
    """Return the base model, fresh: inference keeps one in memory, training changes it."""
    import torch
    from transformers import AutoModelForCausalLM

    # On a CPU the backward pass of fused attention costs more than the rest of a short row.
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    return AutoModelForCausalLM.from_pretrained(
        job.model.path, dtype=getattr(torch, dtype), attn_implementation=attention,
        use_safetensors=True, trust_remote_code=False, local_files_only=True,
    )  # fmt: skip


def _adapter(job: TrainingJob) -> Any:
    from peft import LoraConfig

    lora = job.training.adapter
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout,
                      target_modules=targets, task_type="CAUSAL_LM")  # fmt: skip


def _arguments(job: TrainingJob, states: Path) -> Any:
    import torch
    from trl import SFTConfig

    from tasks.inference.loading import resolve_dtype

    spec = job.training
    return SFTConfig(
        output_dir=str(states), max_steps=job.steps, per_device_train_batch_size=spec.batch_rows,
        learning_rate=spec.learning_rate, lr_scheduler_type=spec.schedule,
        warmup_steps=int(spec.warmup_ratio * job.steps), weight_decay=spec.weight_decay,
        max_grad_norm=spec.max_grad_norm, logging_steps=1, save_steps=spec.save_steps,
        save_total_limit=2, seed=job.seed, data_seed=job.seed, report_to=[], disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(), bf16=resolve_dtype(spec.dtype) == "bfloat16",
        activation_checkpointing=False, remove_unused_columns=False, dataloader_num_workers=0,
        dataloader_pin_memory=False, max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )  # fmt: skip


def _save(job: TrainingJob, trainer: Any) -> dict[str, Any]:
    import torch
    from peft import PeftModel

    out = job.folder / "out"
    trainer.model.save_pretrained(out / "adapter", safe_serialization=True)
    # Merged in float32: adding a small update to bfloat16 weights would round much of it away.
    base = _base(job, "float32")
    merged = PeftModel.from_pretrained(base, out / "adapter").merge_and_unload()
    merged.to(getattr(torch, _stored_dtype(job.model.path))).save_pretrained(out)
    trainer.processing_class.save_pretrained(out)
    adapter = file_digest(out / "adapter" / "adapter_model.safetensors")
    return {"steps": job.steps, "adapter_digest": adapter}


def _stored_dtype(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def _step_of(checkpoint: str | None) -> int:
    return int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0


def _forget_after(stream: Path, step: int) -> None:
    """Drop the records of steps that will be done again."""
    if stream.exists():
        lines = stream.read_text().splitlines()
        kept = [line for line in lines if _readable(line) and json.loads(line)["step"] <= step]
        write_text(stream, "".join(f"{line}\n" for line in kept))


def _readable(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:  # a line that was being written when the process was killed
        return False
    return True


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main(sys.argv[1]))
