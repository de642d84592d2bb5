"""The harness's per-item results, fresh or from its ``samples_*.jsonl``, as our rows."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.suites.harness import HarnessSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import of_files
from tasks.evaluation.items import (
    ItemRow,
    fingerprint,
    item_ids,
    items_digest,
    write_items,
)
from tasks.metrics.estimates import estimate_all
from tasks.scores import SuiteScores
from tasks.storage import building, commit, digest_of, file_digest, find, home

_DATE = re.compile(r"_\d{4}-\d\d-\d\dT[\d.:-]+$")
"""What the harness writes after a task's name."""
_ALWAYS = ("doc_id", "target", "resps", "filtered_resps")
_HASHES = ("doc_hash", "prompt_hash")
_FIELDS = frozenset(
    {*_ALWAYS, *_HASHES, "doc", "arguments", "target_hash", "filter", "metrics", "task_name"}
)
"""Fields of a sample that are no metrics."""

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
    samples: dict[str, list[Sample]] = {}
    for file in files:
        task = _task_of(file)
        if task in samples:
            raise EvaluationError(
                f"there is another log of task '{task}' among those given.",
                where=str(file),
                fix="give one log of each task: two runs of it are two models' scores.",
            )
        samples[task] = _read_log(file)
    rows = rows_of(samples, suite, {})
    protocol = suite.protocol(None)
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


def _read_log(file: Path) -> list[Sample]:
    """Return the samples of a log, each with the fields that its score is read from.

    Raises:
        EvaluationError: It has none, a line isn't one, or a document stands in it twice.
    """
    found: list[Sample] = []
    places: dict[tuple[int, object], str] = {}
    for record, where in of_files(str(file)):
        _refuse_foreign(record, where)
        key = (int(record["doc_id"]), record.get("filter"))
        if key in places:
            raise EvaluationError(
                f"document {key[0]} stands in the log twice, first at {places[key]}.",
                where=where,
                fix="give the log of one run: this one was written to, or joined, twice.",
            )
        places[key] = where
        found.append(record)
    if not found:
        raise EvaluationError(
            "the log holds no samples.",
            where=str(file),
            fix="run the harness again with --log_samples.",
        )
    return found


def _refuse_foreign(sample: Sample, where: str) -> None:
    """Refuse a line that lacks what an item is told apart by, or what was answered."""
    lacking = [name for name in _ALWAYS if sample.get(name) is None]
    if not lacking and (lost := [name for name in _HASHES if not sample.get(name)]):
        raise EvaluationError(
            f"the sample has no {' and no '.join(lost)}: the harness wrote none before 0.4.2, and "
            "without them nobody can tell whether two models were asked the same.",
            where=where,
            fix="run the task again with a newer lm-evaluation-harness.",
        )
    answers = sample.get("filtered_resps")
    good = (
        not lacking
        and str(sample["doc_id"]).isdecimal()
        and isinstance(answers, list)
        and answers
        and isinstance(sample["resps"], list)
        and all(isinstance(one, list) and one for one in sample["resps"])
    )
    if not good:
        what = f" (it lacks {', '.join(lacking)})" if lacking else ""
        raise EvaluationError(
            f"the line is no sample of the harness{what}.",
            where=where,
            fix="give its samples_*.jsonl as it wrote them (run it with --log_samples).",
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
        several = len({s.get("filter") for s in of_task} - {None}) > 1
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
        # Before 0.4.3 a sample had its metrics without a list of their names.
        for name in sample.get("metrics") or sample.keys() - _FIELDS:
            found[f"{name}.{sample.get('filter')}" if several else name] = sample.get(name)
    wrong = [n for n in suite.metrics if not _is_number(found.get(n))]
    if wrong:
        usable = sorted(n for n, value in found.items() if _is_number(value))
        raise EvaluationError(
            f"the task gives no number '{wrong[0]}' for each item.",
            where=f"evaluation.suites.{suite.name}.metrics",
            fix=f"name some of: {', '.join(usable) or 'none of its metrics are of items'}.",
        )
    return {name: float(found[name]) for name in suite.metrics}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


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
    return _DATE.sub("", file.stem.removeprefix("samples_"))
