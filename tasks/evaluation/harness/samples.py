"""The harness's per-item results, fresh or from its ``samples_*.jsonl``, as our rows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.suites.harness import HarnessSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import of_files
from tasks.evaluation.items import (
    ItemRow,
    describe_protocol,
    fingerprint,
    item_ids,
    items_digest,
    write_items,
)
from tasks.metrics.estimates import estimate_all
from tasks.scores import SuiteScores
from tasks.storage import building, commit, digest_of, file_digest, find, home

Sample = Mapping[str, Any]
Notes = Mapping[tuple[str, int], Any]


def import_samples(files: Sequence[Path], suite: HarnessSuite) -> SuiteScores:
    """Return the scores in sample logs that the harness wrote (``--log_samples``).

    They can be compared with others of the same task as any scores can. The weights behind them
    are unknown; the logs' digest stands in their place.

    Args:
        files: ``samples_TASK_*.jsonl``, one a task.
        suite: Names the metrics that count.

    Raises:
        EvaluationError: A line is no sample, or lacks a metric.
    """
    logs = digest_of(sorted(file_digest(f) for f in files))
    folder = home("scores", digest_of({"samples": logs, "suite": suite}))
    known = find(folder, SuiteScores)
    if known is not None:
        return known
    rows = rows_of(
        {_task_of(f): [found.record for found in of_files(str(f))] for f in files}, suite, {}
    )
    protocol = describe_protocol(suite, None)
    with building(folder) as aside:
        write_items(aside / "items.parquet", suite.name, rows, None)
        table = suite.metric_table()
        return commit(
            aside,
            SuiteScores(
                path=folder,
                digest=items_digest(rows),
                suite=suite.name,
                kind=suite.kind,
                fingerprint=fingerprint(protocol, rows),
                weights_digest=logs,
                protocol=protocol,
                metrics=estimate_all(aside / "items.parquet", table),
                about=table,
                made={"samples": [f.name for f in files]},
            ),
        )


def rows_of(
    samples: Mapping[str, Sequence[Sample]], suite: HarnessSuite, notes: Notes
) -> list[ItemRow]:
    """Return a row an item; what several filters made of one answer is one row.

    Args:
        samples: By task.
        suite: Names the metrics that count.
        notes: What asking told of an item, by task and place; nothing for a log.

    Raises:
        EvaluationError: A sample lacks a metric, or has no number for it.
    """
    rows = []
    for task, of_task in sorted(samples.items()):
        several = len({s.get("filter") for s in of_task}) > 1
        by_doc: dict[int, list[Sample]] = {}
        for sample in of_task:
            by_doc.setdefault(int(sample["doc_id"]), []).append(sample)
        docs = sorted(by_doc.items())
        ids = item_ids([[task, made[0]["doc_hash"]] for _, made in docs])
        for item, (doc, made) in zip(ids, docs, strict=True):
            scores = _scores(made, suite, several)
            row = _row(item, task, made[0])._replace(scores=scores, score=_right(scores, suite))
            rows.append(_noted(row, notes.get((task, doc))))
    return rows


def _row(item: str, task: str, sample: Sample) -> ItemRow:
    answers, gold = sample["filtered_resps"], sample["target"]
    logprobs = _logprobs(answers)
    first = sample["resps"][0][0]
    return ItemRow(
        item,
        "harness",
        str(sample["prompt_hash"])[:32],
        0,
        stratum=task,
        gold=_text(gold),
        prediction=None if logprobs else _text(answers[0]),
        choice_logprobs=logprobs,
        raw_output=first if isinstance(first, str) else None,
        # A log has numbers as text.
        gold_index=int(gold) if logprobs and str(gold).isdigit() else None,
    )


def _noted(row: ItemRow, note: Any) -> ItemRow:
    if note is None:
        return row
    return row._replace(
        prompt_tokens=note.prompt_tokens,
        truncated=note.truncated,
        latency_s=note.latency_s,
        error=note.error,
        raw_output=note.thought or row.raw_output,
    )


def _logprobs(answers: Sequence[Any]) -> list[float] | None:
    """Return each option's log-probability; None where answers are texts or one number."""
    if len(answers) < 2 or not all(isinstance(a, list | tuple) and len(a) == 2 for a in answers):
        return None
    try:
        return [float(logprob) for logprob, _ in answers]
    except (TypeError, ValueError):
        return None


def _scores(made: Iterable[Sample], suite: HarnessSuite, several: bool) -> dict[str, float]:
    found: dict[str, Any] = {}
    for sample in made:
        for name in sample["metrics"]:
            found[f"{name}.{sample['filter']}" if several else name] = sample.get(name)
    wrong = [n for n in suite.metrics if not isinstance(found.get(n), int | float)]
    if wrong:
        usable = sorted(n for n, value in found.items() if isinstance(value, int | float))
        raise EvaluationError(
            f"the task gives no number '{wrong[0]}' for each item.",
            where=f"evaluation.suites.{suite.name}.metrics",
            fix=f"name some of: {', '.join(usable) or 'none of its metrics are of items'}.",
        )
    return {name: float(found[name]) for name in suite.metrics}


def _right(scores: Mapping[str, float], suite: HarnessSuite) -> float | None:
    """Return the first metric by which an item is right or wrong; None where there is none."""
    return next(
        (
            scores[name]
            for name, m in suite.metrics.items()
            if m.estimator == "proportion" and m.better == "higher"
        ),
        None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _task_of(file: Path) -> str:
    """Return the task in a log's name: ``samples_TASK_2026-01-01T00-00-00.000000.jsonl``."""
    if not file.name.startswith("samples_") or file.suffix != ".jsonl":
        raise EvaluationError(
            "this is no sample log of the harness.",
            where=str(file),
            fix="give its samples_*.jsonl (run it with --log_samples).",
        )
    return file.stem.removeprefix("samples_").rpartition("_")[0]
