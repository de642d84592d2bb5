"""Continued pre-training, preference and reward training on real rows: 20 steps each, and a kill.

    python tests/benchmarks/methods.py MODEL DATA [--only cpt,dpo,rft]

MODEL is a model folder or hub id; DATA is the folder of public data sets (hellaswag, coconot,
banking77). Each method goes the whole way from files to a checkpoint, is killed half way and goes
on. Fails unless the loss (of rewards, the reward) of the last five steps is better than that of the
first five.
"""

import argparse
import gzip
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from configs.recipe import Recipe

STEPS, BATCH = 20, 4
Rows = list[dict[str, Any]]


def texts(data: Path, count: int) -> Rows:
    """Return plain prose: beginnings of articles with their true continuation."""
    found = pq.read_table(data / "hellaswag" / "validation.parquet").to_pylist()
    whole = [f"{r['ctx']} {r['endings'][int(r['label'])]}" for r in found]
    return [{"text": text} for text in whole if len(text.split()) > 90][:count]


def pairs(data: Path, count: int) -> Rows:
    """Return preferred and rejected answers that fit a short sequence."""
    found = _lines(data / "coconot" / "coconot_pref.jsonl.gz", 10_000)
    short = [r for r in found if max(len(r["chosen"]), len(r["rejected"])) < 900]
    return [{n: r[n] for n in ("prompt", "chosen", "rejected")} for r in short[:count]]


def questions(data: Path, count: int) -> Rows:
    """Return bank customers' messages, to be labelled with one of two intents."""
    wanted = ("card_arrival", "exchange_rate")
    rows = pq.read_table(data / "banking77" / "train.parquet").to_pylist()
    names = json.loads((data / "banking77" / "categories.json").read_text())
    named = [
        (r["text"], names[r["label"]] if isinstance(r["label"], int) else r["label"]) for r in rows
    ]
    ask = "Answer with one word, card_arrival or exchange_rate. What is this about? "
    chosen = [(text, label) for text, label in named if label in wanted]
    mixed = [
        pair
        for two in zip(*[[c for c in chosen if c[1] == w] for w in wanted], strict=False)
        for pair in two
    ]
    return [
        {"messages": [{"role": "user", "content": ask + text}], "reference_answer": label}
        for text, label in mixed[:count]
    ]


CASES: dict[str, tuple[Callable[[Path, int], Rows], dict[str, Any], str]] = {
    "cpt": (texts, {"learning_rate": 2e-3, "packing": "off"}, "loss"),
    "dpo": (pairs, {"learning_rate": 1e-3, "batch_rows": BATCH}, "loss"),
    "rft": (
        questions,
        {
            "learning_rate": 3e-4,
            "rft": {
                "functions": [
                    {"name": "label_match"},
                    {"name": "length", "limit": 40, "weight": 0.5},
                ],
                "generations": 8,
                "max_new_tokens": 12,
            },
        },
        "reward",
    ),
}


def _lines(path: Path, count: int) -> Rows:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(count), lines, strict=False)]


def recipe(method: str, model: str, rows: Path) -> Recipe:
    """Return the recipe of a method on a file of rows."""
    _, fields, _ = CASES[method]
    kinds = {"cpt": "text", "dpo": "dpo", "rft": "rft"}
    return Recipe.model_validate(
        {
            "name": method,
            "model": {"path": model},
            "sources": [
                {
                    "name": "own",
                    "role": "domain",
                    "kind": "files",
                    "path": str(rows),
                    "format": kinds[method],
                    "split": {"dev": 0, "test": 0.05},
                }
            ],
            "quality": {"on_fail": "quarantine", "max_quarantine": 1.0},
            "mixture": {"domain_share": 1.0, "unit": "rows", "size": {"budget": STEPS * BATCH}},
            "training": {
                "method": method,
                "batch_rows": BATCH,
                "save_steps": 5,
                "schedule": "constant",
                "sequence_length": 384,
                **fields,
            },
            "evaluation": {"suites": [{"kind": "bits_per_byte", "name": "own", "source": "own"}]},
        }
    )


def run(method: str, model: str, data: Path) -> list[dict[str, float]]:
    """Train by a method, killed once half way; return the records of its steps."""
    from flows.pipeline import mix, prepare_data
    from tasks.training.backends.local import LocalProcess, latest_record
    from tasks.training.job import make_job
    from tasks.training.progress_view import wait

    file = Path(tempfile.mkdtemp()) / f"{method}.jsonl"
    rows = CASES[method][0](data, 4 * STEPS * BATCH)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = recipe(method, model, file)
    found = prepare_data(asked)
    job = make_job(found.model, mix(asked, found), asked.training, asked.seed)
    handle = LocalProcess().submit(job)
    while latest_record(job.folder / "losses.jsonl").get("step", 0) < STEPS // 2:
        assert LocalProcess().poll(handle).state == "running"
        time.sleep(0.05)
    assert handle.pid is not None
    os.kill(handle.pid, signal.SIGKILL)
    time.sleep(0.5)
    done = wait(job, LocalProcess().submit(job))
    return [json.loads(line) for line in (done.path / "losses.jsonl").open()]


def main() -> int:
    """Return 0 where every method got better."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="cpt,dpo,rft")
    given = parser.parse_args()
    worse = []
    for method in given.only.split(","):
        name = CASES[method][2]
        records = run(method, given.model, given.data)
        first, last = (sum(r[name] for r in part) / 5 for part in (records[:5], records[-5:]))
        print(f"{method}: {len(records)} steps, {name} {first:.4f} -> {last:.4f}", flush=True)
        worse += [] if (last > first) == (name == "reward") else [method]
    print(f"worse: {', '.join(worse) or 'none'}")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main())
