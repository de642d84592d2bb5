"""Per-item scores as lm-evaluation-harness, Inspect, lighteval or a plain table keep them."""

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.errors import DataError
from tasks.storage import digest_of

MOST_BYTES = 4 * 2**30
"""Bytes of one file; larger ones are no per-item scores."""
_SAMPLES = re.compile(r"samples_(.+?)_(\d{4}-\d\d-\d\dT[\d\-.:]+)\.jsonl")
_DETAILS = re.compile(r"details_(.+?)_(\d{4}-\d\d-\d\dT[\d\-.:]+)\.parquet")
_INSPECT = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "True": 1.0, "False": 0.0}
PLAIN = ("id", "cluster", "stratum", "question")


@dataclass
class ItemScores:
    """One metric of one task, item by item.

    Attributes:
        values: By item id.
        clusters: Of items that depend on each other.
        strata: Parts of the design.
        questions: Digest of what each item asked, where the tool says it.
        version: Of the task, as the tool names it.
    """

    values: dict[str, float] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    strata: dict[str, str] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    version: str = ""


Results = dict[str, ItemScores]
"""task/metric -> its items."""


def read_results(path: Path) -> Results:
    """Return every metric that a tool's results hold.

    Args:
        path: A folder of lm-evaluation-harness (``samples_*.jsonl``) or lighteval
            (``details_*.parquet``), an Inspect log (``.eval`` or JSON) or a folder of such, or a
            CSV or JSON Lines table with ``id``, one column or more of scores, and optional
            ``cluster`` and ``stratum``.

    Raises:
        DataError: It is none of these, is damaged, or holds an item or a task twice.
    """
    if not path.exists():
        raise DataError("there is nothing there.", where=str(path), fix="give a folder or a file.")
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    large = [p for p in files if p.stat().st_size > MOST_BYTES]
    if large:
        raise DataError(
            f"it has {large[0].stat().st_size:,} bytes.",
            where=str(large[0]),
            fix="give per-item scores alone.",
        )
    kinds = {
        "samples_*.jsonl of lm-evaluation-harness": [
            p for p in files if _SAMPLES.fullmatch(p.name)
        ],
        "details_*.parquet of lighteval": [p for p in files if _DETAILS.fullmatch(p.name)],
        "logs of Inspect": [p for p in files if p.suffix == ".eval" or _is_inspect(p)],
    }
    there = {kind: found for kind, found in kinds.items() if found}
    if len(there) > 1:
        raise DataError(
            f"it holds both {' and '.join(there)}.", where=str(path), fix="give one of the two."
        )
    readers = dict(zip(kinds, (_read_harness, _read_lighteval, _read_inspect), strict=True))
    for kind, found in there.items():
        return readers[kind](found)
    tables = [p for p in files if p.suffix in (".csv", ".jsonl")]
    if not tables:
        raise DataError(
            "no per-item results are in it.",
            where=str(path),
            fix="give samples_*.jsonl of lm-evaluation-harness (--log_samples), "
            "details_*.parquet of lighteval (--save-details), an Inspect log, or a CSV or JSON "
            "Lines table with an id and a score.",
        )
    results: Results = {}
    for table in tables:
        _merge(results, _read_table(table), table)
    return results


def _read_harness(files: list[Path]) -> Results:
    _refuse_twice(files, _SAMPLES)
    results: Results = {}
    for path in files:
        match = _SAMPLES.fullmatch(path.name)
        assert match is not None
        filters = {str(r.get("filter", "none")) for r in _lines(path)}
        found: Results = {}
        for record in _lines(path):
            own = record.get("filter", "none")
            for metric in _wanted(record, "metrics", path):
                name = f"{match[1]}/{metric}{f',{own}' if len(filters) > 1 else ''}"
                item = str(_wanted(record, "doc_id", path))
                asked = "".join(str(record.get(k, "")) for k in ("doc_hash", "prompt_hash"))
                asked += str(record.get("target_hash", record.get("target", "")))
                _add(found, name, item, record.get(metric), path, asked)
        _merge(results, found, path)
    return results


def _read_lighteval(files: list[Path]) -> Results:
    _refuse_twice(files, _DETAILS)
    results: Results = {}
    for path in files:
        match = _DETAILS.fullmatch(path.name)
        assert match is not None
        try:
            table = pq.read_table(path)
        except Exception as error:
            raise _damaged(path, error) from error
        names = set(table.column_names)
        scores, docs = (
            next((c for c in (f"__{n}__", n) if c in names), None) for n in ("metric", "doc")
        )
        if scores is None or docs is None:
            raise DataError(
                f"it has no columns 'metric' and 'doc': {', '.join(sorted(names))}.",
                where=str(path),
                fix="give the details of lighteval.",
            )
        found: Results = {}
        for place, (doc, metrics) in enumerate(
            zip(table[docs].to_pylist(), table[scores].to_pylist(), strict=True)
        ):
            item = str((doc or {}).get("id") or place)
            asked = str((doc or {}).get("query", ""))
            for name, value in dict(metrics or {}).items():
                _add(found, f"{match[1].replace('|', '_')}/{name}", item, value, path, asked)
        _merge(results, found, path)
    return results


def _read_inspect(files: list[Path]) -> Results:
    results: Results = {}
    for path in files:
        head, samples = _inspect_log(path)
        status = head.get("status")
        if status != "success":
            raise DataError(
                f"its status is '{status}': some samples were not asked.",
                where=str(path),
                fix="finish the evaluation (inspect eval-retry), and give the whole log.",
            )
        about = head.get("eval", {})
        task = str(about.get("task", path.stem)).replace("/", "_")
        found, epochs = Results(), dict[tuple[str, str], dict[int, float]]()
        for sample in samples:
            item = str(_wanted(sample, "id", path))
            for scorer, score in (sample.get("scores") or {}).items():
                given = score.get("value") if isinstance(score, dict) else score
                values = given if isinstance(given, dict) else {"": given}
                for part, value in values.items():
                    name = f"{task}/{scorer}{f'_{part}' if part else ''}"
                    turn = epochs.setdefault((name, item), {})
                    epoch = int(sample.get("epoch", 1))
                    if epoch in turn:
                        raise _twice(path, item)
                    value = _INSPECT.get(str(value), value)
                    turn[epoch] = _number(value, path, item, name)
                    own = found.setdefault(
                        name, ItemScores(version=str(about.get("task_version", "")))
                    )
                    own.questions[item] = digest_of([sample.get("input"), sample.get("target")])
        for (name, item), turns in epochs.items():
            found[name].values[item] = sum(turns.values()) / len(turns)
        _merge(results, found, path)
    return results


def _inspect_log(path: Path) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    if path.suffix != ".eval":
        try:
            log = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise _damaged(path, error) from error
        return log, iter(log.get("samples") or [])
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "header.json" not in names:
                raise DataError(
                    "it has no header.json: the evaluation was stopped before it ended.",
                    where=str(path),
                    fix="finish the evaluation, and give the whole log.",
                )
            head = json.loads(archive.read("header.json"))
            whole = [
                json.loads(archive.read(n))
                for n in sorted(names)
                if n.startswith("samples/") and n.endswith(".json")
            ]
    except (zipfile.BadZipFile, NotImplementedError, json.JSONDecodeError, OSError) as error:
        raise _damaged(path, error) from error
    return head, iter(whole)


def _is_inspect(path: Path) -> bool:
    if path.suffix != ".json":
        return False
    try:
        with path.open(encoding="utf-8") as file:
            start = file.read(4096)
    except (OSError, UnicodeDecodeError):
        return False
    return '"eval"' in start and '"status"' in start


def _read_table(path: Path) -> Results:
    found: Results = {}
    records = list(_csv(path) if path.suffix == ".csv" else _lines(path))
    # Columns of texts (an answer, a prompt) are no scores; one with some numbers is.
    scores = {n for r in records for n in r if n not in PLAIN and _is_number(r[n])}
    if records and not scores:
        raise DataError(
            "it has no column of scores.", where=str(path), fix="add one: id, score, cluster."
        )
    for record in records:
        item = str(_wanted(record, "id", path))
        for name in sorted(scores):
            title = f"{path.stem}/{name}"
            _add(found, title, item, record.get(name), path, str(record.get("question", "")))
            for kind, kept in (
                ("cluster", found[title].clusters),
                ("stratum", found[title].strata),
            ):
                if record.get(kind) not in (None, ""):
                    kept[item] = str(record[kind])
    return found


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _damaged(path, error) from error
    for row in csv.DictReader(io.StringIO(text)):
        if None in row or None in row.values():
            raise DataError(
                f"a row has more or fewer fields than the head: {list(row.values())[:2]}.",
                where=str(path),
                fix="write it anew.",
            )
        yield dict(row)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise DataError(
                            "it is no object.", where=f"{path}:{number}", fix="write it anew."
                        )
                    yield record
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise _damaged(path, error) from error


def _add(results: Results, name: str, item: str, value: Any, path: Path, asked: str) -> None:
    if isinstance(value, list | dict):
        return  # parts of a corpus metric are no score of an item
    own = results.setdefault(name, ItemScores())
    if item in own.values:
        raise _twice(path, item)
    own.values[item] = _number(value, path, item, name)
    if asked:
        own.questions[item] = asked


def _number(value: Any, path: Path, item: str, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"item '{item}' has no usable '{name}': {str(value)[:40]!r}.",
            where=str(path),
            fix="evaluate it anew: an item without a score says nothing of the model.",
        )
    return number


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _merge(results: Results, found: Results, path: Path) -> None:
    for name, scores in found.items():
        if name in results:
            raise DataError(
                f"'{name}' is there twice: one evaluation, or a second one of the same task?",
                where=str(path),
                fix="leave the files of one evaluation in the folder.",
            )
        results[name] = scores


def _refuse_twice(files: Iterable[Path], form: re.Pattern[str]) -> None:
    seen: dict[str, Path] = {}
    for path in files:
        match = form.fullmatch(path.name)
        assert match is not None
        if match[1] in seen:
            raise DataError(
                f"task '{match[1]}' was evaluated twice: {seen[match[1]].name} and {path.name}.",
                where=str(path.parent),
                fix="leave the files of one evaluation in the folder.",
            )
        seen[match[1]] = path


def _wanted(record: Mapping[str, Any], key: str, path: Path) -> Any:
    if record.get(key) in (None, ""):
        raise DataError(
            f"a record has no '{key}': it has {', '.join(map(str, list(record)[:8]))}.",
            where=str(path),
            fix="give per-item results with an id an item.",
        )
    return record[key]


def _twice(path: Path, item: str) -> DataError:
    return DataError(
        f"item '{item}' is there twice.",
        where=str(path),
        fix="leave one of them: which of the two scores counts can't be told.",
    )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"it is damaged or cut off ({type(error).__name__}: {str(error)[:80]}).",
        where=str(path),
        fix="copy it again, or evaluate anew.",
    )
