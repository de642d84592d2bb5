"""A run's model with its evidence, made of the tiny model."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tasks.artifacts import Checkpoint, Estimate, GateResult, LocalModel
from tasks.deploying.release import Release
from tasks.inference.identity import tokenizer_digest, weights_digest

LOCK: dict[str, Any] = {
    "mixture_digest": "m" * 64, "unit": "rows",
    "sources": [
        {"name": "reviews", "role": "domain", "licence": "Apache-2.0", "uri": "reviews.jsonl",
         "share": 0.75, "share_got": {"rows": 0.75}, "rows": 300, "tokens": 9000, "epochs": 1.0},
        {"name": "chat", "role": "general", "licence": None, "uri": "a|b.jsonl",
         "share": 0.25, "share_got": {"rows": 0.25}, "rows": 100, "tokens": 4000, "epochs": 0.5},
    ],
    "recipe": {"name": "voc", "model": {"path": "org/base"},
               "training": {"method": "sft", "sequence_length": 512}},
}  # fmt: skip


@pytest.fixture
def release(tiny_model: LocalModel, tmp_path: Path) -> Release:
    """A release that passed its gate, its checkpoint a copy of the tiny model."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_model.path, folder)
    for name in ("losses.jsonl", "job.json", "manifest.json"):
        (folder / name).write_text("{}")
    digest = weights_digest(folder)
    model = Checkpoint(
        path=folder, name="tiny-1", digest=digest, tokenizer_digest=tokenizer_digest(folder),
        parent="p" * 64, steps=2, adapter_digest="a" * 64,
    )  # fmt: skip
    gate = GateResult(metric="reviews/macro_f1", rule="improve", verdict="PASS", base=0.4,
                      candidate=0.6, difference=0.2, low=0.1, high=0.3, n=200, needed_n=None,
                      reason="")  # fmt: skip
    score = {"reviews/macro_f1": Estimate(value=0.6, low=0.5, high=0.7, n=200)}
    base = {"reviews/macro_f1": Estimate(value=0.4, low=0.3, high=0.5, n=200)}
    return Release("voc", "r" * 32, "d" * 64, "PASS", model, (digest, digest), LOCK, (gate,),
                   base, score)  # fmt: skip
