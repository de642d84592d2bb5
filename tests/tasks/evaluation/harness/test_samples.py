"""Logs of the harness as they come: whole, older, written twice, damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.suites.harness import HarnessMetric, HarnessSuite
from tasks.errors import EvaluationError
from tasks.evaluation.harness.samples import import_samples

Sample = dict[str, Any]
SUITE = HarnessSuite(kind="harness", name="h", task="sums", metrics={"acc": HarnessMetric()})
DATE = "2026-01-01T00-00-00.000000"


def sample(number: int, **fields: Any) -> Sample:
    whole = {
        "doc_id": number,
        "doc": {"q": f"q{number}"},
        "target": "1",
        "arguments": {},
        "resps": [[["-1.0", "False"]], [["-2.0", "False"]]],
        "filtered_resps": [["-1.0", "False"], ["-2.0", "False"]],
        "doc_hash": f"h{number}",
        "prompt_hash": f"p{number}",
        "target_hash": f"t{number}",
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(number % 2),
    }
    return {name: value for name, value in (whole | fields).items() if value is not None}


def log(folder: Path, samples: list[Sample], name: str = f"samples_sums_{DATE}.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(s) + "\n" for s in samples))
    return file


@pytest.mark.parametrize(
    "fields",
    [{}, {"acc": True}, {"filter": None, "metrics": None}, {"doc_id": "3"}],
    ids=["whole", "true and false", "before names of metrics", "numbers as text"],
)
def test_a_log_is_read(temper_home: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    scores = import_samples([log(tmp_path, [sample(3, **fields), sample(4)])], SUITE)
    assert (scores.metrics["acc"].value, scores.metrics["acc"].n) == (0.5, 2)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        (f"samples_my_task_{DATE}.jsonl", "my_task"),
        ("samples_my_task_0shot.jsonl", "my_task_0shot"),
        ("samples_sums.jsonl", "sums"),
    ],
)
def test_a_task_is_called_as_its_log_is_but_for_the_date(
    temper_home: Path, tmp_path: Path, name: str, task: str
) -> None:
    from pyarrow.parquet import read_table

    scores = import_samples([log(tmp_path, [sample(0), sample(1)], name)], SUITE)
    assert set(read_table(scores.items)["stratum"].to_pylist()) == {task}


REFUSED: dict[str, tuple[Callable[[], list[Sample]], str]] = {
    "nothing": (list, "holds no samples"),
    "a document twice": (lambda: [sample(0), sample(1), sample(0)], "stands in the log twice"),
    "no hashes": (
        lambda: [sample(0), sample(1, doc_hash=None, prompt_hash=None)],
        "no doc_hash and no prompt_hash",
    ),
    "no hash of the prompt": (lambda: [sample(0, prompt_hash="")], "has no prompt_hash"),
    "no number of the document": (lambda: [sample(0, doc_id=None)], "lacks doc_id"),
    "another kind of line": (lambda: [{"results": {}}], "no sample of the harness"),
    "no answers": (lambda: [sample(0, filtered_resps=[])], "no sample of the harness"),
    "answers of no list": (lambda: [sample(0, resps=["x", "y"])], "no sample of the harness"),
    "a list for a metric": (lambda: [sample(0, acc=[1, 0])], "no number 'acc'"),
    "not a number": (lambda: [sample(0, acc=float("nan"))], "no number 'acc'"),
    "no such metric": (lambda: [sample(0, acc=None, metrics=None)], "no number 'acc'"),
}


@pytest.mark.parametrize(("samples", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_log_of_one_run_is_refused_in_one_paragraph(
    temper_home: Path, tmp_path: Path, samples: Callable[[], list[Sample]], says: str
) -> None:
    with pytest.raises(EvaluationError, match=says) as error:
        import_samples([log(tmp_path, samples())], SUITE)
    assert "\n" not in str(error.value)


def test_two_logs_of_one_task_are_two_models(temper_home: Path, tmp_path: Path) -> None:
    first = log(tmp_path, [sample(0), sample(1)])
    second = log(tmp_path, [sample(2), sample(3)], "samples_sums_2026-02-02T00-00-00.000000.jsonl")
    with pytest.raises(EvaluationError, match="another log of task 'sums'"):
        import_samples([first, second], SUITE)
