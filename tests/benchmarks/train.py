"""Supervised fine-tuning on a CPU, against TRL's SFTTrainer.

The model has the shape of SmolLM2-135M (Llama, 30 layers of width 576, 49,152 tokens) and random
weights, which cost what learnt ones cost. Both sides take the same rows with the same labels, the
same adapter, dtype, optimiser, rows an optimiser step and no checkpointing of activations.
``TEMPER_BENCH_MODEL`` names a model folder to use instead.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from pair import Benchmark
from peft import LoraConfig
from tokenizers import Tokenizer, models
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from configs.training import Training
from tasks.artifacts import LocalModel
from tasks.text.masks import IGNORED

STEPS, BATCH, RATE = 4, 16, 1e-4
DTYPE: Any = os.environ.get("TEMPER_BENCH_DTYPE", "auto")
LAYERS = int(os.environ.get("TEMPER_BENCH_LAYERS", "30"))


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows of mixed lengths: half short (about 50 tokens, 8 of them supervised), half long.

    Those are the lengths of a labelled question and of an instruction with its answer (lognormal,
    median 120 tokens, up to 512; half of it supervised).
    """
    draw = np.random.default_rng(0)
    made = []
    for i in range(count):
        long = i % 2
        length = (
            int(np.clip(draw.lognormal(4.8, 0.7), 24, 512)) if long else int(draw.integers(40, 64))
        )
        ids = draw.integers(10, 40_000, length).tolist()
        start = length // 2 if long else length - 8
        made.append(
            {
                "row_id": str(i),
                "input_ids": ids,
                "source": "ab"[long],
                "labels": [IGNORED] * start + ids[start:],
            }
        )
    return made


def model_folder(folder: Path) -> Path:
    """Return a model folder: the one named by the environment, or one of random weights."""
    if named := os.environ.get("TEMPER_BENCH_MODEL"):
        return Path(named)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=LAYERS,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of three tokens: rows come tokenised, but trainers want one."""
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="</s>", bos_token="<s>", pad_token="</s>"
    ).save_pretrained(folder)


SPEC = Training(
    batch_rows=BATCH, learning_rate=RATE, dtype=DTYPE, schedule="constant", save_steps=1_000_000
)


def ours(
    folder: Path, data: list[dict[str, Any]], spec: Training = SPEC, steps: int = STEPS
) -> Any:
    """Return our trainer on the rows."""
    from transformers import AutoTokenizer

    from tasks.artifacts import MixtureReceipt
    from tasks.training.factory import arguments, open_trainer
    from tasks.training.job import TrainingJob
    from tasks.training.loader import Steps

    model = LocalModel(path=folder, digest="", name="bench", tokenizer_digest="")
    mixture = MixtureReceipt(
        path=folder,
        digest="",
        rows=len(data),
        tokens=0,
        shards=(),
        supervised_tokens=0,
        sources=("a", "b"),
    )
    job = TrainingJob(
        key="", folder=folder, model=model, mixture=mixture, training=spec, seed=7, steps=steps
    )
    table = Dataset.from_list(data).with_format("numpy")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    trainer = open_trainer(job, arguments(job, folder / "states", 1), tokenizer, table)
    trainer.args.save_strategy = "no"  # as on the other side: what is timed is training
    trainer.begin(Steps(table, spec.batch_rows, ("a", "b")), trainer.data_collator, 7)
    return trainer


def theirs(folder: Path, data: list[dict[str, Any]], rows_at_once: int) -> Any:
    """Return TRL's trainer on the same rows in the same order."""
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from tasks.models.local.loading import resolve_dtype

    class InOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    dtype = resolve_dtype(DTYPE)
    args = SFTConfig(
        output_dir=str(folder / "trl"),
        max_steps=STEPS,
        per_device_train_batch_size=rows_at_once,
        gradient_accumulation_steps=BATCH // rows_at_once,
        learning_rate=RATE,
        report_to=[],
        lr_scheduler_type="constant",
        activation_checkpointing=False,
        use_cpu=True,
        max_length=None,
        bf16=dtype == "bfloat16",
        disable_tqdm=True,
        logging_steps=1,
        save_strategy="no",
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=False,
    )
    lora = LoraConfig(
        r=16,
        lora_alpha=32,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        task_type="CAUSAL_LM",
    )
    plain = [{"input_ids": r["input_ids"], "labels": r["labels"]} for r in data]
    return InOrder(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)),
        args=args,
        train_dataset=Dataset.from_list(plain),
        peft_config=lora,
        processing_class=AutoTokenizer.from_pretrained(folder, local_files_only=True),
    )


def train() -> Benchmark:
    """Train 4 steps of 16 rows.

    Raises:
        AssertionError: The losses of the first step differ by more than the dtype explains.
    """
    folder = model_folder(Path(tempfile.mkdtemp()))
    data = rows(STEPS * BATCH)
    mine, other = ours(folder, data), theirs(folder, data, rows_at_once=8)
    first = [_first_loss(t) for t in (mine, other)]
    print(f"loss of the first step: ours {first[0]:.4f}, trl {first[1]:.4f}")
    assert abs(first[0] - first[1]) < 0.02 * first[1]
    supervised = sum(label != IGNORED for row in data for label in row["labels"][1:])
    return Benchmark(
        metric="supervised tokens/s, LoRA on a 135M-parameter Llama, mixed lengths",
        units=supervised,
        ours=_quietly(mine),
        peer=_quietly(other),
        peer_name="trl",
        target=1.3,
    )


def _first_loss(trainer: Any) -> float:
    trainer.args.max_steps = 1
    trainer.train()
    trainer.args.max_steps = STEPS
    return float(trainer.state.log_history[0]["loss"])


def _quietly(trainer: Any) -> Callable[[], object]:
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    return trainer.train  # type: ignore[no-any-return]
