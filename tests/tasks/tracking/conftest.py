"""The receipts of one small finished run, with hostile text wherever data may bring it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.loading import load_recipe
from configs.recipe import Recipe
from tasks.artifacts import Checkpoint, CleanSource, MixtureReceipt, Origin
from tasks.scores import GateResult, SuiteScores
from tasks.text.rows import ROW_SCHEMA
from tasks.tracking.scorecard.card import Card

HOSTILE = "</td><script>alert('x')</script>"
FIELDS: dict[str, Any] = {
    "name": "voc-75",
    "model": {"path": "model"},
    "sources": [
        {"name": "voc", "role": "domain", "kind": "files", "path": "s3://user:pw@bucket/voc.jsonl"},
        {"name": "chat", "role": "general", "kind": "files", "path": "chat.jsonl", "weight": 2},
    ],
    "evaluation": {
        "suites": [
            {"kind": "classification", "name": "voc-intent", "source": "voc"},
            {"kind": "mmlu", "name": "mmlu", "cloze": False},
        ]
    },
    "gates": [
        {"metric": "voc-intent/macro_f1", "rule": "improve", "by": 0.05},
        {"metric": "mmlu/gold_margin", "rule": "hold", "margin": 0.1},
    ],
}


@pytest.fixture
def recipe() -> Recipe:
    """A recipe with one domain and one general source, two suites and two gates."""
    return load_recipe(FIELDS)


@pytest.fixture
def clean(tmp_path: Path) -> tuple[CleanSource, ...]:
    """Both sources after quality."""
    roles = {"voc": "domain", "chat": "general"}
    return tuple(_clean(tmp_path / "clean" / name, name, role) for name, role in roles.items())


def _clean(path: Path, name: str, role: str) -> CleanSource:
    path.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([], schema=ROW_SCHEMA), path / "train.parquet")
    (path / "verdict.json").write_text("{}")
    (path / "page.html").write_text("<!doctype html>")
    return CleanSource(
        path=path,
        digest=name.ljust(64, "0"),
        origin=Origin(name=name, role=role, uri=f"s3://user:pw@bucket/{HOSTILE}", licence=HOSTILE),
        verdict="quarantine",
        reason=HOSTILE,
        rows_in=12,
        rows_out=10,
        findings={"empty": 2},
        splits={"train": 8, "dev": 1, "test": 1},
    )


@pytest.fixture
def mixture(tmp_path: Path) -> MixtureReceipt:
    """A mixture of which only the lock is there."""
    path = tmp_path / "mixture"
    path.mkdir()
    shares = {"rows": 0.7, "tokens": 0.6, "supervised_tokens": 0.75}
    rest = {unit: 1 - share for unit, share in shares.items()}
    sources = [
        {
            "name": name,
            "role": role,
            "licence": HOSTILE,
            "weight": 1.0,
            "share": share,
            "share_got": got,
            "rows": 8,
            "tokens": 800,
            "supervised_tokens": 80,
            "epochs": 1.0,
        }
        for name, role, share, got in (
            ("voc", "domain", 0.75, shares),
            ("chat", "general", 0.25, rest),
        )
    ]
    lock = {"unit": "supervised_tokens", "sources": sources}
    (path / "mixture.lock.json").write_text(json.dumps(lock))
    return MixtureReceipt(
        path=path,
        digest="m" * 64,
        rows=16,
        tokens=1600,
        supervised_tokens=160,
        shards=(),
        sources=("voc", "chat"),
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A checkpoint of which only the training log is there."""
    path = tmp_path / "checkpoint"
    path.mkdir()
    lines = [
        {
            "step": k,
            "loss": 3 / k,
            "learning_rate": 1e-4,
            "grad_norm": 1.0,
            "tokens_per_second": 300.0,
            "loss/voc": 4 / k,
            f"loss/{HOSTILE}": 2.0 + 1 / k,
        }
        for k in range(1, 31)
    ]
    (path / "losses.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return Checkpoint(
        path=path,
        digest="c" * 64,
        name="model-1",
        tokenizer_digest="t" * 64,
        parent="b" * 64,
        steps=30,
        adapter_digest="a" * 64,
    )


@pytest.fixture
def scored(suite_scores: Callable[..., SuiteScores]) -> Callable[[float], tuple[SuiteScores, ...]]:
    """A function from a share of right answers to the scores of both suites."""

    def score(right: float) -> tuple[SuiteScores, ...]:
        rng = np.random.default_rng(0)
        gold = [*"abcd"] * 15
        answers = [
            {
                "form": "classification",
                "gold": g,
                "score": float(ok),
                "prediction": g if ok else None,
            }
            for g, ok in zip(gold, rng.random(60) < right, strict=True)
        ]
        letters = [
            {
                "form": "letters",
                "cluster": f"s{i % 3}",
                "gold_index": 0,
                "score": 1.0,
                "choice_logprobs": [-1.0 - right + e, -2.0, -3.0, -4.0],
            }
            for i, e in enumerate(rng.normal(0, 0.2, 60))
        ]
        return (
            suite_scores("voc-intent", "classification", answers, [*"abcd"]),
            suite_scores("mmlu", "mmlu", letters),
        )

    return score


@pytest.fixture
def gates() -> tuple[GateResult, ...]:
    """One gate that passes and one that can't tell."""
    seen = {"base": 0.25, "candidate": 0.75, "difference": 0.5, "low": 0.4, "high": 0.6, "n": 60}
    return (
        GateResult(
            metric="voc-intent/macro_f1",
            rule="improve",
            verdict="PASS",
            **seen,
            needed_n=None,
            reason="0.4 better at the least",
        ),
        GateResult(
            metric="mmlu/gold_margin",
            rule="hold",
            verdict="INCONCLUSIVE",
            **seen,
            needed_n=1234,
            reason=HOSTILE,
        ),
    )


@pytest.fixture
def card(
    recipe: Recipe,
    clean: tuple[CleanSource, ...],
    mixture: MixtureReceipt,
    checkpoint: Checkpoint,
    gates: tuple[GateResult, ...],
    scored: Callable[[float], tuple[SuiteScores, ...]],
) -> Card:
    """The whole run's evidence."""
    return Card(
        run_id="run1",
        recipe=recipe,
        base=scored(0.3),
        candidate=scored(0.8),
        gates=gates,
        verdict="INCONCLUSIVE",
        mixture=mixture,
        clean=clean,
        checkpoint=checkpoint,
    )
